"""The server as a process among others: stopped, killed, flooded and left without a word."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PATIENCE = 20.0
CODE = "ABC234"

# Nobody here has more than one address.
UNLIMITED = ("--connections-per-minute=0", "--rooms-per-minute=0", "--guesses-per-minute=0")
# A peer that does not answer is given up after a few seconds: those who do answer may take a moment for it.
WATCHFUL = ("--ping-interval=0.2", "--ping-timeout=2.5")


class Server:
    """``mikroroom serve`` in a process of its own, and what can be seen of it from outside."""

    def __init__(self, log: Path, *arguments: str) -> None:
        ours = ("MIKROROOM_", "STATE_DIRECTORY", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment["HOME"] = str(log.parent)
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mikroroom", "serve", "--port=0", *UNLIMITED, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self.url = self._listening()
        except AssertionError:
            self.end()
            raise
        self.port = int(self.url.rpartition(":")[2])

    def _listening(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"listening url=(\S+)", self.said()):
                return found[1]
            time.sleep(0.02)
        raise AssertionError(f"did not come up: {self.said()}")

    def said(self) -> str:
        """All that it has written."""
        return self.log.read_text()

    async def stops(self, number: signal.Signals, patience: float = PATIENCE) -> int:
        """Send it a signal: its exit code. Raises ``TimeoutExpired`` if it takes too long."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, patience)

    def end(self) -> None:
        """Whatever state it is in, it is no more."""
        self.process.kill()
        self.process.wait(PATIENCE)

    async def health(self) -> dict[str, Any]:
        """What it says of itself, over a connection that is gone again afterwards."""
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            health: dict[str, Any] = (await client.get(self.url + "/health")).json()
        return health

    async def participants(self) -> int:
        """How many are in a room."""
        count: int = (await self.health())["totalParticipants"]
        return count

    def files(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def memory(self) -> int:
        """The bytes of memory that it holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers, all with the same data directory. Those that still run are killed at the end."""
    servers: list[Server] = []

    def start(*arguments: str) -> Server:
        log = tmp_path / f"server-{len(servers)}.log"
        servers.append(Server(log, f"--data-dir={tmp_path / 'data'}", *arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.end()
        assert "Traceback" not in server.said()


class Person:
    """Someone in a meeting."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.id = ""

    async def joins(self, code: str = CODE, name: str = "Ada", **fields: object) -> dict[str, Any]:
        """Join, and hear what comes of it."""
        await self.says("join", roomId=code, name=name, **fields)
        answer = await self.hears()
        self.id = answer["participantId"]
        return answer

    async def says(self, kind: str, /, **fields: object) -> None:
        """Send a message."""
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def hears(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def hears_of(self, kind: str) -> dict[str, Any]:
        """The next message of this type, whatever comes before it."""
        while (message := await self.hears())["type"] != kind:
            pass
        return message

    async def is_closed(self) -> int | None:
        """The code with which the connection is closed, whatever comes before that."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.hears()
        return self.connection.close_code


@contextlib.asynccontextmanager
async def person(server: Server, **options: Any) -> AsyncIterator[Person]:
    """Someone connects."""
    url = server.url.replace("http", "ws", 1) + "/ws"
    chosen: dict[str, Any] = {"compression": None, "proxy": None, "ping_interval": None, **options}
    # Whoever goes without having listened to all is not to be held up by that.
    async with connect(url, max_queue=None, open_timeout=PATIENCE, **chosen) as connection:
        yield Person(connection)


async def eventually(happens: Callable[[], Awaitable[bool] | bool]) -> None:
    """Ask again and again until it is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = happens()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.03)


async def is_quiet(server: Server) -> bool:
    """Whether nobody is in any room."""
    health = await server.health()
    return (health["totalRooms"], health["totalParticipants"]) == (0, 0)


# A client of our own making, which can misbehave


class Wire:
    """A bare socket that has become a WebSocket. It answers no ping, and reads only when asked to."""

    def __init__(self, server: Server, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", server.port))

    def upgrades(self) -> str:
        """Shake hands. Returns the head of the answer."""
        self.socket.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        return head.decode()

    def says(self, kind: str, /, **fields: object) -> None:
        """Send a message, as a masked text frame (RFC 6455, 5.2); a mask of zeros masks nothing."""
        text = json.dumps({"type": kind, **fields}).encode()
        assert len(text) < 126
        self.socket.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)

    def resets(self) -> None:
        """Go with a reset, as when the process is killed with something unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@pytest.fixture
def wires() -> Iterator[Callable[..., Wire]]:
    """Bare sockets, closed at the end."""
    made = []

    def make(server: Server, **options: int) -> Wire:
        made.append(Wire(server, **options))
        return made[-1]

    yield make
    for wire in made:
        wire.socket.close()


Wires = Callable[..., Wire]

# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_tells_everyone_and_is_a_success(start: Start, number: signal.Signals) -> None:
    server = start("--shutdown-timeout=3600")
    async with contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(person(server)) for _ in range(5)]
        for who in people[:4]:
            await who.joins(isHost=True)
        stopping = asyncio.create_task(server.stops(number))
        assert [await who.is_closed() for who in people] == [1012] * 5
        code = await stopping
    assert code == 0, "and no time is waited for"
    assert "stopping" in server.said()


@pytest.mark.parametrize("has_joined", [True, False])
async def test_a_stop_does_not_wait_for_someone_who_does_not_read(
    start: Start, wires: Wires, has_joined: bool
) -> None:
    server = start("--shutdown-timeout=1")
    wire = wires(server, receive_buffer=4_096)
    wire.upgrades()
    async with person(server) as ada:
        await ada.joins(isHost=True)
        if has_joined:
            wire.says("join", roomId=CODE, name="Bob")
            await ada.hears_of("participant-joined")
            for _ in range(20):
                await ada.says("chat", text="x" * 4_000)
                await ada.hears_of("chat")
        # After ten seconds whoever does not read is cut off in any case.
        stopping = asyncio.create_task(server.stops(signal.SIGTERM, patience=9.5))
        assert await ada.is_closed() == 1012
        assert await stopping == 0


async def test_a_stop_while_passwords_are_hashed_is_a_stop(start: Start) -> None:
    server = start("--shutdown-timeout=1")
    async with contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(person(server)) for _ in range(20)]
        for number, who in enumerate(people):
            await who.says("join", roomId=f"ROOM{number:02}", name="Ada", isHost=True, password="x")
        await people[0].hears()
        assert await server.stops(signal.SIGTERM) == 0


async def test_after_a_kill_pre_created_rooms_are_there_with_password_and_token(start: Start) -> None:
    server = start()
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, trust_env=False) as client:
        wish = {"roomId": CODE, "password": "sesame", "maxParticipants": 2}
        created = (await client.post("/api/rooms", json=wish)).json()
    async with person(server) as ada:
        await ada.joins(password="sesame")
        assert await server.stops(signal.SIGKILL) == -signal.SIGKILL

    server = start()
    assert (await server.health())["totalRooms"] == 0
    async with person(server) as ada, person(server) as bob, person(server) as cleo:
        assert (await ada.joins())["code"] == "INVALID_PASSWORD"
        assert (await ada.joins(password="wrong"))["code"] == "INVALID_PASSWORD"
        assert (await ada.joins(password="sesame"))["type"] == "participant-joined"
        token = created["creatorToken"]
        assert (await bob.joins(password="sesame", creatorToken=token))["isHost"]
        assert (await cleo.joins(password="sesame"))["code"] == "ROOM_FULL"


