"""What has come for an app that speaks ASGI, until it asks. Held back are clients of whom too much waits."""

import asyncio
from collections import deque
from typing import Protocol

from starlette.types import Message

# In bytes, or what is nearly the same, letters. How many messages is uvicorn's ``ws_max_queue``.
QUEUED_BYTES = 65_536


class Source(Protocol):
    """Where the messages come from."""

    ending: tuple[int, str]

    @property
    def is_held(self) -> bool:
        """Whether it was told to pause."""

    def pause(self) -> None:
        """Take no more for the moment."""

    def resume(self) -> None:
        """Go on."""


class Inbox:
    """The events of one WebSocket. ``get`` is ASGI's ``receive``; the others are ``direct.Receiver``'s."""

    __slots__ = ("_end", "_events", "_limit", "_loop", "_size", "_waiters", "source")

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self._limit = limit
        self._loop = loop
        self._events: deque[Message] = deque()
        self._size = 0
        self._waiters: list[asyncio.Future[Message]] = []
        self._end: Message | None = None
        self.source: Source | None = None

    def receive(self, text: str) -> None:
        """A text message."""
        self.put({"type": "websocket.receive", "text": text})

    def receive_bytes(self, data: bytes) -> None:
        """A binary message."""
        self.put({"type": "websocket.receive", "bytes": data})

    def end(self) -> None:
        """The source has ended."""
        if self.source is not None:
            self.put_end(*self.source.ending)

    def put(self, event: Message) -> None:
        """An event, for whoever has waited longest, or asks next."""
        while self._waiters:
            waiter = self._waiters.pop(0)
            if not waiter.done():
                waiter.set_result(event)
                return
        self._events.append(event)
        self._size += _size_of(event)
        if self.source is not None and self._is_full():
            self.source.pause()

    def put_end(self, code: int, reason: str) -> None:
        """The last event there is: everyone gets it who still asks."""
        if self._end is None:
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(self._end)
            self._waiters.clear()

    async def get(self) -> Message:
        """The next event; after the last one, that one again."""
        if self._events:
            return self._take()
        if self._end is not None:
            return self._end
        waiter: asyncio.Future[Message] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and (event := waiter.result()) is not self._end:
                self._events.appendleft(event)  # it came in the very moment
                self._size += _size_of(event)
            raise

    def take_all(self) -> list[Message]:
        """The messages that wait, for whom takes over."""
        messages = [event for event in self._events if event["type"] == "websocket.receive"]
        self._events.clear()
        self._size = 0
        self._let_go_on()
        return messages

    def _take(self) -> Message:
        event: Message = self._events.popleft()
        self._size -= _size_of(event)
        self._let_go_on()
        return event

    def _let_go_on(self) -> None:
        if self.source is not None and self.source.is_held and not self._is_full():
            self.source.resume()

    def _is_full(self) -> bool:
        return len(self._events) > self._limit or self._size > QUEUED_BYTES


def _size_of(event: Message) -> int:
    return len(event.get("text") or event.get("bytes") or "")
