"""Under a real systemd, with the units that are shipped: restarted, hung, killed and upgraded."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.deploy.box import Box
from tests.deploy.conftest import free_port, install
from tests.redis_server import RedisServer
from websockets.exceptions import InvalidHandshake

from mikroroom.client import Client, Resumed
from mikroroom.protocol import events
from mikroroom.settings import OPTIONS
from mikroroom.sources import load

PATIENCE = 30.0
UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICE = "mikroroom.service"
# What is said of a room that is there already.
TAKEN = "Cannot create room. Limit reached or room ID already exists."
# Nobody here has more than one address.
UNLIMITED = "".join(f"MIKROROOM_{what}_PER_MINUTE=0\n" for what in ("CONNECTIONS", "ROOMS", "GUESSES"))


class Unit:
    """A unit of a server in the box, and where it listens."""

    def __init__(self, box: Box, name: str, port: int) -> None:
        self.box = box
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/ws"

    def shows(self, what: str) -> str:
        """A property of it."""
        return self.box.tells(f"systemctl show --value --property={what} {self.name}")

    @property
    def pid(self) -> int:
        """The number of its main process, in the box."""
        return int(self.shows("MainPID"))

    def journal(self) -> str:
        """All that it has written."""
        return self.box.journal(self.name)

    def ask(self, verb: str) -> None:
        """Have systemctl do something with it."""
        self.box.run(f"systemctl {verb} {self.name}")

    def kill(self, number: signal.Signals) -> int:
        """Send its main process a signal. Returns the process's number."""
        pid = self.pid
        self.box.run(f"kill -{number.value} {pid}")
        return pid

    async def asks(self, verb: str) -> None:
        """As ``ask``, while others go on."""
        await asyncio.to_thread(self.ask, verb)

    async def eventually(self, happens: Callable[[], bool]) -> None:
        """Look again and again until it is so."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await asyncio.to_thread(happens):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(self.journal())

    async def health(self) -> dict[str, Any]:
        """What it says of itself."""
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            health: dict[str, Any] = (await client.get(self.url + "/health")).json()
        return health


@pytest.fixture(scope="module")
def site(box: Box) -> Box:
    """The box with a version installed, and all units; nothing is started."""
    install(box, "1.0")
    box.run("ln -s 1.0 /opt/mikroroom/current")
    box.run(
        "cp /opt/checkout/deploy/systemd/mikroroom*.service /opt/checkout/deploy/systemd/mikroroom*.socket"
        " /etc/systemd/system/"
    )
    box.run("install -D -m 600 /opt/checkout/deploy/systemd/mikroroom.env /etc/mikroroom/mikroroom.env")
    return box


@pytest.fixture
def unit(site: Box) -> Iterator[Unit]:
    """The service, started, on a port of its own; without data of others."""
    port = free_port()
    site.write("/etc/mikroroom/mikroroom.env", (UNITS / "mikroroom.env").read_text() + UNLIMITED)
    site.write(
        "/etc/systemd/system/mikroroom.socket.d/port.conf",
        f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n",
    )
    site.run("systemctl daemon-reload && systemctl start mikroroom.service")
    yield Unit(site, SERVICE, port)
    site.run(
        "systemctl stop mikroroom.socket mikroroom.service; systemctl reset-failed; "
        "rm -rf /etc/systemd/system/mikroroom.s*.d /var/lib/private/mikroroom; systemctl daemon-reload"
    )


@contextlib.asynccontextmanager
async def meeting(ada_at: Unit, bob_at: Unit | None = None) -> AsyncIterator[tuple[Client, Client]]:
    """Ada and Bob, who hear each other."""
    async with Client.connect(ada_at.ws) as ada, Client.connect((bob_at or ada_at).ws) as bob:
        await ada.join("ABC234", "Ada", is_host=True)
        await bob.join("ABC234", "Bob")
        await ada.chat("hello")
        assert await chats(bob, 1) == ["hello"]
        yield ada, bob


async def kept(unit: Unit, *people: Client) -> None:
    """Wait until they are on the disk: a crash costs the last 200 ms."""
    file = "/var/lib/mikroroom/rooms.db-wal"
    wanted = " && ".join(f"grep -q {who.id} {file}" for who in people)
    await unit.eventually(lambda: unit.box.is_so(wanted))


async def chats(who: Client, count: int, *, misses_nothing: bool = True) -> list[str]:
    """The next words that someone hears, whatever else happens."""
    heard: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while len(heard) < count:
            event = await who.receive()
            assert not isinstance(event, Resumed) or event.replayed or not misses_nothing
            if isinstance(event, events.Chat):
                heard.append(event.text)
    return heard


# What is written in them


def test_systemd_finds_no_fault_with_the_units(site: Box) -> None:
    names = "mikroroom.service mikroroom.socket mikroroom@3001.service mikroroom@3001.socket"
    assert site.tells(f"systemd-analyze verify {names} 2>&1") == ""


@pytest.mark.parametrize("name", ["mikroroom.service", "mikroroom@.service"])
def test_the_service_is_exposed_to_next_to_nothing(site: Box, name: str) -> None:
    said = site.tells(
        f"systemd-analyze security --offline=true --no-pager /opt/checkout/deploy/systemd/{name}"
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= 1.0


def test_the_template_differs_only_where_it_must() -> None:
    def lines(name: str) -> set[str]:
        return {line for line in (UNITS / name).read_text().splitlines() if line and not line.startswith("#")}

    one, several = lines("mikroroom.service"), lines("mikroroom@.service")
    words = ("Description=", "Requires=", "After=", "Also=", "StateDirectory", "EnvironmentFile=-")
    assert {line for line in one ^ several if not line.startswith(words)} == set()


def test_each_line_of_the_environment_file_is_a_setting(tmp_path: Path) -> None:
    text = (UNITS / "mikroroom.env").read_text()
    found = re.findall(r"^#?(MIKROROOM_[A-Z_]+)=(.*)$", text, re.MULTILINE)
    assert {name for name, _ in found} <= {option.environment for option in OPTIONS.values()}
    assert "turn_secret" in text.lower()
    load({}, {name: value or "secret" for name, value in found})


# What comes of them


async def test_a_meeting_is_held_under_all_restrictions(unit: Unit) -> None:
    async with meeting(unit):
        health = await unit.health()
        assert (health["totalRooms"], health["totalParticipants"]) == (1, 2)
        assert unit.shows("StatusText").startswith("participants: ")
    async with httpx.AsyncClient(base_url=unit.url, timeout=PATIENCE, trust_env=False) as http:
        # A password is hashed, and the room kept: what asks most of the system.
        wish = {"roomId": "KEPT23", "password": "sesame"}
        assert (await http.post("/api/rooms", json=wish)).status_code == 201
    assert unit.shows("NRestarts") == "0"
    assert unit.box.tells("stat -c '%a %U' /var/lib/mikroroom/") == "700 mikroroom"
    assert unit.box.is_so("test -s /var/lib/mikroroom/rooms.db")
    said = unit.journal()
    assert f"listening url={unit.url}" in said
    assert not re.search("Traceback|ERROR|WARN|not permitted", said), said


async def test_the_journal_can_be_asked_for_what_is_bad(unit: Unit) -> None:
    elsewhere = "MIKROROOM_ALLOWED_ORIGINS=https://meet.example.org\n"
    unit.box.write("/etc/mikroroom/mikroroom.env", (UNITS / "mikroroom.env").read_text() + elsewhere)
    unit.ask("restart")
    async with httpx.AsyncClient(base_url=unit.url, timeout=PATIENCE, trust_env=False) as http:
        assert (await http.post("/api/rooms", headers={"Origin": "https://example.com"})).status_code == 403
    said = unit.box.tells(
        "journalctl --sync && journalctl --quiet --no-pager --output=cat --unit=mikroroom _COMM=mikroroom"
        " --priority=warning"
    )
    assert "origin-refused" in said and "<4>" not in said
    assert "listening" not in said and "listening" in unit.journal()


async def test_a_restart_refuses_nobody_and_who_is_in_a_meeting_misses_nothing(unit: Unit) -> None:
    before = unit.pid
    served = 0
    is_over = False

    async def knocks() -> None:
        nonlocal served
        while not is_over:
            # Whom the old server has let in may be sent away by it; nobody is refused.
            with contextlib.suppress(InvalidHandshake, EOFError, ConnectionResetError):
                async with Client.connect(unit.ws, open_timeout=PATIENCE) as client:
                    served += client is not None

    async with meeting(unit) as (ada, bob):
        knocking = asyncio.create_task(knocks())
        restart = asyncio.create_task(unit.asks("restart"))
        said: list[str] = []
        while not restart.done():
            said.append(f"word {len(said)}")
            await ada.chat(said[-1])
            await asyncio.sleep(0.05)  # a conversation
        await restart
        await ada.chat("the end")
        assert await chats(bob, len(said) + 1) == [*said, "the end"]
        is_over = True
        await asyncio.wait_for(knocking, PATIENCE)
    assert served > 1
    assert unit.pid != before
    assert "Traceback" not in unit.journal()


async def test_another_version_and_the_way_back_are_a_link_and_a_restart(unit: Unit) -> None:
    async with httpx.AsyncClient(base_url=unit.url, timeout=PATIENCE, trust_env=False) as http:
        assert (await http.post("/api/rooms", json={"roomId": "KEPT23"})).status_code == 201
        for version in ("1.1", "1.0"):
            if version == "1.1":
                install(unit.box, version)
            unit.box.run(f"ln -sfn {version} /opt/mikroroom/current")
            unit.ask("restart")
            assert f"/opt/mikroroom/{version}/bin/" in unit.box.tells(
                f"tr '\\0' ' ' </proc/{unit.pid}/cmdline"
            )
            again = await http.post("/api/rooms", json={"roomId": "KEPT23"})
            assert (again.status_code, again.json()["error"]) == (429, TAKEN)


async def test_a_server_that_hangs_is_noticed_and_started_again(unit: Unit) -> None:
    unit.box.write("/etc/systemd/system/mikroroom.service.d/soon.conf", "[Service]\nWatchdogSec=4s\n")
    unit.box.run("systemctl daemon-reload && systemctl restart mikroroom.service")
    async with meeting(unit) as (ada, bob):
        await kept(unit, ada, bob)
        hung = unit.kill(signal.SIGSTOP)
        await unit.eventually(lambda: unit.shows("ActiveState") == "active" and unit.pid not in (0, hung))
        await ada.chat("here again")
        assert await chats(bob, 1, misses_nothing=False) == ["here again"]
    said = unit.journal()
    assert "Watchdog timeout" in said
    assert "Fatal Python error: Aborted" in said, "and it tells where it was"


async def test_a_server_that_is_killed_is_there_again_and_refuses_nobody(unit: Unit) -> None:
    async with meeting(unit) as (ada, bob):
        await kept(unit, ada, bob)
        killed = unit.kill(signal.SIGKILL)
        assert (await unit.health())["status"] == "ok", "who comes now has waited, that is all"
        assert unit.pid != killed
        assert unit.shows("NRestarts") == "1"
        await ada.chat("here again")
        assert await chats(bob, 1, misses_nothing=False) == ["here again"]


async def test_a_setting_that_is_not_understood_is_told_and_not_tried_again(unit: Unit) -> None:
    good = (unit.box.root / "etc/mikroroom/mikroroom.env").read_text()
    unit.ask("stop")
    unit.box.write("/etc/mikroroom/mikroroom.env", good + "MIKROROOM_MAX_ROOM=7\n")
    assert not unit.box.is_so("systemctl start mikroroom.service")
    assert (unit.shows("ExecMainStatus"), unit.shows("NRestarts")) == ("2", "0")
    assert "did you mean MIKROROOM_MAX_ROOMS?" in unit.journal()
    unit.box.write("/etc/mikroroom/mikroroom.env", good)
    unit.ask("start")
    assert (await unit.health())["status"] == "ok"


Certify = Callable[[str], str]


@pytest.fixture
def certify(unit: Unit, tmp_path: Path) -> Certify:
    """Puts a new certificate and its key into ``/etc/mikroroom``, with this mode. Returns the certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("openssl is not installed")

    def certify(mode: str) -> str:
        names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        files = tmp_path / "certificate.pem", tmp_path / "key.pem"
        out = ("-out", str(files[0]), "-keyout", str(files[1]))
        subprocess.run([str(openssl), "req", "-x509", *kind, *names, *out], capture_output=True, check=True)
        for file in files:
            unit.box.write(f"/etc/mikroroom/{file.name}", file.read_text())
            unit.box.run(f"chmod {mode} /etc/mikroroom/{file.name}")
        return files[0].read_text()

    return certify


