"""Pings of the server's (uvicorn's ``ws_ping_interval`` and ``ws_ping_timeout``): who is still there."""

import asyncio

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from .conftest import SiteWith
from .site import choked, turns
from .wire import PATIENCE, Frame, Op, Wire, close, frame, text

SOON = 0.02


async def ping(wire: Wire) -> bytes:
    """The next frame is a ping: its payload."""
    heard = await wire.next()
    assert heard.opcode == Op.PING
    assert len(heard.payload) <= 125
    return heard.payload


async def test_who_answers_stays(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=10)
    wire, call = await site.opened()
    for _ in range(5):
        wire.send(frame(Op.PONG, await ping(wire)))
    wire.send(text("still here"))
    await call.hears_text("still here")


async def test_who_does_not_answer_goes(site_with: SiteWith) -> None:
    """1011; and the connection is really gone, though the client does nothing about it."""
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=SOON)
    wire, call = await site.opened()
    await ping(wire)
    wire.send(text("not a pong"))
    await wire.is_closed_with(1011)
    # None of it, if the machine stood still just then.
    assert await call.hears_to_the_end() in (["not a pong"], [])
    await wire.ends()
    call.returns()
    await site.is_left()


async def test_app_is_told_why(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=SOON)
    _, call = await site.opened()
    await call.is_disconnected(1011)


async def test_pong_to_something_else_does_not_count(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=5 * SOON)
    wire, call = await site.opened()
    payload = await ping(wire)
    wire.send(frame(Op.PONG), frame(Op.PONG, payload + b"x"), frame(Op.PONG, b"x" * len(payload)))
    await wire.is_closed_with(1011)
    await call.hears_to_the_end()


async def test_second_ping_is_not_answered_by_the_first_pong(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=25 * SOON)
    wire, call = await site.opened()
    first = await ping(wire)
    wire.send(frame(Op.PONG, first))
    assert await ping(wire) != first
    wire.send(frame(Op.PONG, first))
    await wire.is_closed_with(1011)
    await call.hears_to_the_end()


@pytest.mark.parametrize("interval", [None, 0])
async def test_no_interval_is_no_pings(site_with: SiteWith, interval: float | None) -> None:
    quiet, lively = await site_with(ws_ping_interval=interval), await site_with(ws_ping_interval=SOON)
    wire, call = await quiet.opened()
    other, _ = await lively.opened()
    for _ in range(4):
        other.send(frame(Op.PONG, await ping(other)))
    assert wire.has_heard == b""
    wire.send(text("still here"))
    await call.hears_text("still here")


async def test_no_timeout_is_no_end(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=None)
    wire, call = await site.opened()
    for _ in range(4):
        await ping(wire)
    wire.send(text("still here"))
    await call.hears_text("still here")


async def test_many_are_each_asked_and_judged_alone(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=25 * SOON)

    async def answers(wire: Wire) -> None:
        while True:
            wire.send(frame(Op.PONG, await ping(wire)))

    async with asyncio.TaskGroup() as both:
        everybody, answering = [], []
        for number in range(10):
            everybody.append(await site.opened())
            if number % 2 == 0:
                answering.append(both.create_task(answers(everybody[-1][0])))
        for wire, call in everybody[1::2]:
            await ping(wire)
            await wire.is_closed_with(1011)
            await call.hears_to_the_end()
        for wire, call in everybody[::2]:
            wire.send(text("still here"))
            await call.hears_text("still here")
        for task in answering:
            assert not task.done()
            task.cancel()


@pytest.mark.parametrize(
    ("size", "patience"), [(1, 10), (300, 10 * SOON)], ids=["one message", "more than is read"]
)
async def test_app_that_is_slow_is_no_client_that_is_gone(
    site_with: SiteWith, size: int, patience: float
) -> None:
    """The client answers each ping; that the app takes its time to receive is not the client's fault."""
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=patience)
    wire, call = await site.opened()
    wire.send(*[text("x" * 1_000)] * size)
    await turns()
    for _ in range(3):  # another comes when the last one is answered, or has been waited for in vain
        wire.send(frame(Op.PONG, await ping(wire)))
    for _ in range(size):
        await call.hears_text("x" * 1_000)
    wire.send(text("still here"))
    await call.hears_text("still here")


async def test_who_neither_answers_nor_reads_goes(site_with: SiteWith) -> None:
    """Nothing waits for its full buffers to empty: they never would."""
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=10 * SOON)
    wire, call = await site.opened(receive_buffer=4_096)
    wire.transport.pause_reading()
    sending = await choked(call)
    with pytest.raises(ClientDisconnected):
        await asyncio.wait_for(sending, PATIENCE)
    await call.hears_to_the_end()
    call.returns()
    await site.is_left()


async def test_pings_come_while_the_app_sends_and_between_fragments(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=10)
    wire, call = await site.opened()
    wire.send(frame(Op.TEXT, b"a", fin=False))
    wire.send(frame(Op.PONG, await ping(wire)))
    await call.says("send", text="hi")
    assert Frame(Op.TEXT, b"hi") in [await wire.next() for _ in range(2)]
    wire.send(frame(Op.CONTINUATION, b"b"))
    await call.hears_text("ab")


async def test_who_comes_after_all_have_gone_is_asked_too(site_with: SiteWith) -> None:
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=10)
    for _ in range(3):
        wire, call = await site.opened()
        wire.send(frame(Op.PONG, await ping(wire)))
        wire.send(close(1000))
        await call.is_disconnected(1000)
        await wire.rest()
        call.returns()
        await site.is_left()


async def test_nothing_is_lost_between_a_large_message_and_a_pong(site_with: SiteWith) -> None:
    """Whatever a server does with its buffers in a quiet moment."""
    site = await site_with(ws_ping_interval=SOON, ws_ping_timeout=10)
    wire, call = await site.opened()
    for number in range(5):
        wire.send(text("x" * 100_000), frame(Op.TEXT, b"a", fin=False))
        await call.hears_text("x" * 100_000)
        rest = frame(Op.CONTINUATION, b"b" * 300) + text(str(number))
        wire.send(frame(Op.PONG, await ping(wire)), *[rest[:100]] * (number % 2))
        await turns(number)
        wire.send(rest[100 * (number % 2) :])
        await call.hears_text("a" + "b" * 300, str(number))
