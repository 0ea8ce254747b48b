"""The course of a test: everyone connects, joins, sends, and what is still owed at the end is lost."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from mikroroom.loadtest.busyness import Busyness
from mikroroom.loadtest.people import Room
from mikroroom.loadtest.score import Failure
from mikroroom.loadtest.stage import Stage
from mikroroom.loadtest.storm import Storm
from mikroroom.loadtest.traffic import Traffic
from mikroroom.loadtest.visitors import SlowReaders, come_and_go
from mikroroom.loadtest.wire import Wire

_CONNECTING_AT_ONCE = 64
# Where no storm of joins is wanted.
_JOINING_AT_ONCE = 8
_POLL = 0.02
_LIMITED_PATIENCE = 0.5


class Unreachable(Exception):
    """The very first connection could not be made. Says why."""


async def run(stage: Stage, busyness: Busyness) -> None:
    """Everything up to the end of sending. What is owed is looked at in ``settle``.

    Raises:
        Unreachable: there is no server.
    """
    seats = [(room, await stage.connect()) for room in stage.rooms[:1]]
    if stage.score.unconnected:
        raise Unreachable(next(iter(stage.score.unconnected)))
    wanted = [room for room in stage.rooms for _ in range(stage.plan.people)][1:]
    wanted += [room for room in stage.storm_rooms for _ in range(room.seats)]
    stage.doing = "connecting"
    seats += await _connect_all(stage, wanted)
    await _join_all(stage, [(room, wire) for room, wire in seats if wire is not None])
    if any(room.residents for room in stage.rooms):
        await _send_all(stage, busyness)


async def settle(stage: Stage, patience: float) -> None:
    """Wait for what is under way; what has not come by then is lost, and who is still shown is a ghost."""
    stage.doing, stage.share = "waiting for what is under way", 1.0
    stage.see_visitors_out()
    await _until(lambda: not any(map(_owed, stage.rooms)), patience)
    if any(resident.was_limited for room in stage.rooms for resident in room.present()):
        # Some of theirs will never come; this is for the rest.
        await asyncio.sleep(min(_LIMITED_PATIENCE, patience))
    for room in stage.rooms:
        for sender in room.present():
            stage.lose(sender, sum(sender.owed(peer) for peer in room.present()))
    await _check_rosters(stage, patience)


async def close(stage: Stage) -> None:
    """End all connections there are."""
    stage.doing = "closing"
    for visit in stage.book.visits.values():
        if visit.numbering is not None and not visit.is_over:
            visit.leave()  # so that no place is kept
        visit.is_over = True
    await asyncio.gather(*(stage.close(wire) for wire in list(stage.wires)))


async def _connect_all(stage: Stage, rooms: list[Room]) -> list[tuple[Room, Wire | None]]:
    turns = asyncio.Semaphore(_CONNECTING_AT_ONCE)
    done = 0

    async def connect(room: Room) -> tuple[Room, Wire | None]:
        nonlocal done
        async with turns:
            wire = await stage.connect()
        done += 1
        stage.share = done / len(rooms)
        return room, wire

    return await asyncio.gather(*(connect(room) for room in rooms))


async def _join_all(stage: Stage, seats: list[tuple[Room, Wire]]) -> None:
    """All at the same moment, or some at a time; then everyone must know everyone of their room."""
    stage.doing, done = "joining", 0
    turns = asyncio.Semaphore(len(seats) if "joins" in stage.plan.scenarios else _JOINING_AT_ONCE)

    async def join(room: Room, wire: Wire) -> None:
        nonlocal done
        is_resumable = True if room in stage.storm_rooms else None
        async with turns:
            visit = await stage.join(wire, room, is_late=False, is_resumable=is_resumable)
        if visit is not None:
            room.residents.append(visit)
        done += 1
        stage.share = done / len(seats)

    await asyncio.gather(*(join(room, wire) for room, wire in seats))
    await _check_rosters(stage, stage.plan.patience)


async def _send_all(stage: Stage, busyness: Busyness) -> None:
    plan, rooms = stage.plan, [room for room in stage.rooms if room.residents]
    traffic = Traffic(rooms, plan.scenarios, plan.rate, stage.score)
    stage.doing, stage.share = "sending", 0.0
    slow = SlowReaders(stage)
    async with asyncio.TaskGroup() as visitors:
        for number in range(plan.churners):
            visitors.create_task(come_and_go(stage, rooms[number % len(rooms)], number))
        for number in range(plan.slow_readers):
            room = rooms[number % len(rooms)]
            room.has_slow_reader = True
            visitors.create_task(slow.never_read(room))
        began = perf_counter()
        if stage.storm_rooms:
            visitors.create_task(_storm(stage).break_out(began + plan.seconds / 2))
        telling = visitors.create_task(_tell_share(stage, began, plan.seconds))
        try:
            with busyness:
                await traffic.flow(began + plan.seconds)
        finally:
            stage.score.sending_seconds = perf_counter() - began
            stage.is_ending = True
            telling.cancel()
        stage.doing, stage.share = "waiting for those who come and go", 1.0


def _storm(stage: Stage) -> Storm:
    wires = {id(wire): wire for wire in stage.wires}
    people = [(visit, wires[id(visit.line)]) for room in stage.storm_rooms for visit in room.present()]
    return Storm(stage, [(visit, wire) for visit, wire in people if visit.numbering is not None])


async def _tell_share(stage: Stage, began: float, seconds: float) -> None:
    while True:
        stage.share = min((perf_counter() - began) / seconds, 1.0)
        await asyncio.sleep(0.1)


async def _check_rosters(stage: Stage, patience: float) -> None:
    """Everyone must be told of everyone in the room, and of nobody else."""
    rooms = (*stage.rooms, *stage.storm_rooms)
    await _until(lambda: not any(map(_wrong_rosters, rooms)), patience)
    wrong = sum(map(_wrong_rosters, rooms))
    if wrong:
        stage.score.failures[Failure.WRONG_ROSTERS] += wrong


def _wrong_rosters(room: Room) -> int:
    present = room.present()
    ids = {resident.id for resident in present}
    return sum(resident.roster != ids for resident in present)


def _owed(room: Room) -> bool:
    present = room.present()
    return any(sender.owed(peer) for sender in present if not sender.was_limited for peer in present)


async def _until(is_so: Callable[[], bool], patience: float) -> None:
    deadline = perf_counter() + patience
    while not is_so() and perf_counter() < deadline:  # noqa: ASYNC110 - of many things, none of which tells
        await asyncio.sleep(_POLL)
