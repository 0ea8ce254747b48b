"""The end of a connection (RFC 6455, 5.5.1 and 7): by the client, by the app, by both, or without a word."""

import asyncio
import contextlib
import logging

import pytest
from starlette.types import Receive, Scope, Send

from .conftest import Hurry, SiteWith
from .site import Site, turns
from .wire import Frame, Op, Wire, close, frame, text

# The client


async def test_close_without_a_code(site: Site) -> None:
    """1005 to the app; the answer has no code either, or 1000."""
    wire, call = await site.opened()
    wire.send(frame(Op.CLOSE))
    await call.is_disconnected(1005)
    assert await wire.next() in (Frame(Op.CLOSE), Frame(Op.CLOSE, b"\x03\xe8"))
    await wire.ends()


async def test_what_follows_a_close_is_not_heard(site: Site) -> None:
    wire, call = await site.opened()
    wire.send(text("before"), close(1000), text("after"), frame(Op.PING), close(3000))
    assert await call.hears_to_the_end() == ["before"]
    assert call.last["code"] == 1000
    await wire.is_closed_with(1000)
    await wire.ends()


async def test_close_while_the_app_does_not_listen_is_answered(site: Site) -> None:
    wire, call = await site.opened()
    wire.send(text("unheard"))
    await turns()
    wire.send(close(1000))
    await wire.is_closed_with(1000)
    await wire.ends()
    assert await call.hears_to_the_end() == ["unheard"]
    assert call.last["code"] == 1000


async def test_close_inside_a_fragmented_message(site: Site) -> None:
    """RFC 6455, 5.4 lets a control frame be there; some call it an error that the message never ends."""
    wire, call = await site.opened()
    wire.send(frame(Op.TEXT, b"half", fin=False), close(1001))
    assert await call.hears_to_the_end() == []
    assert call.last["code"] in {1001, 1002}
    await wire.is_closed_with(call.last["code"])


async def test_disconnect_has_the_reason(site: Site) -> None:
    """ASGI 2.5."""
    wire, call = await site.opened()
    wire.send(close(4999, ("é" * 61).encode()))
    await call.is_disconnected(4999, "é" * 61)
    wire, call = await site.opened()
    wire.send(close(1000))
    await call.is_disconnected(1000, "")


# Without a word


@pytest.mark.parametrize("end", ["has a FIN", "is reset", "says no more"])
async def test_client_gone_without_a_word(site: Site, end: str) -> None:
    """RFC 6455, 7.1.5: 1006."""
    wire, call = await site.opened()
    wire.send(text("one"), text("two"))
    await turns()
    await call.hears_text("one", "two")
    leave(wire, end)
    await call.is_disconnected(1006)
    if end == "says no more":
        await wire.rest()


@pytest.mark.parametrize("end", ["has a FIN", "is reset", "says no more"])
@pytest.mark.parametrize(
    "half", [text("half")[:8], frame(Op.TEXT, b"half", fin=False)], ids=["frame", "message"]
)
async def test_client_gone_in_the_middle(site: Site, end: str, half: bytes) -> None:
    """What is not whole is not heard."""
    wire, call = await site.opened()
    wire.send(half)
    await turns()
    leave(wire, end)
    assert await call.hears_to_the_end() == []


async def test_what_was_said_before_the_end_is_heard(site: Site) -> None:
    """Messages, close and FIN may all be there before the app takes the first."""
    wire, call = await site.opened()
    words = [str(number) for number in range(200)]
    wire.send(*map(text, words), close(3000))
    wire.transport.close()
    await turns()
    assert await call.hears_to_the_end() == words
    assert call.last["code"] == 3000


def leave(wire: Wire, end: str) -> None:
    """Go without a close frame."""
    match end:
        case "has a FIN":
            wire.transport.close()
        case "is reset":
            wire.resets()
        case "says no more":
            wire.says_no_more()


# The app


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": 1008}, 1008, ""),
        ({"code": 4000, "reason": "tschüß"}, 4000, "tschüß"),
        ({"code": 1001, "reason": None}, 1001, ""),
        ({"code": 3000, "reason": "x" * 123}, 3000, "x" * 123),
    ],
    ids=["default", "code", "reason", "no reason", "long reason"],
)
async def test_app_closes(site: Site, fields: dict[str, object], code: int, reason: str) -> None:
    """The client's answer is waited for before TCP is closed."""
    wire, call = await site.opened()
    await call.says("send", text="last words")
    await call.says("close", **fields)
    assert await wire.next() == Frame(Op.TEXT, b"last words")
    await wire.is_closed_with(code, reason)
    await turns()
    assert not wire.has_ended
    wire.send(close(code))
    await wire.ends()
    assert await call.hears_to_the_end() == []


async def test_app_that_returns_after_its_close(site: Site) -> None:
    """The client still has time to answer."""
    wire, call = await site.opened()
    await call.says("close", code=3000)
    call.returns()
    await wire.is_closed_with(3000)
    await turns()
    assert not wire.has_ended
    wire.send(close(3000))
    await wire.ends()


async def test_what_comes_after_our_close_is_not_heard(site: Site) -> None:
    wire, call = await site.opened()
    await call.says("close")
    await wire.is_closed_with(1000)
    wire.send(text("too late"), frame(Op.BINARY, b"x" * 50_000), frame(Op.PONG))
    await turns()
    assert not wire.has_ended
    wire.send(close(1000))
    await wire.ends()
    assert await call.hears_to_the_end() == []


