"""The server stops (uvicorn's shutdown): everyone is told, and nobody can hold it up."""

import asyncio

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from .conftest import SiteWith
from .site import Site, choked
from .wire import PATIENCE, Op, close, text

# What uvicorn takes from its users is a whole number of seconds; what it works with need not be.
GRACE = 0.2


async def stops(site: Site) -> None:
    """All of uvicorn's shutdown, in time."""
    async with asyncio.timeout(PATIENCE):
        await site.server.shutdown()


@pytest.fixture
async def stopping(site_with: SiteWith) -> Site:
    """A site that gives its connections some moments when it stops."""
    return await site_with(timeout_graceful_shutdown=GRACE)


async def test_everyone_is_told(stopping: Site) -> None:
    """1012 to the clients and to the app."""
    everybody = [await stopping.opened() for _ in range(5)]
    stop = asyncio.create_task(stops(stopping))
    for wire, call in everybody:
        await wire.is_closed_with(1012)
        wire.send(close(1012))
        await wire.ends()
        await call.is_disconnected(1012)
        with pytest.raises(ClientDisconnected):
            await call.says("send", text="x")
        call.returns()
    await stop
    await stopping.is_left()


async def test_client_that_does_not_answer(stopping: Site) -> None:
    wire, call = await stopping.opened()
    stop = asyncio.create_task(stops(stopping))
    await wire.is_closed_with(1012)
    call.returns()
    await stop
    await wire.ends()


async def test_client_that_talks_on(stopping: Site) -> None:
    wire, call = await stopping.opened()
    stop = asyncio.create_task(stops(stopping))
    for _ in range(50):
        wire.send(text("x" * 1_000))
    await call.hears_to_the_end()
    call.returns()
    await stop
    await wire.rest()


async def test_connection_that_is_closing_already(stopping: Site) -> None:
    """There is no second close frame."""
    wire, call = await stopping.opened()
    await call.says("close", code=3000)
    call.returns()
    await wire.is_closed_with(3000)
    await stops(stopping)
    await wire.ends()
    await stopping.is_left()


async def test_app_that_never_returns(stopping: Site) -> None:
    wire, call = await stopping.opened()
    stop = asyncio.create_task(stops(stopping))
    await wire.is_closed_with(1012)
    await stop
    await stopping.is_left()
    assert call.is_cancelled
    await wire.ends()


async def test_client_that_does_not_read(stopping: Site) -> None:
    wire, call = await stopping.opened(receive_buffer=4_096)
    wire.transport.pause_reading()
    sending = await choked(call)
    await stops(stopping)
    with pytest.raises(ClientDisconnected):
        await asyncio.wait_for(sending, PATIENCE)
    call.returns()
    await stopping.is_left()


@pytest.mark.parametrize("is_answered", [False, True], ids=["not answered", "half denied"])
async def test_handshake_that_the_app_has_not_answered(stopping: Site, is_answered: bool) -> None:
    wire, call = await stopping.asked()
    await call.hears()
    if is_answered:
        await call.says("http.response.start", status=401, headers=[])
    stop = asyncio.create_task(stops(stopping))
    if not is_answered:
        assert (await wire.refusal())[0].status in {500, 503}
    await wire.rest()
    await call.is_disconnected(1006)
    with pytest.raises((RuntimeError, ClientDisconnected)):
        await call.says("accept")
    call.returns()
    await stop


async def test_what_was_said_before_is_heard(stopping: Site) -> None:
    wire, call = await stopping.opened()
    await call.says("send", text="x" * 200_000)
    stop = asyncio.create_task(stops(stopping))
    assert (await wire.next()).opcode == Op.TEXT
    await wire.is_closed_with(1012)
    call.returns()
    await stop
