"""Rate limits. Times are milliseconds of any clock that never runs backwards; a bucket's are seconds."""

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
        # A list for each: there are few times in it, and many of them.
        self._taken: dict[str, list[int]] = {}

    def wait(self, key: str, now: int, extra: int = 0) -> int:
        """Milliseconds until ``key`` has a place free, with so many ``extra``; 0 if it has one now."""
        times = self._taken.get(key)
        if not self._limit or times is None:
            return 0
        while times and times[0] <= now - self._period:
            del times[0]
        excess = len(times) - self._limit - extra
        return times[excess] + self._period - now if excess >= 0 else 0

    def take(self, key: str, now: int, extra: int = 0) -> int:
        """Take a place for ``key``. Returns 0, or the milliseconds to wait where there was none."""
        if not self._limit:
            return 0
        if wait := self.wait(key, now, extra):
            return wait
        times = self._taken.pop(key, None) or []
        times.append(now)
        self._taken[key] = times
        if len(self._taken) > self._max_keys:
            del self._taken[next(iter(self._taken))]
        return 0

    def is_exceeded(self, key: str, now: int) -> bool:
        """Whether ``key`` has taken more than the limit: extra places."""
        return self.wait(key, now, 1) > 0

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
    """At once ``capacity``, and ``per_second`` sustained (R31). A rate of 0 is none. Times are in seconds.

    Kept as the one time at which all that was taken is paid for (the generic cell rate algorithm, ITU-T
    I.371): the same as counting tokens, in fewer steps.
    """

    __slots__ = ("_interval", "_paid_at", "_span")

    def __init__(self, capacity: int, per_second: float, now: float) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._span = self._span_of(capacity)
        self._paid_at = now

    def widen(self, capacity: int) -> None:
        """Raise the capacity to at least ``capacity``; the difference is there at once."""
        self._span = max(self._span, self._span_of(capacity))

    def take(self, now: float, count: int = 1) -> bool:
        """Take ``count``, if there are as many."""
        paid_at = self._paid_at
        if paid_at < now:  # noqa: PLR1730 - three times as fast as max, and done for every message
            paid_at = now
        paid_at += count * self._interval
        if paid_at > now + self._span:
            return False
        self._paid_at = paid_at
        return True

    def _span_of(self, capacity: int) -> float:
        # The sum of many intervals is not exactly their product.
        return (capacity + 1e-3) * self._interval


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
