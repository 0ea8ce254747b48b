"""What Redis is asked for: nothing by talk that stays on one worker, and little by everything else."""

import contextlib
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.reliability.servers import Server
from websockets.asyncio.client import ClientConnection, connect

from mikroroom.stores.redis.scripts import NAMES, script

from .cluster import Cluster

MESSAGES = 200
# With a short lease a connection that is slow to answer is given up, and to begin again is to ask for more.
PLENTY: dict[str, Any] = {"messages_per_second": 100_000, "message_burst": 100_000, "worker_lease": 60}
# What workers send whatever goes on: they live, see what is due, wait for letters and delete those they read.
RESTING = frozenset({"beat", "due", "trim", "XREAD"})
_SCRIPTS = {script(name).sha.decode(): name for name in NAMES}
_SENT = re.compile(rb'\+[\d.]+ \[\d+ [\d.]+:\d+\] "(\w+)"(?: "(\w+)")?')


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(tmp_path, servers=2, **PLENTY) as cluster:
        yield cluster


async def test_talk_on_one_worker_asks_nothing_of_redis(cluster: Cluster) -> None:
    here, there = cluster.workers
    async with _joined(here) as (ann, _), _joined(here) as (bob, target):
        with _commands(cluster) as sent:
            await _offers(ann, bob, target)
            await _chats(ann, bob)
        assert sent.keys() <= RESTING

        async with _joined(there) as (cid, _):
            await _says(cid, "leave")
            await _hears(ann, "participant-left")
        with _commands(cluster) as sent:
            await _chats(ann, bob)
        assert sent.keys() <= RESTING


async def test_talk_to_another_worker_is_posted_and_nothing_else(cluster: Cluster) -> None:
    here, there = cluster.workers
    async with _joined(here) as (ann, _), _joined(there) as (bob, target), _joined(there), _joined(there):
        for _ in range(3):
            await _hears(ann, "participant-joined")
        with _commands(cluster) as offered:
            await _offers(ann, bob, target)
        with _commands(cluster) as told:
            await _chats(ann, bob)
    for sent in (offered, told):
        assert sent.keys() - RESTING == {"post"}
        assert sent["post"] <= MESSAGES


async def test_a_join_is_counted_read_and_committed_and_a_change_only_committed(cluster: Cluster) -> None:
    here, there = cluster.workers
    async with _joined(here) as (ann, _), contextlib.AsyncExitStack() as stack:
        with _commands(cluster) as sent:
            bob, _ = await stack.enter_async_context(_joined(there))
        for command in sent.keys() - RESTING:
            assert command in {"connect", "count", "HMGET", "commit"} and sent[command] == 1
        with _commands(cluster) as sent:
            await _says(ann, "participant-updated", isMuted=True)
            await _hears(bob, "participant-updated")
        assert {command: sent[command] for command in sent.keys() - RESTING} == {"commit": 1}


@contextlib.asynccontextmanager
async def _joined(worker: Server) -> AsyncIterator[tuple[ClientConnection, str]]:
    """Somebody in the room, and its id."""
    async with connect(worker.socket_url, proxy=None) as person:
        await _says(person, "join", roomId="COSTS1", name="Somebody", isHost=True)
        own = await _hears(person, "participant-joined")
        yield person, own["participantId"]


async def _offers(speaker: ClientConnection, listener: ClientConnection, target: str) -> None:
    """Some one after the other, and then as many at once."""
    for _ in range(MESSAGES // 2):
        await _says(speaker, "offer", targetId=target, sdp="v=0")
        await _hears(listener, "offer")
    for _ in range(MESSAGES // 2):
        await _says(speaker, "offer", targetId=target, sdp="v=0")
    for _ in range(MESSAGES // 2):
        await _hears(listener, "offer")


async def _chats(speaker: ClientConnection, listener: ClientConnection) -> None:
    for _ in range(MESSAGES):
        await _says(speaker, "chat", text="hello")
    for person in (speaker, listener):
        for _ in range(MESSAGES):
            await _hears(person, "chat")


async def _says(person: ClientConnection, kind: str, **fields: object) -> None:
    await person.send(json.dumps({"type": kind, **fields}))


async def _hears(person: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of this type."""
    while True:
        message: dict[str, Any] = json.loads(await person.recv())
        assert message["type"] != "error", message
        if message["type"] == kind:
            return message


@contextlib.contextmanager
def _commands(cluster: Cluster) -> Iterator[Counter[str]]:
    """What workers send meanwhile, by command or by script; what scripts do is not in it."""
    sent: Counter[str] = Counter()
    place = "127.0.0.1", cluster.redis.port
    with socket.create_connection(place) as monitor, socket.create_connection(place) as other:
        monitor.sendall(b"MONITOR\r\n")
        told = monitor.recv(5)
        yield sent
        other.sendall(b"ECHO enough\r\n")
        while b'"ECHO" "enough"' not in told:
            told += monitor.recv(65_536)
    for command, sha in _SENT.findall(told):
        if command != b"ECHO":
            sent[_SCRIPTS.get(sha.decode(), command.decode())] += 1
