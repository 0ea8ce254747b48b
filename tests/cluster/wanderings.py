"""People on three workers who come, go and change doors: one history for all of a room, and nothing lost."""

import asyncio
import random
import time
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

from tests.reliability.people import all_back, all_go
from tests.reliability.restarts import Conversation, all_heard

from .cluster import Cluster
from .count import Count
from .outside import TELLING, wrongs_outside
from .people import Guest, are_one, soon

ROOMS = 4
# In each room so many come and go all the time, beside one on each worker who stays.
PASSING = 4


async def histories(folder: Path, faults: int, seed: int) -> Count:
    """So many visits to rooms, with locks and raised hands: all who were there heard it all in one order."""
    count = Count()
    async with Cluster(folder, **TELLING) as cluster:
        rooms = [
            [
                Guest(f"S{n}", [worker], code=f"ROOM{room:02}", seed=seed)
                for n, worker in enumerate(cluster.workers)
            ]
            for room in range(ROOMS)
        ]
        for people in rooms:
            for person in people:
                await person.comes(isHost=True, maxParticipants=20)
        conversations = [Conversation(people, seed) for people in rooms]
        began = time.monotonic()
        visits = max(1, faults // (ROOMS * PASSING))
        passing = [
            [_come_and_go(cluster, people, visits, seed * 1000 + n) for n in range(PASSING)]
            for people in rooms
        ]
        passed = await asyncio.gather(*(asyncio.gather(*each) for each in passing))
        count.seconds.append(time.monotonic() - began)
        for people, conversation in zip(rooms, conversations, strict=True):
            people[0].says("room-unlocked")
            await conversation.ends()
            await all_heard(people)
            count.add(people)
        await count.ends(cluster, *rooms)
        for people, guests in zip(rooms, passed, strict=True):
            everyone = [*people, *(guest for each in guests for guest in each)]
            count.faults += len(everyone) - len(people)
            count.wrongs += _differences(everyone)
            await all_go(people)
        await cluster.counts(0, 0)
        count.wrongs += wrongs_outside(cluster)
    return count


async def _come_and_go(cluster: Cluster, people: Sequence[Guest], visits: int, seed: int) -> list[Guest]:
    """One visit after the other, each by any door."""
    chance = random.Random(seed)
    guests: list[Guest] = []
    for number in range(visits):
        doors = chance.sample(cluster.workers, 3)
        guest = Guest(
            f"Q{seed}-{number}", doors, code=people[0].code, is_resumable=chance.random() < 0.5, seed=seed
        )
        guests.append(guest)
        await guest.comes()
        for _ in range(chance.randint(1, 3)):
            what = chance.choice(("raise-hand", "lower-hand", "chat", "room"))
            if what == "room":
                # Whoever waits at the door meanwhile comes in by the second.
                people[0].says("room-locked")
                people[0].says("room-unlocked")
            elif what == "chat":
                guest.chats()
            elif not guest.is_waiting:
                guest.says(what)
            await asyncio.sleep(chance.uniform(0, 0.03))
        await soon(partial(_is_in, guest))
        await guest.goes()
    return guests


def _is_in(guest: Guest) -> bool:
    return not guest.is_waiting


def _differences(people: Sequence[Guest]) -> list[str]:
    """Of which two people each heard the same things in another order, or one of them a thing twice."""
    wrongs = [
        f"{person!r} heard something twice: {person.history}"
        for person in people
        if len(set(person.history)) < len(person.history)
    ]
    for one, other in combinations(people, 2):
        both = set(one.history) & set(other.history)
        ours = [event for event in one.history if event in both]
        theirs = [event for event in other.history if event in both]
        if ours != theirs:
            first = next(pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1])
            wrongs.append(f"{one!r} and {other!r} heard in different orders: {first}")
    return wrongs


def _are_back(awaited: Sequence[tuple[Guest, int]]) -> bool:
    return all(len(person.returns) > before for person, before in awaited)


async def moves(folder: Path, faults: int, seed: int) -> Count:
    """Cut so many connections, of one or several people at a time, who come back by any door."""
    count = Count(faults=faults)
    chance = random.Random(seed)
    async with Cluster(folder, **TELLING) as cluster:
        people = [Guest(f"P{n}", [cluster.workers[n % 3]], repeats=bool(n % 2), seed=seed) for n in range(8)]
        for person in people:
            await person.comes(isHost=True, maxParticipants=20)
            person.doors = cluster.workers
        conversation = Conversation(people, seed)
        cuts = 0
        while cuts < faults:
            await asyncio.sleep(chance.uniform(0.0, 0.25))
            began = time.monotonic()
            unlucky = chance.sample(people, min(chance.randint(1, 4), faults - cuts))
            cuts += len(unlucky)
            awaited = [(person, len(person.returns)) for person in unlucky]
            for person in unlucky:
                person.hangs_up()
            if chance.random() < 0.3:
                continue  # and perhaps once more, before it is back
            await soon(partial(_are_back, awaited))
            count.seconds.append(time.monotonic() - began)
        await all_back(people)
        await soon(lambda: are_one(people))
        await conversation.ends()
        await all_heard(people)
        count.add(people)
        await count.ends(cluster, people)
        await all_go(people)
        await cluster.counts(0, 0)
        count.wrongs += wrongs_outside(cluster)
    return count
