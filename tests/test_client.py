"""The client, against a real server in this process: every verb once, as somebody else hears it."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import InvalidStatus

from mikroroom import Settings, create_app
from mikroroom.client import Client, DisconnectedError, Heard, RefusedError
from mikroroom.protocol import events, requests

PATIENCE = 60.0
CODE = "ABC234"

Serve = Callable[..., Awaitable[str]]
EventT = TypeVar("EventT")


@pytest.fixture
async def url(serve: Serve) -> str:
    """The signaling of a server that does not count connections."""
    settings = Settings(connections_per_minute=0, rooms_per_minute=0)
    return (await serve(create_app(settings))).replace("http", "ws", 1) + "/ws"


@pytest.fixture
async def people(url: str) -> AsyncIterator[Callable[[int], Awaitable[list[Client]]]]:
    """So many clients, connected."""
    async with contextlib.AsyncExitStack() as stack:

        async def arrive(count: int) -> list[Client]:
            return [await stack.enter_async_context(Client.connect(url)) for _ in range(count)]

        yield arrive


@pytest.fixture
async def pair(people: Callable[[int], Awaitable[list[Client]]]) -> tuple[Client, Client]:
    """Ada, who made a room, and Bob in it; both have heard all there was to hear."""
    ada, bob = await people(2)
    await ada.join(CODE, "Ada", is_host=True)
    await bob.join(CODE, "Bob")
    await hears(bob, events.ParticipantJoined)
    await hears(ada, events.ParticipantJoined)
    return ada, bob


async def hears(client: Client, kind: type[EventT]) -> EventT:
    """The next event, which must be of this kind."""
    async with asyncio.timeout(PATIENCE):
        event = await client.receive()
    assert isinstance(event, kind), event
    return event


async def is_disconnected(client: Client) -> DisconnectedError:
    """Why there is nothing more to be heard."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                await client.receive()
    except DisconnectedError as disconnected:
        return disconnected


# Joining


async def test_whoever_makes_a_room_is_its_host_and_has_its_token(url: str) -> None:
    async with Client.connect(url) as ada:
        me = await ada.join("abc234", "Ada", is_host=True, max_participants=2)
        assert isinstance(me, events.ParticipantJoined)
        assert (me.name, me.is_host, me.is_moderator) == ("Ada", True, True)
        assert (ada.id, ada.room_id) == (me.participant_id, CODE)
        assert ada.creator_token


async def test_whoever_enters_hears_of_those_there(url: str) -> None:
    async with Client.connect(url) as ada, Client.connect(url) as bob:
        await ada.join(CODE, "Ada", is_host=True, password="sesame")
        me = await bob.join(CODE, "Bob", password="sesame")
        assert (bob.id, bob.creator_token) == (me.participant_id, None)
        assert (await hears(bob, events.ParticipantJoined)).participant_id == ada.id
        joined = await hears(ada, events.ParticipantJoined)
        assert (joined.participant_id, joined.name) == (bob.id, "Bob")


async def test_a_creator_comes_back_as_host(pair: tuple[Client, Client], url: str) -> None:
    ada, _bob = pair
    token = ada.creator_token
    await ada.leave()
    async with Client.connect(url) as again:
        me = await again.join(CODE, "Ada", creator_token=token)
        assert isinstance(me, events.ParticipantJoined) and me.is_host


@pytest.mark.parametrize(
    ("code", "password", "why"),
    [("ZZZZZZ", None, "ROOM_NOT_FOUND"), (CODE, None, "INVALID_PASSWORD"), (CODE, "x", "INVALID_PASSWORD")],
)
async def test_whoever_is_refused_hears_why_and_may_try_again(
    url: str, code: str, password: str | None, why: str
) -> None:
    async with Client.connect(url) as ada, Client.connect(url) as bob:
        await ada.join(CODE, "Ada", is_host=True, password="sesame")
        with pytest.raises(RefusedError) as refused:
            await bob.join(code, "Bob", password=password)
        assert refused.value.code == why
        assert refused.value.message and why in str(refused.value)
        assert bob.id == ""
        await bob.join(CODE, "Bob", password="sesame")
        assert bob.id


