"""picows on a transport that we were given: its parser and writer of frames, without its server.

What is used of picows beyond what its documents promise is in this module, but for two things that
``channel`` knows of: the sizes of its buffers, and that it reads one frame ahead.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from multidict import CIMultiDict
from picows import WSListener, WSTransport, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # missing from its stub

log = logging.getLogger(__name__)

if not version("picows").startswith("2.3."):
    raise ImportError(f"picows {version('picows')} is installed, and not 2.3")

# The smallest that picows takes. What does not fit makes the buffer grow, and it never shrinks again.
READ_BUFFER = 2_048
# As much as is read at once, and twice that in the middle of a large message. picows reads what its
# buffer holds, doubles it when a read has filled it, and looks at all that is in it before anything else
# happens: whoever sent more than we could read would make that megabytes.
SLICE = 4_096

# picows insists on a handshake. The client's has been answered: this one is played to picows alone.
_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_NO_HEADERS: Final[CIMultiDict[str]] = CIMultiDict()


class _Answer(WSUpgradeResponse):
    """Accepts a handshake, and writes nothing."""

    def __init__(self) -> None:
        self.version = b"HTTP/1.1"
        self.status = HTTPStatus.SWITCHING_PROTOCOLS
        self.headers = CIMultiDict()
        self.body = None

    def to_bytes(self) -> bytearray:
        return bytearray()


_ANSWER: Final = _Answer()


def connect(
    transport: asyncio.Transport,
    listener: WSListener,
    max_frame_size: int,
    violated: Callable[[int, str], None],
    ended: Callable[[], None],
) -> tuple[asyncio.BufferedProtocol, WSTransport]:
    """A reader of frames, to be set as the transport's protocol, and a writer of frames.

    ``violated`` is called with a close code and a reason when input breaks the rules; picows itself tells
    nobody but the client and its logger. ``ended`` is called when the client will send no more.
    """

    def accept(_: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        return WSUpgradeResponseWithListener(_ANSWER, listener)

    wire = _Wire(transport, violated)
    reader = _Reader(
        host_port=None,
        ws_path=None,
        is_client_side=False,
        ws_listener_factory=accept,
        logger=wire,
        disconnect_on_exception=True,
        websocket_handshake_timeout=None,
        enable_auto_ping=False,
        auto_ping_idle_timeout=0,
        auto_ping_reply_timeout=0,
        auto_ping_strategy=1,
        enable_auto_pong=False,
        max_frame_size=max_frame_size,
        extra_headers=None,
        read_buffer_init_size=READ_BUFFER,
    )
    reader.ended = ended
    reader.connection_made(wire)
    feed(reader, _HANDSHAKE)
    writer: WSTransport = reader.transport
    # picows would keep them as long as the connection lasts, and they take a kilobyte.
    writer.request.headers = _NO_HEADERS
    return reader, writer


def feed(reader: asyncio.BufferedProtocol, data: bytes) -> None:
    """Let a reader have what has come already, as if the transport had received it now."""
    while data:
        room = memoryview(reader.get_buffer(-1))
        part = data[: len(room)]
        room[: len(part)] = part
        reader.buffer_updated(len(part))
        data = data[len(part) :]


class _Reader(WSProtocol):  # type: ignore[misc]  # as above
    """picows' own, in slices, and it tells of the end of input."""

    __slots__ = ("ended",)
    ended: Callable[[], None]

    def eof_received(self) -> bool:
        """The client has shut its side. The transport sends what waits, if it can, and closes."""
        self.ended()
        return False

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes are to go."""
        room: memoryview = _whole_buffer(self, sizehint)
        size = len(room)
        return room if size <= SLICE else room[: SLICE if size <= 2 * SLICE else 2 * SLICE]


_whole_buffer = WSProtocol.get_buffer


class _Wire:
    """What picows takes for its transport and for its logger."""

    __slots__ = ("_transport", "_violated", "get_write_buffer_size", "write")

    def __init__(self, transport: asyncio.Transport, violated: Callable[[int, str], None]) -> None:
        self._transport = transport
        self._violated = violated
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.write = transport.write

    def get_extra_info(self, name: str) -> Any:
        """The transport's, but for a socket that picows may set options on without effect."""
        if name == "socket":
            return _Socket(self._transport.get_extra_info("socket").fileno())
        return self._transport.get_extra_info(name) if name == "ssl_object" else None

    def close(self) -> None:
        """Nothing: the end of the connection is the listener's business."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name that loggers have
        """Never: what picows has to tell line by line, nobody needs."""
        return False

    def error(self, message: str, details: tuple[int, str]) -> None:
        """The one thing that picows says as an error: the input is no WebSocket's, and why."""
        self._violated(*details)

    def exception(self, message: str) -> None:
        """A fault of ours while a frame was handled, or of picows while it was read."""
        log.error(message, exc_info=sys.exception())
        self._violated(1011, "")

    def info(self, *_: object) -> None:
        """Ignored, as are the next two."""

    debug = warning = info


class _Socket:
    """A socket of which only the number is real."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def setsockopt(self, *_: object) -> None:
        """Ignored: our own side sets TCP_NODELAY, and a UNIX socket has none."""

    def getsockopt(self, *_: object) -> int:
        return 0
