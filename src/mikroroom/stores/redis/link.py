"""The way to Redis: commands go out in the order in which they were given, many at a time.

When the connection is lost, those that may be repeated go out again on the next one, still in order; every
script takes effect once, however often it arrives.
"""

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.stores.redis.scripts import NAMES, script
from mikroroom.stores.redis.wire import (
    Argument,
    OutOfReach,
    Piece,
    Refused,
    Reply,
    Wire,
    connect,
    packed,
    pool_of,
)

log = logging.getLogger(__name__)

# Seconds within which an answer comes, and between two looks at whether it has.
ANSWER_PATIENCE = 3.0
LOOK_EVERY = 0.5
# Seconds between attempts to connect, and after which a connection was no mere attempt.
LASTING = 2.0
PAUSES = 0.05, 0.1, 0.2, 0.4, 0.8
# So many problems of one time out of reach are told.
MOST_REPORTED = 5
# Errors that say nothing of the command, but that Redis is not to be used now.
UNUSABLE = (
    "BUSY",
    "CLUSTERDOWN",
    "ERR The user executing the script",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "UNKILLABLE",
)

Ask = Callable[..., Awaitable[Reply]]


class Call:
    """A command under way, since ``sent_at``. One whose answer is awaited no more is not repeated."""

    __slots__ = ("done", "is_repeatable", "name", "pieces", "sent_at")

    def __init__(
        self, name: str, pieces: list[Piece], done: "asyncio.Future[Reply]", *, is_repeatable: bool
    ) -> None:
        self.name = name
        self.pieces = pieces
        self.done = done
        self.is_repeatable = is_repeatable
        self.sent_at = 0.0


