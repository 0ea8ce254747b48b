"""Those who are not residents: people who come and go all the time, and people who never read."""

import asyncio
import random
from itertools import cycle, islice
from time import perf_counter

from mikroroom.loadtest import payload
from mikroroom.loadtest.people import Room, Visit
from mikroroom.loadtest.score import Failure
from mikroroom.loadtest.stage import Stage
from mikroroom.loadtest.wire import Wire
from mikroroom.protocol.codec import encode

_STAY = 0.2
_AFTER_REFUSAL = 1.0
_WAYS_TO_GO = ("word", "close", "drop")

# 3 MB a second: the buffers of two systems take some megabytes before the server's own fills.
_CHUNK_EVERY = 0.02
_MOST_CHUNKS = 1_024
_CUT_OFF_PATIENCE = 20.0
_RECEIVE_BUFFER = 4_096
# So many are fed at one time, so that feeding them is not what loads the server.
_FED_AT_ONCE = 4


async def come_and_go(stage: Stage, room: Room, number: int) -> None:
    """Enter, have an offer answered, and go, until the test ends."""
    ways = islice(cycle(_WAYS_TO_GO), number % len(_WAYS_TO_GO), None)
    wire: Wire | None = None
    while not stage.is_ending:
        if wire is None or wire.closed.is_set():
            wire = await stage.connect()
        visit = await stage.join(wire, room, is_late=True) if wire is not None else None
        if wire is None or visit is None:
            await asyncio.sleep(_AFTER_REFUSAL)
            continue
        await _pass_the_time(stage, visit)
        # From one address connections are few: whoever has one keeps it.
        way = next(ways) if stage.sources.are_many else "word"
        wire = await _go(stage, visit, wire, way)
    if wire is not None:
        await stage.close(wire)


async def _pass_the_time(stage: Stage, visit: Visit) -> None:
    peers = visit.room.present()
    if peers:
        peer = random.choice(peers)  # noqa: S311
        visit.offer(peer)
        try:
            async with asyncio.timeout(stage.plan.patience):
                await visit.answers.acquire()
        except TimeoutError:
            if not visit.is_over and not peer.is_over:
                stage.lose(visit, visit.owed(peer))
                stage.lose(peer, peer.owed(visit))
    await asyncio.sleep(_STAY)


async def _go(stage: Stage, visit: Visit, wire: Wire, way: str) -> Wire | None:
    """Leave the room in one of three ways. Gives the connection if there still is one."""
    if visit.is_over:
        return None
    if way == "word":
        visit.leave()
        return wire
    # Whose place is kept would go on taking a seat: such a one comes back, and leaves.
    visit.is_over = visit.numbering is None
    if way == "close":
        await stage.close(wire)
    else:
        stage.drop(wire)
    if visit.is_over:
        return None
    again = await stage.resume(visit, wire.source)
    visit.leave()
    return again


class SlowReaders:
    """People who never read, each with a companion who sends it a file, and what became of them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._turns = asyncio.Semaphore(_FED_AT_ONCE)

    async def never_read(self, room: Room) -> None:
        """Put one into a room, and see that the server cuts it off (R33)."""
        stage = self._stage
        async with self._turns:
            reader_wire, wire = await stage.connect(receive_buffer=_RECEIVE_BUFFER), await stage.connect()
            if reader_wire is None or wire is None:
                return
            reader = await stage.join(reader_wire, room, is_late=True, is_resumable=False)
            companion = await stage.join(wire, room, is_late=True, is_resumable=False)
            if reader is not None and companion is not None:
                reader_wire.stop_reading()
                # From here on it is expected to be closed.
                reader.is_over = True
                is_cut_off = await self._feed(reader, companion, wire)
                await self._see_out(reader_wire, is_cut_off=is_cut_off or companion.is_over)
                companion.is_over = True
                await stage.close(wire)

    async def _feed(self, reader: Visit, companion: Visit, wire: Wire) -> bool:
        """Send until the reader is said to have left; whether that came."""
        began, index, has_seen = perf_counter(), 0, False
        while not has_seen or reader.id in companion.roster:
            if companion.is_over or perf_counter() - began > _CUT_OFF_PATIENCE or index == _MOST_CHUNKS:
                return False
            has_seen = has_seen or reader.id in companion.roster
            if not wire.is_paused:
                wire.send(encode(payload.chunk(reader.id, index)))
                index += 1
            await asyncio.sleep(_CHUNK_EVERY)
        self._stage.score.cutting_off.add(int((perf_counter() - began) * 1e9))
        return True

    async def _see_out(self, wire: Wire, *, is_cut_off: bool) -> None:
        """Read again after all, to learn how the server ended the connection."""
        score = self._stage.score
        if not is_cut_off:
            score.failures[Failure.NOT_CUT_OFF] += 1
            score.slow_readers["not cut off"] += 1
            self._stage.drop(wire)
            return
        wire.go_on_reading()
        try:
            async with asyncio.timeout(_CUT_OFF_PATIENCE):
                await wire.closed.wait()
        except TimeoutError:
            score.slow_readers["never closed"] += 1
            self._stage.drop(wire)
        else:
            score.slow_readers[str(wire.code)] += 1
            self._stage.wires.discard(wire)
