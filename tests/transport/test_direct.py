"""The direct path: taken where nothing stands between the server and us, and never behind anybody's back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from mikroroom import Settings, create_app
from mikroroom.client import Client
from mikroroom.protocol import events
from mikroroom.transport import channel as channels
from mikroroom.transport.channel import Channel
from mikroroom.transport.connection import AsgiConnection
from mikroroom.transport.guard import GuardedProtocol
from mikroroom.transport.picows import PicowsProtocol

Serve = Callable[..., Awaitable[str]]

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Listening:
    """Middleware of a host site that sees every message, and may do more than see."""

    def __init__(self, app: ASGIApp, *, hears: bool = False, says: bool = False) -> None:
        self.app = app
        self.hears, self.says = hears, says
        self.seen: list[str] = []
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> Message:
            message = await receive()
            self.seen.append(message["type"])
            return message

        async def speak(message: Message) -> None:
            self.seen.append(message["type"])
            await send(message)

        self.open += 1
        try:
            await self.app(scope, listen if self.hears else receive, speak if self.says else send)
        finally:
            self.open -= 1


def connections(meetings: Starlette) -> set[type]:
    """What those who are in a room are connected by."""
    return {type(session.connection) for session in meetings.state.hub.roster.sessions()}


async def talk(url: str, meetings: Starlette) -> set[type]:
    """Two people meet and talk; by what they were connected."""
    async with Client.connect(f"{url.replace('http', 'ws')}/ws") as ada:
        await ada.join("ABC123", "Ada", is_host=True, resume=False)
        async with Client.connect(f"{url.replace('http', 'ws')}/ws") as bob:
            await bob.join("ABC123", "Bob", resume=False)
            await bob.chat("hello")
            async for event in ada:
                if isinstance(event, events.Chat):
                    assert event.text == "hello"
                    break
            return connections(meetings)
    raise AssertionError("the connection ended")


def bare(meetings: Starlette) -> tuple[ASGIApp, str]:
    return meetings, ""


def mounted(meetings: Starlette) -> tuple[ASGIApp, str]:
    return Starlette(routes=[Mount("/meet", meetings)]), "/meet"


def mounted_twice(meetings: Starlette) -> tuple[ASGIApp, str]:
    inner = Starlette(routes=[Mount("/inner", meetings)])
    return Starlette(routes=[Mount("/outer", inner)]), "/outer/inner"


def in_fastapi(meetings: Starlette) -> tuple[ASGIApp, str]:
    site = FastAPI()
    site.mount("/meet", meetings)
    return site, "/meet"


def behind_cors(meetings: Starlette) -> tuple[ASGIApp, str]:
    """Which does nothing to WebSockets."""
    cors = Middleware(CORSMiddleware, allow_origins=["*"])
    return Starlette(routes=[Mount("/meet", meetings)], middleware=[cors]), "/meet"


def behind_proxy_headers(meetings: Starlette) -> tuple[ASGIApp, str]:
    return cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", meetings))), ""


@pytest.mark.parametrize(
    "house", [bare, mounted, mounted_twice, in_fastapi, behind_cors, behind_proxy_headers]
)
async def test_the_direct_path_is_taken_where_nothing_stands_between(
    serve: Serve, house: Callable[[Starlette], tuple[ASGIApp, str]]
) -> None:
    meetings = create_app(Settings())
    app, prefix = house(meetings)
    assert await talk(await serve(app, ws=PicowsProtocol) + prefix, meetings) == {Channel}


@pytest.mark.parametrize("how", [{"hears": True}, {"says": True}, {"hears": True, "says": True}])
async def test_a_middleware_that_listens_is_not_bypassed(serve: Serve, how: dict[str, bool]) -> None:
    meetings = create_app(Settings())
    listening = Listening(meetings, **how)
    assert await talk(await serve(listening, ws=PicowsProtocol), meetings) == {AsgiConnection}
    assert listening.seen.count("websocket.receive") == (3 if "hears" in how else 0)
    # Each its own joining, Ada also Bob's, Bob also Ada's; the chat is not waited for by Bob.
    assert listening.seen.count("websocket.send") >= (5 if "says" in how else 0)


async def test_a_middleware_inside_a_host_is_not_bypassed_either(serve: Serve) -> None:
    meetings = create_app(Settings())
    listening = Middleware(Listening, says=True)
    site = Starlette(routes=[Mount("/meet", meetings)], middleware=[listening])
    assert await talk(await serve(site, ws=PicowsProtocol) + "/meet", meetings) == {AsgiConnection}


async def test_who_called_us_learns_when_the_connection_ends(serve: Serve) -> None:
    """A middleware that does not touch the messages may still count the connections."""
    meetings = create_app(Settings())
    counting = Listening(meetings)
    url = await serve(counting, ws=PicowsProtocol)
    async with Client.connect(f"{url.replace('http', 'ws')}/ws") as ada:
        await ada.join("ABC123", "Ada", is_host=True, resume=False)
        assert connections(meetings) == {Channel}
        assert counting.open == 2  # with the lifespan's
    async with asyncio.timeout(30):
        while counting.open > 1:
            await asyncio.sleep(0.01)


async def test_alone_on_a_server_nothing_runs_while_nobody_speaks(serve: Serve) -> None:
    """No task is kept for a connection: it would cost more memory than all the rest."""
    meetings = create_app(Settings())
    url = await serve(meetings, ws=PicowsProtocol)
    before = len(asyncio.all_tasks())
    async with contextlib.AsyncExitStack() as people:
        for number in range(5):
            ada = await people.enter_async_context(Client.connect(f"{url.replace('http', 'ws')}/ws"))
            await ada.join("ABC123", f"Ada {number}", is_host=True, resume=False)
        theirs = "websockets", "mikroroom/client"
        clients = {task for task in asyncio.all_tasks() if any(word in repr(task) for word in theirs)}
        assert len(asyncio.all_tasks() - clients) <= before


async def test_a_setting_turns_it_off(serve: Serve) -> None:
    meetings = create_app(Settings(direct_path="off"))
    assert await talk(await serve(meetings, ws=PicowsProtocol), meetings) == {AsgiConnection}


async def test_another_server_offers_nothing(serve: Serve) -> None:
    meetings = create_app(Settings())
    assert await talk(await serve(meetings, ws=GuardedProtocol), meetings) == {AsgiConnection}


async def test_the_offer_is_taken_from_the_scope_that_goes_on_and_from_no_other(serve: Serve) -> None:
    """A host's own scope is left as it is."""
    scopes: list[Scope] = []
    meetings = create_app(Settings())

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> Message:
            return await receive()

        if scope["type"] == "websocket":
            scopes.append(scope)
        await meetings(scope, listen, send)

    await talk(await serve(site, ws=PicowsProtocol), meetings)
    assert all("mikroroom.direct" in scope["extensions"] for scope in scopes)


