"""Messages, both ways (ASGI: receive and send), and what an app may not say when."""

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import connect

from .conftest import SiteWith
from .site import Site, turns
from .wire import PATIENCE, Frame, Op, frame, text

MEBIBYTE = 1_048_576


@pytest.mark.parametrize("words", ["", "hi", "héllo 😀 \0", "x" * 125, "x" * 126, "é" * 40_000], ids=len)
async def test_text_both_ways(site: Site, words: str) -> None:
    wire, call = await site.opened()
    wire.send(text(words))
    assert await call.hears() in (
        {"type": "websocket.receive", "text": words},
        {"type": "websocket.receive", "text": words, "bytes": None},
    )
    await call.says("send", text=words, bytes=None)
    assert await wire.next() == Frame(Op.TEXT, words.encode())


@pytest.mark.parametrize("data", [b"", b"\0\xff", b"x" * 65_535, b"x" * 65_536], ids=len)
async def test_binary_both_ways(site: Site, data: bytes) -> None:
    wire, call = await site.opened()
    wire.send(frame(Op.BINARY, data))
    assert await call.hears() in (
        {"type": "websocket.receive", "bytes": data},
        {"type": "websocket.receive", "bytes": data, "text": None},
    )
    await call.says("send", bytes=data, text=None)
    assert await wire.next() == Frame(Op.BINARY, data)


@pytest.mark.parametrize("kind", [Op.TEXT, Op.BINARY])
async def test_message_in_fragments_is_whole(site: Site, kind: Op) -> None:
    """RFC 6455, 5.4: cut inside a letter, with empty fragments, over many segments."""
    wire, call = await site.opened()
    content = "héllo 😀".encode()
    wire.send(frame(kind, fin=False))
    for byte in content:
        wire.send(frame(Op.CONTINUATION, bytes([byte]), fin=False), frame(Op.CONTINUATION, fin=False))
        await turns(2)
    wire.send(frame(Op.CONTINUATION))
    event = await call.hears()
    assert event.get("bytes" if kind is Op.BINARY else "text") == (
        content if kind is Op.BINARY else content.decode()
    )
    wire.send(text("next"))
    await call.hears_text("next")


async def test_frames_byte_by_byte(site: Site) -> None:
    wire, call = await site.opened()
    for byte in text("slow") + frame(Op.BINARY, b"x" * 200) + frame(Op.PING, b"p"):
        wire.send(bytes([byte]))
        await turns(1)
    await call.hears_text("slow")
    assert (await call.hears())["bytes"] == b"x" * 200
    assert await wire.next() == Frame(Op.PONG, b"p")


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))], ids=len)
async def test_ping_is_answered_at_once(site: Site, payload: bytes) -> None:
    """RFC 6455, 5.5.2: also inside a fragmented message, and while the app listens to nothing."""
    wire, call = await site.opened()
    wire.send(frame(Op.PING, payload))
    assert await wire.next() == Frame(Op.PONG, payload)
    wire.send(frame(Op.TEXT, b"a", fin=False), frame(Op.PING, payload))
    assert await wire.next() == Frame(Op.PONG, payload)
    wire.send(frame(Op.CONTINUATION, b"b"))
    await call.hears_text("ab")


async def test_pong_that_nobody_asked_for_is_ignored(site: Site) -> None:
    wire, call = await site.opened()
    wire.send(frame(Op.PONG), frame(Op.PONG, b"x" * 125), text("hi"))
    await call.hears_text("hi")


async def test_ping_while_the_app_does_not_listen_is_answered(site: Site) -> None:
    wire, call = await site.opened()
    wire.send(text("unheard"))
    await turns()
    wire.send(frame(Op.PING, b"there?"))
    assert await wire.next() == Frame(Op.PONG, b"there?")
    await call.hears_text("unheard")


