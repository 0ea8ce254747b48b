"""A wall clock that jumps by a day, in a process and between two: windows, limits and rooms do not (R46)."""

import asyncio
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from .conftest import Serving
from .crashes import SETTLED
from .moved_clock import set_clock
from .people import CODE, Person, Plain, all_agree, all_back, all_go, eventually, visitor
from .servers import HERE, Server

DAY = 86_400


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A clock that goes right, until it is set."""
    file = tmp_path / "clock"
    set_clock(file, 0)
    return file


def with_clock(serving: Serving, clock: Path, **settings: Any) -> Server:
    """A server whose wall clock is this one."""
    way = (str(HERE / "moved_clock.py"), str(clock), "serve", "--port")
    return serving(way, **settings)


async def stamps(speaker: Plain, count: int) -> list[int]:
    """The timestamps of what someone says now."""
    found = []
    for _ in range(count):
        await speaker.says("chat", text="0")
        chat = await speaker.hears_of("chat")
        assert chat["messageId"] == f"{chat['timestamp']}-{speaker.id}"
        found.append(chat["timestamp"])
    return found


async def test_a_clock_that_jumps_moves_no_deadline_and_repeats_no_stamp(
    serving: Serving, clock: Path
) -> None:
    server = with_clock(serving, clock, resume_window=8, rooms_per_minute=3)
    await server.starts()
    async with visitor(server) as a, visitor(server) as b:
        ada, zoe = Plain(a), Plain(b)
        await ada.joins(isHost=True)
        bob = await Person("Bob", server).comes()
        told = await stamps(ada, 3)
        for moved in (DAY, -DAY, 0):
            bob.may_return.clear()
            bob.hangs_up()
            while (heard := await ada.hears_of("participant-updated"))["isConnected"]:
                pass
            assert heard["participantId"] == bob.id
            set_clock(clock, moved)
            told += await stamps(ada, 3)
            # If its window were over, the server's next look, once a second, would find that.
            await asyncio.sleep(1.2)
            bob.may_return.set()
            await bob.is_back()
            assert bob.resumes[-1]["replayed"] is True
            told += await stamps(ada, 3)
        assert all(before < after for before, after in pairwise(told))
        assert max(told) - min(told) > DAY * 1_000 / 2, "the clock did jump"
        # Nor has the minute passed in which three rooms may be made; Ada made the first.
        assert [await made_by(zoe, f"ROOM2{number}") for number in range(3)] == [True, True, False]
        # And a window ends when it should.
        bob.may_return.clear()
        set_clock(clock, -DAY)
        bob.hangs_up()
        assert (await ada.hears_of("participant-left"))["participantId"] == bob.id
    assert bob.wrongs == []
    await bob.vanishes()


async def made_by(who: Plain, code: str) -> bool:
    """Whether someone can make a room. It leaves again."""
    answer = await who.joins(code, isHost=True)
    made = bool(answer["type"] == "participant-joined")
    if made:
        await who.says("leave")
    return made


@pytest.mark.parametrize("moved", [DAY, -DAY])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_start_with_another_clock_starts_every_window_anew(
    serving: Serving, clock: Path, moved: int, number: signal.Signals
) -> None:
    server = with_clock(serving, clock, resume_window=5)
    await server.starts()
    people = [await Person(name, server).comes(isHost=True) for name in ("Ada", "Bob", "Cleo")]
    ada, bob, cleo = people
    await all_agree(people, lambda who: len(who.people) == 3)
    ada.says("room-locked")
    await all_agree(people, lambda who: who.locked_by == ada.id)
    await asyncio.sleep(SETTLED)
    cleo.may_return.clear()
    await server.stops(number)
    set_clock(clock, moved)
    await server.starts()
    await all_back([ada, bob])
    await all_agree([ada, bob], lambda who: who.locked_by == ada.id)
    # And no longer than a window: whoever does not come back is gone.
    await eventually(lambda: set(ada.people) == {ada.id, bob.id})
    assert ada.wrongs == bob.wrongs == []
    await cleo.vanishes()
    await all_go([ada, bob])


async def test_a_latent_room_outlives_no_clock_that_was_set_back(serving: Serving, clock: Path) -> None:
    server = with_clock(serving, clock, latent_room_age=5)
    await server.starts()
    assert await server.posts("/api/rooms", {"roomId": CODE}) == 201
    await server.dies()
    set_clock(clock, -DAY)
    await server.starts()
    async with visitor(server) as a:
        assert (await Plain(a).joins())["type"] == "participant-joined"
    await eventually(lambda: server.said("room-removed", CODE) != [])
