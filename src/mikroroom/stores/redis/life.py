"""That this worker lives, and who else does: a beat now and then, by which all agree on the time as well."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from mikroroom.logs import Line
from mikroroom.stores.redis.link import Ask, Link
from mikroroom.stores.redis.scripts import script
from mikroroom.stores.redis.wire import OutOfReach, Reply

log = logging.getLogger(__name__)

# So many beats in a lease: some of them may fail.
BEATS = 5
# Seconds between beats at most: they also find out what was lost.
LONGEST_PAUSE = 1.0
# So many leases long an inbox is there for a worker that does not read.
LEASES_KEPT = 6


class Witness(Protocol):
    """Who is told what beats find out."""

    def inbox_is_new(self, last: bytes) -> None:
        """This worker has an inbox that begins after the entry ``last``; what was in the former is lost."""

    def is_taken_for_dead(self) -> None:
        """This worker was not heard of for a lease, and others have its people now."""

    def last_read(self) -> bytes:
        """The entry of the inbox that was read last."""

    def data_is_old(self, last: bytes | None) -> None:
        """Redis has forgotten what it knew a moment ago; of the inbox all after ``last``, if any."""

    def others_are(self, alive: frozenset[str], gone: Sequence[str]) -> None:
        """Which workers there are; and which are no more, whose rooms nobody has seen to yet."""


class Life:
    """The beats of one worker. ``clock`` is steady, in milliseconds."""

    def __init__(
        self, link: Link, prefix: str, worker: str, lease: float, clock: Callable[[], int], witness: Witness
    ) -> None:
        self._link = link
        self._prefix = prefix
        self._worker = worker
        self._lease = int(lease * 1_000)
        self._clock = clock
        self._witness = witness
        self._beats = 0
        self._read = b"0-0"
        self._offset: int | None = None
        self._redis_offset = 0
        self._beating: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.alive: frozenset[str] = frozenset()
        self.problem: str | None = None
        """Why the last beat failed, though Redis answers; None if it did not."""
        self.in_touch_since: int | None = None
        """By ``clock``, since when beats have succeeded; None if the last did not."""

    def time(self) -> int:
        """The time of all workers, in milliseconds."""
        return self._clock() + (self._offset or 0)

    def redis_time(self) -> int:
        """The time by Redis' own clock, about."""
        return self._clock() + self._redis_offset

    def start(self) -> None:
        """Beat, until ``stop``."""
        self._beating = asyncio.create_task(self._beat_on())

    def stop(self) -> None:
        """Beat no more."""
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    def beat_now(self) -> None:
        """There is reason to think that something is lost."""
        self._wake.set()

    async def greet(self, ask: Ask) -> None:
        """The first beat on a new connection, before anything else is said there."""
        self.in_touch_since = None
        self._take(await ask(b"EVALSHA", script("beat").sha, 0, self._prefix, *self._arguments()))

    async def _beat_on(self) -> None:
        pause = min(self._lease / 1_000 / BEATS, LONGEST_PAUSE)
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                self._take(await self._link.run("beat", *self._arguments()))
            except OutOfReach:
                self.in_touch_since = None
            except Exception as error:  # noqa: BLE001 - whatever it is, the next beat must come
                # Somebody may have put something else under a key of ours.
                self._report(str(error))
            else:
                self._report(None)

    def _report(self, problem: str | None) -> None:
        """Say once that others cannot know that this worker lives."""
        if problem is not None and self.problem is None:
            log.error(Line("beat-failed", problem=problem, effect="others may take this worker for dead"))
        self.problem = problem

    def _arguments(self) -> tuple[str | int, ...]:
        # Not when the answer comes: by then more may have been read.
        self._read = self._witness.last_read()
        idea = 0 if self._offset is None else self.time()
        return self._worker, self._lease, self._lease * LEASES_KEPT, idea

    def _take(self, reply: Reply) -> None:
        if reply is None:
            self._witness.is_taken_for_dead()
            return
        (had_inbox, beats, time, last, redis_time), alive, left, dead = reply
        now = self._clock()
        self._offset, self._redis_offset = time - now, redis_time - now
        if self.in_touch_since is None:
            self.in_touch_since = now
        self.alive = frozenset(name.decode() for name in alive)
        is_rewound = beats <= self._beats
        self._beats = beats
        if not had_inbox:
            self._witness.inbox_is_new(last)
        elif _number(last) < _number(self._read):
            self._witness.data_is_old(last)
        elif is_rewound:
            self._witness.data_is_old(None)
        gone = list(left)
        # Before that, they may not have been able to say that they live, as we were not.
        if now - self.in_touch_since >= self._lease:
            gone += dead
        self._witness.others_are(self.alive, [name.decode() for name in gone])


def _number(entry: bytes) -> tuple[int, ...]:
    """The id of an entry, to be compared: a time in milliseconds, and a number."""
    return tuple(map(int, entry.split(b"-")))
