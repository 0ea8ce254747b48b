"""WebSocket frames made by hand (RFC 6455, section 5), for what no well-behaved client would send."""

import asyncio
import base64
import hashlib
import json
import os
import socket
import ssl
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


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
    payload: bytes


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """A client's frame. ``rsv`` is the three reserved bits; ``length`` is claimed instead of the true one."""
    size = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    mask_bit = masked << 7
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 2**16:
        head += bytes([mask_bit | 126]) + size.to_bytes(2)
    else:
        head += bytes([mask_bit | 127]) + size.to_bytes(8)
    return head + _masked(payload) if masked else head + payload


def close(code: int, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(Op.CLOSE, code.to_bytes(2) + reason)


def text(content: str) -> bytes:
    """A client's text frame."""
    return frame(Op.TEXT, content.encode())


def _masked(payload: bytes) -> bytes:
    key = os.urandom(4)
    stretched = (key * (len(payload) // 4 + 1))[: len(payload)]
    return key + (int.from_bytes(payload) ^ int.from_bytes(stretched)).to_bytes(len(payload))


class Wire(asyncio.Protocol):
    """A bare TCP (or TLS) connection. Bytes that came before a reset are still there to be read."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._bytes = bytearray()
        self._news = asyncio.Event()
        self._ended = False
        self.transport: asyncio.Transport

    @classmethod
    async def to(
        cls,
        host: str,
        port: int,
        local_address: str | None,
        tls: ssl.SSLContext | None,
        patience: float,
        receive_buffer: int | None = None,
    ) -> Self:
        """Connect. A small ``receive_buffer`` makes a reader that stops reading felt sooner."""
        loop = asyncio.get_running_loop()
        (family, *_, address), *_ = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        plug = socket.socket(family, socket.SOCK_STREAM)
        plug.setblocking(False)
        if receive_buffer:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if local_address:
            plug.bind((local_address, 0))
        await loop.sock_connect(plug, address)
        _, wire = await loop.create_connection(
            lambda: cls(patience), sock=plug, ssl=tls, server_hostname=host if tls else None
        )
        return wire

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep the bytes."""
        self._bytes += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember the end, be it a reset or not."""
        self._ended = True
        self._news.set()

    # HTTP

    async def becomes_websocket(self, path: str) -> int:
        """The opening handshake (RFC 6455, 4), with no extension. Returns the status: 101, or why not."""
        key = base64.b64encode(os.urandom(16))
        self.upgrade(path, key=key.decode())
        status, headers = await self.answer()
        if status != 101:
            return status
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
        assert headers["sec-websocket-accept"] == accept.decode()
        return status

    def upgrade(
        self, path: str, *, method: str = "GET", key: str = "dGhlIHNhbXBsZSBub25jZQ==", version: str = "13"
    ) -> None:
        """Ask for a WebSocket; a word left empty leaves its header out."""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\n".encode())
        self.send(b"Upgrade: websocket\r\nConnection: Upgrade\r\n")
        if key:
            self.send(f"Sec-WebSocket-Key: {key}\r\n".encode())
        if version:
            self.send(f"Sec-WebSocket-Version: {version}\r\n".encode())
        self.send(b"\r\n")

    async def answer(self) -> tuple[int, dict[str, str]]:
        """Status and headers (names in lower case) of an HTTP response; its body stays to be read."""
        while b"\r\n\r\n" not in self._bytes:
            await self._more()
        head, _, rest = bytes(self._bytes).partition(b"\r\n\r\n")
        self._bytes = bytearray(rest)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {name.lower(): value for name, value in headers.items()}

    # Frames

    def send(self, data: bytes) -> None:
        """Send these very bytes."""
        self.transport.write(data)

    def says(self, kind: str, /, **fields: object) -> None:
        """Send a message in a frame as it should be."""
        self.send(text(json.dumps({"type": kind, "timestamp": time.time_ns() // 1_000_000, **fields})))

    async def hears(self, kind: str, /, **fields: object) -> dict[str, Any]:
        """The next frame is a message of this type with these fields. Returns it."""
        heard = await self.next()
        assert heard.opcode == Op.TEXT, heard
        message: dict[str, Any] = json.loads(heard.payload)
        assert {"type": kind, **fields}.items() <= message.items(), message
        return message

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

    async def is_closed_with(self, *codes: int) -> None:
        """The next frame closes the connection with one of these codes, and then it ends."""
        last = await self.next()
        assert last.opcode == Op.CLOSE, last
        assert int.from_bytes(last.payload[:2]) in codes, last
        self.send(frame(Op.CLOSE, last.payload[:2]))
        await self.ends()

    async def ends(self) -> None:
        """The server ends the connection, without another frame."""
        while not self._ended:
            await self._more()
        assert not self._bytes, bytes(self._bytes)

    def stops_reading(self) -> None:
        """From now on nothing is taken from the socket."""
        self.transport.pause_reading()

    def reads_again(self) -> None:
        """Take from the socket what is there."""
        self.transport.resume_reading()

    def cut(self) -> None:
        """End the connection at once."""
        if not self._ended:
            self.transport.abort()

    async def _take(self, count: int) -> bytes:
        while len(self._bytes) < count:
            if self._ended:
                raise EOFError(f"the connection ended after {bytes(self._bytes)!r}")
            await self._more()
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken

    async def _more(self) -> None:
        if self._ended:
            raise EOFError(f"the connection ended after {bytes(self._bytes)!r}")
        self._news.clear()
        async with asyncio.timeout(self._patience):
            await self._news.wait()