async def test_what_was_sent_before_the_hand_over_is_not_lost(serve: Serve) -> None:
    """Clients that do not wait for the answer to their handshake."""
    meetings = create_app(Settings())
    called = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            called.set()
            while not send.__self__._early:  # type: ignore[attr-defined]  # the protocol's own
                await asyncio.sleep(0)
        await meetings(scope, receive, send)

    url = await serve(slow, ws=PicowsProtocol)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HANDSHAKE)
    await called.wait()
    join = b'{"type":"join","roomId":"ABC123","name":"Ada","isHost":true}'
    writer.write(bytes([0x81, 0x80 | len(join)]) + bytes(4) + join)
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"participant-joined")
    assert answer.startswith(b"HTTP/1.1 101 ")
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_who_joins_and_closes_before_being_accepted_leaves_no_ghost(serve: Serve) -> None:
    meetings = create_app(Settings())
    called = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            called.set()
            while len(send.__self__._early) < len(said):  # type: ignore[attr-defined]  # the protocol's own
                await asyncio.sleep(0)
        await meetings(scope, receive, send)

    url = await serve(slow, ws=PicowsProtocol)
    join = b'{"type":"join","roomId":"ABC123","name":"Ada","isHost":true}'
    said = bytes([0x81, 0x80 | len(join)]) + bytes(4) + join + bytes([0x88, 0x80]) + bytes(4)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(30):
        writer.write(HANDSHAKE)
        await called.wait()
        writer.write(said)
        assert b"\x88\x00" in await reader.read(-1), "the close is answered"
        while meetings.state.hub.roster._people or meetings.state.hub.roster._audiences:
            await asyncio.sleep(0.01)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_an_app_cannot_take_over_what_it_has_not_accepted(serve: Serve) -> None:
    problems: list[Exception] = []

    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        offer: dict[str, Any] = scope["extensions"]["mikroroom.direct"]
        try:
            offer["hand_over"](lambda channel: None, 1)
        except RuntimeError as problem:
            problems.append(problem)
        await send({"type": "websocket.close"})

    url = await serve(hasty, ws=PicowsProtocol)
    with pytest.raises(Exception, match="403"):
        async with Client.connect(f"{url.replace('http', 'ws')}/ws"):
            pass
    assert "must be accepted" in str(problems[0])


