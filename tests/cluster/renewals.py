"""Workers that are stopped in good order: one after the other, all at once, or by their parent one by one."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.reliability.people import all_back, all_go, eventually
from tests.reliability.restarts import Conversation, all_heard

from .cluster import Cluster
from .count import Count
from .people import Guest

PEOPLE = 6
RESTARTING = 1012
Fault = Callable[[Cluster, list[Guest]], Awaitable[None]]


async def rolls(folder: Path, faults: int, seed: int) -> Count:
    """Restart all workers, one after the other, so many times; meanwhile the others have its people."""

    async def roll(cluster: Cluster, people: list[Guest]) -> None:
        for worker in cluster.workers:
            code, _ = await worker.stops()
            assert code == 0, worker.said()
            await worker.starts()
            await all_back(people)

    return await _renewals(folder, faults, seed, roll)


async def restarts(folder: Path, faults: int, seed: int) -> Count:
    """Stop all workers at once, so many times, and start them again: meanwhile there is nobody to go to."""

    async def restart(cluster: Cluster, people: list[Guest]) -> None:
        ends = await asyncio.gather(*(worker.stops() for worker in cluster.workers))
        assert [code for code, _ in ends] == [0] * len(ends), [worker.said() for worker in cluster.workers]
        for worker in cluster.workers:
            worker.launches()
        await cluster.are_up()
        await all_back(people)

    return await _renewals(folder, faults, seed, restart)


async def hangups(folder: Path, faults: int, seed: int) -> Count:
    """Have one parent replace its three workers, one by one, so many times (SIGHUP)."""

    async def renew(cluster: Cluster, people: list[Guest]) -> None:
        parent = cluster.workers[0]
        before = len(parent.said("worker-replaced"))
        parent.run.process.send_signal(signal.SIGHUP)
        await eventually(lambda: len(parent.said("worker-replaced")) == before + 3, parent.said)
        # The last one has still to stop.
        await eventually(lambda: len(parent.said("stopped seconds=")) == before + 3, parent.said)
        await all_back(people)

    return await _renewals(folder, faults, seed, renew, servers=1, workers=3)


async def _renewals(
    folder: Path,
    faults: int,
    seed: int,
    renew: Fault,
    *,
    servers: int = 3,
    **settings: Any,
) -> Count:
    count = Count(faults=faults)
    chance = random.Random(seed)
    async with Cluster(folder, servers=servers, **settings) as cluster:
        people = [
            Guest(
                f"P{number}",
                cluster.workers[number % len(cluster.workers) :],
                repeats=bool(number % 2),
                seed=seed,
            )
            for number in range(PEOPLE)
        ]
        for person in people:
            await person.comes(isHost=True)
            person.doors = cluster.workers
        conversation = Conversation(people, seed)
        for _ in range(faults):
            await asyncio.sleep(chance.uniform(0.2, 0.6))
            began = time.monotonic()
            await renew(cluster, people)
            count.seconds.append(time.monotonic() - began)
        await conversation.ends()
        await all_heard(people)
        count.add(people)
        codes = {code for person in people for _, code in person.closes}
        if codes != {RESTARTING}:
            count.wrongs.append(f"connections were closed with {codes}")
        await count.ends(cluster, people)
        await all_go(people)
        await cluster.counts(0, 0)
    return count
