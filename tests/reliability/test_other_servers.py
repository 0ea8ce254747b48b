"""Servers that are not ours: uvicorn as it comes, and a site that never runs our lifespan (R46)."""

import asyncio

from .conftest import Serving
from .crashes import SETTLED
from .people import Person, all_agree, all_back, all_go, eventually
from .servers import MOUNTED, UVICORN, Server


async def meeting_in(server: Server) -> list[Person]:
    people = [await Person(name, server).comes(isHost=True) for name in ("Ada", "Bob", "Cleo")]
    people[0].says("room-locked")
    await all_agree(people, lambda who: who.locked_by == people[0].id and len(who.people) == 3)
    return people


async def test_stock_uvicorn_stopped_as_planned_replays_what_was_said(serving: Serving) -> None:
    server = serving(UVICORN)
    await server.starts()
    people = await meeting_in(server)
    for _ in range(2):
        for person in people:
            person.chats()
        await server.stops()
        await server.starts()
        await all_back(people)
    assert [own["replayed"] for person in people for own in person.resumes] == [True] * 6
    await eventually(lambda: all(len(person.heard) == 6 for person in people))
    assert [wrong for person in people for wrong in person.wrongs] == []
    assert {code for person in people for _, code in person.closes} == {1012}
    await all_go(people)


async def test_where_no_lifespan_is_run_a_stop_is_like_a_crash(serving: Serving) -> None:
    server = serving(MOUNTED)
    await server.starts()
    people = await meeting_in(server)
    before = people[0].view()
    await asyncio.sleep(SETTLED)
    await server.stops()
    await server.starts()
    await all_back(people)
    assert [own["replayed"] for person in people for own in person.resumes] == [False] * 3
    await all_agree(people, lambda who: who.view() == before)
    assert [wrong for person in people for wrong in person.wrongs] == []
    await all_go(people)
