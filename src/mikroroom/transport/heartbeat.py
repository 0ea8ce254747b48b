"""Pings for all the WebSockets of one server, with one timer for all of them (R34)."""

import asyncio
from typing import Protocol

# Pings that are due at nearly the same time go out together: this part of the interval apart at the most.
_COARSENESS = 0.01


class Living(Protocol):
    """A connection whose other end may be dead."""

    def ping(self, payload: bytes) -> None:
        """Send a ping; the pong will have the same payload."""

    def give_up(self) -> None:
        """No answer has come in time."""


class Heartbeat:
    """Pings a connection ``interval`` seconds after its last pong, and waits ``timeout`` for the answer.

    An interval of None or 0 sends no pings; a timeout of None or 0 waits for no answer.
    """

    def __init__(
        self, interval: float | None, timeout: float | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._interval = interval or 0.0
        self._timeout = timeout or 0.0
        self._loop = loop
        # Each in the order of their times, because all wait equally long.
        self._resting: dict[Living, float] = {}
        self._asked: dict[Living, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._beat = 0

    def watch(self, connection: Living) -> None:
        """A connection is open."""
        if not self._interval:
            return
        is_first = not self._resting
        self._resting[connection] = self._loop.time() + self._interval
        if is_first:
            self._wind()

    def answered(self, connection: Living) -> None:
        """The pong to the last ping has come."""
        if self._asked.pop(connection, None) is not None:
            self.watch(connection)

    def forget(self, connection: Living) -> None:
        """The connection is closing or gone."""
        self._resting.pop(connection, None)
        self._asked.pop(connection, None)

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [next(iter(waiting.values())) for waiting in (self._resting, self._asked) if waiting]
        if due:
            soonest = self._loop.time() + self._interval * _COARSENESS
            self._timer = self._loop.call_at(max(min(due), soonest), self._strike)

    def _strike(self) -> None:
        now = self._loop.time()
        silent, due = _due(self._asked, now), _due(self._resting, now)
        waiting, patience = (self._asked, self._timeout) if self._timeout else (self._resting, self._interval)
        waiting.update(dict.fromkeys(due, now + patience))
        # Before all else: a fault in one connection must not leave the others without a heartbeat.
        self._wind()
        for connection in silent:
            self._loop.call_soon(connection.give_up)
        self._beat += 1
        payload = self._beat.to_bytes(8)
        for connection in due:
            self._loop.call_soon(connection.ping, payload)


def _due(waiting: dict[Living, float], now: float) -> list[Living]:
    """Take out those whose time has come."""
    due = []
    for connection, at in waiting.items():
        if at > now:
            break
        due.append(connection)
    for connection in due:
        del waiting[connection]
    return due
