"""What changes behind nginx, or in it, while meetings go on."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from tests.cluster.cluster import Cluster
from tests.reliability.servers import Server

from mikroroom.client import Resumed, Suspended

from .conftest import Front, Upstream
from .meetings import hears, meeting, talk
from .nginx import PATIENCE, request

HSTS = 'add_header Strict-Transport-Security "max-age=63072000" always;'


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Come back once it holds."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.02)


async def test_reload_disconnects_nobody_and_lets_new_people_in(upstream: Upstream, front: Front) -> None:
    nginx = front(await upstream())
    async with meeting(nginx, resume=False) as (ada, bob):
        nginx.write({HSTS: 'add_header X-Test "read again" always;'})
        nginx.reload()

        async def is_read() -> bool:
            async with nginx.http() as http:
                return "X-Test" in (await http.get("/health")).headers

        texts = [f"{number}" for number in range(100)]
        reading = asyncio.create_task(until(is_read))
        for text in texts:
            await talk(ada, bob, text)
        await reading
        async with nginx.dial() as cleo:
            await cleo.join("ABC123", "Cleo", resume=False)
            await talk(cleo, ada, "I am new here")
            await talk(ada, cleo, "so is nginx")
        await talk(bob, ada, "and we are not")

    async def is_told() -> bool:
        return "gracefully shutting down" in nginx.said()

    await until(is_told)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that can be stopped and started, in a process of its own."""
    server = Server(tmp_path)
    with contextlib.closing(server):
        yield server


async def test_restart_of_the_server_loses_nothing(server: Server, front: Front) -> None:
    await server.starts()
    nginx = front(f"127.0.0.1:{server.port}")
    async with meeting(nginx) as (ada, bob):
        await server.stops()
        await hears(ada, Suspended)
        await hears(bob, Suspended)
        await bob.chat("said while nobody was there")
        async with nginx.http() as http:
            page = await http.get("/")
        assert (page.status_code, page.headers["Retry-After"]) == (503, "1")
        assert "text/html" in page.headers["Content-Type"]
        await server.starts()
        assert (await hears(bob, Resumed)).replayed
        assert (await hears(ada, Resumed)).replayed
        await talk(bob, ada, "said afterwards")


async def test_those_who_come_while_a_held_socket_has_no_server_wait_for_it(front: Front) -> None:
    """As where systemd holds the socket: a restart is a pause, and no error."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        nginx = front(f"127.0.0.1:{held.getsockname()[1]}")
        waiting = asyncio.create_task(nginx.asks(request("GET /")))
        knocks = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(held, knocks.set)
        await asyncio.wait_for(knocks.wait(), PATIENCE)
        loop.remove_reader(held)
        async with Answering(held, b"204 No Content"):
            assert (await waiting).startswith(b"HTTP/1.1 204 ")


# Several servers


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Two servers that share a Redis."""
    async with Cluster(tmp_path, servers=2) as cluster:
        yield cluster


async def test_people_of_a_server_that_ends_come_back_by_the_other(cluster: Cluster, front: Front) -> None:
    nginx = front(*(f"127.0.0.1:{worker.port}" for worker in cluster.workers))
    async with meeting(nginx) as (ada, bob):
        # Wherever the two are: each of them is on a server that stops, and on one that is killed.
        for number, is_killed in enumerate([False, False, True, True]):
            server = cluster.workers[number % 2]
            await (server.dies() if is_killed else server.stops())
            await talk(ada, bob, f"still here ({number})")
            await talk(bob, ada, f"so am I ({number})")
            await server.starts()


class Answering:
    """A server that gives everyone one answer, or none if that is empty, and counts who asks."""

    def __init__(self, listener: socket.socket, status: bytes) -> None:
        self.asked = 0
        self._listener = listener
        self._status = status

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, sock=self._listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
        if self._status:
            writer.write(b"HTTP/1.1 %s\r\nConnection: close\r\n\r\n" % self._status)
        writer.close()


@pytest.mark.parametrize(
    ("first", "method", "status", "asked"),
    [
        ("gone", "GET", 204, (0, 1)),
        ("gone", "POST", 204, (0, 1)),
        ("stopping", "GET", 204, (1, 1)),
        ("stopping", "POST", 503, (1, 0)),
        ("crashing", "GET", 204, (1, 1)),
        ("crashing", "POST", 503, (1, 0)),
    ],
)
async def test_what_could_be_done_twice_is_asked_of_no_second_server(
    front: Front, first: str, method: str, status: int, asked: tuple[int, int]
) -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    nginx = front(*(f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners))
    answer = {"stopping": b"503 Service Unavailable", "crashing": b"", "gone": b""}[first]
    async with Answering(listeners[0], answer) as one, Answering(listeners[1], b"204 No Content") as other:
        if first == "gone":
            one._server.close()
        said = await nginx.asks(request(f"{method} /api/rooms", "Content-Length: 2", body=b"{}"))
        assert said.startswith(f"HTTP/1.1 {status} ".encode())
        assert (one.asked, other.asked) == asked
