"""Rate limits. Times are milliseconds of any clock that never runs backwards."""

from collections import deque


class Window:
    """At most ``limit`` within any ``period``, counted per key (R30). A limit of 0 is none.

    What was refused is not counted: whoever waits as long as told is let in. At most ``max_keys`` keys are
    remembered, the longest-unseen forgotten first, so that a flood of addresses cannot fill the memory.
    """

    def __init__(self, limit: int, period: int, max_keys: int = 100_000) -> None:
        self._limit = limit
        self._period = period
        self._max_keys = max_keys
        self._taken: dict[str, deque[int]] = {}

    def wait(self, key: str, now: int) -> int:
        """Milliseconds until ``key`` has a place free; 0 if it has one now."""
        times = self._taken.get(key)
        if not self._limit or times is None:
            return 0
        while times and times[0] <= now - self._period:
            times.popleft()
        return times[0] + self._period - now if len(times) >= self._limit else 0

    def take(self, key: str, now: int) -> int:
        """Take a place for ``key``. Returns 0, or the milliseconds to wait where there was none."""
        if not self._limit:
            return 0
        if wait := self.wait(key, now):
            return wait
        times = self._taken.pop(key, None) or deque()
        times.append(now)
        self._taken[key] = times
        if len(self._taken) > self._max_keys:
            del self._taken[next(iter(self._taken))]
        return 0

    def give_back(self, key: str, taken_at: int) -> None:
        """Give back the place that ``key`` took at that time, if it is still counted (R13)."""
        times = self._taken.get(key)
        if times and taken_at in times:
            times.remove(taken_at)

    def prune(self, now: int) -> None:
        """Forget the keys whose places are all free again. Those seen last stand last, so this ends early."""
        while self._taken:
            key, times = next(iter(self._taken.items()))
            if times and times[-1] > now - self._period:
                return
            del self._taken[key]


class Bucket:
    """At once ``capacity``, and ``per_second`` sustained (R31). A rate of 0 is no limit."""

    __slots__ = ("_capacity", "_filled_at", "_per_second", "_tokens")

    def __init__(self, capacity: int, per_second: float, now: int) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._tokens = float(capacity)
        self._filled_at = now

    def widen(self, capacity: int) -> None:
        """Raise the capacity to at least ``capacity``; the difference is there at once."""
        if capacity > self._capacity:
            self._tokens += capacity - self._capacity
            self._capacity = capacity

    def take(self, now: int) -> bool:
        """Take one, if there is one."""
        if not self._per_second:
            return True
        gained = (now - self._filled_at) * self._per_second / 1_000
        self._tokens = min(self._capacity, self._tokens + gained)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Sampler:
    """Says when to speak of something that happens often: the first time, then once per ``period``."""

    __slots__ = ("_last", "_passed_over", "_period")

    def __init__(self, period: int) -> None:
        self._period = period
        self._last: int | None = None
        self._passed_over = 0

    def due(self, now: int) -> int | None:
        """None to pass this one over; else how many were passed over since the last one."""
        if self._last is not None and now - self._last < self._period:
            self._passed_over += 1
            return None
        self._last = now
        passed_over, self._passed_over = self._passed_over, 0
        return passed_over


class Tally:
    """Tells when ``limit`` things have come within ``period`` (R31). A limit of 0 is never."""

    __slots__ = ("_limit", "_period", "_times")

    def __init__(self, limit: int, period: int) -> None:
        self._limit = limit
        self._period = period
        # Most connections are never refused anything: the list is made for those that are.
        self._times: deque[int] | None = None

    def add(self, now: int) -> bool:
        """Count one; whether that makes ``limit`` within the period."""
        if not self._limit:
            return False
        if self._times is None:
            self._times = deque(maxlen=self._limit)
        self._times.append(now)
        return len(self._times) == self._limit and self._times[0] > now - self._period
