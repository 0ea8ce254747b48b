"""Connections that are cut, with a reset or without a word, while people talk (R41 to R44, R47)."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

from .people import Person, all_go, eventually
from .proxy import Network
from .restarts import Conversation, all_heard
from .score import Score
from .servers import Server

# A peer that does not answer is given up after a few seconds: those who do answer may take a moment for it.
WATCHFUL: dict[str, Any] = {"ping_interval": 0.5, "ping_timeout": 2.5}
REPLACED = 4503


async def cuts(folder: Path, faults: int, seed: int) -> Score:
    """Cut one person off so many times in the middle of a conversation: frozen, or reset, in turn.

    Frozen connections are given up by the person at once, or not before the server has done so.
    """
    score = Score(faults=faults)
    chance = random.Random(seed)
    server = Server(folder, **WATCHFUL)
    try:
        await server.starts()
        async with Network(server) as network:
            people = [Person(f"P{n}", server, repeats=bool(n % 2), seed=seed) for n in range(4)]
            unlucky = people[-1]
            network.carries(unlucky)
            for person in people:
                await person.comes(isHost=True)
            conversation = Conversation(people, seed)
            for number in range(faults):
                await asyncio.sleep(chance.uniform(0.05, 0.3))
                began = time.monotonic()
                await _cut(network, unlucky, people, how=number % 3)
                score.seconds.append(time.monotonic() - began)
            await conversation.ends()
            await all_heard(people)
            score.add(people)
            await all_go(people)
        await server.stops()
    finally:
        server.close()
    return score


async def _cut(network: Network, unlucky: Person, people: list[Person], *, how: int) -> None:
    """Reset, frozen and replaced, or frozen and noticed by the server; then it comes back."""
    resumes = len(unlucky.resumes)
    unlucky.may_return.clear()
    if how == 0:
        network.breaks()
    else:
        network.freezes()
    if how == 2:
        # The server's pings are not answered.
        await eventually(lambda: not people[0].people[unlucky.id]["isConnected"])
    unlucky.hangs_up()
    unlucky.may_return.set()
    await eventually(lambda: len(unlucky.resumes) > resumes)
    assert unlucky.resumes[-1]["replayed"] is True
    await eventually(lambda: all(who.people[unlucky.id]["isConnected"] for who in people))
