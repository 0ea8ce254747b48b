"""A real server, and what is between: cables that are cut, and restarts in the middle of a word."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mikroroom.client import Backoff, Client, Resumed, Suspended
from mikroroom.protocol import events

from .stage import CODE
from .world import PATIENCE, Cable, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A server, which must not have failed."""
    house = House(tmp_path)
    house.opens()
    yield house
    house.ends()
    assert "Traceback" not in house.log.read_text()


@pytest.fixture
async def cable(house: House) -> AsyncIterator[Cable]:
    """A way to it."""
    cable = Cable(house.port)
    await cable.opens()
    yield cable
    await cable.shuts()


class Talker:
    """Somebody who says ``count`` texts one after the other, and notes all that is heard."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.heard: list[str] = []
        self.returns: list[Resumed] = []
        self.losses: list[Suspended] = []
        self._has_heard = asyncio.Condition()

    async def speaks(self, count: int) -> None:
        """At the pace of a lively conversation: never more than a few ahead of what it hears."""
        for number in range(count):
            await self.client.chat(f"{self.name} {number}")
            await self.has_heard(lambda said=number: self._own() > said - 5)

    async def listens(self) -> None:
        """Until it is stopped."""
        async for event in self.client:
            match event:
                case events.Chat(text=text):
                    self.heard.append(text)
                case Resumed():
                    self.returns.append(event)
                case Suspended():
                    self.losses.append(event)
            async with self._has_heard:
                self._has_heard.notify_all()

    async def has_heard(self, enough: Any) -> None:
        """Wait until it has heard enough."""
        async with self._has_heard, asyncio.timeout(PATIENCE):
            await self._has_heard.wait_for(enough)

    def _own(self) -> int:
        return sum(text.startswith(self.name) for text in self.heard)


@contextlib.asynccontextmanager
async def talker(port: int, name: str, **options: Any) -> AsyncIterator[Talker]:
    """Somebody in the room, who listens."""
    backoff = Backoff(0.05, 0.2)
    url = f"ws://127.0.0.1:{port}/ws"
    async with Client.connect(url, backoff=backoff, proxy=None, **options) as client:
        await client.join(CODE, name, is_host=True)
        talker = Talker(client, name)
        listening = asyncio.create_task(talker.listens())
        yield talker
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def converse(ada: Talker, bob: Talker, count: int) -> None:
    """Both speak at once; in the end each has heard everything once, in order, and both the same."""
    async with asyncio.TaskGroup() as talk:
        talk.create_task(ada.speaks(count))
        talk.create_task(bob.speaks(count))
    for who in (ada, bob):
        await who.has_heard(lambda who=who: len(who.heard) >= 2 * count)
        for name in ("Ada", "Bob"):
            said = [text for text in who.heard if text.startswith(name)]
            assert said == [f"{name} {number}" for number in range(count)]
    assert ada.heard == bob.heard


async def test_a_cable_cut_again_and_again_loses_no_word(house: House, cable: Cable) -> None:
    async with talker(cable.port, "Ada") as ada, talker(house.port, "Bob") as bob:
        me = ada.client.id

        async def cut() -> None:
            for turn in range(1, 11):
                await bob.has_heard(lambda turn=turn: len(bob.heard) >= 40 * turn)
                await ada.has_heard(lambda turn=turn: len(ada.returns) >= turn - 1)
                cable.is_cut()

        cutting = asyncio.create_task(cut())
        await converse(ada, bob, 250)
        await cutting
        await ada.has_heard(lambda: len(ada.returns) == 10)
        assert all(back.replayed and back.own.participant_id == me for back in ada.returns)
        assert not bob.losses


async def test_a_cable_that_is_pulled_is_noticed_and_the_old_connection_replaced(
    house: House, cable: Cable
) -> None:
    async with (
        talker(cable.port, "Ada", ping_interval=0.1, ping_timeout=0.2) as ada,
        talker(house.port, "Bob") as bob,
    ):
        await converse(ada, bob, 5)
        ada.heard.clear()
        bob.heard.clear()
        cable.is_pulled()
        await converse(ada, bob, 50)
        assert ada.returns


async def test_a_restart_in_the_middle_of_a_conversation_loses_no_word(house: House) -> None:
    async with talker(house.port, "Ada") as ada, talker(house.port, "Bob") as bob:
        ids = [ada.client.id, bob.client.id]

        async def restart() -> None:
            for turn in (1, 2, 3):
                await bob.has_heard(lambda turn=turn: len(bob.heard) >= 60 * turn)
                for who in (ada, bob):
                    await who.has_heard(lambda who=who, turn=turn: len(who.returns) >= turn - 1)
                assert await house.shuts() == 0
                house.opens()

        restarting = asyncio.create_task(restart())
        await converse(ada, bob, 150)
        await restarting
        for who in (ada, bob):
            await who.has_heard(lambda who=who: len(who.returns) == 3)
            assert [lost.code for lost in who.losses] == [1012] * 3
            assert all(back.replayed for back in who.returns)
        assert [ada.client.id, bob.client.id] == ids