@pytest.mark.parametrize(("code", "name"), [("ABC", "Ada"), (CODE, ""), (CODE, "\u202e"), (CODE, "x" * 65)])
async def test_what_no_server_would_take_is_not_sent(url: str, code: str, name: str) -> None:
    async with Client.connect(url) as ada:
        with pytest.raises((ValueError, RefusedError)):
            await ada.join(code, name, is_host=True)


async def test_a_handshake_that_is_refused_raises(serve: Serve) -> None:
    url = (await serve(create_app(Settings(connections_per_minute=1)))).replace("http", "ws", 1) + "/ws"
    async with Client.connect(url):
        with pytest.raises(InvalidStatus) as refused:
            async with Client.connect(url):
                pass
    assert refused.value.response.status_code == 429


async def test_where_nobody_listens_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="onnect"):
        async with Client.connect("ws://127.0.0.1:1/ws"):
            pass


# Every verb


async def test_what_is_left_of_a_room_is_not_taken_for_the_next(
    pair: tuple[Client, Client], url: str
) -> None:
    """Bob goes while there is more to be heard of the first room than he has listened to."""
    ada, bob = pair
    async with Client.connect(url) as cleo:
        await cleo.join(CODE, "Cleo")
        await bob.lock()  # refused, and that is not about joining either
        await hears(ada, events.ParticipantJoined)
        await bob.leave()
        joined = await bob.join("OTHERS", "Bob", is_host=True)
    assert (joined.room_id, bob.room_id) == ("OTHERS", "OTHERS")
    await bob.chat("alone")
    assert (await hears(bob, events.Chat)).participant_id == bob.id


