"""A network between people and a server that can be cut: half-open, or with a reset."""

import asyncio
import contextlib
import socket
from typing import Self

from .people import Person
from .servers import Server


class Network:
    """A TCP proxy before a server. What ``freezes`` forwards nothing more, and says nothing of it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._links: list[_Link] = []
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()
        for link in self._links:
            link.breaks()

    def carries(self, person: Person) -> None:
        """From now on this person connects through here."""
        person.url = person.url.replace(f":{self._server.port}/", f":{self.port}/")

    def freezes(self) -> None:
        """Every connection that is open is dead, and neither end knows."""
        for link in self._links:
            link.freezes()

    def breaks(self) -> None:
        """Every connection that is open is reset, towards both ends."""
        for link in self._links:
            link.breaks()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._server.port)
        self._links.append(_Link((reader, writer), there))


Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection through the proxy."""

    def __init__(self, here: Way, there: Way) -> None:
        self._writers = (here[1], there[1])
        self._pumps = [
            asyncio.create_task(self._pump(here[0], there[1])),
            asyncio.create_task(self._pump(there[0], here[1])),
        ]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    def freezes(self) -> None:
        for pump in self._pumps:
            pump.cancel()

    def breaks(self) -> None:
        self.freezes()
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            if connection is not None and connection.fileno() >= 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            writer.transport.abort()
