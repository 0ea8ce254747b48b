"""Planned restarts of a live meeting: everyone talks, before, during and after (R46)."""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

from .people import Person, all_back, all_go, eventually
from .score import Score
from .servers import Server

PEOPLE = 6
# So much is waiting at the most when someone comes back that all of it is still kept for the others (R44).
MOST_UNSURE = 20


class Conversation:
    """Everyone says something every now and then, to all or to one, here or away, until told to stop."""

    def __init__(self, people: Sequence[Person], seed: int, *, pause: float = 0.06) -> None:
        self._people = people
        self._random = random.Random(seed)
        self._pause = pause
        self._talking = [asyncio.create_task(self._talk(person)) for person in people]

    async def _talk(self, person: Person) -> None:
        others = [other for other in self._people if other is not person]
        while True:
            await asyncio.sleep(self._random.uniform(0, 2 * self._pause))
            if person.unsure >= MOST_UNSURE:
                continue
            if self._random.random() < 0.5:
                person.chats()
            else:
                person.offers(self._random.choice(others))

    async def ends(self) -> None:
        """Nobody says anything more."""
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)


async def restarts(folder: Path, faults: int, seed: int) -> Score:
    """Stop and start a server so many times while a meeting goes on, and count what was heard."""
    score = Score(faults=faults)
    chance = random.Random(seed)
    server = Server(folder)
    try:
        await server.starts()
        people = [Person(f"P{n}", server, repeats=bool(n % 2), seed=seed) for n in range(PEOPLE)]
        for person in people:
            await person.comes(isHost=True)
        conversation = Conversation(people, seed)
        for _ in range(faults):
            await asyncio.sleep(chance.uniform(0.2, 0.8))
            score.seconds.append(await _restart(server, people))
            await all_back(people)
        await conversation.ends()
        await all_heard(people)
        score.add(people)
        await all_go(people)
        await server.stops()
    finally:
        server.close()
    return score


async def all_heard(people: Sequence[Person]) -> None:
    """Everyone says a last word, and hears everyone's: what was said before that and is missing is lost."""
    for person in people:
        person.chats()
    last = {(person.id, "chat", person.said[-1][1]) for person in people}
    await eventually(lambda: all(last <= set(person.heard) for person in people))


async def _restart(server: Server, people: list[Person]) -> float:
    """Returns the seconds from the first 1012 to the server being ready again."""
    before = [len(person.closes) for person in people]
    code, _ = await server.stops()
    assert code == 0, server.said()
    await server.starts()
    ready = time.monotonic()
    await eventually(lambda: all(len(person.closes) > b for person, b in zip(people, before, strict=True)))
    closes = [person.closes[count] for person, count in zip(people, before, strict=True)]
    assert [code for _, code in closes] == [1012] * len(people)
    return ready - min(at for at, _ in closes)
