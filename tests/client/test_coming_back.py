"""Lost connections, as the client takes them: a server is played that loses them at will."""

import asyncio
import contextlib
from http import HTTPStatus

import pytest

from mikroroom.client import (
    Backoff,
    Client,
    DisconnectedError,
    GapError,
    Limit,
    QueueFullError,
    RefusedError,
    Rejoined,
    Resumed,
    Suspended,
)
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import InvalidMessage

from .stage import CODE, PATIENCE, Peer, Stage, hears


async def hears_texts(client: Client, count: int) -> list[str]:
    chats = [await hears(client) for _ in range(count)]
    return [chat.text if isinstance(chat, events.Chat) else str(chat) for chat in chats]


async def is_resumed(client: Client, code: int = 1006) -> Resumed:
    """It hears that it was away, and that it is back."""
    suspended = await hears(client)
    assert isinstance(suspended, Suspended) and suspended.code == code, suspended
    resumed = await hears(client)
    assert isinstance(resumed, Resumed), resumed
    return resumed


async def ends(client: Client) -> DisconnectedError:
    """Nothing comes any more but this."""
    with pytest.raises(DisconnectedError) as disconnected:
        await hears(client)
    return disconnected.value


async def comes_back(stage: Stage, client: Client, token: str, seq: int, has: int = 0) -> Peer:
    """Let it in again, and have it hear so."""
    peer = await stage.arrival()
    await peer.resumes(token, seq, has=has)
    await is_resumed(client)
    return peer


# What is heard


async def test_fresh_turn_credentials_are_an_event(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        turn = {"urls": "turn:turn.example.org", "username": "60:ada", "credential": "secret"}
        await peer.says("ice-servers", iceServers=[{"urls": "stun:stun.example.org"}, turn], ttl=60, seq=2)
        told = await hears(ada)
        assert isinstance(told, events.IceServers)
        assert told.ice_servers == [events.IceServer("stun:stun.example.org"), events.IceServer(**turn)]
        assert told.ttl == 60


async def test_a_lost_connection_is_told_and_taken_up_again_where_it_was(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        await peer.chats(("a", 2), ("b", 3))
        assert await hears_texts(ada, 2) == ["a", "b"]
        peer.cuts()
        again = await stage.arrival()
        asked = await again.resumes("token-2", 3)
        assert asked == {"type": "join", "roomId": CODE, "resumeToken": "token-1", "lastSeq": 3}
        resumed = await is_resumed(ada)
        assert resumed.replayed and resumed.own.participant_id == ada.id == "ada"
        await again.chats(("c", 4))
        assert await hears_texts(ada, 1) == ["c"]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4001, 4003])
async def test_after_most_ways_to_be_closed_it_comes_back(stage: Stage, code: int) -> None:
    async with stage.ada() as (ada, peer):
        await peer.closes(code, "why")
        await (await stage.arrival()).resumes("token-2", 1)
        suspended = await hears(ada)
        assert suspended == Suspended(code, "why")
        assert isinstance(await hears(ada), Resumed)


@pytest.mark.parametrize("code", [4500, 4501, 4502, 4503, 4504, 4999, 1002, 1007, 1009])
async def test_after_others_it_does_not(stage: Stage, code: int) -> None:
    async with stage.ada() as (ada, peer):
        await peer.chats(("bye", 2))
        await peer.closes(code, "why")
        assert await hears_texts(ada, 1) == ["bye"]
        for _ in range(2):
            assert str(await ends(ada)) == f"{code} why"
        with pytest.raises(DisconnectedError) as disconnected:
            await ada.chat("still there?")
        assert disconnected.value.code == code
    assert stage.is_empty()


