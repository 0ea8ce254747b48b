"""Several workers and their parent, as an operator has them: signalled, killed, renewed and broken."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.redis_server import RedisServer
from tests.reliability.servers import free_port
from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 30.0
# Nobody here has more than one address.
UNLIMITED = ("--connections-per-minute=0", "--rooms-per-minute=0", "--guesses-per-minute=0")


class Crew:
    """``mikroroom serve`` with several workers, and what can be seen of it from outside."""

    def __init__(self, log: Path, *arguments: str, **variables: str) -> None:
        ours = ("MIKROROOM_", "STATE_DIRECTORY", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mikroroom", "serve", "--port=0", "--log-format=json", *arguments],
                env={**environment, "HOME": str(log.parent), **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def listens(self) -> str:
        """Wait until it does. Returns where."""
        await self.tells("listening")
        self.url = str(self.told("listening")[0]["url"])
        self.port = int(self.url.rpartition(":")[2])
        return self.url

    def told(self, event: str = "") -> list[dict[str, Any]]:
        """The lines about this event so far, or all. Whatever is written is a line of ours."""
        whole = self.log.read_text().rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if event in ("", line["event"])]

    async def tells(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until it has told of this event so many times."""
        try:
            await eventually(lambda: len(self.told(event)) >= times or self.process.poll() is not None)
        finally:
            assert len(self.told(event)) >= times, self.log.read_text()
        return self.told(event)

    def workers(self) -> list[int]:
        """The processes of all workers that ever served and still live."""
        return [line["pid"] for line in self.told("worker-started") if is_alive(line["pid"])]

    def asks(self, number: signal.Signals) -> None:
        """Send the parent a signal."""
        self.process.send_signal(number)

    async def ends(self) -> int:
        """Wait until the parent has ended. Returns its exit code."""
        return await asyncio.to_thread(self.process.wait, PATIENCE)

    def end(self) -> None:
        """Whatever state it is in, it is no more."""
        self.process.kill()
        self.process.wait(PATIENCE)
        for pid in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether the process runs: one that nobody has asked for its exit code does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [child for child in found if parent(child) == pid]


def parent(pid: int) -> int:
    """Who has started the process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_python(pid: int) -> bool:
    """Whether the process is so far that it has a handler for Ctrl-C."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False


