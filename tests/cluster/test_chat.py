"""Chat that rooms keep, over several workers: who is in a room has all of it, each message once, in order."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.reliability.people import Message, all_back, all_go
from tests.reliability.servers import Server

from .cluster import Cluster
from .people import Guest, soon

KEEPING: dict[str, Any] = {"chat_history": 1_000, "messages_per_second": 0, "max_participants": 100}


class Reader(Guest):
    """Keeps what a client would show: ``shown`` is the chat, by message id, as it was told last."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shown: dict[str, int] = {}
        self.stamps: dict[str, float] = {}

    def _arrives(self, own: Message) -> None:
        if not own.get("replayed"):
            self.shown = {}
        super()._arrives(own)

    def _hears_talk(self, message: Message) -> None:
        super()._hears_talk(message)
        name, who, stamp = message["messageId"], message["participantId"], message["timestamp"]
        if name in self.shown:
            self.wrongs.append(f"{self!r} heard {name} twice")
        if name != f"{stamp}-{who}":
            self.wrongs.append(f"{self!r} heard {name} at {stamp}")
        self.shown[name] = int(message["text"].split()[0])


async def reader(name: str, doors: Sequence[Server], *, seed: int = 0, **wish: object) -> Reader:
    """Someone who is in the room."""
    person = Reader(name, doors, seed=seed)
    await person.comes(**wish)
    return person


async def all_show(readers: Sequence[Reader], count: int) -> None:
    """Wait until each of them shows so many messages."""
    has_come = await soon(lambda: all(len(person.shown) == count for person in readers))
    assert has_come, {person.name: len(person.shown) for person in readers}


def are_whole(readers: Sequence[Reader], speakers: Sequence[Reader]) -> bool:
    """Whether all show the same in the same order, and of each speaker what it said."""
    shown = readers[0].shown
    for speaker in speakers:
        own = [name for name in shown if name.endswith(speaker.id)]
        assert [shown[name] for name in own] == [number for _, number in speaker.said]
        stamps = [int(name.split("-")[0]) for name in own]
        assert sorted(set(stamps)) == stamps
    return all(list(person.shown.items()) == list(shown.items()) for person in readers)


async def test_who_comes_on_another_worker_while_all_chat_has_each_message_once(tmp_path: Path) -> None:
    async with Cluster(tmp_path, servers=2, **KEEPING) as cluster:
        first, second = ([worker] for worker in cluster.workers)
        speakers = [
            await reader("Ada", first, isHost=True, maxParticipants=30),
            await reader("Bob", second),
            await reader("Cleo", second),
        ]
        late = [Reader(f"P{n}", (first, second)[n % 2], is_resumable=n % 3 != 0) for n in range(12)]
        for number in range(12):
            for _ in range(10):
                for speaker in speakers:
                    speaker.chats()
            late[number].starts()
            await asyncio.sleep(0.02)
        await all_back(late)
        everyone = [*speakers, *late]
        await all_show(everyone, 120 * len(speakers))
        assert are_whole(everyone, speakers)
        assert [error for person in everyone for error in (*person.wrongs, *person.errors)] == []
        await all_go(everyone)
        await cluster.counts(rooms=0, participants=0)
        # The next meeting reads nothing of this one.
        dora = await reader("Dora", second, isHost=True)
        assert dora.shown == {}
        await all_go([dora])
        assert cluster.faults() == []


async def test_who_moves_or_is_inherited_while_all_chat_has_each_message_once(tmp_path: Path) -> None:
    async with Cluster(tmp_path, **KEEPING) as cluster:
        doors = cluster.workers
        people = [await reader(f"P{n}", [doors[n % 3]], seed=n, isHost=True) for n in range(6)]
        for turn in range(15):
            for _ in range(4):
                for person in people:
                    person.chats()
            people[turn % 6].moves_to(doors[(turn + turn % 6) % 3])
            await asyncio.sleep(0.03)
        await all_back(people)
        await all_show(people, 60 * len(people))
        for person in people:
            person.doors = list(doors[:2])
        await doors[2].dies()
        for person in people:
            person.chats()
        await all_back(people)
        await all_show(people, 61 * len(people))
        assert are_whole(people, people)
        assert [error for person in people for error in (*person.wrongs, *person.errors)] == []
        await all_go(people)
        assert cluster.faults() == []