async def test_what_is_heard_twice_is_told_once(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        await peer.chats(("a", 2))
        peer.cuts()
        again = await stage.arrival()
        await again.resumes("token-2", 1)
        await again.chats(("a", 2), ("b", 3))
        heard = [await hears(ada) for _ in range(4)]
        assert [event.text for event in heard if isinstance(event, events.Chat)] == ["a", "b"]


async def test_what_a_newer_server_says_is_counted_too(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        await peer.says("hologram", seq=2, depth=[1, 2])
        await peer.says("chat", seq=3, text=["no text"])
        with pytest.raises(InvalidMessage):
            await hears(ada)
        await peer.chats(("a", 4))
        assert await hears_texts(ada, 1) == ["a"]


async def test_a_message_left_out_is_told_loudly(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        await peer.chats(("a", 2), ("c", 4))
        assert await hears_texts(ada, 1) == ["a"]
        with pytest.raises(GapError):
            await hears(ada)
        with pytest.raises(GapError):
            async for _ in ada:
                pass
        assert await peer.is_left() == 1006
        with pytest.raises(DisconnectedError):
            await ada.chat("hello?")


async def test_when_what_was_missed_is_not_held_a_snapshot_follows(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        again = await stage.arrival()
        await again.resumes("token-2", 500, replayed=False)
        assert not (await is_resumed(ada)).replayed
        await again.says("participant-joined", participantId="bob", name="Bob", seq=501)
        assert isinstance(await hears(ada), events.ParticipantJoined)


async def test_whoever_waits_keeps_its_place_and_may_have_been_admitted(stage: Stage) -> None:
    async with stage.client() as ada:
        peer = await stage.arrival()
        joining = asyncio.create_task(ada.join(CODE, "Ada"))
        await peer.hears()
        await peer.says("waiting-room", name="Ada", resumeToken="token-1", resumeWindow=30, seq=1)
        assert isinstance(await joining, events.WaitingRoom)
        peer.cuts()
        await (await stage.arrival()).resumes("token-2", 1)
        assert isinstance((await is_resumed(ada)).own, events.ParticipantJoined)


# What is said


async def test_what_was_lost_in_flight_is_sent_again_then_what_waited(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.answers_no_ping()
        for text in ("a", "b", "c"):
            await ada.chat(text)
        assert await peer.hears_texts(3) == [("a", 1), ("b", 2), ("c", 3)]
        peer.cuts()
        assert isinstance(await hears(ada), Suspended)
        await ada.chat("d")
        again = await stage.arrival()
        await again.resumes("token-2", 1, has=1)
        assert await again.hears_texts(3) == [("b", 2), ("c", 3), ("d", 4)]
        assert isinstance(await hears(ada), Resumed)
        await ada.chat("e")
        assert await again.hears_texts(1) == [("e", 5)]


async def test_what_has_arrived_is_not_sent_again_to_a_server_that_crashed(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        await ada.chat("a")
        await peer.hears_texts(1)
        async with asyncio.timeout(PATIENCE):
            while ada._line._place is None or ada._line._place.outbox.is_unsure:
                await asyncio.sleep(0.005)
        peer.answers_no_ping()
        await ada.chat("b")
        await peer.hears_texts(1)
        peer.cuts()
        again = await stage.arrival()
        await again.resumes("token-2", 1, replayed=False, has=0)
        assert await again.hears_texts(1) == [("b", 2)]


async def test_a_burst_is_confirmed_to_the_last_message(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        for number in range(300):
            await ada.chat(str(number))
        await peer.hears_texts(300)
        async with asyncio.timeout(PATIENCE):
            while ada._line._place is None or ada._line._place.outbox.is_unsure:
                await asyncio.sleep(0.005)


async def test_only_so_much_waits_and_what_waits_is_not_lost(stage: Stage) -> None:
    async with stage.ada(limit=Limit(messages=2)) as (ada, _peer):
        await stage.shuts()
        assert isinstance(await hears(ada), Suspended)
        await ada.chat("a")
        await ada.chat("b")
        with pytest.raises(QueueFullError, match="at most 2"):
            await ada.chat("c")
        await stage.opens()
        again = await stage.arrival()
        await again.resumes("token-2", 1)
        assert await again.hears_texts(2) == [("a", 1), ("b", 2)]


async def test_what_many_say_at_once_while_it_comes_back_is_in_order(stage: Stage) -> None:
    async with stage.ada() as (ada, first):
        peer = first
        texts = [f"{number} {'x' * 3_000}" for number in range(200)]

        async def speak() -> None:
            for text in texts:
                await ada.chat(text)
                await asyncio.sleep(0)

        speaking = asyncio.create_task(speak())
        heard: list[str] = []
        for turn in range(4):
            peer.answers_no_ping()  # what has come this far is not yet taken
            got = await peer.hears_texts(40)
            assert [number for _, number in got] == list(range(len(heard) + 1, len(heard) + 41))
            heard += [text for text, _ in got]
            peer.cuts()
            peer = await stage.arrival()
            await peer.resumes(f"token-{turn + 2}", 1, has=len(heard))
        heard += [text for text, _ in await peer.hears_texts(40)]
        await speaking
        assert heard == texts


async def test_a_request_may_be_sent_as_often_as_one_likes(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        hello = requests.Chat(text="hello")
        await ada.send(hello)
        await ada.send(hello)
        assert await peer.hears_texts(2) == [("hello", 1), ("hello", 2)]
        assert hello == requests.Chat(text="hello")


# On the way back


async def test_it_goes_on_until_somebody_answers_and_waits_as_long_as_it_is_told(stage: Stage) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)
        if len(slept) == 4:
            await stage.opens()

    backoff = Backoff(1.0, 4.0, chance=lambda: 0.5, sleep=sleep)
    async with stage.ada(backoff=backoff) as (ada, _peer):
        stage.refusals.extend(
            [
                (HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "7"}),
                (HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}),
                (HTTPStatus.BAD_GATEWAY, {"Retry-After": "86400"}),
            ]
        )
        await stage.shuts()
        peer = await stage.arrival()
        await peer.resumes("token-2", 1)
        await is_resumed(ada, code=1012)
        assert slept == [0.5, 1.0, 2.0, 2.0, 9.0, 2.0, 62.0]
        # To be let in and cut off again is no success, ...
        peer.cuts()
        peer = await comes_back(stage, ada, "token-3", 1)
        assert slept[7:] == [2.0]
        # ... but to have been back for a while is.
        backoff.most = 0.0
        peer.cuts()
        backoff_began = len(slept)
        await comes_back(stage, ada, "token-4", 1)
        assert slept[backoff_began:] == [0.5]


async def test_a_handshake_that_will_always_be_refused_is_the_end(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        stage.refusals.append((HTTPStatus.FORBIDDEN, {}))
        peer.cuts()
        assert isinstance(await hears(ada), Suspended)
        ended = await ends(ada)
        assert ended.code == 1006 and "403" in ended.reason


async def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_token(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        for _ in range(2):
            unlucky = await stage.arrival()
            assert (await unlucky.hears())["resumeToken"] == "token-1"
            unlucky.cuts()
        await comes_back(stage, ada, "token-4", 1)


async def test_a_silent_connection_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mikroroom.client.line.ANSWER_TIMEOUT", 0.05)
    async with stage.ada() as (_ada, peer):
        peer.cuts()
        silent = await stage.arrival()
        assert (await silent.hears())["resumeToken"] == "token-1"
        assert await silent.is_left() == 1006
        assert (await (await stage.arrival()).hears())["resumeToken"] == "token-1"


@pytest.mark.parametrize("code", ["RATE_LIMITED", "SERVER_ERROR"])
async def test_a_refusal_that_passes_is_waited_for(stage: Stage, code: str) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        again = await stage.arrival()
        await again.refuses(code)
        await again.refuses(code)
        assert (await again.resumes("token-2", 1))["resumeToken"] == "token-1"
        await is_resumed(ada)


async def test_whoever_is_replaced_on_its_way_back_stays_away(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        again = await stage.arrival()
        await again.hears()
        await again.closes(4503)
        assert isinstance(await hears(ada), Suspended)
        assert (await ends(ada)).code == 4503


async def test_to_ask_for_events_with_a_timeout_does_not_hold_it_up(stage: Stage) -> None:
    """Nor does not asking at all: it is back before anybody listens."""
    async with stage.ada() as (ada, peer):
        peer.cuts()
        again = await stage.arrival()
        for _ in range(20):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ada.receive(), 0)
        await again.resumes("token-2", 1)
        await again.chats(("a", 2))
        await ada.chat("b")
        assert await again.hears_texts(1) == [("b", 1)]
        heard = await hears(ada)
        while not isinstance(heard, events.Chat):
            heard = await hears(ada)
        assert heard.text == "a"


async def test_much_that_nobody_listens_to_is_held_back_and_nothing_is_lost(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        ada._line.inbox._limit = 2_000
        numbers = range(12)
        for number in numbers:
            await peer.chats((f"{number} {'x' * 1_000}", number + 2))
        await peer.is_caught_up()
        assert ada._line.inbox._size < 4_000
        assert [text.split()[0] for text in await hears_texts(ada, 12)] == [str(number) for number in numbers]


# When the place is gone


async def test_a_place_that_is_gone_is_taken_afresh(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.answers_no_ping()
        await ada.chat("perhaps it arrives")
        await peer.hears()
        peer.cuts()
        assert isinstance(await hears(ada), Suspended)
        await ada.chat("later")
        again = await stage.arrival()
        assert (await again.refuses("RESUME_FAILED"))["resumeToken"] == "token-1"
        asked = await again.seats("token-2", participantId="ada-2", creatorToken="mine")
        fields = {"name": "Ada", "password": "sesame", "isHost": True, "resume": True}
        assert asked == {"type": "join", "roomId": CODE, **fields}
        rejoined = await hears(ada)
        assert isinstance(rejoined, Rejoined)
        assert (ada.id, ada.creator_token) == (rejoined.own.participant_id, "mine") == ("ada-2", "mine")
        assert await again.hears_texts(1) == [("later", 1)]
        await again.chats(("a", 2))
        assert await hears_texts(ada, 1) == ["a"]


async def test_whoever_made_the_room_stays_its_creator(stage: Stage) -> None:
    async with stage.client() as ada:
        peer = await stage.arrival()
        joining = asyncio.create_task(ada.join(CODE, "Ada", is_host=True))
        await peer.seats(creatorToken="mine")
        await joining
        peer.cuts()
        again = await stage.arrival()
        await again.refuses("RESUME_FAILED")
        assert (await again.seats("token-2", participantId="ada-2"))["creatorToken"] == "mine"
        assert isinstance(await hears(ada), Suspended)
        assert isinstance(await hears(ada), Rejoined)
        assert (ada.id, ada.creator_token) == ("ada-2", "mine")


async def test_the_token_before_is_tried_where_a_crash_has_forgotten_the_newer_one(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        (await comes_back(stage, ada, "token-2", 1)).cuts()
        again = await stage.arrival()
        assert (await again.refuses("RESUME_FAILED"))["resumeToken"] == "token-2"
        assert (await again.resumes("token-3", 1))["resumeToken"] == "token-1"
        await is_resumed(ada)


@pytest.mark.parametrize("code", ["ROOM_NOT_FOUND", "INVALID_PASSWORD", "ROOM_FULL"])
async def test_whoever_may_not_enter_afresh_is_told_why(stage: Stage, code: str) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        again = await stage.arrival()
        await again.refuses("RESUME_FAILED")
        await again.refuses(code)
        assert isinstance(await hears(ada), Suspended)
        with pytest.raises(RefusedError) as refused:
            await hears(ada)
        assert refused.value.code == code
        assert await again.is_left() == 1006
        with pytest.raises(DisconnectedError):
            await ada.chat("hello?")


async def test_whoever_does_not_want_to_enter_afresh_does_not(stage: Stage) -> None:
    async with stage.ada(rejoin=False) as (ada, peer):
        peer.cuts()
        await (await stage.arrival()).refuses("RESUME_FAILED")
        assert isinstance(await hears(ada), Suspended)
        with pytest.raises(RefusedError) as refused:
            await hears(ada)
        assert refused.value.code == "RESUME_FAILED"


# Leaving


async def test_after_a_goodbye_a_lost_connection_is_the_end(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        await ada.chat("bye")
        await ada.send(requests.Leave())
        assert [(await peer.hears())["type"] for _ in range(2)] == ["chat", "leave"]
        peer.cuts()
        assert (await ends(ada)).code == 1006
    assert stage.is_empty()


async def test_whoever_leaves_while_away_comes_back_no_more(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        again = await stage.arrival()
        await again.hears()
        await ada.leave()
        assert await again.is_left() == 1006
        assert isinstance(await hears(ada), Suspended)
        assert (await ends(ada)).code == 1006
        with pytest.raises(DisconnectedError):
            await ada.join(CODE, "Ada")
    assert stage.is_empty()


async def test_in_the_next_room_all_is_counted_anew(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        await ada.chat("a")
        await ada.leave()
        assert [(await peer.hears())["clientSeq"] for _ in range(2)] == [1, 2]
        await peer.chats(("late", 2))
        joining = asyncio.create_task(ada.join(CODE, "Ada"))
        await peer.seats("token-9")
        await joining
        await ada.chat("b")
        assert await peer.hears_texts(1) == [("b", 1)]
        peer.cuts()
        assert (await (await stage.arrival()).resumes("token-10", 1, has=1))["resumeToken"] == "token-9"
        await is_resumed(ada)


async def test_the_end_of_the_block_is_a_goodbye(stage: Stage) -> None:
    async with stage.ada() as (_ada, peer):
        pass
    assert (await peer.hears())["type"] == "leave"
    assert await peer.is_left() == 1000


async def test_the_end_of_the_block_ends_the_way_back_too(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        again = await stage.arrival()
        listening = asyncio.create_task(_all(ada))
    assert await again.is_left() == 1006
    assert [type(event) for event in await listening] == [Suspended]
    assert stage.is_empty()


async def test_to_join_twice_is_refused_and_changes_nothing(stage: Stage) -> None:
    async with stage.client() as ada:
        peer = await stage.arrival()
        joining = asyncio.create_task(ada.join(CODE, "Ada"))
        await peer.seats(creatorToken="mine")
        await joining
        joining = asyncio.create_task(ada.join("OTHERS", "Ada"))
        assert "clientSeq" not in await peer.refuses("ALREADY_JOINED")
        with pytest.raises(RefusedError):
            await joining
        assert (ada.id, ada.room_id, ada.creator_token) == ("ada", CODE, "mine")
        peer.cuts()
        again = await stage.arrival()
        assert (await again.resumes("token-2", 1))["roomId"] == CODE
        await is_resumed(ada)


# Without a place


async def test_without_resume_all_is_as_it_was(stage: Stage) -> None:
    async with stage.client() as ada:
        peer = await stage.arrival()
        joining = asyncio.create_task(ada.join(CODE, "Ada", resume=False))
        assert "resume" not in await peer.hears()
        await peer.says("participant-joined", name="Ada")
        await joining
        await ada.chat("a")
        assert "clientSeq" not in await peer.hears()
        await peer.closes(1012, "restarting")
        assert str(await ends(ada)) == "1012 restarting"
    assert stage.is_empty()


async def test_a_server_that_keeps_no_places_is_lost_with_its_connection(stage: Stage) -> None:
    async with stage.client() as ada:
        peer = await stage.arrival()
        joining = asyncio.create_task(ada.join(CODE, "Ada"))
        assert (await peer.hears())["resume"] is True
        await peer.says("participant-joined", name="Ada")
        await joining
        peer.cuts()
        assert (await ends(ada)).code == 1006
    assert stage.is_empty()


async def test_whoever_has_not_joined_does_not_come_back(stage: Stage) -> None:
    async with stage.client() as ada:
        peer = await stage.arrival()
        joining = asyncio.create_task(ada.join(CODE, "Ada"))
        await peer.hears()
        await peer.closes(4002)
        with pytest.raises(DisconnectedError):
            await joining
        with pytest.raises(DisconnectedError):
            await ada.leave()
    assert stage.is_empty()


async def test_a_kick_that_a_sender_notices_first_is_told_to_it(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        ada._line.inbox._limit = 0
        ada._line.inbox._has_room.clear()  # nobody listens any more
        await peer.chats(("a", 2))
        await peer.is_caught_up()
        closing = asyncio.create_task(peer.closes(4501))
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(DisconnectedError) as disconnected:
                await _chat_for_ever(ada)
        assert disconnected.value.code == 4501
        await closing


async def _chat_for_ever(client: Client) -> None:
    while True:
        await client.chat("hello?")
        await asyncio.sleep(0)


async def _all(client: Client) -> list[object]:
    return [event async for event in client]


async def test_an_answer_that_cannot_be_read_is_a_try_that_failed(stage: Stage) -> None:
    async with stage.ada() as (ada, peer):
        peer.cuts()
        broken = await stage.arrival()
        await broken.hears()
        await broken.says("participant-joined", participantId=7, roomId="ABC123", resumeToken="token-2")
        await comes_back(stage, ada, "token-3", 1)
