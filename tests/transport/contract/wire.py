"""A client made by hand: bytes on a TCP connection, and frames (RFC 6455, 5) that need not be proper ones."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

PATIENCE = 60.0
# The example of RFC 6455, section 1.3.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"


class Op(IntEnum):
    """The opcodes that exist; all others are reserved."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True)
class Frame:
    """A frame of the server's."""

    opcode: int
    payload: bytes = b""


@dataclass(frozen=True)
class Answer:
    """The head of an HTTP response, header names in lower case."""

    status: int
    headers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """The values of every header of this name."""
        return [value for each, value in self.headers if each == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """A client's frame.

    ``rsv`` is the three reserved bits; ``length`` is claimed instead of the true one; ``width`` is the bytes
    in which it is told (0, 2 or 8), however few it needs.
    """
    size = len(payload) if length is None else length
    if width is None:
        width = 0 if size < 126 else 2 if size < 2**16 else 8
    first, mark = fin << 7 | rsv << 4 | opcode, {0: size, 2: 126, 8: 127}[width]
    head = bytes([first, masked << 7 | mark]) + (size.to_bytes(width) if width else b"")
    return head + MASK + _masked(payload) if masked else head + payload


def close(code: int, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(Op.CLOSE, code.to_bytes(2) + reason)


def text(content: str) -> bytes:
    """A client's text frame."""
    return frame(Op.TEXT, content.encode())


def _masked(payload: bytes) -> bytes:
    stretched = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(stretched)).to_bytes(len(payload))


class Wire(asyncio.Protocol):
    """A bare connection. Bytes that came before its end, be it a reset, are still there to be read."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._news = asyncio.Event()
        self.has_ended = False
        self.transport: asyncio.Transport

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep the bytes."""
        self._bytes += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember the end."""
        self.has_ended = True
        self._news.set()

    # HTTP

    def asks(self, path: str = "/", *headers: bytes, method: str = "GET", **usual: str) -> None:
        """Ask for a WebSocket. ``usual``: headers it takes, with other values; an empty one is left out."""
        values = {"host": "test", "upgrade": "websocket", "connection": "Upgrade"}
        values |= {"sec_websocket_key": KEY, "sec_websocket_version": "13"} | usual
        lines = [f"{name.replace('_', '-')}: {value}".encode() for name, value in values.items() if value]
        self.send(b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *lines, *headers, b"", b""]))

    async def answer(self) -> Answer:
        """The head of the response; its body stays to be read."""
        while b"\r\n\r\n" not in self._bytes:
            await self._more()
        head, _, rest = bytes(self._bytes).partition(b"\r\n\r\n")
        self._bytes = bytearray(rest)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = [line.split(": ", 1) for line in lines]
        return Answer(int(status.split()[1]), [(name.lower(), value) for name, value in headers])

    async def refusal(self) -> tuple[Answer, bytes]:
        """The whole of a response after which the server ends the connection."""
        answer = await self.answer()
        assert answer["connection"].lower() == "close"
        body = await self.rest()
        assert int(answer["content-length"]) == len(body)
        return answer, body

    # Frames

    def send(self, *data: bytes) -> None:
        """Send these very bytes, if the server has not closed."""
        if not self.transport.is_closing():
            self.transport.write(b"".join(data))

    async def next(self) -> Frame:
        """The server's next frame, which must be whole, unmasked and without reserved bits.

        Raises:
            EOFError: the connection ended first.
        """
        first, second = await self._take(2)
        assert first & 0xF0 == 0x80, f"FIN and reserved bits: {first:08b}"
        assert second < 128, "a server must not mask"
        size = second
        if size == 126:
            size = int.from_bytes(await self._take(2))
        elif size == 127:
            size = int.from_bytes(await self._take(8))
        return Frame(first & 0x0F, await self._take(size))

    async def is_closed_with(self, code: int, reason: str | None = None) -> None:
        """The next frame is a close with this code. It is not answered."""
        last = await self.next()
        assert last.opcode == Op.CLOSE, last
        assert int.from_bytes(last.payload[:2]) == code, last
        assert reason is None or last.payload[2:].decode() == reason, last

    async def ends(self) -> None:
        """The server ends the connection, without another byte."""
        assert await self.rest() == b""

    async def rest(self) -> bytes:
        """All that still comes before the server ends the connection."""
        while not self.has_ended:
            await self._more()
        return bytes(self._bytes)

    @property
    def has_heard(self) -> bytes:
        """What has come and is not yet read."""
        return bytes(self._bytes)

    # Ends

    def says_no_more(self) -> None:
        """Half-close: FIN, and go on reading."""
        self.transport.write_eof()

    def resets(self) -> None:
        """End the connection at once, with a RST."""
        if self.transport.is_closing():
            return
        plug = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # a UNIX socket has no RST
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def _take(self, count: int) -> bytes:
        while len(self._bytes) < count:
            await self._more()
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken

    async def _more(self) -> None:
        if self.has_ended:
            raise EOFError(f"the connection ended after {bytes(self._bytes)!r}")
        self._news.clear()
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()
