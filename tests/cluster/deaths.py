"""Workers that are killed, stand still, or are cut off from Redis, in the middle of a meeting of them all."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.reliability.people import all_back, all_go
from tests.reliability.restarts import Conversation, all_heard
from tests.reliability.servers import Server

from .cluster import LEASE, Cluster, freeze, thaw
from .count import Count
from .outside import TELLING, wrongs_outside
from .people import Guest, all_see, soon, told

# Seconds: whoever comes back late does so within it, and it is waited for once.
WINDOW = 6
# Beyond a lease or a window: until the next beat, and until it has been done by a machine that is busy.
A_LITTLE = 15.0
RESTARTING = 1012


class Meeting:
    """Two on each worker that stays well; and on the ``victim`` one for each thing that may become of them.

    ``back`` comes back at once and elsewhere, ``late`` when it is told that its connection is over, ``gone``
    perhaps never; ``plain`` cannot, and joins anew if at all.
    """

    def __init__(self, cluster: Cluster, victim: Server, seed: int) -> None:
        self.others = [worker for worker in cluster.workers if worker is not victim]
        self.near = [
            Guest(f"N{number}", [worker], repeats=bool(number % 2), seed=seed)
            for number, worker in enumerate(self.others * 2)
        ]
        self.back, self.late, self.gone = (
            Guest(name, [victim, *self.others], repeats=name == "Back", seed=seed)
            for name in ("Back", "Late", "Gone")
        )
        self.plain = Guest("Plain", [victim, *self.others], is_resumable=False, seed=seed)
        self.touched = [self.back, self.late, self.gone, self.plain]
        self.everyone = [*self.near, *self.touched]
        self._chance = random.Random(seed)

    async def begins(self) -> None:
        """Everyone comes, in any order: so anyone may be host. One is a moderator, and each has a state."""
        people = list(self.everyone)
        self._chance.shuffle(people)
        for person in people:
            person.doors, first = person.doors[:1], person.doors
            await person.comes(isHost=True, maxParticipants=20)
            person.doors = first
        await all_see(self.everyone, lambda who: len(who.people) == len(people))
        host = next(who for who in people if who.people[who.id]["isHost"])
        host.says("moderator-action", targetId=self.back.id, action="make-moderator")
        await all_see(self.everyone, lambda who: who.people[self.back.id]["isModerator"])
        self.back.is_now(isHandRaised=True)
        self.late.is_now(isVideoOff=True)
        await all_see(
            self.everyone,
            lambda who: who.people[self.back.id]["isHandRaised"] and who.people[self.late.id]["isVideoOff"],
        )


async def kills(folder: Path, faults: int, seed: int) -> Count:
    """Kill a worker, so many times, and start it again when all is well without it."""
    count = Count(faults=faults)
    async with Cluster(folder, resume_window=WINDOW, **TELLING) as cluster:
        for number in range(faults):
            victim = cluster.workers[number % len(cluster.workers)]
            meeting = Meeting(cluster, victim, seed + number)
            await meeting.begins()
            talking = [*meeting.near, meeting.back, meeting.late]
            conversation = Conversation(talking, seed + number)
            await asyncio.sleep(random.Random(seed + number).uniform(0.2, 0.5))
            for person in (meeting.gone, meeting.plain):
                person.may_return.clear()
            for person in (meeting.back, meeting.late):
                person.doors = meeting.others
            meeting.late.may_return.clear()
            began = time.monotonic()
            await victim.dies()
            await meeting.back.is_back()
            count.seconds.append(time.monotonic() - began)
            await _are_missed(meeting, began)
            meeting.late.may_return.set()
            await all_back(talking)
            await _are_gone(meeting, {meeting.gone.id}, began + LEASE + WINDOW)
            await conversation.ends()
            await all_heard(talking)
            _are_who_they_were(meeting)
            _add(count, meeting, talking)
            await count.ends(cluster, talking)
            await all_go(talking)
            for person in (meeting.gone, meeting.plain):
                await person.vanishes()
            await cluster.counts(0, 0)
            await victim.starts()
        count.wrongs += wrongs_outside(cluster)
    return count


async def freezes(folder: Path, faults: int, seed: int) -> Count:
    """Let a worker stand still for longer than its lease, so many times."""

    def away(cluster: Cluster, place: int, number: int) -> None:
        freeze(cluster.workers[place])

    def back(cluster: Cluster, place: int) -> None:
        thaw(cluster.workers[place])

    return await _absences(folder, faults, seed, away, back)


async def partitions(folder: Path, faults: int, seed: int) -> Count:
    """Cut a worker off from Redis for longer than its lease, so many times: in silence, and with resets."""

    def away(cluster: Cluster, place: int, number: int) -> None:
        if number % 2:
            cluster.pipes[place].shuts()
        else:
            cluster.pipes[place].freezes()

    def back(cluster: Cluster, place: int) -> None:
        cluster.pipes[place].thaws()
        cluster.pipes[place].reopens()

    return await _absences(folder, faults, seed, away, back, piped=True)


async def _absences(
    folder: Path,
    faults: int,
    seed: int,
    away: Callable[[Cluster, int, int], None],
    back: Callable[[Cluster, int], None],
    *,
    piped: bool = False,
) -> Count:
    """A worker is gone for the others, and its clients are not; then it is back."""
    count = Count(faults=faults)
    async with Cluster(folder, piped=range(3) if piped else (), resume_window=30, **TELLING) as cluster:
        for number in range(faults):
            victim = cluster.workers[number % len(cluster.workers)]
            meeting = Meeting(cluster, victim, seed + number)
            await meeting.begins()
            talking = [*meeting.near, meeting.back, meeting.late]
            conversation = Conversation(talking, seed + number)
            await asyncio.sleep(random.Random(seed + number).uniform(0.2, 0.5))
            on_victim = [meeting.late, meeting.gone, meeting.plain]
            closes = [len(person.closes) for person in on_victim]
            began = time.monotonic()
            away(cluster, number % len(cluster.workers), number)
            # This one notices by itself, and does not wait.
            meeting.back.moves_to(*meeting.others)
            await _are_missed(meeting, began)
            await meeting.back.is_back()
            was = meeting.plain.id
            began = time.monotonic()
            back(cluster, number % len(cluster.workers))
            await _are_closed(on_victim, closes)
            await cluster.are_up()
            await all_back(meeting.everyone)
            count.seconds.append(time.monotonic() - began)
            codes = [person.closes[before][1] for person, before in zip(on_victim, closes, strict=True)]
            if codes != [RESTARTING] * len(on_victim):
                count.wrongs.append(f"those on a worker that was away were closed with {codes}")
            await conversation.ends()
            await all_heard(talking)
            _are_who_they_were(meeting)
            _add(count, meeting, talking)
            if meeting.plain.id == was:
                count.wrongs.append(f"{meeting.plain!r} joined anew, and is who it was")
            await count.ends(cluster, meeting.everyone)
            await all_go(meeting.everyone)
            await cluster.counts(0, 0)
        count.wrongs += wrongs_outside(cluster)
    return count


async def _are_closed(people: Sequence[Guest], before: Sequence[int]) -> None:
    """Wait until the connection of each is closed, which so many were before."""
    are_closed = await soon(
        lambda: all(len(person.closes) > count for person, count in zip(people, before, strict=True))
    )
    assert are_closed, f"nobody tells these to come again: {people}"


async def _are_missed(meeting: Meeting, began: float) -> None:
    """Within a lease the others know that those are away, or gone, who are on a worker that is."""
    await soon(
        lambda: all(
            meeting.plain.id not in who.people
            and not any(who.people[each.id]["isConnected"] for each in (meeting.late, meeting.gone))
            for who in meeting.near
        )
    )
    took = time.monotonic() - began
    assert took < LEASE + A_LITTLE, f"it took {took:.1f} s until they were missed:\n{told(meeting.everyone)}"


async def _are_gone(meeting: Meeting, ids: set[str], by: float) -> None:
    """Who does not come back is gone when the window is over."""
    await soon(lambda: all(who.people.keys().isdisjoint(ids) for who in meeting.near))
    late = time.monotonic() - by
    assert late < A_LITTLE, f"{ids} are gone {late:.1f} s too late"


def _are_who_they_were(meeting: Meeting) -> None:
    for person in meeting.near:
        assert person.people[meeting.back.id]["isModerator"]
        assert person.people[meeting.back.id]["isHandRaised"]
        assert person.people[meeting.late.id]["isVideoOff"]


def _add(count: Count, meeting: Meeting, talking: list[Guest]) -> None:
    count.near.add(meeting.near)
    count.add(talking)