async def test_a_goodbye_is_heard(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await bob.leave()
    assert (await hears(ada, events.ParticipantLeft)).participant_id == bob.id
    await bob.join(CODE, "Bob again")
    assert (await hears(ada, events.ParticipantJoined)).name == "Bob again"


async def test_offers_answers_and_candidates_are_heard(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    sdp = 'v=0\r\no=- "é" \\ 😀\r\n'
    await bob.offer(ada.id, sdp)
    offer = await hears(ada, events.Offer)
    assert (offer.participant_id, offer.target_id, offer.text) == (bob.id, ada.id, sdp)
    await ada.answer(bob.id, sdp)
    assert (await hears(bob, events.Answer)).text == sdp
    candidate = {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0}
    await bob.ice_candidate(ada.id, candidate)
    assert (await hears(ada, events.IceCandidate)).fields == candidate
    await bob.ice_candidate(ada.id, None)
    assert (await hears(ada, events.IceCandidate)).fields is None


async def test_a_chat_and_its_answer_are_heard(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await ada.chat("hello")
    said = await hears(bob, events.Chat)
    await bob.chat("hello yourself", reply_to=said.message_id)
    answers = [await hears(ada, events.Chat), await hears(ada, events.Chat)]
    assert [(chat.text, chat.reply_to or None) for chat in answers] == [
        ("hello", None),
        ("hello yourself", said.message_id),
    ]


async def test_a_private_message_is_heard_by_two(
    people: Callable[[int], Awaitable[list[Client]]], pair: tuple[Client, Client]
) -> None:
    ada, bob = pair
    [cleo] = await people(1)
    await cleo.join(CODE, "Cleo")
    await hears(ada, events.ParticipantJoined)
    await hears(bob, events.ParticipantJoined)
    await ada.chat("psst", target_id=bob.id)
    await ada.chat("hello")
    for client in pair:
        private = await hears(client, events.Chat)
        assert (private.text, private.target_id) == ("psst", bob.id)
        assert (await hears(client, events.Chat)).text == "hello"
    await hears(cleo, events.ParticipantJoined)
    await hears(cleo, events.ParticipantJoined)
    assert (await hears(cleo, events.Chat)).text == "hello"


async def test_a_message_that_was_taken_back_is_told(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await bob.chat("oops")
    said = await hears(bob, events.Chat)
    await bob.delete_message(said.message_id)
    deleted = await hears(bob, events.MessageDeleted)
    assert (deleted.message_id, deleted.deleted_by) == (said.message_id, bob.id)
    assert (await hears(ada, events.Chat)).message_id == said.message_id
    assert (await hears(ada, events.MessageDeleted)).message_id == said.message_id


async def test_what_was_said_before_is_heard_where_rooms_keep_it(serve: Serve) -> None:
    settings = Settings(connections_per_minute=0, rooms_per_minute=0, chat_history=10)
    url = (await serve(create_app(settings))).replace("http", "ws", 1) + "/ws"
    async with Client.connect(url) as ada, Client.connect(url) as bob:
        await ada.join(CODE, "Ada", is_host=True)
        await ada.chat("hello")
        said = await hears(ada, events.Chat)
        await bob.join(CODE, "Bob")
        await hears(bob, events.ParticipantJoined)
        history = await hears(bob, events.Chat)
        assert (history.is_history, history.name) == (True, "Ada")
        assert (history.message_id, history.timestamp) == (said.message_id, said.timestamp)


async def test_a_changed_state_is_heard(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await bob.update(is_muted=True)
    await bob.update(is_video_off=True, is_muted=False)
    first, second = await hears(ada, events.ParticipantUpdated), await hears(ada, events.ParticipantUpdated)
    assert (first.is_muted, first.is_video_off) == (True, False)
    assert (second.is_muted, second.is_video_off, second.is_hand_raised) == (False, True, False)


async def test_a_hand_is_seen(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await bob.raise_hand()
    await hears(ada, events.RaiseHand)
    assert (await hears(ada, events.ParticipantUpdated)).is_hand_raised
    await bob.lower_hand()
    await hears(ada, events.LowerHand)
    assert not (await hears(ada, events.ParticipantUpdated)).is_hand_raised


async def test_a_recording_is_announced(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await ada.start_recording()
    assert (await hears(bob, events.RecordingStarted)).started_by == ada.id
    await ada.stop_recording()
    assert (await hears(bob, events.RecordingStopped)).stopped_by == ada.id


async def test_a_moderator_moderates(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    for action, is_muted in (("mute", True), ("unmute", False)):
        await ada.moderate(bob.id, action)  # type: ignore[arg-type]  # both are actions
        assert (await hears(bob, events.ModeratorAction)).action == action
        assert (await hears(bob, events.ParticipantUpdated)).is_muted is is_muted
    await ada.moderate(bob.id, "make-moderator")
    await hears(bob, events.ModeratorAction)
    assert (await hears(bob, events.ParticipantUpdated)).is_moderator
    await ada.moderate(bob.id, "kick")
    assert (await hears(bob, events.ModeratorAction)).action == "kick"
    assert (await is_disconnected(bob)).code == 4501


async def test_a_locked_room_has_a_waiting_room(pair: tuple[Client, Client], url: str) -> None:
    ada, bob = pair
    await ada.lock()
    assert (await hears(bob, events.RoomLocked)).locked_by == ada.id
    await hears(ada, events.RoomLocked)
    async with Client.connect(url) as cleo, Client.connect(url) as dora, Client.connect(url) as egon:
        waiting = await cleo.join(CODE, "Cleo")
        assert isinstance(waiting, events.WaitingRoom)
        assert (cleo.id, cleo.room_id) == (waiting.participant_id, CODE)
        assert (await hears(ada, events.WaitingRoom)).participant_id == cleo.id
        await ada.admit(cleo.id)
        me = await hears(cleo, events.ParticipantJoined)
        assert (me.participant_id, me.name) == (cleo.id, "Cleo")

        await dora.join(CODE, "Dora")
        await ada.reject(dora.id, "not today")
        assert (await hears(dora, events.RejectUser)).reason == "not today"
        assert (await is_disconnected(dora)).code == 4502

        await egon.join(CODE, "Egon")
        await ada.unlock()
        assert (await hears(egon, events.ParticipantJoined)).participant_id == egon.id
    assert (await hears(bob, events.ParticipantJoined)).name == "Cleo"
    assert (await hears(bob, events.RoomUnlocked)).unlocked_by == ada.id


async def test_any_other_request_can_be_sent_and_is_refused_in_an_event(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await bob.send(requests.QualityChange(target_id=ada.id, quality="low"))
    assert (await hears(ada, events.QualityChange)).quality == "low"
    await bob.lock()
    refused = await hears(bob, events.Error)
    assert (refused.code, refused.request_type) == ("UNAUTHORIZED", "room-locked")


async def test_a_message_as_large_as_the_server_takes_is_heard(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    sdp = "x" * 261_900
    await ada.offer(bob.id, sdp)
    assert (await hears(bob, events.Offer)).text == sdp


# Ends


async def test_iterating_ends_with_the_connection(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    heard: list[Heard] = []

    async def listen() -> None:
        heard.extend([event async for event in bob])

    listening = asyncio.create_task(listen())
    await ada.chat("one")
    await ada.chat("two")
    await ada.moderate(bob.id, "kick")
    async with asyncio.timeout(PATIENCE):
        await listening
    assert [type(event) for event in heard] == [events.Chat, events.Chat, events.ModeratorAction]


async def test_iterating_can_be_left_and_taken_up_again(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    for text in ("one", "two"):
        await ada.chat(text)
    for text in ("one", "two"):
        async for event in bob:
            assert isinstance(event, events.Chat) and event.text == text
            break


async def test_after_the_end_nothing_can_be_said_or_heard(pair: tuple[Client, Client]) -> None:
    ada, bob = pair
    await ada.moderate(bob.id, "kick")
    ended = await is_disconnected(bob)
    assert (ended.code, str(ended)) == (4501, f"4501 {ended.reason}")
    with pytest.raises(DisconnectedError) as disconnected:
        await bob.chat("hello?")
    assert disconnected.value.code == 4501
    with pytest.raises(DisconnectedError):
        await bob.join(CODE, "Bob")
    with pytest.raises(DisconnectedError):
        await bob.receive()


async def test_a_server_that_is_gone_without_a_word_is_1006() -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()
        await connection.wait_closed()

    async with serve_websocket(vanish, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Client.connect(f"ws://127.0.0.1:{port}") as ada:
            assert (await is_disconnected(ada)).code == 1006


async def test_what_a_newer_server_says_is_passed_over() -> None:
    base = {"roomId": CODE, "participantId": "x", "timestamp": 1}

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        for message in (
            {"type": "reactions-changed", "emoji": "+1"},
            {"type": "participant-joined", "name": "Ada", "mood": "good"},
            {"type": "hologram", "depth": [1, 2, 3]},
            {"type": "chat", "text": "hello", "messageId": "1-x", "stars": 5},
        ):
            await connection.send(json.dumps({**base, **message}))
        await connection.wait_closed()

    async with serve_websocket(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Client.connect(f"ws://127.0.0.1:{port}") as ada:
            assert isinstance(await ada.join(CODE, "Ada"), events.ParticipantJoined)
            assert (await hears(ada, events.Chat)).text == "hello"


async def test_whoever_goes_without_having_listened_goes_soon(pair: tuple[Client, Client], url: str) -> None:
    """A bot that only speaks hears a lot that it does not read; its goodbye must not wait behind all that."""
    ada, bob = pair
    # Twice what a client gives to its goodbye, and less than one that waits as long as websockets would.
    async with asyncio.timeout(9):
        async with Client.connect(url) as cleo:
            await cleo.join(CODE, "Cleo")
            for _ in range(40):
                await ada.chat("x" * 100)
            await hears(bob, events.ParticipantJoined)
            for _ in range(40):  # when Bob has heard it all, it is on its way to Cleo as well
                await hears(bob, events.Chat)


def test_the_client_alone_does_not_load_the_server() -> None:
    script = (
        "import sys, mikroroom.client;"
        "server = {'starlette', 'uvicorn', 'mikroroom.app', 'mikroroom.hub', 'mikroroom.core', 'sqlite3'};"
        "sys.exit(str(sorted(server & set(sys.modules))) if server & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
