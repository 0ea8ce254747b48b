"""The heartbeat: each in its time, with one timer for all of them (R34)."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from mikroroom.transport.heartbeat import Heartbeat


class Timer:
    """A call to come."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call = at, call
        self.is_cancelled = False

    def cancel(self) -> None:
        """Not any more."""
        self.is_cancelled = True


class Loop:
    """An event loop's clock, set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()

    def time(self) -> float:
        """Seconds."""
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> Timer:
        """A timer."""
        timer = Timer(at, call)
        heapq.heappush(self._timers, (at, next(self._count), timer))
        return timer

    def call_soon(self, call: Callable[..., None], *arguments: object) -> None:
        """Next."""
        self.call_at(self.now, partial(call, *arguments))

    @property
    def timers(self) -> int:
        """How many timers are set."""
        return sum(not timer.is_cancelled for _, _, timer in self._timers)

    def runs_until(self, end: float) -> None:
        """Time goes on, and what is due is called."""
        while self._timers and self._timers[0][0] <= end:
            at, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, at)
            if not timer.is_cancelled:
                timer.call()
        self.now = end


class Client:
    """A connection that notes when it was pinged, and answers if it lives."""

    def __init__(self, loop: Loop, heartbeat: Heartbeat, *, lives: bool = True) -> None:
        self.loop, self.heartbeat, self.lives = loop, heartbeat, lives
        self.pinged: list[float] = []
        self.gone: float | None = None
        heartbeat.watch(self)

    def ping(self, payload: bytes) -> None:
        """A ping has come."""
        assert len(payload) <= 125
        self.pinged.append(self.loop.now)
        if self.lives:
            self.heartbeat.answered(self)

    def give_up(self) -> None:
        """The server has given it up."""
        assert self.gone is None
        self.gone = self.loop.now


@pytest.fixture
def loop() -> Loop:
    """A clock at noon."""
    return Loop()


def beating(loop: Loop, interval: float | None, timeout: float | None) -> Heartbeat:
    """A heartbeat on that clock."""
    return Heartbeat(interval, timeout, cast("asyncio.AbstractEventLoop", cast("Any", loop)))


def test_who_answers_is_asked_once_an_interval(loop: Loop) -> None:
    ada = Client(loop, beating(loop, 20, 20))
    loop.runs_until(100)
    assert ada.pinged == pytest.approx([20, 40, 60, 80, 100])
    assert ada.gone is None


def test_who_does_not_answer_is_given_up_after_the_timeout(loop: Loop) -> None:
    heartbeat = beating(loop, 20, 10)
    ada, bob = Client(loop, heartbeat), Client(loop, heartbeat, lives=False)
    loop.runs_until(100)
    assert bob.pinged == pytest.approx([20])
    assert bob.gone == pytest.approx(30, abs=0.5)
    assert len(ada.pinged) == 5


@pytest.mark.parametrize(("interval", "timeout"), [(5, 60), (60, 5)])
def test_either_may_be_the_longer(loop: Loop, interval: float, timeout: float) -> None:
    heartbeat = beating(loop, interval, timeout)
    dead = Client(loop, heartbeat, lives=False)
    loop.runs_until(interval + 1)
    late = Client(loop, heartbeat)
    loop.runs_until(3 * (interval + timeout))
    assert dead.gone == pytest.approx(interval + timeout, rel=0.02)
    assert late.pinged[0] == pytest.approx(2 * interval + 1, rel=0.02)


def test_an_answer_at_the_last_moment_is_one(loop: Loop) -> None:
    heartbeat = beating(loop, 20, 20)
    ada = Client(loop, heartbeat, lives=False)
    loop.runs_until(39.9)
    heartbeat.answered(ada)
    loop.runs_until(59)
    assert ada.gone is None
    loop.runs_until(100)
    assert ada.pinged == pytest.approx([20, 59.9])
    assert ada.gone == pytest.approx(79.9, abs=0.5)


def test_who_was_not_asked_cannot_answer(loop: Loop) -> None:
    heartbeat = beating(loop, 20, 20)
    ada = Client(loop, heartbeat)
    loop.runs_until(19)
    heartbeat.answered(ada)
    loop.runs_until(21)
    assert ada.pinged == pytest.approx([20], abs=0.5)


def test_a_fault_in_one_leaves_the_others_their_heartbeat(loop: Loop) -> None:
    heartbeat = beating(loop, 20, 20)
    ada, bob = Client(loop, heartbeat), Client(loop, heartbeat)

    def fault(payload: bytes) -> None:
        raise RuntimeError

    ada.ping = fault  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        loop.runs_until(21)
    loop.runs_until(60)
    assert len(bob.pinged) >= 2


def test_who_is_forgotten_hears_no_more(loop: Loop) -> None:
    heartbeat = beating(loop, 20, 20)
    people = [Client(loop, heartbeat, lives=False) for _ in range(3)]
    heartbeat.forget(people[0])
    loop.runs_until(30)
    heartbeat.forget(people[1])
    heartbeat.forget(people[1])
    loop.runs_until(100)
    assert [len(person.pinged) for person in people] == [0, 1, 1]
    assert [person.gone is not None for person in people] == [False, False, True]
    assert not heartbeat._resting
    assert not heartbeat._asked
    assert loop.timers == 0, "nothing is left to be done"


def test_many_have_one_timer_and_those_near_each_other_go_together(loop: Loop) -> None:
    heartbeat = beating(loop, 20, 20)
    people = []
    for number in range(1_000):
        loop.runs_until(number / 50)  # 20 seconds' worth of arrivals
        people.append(Client(loop, heartbeat))
        assert loop.timers == 1
    strikes = 0
    strike = heartbeat._strike

    def count() -> None:
        nonlocal strikes
        strikes += 1
        strike()

    heartbeat._strike = count  # type: ignore[method-assign]
    loop.runs_until(60)
    assert all(len(person.pinged) in {1, 2} for person in people)
    assert strikes <= 210, "not one for each of the thousand"


@pytest.mark.parametrize("interval", [None, 0])
def test_without_an_interval_nobody_is_asked(loop: Loop, interval: float | None) -> None:
    ada = Client(loop, beating(loop, interval, 20))
    loop.runs_until(1_000)
    assert not ada.pinged
    assert loop.timers == 0


@pytest.mark.parametrize("timeout", [None, 0])
def test_without_a_timeout_nobody_is_given_up(loop: Loop, timeout: float | None) -> None:
    ada = Client(loop, beating(loop, 20, timeout), lives=False)
    loop.runs_until(100)
    assert ada.pinged == pytest.approx([20, 40, 60, 80, 100])
    assert ada.gone is None
