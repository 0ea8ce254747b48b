"""The guard before uvicorn's protocol: floods end, and what a well-behaved client does passes as before."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect

from mikroroom import Settings, create_app
from mikroroom.client import Client
from mikroroom.protocol import events
from mikroroom.transport.guard import IDLE_FRAMES, SLICE, GuardedProtocol

Serve = Callable[..., Awaitable[str]]

TEXT, CONTINUATION, PING, PONG = 1, 0, 9, 10
HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    head = bytes([fin << 7 | opcode])
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + size.to_bytes(2)
    return head + length + bytes(4) + payload


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Any app: says again what it hears."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


@contextlib.asynccontextmanager
async def wire(url: str, more: str = "") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which frames are written by hand."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(HANDSHAKE.format(more=more).encode())
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """All that still comes, until the server has closed."""
    received = b""
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                received += chunk
    return received


@pytest.mark.parametrize(
    "flood",
    [
        frame(PING) * 50_000,
        frame(PING, b"x" * 125) * 5_000,
        frame(PONG) * 50_000,
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, fin=False) * 50_000,
    ],
    ids=["pings", "long pings", "pongs", "empty continuations"],
)
async def test_a_flood_of_frames_that_carry_nothing_is_ended(serve: Serve, flood: bytes) -> None:
    site = await serve(create_app(Settings()), ws=GuardedProtocol)
    async with Client.connect(f"{site.replace('http', 'ws')}/ws") as ada, wire(site) as (reader, writer):
        await ada.join("ABC123", "Ada", is_host=True)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(flood)
        # The close frame (4003) may be lost on the way: a socket that is closed unread is reset.
        assert b"\x81" not in await rest_of(reader)
        await ada.chat("still here")
        assert isinstance(await ada.receive(), events.Chat)


async def test_pings_of_a_lively_client_are_all_answered(serve: Serve) -> None:
    site = await serve(echo, ws=GuardedProtocol)
    async with connect(site.replace("http", "ws")) as client:
        pongs = [await client.ping(str(number)) for number in range(IDLE_FRAMES - 1)]
        async with asyncio.timeout(30):
            await asyncio.gather(*pongs)


async def test_what_comes_in_many_slices_arrives_whole_and_in_order(serve: Serve) -> None:
    site = await serve(echo, ws=GuardedProtocol)
    messages = [f"{number} " + "x" * (number * 97 % (3 * SLICE)) for number in range(200)]
    async with connect(site.replace("http", "ws"), compression=None) as client:
        sending = asyncio.gather(*(client.send(message) for message in messages))
        assert [await client.recv() for _ in messages] == messages
        await sending


async def test_many_messages_in_one_go_are_all_taken(serve: Serve) -> None:
    """More slices than one, of messages smaller than a slice: none may be left lying."""
    site = await serve(echo, ws=GuardedProtocol)
    async with wire(site) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(TEXT, b"0123456789") * 3_000)
        echoes = b"\x81\x0a0123456789" * 3_000
        async with asyncio.timeout(30):
            assert await reader.readexactly(len(echoes)) == echoes


@pytest.mark.parametrize(
    "more", [f"Cookie: {'x' * 9_000}\r\n", "X-A: b\r\n" * 200], ids=["a long header", "many headers"]
)
async def test_a_handshake_too_large_to_read_is_answered_and_closed(serve: Serve, more: str) -> None:
    site = await serve(echo, ws=GuardedProtocol)
    async with wire(site, more) as (reader, _writer):
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 431 ")


async def test_a_handshake_that_is_none_is_closed(serve: Serve) -> None:
    site = await serve(echo, ws=GuardedProtocol)
    async with wire(site, "Sec-WebSocket-Key: again\r\n") as (reader, _writer):
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 400 ")
