"""What no client may send (RFC 6455, 5, 7.4 and 8.1), and how its connection is failed (7.1.7)."""

import logging

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from .conftest import SiteWith
from .site import Site, turns
from .wire import Frame, Op, Wire, close, frame, text

LIMIT = 10_000

PROTOCOL_ERRORS = {
    "unmasked text": frame(Op.TEXT, b"x", masked=False),
    "unmasked ping": frame(Op.PING, b"x", masked=False),
    "unmasked close": frame(Op.CLOSE, b"\x03\xe8", masked=False),
    **{f"reserved bits {bits:03b}": frame(Op.TEXT, b"x", rsv=bits) for bits in range(1, 8)},
    "reserved bit on a ping": frame(Op.PING, b"x", rsv=4),
    "reserved bit on a pong": frame(Op.PONG, b"x", rsv=2),
    "reserved bit on a close": frame(Op.CLOSE, b"\x03\xe8", rsv=1),
    "reserved bit on a fragment": frame(Op.TEXT, b"a", fin=False) + frame(Op.CONTINUATION, b"b", rsv=4),
    **{f"reserved opcode {opcode}": frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "long ping": frame(Op.PING, b"x" * 126),
    "long pong": frame(Op.PONG, b"x" * 126),
    "long close": frame(Op.CLOSE, b"\x03\xe8" + b"x" * 124),
    "fragmented ping": frame(Op.PING, b"x", fin=False),
    "fragmented pong": frame(Op.PONG, b"x", fin=False),
    "fragmented close": frame(Op.CLOSE, b"\x03\xe8", fin=False),
    "stray continuation": frame(Op.CONTINUATION, b"x"),
    "stray first continuation": frame(Op.CONTINUATION, b"x", fin=False),
    "stray empty continuation": frame(Op.CONTINUATION),
    "text inside a message": frame(Op.TEXT, b"a", fin=False) + frame(Op.TEXT, b"b"),
    "binary inside a message": frame(Op.TEXT, b"a", fin=False) + frame(Op.BINARY, b"b"),
    "empty text inside a message": frame(Op.BINARY, fin=False) + frame(Op.TEXT, fin=False),
    "close of one byte": frame(Op.CLOSE, b"\x03"),
    **{
        f"close code {code}": close(code)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


async def is_failed_with(wire: Wire, code: int) -> None:
    """A close frame with this code, and the end of the connection without waiting for an answer."""
    await wire.is_closed_with(code)
    await wire.ends()


@pytest.mark.parametrize("violation", PROTOCOL_ERRORS.values(), ids=PROTOCOL_ERRORS)
async def test_violation(site: Site, violation: bytes) -> None:
    """1002; what came before is heard, and what comes after is not, be it in the same segment or later."""
    wire, call = await site.opened()
    wire.send(text("before"))
    await call.hears_text("before")
    wire.send(violation, text("after"))
    await turns()
    if not wire.has_ended:
        wire.send(text("later"), frame(Op.PING))
    assert await call.hears_to_the_end() == []
    assert call.last["code"] == 1002
    await is_failed_with(wire, 1002)


async def test_violation_right_after_a_message(site: Site) -> None:
    """In one segment: the message counts."""
    wire, call = await site.opened()
    wire.send(text("before"), frame(3), text("after"))
    await call.hears_text("before")
    await call.is_disconnected(1002)
    await is_failed_with(wire, 1002)


async def test_violation_right_after_a_ping(site: Site) -> None:
    """In one segment: nothing is said after the close frame (RFC 6455, 5.5.1)."""
    wire, _ = await site.opened()
    wire.send(frame(Op.PING, b"p"), frame(3))
    heard = await wire.next()
    if heard == Frame(Op.PONG, b"p"):
        heard = await wire.next()
    assert (heard.opcode, heard.payload[:2]) == (Op.CLOSE, (1002).to_bytes(2))
    await wire.ends()


async def test_violation_right_after_a_close(site: Site) -> None:
    """In one segment: the close was first."""
    wire, call = await site.opened()
    wire.send(close(3000), frame(3), text("x"))
    await call.is_disconnected(3000)
    await is_failed_with(wire, 3000)


async def test_violation_after_our_close(site: Site) -> None:
    """There is no second close frame."""
    wire, call = await site.opened()
    await call.says("close", code=3000)
    await wire.is_closed_with(3000)
    wire.send(frame(3), text("x"))
    await wire.ends()


async def test_violation_is_no_error_of_the_servers(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody can fill a log by being wrong."""
    violations = (
        frame(3),
        frame(Op.TEXT, b"\xff"),
        close(1005),
        frame(Op.TEXT, b"x", rsv=4),
        close(1000, b"\xff"),
    )
    for violation in violations:
        wire, call = await site.opened()
        wire.send(violation)
        await call.hears_to_the_end()
        await wire.rest()
        call.returns()
    await site.is_left()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_sending_right_after_a_violation(site: Site) -> None:
    """ASGI 2.4: an OSError. The app did nothing wrong."""
    wire, call = await site.opened()
    wire.send(frame(3))
    await call.is_disconnected(1002)
    with pytest.raises(ClientDisconnected):
        await call.says("send", text="x")
    await is_failed_with(wire, 1002)


async def test_client_that_sends_on_after_a_violation_is_cut_off(site: Site) -> None:
    wire, call = await site.opened()
    wire.send(frame(3), *[text("x" * 1_000)] * 100)
    await call.is_disconnected(1002)
    await wire.rest()


@pytest.mark.parametrize(
    "long_way",
    [frame(Op.TEXT, b"hi", width=2), frame(Op.TEXT, b"hi", width=8), frame(Op.TEXT, b"x" * 200, width=8)],
)
async def test_length_in_more_bytes_than_it_needs(site: Site, long_way: bytes) -> None:
    """RFC 6455, 5.2 forbids it to the sender, and leaves open what the receiver does: taken or refused."""
    wire, call = await site.opened()
    wire.send(long_way, close(1000))
    messages = await call.hears_to_the_end()
    assert (len(messages), call.last["code"]) in {(1, 1000), (0, 1002)}
    await is_failed_with(wire, call.last["code"])


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
async def test_code_that_may_be_sent(site: Site, code: int) -> None:
    """RFC 6455, 7.4, and the registry it made."""
    wire, call = await site.opened()
    wire.send(close(code, "tschüß".encode()))
    await call.is_disconnected(code, "tschüß")
    await is_failed_with(wire, code)


# Text


NOT_UTF8 = {
    "stray byte": b"a\xff",
    "lone continuation byte": b"\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong zero": b"\xe0\x80\x80",
    "surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "cut off": b"a\xf0\x9f\x98",
}


@pytest.mark.parametrize("bad", NOT_UTF8.values(), ids=NOT_UTF8)
@pytest.mark.parametrize("shape", ["whole", "in fragments", "close reason"])
async def test_text_that_is_not_utf8(site: Site, bad: bytes, shape: str) -> None:
    """RFC 6455, 8.1."""
    wire, call = await site.opened()
    match shape:
        case "whole":
            wire.send(frame(Op.TEXT, bad))
        case "in fragments":
            wire.send(frame(Op.TEXT, bad[:1], fin=False), frame(Op.CONTINUATION, bad[1:]))
        case "close reason":
            wire.send(close(1000, bad))
    wire.send(text("after"))
    await call.is_disconnected(1007)
    await is_failed_with(wire, 1007)


async def test_binary_need_not_be_utf8(site: Site) -> None:
    wire, call = await site.opened()
    wire.send(frame(Op.BINARY, b"\xff", fin=False), frame(Op.CONTINUATION, b"\xfe"))
    assert (await call.hears())["bytes"] == b"\xff\xfe"


# Size


@pytest.mark.parametrize(
    "large",
    [
        frame(Op.TEXT, b"x" * (LIMIT + 1)),
        frame(Op.BINARY, b"x" * (LIMIT + 1)),
        frame(Op.TEXT, b"x" * (LIMIT - 1), fin=False) + frame(Op.CONTINUATION, b"xx", fin=False),
        frame(Op.TEXT, b"x", fin=False) + frame(Op.CONTINUATION, b"x" * LIMIT),
        frame(Op.TEXT, b"x", length=LIMIT + 1),
        frame(Op.BINARY, length=2**32),
        frame(Op.TEXT, length=2**62),
        frame(Op.TEXT, b"x", fin=False) + frame(Op.CONTINUATION, length=LIMIT),
    ],
    ids=[
        "text",
        "binary",
        "in fragments",
        "last fragment",
        "said",
        "4 GiB said",
        "4 EiB said",
        "fragment said",
    ],
)
async def test_message_over_the_limit(site_with: SiteWith, large: bytes) -> None:
    """1009. What only says that it is too long is neither waited for nor made room for."""
    site = await site_with(ws_max_size=LIMIT)
    wire, call = await site.opened()
    wire.send(large)
    await call.is_disconnected(1009)
    await is_failed_with(wire, 1009)


async def test_message_at_the_limit(site_with: SiteWith) -> None:
    site = await site_with(ws_max_size=LIMIT)
    wire, call = await site.opened()
    wire.send(frame(Op.TEXT, b"x" * LIMIT))
    await call.hears_text("x" * LIMIT)
    wire.send(frame(Op.TEXT, b"x" * 4_000, fin=False), frame(Op.CONTINUATION, b"x" * (LIMIT - 4_000)))
    await call.hears_text("x" * LIMIT)
    for words in ("é" * (LIMIT // 2), ""):
        wire.send(text(words))
        await call.hears_text(words)


async def test_limit_is_a_messages_and_not_a_connections(site_with: SiteWith) -> None:
    site = await site_with(ws_max_size=LIMIT)
    wire, call = await site.opened()
    for _ in range(5):
        wire.send(frame(Op.TEXT, b"x" * 4_000, fin=False), frame(Op.CONTINUATION, b"x" * 4_000))
        await call.hears_text("x" * 8_000)


async def test_length_with_its_highest_bit_set(site: Site) -> None:
    """RFC 6455, 5.2: there is no such length; whether that is 1002 or 1009 is open."""
    wire, call = await site.opened()
    wire.send(frame(Op.TEXT, b"x", length=2**63 + 10))
    await call.hears_to_the_end()
    assert call.last["code"] in {1002, 1009}
    await is_failed_with(wire, call.last["code"])