async def shown(unit: Unit) -> str:
    """The certificate that is shown to whoever comes now."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", unit.port))


async def restart_with_tls(unit: Unit, folder: str, *lines: str) -> None:
    """Have it serve TLS, with what is in that folder."""
    where = (
        f"Environment=MIKROROOM_TLS_CERTIFICATE={folder}/certificate.pem MIKROROOM_TLS_KEY={folder}/key.pem"
    )
    unit.box.write(
        "/etc/systemd/system/mikroroom.service.d/tls.conf", "\n".join(["[Service]", where, *lines, ""])
    )
    unit.box.run("systemctl daemon-reload")
    await unit.asks("restart")


async def test_a_reload_shows_the_new_certificate_to_the_next_and_disturbs_nobody(
    unit: Unit, certify: Certify, tmp_path: Path
) -> None:
    first = certify("644")
    await restart_with_tls(unit, "/etc/mikroroom")
    assert (await shown(unit)).strip() == first.strip()
    pid = unit.pid
    trust = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    async with Client.connect(unit.ws.replace("ws:", "wss:"), ssl=trust) as ada:
        await ada.join("ABC234", "Ada", is_host=True)
        second = certify("644")
        await unit.asks("reload")
        await unit.eventually(lambda: "certificate-renewed" in unit.journal())
        assert (await shown(unit)).strip() == second.strip()
        unit.box.write("/etc/mikroroom/key.pem", "none")
        await unit.asks("reload")
        await unit.eventually(lambda: "certificate-kept" in unit.journal())
        assert (await shown(unit)).strip() == second.strip()
        await ada.chat("still here")
        assert await chats(ada, 1) == ["still here"]
    assert unit.pid == pid


async def test_a_key_that_only_root_may_read_is_handed_over(unit: Unit, certify: Certify) -> None:
    certificate = certify("600")
    files = ("certificate.pem", "key.pem")
    await restart_with_tls(unit, "%d", *(f"LoadCredential={file}:/etc/mikroroom/{file}" for file in files))
    assert (await shown(unit)).strip() == certificate.strip()


# Several


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def pair(site: Box, redis: RedisServer) -> Iterator[list[Unit]]:
    """Two instances over one Redis, the second one with two workers."""
    site.write("/etc/mikroroom/mikroroom.env", f"MIKROROOM_REDIS_URL={redis.url}\n{UNLIMITED}")
    units: list[Unit] = []
    for _ in range(2):
        port = free_port()
        units.append(Unit(site, f"mikroroom@{port}.service", port))
        if len(units) == 2:
            site.write(f"/etc/mikroroom/{port}.env", "MIKROROOM_WORKERS=2\n")
        site.run(f"systemctl start mikroroom@{port}.service")
    yield units
    site.run("systemctl stop 'mikroroom@*.socket' 'mikroroom@*.service'; systemctl reset-failed")


async def test_instances_are_ports_over_one_redis_and_are_restarted_one_by_one(pair: list[Unit]) -> None:
    one, two = pair
    assert two.shows("StatusText") == "workers: 2 of 2"
    async with meeting(one, two) as (ada, bob):
        await one.asks("restart")
        await ada.chat("back on the same port")
        assert await chats(bob, 1) == ["back on the same port"]
        before = two.pid
        await two.asks("reload")
        await two.eventually(lambda: two.journal().count("worker-replaced") == 2)
        assert two.pid == before
        await bob.chat("and served by another worker")
        # One's own words come back as well.
        assert await chats(ada, 3) == ["hello", "back on the same port", "and served by another worker"]
        for unit in pair:
            assert not re.search("Traceback|not permitted", unit.journal()), unit.journal()


async def test_a_redis_behind_a_unix_socket_is_reached_by_its_group(site: Box) -> None:
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("neither redis-server nor valkey-server is installed")
    site.run("groupadd --system keepers")
    site.run(
        "systemd-run --unit=keeper --property=DynamicUser=yes --property=Group=keepers"
        " --property=RuntimeDirectory=keeper --property=RuntimeDirectoryMode=0750"
        f" {server} --port 0 --unixsocket /run/keeper/redis.sock --unixsocketperm 770 --save ''"
    )
    port = free_port()
    unit = Unit(site, f"mikroroom@{port}.service", port)
    url = "MIKROROOM_REDIS_URL=unix:///run/keeper/redis.sock"
    site.write("/etc/mikroroom/mikroroom.env", f"{url}\n{UNLIMITED}")
    site.write(
        f"/etc/systemd/system/mikroroom@{port}.service.d/group.conf",
        "[Service]\nSupplementaryGroups=keepers\n",
    )
    site.run("systemctl daemon-reload")
    unit.ask("start")
    async with meeting(unit):
        assert (await unit.health())["totalParticipants"] == 2
    site.run(f"systemctl stop mikroroom@{port}.socket mikroroom@{port}.service keeper.service")


async def test_workers_of_a_parent_that_was_killed_do_not_outlive_it(pair: list[Unit]) -> None:
    two = pair[1]
    workers = re.findall(r"worker-started pid=(\d+)", two.journal())
    assert len(workers) == 2
    killed = two.kill(signal.SIGKILL)
    await two.eventually(lambda: two.shows("ActiveState") == "active" and two.pid not in (0, killed))
    assert not any(two.box.is_so(f"test -e /proc/{pid}") for pid in workers)
