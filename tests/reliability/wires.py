"""A client on a bare socket, which can misbehave: read nothing, answer nothing, hang on to a connection."""

import asyncio
import json
import socket
import struct

from .people import Message
from .servers import PATIENCE, Server

HANDSHAKE = (
    "GET {}/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Wire:
    """A bare socket to a server. It reads only when asked to, and answers neither ping nor close frame."""

    def __init__(self, server: Server, *, receive_buffer: int = 0) -> None:
        self._path = server.path
        self._port = server.port
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)

    async def connects(self) -> "Wire":
        """Connect, and say nothing yet."""
        await asyncio.get_running_loop().sock_connect(self.socket, ("127.0.0.1", self._port))
        return self

    async def asks(self, request: str) -> str:
        """Send an HTTP request without a body: the head of the answer. ``OSError`` if there is none."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, request.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += await self._reads(1)
        return head.decode()

    async def gets(self, path: str) -> int:
        """The status of a GET. The connection is kept, and what the body is drops out of sight."""
        head = await self.asks(f"GET {self._path}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length"))
        for _ in range(int(length.split(":")[1])):
            await self._reads(1)
        return int(head.split()[1])

    async def upgrades(self) -> int:
        """Shake hands: the status of the answer."""
        head = await self.asks(HANDSHAKE.format(self._path))
        return int(head.split()[1])

    async def says(self, kind: str, /, **fields: object) -> None:
        """Send a message, as a masked text frame (RFC 6455, 5.2); a mask of zeros masks nothing."""
        text = json.dumps({"type": kind, **fields}).encode()
        assert len(text) < 65_536
        short, long = (len(text), b"") if len(text) < 126 else (126, struct.pack("!H", len(text)))
        head = bytes([0x81, 0x80 | short]) + long
        await asyncio.get_running_loop().sock_sendall(self.socket, head + bytes(4) + text)

    async def hears(self) -> Message:
        """The next message, which must be a text frame."""
        first, length = await self._reads(2)
        assert first == 0x81
        if length >= 126:
            length = int.from_bytes(await self._reads(2 if length == 126 else 8))
        message: Message = json.loads(await self._reads(length))
        return message

    async def joins(self, code: str, name: str, **fields: object) -> Message:
        """Shake hands and join: what the server says first."""
        assert await self.upgrades() == 101
        await self.says("join", roomId=code, name=name, **fields)
        return await self.hears()

    def close(self) -> None:
        """Be gone."""
        self.socket.close()

    async def _reads(self, count: int) -> bytes:
        data = b""
        async with asyncio.timeout(PATIENCE):
            while len(data) < count:
                piece = await asyncio.get_running_loop().sock_recv(self.socket, count - len(data))
                if not piece:
                    raise ConnectionResetError("the server closed the connection")
                data += piece
        return data
