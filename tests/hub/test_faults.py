"""A fault of ours ends a request, not a meeting: client and operator are told, and all else goes on."""

import asyncio
import logging

import pytest

from mikroroom.core.effects import Effects
from mikroroom.core.room import Room
from mikroroom.hub import hub as hubs
from mikroroom.protocol.codes import CloseCode
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Step, Verb

from .cast import CODE, POLICY, Clock
from .conftest import HouseWith


class Faulty(MemoryStore):
    """A store that fails when told to; ``is_far`` if its answers have to be waited for."""

    def __init__(self) -> None:
        super().__init__(max_rooms=100, max_latent_rooms=10, policy=POLICY, clock=Clock())
        self.fault: Exception | None = None
        self.is_far = False

    def create(self, room: Room, effects: Effects) -> Step:
        return self._answer(lambda: super(Faulty, self).create(room, effects))

    def transact(self, code: str, verb: Verb) -> Step:
        return self._answer(lambda: super(Faulty, self).transact(code, verb))

    def tidy(self) -> bool:
        if self.fault is not None:
            raise self.fault
        return super().tidy()

    def _answer(self, act: object) -> Step:
        assert callable(act)
        if self.is_far:
            return self._later(act)
        if self.fault is not None:
            raise self.fault
        act()
        return None

    async def _later(self, act: object) -> None:
        assert callable(act)
        for _ in range(3):
            await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        act()


def lines_in(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def faults_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines about faults, each of which must have its traceback."""
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert all(record.exc_info for record in records)
    return [record.getMessage() for record in records]


@pytest.mark.parametrize("is_far", [False, True])
async def test_a_fault_is_told_to_its_client_and_the_log_and_to_nobody_else(
    house_with: HouseWith, caplog: pytest.LogCaptureFixture, is_far: bool
) -> None:
    store = Faulty()
    house = house_with(store)
    ada, bob = house.meeting("Ada", "Bob")
    store.is_far = is_far
    store.fault = ZeroDivisionError("somewhere deep")
    bob.says("raise-hand")
    ada.says("room-locked")
    await house.settles()
    (error,) = bob.hears()
    assert (error["code"], error["requestType"]) == ("SERVER_ERROR", "raise-hand")
    assert "deep" not in error["message"], "what went wrong is not for strangers"
    assert ada.hears_types() == ["SERVER_ERROR"]
    assert [line.split()[:2] for line in faults_in(caplog)] == [
        ["failed", "request=raise-hand"],
        ["failed", "request=room-locked"],
    ]

    store.fault = None
    bob.says("chat", text="as if nothing had happened")
    bob.says("raise-hand")
    await house.settles()
    assert ada.hears_types() == ["chat", "raise-hand", "participant-updated"]


@pytest.mark.parametrize("is_far", [False, True])
async def test_a_join_that_fails_leaves_its_client_outside_and_able_to_try_again(
    house_with: HouseWith, caplog: pytest.LogCaptureFixture, is_far: bool
) -> None:
    store = Faulty()
    house = house_with(store)
    ada, bob = house.arrives("Ada"), house.arrives("Bob")
    store.is_far = is_far
    store.fault = OSError("out of reach")
    ada.joins(isHost=True)
    ada.says("chat", text="anyone?")
    bob.joins()
    await house.settles()
    assert ada.hears_types() == ["SERVER_ERROR", "NOT_IN_ROOM"]
    assert bob.hears_types() == ["SERVER_ERROR"]
    assert house.hub.roster._people == {}
    assert len(faults_in(caplog)) == 2

    store.fault, store.is_far = None, False
    ada.joins(isHost=True)
    await house.settles()
    bob.joins()
    await house.settles()
    assert bob.hears_types() == ["participant-joined", "participant-joined"]


async def test_a_meeting_over_a_store_that_is_far_away_is_a_meeting(house_with: HouseWith) -> None:
    store = Faulty()
    store.is_far = True
    house = house_with(store)
    ada, bob = house.arrives("Ada"), house.arrives("Bob")
    ada.joins(isHost=True)
    ada.says("room-locked")
    ada.says("chat", text="locked")
    await house.settles()
    assert ada.hears_types() == ["participant-joined", "room-locked", "chat"]
    bob.joins()
    await house.settles()
    ada.says("room-unlocked")
    ada.says("leave")
    await house.settles()
    assert ada.hears_types() == ["waiting-room", "room-unlocked", "participant-joined"]
    bob.is_lost()
    await house.settles()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (house.hub.roster.participants, house.hub.roster._people, house.hub._losses._under_way) == (
        0,
        {},
        set(),
    )


@pytest.mark.parametrize("is_far", [False, True])
async def test_a_loss_that_the_store_cannot_take_is_told_to_it_again(
    house_with: HouseWith, caplog: pytest.LogCaptureFixture, is_far: bool
) -> None:
    store = Faulty()
    house = house_with(store)
    ada, bob = house.meeting("Ada", "Bob")
    store.fault, store.is_far = OSError("out of reach"), is_far
    bob.is_lost()
    await house.settles()
    assert [line.split()[0] for line in lines_in(caplog, logging.WARNING)] == ["store-failed"]
    assert house.hub.roster.participants == 1
    assert ada.hears() == []

    store.fault = None
    house.hub._tidy()
    await house.settles()
    assert ada.hears_types() == ["participant-left"]


async def test_tidying_goes_on_after_a_fault(house_with: HouseWith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "TIDY_EVERY", 0.001)
    store = Faulty()
    house = house_with(store)
    store.fault = OSError("out of reach")
    async with asyncio.timeout(20):
        while len(house.faults) < 3:
            await asyncio.sleep(0.005)
    assert {str(fault["exception"]) for fault in house.faults} == {"out of reach"}
    house.faults.clear()
    store.fault = None


async def test_a_stopped_hub_starts_again_with_the_rooms_it_has(house_with: HouseWith) -> None:
    """All connections are closed by a stop; whoever simply comes again finds the room (R46)."""
    house = house_with()
    ada, bob = house.meeting("Ada", "Bob")
    await house.hub.stop()
    assert (ada.closed, bob.closed) == (CloseCode.RESTARTING, CloseCode.RESTARTING)
    assert (house.hub.is_stopping, house.hub.roster._people) == (True, {})
    house.hub.start()
    assert not house.hub.is_stopping
    cleo = house.arrives("Cleo")
    cleo.joins()
    assert cleo.hears_types() == ["participant-joined"]
    assert set(house.hub.roster._audiences[CODE]) == {cleo.session.id}


async def test_starting_twice_is_starting_once(
    house_with: HouseWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_with()
    timer = house.hub._tidying
    monkeypatch.setattr(house.store, "start", lambda deliver: pytest.fail("started again"))
    house.hub.start()
    assert house.hub._tidying is timer