def served(pid: int, people: list[ClientConnection]) -> list[ClientConnection]:
    """Which of these are connected to that process."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            sockets.add(str(link.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {int(row[2].split(":")[1], 16) for row in rows if f"socket:[{row[9]}]" in sockets}
    return [who for who in people if who.local_address[1] in ports]


async def eventually(happens: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not happens():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def connected(crew: Crew, count: int) -> AsyncIterator[list[ClientConnection]]:
    """So many WebSockets."""
    async with contextlib.AsyncExitStack() as stack:
        options: dict[str, Any] = {"proxy": None, "compression": None, "ping_interval": None}
        options["open_timeout"] = PATIENCE
        url = crew.url.replace("http", "ws", 1) + "/ws"
        yield [await stack.enter_async_context(connect(url, **options)) for _ in range(count)]


async def codes(people: list[ClientConnection]) -> set[int | None]:
    """How their connections are closed."""
    await asyncio.wait_for(asyncio.gather(*(who.wait_closed() for who in people)), PATIENCE)
    return {who.close_code for who in people}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


Start = Callable[..., Awaitable[Crew]]


@pytest.fixture
async def start(tmp_path: Path, redis: RedisServer) -> AsyncIterator[Start]:
    """Starts crews, which listen unless they are told not to. Those that still run are killed at the end."""
    crews: list[Crew] = []

    async def start(*arguments: str, listens: bool = True, **variables: str) -> Crew:
        log = tmp_path / f"crew-{len(crews)}.log"
        crews.append(Crew(log, f"--redis-url={redis.url}", *UNLIMITED, *arguments, **variables))
        if listens:
            await crews[-1].listens()
        return crews[-1]

    yield start
    for crew in crews:
        crew.end()
        assert "traceback" not in crew.log.read_text().lower()


# Starting


async def test_workers_serve_on_one_port_and_their_parent_says_so_once(start: Start) -> None:
    crew = await start("--workers=3")
    assert [line["workers"] for line in crew.told("listening")] == [3]
    workers = crew.workers()
    assert len(set(workers)) == 3
    assert crew.process.pid not in workers
    assert await is_answered(crew.url)
    async with connected(crew, 6):
        crew.asks(signal.SIGTERM)
        assert await crew.ends() == 0
    # Of each line it can be told who wrote it, and nobody writes but us.
    assert {line.get("worker") for line in crew.told("stopped")} == {*workers, None}
    assert all(line["logger"].startswith("mikroroom.") for line in crew.told())


async def test_one_worker_is_the_server_itself(tmp_path: Path) -> None:
    crew = Crew(tmp_path / "log", "--workers=1", f"--data-dir={tmp_path}")
    try:
        await crew.listens()
        assert "workers" not in crew.told("listening")[0]
        assert children(crew.process.pid) == []
        crew.asks(signal.SIGTERM)
        assert await crew.ends() == 0
        assert crew.told("worker-started") == []
    finally:
        crew.end()


async def test_what_keeps_one_worker_from_starting_keeps_all_and_is_told_once(start: Start) -> None:
    crew = await start("--workers=3", f"--tls-certificate={__file__}", f"--tls-key={__file__}", listens=False)
    assert await crew.ends() == 1
    assert [line["event"] for line in crew.told()] == ["cannot use the certificate", "worker-failed"]


async def test_a_port_in_use_is_told_by_the_parent_alone(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        crew = await start("--workers=2", f"--port={taken.getsockname()[1]}", listens=False)
        assert await crew.ends() == 1
    assert [line["event"] for line in crew.told()] == ["cannot listen"]


async def test_a_stop_of_all_before_anything_serves_is_a_stop(start: Start) -> None:
    crew = await start("--workers=2", listens=False)
    # The first worker is on its way then: Python would raise KeyboardInterrupt wherever it is.
    await eventually(lambda: any(map(is_python, children(crew.process.pid))))
    for pid in (*children(crew.process.pid), crew.process.pid):
        os.kill(pid, signal.SIGINT)
    assert await crew.ends() == 0
    assert {line["event"] for line in crew.told()} <= {"stopping", "stopped"}


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_tells_everyone_and_leaves_nobody_behind(start: Start, number: signal.Signals) -> None:
    crew = await start("--workers=2")
    workers = crew.workers()
    async with connected(crew, 8) as people:
        crew.asks(number)
        assert await codes(people) == {1012}
        assert await crew.ends() == 0
    assert not any(map(is_alive, workers))
    assert crew.told("worker-died") == crew.told("worker-killed") == []


async def test_a_stop_of_the_whole_group_is_the_same_stop(start: Start) -> None:
    """As by Ctrl-C in a terminal, or by systemd: everyone is told at once."""
    crew = await start("--workers=2")
    for pid in (*crew.workers(), crew.process.pid):
        os.kill(pid, signal.SIGINT)
    assert await crew.ends() == 0
    assert len(crew.told("stopped")) == 3
    assert len(crew.told("worker-started")) == 2


async def test_a_worker_that_does_not_stop_is_killed_in_the_end(start: Start) -> None:
    crew = await start("--workers=2", "--shutdown-timeout=0")
    stuck, other = crew.workers()
    os.kill(stuck, signal.SIGSTOP)
    crew.asks(signal.SIGTERM)
    assert await crew.ends() == 0
    assert [line["pid"] for line in crew.told("worker-killed")] == [stuck]
    assert not is_alive(stuck)
    assert not is_alive(other)


async def test_a_second_interrupt_ends_all_at_once(start: Start) -> None:
    crew = await start("--workers=2", "--shutdown-timeout=3600")
    stuck, _ = crew.workers()
    os.kill(stuck, signal.SIGSTOP)
    crew.asks(signal.SIGINT)
    await crew.tells("stopping")
    crew.asks(signal.SIGINT)
    assert await crew.ends() == 0
    assert not is_alive(stuck)


# Dying


async def test_a_worker_that_dies_is_started_again_and_the_others_go_on(start: Start) -> None:
    crew = await start("--workers=2")
    victim, other = crew.workers()
    async with connected(crew, 12) as people:
        lost = served(victim, people)
        assert len(lost) + len(served(other, people)) == 12
        os.kill(victim, signal.SIGKILL)
        (death,) = await crew.tells("worker-died")
        assert (death["pid"], death["code"], death["level"]) == (victim, -signal.SIGKILL, "error")
        await crew.tells("worker-started", 3)
        await eventually(lambda: all(who.close_code is not None for who in lost))
        for who in people:
            if who not in lost:
                await asyncio.wait_for(await who.ping(), PATIENCE)
        assert await is_answered(crew.url)
    assert other in crew.workers()
    assert len(crew.workers()) == 2


async def test_a_worker_whose_loop_hangs_is_killed_and_replaced(start: Start) -> None:
    crew = await start("--workers=2", "--hang-timeout=6")
    stuck, other = crew.workers()
    os.kill(stuck, signal.SIGSTOP)
    (told,) = await crew.tells("worker-hung")
    assert (told["pid"], told["level"]) == (stuck, "error")
    assert told["seconds"] >= 6
    assert [line["pid"] for line in await crew.tells("worker-died")] == [stuck]
    await crew.tells("worker-started", 3)
    assert other in crew.workers()
    assert await is_answered(crew.url)


async def test_nobody_hangs_where_all_stood_still(start: Start) -> None:
    """A machine that was suspended, say. What a parent did not hear while it slept is no silence."""
    crew = await start("--workers=2", "--hang-timeout=6")
    workers = crew.workers()
    everyone = (crew.process.pid, *workers)
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(7)
    for pid in everyone:  # the parent first: it has to wait for the others
        os.kill(pid, signal.SIGCONT)
    await asyncio.sleep(1.5)  # that it looks again
    assert crew.told("worker-hung") == []
    assert crew.workers() == workers


async def test_workers_of_a_parent_that_does_not_listen_go_on(start: Start) -> None:
    crew = await start("--workers=2", "--hang-timeout=0")
    crew.asks(signal.SIGSTOP)
    assert await is_answered(crew.url)
    crew.asks(signal.SIGCONT)
    assert crew.told("worker-hung") == []


async def test_workers_of_a_parent_that_was_killed_stop_in_good_order(start: Start) -> None:
    crew = await start("--workers=2")
    workers = crew.workers()
    async with connected(crew, 8) as people:
        crew.asks(signal.SIGKILL)
        assert await codes(people) == {1012}
    await eventually(lambda: not any(map(is_alive, workers)))
    assert {line["worker"] for line in crew.told("the parent is gone")} == set(workers)
    assert len(crew.told("stopped")) == 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", crew.port), PATIENCE).close()


# Being renewed


async def test_workers_are_replaced_one_by_one_and_each_when_another_serves(start: Start) -> None:
    crew = await start("--workers=2")
    old = crew.workers()
    os.kill(old[0], signal.SIGHUP)  # it is not for the workers: all get it when a terminal closes
    async with connected(crew, 8) as people:
        crew.asks(signal.SIGHUP)
        asked = 0
        while len(crew.told("stopped")) < 2:
            assert await is_answered(crew.url)
            asked += 1
        assert asked > 2
        assert await codes(people) == {1012}
    assert [line["pid"] for line in await crew.tells("worker-replaced", 2)] == old
    async with asyncio.timeout(PATIENCE):
        # Who has said that it stopped may take a moment to be gone.
        while crew.workers() != [line["by"] for line in crew.told("worker-replaced")]:
            await asyncio.sleep(0.02)
    assert crew.told("worker-died") == []
    happened = [line["event"] for line in crew.told() if line["event"] in ("worker-started", "stopped")]
    assert happened == ["worker-started"] * 3 + ["stopped", "worker-started", "stopped"]


async def is_answered(url: str) -> bool:
    """Whether a new connection is served. Whom it came to may have been stopping: then it is the next one."""
    for _ in range(2):
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                return (await client.get(url + "/health")).status_code == 200
    return False


Certify = Callable[..., tuple[str, str]]


@pytest.fixture
def certify(tmp_path: Path) -> Certify:
    """Writes a new certificate and its key in place of the last ones, or something that is no certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("openssl is not installed")
    files = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")

    def certify(*, is_good: bool = True) -> tuple[str, str]:
        if not is_good:
            Path(files[0]).write_text("none")
            return files
        command = [str(openssl), "req", "-x509", *kind, *names, "-out", files[0], "-keyout", files[1]]
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
        return files

    return certify


