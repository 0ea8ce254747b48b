"""A meeting of two behind nginx."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from mikroroom.client import Backoff, Client
from mikroroom.protocol import events

from .nginx import PATIENCE, Nginx

CODE = "ABC123"

Event = TypeVar("Event")


async def hears(client: Client, kind: type[Event]) -> Event:
    """The next event of this kind."""
    async with asyncio.timeout(PATIENCE):
        while True:
            heard = await client.receive()
            if isinstance(heard, kind):
                return heard


async def talk(speaker: Client, listener: Client, text: str) -> None:
    """One says something, and the other hears it."""
    await speaker.chat(text)
    while (await hears(listener, events.Chat)).text != text:
        pass


@asynccontextmanager
async def meeting(
    nginx: Nginx, path: str = "/ws", *, resume: bool = True, **options: Any
) -> AsyncIterator[tuple[Client, Client]]:
    """Ada and Bob are in. Without ``resume`` the loss of a connection is the end, and fails the test."""
    options.setdefault("backoff", Backoff(0.05, 0.2))
    async with nginx.dial(path=path, **options) as ada, nginx.dial(path=path, **options) as bob:
        await ada.join(CODE, "Ada", is_host=True, resume=resume)
        await bob.join(CODE, "Bob", resume=resume)
        await hears(ada, events.ParticipantJoined)
        yield ada, bob


def cut(client: Client) -> None:
    """Break its connection, without a word."""
    client._line._connection.transport.abort()
