"""The commands in operations.md are run, against servers to which all happens that they look for.

A block of ``sh`` is run as it stands, and has something to show. A ``console`` has what needs a machine, and
what may find nothing; of that, what only reads the journal is run too. The journal is a program of this
test, which shows the server's log.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.redis_server import RedisServer
from tests.site_process import Site
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
RUN = [block for kind, block in BLOCKS if kind == "sh"]
TYPED = [line[2:] for kind, block in BLOCKS if kind == "console" for line in block.splitlines()]
# What of a console is not run here, for it asks systemd or the kernel, or does not end.
NOT_RUN = re.compile(r"systemctl |df |journalctl --dmesg|.* --follow$|journalctl .*Main process exited")
PATIENCE = 30.0
ROOM = "ABC123"

JOURNAL = """#!{python}
import getopt, sys
options, rest = getopt.getopt(sys.argv[1:], "", ["unit=", "output=", "priority=", "since="])
asked = dict(options)
assert asked["--unit"] == "mikroroom" and asked["--output"] == "cat" and not rest
levels = {{"warning": ["WARN", "ERROR"], "err": ["ERROR"]}}.get(asked.get("--priority"), [])
for line in open({log!r}):
    if not levels or line.split()[1] in levels:
        sys.stdout.write(line)
"""


class Scene:
    """A server with its log in one of the two shapes, and somebody to whom much has happened."""

    def __init__(self, folder: Path, redis: RedisServer, shape: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.site = Site(folder, redis_url=redis.url, redis_prefix=f"{shape}:", log_format=shape)
        self.participant = ""
        journal = folder / "journalctl"
        journal.write_text(JOURNAL.format(python=sys.executable, log=str(folder / "server.log")))
        journal.chmod(journal.stat().st_mode | stat.S_IXUSR)

    def told(self, *words: str) -> list[str]:
        """The lines of the log with all these words."""
        return [line for line in self.site.said().splitlines() if all(word in line for word in words)]

    def is_ready(self) -> bool:
        """Whether people may be sent there."""
        return httpx.get(f"{self.site.url}/ready", timeout=PATIENCE).is_success

    def connects(self) -> ClientConnection:
        """Someone does."""
        return connect(self.site.url.replace("http", "ws") + "/ws", proxy=None)

    def plays(self) -> None:
        """Bob waits, is admitted, cut off, back, refused and kicked; then his address connects too often."""
        with self.connects() as ada, self.connects() as bob:
            says(ada, "join", roomId=ROOM, name="Ada", isHost=True)
            says(ada, "room-locked")
            hears(ada, "room-locked")
            says(bob, "join", roomId=ROOM, name="Bob", resume=True)
            held = hears(bob, "waiting-room")
            self.participant = held["participantId"]
            says(ada, "admit-user", targetId=self.participant)
            hears(bob, "participant-joined")
            bob.socket.shutdown(socket.SHUT_RDWR)
            hears(ada, "participant-updated", isConnected=False)
            with self.connects() as again:
                says(again, "join", roomId=ROOM, resumeToken=held["resumeToken"], lastSeq=0)
                hears(again, "participant-joined")
                says(again, "room-locked")
                hears(again, "error")
                says(ada, "moderator-action", targetId=self.participant, action="kick")
                with pytest.raises(ConnectionClosed):
                    hears(again, "nothing")
            with contextlib.ExitStack() as others:
                eventually(lambda: self.is_refused(others))

    def is_refused(self, others: contextlib.ExitStack) -> bool:
        """Whether one more connection is one too many; if not, it is kept."""
        try:
            others.enter_context(self.connects())
        except InvalidStatus:
            return True
        return False

    def runs(self, command: str, redis: RedisServer) -> subprocess.CompletedProcess[str]:
        """Run a command of the document."""
        for shown, ours in (
            ("http://127.0.0.1:3000", self.site.url),
            ("redis://127.0.0.1:6379/0", redis.url),
        ):
            command = command.replace(shown, ours)
        path = f"{self.folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {"PATH": path, "HOME": str(self.folder), "ROOM": ROOM, "PARTICIPANT": self.participant}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def says(who: ClientConnection, kind: str, **fields: object) -> None:
    who.send(json.dumps({"type": kind, **fields}))


def hears(who: ClientConnection, kind: str, **fields: object) -> dict[str, Any]:
    """The next message of this type, with these fields."""
    while True:
        message: dict[str, Any] = json.loads(who.recv(timeout=PATIENCE))
        if message["type"] == kind and fields.items() <= message.items():
            return message


def eventually(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    for tool in ("curl", "jq", "redis-cli"):
        if shutil.which(tool) is None:
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing(f"{tool} is not installed")
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def scenes(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    """A server that writes text, and one that writes JSON; at the end Redis was away for a moment."""
    folder = tmp_path_factory.mktemp("runbook")
    scenes = {shape: Scene(folder / shape, redis, shape) for shape in ("text", "json")}
    with scenes["text"].site, scenes["json"].site:
        for scene in scenes.values():
            scene.plays()
        redis.stop()
        eventually(lambda: all(scene.told("redis-failed") for scene in scenes.values()))
        redis.start()
        eventually(lambda: all(len(scene.told("redis-connected")) > 1 for scene in scenes.values()))
        eventually(
            lambda: all(
                httpx.get(f"{s.site.url}/ready", timeout=PATIENCE).is_success for s in scenes.values()
            )
        )
        yield scenes


def test_there_is_no_other_kind_of_block() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "console", "text"}
    assert len(RUN) >= 10


@pytest.mark.parametrize("block", RUN)
def test_block_runs_and_has_something_to_show(
    block: str, scenes: dict[str, Scene], redis: RedisServer
) -> None:
    done = scenes["json" if "jq " in block else "text"].runs(block, redis)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.strip() and not done.stderr


@pytest.mark.parametrize("command", [line for line in TYPED if not NOT_RUN.match(line)])
def test_look_into_the_journal_is_one(command: str, scenes: dict[str, Scene], redis: RedisServer) -> None:
    assert command.startswith("journalctl ")
    done = scenes["text"].runs(command, redis)
    # It may find nothing.
    assert done.returncode in (0, 1) and not done.stderr, done.stderr


def test_person_is_followed_through_by_id(scenes: dict[str, Scene], redis: RedisServer) -> None:
    (block,) = (block for block in RUN if "jq " in block)
    lines = scenes["json"].runs(block, redis).stdout.splitlines()
    shown = DOCUMENT.split(f"{block}```\n\n```text\n")[1].split("```")[0].splitlines()
    assert sorted(" ".join(line.split()[1:]) for line in lines) == sorted(
        " ".join(line.split()[1:]) for line in shown
    )
    assert [line.split()[1] for line in lines][:5] == [line.split()[1] for line in shown][:5]


def test_text_and_json_tell_the_same(scenes: dict[str, Scene]) -> None:
    written = [json.loads(line) for line in scenes["json"].site.said().splitlines()]
    words = [line.split()[2] for line in scenes["text"].site.said().splitlines()]
    for event in ("waiting", "joined", "moderated", "suspended", "resumed", "refused", "closed", "left"):
        assert words.count(event) == [line["event"] for line in written].count(event) > 0
