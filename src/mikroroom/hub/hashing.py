"""Passwords are hashed on threads of their own: a hash takes some 50 ms, which no event loop has to spare."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from mikroroom.core.secrets import Password, seal
from mikroroom.protocol.codes import ErrorCode, Refusal

# Two, so that a flood of passwords leaves the other cores, and most of one, to the meetings.
THREADS = 2
# At 50 ms each, whoever comes last waits some three seconds.
MAX_WAITING = 128


class Hasher:
    """Seals passwords, a bounded number at a time."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._waiting = 0

    async def seal(self, password: str, salt: bytes) -> Password:
        """See ``core.secrets.seal``.

        Raises:
            Refusal: SERVER_ERROR, too many are waiting already.
        """
        if self._waiting >= MAX_WAITING:
            raise Refusal(
                ErrorCode.SERVER_ERROR, "Too many passwords are being checked; try again in a moment"
            )
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mikroroom-hasher")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, seal, password, salt)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads end. They come back when they are needed."""
        if self._threads is not None:
            # Those who wait for a hash get it: what they sent after it waits as well.
            self._threads.shutdown(wait=False)
            self._threads = None
