"""Answers of Redis that are lost after it has done what it was told, again and again: all is done once."""

import asyncio
import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.reliability.people import all_go
from tests.reliability.restarts import Conversation, all_heard

from .cluster import Cluster
from .count import Count
from .people import Guest, soon

# Of so many pieces that go to Redis, one is followed by a reset.
ONE_IN = 40


async def lost_answers(folder: Path, faults: int, seed: int) -> Count:
    """Lose so many answers of any kind, while people talk, come, go, and change what they can."""
    count = Count()
    chance = random.Random(seed)
    async with Cluster(folder, piped=(0, 1, 2)) as cluster:
        people = [
            Guest(f"P{number}", cluster.workers[number % 3 :], repeats=bool(number % 2), seed=seed)
            for number in range(6)
        ]
        for person in people:
            await person.comes(isHost=True, maxParticipants=20)
        for pipe in cluster.pipes:
            pipe.cut_after = lambda _: chance.random() < 1 / ONE_IN
        conversation = Conversation(people, seed)
        is_over = asyncio.Event()
        passing = [asyncio.create_task(_pass_by(cluster, is_over, seed + number)) for number in range(3)]
        deeds = 0
        began = time.monotonic()
        while sum(pipe.cuts for pipe in cluster.pipes) < faults:
            deeds += 1
            await _do_all(people, is_up=bool(deeds % 2))
        count.seconds.append(time.monotonic() - began)
        is_over.set()
        passed = [guest for guests in await asyncio.gather(*passing) for guest in guests]
        for pipe in cluster.pipes:
            count.faults += pipe.cuts
            pipe.cut_after = None
        await cluster.are_up()
        await conversation.ends()
        await all_heard(people)
        count.add(people)
        await count.ends(cluster, people)
        for person in people:
            count.wrongs += _not_once(person, people, passed, deeds)
        await all_go(people)
        await cluster.counts(0, 0)
    return count


async def _do_all(people: list[Guest], *, is_up: bool) -> None:
    """Each does one thing to the room that everyone hears of, and hears of it from everyone."""
    host, *others = people
    before = {person: len(person.history) for person in people}
    host.says("room-locked" if is_up else "room-unlocked")
    for person in others:
        person.says("raise-hand" if is_up else "lower-hand")
        person.people[person.id]["isHandRaised"] = is_up  # it is not told itself
    await soon(lambda: all(host.people[person.id]["isHandRaised"] is is_up for person in others))
    await soon(lambda: all((person.locked_by is not None) is is_up for person in people))
    assert all(len(person.history) > before[person] for person in people)


async def _pass_by(cluster: Cluster, is_over: asyncio.Event, seed: int) -> list[Guest]:
    """Join and leave again, one after the other. Returns who did, all of them gone."""
    chance = random.Random(seed)
    guests: list[Guest] = []
    while not is_over.is_set():
        guest = Guest(f"Q{seed}-{len(guests)}", chance.sample(cluster.workers, 3), seed=seed)
        guests.append(guest)
        await guest.comes()
        # Where the door is locked, it waits to be let in.
        await soon(partial(_is_in_or_too_late, guest, is_over))
        await guest.goes()
    return guests


def _is_in_or_too_late(guest: Guest, is_over: asyncio.Event) -> bool:
    return is_over.is_set() or not guest.is_waiting


def _not_once(person: Guest, people: list[Guest], passed: list[Guest], deeds: int) -> list[str]:
    """What this one did not hear exactly as often as it happened."""
    heard = Counter((event[0], event[1]) for event in person.history)
    wrongs: list[str] = []
    for guest in passed:
        for who in guest.ids:
            joined, left = heard["participant-joined", who], heard["participant-left", who]
            if not joined <= left <= 1:
                wrongs.append(f"{person!r} heard {guest!r} join {joined} times, and leave {left} times")
    for other in people[1:]:
        if other is not person:
            raised, lowered = heard["raise-hand", other.id], heard["lower-hand", other.id]
            if (raised, lowered) != ((deeds + 1) // 2, deeds // 2):
                wrongs.append(f"{person!r} heard {other!r} raise {raised}, lower {lowered} hands of {deeds}")
    host = people[0]
    if person is not host:
        locked = heard["room-locked", host.id], heard["room-unlocked", host.id]
        if locked != ((deeds + 1) // 2, deeds // 2):
            wrongs.append(f"{person!r} heard {locked} locks and unlocks of {deeds}")
    return wrongs
