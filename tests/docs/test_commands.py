"""Every command in the documents is run, or it is none that this knows of, and the test fails.

What it stands on is another here: addresses, ports, certificates and how long it takes. deploy/README.md is
followed by tests/deploy/test_journey.py, and operations.md by its own test.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from tests.redis_server import RedisServer
from tests.site_process import Site
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = {"operations.md"}
BIN = Path(sys.executable).parent
PATIENCE = 60.0
ROOM = "TEAM42"
ADMIN_TOKEN = "a-token-that-is-long-enough"
# Ours, by the names under which the documents call them.
PROGRAMS = {"mikroroom": BIN / "mikroroom", "uvicorn": BIN / "uvicorn", "pytest": BIN / "pytest"}


class Command(NamedTuple):
    """A line of a document: what is to be run, and with which variables."""

    place: str
    variables: dict[str, str]
    words: list[str]

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.words)}"


def commands() -> Iterator[Command]:
    """All of them. In a ``console``, they are what follows a prompt."""
    for document in DOCUMENTS:
        if document.name in OTHERS:
            continue
        blocks = re.findall(r"^```(sh|console)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
        for kind, block in blocks:
            for line in block.replace("\\\n", " ").splitlines():
                prompt = line[:2] in ("$ ", "# ")
                if kind == "sh" or prompt:
                    yield read(document.name, line[2:] if prompt else line)


def read(place: str, line: str) -> Command:
    words = shlex.split(line, comments=True)
    if words[-1:] == ["&"]:
        words.pop()
    variables = {}
    while "=" in words[0]:
        name, _, variables[name] = words.pop(0).partition("=")
    return Command(place, variables, words)


ALL = list(commands())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that runs already, with the room in it that people are invited to."""
    limits = dict.fromkeys(("connections_per_minute", "rooms_per_minute", "guesses_per_minute"), 0)
    with Site(tmp_path_factory.mktemp("site"), admin_token=ADMIN_TOKEN, **limits) as site:
        assert (
            httpx.post(f"{site.url}/api/rooms", json={"roomId": "ABC123"}, timeout=PATIENCE).status_code
            == 201
        )
        yield site


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``fullchain.pem`` and ``privkey.pem``."""
    folder = tmp_path_factory.mktemp("certificate")
    kind = ("-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=x")
    files = ("-keyout", "privkey.pem", "-out", "fullchain.pem")
    subprocess.run(["openssl", "req", *kind, *files], cwd=folder, capture_output=True, check=True)
    return folder


@pytest.mark.parametrize("command", ALL, ids=str)
def test_command_does_what_it_says(
    command: Command, site: Site, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    match [Path(command.words[0]).name, *command.words[1:]]:
        case ["make", *targets]:
            assert_targets([target for target in targets if "=" not in target])
        case ["mikroroom", "serve", *_] | ["uvicorn", *_]:
            is_shared = "redis://" in f"{command.words} {command.variables}"
            redis = request.getfixturevalue("redis") if is_shared else None
            folder = request.getfixturevalue("certificate") if "--tls-key" in command.words else tmp_path
            assert_serves(command, redis, folder)
        case ["mikroroom", "loadtest", *_]:
            assert "PASSED" in run(command, site, "--seconds=1", "--rooms=2", storm="--storm=8")
        case ["mikroroom", "join", *_]:
            run(command, site, f"--url={site.url.replace('http', 'ws')}/ws")
        case ["mikroroom", "token", *_]:
            header, _, signature = run(command, site).strip().split(".")
            assert header.startswith("eyJ") and signature
        case ["mikroroom", "rooms", *_] | ["curl", *_]:
            assert_administers(command, site, tmp_path)
        case ["pytest", "tests/conformance", *_]:
            assert "tests collected" in run(command, site, "--collect-only", "-q")
        case ["install" | "systemctl", *words]:
            assert_files(words)
        case _:
            pytest.fail(f"nobody knows how to try this: {command}")


def assert_targets(targets: list[str]) -> None:
    """They are in the Makefile."""
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets and all(f"make {target}" in told for target in targets)


def assert_files(words: list[str]) -> None:
    """What is named is there. (tests/deploy/test_systemd_units.py does these things with them.)"""
    files = [word for word in words if word.startswith("deploy/")]
    units = [re.sub(r"@\d+", "@", word) for word in words if word.endswith((".service", ".socket"))]
    for name in files or [f"deploy/systemd/{Path(unit).name}" for unit in units]:
        assert (ROOT / name).is_file(), name


def environment(variables: dict[str, str], home: Path) -> dict[str, str]:
    """Of somebody whose settings are these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MIKROROOM_")}
    return {**inherited, "HOME": str(home), **variables}


