"""Started as systemd starts a service, by its own tool for that, without being root."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.deploy.conftest import free_port
from tests.redis_server import RedisServer

from mikroroom.client import Client
from mikroroom.protocol import events

PATIENCE = 20.0
TOOL = shutil.which("systemd-socket-activate")
COMMAND = Path(sys.executable).with_name("mikroroom")


class Started:
    """A server that was given its sockets, and a place to tell how it goes."""

    def __init__(self, folder: Path, sockets: list[str], *arguments: str, names: str = "") -> None:
        if TOOL is None:
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing("systemd-socket-activate is not installed")
        self._log = folder / "log"
        self.news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.news.settimeout(PATIENCE)
        self.news.bind(str(folder / "notify"))
        listen = [f"--listen={one}" for one in sockets] + ([f"--fdname={names}"] if names else [])
        told = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "500000", "HOME": str(folder)}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    str(TOOL),
                    *listen,
                    *(f"--setenv={k}={v}" for k, v in told.items()),
                    str(COMMAND),
                    "serve",
                    *arguments,
                ],
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        eventually(lambda: self.said().count("Listening on") == len(sockets))

    def said(self) -> str:
        """All that it has written."""
        return self._log.read_text()

    def hears(self) -> list[str]:
        """The next news of it."""
        return self.news.recv(4096).decode().split("\n")

    def hears_of(self, what: str) -> list[str]:
        """The next news of this kind, whatever comes before."""
        while not (news := self.hears())[-1].startswith(what):
            pass
        return news

    def stops(self) -> int:
        """Have it stop. Returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """Whatever state it is in, it is no more."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self.news.close()


def eventually(happens: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stands_still(pid: int) -> bool:
    """Whether the process was stopped, and has not gone on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts one, which is killed at the end if it still runs."""
    started: list[Started] = []

    def start(sockets: list[str], *arguments: str, names: str = "") -> Started:
        started.append(Started(tmp_path, sockets, *arguments, names=names))
        return started[-1]

    yield start
    for one in started:
        one.end()
        assert "Traceback" not in one.said()


Start = Callable[..., Started]


def test_what_is_no_listening_socket_is_told(tmp_path: Path) -> None:
    command = f'LISTEN_FDS=1 LISTEN_PID=$$ exec "{COMMAND}" serve --data-dir="{tmp_path}" 3</dev/null'
    ended = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "ERROR cannot listen" in ended.stderr


async def test_a_meeting_is_held_on_sockets_that_were_given(start: Start, tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "service.sock"
    server = start([f"127.0.0.1:{port}", str(path)], f"--data-dir={tmp_path}")
    # Before it runs at all somebody connects, and is served.
    async with Client.connect(f"ws://127.0.0.1:{port}/ws") as ada:
        await ada.join("ABC234", "Ada", is_host=True)
        async with Client.connect("ws://localhost/ws", unix=True, path=str(path)) as bob:
            await bob.join("ABC234", "Bob")
            assert isinstance(await ada.receive(), events.ParticipantJoined)
            await asyncio.to_thread(server.hears_of, "STATUS=participants: 2, rooms: 1")
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/health")).json()["totalParticipants"] == 1
        said = re.findall(r"listening url=(\S+)", server.said())
        assert said == [f"http://127.0.0.1:{port}", f"unix:{path}"]
    assert await asyncio.to_thread(server.stops) == 0
    assert path.exists(), "a socket of somebody else's is not for us to remove"


def test_a_server_tells_when_it_serves_how_it_goes_and_that_it_stops(start: Start, tmp_path: Path) -> None:
    port = free_port()
    server = start([f"127.0.0.1:{port}"], f"--data-dir={tmp_path}")
    with socket.create_connection(("127.0.0.1", port), PATIENCE):
        assert server.hears() == ["READY=1"]
        assert "listening" in server.said()
        alive = ["WATCHDOG=1", "STATUS=participants: 0, rooms: 0"]
        assert [server.hears() for _ in range(3)] == [alive] * 3
        # A loop that hangs tells nothing, which is what a watchdog wants to know.
        server.process.send_signal(signal.SIGSTOP)
        eventually(lambda: stands_still(server.process.pid))
        server.news.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:  # what was under way
                assert server.hears() == alive
        server.news.settimeout(0.6)
        with pytest.raises(TimeoutError):
            server.hears()
        server.news.settimeout(PATIENCE)
        server.process.send_signal(signal.SIGCONT)
        assert server.hears() == alive
    assert server.stops() == 0
    assert server.hears_of("STOPPING=1") == ["STOPPING=1"]


def test_several_workers_share_what_was_given_and_their_parent_tells(start: Start) -> None:
    with RedisServer() as redis:
        port = free_port()
        server = start([f"127.0.0.1:{port}"], f"--redis-url={redis.url}", "--workers=2")
        with socket.create_connection(("127.0.0.1", port), PATIENCE):
            assert server.hears() == ["READY=1"]
            workers = re.findall(r"worker-started pid=(\d+)", server.said())
            assert len(workers) == 2, "all serve by then"
            assert server.hears() == ["WATCHDOG=1", "STATUS=workers: 2 of 2"]
            assert f"listening url=http://127.0.0.1:{port} workers=2" in server.said()
        for worker in workers:
            environment = Path(f"/proc/{worker}/environ").read_text()
            assert not re.search("NOTIFY_SOCKET|WATCHDOG_|LISTEN_", environment)
        assert server.stops() == 0
        assert server.hears_of("STOPPING=1") == ["STOPPING=1"]


def test_a_socket_for_metrics_is_not_one_of_the_service(start: Start, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    listen = [f"127.0.0.1:{port}" for port in ports]
    server = start(listen, f"--data-dir={tmp_path}", names="metrics:http")
    with socket.create_connection(("127.0.0.1", ports[1]), PATIENCE):
        assert server.hears() == ["READY=1"]
        assert re.findall(r"listening url=(\S+)", server.said()) == [
            f"http://{listen[1]}",
            f"http://{listen[0]}/metrics",
        ]


def test_metrics_that_are_off_are_told_on_no_socket(start: Start, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    server = start(
        [f"127.0.0.1:{port}" for port in ports],
        f"--data-dir={tmp_path}",
        "--metrics=off",
        names="metrics:http",
    )
    with socket.create_connection(("127.0.0.1", ports[1]), PATIENCE):
        assert server.hears() == ["READY=1"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), PATIENCE)
