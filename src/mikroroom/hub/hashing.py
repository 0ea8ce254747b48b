"""Passwords are hashed on threads of their own: a hash takes some 50 ms, which no event loop has to spare.

One client's hashes are made one after the other, so that whoever sends a flood of passwords delays nobody
but itself.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from mikroroom.core.secrets import Password, seal
from mikroroom.protocol.codes import ErrorCode, Refusal

# Hashing is to leave most of the machine to the meetings.
THREADS = max(1, (os.cpu_count() or 1) // 2)
# At 50 ms each, whoever comes last of one address waits less than two seconds.
MAX_WAITING_OF_ONE = 32
MAX_CLIENTS = 256


class _Queue:
    """The hashes that one client waits for."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0


class Hasher:
    """Seals passwords: of each client one at a time, and a bounded number in all."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._queues: dict[str, _Queue] = {}

    async def seal(self, password: str, salt: bytes, client: str) -> Password:
        """See ``core.secrets.seal``.

        Raises:
            Refusal: SERVER_ERROR, too many are waiting already.
        """
        queue = self._queues.get(client)
        if queue is None:
            if len(self._queues) >= MAX_CLIENTS:
                raise _busy()
            queue = self._queues[client] = _Queue()
        elif queue.length >= MAX_WAITING_OF_ONE:
            raise _busy()
        queue.length += 1
        try:
            async with queue.turn:
                return await asyncio.get_running_loop().run_in_executor(self._pool(), seal, password, salt)
        finally:
            queue.length -= 1
            if not queue.length:
                del self._queues[client]

    @property
    def waiting(self) -> int:
        """How many wait for a hash."""
        return sum(queue.length for queue in self._queues.values())

    def close(self) -> None:
        """Let the threads end. They come back when they are needed."""
        if self._threads is not None:
            # Those who wait for a hash get it: what they sent after it waits as well.
            self._threads.shutdown(wait=False)
            self._threads = None

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mikroroom-hasher")
        return self._threads


def _busy() -> Refusal:
    return Refusal(ErrorCode.SERVER_ERROR, "Too many passwords are being checked; try again in a moment")
