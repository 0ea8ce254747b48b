"""Who does not keep up, and who floods: bounded, and nobody else's trouble."""

import asyncio
import contextlib

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected

from mikroroom.protocol.codes import CloseCode

from .conftest import Hurry, SiteWith
from .site import Site, choked, stands_still
from .wire import PATIENCE, Frame, Op, Wire, frame, text

CHUNK = 65_536
# More than systems hold in the buffers of a connection, with a receive buffer that does not grow.
CHUNKS = 256


async def test_app_that_does_not_receive_holds_its_client_back(site: Site) -> None:
    """And then gets everything, in order."""
    wire, call = await site.opened()
    for number in range(CHUNKS):
        wire.send(frame(Op.BINARY, number.to_bytes(2) + b"x" * (CHUNK - 2)))
    left = await stands_still(wire.transport.get_write_buffer_size)
    assert left > 0, "all of it was taken"
    for number in range(CHUNKS):
        assert (await call.hears())["bytes"][:2] == number.to_bytes(2)
    wire.send(text("last"))
    await call.hears_text("last")


async def test_client_that_does_not_read_makes_the_app_wait(site: Site) -> None:
    """And then gets everything, in order."""
    wire, call = await site.opened(receive_buffer=4_096)
    wire.transport.pause_reading()
    sent = 0

    async def sends() -> None:
        nonlocal sent
        while sent < CHUNKS:
            await call.sends(sent.to_bytes(2) + b"x" * (CHUNK - 2))
            sent += 1

    sending = asyncio.create_task(sends())
    assert await stands_still(lambda: sent) < CHUNKS, "all of it was taken"
    wire.transport.resume_reading()
    for number in range(CHUNKS):
        assert (await wire.next()).payload[:2] == number.to_bytes(2)
    await asyncio.wait_for(sending, PATIENCE)


async def test_app_that_waits_is_told_that_the_client_is_gone(site: Site) -> None:
    wire, call = await site.opened(receive_buffer=4_096)
    wire.transport.pause_reading()
    sending = await choked(call)
    wire.resets()
    with pytest.raises(ClientDisconnected):
        await asyncio.wait_for(sending, PATIENCE)
    await call.hears_to_the_end()


@pytest.mark.parametrize("end", ["returns", "closes", "raises"])
async def test_end_does_not_wait_for_who_does_not_read(site: Site, hurry: Hurry, end: str) -> None:
    """The connection is gone, though not all of what was sent to it could be."""
    wire, call = await site.opened(receive_buffer=4_096)
    hurry(site)
    wire.transport.pause_reading()
    sending = await choked(call)
    sending.cancel()
    match end:
        case "closes":
            closing = asyncio.create_task(call.says("close", code=3000))
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(closing, 0.2)
            call.returns()
        case "returns":
            call.returns()
        case "raises":
            call.raises(ZeroDivisionError())
    await site.is_left()


# Floods

CARRY_NOTHING = {
    "pings": frame(Op.PING) * 50_000,
    "long pings": frame(Op.PING, b"x" * 125) * 5_000,
    "pongs": frame(Op.PONG) * 50_000,
    "empty fragments": frame(Op.TEXT, b"a", fin=False) + frame(Op.CONTINUATION, fin=False) * 50_000,
    "empty messages": frame(Op.BINARY) * 50_000,
}
CARRY_LITTLE = {
    "tiny fragments": frame(Op.TEXT, b"a", fin=False) + frame(Op.CONTINUATION, b"a", fin=False) * 50_000,
    "tiny messages": text("a") * 50_000,
}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Any app. What a disconnect says is left in the lifespan's state."""
    if scope["type"] == "lifespan":
        scope["state"]["codes"] = []
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    with contextlib.suppress(OSError, RuntimeError):
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})
    if event["type"] == "websocket.receive":
        while (event := await receive())["type"] == "websocket.receive":
            pass
    scope["state"]["codes"].append(event["code"])


async def talker(site: Site) -> Wire:
    """A client of ``echo``."""
    wire = await site.wire()
    wire.asks()
    assert (await wire.answer()).status == 101
    return wire


@pytest.mark.parametrize("flood", CARRY_NOTHING.values(), ids=CARRY_NOTHING)
async def test_flood_of_frames_is_ended(site_with: SiteWith, flood: bytes) -> None:
    """Others are heard meanwhile, and afterwards."""
    site = await site_with(echo)
    ada, eve = await talker(site), await talker(site)
    eve.send(flood)
    for words in ("meanwhile", "and more"):
        ada.send(text(words))
        assert await ada.next() == Frame(Op.TEXT, words.encode())
    await eve.rest()
    codes = site.server.lifespan.state["codes"]
    async with asyncio.timeout(PATIENCE):
        while not codes:
            await asyncio.sleep(0.001)
    assert codes == [CloseCode.TOO_MANY_REFUSED]
    ada.send(text("afterwards"))
    assert await ada.next() == Frame(Op.TEXT, b"afterwards")


@pytest.mark.parametrize("flood", CARRY_LITTLE.values(), ids=CARRY_LITTLE)
async def test_flood_that_says_something_holds_up_nobody(site_with: SiteWith, flood: bytes) -> None:
    """How much may be said is for the app to decide; the guard, which knows no turns, puts an end to it."""
    site = await site_with(echo)
    ada, eve = await talker(site), await talker(site)
    eve.send(flood)
    for words in ("meanwhile", "and more", "and afterwards"):
        ada.send(text(words))
        assert await ada.next() == Frame(Op.TEXT, words.encode())


async def test_lively_client_is_no_flood(site_with: SiteWith) -> None:
    site = await site_with(echo)
    wire = await talker(site)
    wire.send(frame(Op.PING, b"p") * 150, text("x") * 2_000)
    assert [await wire.next() for _ in range(150)] == [Frame(Op.PONG, b"p")] * 150
    assert [await wire.next() for _ in range(2_000)] == [Frame(Op.TEXT, b"x")] * 2_000
