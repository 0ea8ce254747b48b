"""What the others have for this worker, in order: read from one stream, from where it was read last."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from mikroroom.logs import Line
from mikroroom.meters import Histogram
from mikroroom.stores.redis.link import LOOK_EVERY, PAUSES, Link
from mikroroom.stores.redis.wire import OutOfReach, Refused, Reply, Wire, connect, packed

log = logging.getLogger(__name__)

# Milliseconds for which Redis waits for something to read; seconds for which we wait for Redis.
BLOCK = 2_000
READ_PATIENCE = 5.0
# How many entries come at a time, and after how many bytes what was read is deleted.
TOGETHER = 256
TRIM_BYTES = 1_048_576
# Seconds after which it is deleted in any case.
TRIM_EVERY = 1.0

Open = Callable[[bytes, bytes], None]


class Inbox:
    """The stream of one worker. ``open_letter`` is called with each field and value in it.

    ``delay`` is shown how long what is read has been there, by ``redis_clock``, in milliseconds.
    """

    def __init__(
        self,
        link: Link,
        worker: str,
        open_letter: Open,
        *,
        delay: Histogram,
        redis_clock: Callable[[], int],
    ) -> None:
        self._link = link
        self._key = link.key("inbox", worker)
        self._worker = worker
        self._open = open_letter
        self._delay = delay
        self._redis_clock = redis_clock
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self.last = b"0-0"
        """The entry that was read last."""
        # From which entry on is being read, and since when.
        self._asked = b""
        self._asked_at = 0.0
        self._read_bytes = 0
        self._trimmed_at = 0.0
        self._has_read = False
        self.problem: str | None = None
        """Why nothing can be read, though Redis answers; None if it can."""
        self._running: asyncio.Task[None] | None = None

    def start(self, last: bytes) -> None:
        """Read what comes after the entry ``last``, until ``stop``."""
        self.last = last
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Read no more."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            self._running = None

    def go_on_from(self, last: bytes) -> None:
        """The stream is a new one: whatever was in the former is lost."""
        self.last = last

    async def _run(self) -> None:
        attempts = 0
        while True:
            self._has_read = False
            try:
                wire = await connect(self._link.pool)
                try:
                    await self._serve(wire)
                finally:
                    wire.cut()
            except OutOfReach:
                pass  # the link tells of it, which has the same trouble
            except Exception:
                # A fault of ours must not be the end of it.
                log.exception(Line("inbox-failed"))
            if self._has_read:
                attempts = 0
            pause = PAUSES[min(attempts, len(PAUSES) - 1)]
            attempts += 1
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311

    async def _serve(self, wire: Wire) -> None:
        """Read until the connection is lost, or an answer is overdue."""
        self._wire = wire
        wire.take = self._take
        self._ask(wire)
        while not wire.is_lost.done() and self._loop.time() - self._asked_at < READ_PATIENCE:
            await asyncio.wait((wire.is_lost,), timeout=LOOK_EVERY)

    def _ask(self, wire: Wire) -> None:
        self._asked, self._asked_at = self.last, self._loop.time()
        wire.send(packed(b"XREAD", b"COUNT", TOGETHER, b"BLOCK", BLOCK, b"STREAMS", self._key, self.last))

    def _take(self, reply: Reply) -> None:
        wire = self._wire
        if wire is None or wire.is_lost.done():
            return
        if isinstance(reply, Refused):
            if self.problem is None:
                effect = "nothing is heard of other workers"
                log.error(Line("inbox-refused", problem=str(reply), effect=effect))
            self.problem = str(reply)
            wire.cut()
            return
        self.problem, self._has_read = None, True
        # Not where the stream has become another one meanwhile.
        if reply and self.last == self._asked:
            now = self._redis_clock()
            for name, fields in reply[0][1]:
                self.last = name
                self._open_all(fields)
                self._delay.observe(max(0, now - int(name[: name.index(b"-")])) / 1_000)
            self._trim()
        self._ask(wire)

    def _open_all(self, fields: list[bytes]) -> None:
        for field, value in zip(fields[::2], fields[1::2], strict=True):
            self._read_bytes += len(value)
            try:
                self._open(field, value)
            except Exception:
                # A fault of ours with one letter must not keep the others from being read.
                log.exception(Line("letter-failed", kind=field.decode(errors="replace")))

    def _trim(self) -> None:
        now = self._loop.time()
        if self._read_bytes >= TRIM_BYTES or now - self._trimmed_at >= TRIM_EVERY:
            self._link.run("trim", self._worker, self.last, self._read_bytes)
            self._read_bytes, self._trimmed_at = 0, now