async def test_a_message_that_is_too_long_is_not_waited_for(serve: Serve) -> None:
    """Although the server around us would take a longer one."""
    url = await serve(create_app(Settings(max_message_bytes=1024)), ws=PicowsProtocol, ws_max_size=16_777_216)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(30):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\xff" + (2_000_000).to_bytes(8) + bytes(4))
        assert (await reader.read(4))[2:] == (1009).to_bytes(2)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_nothing_follows_the_close_frame_of_a_violation(serve: Serve) -> None:
    """Picows closes before it delivers the message that came just before."""
    meetings = create_app(Settings())
    url = await serve(meetings, ws=PicowsProtocol)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    join = b'{"type":"join","roomId":"ABC123","name":"Ada","isHost":true}'
    async with Client.connect(f"{url.replace('http', 'ws')}/ws") as bob, asyncio.timeout(30):
        await bob.join("ABC123", "Bob", is_host=True)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes([0x81, 0x80 | len(join)]) + bytes(4) + join + b"\x83\x80" + bytes(4))
        received = await reader.read(-1)
        assert received[:1] == b"\x88"
        assert len(received) == 2 + received[1], "a close frame, and no more"
        async for event in bob:
            if isinstance(event, events.ParticipantLeft):
                break
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_host_that_ends_the_app_ends_the_connection(serve: Serve) -> None:
    """As a time limit around all that a site does would."""
    meetings = create_app(Settings())
    running: list[asyncio.Task[None]] = []

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.ensure_future(meetings(scope, receive, send))
        if scope["type"] == "websocket":
            running.append(task)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    url = await serve(site, ws=PicowsProtocol)
    async with asyncio.timeout(30), Client.connect(f"{url.replace('http', 'ws')}/ws") as ada:
        await ada.join("ABC123", "Ada", is_host=True, resume=False)
        running[0].cancel()
        async for _ in ada:
            pass
        while meetings.state.hub.roster._people:
            await asyncio.sleep(0.01)


async def test_who_shuts_its_side_is_gone_although_something_waits_for_it(serve: Serve) -> None:
    """TCP would hold on to it until the last byte is read."""
    meetings = create_app(Settings())
    url = await serve(meetings, ws=PicowsProtocol)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    join = b'{"type":"join","roomId":"ABC123","name":"Ada"}'
    async with asyncio.timeout(30), Client.connect(f"{url.replace('http', 'ws')}/ws") as bob:
        me = await bob.join("ABC123", "Bob", is_host=True)
        assert me is not None
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes([0x81, 0x80 | len(join)]) + bytes(4) + join)
        await reader.readuntil(b"participant-joined")
        [ada] = [s for s in meetings.state.hub.roster.sessions() if s.id != me.participant_id]
        while not ada.connection.is_choked:
            await bob.offer(ada.id, "x" * 200_000)
            await asyncio.sleep(0)
        writer.write_eof()
        async for event in bob:
            if isinstance(event, events.ParticipantLeft):
                break
    writer.transport.abort()


async def test_who_was_not_listened_to_since_it_was_asked_is_asked_again(serve: Serve) -> None:
    """The answer may stand behind what the server is only about to read."""
    meetings = create_app(Settings())
    url = await serve(meetings, ws=PicowsProtocol)
    async with asyncio.timeout(30), Client.connect(f"{url.replace('http', 'ws')}/ws") as ada:
        await ada.join("ABC123", "Ada", is_host=True, resume=False)
        [session] = meetings.state.hub.roster.sessions()
        channel = session.connection
        channel.ping(b"first")
        channel.pause()
        channel.resume()
        channel.give_up()
        assert channel.is_open
        channel.pause()
        channel.ping(b"second")
        channel.resume()
        channel.give_up()
        assert channel.is_open
        channel.ping(b"third")
        channel.give_up()
        assert not channel.is_open


async def test_who_floods_after_our_close_frame_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for the answer that it owes."""
    monkeypatch.setattr(channels, "CLOSE_PATIENCE", 600.0)
    url = await serve(create_app(Settings()), ws=PicowsProtocol)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(30):
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x82\x80" + bytes(4))
        assert (await reader.read(4))[2:] == (1003).to_bytes(2)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write((b"\x81\x82" + bytes(4) + b"{}") * 1_000)
                await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
