"""The function of the site: told in order, one event at a time, and never in anybody's way."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mikroroom.core.chronicle import RoomEvent
from mikroroom.hub import hooks
from mikroroom.hub.hooks import EventHook, OnEvent
from mikroroom.hub.outside import Outside
from mikroroom.logs import Line
from mikroroom.meters import Meters

from .cast import House
from .conftest import HouseWith

PATIENCE = 20.0


def event(number: int = 0) -> RoomEvent:
    return RoomEvent(type="room.started", room_id=f"ROOM{number:02}", timestamp=1)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop waits for what is told: on a slow machine too."""
    monkeypatch.setattr(hooks, "STOP_PATIENCE", PATIENCE)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end at the latest: no thread stays behind."""
    event = threading.Event()
    yield event
    event.set()


class Told:
    """What a function was told, and a hook that tells it."""

    def __init__(self, on_event: OnEvent, timeout: float = 5.0) -> None:
        self.meters = Meters()
        self.hook = EventHook(on_event, timeout, self.meters)

    async def __aenter__(self) -> EventHook:
        self.hook.start()
        return self.hook

    async def __aexit__(self, *_: object) -> None:
        await self.hook.stop()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.msg.event for record in caplog.records if isinstance(record.msg, Line)]


async def happens(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


async def test_async_function_is_told_in_order_one_at_a_time() -> None:
    heard: list[str] = []
    busy = 0

    async def on_event(event: RoomEvent) -> None:
        nonlocal busy
        busy += 1
        await asyncio.sleep(0)
        heard.append(event.room_id)
        assert busy == 1
        busy -= 1

    async with Told(on_event) as hook:
        for number in range(20):
            hook.tell(event(number))
    assert heard == [f"ROOM{number:02}" for number in range(20)], "a stop waits for them"


async def test_plain_function_is_called_in_a_thread_of_its_own() -> None:
    heard: list[tuple[str, bool]] = []

    def on_event(event: RoomEvent) -> None:
        heard.append((event.room_id, threading.current_thread() is threading.main_thread()))

    async with Told(on_event) as hook:
        hook.tell(event(1))
        hook.tell(event(2))
    assert heard == [("ROOM01", False), ("ROOM02", False)]


async def test_whatever_can_be_called_may_be_the_function() -> None:
    heard: list[str] = []

    class Callable:
        async def __call__(self, event: RoomEvent) -> None:
            heard.append("object")

    async def later() -> None:
        heard.append("awaitable")

    for on_event in (Callable(), lambda _: later()):
        async with Told(on_event) as hook:
            hook.tell(event())
    assert heard == ["object", "awaitable"]


async def test_function_that_fails_is_told_the_next(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def on_event(event: RoomEvent) -> None:
        heard.append(event.room_id)
        raise RuntimeError("the site is broken")

    told = Told(on_event)
    async with told as hook:
        hook.tell(event(1))
        hook.tell(event(2))
    assert heard == ["ROOM01", "ROOM02"]
    assert lines(caplog) == ["hook-failed"] * 2
    assert told.meters.hook_failures == {"exception": 2}


@pytest.mark.parametrize("problem", [asyncio.CancelledError, SystemExit, StopIteration])
@pytest.mark.parametrize("is_plain", [True, False])
async def test_function_that_would_end_more_than_itself_is_told_the_next(
    problem: type[BaseException], is_plain: bool
) -> None:
    heard: list[str] = []

    def fail(event: RoomEvent) -> None:
        heard.append(event.room_id)
        raise problem

    async def fail_later(event: RoomEvent) -> None:
        fail(event)

    told = Told(fail if is_plain else fail_later)
    async with told as hook:
        hook.tell(event(1))
        hook.tell(event(2))
        await happens(lambda: told.meters.hook_failures["exception"] == 2)
    assert heard == ["ROOM01", "ROOM02"]


async def test_async_function_that_takes_too_long_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    async def on_event(event: RoomEvent) -> None:
        if event.room_id == "ROOM01":
            await asyncio.sleep(3_600)
        heard.append(event.room_id)

    told = Told(on_event, timeout=0.02)
    async with told as hook:
        hook.tell(event(1))
        hook.tell(event(2))
    assert heard == ["ROOM02"]
    assert lines(caplog) == ["hook-timeout"]


async def test_plain_function_that_never_returns_is_called_no_second_time_meanwhile(
    release: threading.Event,
) -> None:
    heard: list[str] = []

    def on_event(event: RoomEvent) -> None:
        heard.append(event.room_id)
        if event.room_id == "ROOM01":
            release.wait(PATIENCE)

    async def times_out(number: int) -> None:
        count = told.meters.hook_failures["timeout"] + 1
        hook.tell(event(number))
        await happens(lambda: told.meters.hook_failures["timeout"] == count)

    told = Told(on_event, timeout=0.02)
    async with told as hook:
        while not heard:  # a thread may begin too late, and then not at all
            await times_out(1)
        for number in (2, 3):
            await times_out(number)
        assert heard == ["ROOM01"]
        release.set()
        told.hook._timeout = PATIENCE
        hook.tell(event(4))
    assert heard == ["ROOM01", "ROOM04"]


async def test_events_past_the_bound_are_counted_and_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "MOST_WAITING", 3)
    heard: list[str] = []

    async def on_event(event: RoomEvent) -> None:
        heard.append(event.room_id)

    told = Told(on_event)
    async with told as hook:
        for number in range(6):
            hook.tell(event(number))
        await happens(lambda: len(heard) == 3)
        hook.tell(event(7))
    assert heard == ["ROOM00", "ROOM01", "ROOM02", "ROOM07"]
    assert told.meters.hook_failures == {"overflow": 3}
    assert lines(caplog) == ["hook-overflow"]


async def test_stop_waits_no_longer_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "STOP_PATIENCE", 0.02)

    async def on_event(event: RoomEvent) -> None:
        await asyncio.sleep(3_600)

    async with Told(on_event) as hook:
        hook.tell(event())
        await asyncio.sleep(0)


async def test_what_happens_in_rooms_is_told_with_its_time(house_with: HouseWith) -> None:
    heard: list[RoomEvent] = []

    async def on_event(event: RoomEvent) -> None:
        heard.append(event)

    house: House = house_with()
    hook = EventHook(on_event, 5, house.hub.meters)
    house.hub._outside = Outside([hook])
    hook.start()
    ada, bob = house.meeting("Ada", "Bob")
    bob.says("leave")
    await house.settles()
    await hook.stop()
    assert [one.type for one in heard] == [
        "room.started",
        "participant.joined",
        "participant.joined",
        "participant.left",
    ]
    assert {one.timestamp for one in heard} == {house.wall()}
    assert heard[1].participant is not None and heard[1].participant.id == ada.id
