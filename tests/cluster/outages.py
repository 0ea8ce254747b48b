"""A Redis that dies, freezes, forgets or loses its connections in the middle of a meeting of two workers.

Meanwhile those on one worker go on talking to each other, and what would change the room is either done or
refused.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.reliability.people import CODE, Plain, all_back, all_go, visitor
from tests.reliability.restarts import Conversation, all_heard
from websockets.exceptions import ConnectionClosed

from .cluster import Cluster
from .count import Count
from .people import Guest, all_see, are_one, soon, told

# Within so many seconds everyone who asked for something is told that it cannot be done; on a busy machine.
ANSWERED = 5.0 + 15.0
FORGETFUL = ("--appendonly", "no")
DURABLE = ("--appendonly", "yes")


Play = Callable[[Cluster], Coroutine[object, object, None]]


class Outage(NamedTuple):
    """What happens to Redis. ``is_noticed`` if workers say that they are not ready meanwhile."""

    name: str
    play: Play
    options: tuple[str, ...] = FORGETFUL
    is_noticed: bool = True


def _dies(seconds: float) -> Play:
    async def play(cluster: Cluster) -> None:
        cluster.redis.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(cluster.redis.start)

    return play


def _stands_still(seconds: float) -> Play:
    async def play(cluster: Cluster) -> None:
        cluster.redis.freeze()
        await asyncio.sleep(seconds)
        cluster.redis.thaw()

    return play


async def _is_emptied(cluster: Cluster) -> None:
    cluster.command("FLUSHALL")


async def _is_slow(cluster: Cluster) -> None:
    for pipe in cluster.pipes:
        pipe.delay = 0.3
    await asyncio.sleep(3)
    for pipe in cluster.pipes:
        pipe.delay = 0


async def _resets(cluster: Cluster) -> None:
    for pipe in cluster.pipes:
        pipe.shuts()
    await asyncio.sleep(5)
    for pipe in cluster.pipes:
        pipe.reopens()


async def _drops_everyone(cluster: Cluster) -> None:
    for _ in range(15):
        cluster.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.1)


OUTAGES: Mapping[str, Outage] = {
    "killed": Outage("Redis killed, and started again empty", _dies(1.0)),
    "revived": Outage("Redis away for 5 s, and started again from its disk", _dies(5.0), DURABLE),
    "emptied": Outage("Redis emptied (FLUSHALL)", _is_emptied, is_noticed=False),
    "frozen-1": Outage("Redis frozen for 1 s", _stands_still(1.0), is_noticed=False),
    "frozen-4": Outage("Redis frozen for 4 s", _stands_still(4.0)),
    "frozen-6": Outage("Redis frozen for 6 s, three leases", _stands_still(6.0)),
    "slow": Outage("Redis slow: 0.3 s for each answer", _is_slow, is_noticed=False),
    "refused": Outage("Redis refuses connections for 5 s", _resets),
    "dropped": Outage("all connections of Redis closed, 15 times", _drops_everyone, is_noticed=False),
}


async def outages(folder: Path, faults: int, seed: int, *, kind: str) -> Count:
    """Play one of ``OUTAGES`` so many times."""
    outage = OUTAGES[kind]
    count = Count(faults=faults)
    async with Cluster(folder, servers=2, piped=(0, 1), redis_options=outage.options) as cluster:
        for number in range(faults):
            await _play(cluster, outage, count, seed + number)
    return count


async def _play(cluster: Cluster, outage: Outage, count: Count, seed: int) -> None:
    groups = [
        [Guest(f"{letter}{n}", [worker], repeats=bool(n % 2), seed=seed) for n in range(3)]
        for letter, worker in zip("AB", cluster.workers, strict=True)
    ]
    people = [person for group in groups for person in group]
    for person in people:
        await person.comes(isHost=True)
    ada, bob, carl = people[0], groups[1][0], groups[1][1]
    ada.says("moderator-action", targetId=bob.id, action="make-moderator")
    await all_see(people, lambda who: who.people.get(bob.id, {}).get("isModerator", False))
    carl.is_now(isHandRaised=True)
    await all_see(people, lambda who: len(who.people) == 6 and who.people[carl.id]["isHandRaised"])
    conversation = Conversation(people, seed)
    await asyncio.sleep(random.Random(seed).uniform(0.2, 0.5))

    watching = asyncio.create_task(_watch(cluster))
    playing = asyncio.create_task(outage.play(cluster))
    try:
        await asyncio.sleep(0.2)
        is_locked, is_muted, is_joined = await asyncio.gather(
            _tries(ada, "room-locked", lambda: ada.locked_by == ada.id),
            _tries(
                bob,
                "moderator-action",
                lambda: bob.people[carl.id]["isMuted"],
                targetId=carl.id,
                action="mute",
            ),
            _joins(cluster, f"Stranger {seed}"),
        )
        await playing
    finally:
        watching.cancel()
        playing.cancel()
    began = time.monotonic()
    await cluster.are_up()
    await all_back(people)
    if outage.is_noticed and len(cluster.unready) < len(cluster.workers):
        count.wrongs.append(f"only {cluster.unready} said that they were not ready")
    if not await soon(lambda: are_one(people)):
        count.wrongs.append(f"these do not agree after the outage:\n{told(people)}")
    count.seconds.append(time.monotonic() - began)

    await conversation.ends()
    await all_heard(people)
    everyone = list(people)
    if ada.locked_by is None:
        everyone.append(Guest("Late", [cluster.workers[1]], seed=seed))
        await everyone[-1].comes()
    answered = {"locked": is_locked, "muted": is_muted, "raised": True, "moderator": True}
    for person in everyone:
        carls, bobs = person.people.get(carl.id, {}), person.people.get(bob.id, {})
        found = {
            "locked": person.locked_by is not None,
            "muted": carls.get("isMuted"),
            "raised": carls.get("isHandRaised"),
            "moderator": bobs.get("isModerator"),
        }
        if any(answer not in {None, found[what]} for what, answer in answered.items()):
            count.wrongs.append(
                f"{person!r} knows {found}, and the answers were {answered} (joined: {is_joined})"
            )
    for group in groups:
        count.near.add(group)
    count.add(people)
    await count.ends(cluster, everyone)
    await all_go(everyone)
    await cluster.counts(0, 0)


async def _tries(person: Guest, kind: str, is_done: Callable[[], bool], **fields: object) -> bool | None:
    """Ask for something, and wait for what comes of it. Returns whether it was done; else it was refused.

    None where the answer was lost with the connection, and nothing followed but a snapshot.
    """

    def refusals() -> int:
        return sum(refusal.get("requestType") == kind for refusal in person.refusals)

    def snapshots() -> int:
        return sum(not own["replayed"] for own in person.resumes)

    before, closes = (refusals(), snapshots()), len(person.closes)
    person.says(kind, **fields)
    is_answered = await soon(
        lambda: is_done() or (refusals(), snapshots()) != before or len(person.closes) > closes, ANSWERED
    )
    assert is_answered, f"{kind}: no answer"
    if len(person.closes) > closes:
        return None
    return refusals() == before[0]


async def _joins(cluster: Cluster, name: str) -> bool:
    """Somebody joins, and leaves again. Returns whether it was let in."""
    async with visitor(cluster.workers[1]) as connection:
        stranger = Plain(connection)
        with contextlib.suppress(ConnectionClosed):  # of whoever was in already: all are to come again
            async with asyncio.timeout(ANSWERED):
                answer = await stranger.joins(CODE, name)
            if answer["type"] == "error":
                assert answer["code"] == "SERVER_ERROR", answer
                return False
            await stranger.says("leave")
    return True


async def _watch(cluster: Cluster) -> None:
    """Note which workers say that they are not ready."""
    cluster.unready.clear()
    while True:
        for worker in cluster.workers:
            if await worker.status("/ready") == 503:
                cluster.unready.add(worker.port)
        await asyncio.sleep(0.05)
