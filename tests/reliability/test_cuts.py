"""Connections that are lost in the middle of a meeting, and taken up again (R41 to R44, R47)."""

import asyncio
from pathlib import Path

from .conftest import Serving
from .cuts import REPLACED, WATCHFUL, cuts
from .people import CODE, Person, Plain, eventually, visitor
from .proxy import Network


async def test_cut_connections_lose_nothing_that_was_said(tmp_path: Path) -> None:
    seed = 6
    score = await cuts(tmp_path, faults=6, seed=seed)
    print(f"\ncuts, seed {seed}: {score}")
    assert score.wrongs == []
    assert (score.lost, score.double, score.disordered) == (0, 0, 0)
    assert score.due > 0
    assert score.resumes == score.replayed == 6


async def test_who_resumes_while_the_old_connection_seems_open_replaces_it(serving: Serving) -> None:
    server = serving()
    await server.starts()
    ada = await Person("Ada", server).comes(isHost=True)
    async with visitor(server) as old, visitor(server) as new:
        bob = await Plain(old).joins(CODE, "Bob", resume=True)
        await eventually(lambda: bob["participantId"] in ada.people)
        ada.says("offer", targetId=bob["participantId"], sdp="1")
        again = Plain(new)
        back = await again.joins(CODE, "Bob", resumeToken=bob["resumeToken"], lastSeq=1)
        assert (back["participantId"], back["replayed"]) == (bob["participantId"], True)
        assert await Plain(old).is_closed() == REPLACED
        heard = [await again.hears(), await again.hears()]
        assert [message["seq"] for message in heard] == [2, 3]
        assert [message["type"] for message in heard] == ["participant-joined", "offer"]
    assert ada.wrongs == []
    await ada.goes()


async def test_who_is_cut_off_is_gone_when_the_window_is_over(
    serving: Serving,
) -> None:
    server = serving(resume_window=4, **WATCHFUL)
    await server.starts()
    async with Network(server) as network:
        ada, bob = Person("Ada", server), Person("Bob", server)
        network.carries(ada)
        await ada.comes(isHost=True)
        await bob.comes()
        ada.may_return.clear()
        network.freezes()
        await eventually(lambda: not bob.people[ada.id]["isConnected"])
        assert bob.people[ada.id]["isHost"], "the host's place is held"
        await eventually(lambda: set(bob.people) == {bob.id})
        assert bob.people[bob.id]["isHost"]
        ada.hangs_up()
        ada.may_return.set()
        # Late: it is told so, and comes afresh.
        await eventually(lambda: [error["code"] for error in ada.errors] == ["RESUME_FAILED"])
        await ada.is_back()
        await eventually(lambda: len(bob.people) == 2)
        await asyncio.gather(ada.goes(), bob.goes())
