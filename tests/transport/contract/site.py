"""uvicorn with one of the protocols, in the test's own event loop and without its pauses."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

from .acting import App, Call
from .wire import PATIENCE, Wire

PROTOCOLS = {
    "stock": "websockets-sansio",
    "guard": "mikroroom.transport.guard:GuardedProtocol",
    "picows": "mikroroom.transport.picows:PicowsProtocol",
}


class Site:
    """A server and who is connected to it. At its end nobody may be left.

    ``listening``: on a port of its own choice (``port``), a socket made elsewhere (``socket``), a descriptor
    of one (``fd``), or a UNIX socket (``uds``). Options are uvicorn's.
    """

    def __init__(
        self, protocol: str, app: ASGIApp | None, folder: Path, listening: str, **options: Any
    ) -> None:
        self.app = App()
        self.listening = listening
        self.mishaps: list[dict[str, Any]] = []
        self._plug = _plug(listening)
        self._path = folder / "socket"
        self._wires: list[Wire] = []
        self._calls: list[Call] = []
        usual = {
            "host": "127.0.0.1",
            "port": 0,
            "log_config": None,
            "ws_ping_interval": None,
            "lifespan": "on",
        }
        usual |= {"fd": self._plug.fileno()} if self._plug and listening == "fd" else {}
        usual |= {"uds": str(self._path)} if listening == "uds" else {}
        self.config = uvicorn.Config(app or self.app, **{**usual, "ws": PROTOCOLS[protocol], **options})
        self.server = uvicorn.Server(self.config)
        self.tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().set_exception_handler(lambda _, mishap: self.mishaps.append(mishap))
        self.config.load()
        self.server.lifespan = self.config.lifespan_class(self.config)
        await self.server.startup([self._plug] if self._plug and self.listening == "socket" else None)
        await self.server.on_tick(0)
        if self.config.ssl_certfile:
            self.tls = ssl.create_default_context(cafile=str(self.config.ssl_certfile))
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in self._wires:
            wire.resets()
        while not self.app.calls.empty():
            self._calls.append(self.app.calls.get_nowait())
        for call in self._calls:
            call.returns()
        for listener in self.server.servers:
            listener.close()
        try:
            await self.is_left()
        finally:
            for connection in self.connections:
                connection.transport.abort()
            await self.server.lifespan.shutdown()
            if self._plug:
                self._plug.close()
        assert not self.mishaps, self.mishaps

    async def is_left(self) -> None:
        """Nobody is connected, and no app runs."""
        await turns()
        async with asyncio.timeout(PATIENCE):
            while self.connections or self.server.server_state.tasks:
                await asyncio.sleep(0.001)

    def forgets(self) -> None:
        """Keep nothing of the clients that have been here."""
        self._wires.clear()
        self._calls.clear()

    @property
    def connections(self) -> set[Any]:
        """The protocols that uvicorn holds."""
        return self.server.server_state.connections

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.server.servers[0].sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The same for other clients."""
        return f"{'wss' if self.tls else 'ws'}://localhost:{self.port}"

    async def wire(self, receive_buffer: int | None = None) -> Wire:
        """A connection on which nothing is said yet. A small ``receive_buffer`` is full soon."""
        loop = asyncio.get_running_loop()
        if self.listening == "uds":
            _, wire = await loop.create_unix_connection(Wire, str(self._path))
        else:
            plug = socket.socket()
            plug.setblocking(False)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_buffer:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await loop.sock_connect(plug, ("127.0.0.1", self.port))
            name = "localhost" if self.tls else None
            _, wire = await loop.create_connection(Wire, sock=plug, ssl=self.tls, server_hostname=name)
        self._wires.append(wire)
        return wire

    async def call(self) -> Call:
        """The next connection that reaches the app."""
        async with asyncio.timeout(PATIENCE):
            call = await self.app.calls.get()
        self._calls.append(call)
        return call

    async def asked(self, path: str = "/", *headers: bytes) -> tuple[Wire, Call]:
        """A client whose handshake has reached the app, which has not answered."""
        wire = await self.wire()
        wire.asks(path, *headers)
        return wire, await self.call()

    async def opened(self, receive_buffer: int | None = None) -> tuple[Wire, Call]:
        """A client with whom the app has an open WebSocket."""
        wire = await self.wire(receive_buffer)
        wire.asks()
        call = await (await self.call()).accepts()
        assert (await wire.answer()).status == 101
        return wire, call


async def turns(count: int = 20) -> None:
    """Let the loop go round: what was sent over loopback is read within a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)


async def stands_still(measure: Callable[[], int]) -> int:
    """Wait until it does not change any more."""
    last, since = measure(), 0
    async with asyncio.timeout(PATIENCE):
        while since < 30:
            await asyncio.sleep(0.001)
            since = since + 1 if measure() == last else 0
            last = measure()
    return last


async def choked(call: Call) -> asyncio.Task[None]:
    """An app that sends until its client, who does not read, can take no more: the task that waits there."""
    sent = 0

    async def sends() -> None:
        nonlocal sent
        while True:
            await call.sends(b"x" * 65_536)
            sent += 1

    sending = asyncio.create_task(sends())
    await stands_still(lambda: sent)
    return sending


def _plug(listening: str) -> socket.socket | None:
    """The listening socket as uvicorn makes it for its workers: one that is not told that it speaks TCP."""
    if listening not in {"socket", "fd"}:
        return None
    plug = socket.socket()
    with contextlib.suppress(OSError):
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    plug.bind(("127.0.0.1", 0))
    plug.setblocking(False)
    return plug
