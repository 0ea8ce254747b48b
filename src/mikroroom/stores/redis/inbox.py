"""What the others have for this worker, in order: read from one stream, from where it was read last."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from mikroroom.logs import Line
from mikroroom.stores.redis.link import CONNECT_PATIENCE, PAUSES, Link, OutOfReach, packed

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
    """The stream of one worker. ``open_letter`` is called with each field and value in it."""

    def __init__(self, link: Link, prefix: str, worker: str, open_letter: Open) -> None:
        self._link = link
        self._key = f"{prefix}inbox:{worker}"
        self._worker = worker
        self._open = open_letter
        self._last = b"0-0"
        self._read_bytes = 0
        self._trimmed_at = 0.0
        self._running: asyncio.Task[None] | None = None

    def start(self, last: bytes) -> None:
        """Read what comes after the entry ``last``, until ``stop``."""
        self._last = last
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
        self._last = last

    async def _run(self) -> None:
        attempts = 0
        while True:
            connection = self._link.new_connection()
            try:
                async with asyncio.timeout(CONNECT_PATIENCE):
                    await connection.connect()  # type: ignore[no-untyped-call]  # redis-py says no more of it
                while True:
                    await self._read(connection)
                    attempts = 0
            except (RedisError, OSError, TimeoutError, OutOfReach, EOFError):
                pass  # the link tells of it
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(PAUSES[min(attempts, len(PAUSES) - 1)] * (0.5 + random.random()))  # noqa: S311
            attempts += 1

    async def _read(self, connection: Any) -> None:
        command = packed(b"XREAD", b"COUNT", TOGETHER, b"BLOCK", BLOCK, b"STREAMS", self._key, self._last)
        before = self._last
        await connection.send_packed_command(command, check_health=False)
        reply = await connection.read_response(disable_decoding=True, timeout=READ_PATIENCE)
        if not reply or self._last != before:
            return
        for name, fields in reply[0][1]:
            self._last = name
            for at in range(0, len(fields), 2):
                self._read_bytes += len(fields[at + 1])
                self._take(fields[at], fields[at + 1])
        self._trim()

    def _take(self, field: bytes, value: bytes) -> None:
        try:
            self._open(field, value)
        except Exception:
            # A fault of ours with one letter must not keep the others from being read.
            log.exception(Line("letter-failed", kind=field[:1].decode(errors="replace")))

    def _trim(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._read_bytes >= TRIM_BYTES or (self._read_bytes and now - self._trimmed_at >= TRIM_EVERY):
            self._link.run("trim", self._worker, self._last, self._read_bytes)
            self._read_bytes, self._trimmed_at = 0, now
