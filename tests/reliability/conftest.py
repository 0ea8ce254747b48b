"""What every test here uses: servers that are ended with it, whatever happens."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from .servers import SERVE, Server
from .wires import Wire

Serving = Callable[..., Server]
Wiring = Callable[..., Awaitable[Wire]]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Makes servers with one data directory, to be started by the test. None may have failed inside."""
    servers: list[Server] = []

    def make(way: Sequence[str] = SERVE, **settings: object) -> Server:
        servers.append(Server(tmp_path, way, **settings))
        return servers[-1]

    yield make
    for server in servers:
        server.close()
        for run in server.runs:
            assert run.said("Traceback") == []


@pytest.fixture
def wiring() -> Iterator[Wiring]:
    """Connects bare sockets, which are closed with the test."""
    wires: list[Wire] = []

    async def make(server: Server, **options: int) -> Wire:
        wires.append(Wire(server, **options))
        return await wires[-1].connects()

    yield make
    for wire in wires:
        wire.close()
