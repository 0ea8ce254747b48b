"""The last moments of a connection: what still comes is read into nothing, so that what was sent arrives."""

import asyncio
import contextlib
from collections.abc import Callable

# A client that goes on sending is cut off after so many bytes.
MOST = 4_194_304

# Where all of them read to; nobody looks there.
_nowhere = bytearray(65_536)


def linger(transport: asyncio.Transport, gone: Callable[[], None]) -> None:
    """Send the rest and no more, and read until the client has closed too. ``gone`` is called when it has.

    How long that may take is for the caller to bound.
    """
    transport.set_protocol(_Drain(transport, gone))
    if transport.is_closing():
        return
    if transport.can_write_eof():
        with contextlib.suppress(OSError):  # the client has gone, and we are about to be told
            transport.write_eof()
        transport.resume_reading()
    else:  # TLS has an ending of its own
        transport.close()


class _Drain(asyncio.BufferedProtocol):
    def __init__(self, transport: asyncio.Transport, gone: Callable[[], None]) -> None:
        self._transport = transport
        self._gone = gone
        self._left = MOST

    def get_buffer(self, sizehint: int) -> bytearray:
        return _nowhere

    def buffer_updated(self, nbytes: int) -> None:
        self._left -= nbytes
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
