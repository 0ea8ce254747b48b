"""A server that is killed in the middle of meetings (R30, R46)."""

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from .conftest import Serving
from .crashes import SETTLED, crashes
from .people import Person, Plain, all_agree, all_back, all_go, eventually, visitor


async def test_after_ten_kills_everyone_is_who_and_where_they_were(tmp_path: Path) -> None:
    seed = 4
    score = await crashes(tmp_path, faults=10, seed=seed)
    print(f"\ncrashes, seed {seed}: {score}")
    assert score.wrongs == []
    assert (score.disordered, score.inexplicable) == (0, 0)
    assert score.due > 0
    assert (score.resumes, score.replayed) == (10 * 4, 0)


async def test_an_office_behind_one_address_comes_back_together_after_a_kill(serving: Serving) -> None:
    server = serving()
    await server.starts()
    people = [await Person(f"P{number}", server).comes(isHost=True) for number in range(6)]
    await asyncio.sleep(SETTLED)
    await server.dies()
    await server.starts(connections_per_minute=1)
    await all_back(people)
    await all_agree(people, lambda who: len(who.people) == 6)
    async with visitor(server) as connection:
        assert (await Plain(connection).joins("OTHER2", isHost=True))["type"] == "participant-joined"
    with pytest.raises(InvalidStatus):
        await visitor(server)
    assert [wrong for person in people for wrong in (*person.wrongs, *person.errors)] == []
    await all_go(people)


async def test_a_kill_right_after_a_return_forgets_the_newest_token_only(serving: Serving) -> None:
    server = serving()
    await server.starts()
    ada = await Person("Ada", server).comes(isHost=True)
    await asyncio.sleep(SETTLED)
    was = ada.id
    for _ in range(3):
        ada.may_return.clear()
        ada.hangs_up()
        await eventually(lambda: not ada.is_here.is_set())
        ada.may_return.set()
        await ada.is_back()
        await server.dies()
        await eventually(lambda: not ada.is_here.is_set())
        await server.starts()
        await ada.is_back()
        assert (ada.id, ada.resumes[-1]["replayed"]) == (was, False)
        await asyncio.sleep(SETTLED)
    assert ada.wrongs == []
    await ada.goes()
