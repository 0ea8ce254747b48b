"""One WebSocket to the server: text in, text out, and how it ended. The only module that needs picows."""

import asyncio
import logging
import os
import socket
import ssl
import struct
from collections.abc import Callable

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from mikroroom.loadtest.target import Target

HANDSHAKE_PATIENCE = 15.0
# A message of the server at most (R32), and room for what it adds.
_MAX_FRAME_BYTES = 1_048_576
# It speaks of every connection, and a test has thousands.
_log = logging.getLogger("mikroroom.loadtest.wire")
_log.setLevel(logging.CRITICAL + 1)

# SO_LINGER, for no time at all: what is under way is thrown away, and the peer is told so.
_AT_ONCE = struct.pack("ii", 1, 0)

LOST = 1006
NO_CODE = 1005


class HandshakeRefused(Exception):
    """The server answered the handshake with this HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class Unconnected(Exception):
    """There is no connection, and it is not the server's word that there is none. Says why."""


class Wire(WSListener):  # type: ignore[misc, unused-ignore]  # picows may not be installed where types are checked
    """One open connection, from the address ``source`` if one was chosen.

    ``hear`` and ``lose`` may be given anew: the next message goes there.
    """

    def __init__(self, hear: Callable[[str], None], lose: Callable[[int], None]) -> None:
        self.hear = hear
        self.lose = lose
        self.source: str | None = None
        self.is_paused = False
        self.code = LOST
        self.closed = asyncio.Event()
        self._transport: WSTransport | None = None
        self._parts: list[bytes] = []

    def send(self, message: bytes) -> None:
        """Send a text message; nothing happens if the connection is gone."""
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, message)

    def stop_reading(self) -> None:
        """From now on what the server sends stays with the system, until it takes no more."""
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def go_on_reading(self) -> None:
        """Read again; most likely to hear that all is over."""
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def close(self) -> None:
        """Say goodbye; the server answers, and then the connection is closed."""
        if self._transport is not None:
            self._transport.send_close(picows.WSCloseCode.OK)

    def drop(self) -> None:
        """Be gone without a word."""
        if self._transport is not None:
            self._transport.disconnect(False)

    def reset(self) -> None:
        """Be gone with a reset, as when a network or a machine is gone."""
        if self._transport is not None:
            reached = self._transport.underlying_transport.get_extra_info("socket")
            reached.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.drop()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame has come; pings are answered below us."""
        if frame.msg_type == WSMsgType.TEXT and frame.fin:
            self.hear(frame.get_payload_as_utf8_text())
        elif frame.msg_type == WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self.code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
            if not transport.is_close_frame_sent:
                transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self.hear(whole.decode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone, by whichever side."""
        self._transport = None
        self.closed.set()
        self.lose(self.code)

    def pause_writing(self) -> None:
        """The server takes less than we send."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """It takes more again."""
        self.is_paused = False


async def connect(
    target: Target,
    tls: ssl.SSLContext | None,
    source: str | None,
    hear: Callable[[str], None],
    lose: Callable[[int], None],
    *,
    receive_buffer: int = 0,
) -> Wire:
    """Connect from ``source``, an address of this machine or None for any.

    Raises:
        HandshakeRefused: the server said no.
        Unconnected: nobody listens there, or what does speaks no WebSocket, or says nothing.
    """

    async def reach(_: object) -> socket.socket:
        return await _reach(target, source, receive_buffer)

    try:
        async with asyncio.timeout(HANDSHAKE_PATIENCE):
            _, wire = await picows.ws_connect(
                lambda: Wire(hear, lose),
                target.url,
                ssl_context=tls,
                socket_factory=reach,
                websocket_handshake_timeout=HANDSHAKE_PATIENCE,
                max_frame_size=_MAX_FRAME_BYTES,
                max_redirects=0,
                logger_name=_log,
            )
    except picows.WSHandshakeError as error:
        if error.response is not None and error.response.status != 101:
            raise HandshakeRefused(error.response.status) from None
        raise Unconnected("the answer was no WebSocket handshake") from None
    except ssl.SSLCertVerificationError as error:
        raise Unconnected(f"the certificate is not trusted ({error.verify_message})") from None
    except TimeoutError:
        raise Unconnected("no answer in time") from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise Unconnected(why.lower()) from None
    if not isinstance(wire, Wire) or wire.closed.is_set():
        raise Unconnected("closed at once")
    wire.source = source
    return wire


async def _reach(target: Target, source: str | None, receive_buffer: int) -> socket.socket:
    """A connected socket. The name is not looked up again: it was this address that may be loaded."""
    reached = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        reached.setblocking(False)
        if receive_buffer:
            reached.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            reached.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(reached, target.address)
    except BaseException:
        reached.close()
        raise
    return reached
