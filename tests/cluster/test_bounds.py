"""What is left in Redis when all is over, and how much may be there at most."""

from pathlib import Path
from typing import Any, cast

from tests.reliability.people import all_back, all_go

from .cluster import LEASE, PREFIX, Cluster, freeze, thaw
from .people import Guest, all_see, are_one, soon

OTHERS = {"other:1": b"one", "mikro": b"two", "mikroroom": b"three"}
# More than an inbox may hold, in pieces that a message may have.
PIECE = 200_000
PIECES = 400
INBOX = 64 * 2**20


def words(answer: object) -> list[str]:
    """What Redis answered with, if that is a list of names."""
    return [word.decode() for word in cast("list[bytes]", answer)]


async def test_dead_workers_leave_nothing_and_every_key_expires(tmp_path: Path) -> None:
    async with Cluster(tmp_path, resume_window=5) as cluster:
        for name, value in OTHERS.items():
            cluster.command("SET", name, value)
        people = [Guest(f"P{n}", [cluster.workers[n % 3], cluster.workers[0]]) for n in range(6)]
        for person in people:
            await person.comes(isHost=True)
            person.doors = cluster.workers[:1]
        keys = cluster.keys()
        assert {key.split(":")[1] for key in keys} >= {"room", "inbox", "worker", "at", "workers", "active"}
        assert [key for key, expiry in keys.items() if expiry <= 0] == []
        before = set(words(cluster.command("ZRANGE", f"{PREFIX}workers", 0, -1)))
        assert len(before) == 3
        await cluster.workers[1].dies()
        await cluster.workers[2].stops()
        await all_back(people)
        await all_see(people, lambda who: who.view() == people[0].view() and len(who.people) == 6)

        def living() -> set[str]:
            return set(words(cluster.command("ZRANGE", f"{PREFIX}workers", 0, -1)))

        assert await soon(lambda: len(living()) == 1)
        dead = before - living()
        # Who inherited what, and that somebody is dead, is known for a moment longer.
        kinds = ("inbox", "worker", "at")
        assert not {f"{PREFIX}{kind}:{name}" for kind in kinds for name in dead} & cluster.keys().keys()
        await all_go(people)
        await cluster.counts(0, 0)
        keys = cluster.keys()
        assert [key for key, expiry in keys.items() if expiry <= 0] == []
        rooms = ("room:", "active", "lingering", "due")
        assert [key for key in keys if key.removeprefix(PREFIX).startswith(rooms)] == []
        assert [error for person in people for error in (*person.wrongs, *person.errors)] == []
        for name, value in OTHERS.items():
            assert cluster.command("GET", name) == value
        foreign = {key for key in words(cluster.command("KEYS", "*")) if not key.startswith(PREFIX)}
        assert foreign == OTHERS.keys()
        assert cluster.faults() == []


async def test_the_inbox_of_a_frozen_worker_does_not_grow_without_end(tmp_path: Path) -> None:
    plenty: dict[str, Any] = {"worker_lease": 15 * LEASE, "messages_per_second": 0, "max_outbox_bytes": 2**28}
    async with Cluster(tmp_path, servers=2, **plenty) as cluster:
        ada = await Guest("Ada", [cluster.workers[0]]).comes(isHost=True)
        bob = await Guest("Bob", [cluster.workers[1]]).comes()
        await all_see([ada, bob], lambda who: len(who.people) == 2)
        freeze(cluster.workers[1])
        for number in range(PIECES):
            ada.says("offer", targetId=bob.id, sdp=f"{number} {'x' * PIECE}")
        ada.chats()
        # All has been taken from her, since she hears what she said last.
        assert await soon(lambda: len(ada.heard) == 1)
        assert await soon(lambda: _memory(cluster) < INBOX // 2), "the inbox was given up"
        thaw(cluster.workers[1])
        assert await soon(lambda: bool(bob.closes)), "he is told to come again, for he has missed something"
        assert await soon(lambda: bob.is_here.is_set() and are_one([ada, bob]))
        assert (ada.wrongs, ada.errors, bob.wrongs, bob.errors) == ([], [], [], [])
        assert bob.resumes[-1]["replayed"] is False
        await all_go([ada, bob])
        await cluster.counts(0, 0)
        assert cluster.faults() == []


def _memory(cluster: Cluster) -> int:
    """Bytes that Redis holds."""
    told = cast("dict[str, int]", cluster.command("INFO", "memory"))
    assert told["used_memory_peak"] < 3 * INBOX
    return told["used_memory"]
