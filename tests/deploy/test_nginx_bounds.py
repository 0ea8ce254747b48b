"""What nginx keeps from the server: requests without end, clients without haste, floods of connections."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import InvalidStatus

from mikroroom.protocol import events
from mikroroom.transport import bounded

from .conftest import Front, Upstream
from .meetings import hears, meeting, talk
from .nginx import PATIENCE, Nginx, all_of, request

HASTE = {"client_header_timeout 10s;": "client_header_timeout 400ms;"}
# Many times what was set, and far less than what is shipped.
SOON = 9.0


async def dribbles(
    nginx: Nginx, start: bytes, drop: bytes = b"", *, pause: float = 0.05
) -> tuple[bytes, float]:
    """Says the start and then a drop now and then. All that is answered, and the seconds until the end."""
    began = time.monotonic()
    reader, writer = await nginx.opens()
    writer.write(start)
    answer = asyncio.create_task(all_of(reader))
    while drop and not answer.done() and time.monotonic() < began + PATIENCE:
        writer.write(drop)
        await asyncio.wait([answer], timeout=pause)
    answered = await answer
    writer.transport.abort()
    return answered, time.monotonic() - began


@pytest.mark.parametrize(
    ("start", "drop"),
    [(b"", b""), (b"GET / HT", b""), (b"GET / HTTP/1.1\r\n", b"X: y\r\n"), (b"GET /", b"x")],
    ids=["silent", "stops", "header by header", "byte by byte"],
)
async def test_head_that_takes_too_long_is_cut_off(
    upstream: Upstream, front: Front, start: bytes, drop: bytes
) -> None:
    nginx = front(await upstream(), changes=HASTE)
    answer, seconds = await dribbles(nginx, start, drop)
    assert answer == b""
    assert seconds < SOON


async def test_handshake_of_tls_that_takes_too_long_is_cut_off(upstream: Upstream, front: Front) -> None:
    nginx = front(await upstream(), changes=HASTE)
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
    assert await all_of(reader) == b""
    assert time.monotonic() - began < SOON
    writer.transport.abort()


async def test_body_that_stops_is_cut_off(upstream: Upstream, front: Front) -> None:
    nginx = front(await upstream(), changes={"client_body_timeout 10s;": "client_body_timeout 400ms;"})
    began = time.monotonic()
    reader, writer = await nginx.opens()
    writer.write(request("POST /api/rooms", "Content-Length: 1000", body=b"{"))
    # Whoever does not speak is not waited for to hear that it is over either.
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert time.monotonic() - began < SOON
    writer.transport.abort()


async def test_body_that_never_ends_is_cut_off(
    upstream: Upstream, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx bounds each pause, and the server all of them together."""
    monkeypatch.setattr(bounded, "BODY_PATIENCE", 0.4)
    nginx = front(await upstream())
    start = request("POST /api/rooms", "Content-Length: 10000", body=b"{")
    answer, seconds = await dribbles(nginx, start, b" ")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert seconds < SOON


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request("GET /", *(f"X-{number}: {'x' * 1000}" for number in range(20))), 200),
        (request("GET /", *(f"X-{number}: {'x' * 1000}" for number in range(40))), 400),
        (request("GET /", f"X: {'x' * 9000}"), 400),
        (request(f"GET /{'x' * 9000}"), 414),
        (request("POST /api/rooms", "Content-Length: 16384", body=b"{}".ljust(16_384)), 201),
        (request("POST /api/rooms", "Content-Length: 16385", body=b"{}".ljust(16_385)), 413),
        (
            request("POST /api/rooms", "Transfer-Encoding: chunked", body=b"4001\r\n" + b"x" * 0x4001),
            413,
        ),
        (request("GET /", "Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"), 400),
    ],
    ids=[
        "large head",
        "too large head",
        "too long header",
        "too long address",
        "large body",
        "too large body",
        "too large body of unsaid length",
        "two lengths",
    ],
)
async def test_size_of_a_request_decides_the_answer(site: Nginx, asked: bytes, status: int) -> None:
    answer = await site.asks(asked)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    # What is too large does not even come to the server.
    assert (b"<center>nginx</center>" in answer) == (status >= 400)


async def test_one_address_cannot_take_all_connections(upstream: Upstream, front: Front) -> None:
    server = await upstream(connections_per_minute=0)
    nginx = front(server, changes={"limit_conn mikroroom_clients 200;": "limit_conn mikroroom_clients 3;"})
    async with AsyncExitStack() as others:
        async with nginx.dial("127.8.0.1"):
            for _ in range(2):
                await others.enter_async_context(nginx.dial("127.8.0.1"))
            with pytest.raises(InvalidStatus, match="429"):
                await others.enter_async_context(nginx.dial("127.8.0.1"))
            await others.enter_async_context(nginx.dial("127.8.0.2"))
        await others.enter_async_context(nginx.dial("127.8.0.1"))


async def test_network_of_ipv6_counts_as_one_client(upstream: Upstream, front: Front) -> None:
    server = await upstream(connections_per_minute=0)
    # There is but one such address here: another proxy before this one says where people come from.
    nginx = front(
        server,
        extra="set_real_ip_from 127.0.0.1; real_ip_header X-Test-Address;",
        changes={"limit_conn mikroroom_clients 200;": "limit_conn mikroroom_clients 2;"},
    )
    async with AsyncExitStack() as connections:

        async def connects(address: str) -> None:
            told = {"X-Test-Address": address}
            await connections.enter_async_context(nginx.dial(additional_headers=told))

        await connects("2001:db8:0:a0a::1")
        await connects("2001:db8:0:a0a:ffff::2")
        with pytest.raises(InvalidStatus, match="429"):
            await connects("2001:db8:0:a0a:3:3:3:3")
        await connects("2001:db8:0:a0b::1")
        # Bytes of an address may be line feeds.
        for last in ("a0a:a0a:a0a:a0a", "a0a:a0a:a0a:a0b"):
            await connects(f"a0a:a0a:a0a:a0a:{last}")
        with pytest.raises(InvalidStatus, match="429"):
            await connects("a0a:a0a:a0a:a0a::")


async def test_reader_that_stands_still_is_cut_off_and_the_meeting_goes_on(
    upstream: Upstream, front: Front
) -> None:
    # The server itself would wait long.
    server = await upstream(max_outbox_bytes=1 << 30)
    nginx = front(server, changes={"send_timeout 60s;": "send_timeout 500ms;"})
    async with nginx.dial() as eve, meeting(nginx) as (ada, bob):
        await eve.join("ABC123", "Eve", resume=False)
        eve._line._connection.transport.pause_reading()
        left = asyncio.create_task(hears(ada, events.ParticipantLeft))
        async with asyncio.timeout(PATIENCE):
            while not left.done():
                await bob.offer(eve.id, "x" * 200_000)
                await asyncio.sleep(0.02)
        assert (await left).participant_id == eve.id
        await talk(ada, bob, "who was that?")