async def shown(crew: Crew) -> str:
    """The certificate that is shown to whoever comes now."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", crew.port))


async def test_replacements_have_the_new_certificate_and_with_a_bad_one_the_old_workers_stay(
    start: Start, certify: Certify
) -> None:
    certificate, key = certify()
    crew = await start("--workers=2", f"--tls-certificate={certificate}", f"--tls-key={key}")
    first, old = await shown(crew), crew.workers()
    certify(is_good=False)

    crew.asks(signal.SIGHUP)
    (kept,) = await crew.tells("worker-kept")
    assert kept["pid"] == old[0]
    assert len(crew.told("worker-failed")) == 1, "nor is it tried with the others"
    assert (crew.workers(), await shown(crew)) == (old, first)

    certify()
    crew.asks(signal.SIGHUP)
    await crew.tells("worker-replaced", 2)
    await crew.tells("stopped", 2)
    assert await shown(crew) != first


async def test_a_worker_that_dies_again_and_again_is_started_after_growing_pauses(
    start: Start, certify: Certify
) -> None:
    certificate, key = certify()
    crew = await start("--workers=2", f"--tls-certificate={certificate}", f"--tls-key={key}")
    certify(is_good=False)
    os.kill(crew.workers()[0], signal.SIGKILL)
    await crew.tells("worker-failed", 2)
    times = [seconds(line) for line in (*crew.told("worker-died"), *crew.told("worker-failed"))]
    assert times[1] - times[0] > 0.5
    assert times[2] - times[1] > 1.0

    certify()
    await crew.tells("worker-started", 3)
    assert len(crew.workers()) == 2


def seconds(line: dict[str, Any]) -> float:
    """When that was written."""
    return datetime.fromisoformat(line["time"]).timestamp()


# What they accept

# Read by each Python that is started with it: tells by signal of the process's connections.
SPY = """
import json, os, signal, socket, sys