async def test_what_was_not_taken_before_our_close_holds_up_nothing(site: Site) -> None:
    """A client's answer is read though messages before it are not."""
    wire, call = await site.opened()
    wire.send(*[text("x" * 1_000)] * 300)
    await turns()
    await call.says("close")
    wire.send(close(1000))
    await wire.is_closed_with(1000)
    await wire.ends()


async def test_client_that_does_not_answer_our_close(site: Site, hurry: Hurry) -> None:
    wire, call = await site.opened()
    hurry(site)
    await call.says("close", code=3000)
    call.returns()
    await wire.is_closed_with(3000)
    await wire.ends()
    await site.is_left()


async def test_client_that_answers_our_close_with_a_fin(site: Site) -> None:
    wire, call = await site.opened()
    await call.says("close", code=3000)
    call.returns()
    await wire.is_closed_with(3000)
    wire.transport.close()
    await site.is_left()


async def test_both_close_at_once(site: Site) -> None:
    wire, call = await site.opened()
    wire.send(close(3001))
    await call.says("close", code=3000)
    await wire.is_closed_with(3000)
    await wire.ends()
    assert await call.hears_to_the_end() == []
    assert call.last["code"] in {3000, 3001}


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70_000])
async def test_code_that_cannot_be_sent(site: Site, code: int) -> None:
    """The app is told, or another is sent: never this one."""
    wire, call = await site.opened()
    with contextlib.suppress(Exception):
        await call.says("close", code=code)
    call.returns()
    wire.send(close(1000))
    assert int.from_bytes((await closing(wire)).payload[:2]) in {1000, 1002, 1011}


async def test_reason_that_is_too_long(site: Site) -> None:
    """RFC 6455, 5.5: the app is told, or it is cut, between two letters."""
    wire, call = await site.opened()
    with contextlib.suppress(Exception):
        await call.says("close", code=3000, reason="é" * 100)
    call.returns()
    wire.send(close(1000))
    last = await closing(wire)
    assert len(last.payload) <= 125
    assert last.payload[2:].decode() in "é" * 61


async def closing(wire: Wire) -> Frame:
    """The close frame that comes, if one does."""
    with contextlib.suppress(EOFError):
        return await wire.next()
    return Frame(Op.CLOSE, b"\x03\xe8")


# The end of the app


async def test_app_that_returns(site: Site) -> None:
    """1000, after what it has sent."""
    wire, call = await site.opened()
    await call.says("send", text="x" * 50_000)
    call.returns()
    assert await wire.next() == Frame(Op.TEXT, b"x" * 50_000)
    await wire.is_closed_with(1000)
    wire.send(close(1000))
    await wire.ends()
    await site.is_left()


async def test_app_that_raises(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """1011, and a line in the log with the traceback; nothing of it to the client."""
    wire, call = await site.opened()
    call.raises(ZeroDivisionError("secret"))
    await wire.is_closed_with(1011, "")
    wire.send(close(1011))
    await wire.ends()
    (record,) = [record for record in caplog.records if record.name == "uvicorn.error"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None and isinstance(record.exc_info[1], ZeroDivisionError)


async def test_app_that_ends_and_a_client_that_does_not(site: Site, hurry: Hurry) -> None:
    wire, call = await site.opened()
    hurry(site)
    call.returns()
    await wire.rest()
    await site.is_left()


async def test_app_that_raises_after_the_client_has_gone(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    wire, call = await site.opened()
    wire.send(close(1000))
    await call.is_disconnected(1000)
    await wire.rest()
    call.raises(ZeroDivisionError())
    await site.is_left()
    assert "Exception in ASGI application" in caplog.text


async def test_who_goes_leaves_no_mark_on_who_comes(site_with: SiteWith) -> None:
    """What is said to somebody who is gone does not reach whoever has the same descriptor now."""

    async def talkative(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await receive()
        await send({"type": "websocket.accept"})
        with contextlib.suppress(OSError):
            while scope["path"] == "/loud":
                await send({"type": "websocket.send", "text": "x" * 1_000})
                await asyncio.sleep(0)
        await receive()

    site = await site_with(talkative, lifespan="off")
    for _ in range(20):
        loud = await site.wire()
        loud.asks("/loud")
        await loud.answer()
        loud.resets()
        quiet = await site.wire()
        quiet.asks("/quiet")
        await quiet.answer()
        await turns(10)
        assert quiet.has_heard == b""
        quiet.send(close(1000))
        await quiet.is_closed_with(1000)


# Elsewhere than on plain TCP


@pytest.mark.parametrize("where", ["TLS", "UNIX"])
@pytest.mark.parametrize("end", ["client", "app", "return", "violation", "reset", "FIN"])
async def test_ends_elsewhere(
    site_with: SiteWith, certificate: dict[str, str], hurry: Hurry, where: str, end: str
) -> None:
    site = await site_with(**certificate) if where == "TLS" else await site_with(listening="uds")
    wire, call = await site.opened()
    hurry(site)
    wire.send(text("hi"))
    await call.hears_text("hi")
    match end:
        case "client":
            wire.send(close(3000))
            await wire.is_closed_with(3000)
            await call.is_disconnected(3000)
        case "app":
            await call.says("close", code=3000)
            await wire.is_closed_with(3000)
            wire.send(close(3000))
        case "return":
            call.returns()
        case "violation":
            wire.send(frame(3), text("after"))
            await wire.is_closed_with(1002)
            await call.is_disconnected(1002)
        case "reset":
            wire.resets()
        case "FIN":
            wire.transport.close()
    await wire.rest()
    assert await call.hears_to_the_end() == []
    call.returns()
    await site.is_left()