def program(command: Command) -> str:
    return str(PROGRAMS[Path(command.words[0]).name])


def run(command: Command, site: Site, *more: str, storm: str = "") -> str:
    """To its end, with that site for any that is named. Returns what it says."""
    words = [re.sub(r"http://127\.0\.0\.1:\d+", site.url, word) for word in command.words[1:]]
    if "--storm" in words:
        at = words.index("--storm")
        words[at : at + 2] = [storm]
    done = subprocess.run(
        [program(command), *words, *more],
        cwd=ROOT,
        env={**os.environ, **command.variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_administers(command: Command, site: Site, folder: Path) -> None:
    """It does what it is to do to a room with people in it; words in capitals stand for what is there."""
    (folder / "admin-token").write_text(f"{ADMIN_TOKEN}\n")
    (folder / "room-password").write_text("sesame\n")
    with meeting(site) as ids:
        words = [re.sub(r"http://127\.0\.0\.1:\d+", site.url, word) for word in command.words]
        for name, value in (*ids.items(), ("$MIKROROOM_ADMIN_TOKEN", ADMIN_TOKEN)):
            words = [word.replace(name, value) for word in words]
        if words[0] == "curl":
            words.insert(1, "--fail")
        done = subprocess.run(
            [str(PROGRAMS.get(words[0], words[0])), *words[1:]],
            cwd=folder,
            env=environment(
                {"MIKROROOM_URL": site.url, "MIKROROOM_ADMIN_TOKEN": ADMIN_TOKEN, **command.variables}, folder
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 0, done.stderr


@contextmanager
def meeting(site: Site) -> Iterator[dict[str, str]]:
    """A room with Ada, Grace and Mallory in it, for which Wanda waits. Gives the ids of what is there."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with ExitStack() as stack:
        http = stack.enter_context(
            httpx.Client(base_url=f"{site.url}/api/", headers=headers, timeout=PATIENCE)
        )
        http.delete(f"rooms/{ROOM}")
        assert http.post("rooms", json={"roomId": ROOM}).status_code == 201
        for name in ("Ada", "Grace", "Mallory", "Rex", "Wanda"):
            if name == "Wanda":
                http.patch(f"rooms/{ROOM}", json={"isLocked": True})
            stack.enter_context(attending(site, name))
        people = {person["name"]: person["id"] for person in http.get(f"rooms/{ROOM}").json()["participants"]}
        ban = http.delete(f"rooms/{ROOM}/participants/{people['Rex']}?ban=60").json()["ban"]
        invite = http.post(f"rooms/{ROOM}/invites").json()
        yield {"BAN": ban["id"], "INVITE": invite["id"], "PARTICIPANT": people["Mallory"]}


@contextmanager
def attending(site: Site, name: str) -> Iterator[None]:
    """Somebody is in the room, or waits for it."""
    with connect(site.url.replace("http", "ws") + "/ws", proxy=None) as socket:
        socket.send(json.dumps({"type": "join", "roomId": ROOM, "name": name}))
        assert json.loads(socket.recv())["type"] in ("participant-joined", "waiting-room")
        yield


def assert_serves(command: Command, redis: RedisServer | None, folder: Path) -> None:
    """It does, until it is told to stop; and then stops as it should."""
    url = redis.url if redis is not None else ""
    words = [url if word.startswith("redis://") else word for word in command.words[1:]]
    variables = {
        name: url if value.startswith("redis://") else value for name, value in command.variables.items()
    }
    if "--port" in words:
        words[words.index("--port") + 1] = "0"
    else:
        words += ["--port", "0"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program(command), *words],
            cwd=folder,
            env=environment(variables, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        # uvicorn has a line of its own for that.
        while not re.search(r"listening url=|Uvicorn running", log.read_text()):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        # uvicorn dies of the signal that it was sent, once it is done.
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM), log.read_text()
    finally:
        process.kill()
        process.wait()


def test_there_are_commands_in_the_documents() -> None:
    assert {command.place for command in ALL} >= {"README.md", "scaling.md", "deployment.md", "loadtest.md"}