if os.environ["SPY_LOOP"] == "asyncio":
    sys.modules["uvloop"] = None


def tell(*_):
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            plug = socket.socket(fileno=int(name))
        except OSError:
            continue
        try:
            options = [plug.getsockopt(socket.IPPROTO_TCP, number) for number in (
                socket.TCP_NODELAY, socket.TCP_USER_TIMEOUT)]
            found.append([plug.getpeername()[1], bool(sys.modules.get("uvloop")), *options])
        except OSError:
            pass
        finally:
            plug.detach()
    part = f"{os.environ['SPY_FOLDER']}/{os.getpid()}"
    with open(part, "w") as file:
        json.dump(found, file)
    os.rename(part, part + ".json")


signal.signal(signal.SIGUSR1, tell)
"""


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_connections_that_workers_accept_do_not_delay_and_give_up_on_who_does_not_read(
    start: Start, tmp_path: Path, loop: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SPY)
    variables = {"PYTHONPATH": str(tmp_path), "SPY_LOOP": loop, "SPY_FOLDER": str(tmp_path)}
    crew = await start("--workers=2", "--ping-interval=2.5", "--ping-timeout=1", **variables)
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", crew.port)
        clients = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(8)]
        ours = {client.getsockname()[1] for client in clients}
        for client in clients:  # whoever is answered has been accepted
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(4_096).startswith(b"HTTP/1.1 200 ")
        found = []
        for pid in crew.workers():
            os.kill(pid, signal.SIGUSR1)
            await eventually((tmp_path / f"{pid}.json").exists)
            found += json.loads((tmp_path / f"{pid}.json").read_text())
    seen = {port: rest for port, *rest in found if port in ours}
    assert list(seen.values()) == [[loop == "uvloop", 1, 3500]] * 8


# Metrics


async def scrape(url: str) -> dict[str, float]:
    """Every sample, by its name and labels as they are written."""
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(url, timeout=PATIENCE)
    assert response.status_code == 200, response.text
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    samples = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
    assert len(samples) == len(lines)
    return samples


async def test_metrics_of_all_workers_are_told_by_any_on_a_port_of_their_own(start: Start) -> None:
    port = free_port()
    crew = await start("--workers=2", f"--metrics-port={port}")
    url = f"http://127.0.0.1:{port}/metrics"
    assert [line["url"] for line in await crew.tells("listening", 2)] == [crew.url, url]
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        assert (await client.get(f"{crew.url}/metrics")).status_code == 404
        assert (await client.get(f"http://127.0.0.1:{port}/health")).status_code == 404

    async def counts(*names: int) -> list[float]:
        samples = await scrape(url)
        # A worker that is too slow to answer is not among them.
        return [samples.get(f'mikroroom_connections{{worker="{name}"}}', 0.0) for name in names]

    async with connected(crew, 12):
        first, second = crew.workers()
        async with asyncio.timeout(PATIENCE):  # until none of the answers is from before
            while sum(await counts(first, second)) != 12:
                await asyncio.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    await crew.tells("worker-started", 3)
    (third,) = set(crew.workers()) - {second}
    async with asyncio.timeout(PATIENCE):
        while True:
            samples = await scrape(url)
            answers = [
                samples.get(f'mikroroom_worker_answers{{worker="{name}"}}') for name in (second, third)
            ]
            if answers == [1, 1]:
                break
            await asyncio.sleep(0.1)
    assert f'mikroroom_worker_answers{{worker="{first}"}}' not in samples
    assert samples[f'mikroroom_ready{{worker="{second}"}}'] == 1
