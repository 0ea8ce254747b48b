"""Those outside the rooms who want to know what happens in them: a function of the site, and its webhook."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from mikroroom.core.chronicle import RoomEvent


class Listener(Protocol):
    """One of them. All of this is called on the event loop; nothing may hold it up."""

    def start(self) -> None:
        """Begin, on this event loop; where it has begun on one that is no more, anew."""

    def tell(self, event: RoomEvent) -> None:
        """Something has happened."""

    async def stop(self) -> None:
        """Finish soon: a stop waits for no more than a second."""


class Outside:
    """All listeners there are."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = listeners

    def start(self) -> None:
        """See ``Listener``."""
        for listener in self._listeners:
            listener.start()

    def tell(self, event: RoomEvent) -> None:
        """See ``Listener``."""
        for listener in self._listeners:
            listener.tell(event)

    async def stop(self) -> None:
        """See ``Listener``."""
        await asyncio.gather(*(listener.stop() for listener in self._listeners))