async def test_a_second_server_on_the_directory_says_so_and_serves(start: Start) -> None:
    first, second = start(), start()
    assert "another process uses this directory" not in first.said()
    async with person(second) as ada:
        assert (await ada.joins(isHost=True))["type"] == "participant-joined"
        assert "another process uses this directory" in second.said()
    assert await second.stops(signal.SIGTERM) == 0


# Ways in


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for localhost that nobody has signed, and its key."""
    files = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    certify(files)
    return files


def certify(files: tuple[str, str]) -> str:
    """Make such a certificate. Returns it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("openssl is not installed")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subprocess.run(
        [openssl, "req", "-x509", *kind, *names, "-out", files[0], "-keyout", files[1]],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    return Path(files[0]).read_text()


async def test_a_meeting_is_held_over_tls(start: Start, certificate: tuple[str, str]) -> None:
    server = start(f"--tls-certificate={certificate[0]}", f"--tls-key={certificate[1]}")
    assert server.url.startswith("https://")
    trusting = ssl.create_default_context(cafile=certificate[0])
    async with person(server, ssl=trusting) as ada, person(server, ssl=trusting) as bob:
        await ada.joins(isHost=True)
        await bob.joins(name="Bob")
        await ada.says("offer", targetId=bob.id, sdp="v=0" + "x" * 100_000)
        assert len((await bob.hears_of("offer"))["sdp"]) == 100_003
        async with httpx.AsyncClient(verify=trusting, timeout=PATIENCE, trust_env=False) as client:
            assert (await client.get(server.url + "/health")).json()["totalParticipants"] == 2
        assert await server.stops(signal.SIGTERM) == 0
        assert await ada.is_closed() == 1012


async def test_a_hangup_shows_the_certificate_that_is_there_by_then(
    start: Start, certificate: tuple[str, str]
) -> None:
    server = start(f"--tls-certificate={certificate[0]}", f"--tls-key={certificate[1]}")

    async def is_shown() -> str:
        return (await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", server.port))).strip()

    first = await is_shown()
    trusting = ssl.create_default_context(cafile=certificate[0])
    async with person(server, ssl=trusting) as ada:
        await ada.joins(isHost=True)
        second = certify(certificate)
        server.process.send_signal(signal.SIGHUP)
        await eventually(lambda: "certificate-renewed" in server.said())
        assert await is_shown() == second.strip() != first
        # Half of a new pair is none.
        certify((certificate[0], certificate[1] + ".other"))
        server.process.send_signal(signal.SIGHUP)
        await eventually(lambda: "ERROR certificate-kept" in server.said())
        assert await is_shown() == second.strip()
        await ada.says("chat", text="undisturbed")
        assert (await ada.hears_of("chat"))["text"] == "undisturbed"


async def test_a_hangup_is_the_end_of_a_server_in_a_terminal(start: Start) -> None:
    assert await start().stops(signal.SIGHUP) == -signal.SIGHUP


async def test_a_meeting_is_held_over_ipv6(start: Start) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"there is no IPv6 here: {error}")
    server = start("--host=::1")
    assert server.url == f"http://[::1]:{server.port}"
    async with person(server) as ada:
        assert (await ada.joins(isHost=True))["type"] == "participant-joined"
        assert (await server.health())["totalParticipants"] == 1


# Going without a word


async def test_a_client_that_resets_leaves_no_ghost(start: Start, wires: Wires) -> None:
    server = start()
    async with person(server) as ada:
        await ada.joins(isHost=True)
        wire = wires(server)
        assert "101" in wire.upgrades()
        wire.says("join", roomId=CODE, name="Bob")
        bob = await ada.hears_of("participant-joined")
        wire.resets()
        assert (await ada.hears_of("participant-left"))["participantId"] == bob["participantId"]
        assert await server.participants() == 1


async def test_a_client_that_vanishes_is_noticed_by_its_silence(start: Start, wires: Wires) -> None:
    """Nothing comes from it any more, no end and no pong: to the server, a cable that was pulled."""
    server = start(*WATCHFUL)
    async with person(server) as ada:
        await ada.joins(isHost=True)
        wire = wires(server)
        wire.upgrades()
        wire.says("join", roomId=CODE, name="Bob")
        bob = await ada.hears_of("participant-joined")
        assert (await ada.hears_of("participant-left"))["participantId"] == bob["participantId"]
        assert await server.participants() == 1
        await ada.says("chat", text="and whoever answers stays")
        assert (await ada.hears())["type"] == "chat"


async def test_a_client_that_never_reads_delays_nobody_and_is_let_go(start: Start, wires: Wires) -> None:
    server = start("--max-outbox-bytes=300000", "--messages-per-second=0", *WATCHFUL)
    async with person(server) as ada, person(server) as cleo:
        await ada.joins(isHost=True)
        await cleo.joins(name="Cleo")
        await ada.hears_of("participant-joined")
        files = server.files()
        wire = wires(server, receive_buffer=4_096)
        wire.upgrades()
        wire.says("join", roomId=CODE, name="Bob")
        bob = await ada.hears_of("participant-joined")
        left = asyncio.create_task(ada.hears_of("participant-left"))
        while not left.done():
            await cleo.says("chat", text="x" * 4_000)
            await cleo.hears_of("chat")
        assert (await left)["participantId"] == bob["participantId"]
        await eventually(lambda: server.files() <= files)
        assert await server.participants() == 2


# Many


async def test_a_flood_of_connections_leaves_nothing_behind(start: Start, wires: Wires) -> None:
    server = start("--connections-per-minute=5", "--ping-interval=5")
    await server.health()
    files = server.files()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(person(server))
        for _ in range(50):
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(person(server))
            assert refused.value.response.status_code == 429
    flood = [wires(server) for _ in range(150)]
    for number, wire in enumerate(flood):
        if number % 3 == 0:
            wire.socket.sendall(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n")
        elif number % 3 == 1:
            assert "429" in wire.upgrades()
    assert (await server.health())["status"] == "ok", "others are served in between"
    for number, wire in enumerate(flood):
        if number % 2:
            wire.resets()
        else:
            wire.socket.close()
    await eventually(lambda: server.files() <= files)
    assert (await server.health())["totalParticipants"] == 0
    assert len(server.said()) < 100_000, "nor is the disk filled"


async def test_connections_that_never_join_are_let_go(start: Start, wires: Wires) -> None:
    server = start("--join-timeout=0.3")
    await server.health()
    files = server.files()
    silent = [wires(server) for _ in range(20)]
    for wire in silent:
        assert "101" in wire.upgrades()
    async with contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(person(server)) for _ in range(10)]
        assert [await who.is_closed() for who in people] == [4002] * 10
    for wire in silent:
        # A close frame: 2 bytes of head, then the code.
        assert wire.socket.recv(4)[2:] == struct.pack("!H", 4002)
        wire.socket.close()
    await eventually(lambda: server.files() <= files)


async def test_memory_comes_back_after_many_rooms(start: Start) -> None:
    server = start("--messages-per-second=0", "--refused-messages=0", "--resume-window=0.1")

    async def churn(rooms: int) -> None:
        """Rooms of two, left by word and by loss, and a lot said in each."""
        async with contextlib.AsyncExitStack() as stack:
            ada, bob = [await stack.enter_async_context(person(server)) for _ in range(2)]
            for number in range(rooms):
                await ada.joins(f"R{number % 100_000:05}", isHost=True, maxParticipants=100)
                await bob.joins(f"R{number % 100_000:05}", name="B" * 64)
                await ada.says("chat", text="x" * 4_000)
                await ada.says("leave")
                await bob.says("leave")
                await bob.says("leave")
                await bob.hears_of("error")
                await ada.says("leave")
                await ada.hears_of("error")
        for _ in range(rooms // 20):
            async with person(server) as ada, person(server) as bob:
                await ada.joins("LOSTXX", isHost=True)
                await bob.joins("LOSTXX", name="Bob")

    await churn(300)
    before, files = server.memory(), server.files()
    await churn(1_200)
    await eventually(lambda: server.files() <= files)
    await eventually(lambda: is_quiet(server))
    assert server.memory() < before * 1.25


async def test_many_join_and_leave_at_once_and_all_is_quiet_afterwards(start: Start) -> None:
    server = start("--max-participants=100", "--default-participants=100")

    async def visit(number: int) -> None:
        for _ in range(3):
            async with person(server) as who:
                await who.joins(name=f"P{number}", isHost=True)
                await who.says("chat", text="hello")
                await who.hears_of("chat")
                if number % 2:
                    await who.says("leave")
                elif number % 3:
                    who.connection.transport.abort()

    await asyncio.gather(*(visit(number) for number in range(40)))

    await eventually(lambda: is_quiet(server))
    health = await server.health()
    assert 1 <= health["peakParticipants"] <= 40