class Link:
    """See the module. ``name`` is who speaks; ``problem`` why Redis is out of reach, None if it is not.

    An answer must come within ``patience``, in seconds.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        name: str,
        patience: float = ANSWER_PATIENCE,
        meters: Meters | None = None,
    ) -> None:
        self._times = (meters or Meters()).store
        self.pool = pool_of(url)
        self._name = name
        self._patience = min(patience, ANSWER_PATIENCE)
        self.problem: str | None = "not connected yet"
        self._prefix = prefix
        self._loop = asyncio.get_running_loop()
        self._down_since = self._loop.time()
        self._waiting: deque[Call] = deque()
        self._sent: deque[Call] = deque()
        self._wire: Wire | None = None
        self._is_flush_due = False
        # What the log has told of since Redis was last there.
        self._reported: set[str] = set()
        self._running: asyncio.Task[None] | None = None

    def start(self, greet: Callable[[Ask], Awaitable[None]]) -> None:
        """Connect, again and again until ``stop``. ``greet`` is done first on every new connection."""
        self._running = asyncio.create_task(self._run(greet))

    async def stop(self) -> None:
        """Let go. What is under way is out of reach."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            self._running = None
        _fail(OutOfReach("the connection was closed"), [*self._sent, *self._waiting])
        self._sent.clear()
        self._waiting.clear()

    def is_down_for(self, seconds: float) -> bool:
        """Whether Redis has been out of reach for so long."""
        return self.problem is not None and self._loop.time() - self._down_since > seconds

    def key(self, *parts: str) -> str:
        """A key of ours."""
        return self._prefix + ":".join(parts)

    def run(self, name: str, *arguments: Argument, is_repeatable: bool = False) -> "asyncio.Future[Reply]":
        """Have a script run, with these arguments after the prefix. See ``call``."""
        command = (b"EVALSHA", script(name).sha, 0, self._prefix, *arguments)
        return self._send_soon(name, command, is_repeatable=is_repeatable)

    def call(self, *command: Argument, is_repeatable: bool = False) -> "asyncio.Future[Reply]":
        """Send a command. The answer raises ``OutOfReach`` or ``Refused``."""
        return self._send_soon("command", command, is_repeatable=is_repeatable)

    @property
    def under_way(self) -> int:
        """Commands that wait to be sent, or for their answer."""
        return len(self._waiting) + len(self._sent)

    def _send_soon(
        self, name: str, command: Sequence[Argument], *, is_repeatable: bool
    ) -> "asyncio.Future[Reply]":
        done: asyncio.Future[Reply] = self._loop.create_future()
        done.add_done_callback(_look_at)
        self._waiting.append(Call(name, packed(*command), done, is_repeatable=is_repeatable))
        if not self._is_flush_due and self._wire is not None:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        return done

    async def _run(self, greet: Callable[[Ask], Awaitable[None]]) -> None:
        attempts = 0
        while True:
            wire: Wire | None = None
            opened_at = math.inf
            try:
                wire = await connect(self.pool)
                async with asyncio.timeout(self._patience):
                    await self._open(wire, greet)
                opened_at = self._loop.time()
                await self._serve(wire)
            except (OutOfReach, Refused, TimeoutError) as error:
                self._lose(str(error) or "Redis does not answer")
            except Exception as error:
                # A fault of ours must not be the end of it.
                log.exception(Line("link-failed"))
                self._lose(str(error))
            finally:
                self._wire = None
                if wire is not None:
                    wire.cut()
            if self._loop.time() - opened_at > LASTING:
                attempts = 0
            pause = PAUSES[min(attempts, len(PAUSES) - 1)]
            attempts += 1
            # Workers must not come all at once.
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311

    async def _open(self, wire: Wire, greet: Callable[[Ask], Awaitable[None]]) -> None:
        await wire.ask_all([(b"SCRIPT", b"LOAD", script(name).text) for name in NAMES])
        await greet(wire.ask)
        if self.problem is not None:
            log.info(Line("redis-connected", name=self._name))
        self.problem = None
        self._reported.clear()

    async def _serve(self, wire: Wire) -> None:
        """Send and take answers until the connection is lost, or an answer is overdue."""
        wire.take = self._take
        self._wire = wire
        self._flush()
        while not wire.is_lost.done():
            await asyncio.wait((wire.is_lost,), timeout=min(LOOK_EVERY, self._patience / 2))
            if self._sent and time.monotonic() - self._sent[0].sent_at > self._patience:
                raise OutOfReach(f"no answer within {self._patience:g} seconds")
        raise OutOfReach(self.problem or "the connection was lost")

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._wire is None:
            return
        # The loop's own clock may stand still for a millisecond, in which many an answer comes.
        now = time.monotonic()
        pieces: list[Piece] = []
        for call in self._waiting:
            if not call.done.done():
                call.sent_at = now
                pieces += call.pieces
                self._sent.append(call)
        self._waiting.clear()
        if pieces:
            self._wire.send(pieces)

    def _take(self, reply: Reply) -> None:
        """The answer to the oldest command."""
        if isinstance(reply, Refused) and str(reply).startswith(UNUSABLE):
            if self._wire is not None:
                self.problem = str(reply)
                wire, self._wire = self._wire, None
                wire.take = _no_more
                wire.cut()
            return
        call = self._sent.popleft()
        self._times[call.name].observe(time.monotonic() - call.sent_at)
        if call.done.done():
            return
        if isinstance(reply, Refused):
            call.done.set_exception(reply)
        else:
            call.done.set_result(reply)

    def _lose(self, problem: str) -> None:
        """Whatever was under way is repeated on the next connection, or out of reach."""
        if not self._reported:
            self._down_since = self._loop.time()
        if problem not in self._reported and len(self._reported) < MOST_REPORTED:
            self._reported.add(problem)
            log.error(
                Line("redis-failed", problem=problem, effect="rooms cannot be changed until it is back")
            )
        self.problem = problem
        under_way = [call for call in (*self._sent, *self._waiting) if not call.done.done()]
        self._sent.clear()
        self._waiting = deque(call for call in under_way if call.is_repeatable)
        _fail(OutOfReach(problem), [call for call in under_way if not call.is_repeatable])


def _fail(error: Exception, calls: list[Call]) -> None:
    for call in calls:
        if not call.done.done():
            call.done.set_exception(error)


def _look_at(done: "asyncio.Future[Reply]") -> None:
    """Not everybody who sends a command waits for its answer."""
    if not done.cancelled():
        done.exception()


def _no_more(reply: Reply) -> None:
    """What comes after an answer that ends the connection says nothing."""
