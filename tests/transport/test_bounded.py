"""The head of a request, bounded in bytes and in time; and what comes in one segment with a handshake."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.transport.contract.looking_app import delays
from tests.transport.contract.site import turns

from mikroroom import Settings, create_app
from mikroroom.transport import bounded
from mikroroom.transport.bounded import HEAD_BYTES, BoundedProtocol
from mikroroom.transport.guard import GuardedProtocol
from mikroroom.transport.picows import PicowsProtocol

Serve = Callable[..., Awaitable[str]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

REQUEST = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PATIENCE = 60.0


@contextlib.asynccontextmanager
async def connected(url: str, begun: bytes = b"") -> AsyncIterator[Streams]:
    """A connection on which all is written by hand. Its beginning is there before the server looks."""
    host, port = url.removeprefix("http://").split(":")
    plug = socket.create_connection((host, int(port)))
    plug.sendall(begun)
    reader, writer = await asyncio.open_connection(sock=plug)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that still comes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            received += chunk
    return received


@pytest.fixture
async def url(serve: Serve) -> str:
    """Our app, on our HTTP protocol."""
    return await serve(create_app(Settings()), http=BoundedProtocol, ws=PicowsProtocol)


@pytest.mark.parametrize(
    "line",
    [b"X: a\r\n", b"X: " + b"a" * 4_000 + b"\r\n", b"X" * 4_000 + b": a\r\n"],
    ids=["many", "long", "long names"],
)
async def test_a_head_without_an_end_is_refused(url: str, line: bytes) -> None:
    async with connected(url) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: here\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(40 * HEAD_BYTES // len(line)):
                writer.write(line)
                await writer.drain()
        answer = await rest(reader)
    assert not answer or answer.startswith(b"HTTP/1.1 431 "), "nobody reads it out to the end"


async def test_an_endless_header_is_refused(url: str) -> None:
    async with connected(url) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nX: ")
        writer.write(b"a" * 10 * HEAD_BYTES)
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert answer.endswith(b'\r\n\r\n{"error": "The head of a request may have 65,536 bytes"}')


async def test_a_head_that_comes_in_one_piece_is_measured_too(url: str) -> None:
    async with connected(url) as (reader, writer):
        writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\n" + b"X: aaaaaaa\r\n" * 10_000 + b"\r\n"))
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_body_and_the_next_head_behind_it_are_not_one_head(url: str) -> None:
    async with connected(url) as (reader, writer):
        writer.write(b"POST /api/rooms HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n")
        writer.write(b" " * 100_000 + REQUEST)
        answer = await reader.readuntil(b"totalRooms")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"HTTP/1.1 200 " in answer


async def test_requests_sent_ahead_are_answered_in_their_time(url: str) -> None:
    """Others have theirs between them."""
    async with connected(url) as (reader, writer), connected(url) as (other, says):
        writer.write(REQUEST * 2_000)
        says.write(REQUEST)
        assert (await other.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        for _ in range(2_000):
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")


async def test_a_handshake_sent_ahead_has_its_turn(url: str) -> None:
    join = b'{"type":"join","roomId":"ABC123","name":"Ada","isHost":true}'
    async with connected(url) as (reader, writer):
        writer.write(REQUEST * 200)
        for _ in range(200):
            await reader.readuntil(b"}")
        writer.write(HANDSHAKE + bytes([0x81, 0x80 | len(join)]) + bytes(4) + join)
        assert (await reader.readuntil(b"participant-joined")).startswith(b"HTTP/1.1 101 ")


async def test_a_large_head_is_none_too_large(url: str) -> None:
    async with connected(url) as (reader, writer):
        for _ in range(3):
            writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 30_000 + b"\r\n\r\n"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await reader.readuntil(b"}")


async def test_a_body_is_no_head(url: str) -> None:
    async with connected(url) as (reader, writer):
        writer.write(
            b"POST /api/rooms HTTP/1.1\r\nHost: here\r\nContent-Length: 200000\r\n\r\n" + b" " * 200_000
        )
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("rest_of_body", [b"", b"half of it"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch, rest_of_body: bytes
) -> None:
    monkeypatch.setattr(bounded, "BODY_PATIENCE", 0.1)
    async with connected(url) as (reader, writer):
        writer.write(b"POST /api/rooms HTTP/1.1\r\nHost: here\r\nContent-Length: 50\r\n\r\n" + rest_of_body)
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_uvicorns_own_web_sockets_are_spared_what_they_cannot_take(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    url = await serve(create_app(Settings()), http=BoundedProtocol, ws=GuardedProtocol)
    async with connected(url) as (reader, writer):
        writer.write(HANDSHAKE + b"\x83\x80" + bytes(4))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("begun", [b"", b"G", b"GET /health HTTP/1.1\r\nHost: h"])
async def test_who_does_not_come_to_the_point_is_dropped(
    url: str, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(bounded, "HEAD_PATIENCE", 0.1)
    async with connected(url, begun) as (reader, _):
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 408 ") if begun else not answer


async def test_who_does_not_come_to_the_point_the_second_time_is_dropped(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(url) as (reader, writer):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        monkeypatch.setattr(bounded, "HEAD_PATIENCE", 0.1)
        writer.write(b"GET /health HTTP/1.1\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_an_empty_line_is_no_request(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn would wait for the next one for ever."""
    async with connected(url) as (reader, writer):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        monkeypatch.setattr(bounded, "HEAD_PATIENCE", 0.1)
        writer.write(b"\r\n")
        assert not await rest(reader)


@pytest.mark.parametrize("first", [len(HANDSHAKE), 20, len(HANDSHAKE) - 1])
async def test_a_web_socket_has_all_the_time_it_wants(
    url: str, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Also one whose handshake came in pieces."""
    monkeypatch.setattr(bounded, "HEAD_PATIENCE", 0.3)
    async with connected(url, HANDSHAKE[:first]) as (reader, writer):
        await turns()  # so that the rest comes in a segment of its own
        writer.write(HANDSHAKE[first:])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await reader.read(1)


async def test_what_comes_with_the_handshake_is_not_lost(url: str) -> None:
    """uvicorn itself forgets it."""
    join = b'{"type":"join","roomId":"ABC123","name":"Ada","isHost":true}'
    async with connected(url) as (reader, writer):
        writer.write(HANDSHAKE + bytes([0x81, 0x80 | len(join)]) + bytes(4) + join)
        assert (await reader.readuntil(b"participant-joined")).startswith(b"HTTP/1.1 101 ")


async def test_answers_are_not_held_back(url: str) -> None:
    """TCP_NODELAY, whoever made the listener: it lacks it here, as one of systemd's does."""
    async with connected(url) as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b"}")
        assert delays(int(url.rpartition(":")[2])) == [False]
