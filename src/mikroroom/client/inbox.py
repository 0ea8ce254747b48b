"""What a client has heard, until its application asks. Knows neither messages nor connections."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

# In letters. The server holds as much for a client that does not read.
INBOX_LIMIT = 1_048_576

ItemT = TypeVar("ItemT")


class Inbox(Generic[ItemT]):
    """Things in order, and then perhaps an end. Whoever puts in waits for ``room`` between two."""

    def __init__(self, limit: int = INBOX_LIMIT) -> None:
        self._limit = limit
        self._items: deque[tuple[ItemT | Exception, int]] = deque()
        self._size = 0
        self._end: Exception | None = None
        self._is_filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, item: ItemT | Exception, size: int = 0) -> None:
        """One more; an exception is raised where it comes. ``size`` counts against the limit."""
        self._items.append((item, size))
        self._size += size
        self._is_filled.set()
        if self._size >= self._limit:
            self._has_room.clear()

    def end(self, why: Exception) -> None:
        """Nothing more comes; of several ends the first one counts."""
        self._end = self._end or why
        self._is_filled.set()

    async def room(self) -> None:
        """Wait until less is held than the limit."""
        await self._has_room.wait()

    async def get(self) -> ItemT:
        """The next item. After the last one, the end is raised every time. Safe to cancel."""
        while not self._items:
            if self._end is not None:
                raise self._end.with_traceback(None)
            self._is_filled.clear()
            await self._is_filled.wait()
        item, size = self._items.popleft()
        self._size -= size
        if self._size < self._limit:
            self._has_room.set()
        if isinstance(item, Exception):
            raise item
        return item