async def test_message_of_a_mebibyte(site: Site) -> None:
    wire, call = await site.opened()
    content = "0123456789abcdef" * (MEBIBYTE // 16)
    wire.send(text(content))
    await call.hears_text(content)
    sending = asyncio.create_task(call.sends(content))
    assert await wire.next() == Frame(Op.TEXT, content.encode())
    await sending


async def test_order_is_kept_over_kinds_sizes_and_segments(site: Site) -> None:
    wire, call = await site.opened()
    sizes = [0, 1, 125, 126, 5_000, 70_000]
    sent = [f"{number} ".ljust(sizes[number % len(sizes)]) for number in range(120)]
    wire.send(
        *(
            text(words) if number % 3 else frame(Op.BINARY, words.encode())
            for number, words in enumerate(sent)
        )
    )
    for number, words in enumerate(sent):
        event = await call.hears()
        assert event.get("text" if number % 3 else "bytes") == (words if number % 3 else words.encode())
        await call.says("send", text=words)
        assert await wire.next() == Frame(Op.TEXT, words.encode())


async def test_many_messages_before_the_first_is_taken(site: Site) -> None:
    wire, call = await site.opened()
    words = [str(number) for number in range(2_000)]
    wire.send(*map(text, words))
    await turns()
    await call.hears_text(*words)


async def test_messages_while_the_app_waits_for_one(site: Site) -> None:
    """Each wakes it, and none is lost between two waits."""
    wire, call = await site.opened()
    for number in range(50):
        waiting = asyncio.create_task(call.hears())
        await turns(2)
        wire.send(text(str(number)))
        async with asyncio.timeout(PATIENCE):
            assert (await waiting)["text"] == str(number)


async def test_receive_that_was_cancelled_takes_nothing(site: Site) -> None:
    """An app may wait with a time-out (ASGI says nothing; every framework does)."""
    wire, call = await site.opened()
    waiting = asyncio.create_task(call.hears())
    await turns()
    waiting.cancel()
    wire.send(text("one"), text("two"))
    await turns()
    await call.hears_text("one", "two")


async def test_two_who_receive_share_what_comes(site: Site) -> None:
    wire, call = await site.opened()
    both = [asyncio.create_task(call.hears()) for _ in range(2)]
    await turns()
    wire.send(text("one"), text("two"))
    async with asyncio.timeout(PATIENCE):
        events = await asyncio.gather(*both)
    assert sorted(event["text"] for event in events) == ["one", "two"]


async def test_two_who_send_are_not_mixed_up(site: Site) -> None:
    wire, call = await site.opened()
    await asyncio.gather(*(call.sends(letter * 30_000) for letter in "abcdefgh"))
    heard = [(await wire.next()).payload for _ in range(8)]
    assert sorted(heard) == [letter.encode() * 30_000 for letter in "abcdefgh"]


@pytest.mark.parametrize("listening", ["port", "socket", "fd", "uds"])
@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_messages_whatever_the_listener(site_with: SiteWith, listening: str, http: str) -> None:
    site = await site_with(listening=listening, http=http)
    wire, call = await site.opened()
    wire.send(text("hi"), frame(Op.PING, b"p"))
    await call.hears_text("hi")
    assert await wire.next() == Frame(Op.PONG, b"p")
    await call.says("send", text="x" * 100_000)
    assert len((await wire.next()).payload) == 100_000


async def test_messages_over_tls(site_with: SiteWith, certificate: dict[str, str]) -> None:
    site = await site_with(**certificate)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as both:
        opening = both.create_task(connect(site.url, ssl=site.tls, compression=None).__aenter__())
        call = await (await site.call()).accepts()
        client = await opening
        for size in (0, 1, 20_000, 300_000):
            await client.send("x" * size)
            await call.hears_text("x" * size)
            both.create_task(call.sends(b"y" * size))
            assert await client.recv() == b"y" * size
        await client.close(3001, "bye")
        await call.is_disconnected(3001, "bye")


# What may not be said when


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send", "text": "x"},
        {"type": "websocket.http.response.body", "body": b""},
        {"type": "x"},
    ],
    ids=lambda message: str(message["type"]),
)
async def test_before_accepting(site: Site, message: dict[str, Any]) -> None:
    wire, call = await site.asked()
    await call.hears()
    with pytest.raises(RuntimeError):
        await call._send(message)
    await call.says("accept")
    assert (await wire.answer()).status == 101


@pytest.mark.parametrize(
    "message",
    [{"type": "websocket.accept"}, {"type": "websocket.http.response.start", "status": 400}, {"type": "x"}],
    ids=lambda message: str(message["type"]),
)
async def test_after_accepting(site: Site, message: dict[str, Any]) -> None:
    wire, call = await site.opened()
    with pytest.raises(RuntimeError):
        await call._send(message)
    await call.says("send", text="goes on")
    assert await wire.next() == Frame(Op.TEXT, b"goes on")


@pytest.mark.parametrize("kind", ["send", "close", "accept"])
async def test_after_closing(site: Site, kind: str) -> None:
    wire, call = await site.opened()
    await call.says("close")
    with pytest.raises(RuntimeError):
        await call.says(kind, text="x")
    await wire.is_closed_with(1000)


@pytest.mark.parametrize("kind", ["accept", "send"])
async def test_after_refusing(site: Site, kind: str) -> None:
    wire, call = await site.asked()
    await call.says("close")
    with pytest.raises((RuntimeError, ClientDisconnected)):
        await call.says(kind, text="x")
    assert (await wire.refusal())[0].status == 403


@pytest.mark.parametrize("kind", ["accept", "close", "send"])
async def test_between_the_parts_of_a_denial(site: Site, kind: str) -> None:
    wire, call = await site.asked()
    await call.says("http.response.start", status=404, headers=[])
    with pytest.raises(RuntimeError):
        await call.says(kind, text="x")
    await call.says("http.response.body", body=b"gone")
    assert (await wire.refusal())[1] == b"gone"


async def test_status_that_is_none(site: Site) -> None:
    wire, call = await site.asked()
    with pytest.raises(RuntimeError):
        await call.says("http.response.start", status=600, headers=[])
    await call.says("close")
    assert (await wire.refusal())[0].status == 403


@pytest.mark.parametrize("kind", ["send", "close"])
@pytest.mark.parametrize("end", ["has closed", "has a FIN", "is reset"])
async def test_sending_to_a_client_that_is_gone(
    site: Site, kind: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    """ASGI 2.4: an OSError of the server's own, which is no error of the app's and not logged."""
    wire, call = await site.opened()
    match end:
        case "has closed":
            wire.send(frame(Op.CLOSE, b"\x03\xe8"))
        case "has a FIN":
            wire.transport.close()
        case "is reset":
            wire.resets()
    await call.hears_to_the_end()
    await site_is_rid_of(site)
    with pytest.raises(ClientDisconnected) as raised:
        await call.says(kind, **{"text": "x"} if kind == "send" else {})
    call.raises(raised.value)
    await site.is_left()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_sending_right_after_the_client_has_closed(site: Site) -> None:
    """Its disconnect is the next event; a send before that is told goes nowhere, or raises."""
    wire, call = await site.opened()
    wire.send(frame(Op.CLOSE, b"\x03\xe8"))
    await wire.is_closed_with(1000)
    with pytest.raises(ClientDisconnected):
        await call.says("send", text="x")
    await call.is_disconnected(1000)
    await wire.ends()


async def site_is_rid_of(site: Site) -> None:
    """No connection is left, though the app still runs."""
    async with asyncio.timeout(PATIENCE):
        while site.connections:
            await asyncio.sleep(0.001)
