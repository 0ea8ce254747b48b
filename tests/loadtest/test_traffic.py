"""What residents send, and to whom."""

import asyncio
from time import perf_counter

import pytest

from mikroroom.loadtest import traffic
from mikroroom.loadtest.people import BURST, Book, Room, Visit
from mikroroom.loadtest.score import Score
from mikroroom.loadtest.traffic import Resident, Traffic


class Paper:
    """A line that counts what is sent."""

    def __init__(self) -> None:
        self.is_paused = False
        self.sent = 0

    def send(self, message: bytes) -> None:
        self.sent += 1


class Clock:
    """Time that passes only when it is told to, or by so much with each look at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float = 0.0) -> None:
        self.now = 0.0
        self._step = step
        monkeypatch.setattr(traffic, "perf_counter", self.look)

    def look(self) -> float:
        self.now += self._step
        return self.now


def room_of(people: int) -> tuple[Room, Score]:
    score = Score()
    book, room = Book(score), Room("ABC123", people)
    room.residents += [book.visit(room, Paper(), is_late=False) for _ in range(people)]
    return room, score


def test_everyone_has_every_other_as_a_peer_in_turn() -> None:
    room, score = room_of(4)
    first = room.residents[0]
    resident = Resident(first, room, ("ice",), 0)
    assert [resident.act() for _ in range(6)] == [BURST] * 6
    assert first.sent_to == {visit.number: 2 * BURST for visit in room.residents[1:]}
    assert score.sent["ice-candidate"] == 6 * BURST


def test_nobody_sends_to_who_is_gone_or_while_the_server_takes_no_more() -> None:
    room, score = room_of(2)
    resident = Resident(room.residents[0], room, ("offers", "chat"), 0)
    room.residents[1].is_over = True
    assert [resident.act(), resident.act()] == [0, 1]
    room.residents[0].line.is_paused = True
    assert [resident.act(), resident.act()] == [0, 0]
    assert score.sent == {"offer": 0, "answer": 0, "ice-candidate": 0, "chat": 1}


async def test_at_a_rate_everyone_sends_about_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    room, score = room_of(4)
    flowing = Traffic([room], ("chat", "ice"), 1_000.0, score)
    monkeypatch.setattr(traffic, "_TICK", 0.0)
    clock = Clock(monkeypatch, step=0.0001)
    await flowing.flow(0.1)
    assert clock.now >= 0.1
    assert score.held_back == 0
    assert abs(sum(score.sent.values()) - 4 * 1_000 * 0.1) <= 4 * 2 * BURST


async def test_in_turns_nobody_sends_before_the_last_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    room, score = room_of(3)
    clock = Clock(monkeypatch)
    flowing = asyncio.create_task(Traffic([room], ("chat",), 0, score).flow(1.0))
    await asyncio.sleep(0)
    assert [visit.said for visit in room.residents] == [1, 1, 1]
    room.residents[0].take_turn()
    room.residents[0].take_turn()
    assert [visit.said for visit in room.residents] == [3, 1, 1]
    clock.now = 1.0
    await flowing
    after: Visit = room.residents[0]
    after.take_turn()
    assert after.said == 3


async def test_in_turns_who_could_not_send_is_tried_again() -> None:
    room, score = room_of(2)
    first = room.residents[0]
    first.line.is_paused = True
    flowing = asyncio.create_task(Traffic([room], ("chat",), 0, score).flow(perf_counter() + 30))
    await asyncio.sleep(0)
    assert [visit.said for visit in room.residents] == [0, 1]
    first.line.is_paused = False
    while not first.said:
        await asyncio.sleep(0)
    assert [visit.said for visit in room.residents] == [1, 1]
    flowing.cancel()


async def test_in_turns_who_hears_nothing_for_long_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "_STUCK", 0.0)
    room, score = room_of(2)
    flowing = asyncio.create_task(Traffic([room], ("offers",), 0, score).flow(perf_counter() + 30))
    while score.sent["offer"] < 6:
        await asyncio.sleep(0)
    flowing.cancel()


async def test_without_anything_to_send_the_time_passes_all_the_same() -> None:
    room, score = room_of(2)
    await Traffic([room], ("joins", "churn"), 5.0, score).flow(perf_counter() + 0.01)
    assert sum(score.sent.values()) == 0
