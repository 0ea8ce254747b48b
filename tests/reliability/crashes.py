"""A server that is killed while people talk and moderate: what was so is so again (R46)."""

import asyncio
import random
import time
from pathlib import Path

from .people import Person, Plain, all_agree, all_back, all_go, eventually, visitor
from .restarts import Conversation, all_heard
from .score import Score
from .servers import Server

# A change is promised to outlive a crash once it is 200 ms old; the rest is for a machine that is busy.
SETTLED = 0.6
PASSWORD = "sesame"
# Seconds: within it everyone must be back, and it is waited for once.
WINDOW = 8


class Meeting:
    """A room with all that a room can have: password, lock, roles, states, a recording, people waiting."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.ada, self.bob, self.cleo, self.dan = (
            Person(name, server, seed=seed) for name in ("Ada", "Bob", "Cleo", "Dan")
        )
        self.waiting = [Person(name, server, seed=seed) for name in ("Eve", "Finn")]
        # Talk is counted among those who are in the room all the time.
        self.people = [self.ada, self.bob, self.cleo, self.dan]

    @property
    def everyone(self) -> list[Person]:
        """Who is in the room, and who waits."""
        return self.people + self.waiting

    async def begins(self) -> None:
        """Everyone comes, and finds their place."""
        await self.ada.comes(isHost=True, password=PASSWORD)
        for person in self.people[1:]:
            await person.comes(password=PASSWORD)
        self.ada.says("moderator-action", targetId=self.bob.id, action="make-moderator")
        self.ada.says("room-locked")
        self.bob.says("recording-started")
        self.cleo.is_now(isHandRaised=True)
        self.bob.says("moderator-action", targetId=self.dan.id, action="mute")
        await all_agree(
            self.people,
            lambda who: (
                who.locked_by == self.ada.id
                and who.recorders == {self.bob.id}
                and who.people[self.bob.id]["isModerator"]
                and who.people[self.cleo.id]["isHandRaised"]
                and who.people[self.dan.id]["isMuted"]
            ),
        )
        for person in self.waiting:
            await person.comes(password=PASSWORD)

    async def changes(self) -> None:
        """Something about the room changes, everyone hears it, and it is old enough to be kept."""
        person = self.chance.choice(self.people)
        now = person.people[person.id]
        flag = self.chance.choice(("isMuted", "isVideoOff"))
        expected = not now[flag]
        person.is_now(**{flag: expected})
        await all_agree(self.people, lambda who: who.people[person.id][flag] is expected)
        if self.chance.random() < 0.5:
            lock = self.chance.choice((self.ada, self.bob))
            lock.says("room-locked")
            await all_agree(self.people, lambda who: who.locked_by == lock.id)
        await asyncio.sleep(SETTLED)

    def facts(self) -> dict[str, object]:
        """All that there is to know."""
        waiting = {person.id: person.name for person in self.waiting}
        return {
            "room": self.ada.view(),
            "waiting": (self.ada.waiting, self.bob.waiting, waiting),
            "ids": [person.id for person in self.everyone],
        }

    async def is_as(self, before: dict[str, object]) -> None:
        """Everyone is back, and all is as it was."""
        await all_back(self.everyone)
        await all_agree(self.people, lambda who: all(each["isConnected"] for each in who.people.values()))
        await eventually(
            lambda: self.ada.waiting == self.bob.waiting == {who.id: who.name for who in self.waiting}
        )
        assert self.facts() == before
        assert all(person.is_waiting for person in self.waiting)
        assert [wrong for person in self.everyone for wrong in person.wrongs] == []
        assert [error for person in self.everyone for error in person.errors] == []

    async def is_closed_to_strangers(self) -> None:
        """Without the password nobody enters, with it one waits; the creator token opens the door."""
        async with visitor(self.server) as a, visitor(self.server) as b, visitor(self.server) as c:
            assert (await Plain(a).joins(password="wrong"))["code"] == "INVALID_PASSWORD"
            assert (await Plain(b).joins(password=PASSWORD))["type"] == "waiting-room"
            wish = {"password": PASSWORD, "creatorToken": self.ada.creator_token}
            assert (await Plain(c).joins(**wish))["isHost"] is True


async def crashes(folder: Path, faults: int, seed: int) -> Score:
    """Kill a server so many times at random moments of a meeting, start it again, and compare."""
    score = Score(faults=faults)
    server = Server(folder, resume_window=WINDOW)
    try:
        await server.starts()
        meeting = Meeting(server, seed)
        await meeting.begins()
        # People who know nothing of resuming, in a room of their own.
        plain = [Person(f"Q{number}", server, code="PLAIN2", is_resumable=False) for number in range(3)]
        for person in plain:
            await person.comes(isHost=True)
        conversation = Conversation(meeting.people, seed)
        for _ in range(faults):
            await meeting.changes()
            before = meeting.facts()
            await asyncio.sleep(meeting.chance.uniform(0, 0.3))
            score.seconds.append(await _crash(server, [*meeting.everyone, *plain]))
            await meeting.is_as(before)
            await _are_among_themselves(plain)
        await conversation.ends()
        await all_heard(meeting.people)
        score.add(meeting.people)
        await meeting.is_closed_to_strangers()
        await _leaves_no_ghost(server, meeting)
        await all_go([*meeting.everyone, *plain])
        await eventually(lambda: is_empty(server))
    finally:
        server.close()
    return score


async def _crash(server: Server, people: list[Person]) -> float:
    """Returns the seconds from the kill to everyone being back."""
    resumes = [len(person.resumes) for person in people]
    began = time.monotonic()
    await server.dies()
    await eventually(lambda: not any(person.is_here.is_set() for person in people))
    await server.starts()
    await all_back(people)
    for person, count in zip(people, resumes, strict=True):
        if person.is_resumable:
            assert [own["replayed"] for own in person.resumes[count:]] == [False]
    return time.monotonic() - began


async def _are_among_themselves(plain: list[Person]) -> None:
    """Those who joined again are in one room, and nobody else is: no ghost of theirs."""
    await all_agree(plain, lambda person: set(person.people) == {other.id for other in plain})
    hosts = [state["isHost"] for state in plain[0].people.values()]
    assert hosts.count(True) == 1
    assert [wrong for person in plain for wrong in (*person.wrongs, *person.errors)] == []


async def _leaves_no_ghost(server: Server, meeting: Meeting) -> None:
    """Who does not come back after a crash is gone when the window is over."""
    await asyncio.sleep(SETTLED)
    for person in (meeting.dan, meeting.waiting[0]):
        person.may_return.clear()
    rest = [meeting.ada, meeting.bob, meeting.cleo, meeting.waiting[1]]
    await _crash(server, rest)
    await all_agree(rest[:3], lambda who: who.people.get(meeting.dan.id, {}).get("isConnected") is False)
    await all_agree(rest[:3], lambda person: set(person.people) == {other.id for other in rest[:3]})
    await eventually(lambda: set(meeting.ada.waiting) == {meeting.waiting[1].id})
    for person in (meeting.dan, meeting.waiting[0]):
        await person.vanishes()


async def is_empty(server: Server) -> bool:
    """Whether it counts nobody, and no room."""
    _, body = await server.gets("/health")
    return '"totalRooms":0' in body and '"totalParticipants":0' in body
