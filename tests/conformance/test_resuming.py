"""Coming back on a new connection: what one hears, and what the others do (R42 to R44)."""

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed

from .conftest import StageWith
from .people import Message, Person, ids, make_moderator
from .stage import Stage
from .test_suspension import is_lost
from .test_talking import PAYLOADS_AS_TEXT

# What is kept of what one is told (R44).
KEPT_MESSAGES = 256
KEPT_BYTES = 256 * 1024


def unnumbered(heard: list[Message]) -> list[Message]:
    """What was heard, as anybody else heard it."""
    return [{name: value for name, value in message.items() if name != "seq"} for message in heard]


# What was missed


async def test_what_was_missed_follows(stage: Stage) -> None:
    """R42: all that was said and done, in order, and as those heard it who were there."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl", resume=True)
    await make_moderator(ada, bob, carl)
    await make_moderator(ada, carl, bob)
    await is_lost(ada, bob, carl)
    await bob.says("chat", text="é😀\u2028", replyTo="1-2")
    await bob.says("raise-hand")
    await bob.says("participant-updated", isMuted=True)
    await bob.says("recording-started")
    await bob.says("room-locked")
    await bob.hears_until("room-locked")
    dan = await stage.waiting("Dan", bob)
    await bob.says("room-unlocked")
    await dan.is_let_in()
    await bob.leaves()
    witnessed = await carl.hears_until("recording-stopped")
    assert len(witnessed) == 11

    back = await stage.comes_back(ada, carl)
    await dan.hears_until("participant-updated", participantId=ada.id, isConnected=True)
    assert unnumbered(await back.hears_everything()) == unnumbered(witnessed)
    await carl.hears_nothing()
    await dan.hears_nothing()


@pytest.mark.parametrize(("kind", "field", "payload"), PAYLOADS_AS_TEXT.values(), ids=PAYLOADS_AS_TEXT)
async def test_missed_payload_comes_byte_by_byte(stage: Stage, kind: str, field: str, payload: str) -> None:
    """R14, R42: with the sender's id and time."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    await bob.sends(f'{{"type": "{kind}", "targetId": "{ada.id}", "{field}":{payload}, "timestamp": 1.5}}')
    back = await stage.comes_back(ada, bob)
    await back.hears(kind, participantId=bob.id, targetId=ada.id, timestamp=1.5)
    assert payload in back.text
    await back.hears_nothing()


async def test_what_was_lost_in_flight_follows_too(stage: Stage) -> None:
    """R44: what was sent before the connection broke, but never read."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    for text in ("one", "two"):
        await bob.says("chat", text=text)
    await bob.hears_until("chat", text="two")
    await is_lost(ada, bob)
    await bob.says("chat", text="three")
    await bob.is_done()
    back = await stage.arrives("Ada")
    own = await back.resumes(ada)
    assert (own["seq"], own["replayed"]) == (ada.seq, True)
    for number, text in enumerate(("one", "two", "three"), ada.seq + 1):
        await back.hears("chat", text=text, seq=number)
    await back.hears_nothing()


async def test_nothing_is_told_twice(stage: Stage) -> None:
    """R42: who has heard all hears that it is back, and then what is new."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await bob.says("chat", text="heard")
    await ada.hears("chat")
    await bob.hears("chat")
    await is_lost(ada, bob)
    back = await stage.comes_back(ada, bob)
    await back.hears_nothing()
    await bob.says("chat", text="new")
    await back.hears("chat", text="new")


async def test_numbers_go_on_over_many_connections(stage: Stage) -> None:
    """R40: no number twice, and none left out."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    person, heard = ada, []
    for number in range(5):
        await is_lost(person, bob)
        await bob.says("chat", text=f"away {number}")
        await bob.hears("chat")
        person = await stage.comes_back(person, bob)
        await bob.says("chat", text=f"back {number}")
        await bob.hears("chat")
        heard += await person.hears_until("chat", text=f"back {number}")
    said = [f"{what} {number}" for number in range(5) for what in ("away", "back")]
    assert [(message["text"], message["seq"]) for message in heard] == list(
        zip(said, range(ada.seq + 1, ada.seq + 11), strict=True)
    )


async def test_errors_are_replayed_like_anything_else(stage: Stage) -> None:
    """R40: a refusal that was lost in flight is not lost."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await bob.says("room-locked")
    await bob.says("chat", text="after it")
    await ada.hears("chat")
    await is_lost(bob, ada)
    back = await stage.arrives("Bob")
    await back.resumes(bob)
    await back.is_refused("UNAUTHORIZED", "room-locked")
    await back.hears("chat", text="after it")


@pytest.mark.house
@pytest.mark.parametrize("fields", [{"lastSeq": None}, {"lastSeq": 0}], ids=["null", "0"])
async def test_who_has_heard_nothing_hears_it_all(stage: Stage, fields: dict[str, object]) -> None:
    """R42: everything after no number at all."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(bob, ada)
    back = await stage.arrives("Bob")
    own = await back.resumes(bob, **fields)
    assert (own["seq"], own["replayed"]) == (0, True)
    heard = [json.loads(await back.connection.recv()) for _ in range(2)]
    assert [(message["participantId"], message["seq"]) for message in heard] == [(bob.id, 1), (ada.id, 2)]


# What is not held any more


async def test_as_much_is_kept_as_was_promised(stage: Stage) -> None:
    """R44: 256 messages follow; of 257 the first is not there any more."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    await chatters(bob, KEPT_MESSAGES, "x")
    back = await stage.arrives("Ada")
    assert (await back.resumes(ada))["replayed"] is True
    missed = await back.hears_everything()
    assert len(missed) == KEPT_MESSAGES
    await bob.hears_until("participant-updated", isConnected=True)
    await is_lost(back, bob)
    await chatters(bob, 1, "y")
    again = await stage.arrives("Ada")
    assert (await again.resumes(ada))["replayed"] is False


async def test_long_messages_are_kept_within_a_bound(stage: Stage) -> None:
    """R44: of 256 KiB all is there; of more it is not."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    await chatters(bob, KEPT_BYTES // 4_500, "x" * 4_000)
    back = await stage.arrives("Ada")
    assert (await back.resumes(ada))["replayed"] is True
    await back.hears_everything()
    await bob.hears_until("participant-updated", isConnected=True)
    await is_lost(back, bob)
    await chatters(bob, KEPT_BYTES // 4_000 + 1, "x" * 4_000)
    again = await stage.arrives("Ada")
    assert (await again.resumes(back))["replayed"] is False


async def chatters(person: Person, times: int, text: str) -> None:
    """Someone says the same over and over, and hears itself."""
    for _ in range(times):
        await person.says("chat", text=text)
    for _ in range(times):
        await person.hears("chat", text=text)


async def test_snapshot_replaces_all_that_was_known(stage: Stage) -> None:
    """R42: the people in their order and state, the lock, the recordings, who waits; and then what is new."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl", resume=True)
    await ada.says("recording-started")
    await ada.says("room-locked")
    await ada.hears_until("room-locked")
    await bob.says("participant-updated", isMuted=True)
    await ada.hears("participant-updated", participantId=bob.id)
    dan = await stage.waiting("Dan", ada)
    for person in (bob, carl):
        await person.hears_everything()
    await is_lost(carl, ada, bob)
    await is_lost(ada, bob)
    await chatters(bob, KEPT_MESSAGES + 1, "x")

    back = await stage.arrives("Ada")
    own = await back.resumes(ada)
    assert own["replayed"] is False
    assert own["isHost"] and own["isModerator"] and own["isConnected"]
    await back.hears("participant-joined", participantId=bob.id, isMuted=True, isConnected=True, isHost=False)
    await back.hears("participant-joined", participantId=carl.id, isMuted=False, isConnected=False)
    await back.hears("room-locked", lockedBy=ada.id)
    await back.hears("recording-started", startedBy=ada.id)
    await back.hears("waiting-room", participantId=dan.id, name="Dan")
    await back.hears_nothing()
    await bob.hears("participant-updated", participantId=ada.id, isConnected=True)
    await bob.says("chat", text="welcome back")
    for person in (bob, back):
        await person.hears("chat", text="welcome back")

    await is_lost(back, bob)
    again = await stage.arrives("Ada")
    assert (await again.resumes(back))["replayed"] is True, "and what follows a snapshot is kept again"


async def test_answer_that_was_lost_is_given_again(stage: Stage) -> None:
    """R42: who never heard the snapshot is not told that nothing was missed."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    for fields in ({"restart": True}, {}):
        back = await stage.arrives("Ada")
        assert (await back.resumes(ada, **fields))["replayed"] is False
        await back.hears("participant-joined", participantId=bob.id)
        await back.hears_nothing()
        await bob.hears_everything()
        await is_lost(back, bob)


@pytest.mark.parametrize("seq", [1_000_000, 2**52])
async def test_who_has_heard_more_than_was_said_gets_a_snapshot(stage: Stage, seq: int) -> None:
    """R40, R42: and the count goes on from there, never back."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    back = await stage.arrives("Ada")
    own = await back.resumes(ada, lastSeq=seq)
    assert own["replayed"] is False
    assert own["seq"] > seq
    await back.hears("participant-joined", participantId=bob.id)


# Who comes back, and to what


async def test_who_comes_back_is_who_it_was(stage: Stage) -> None:
    """R42: id, name, role and state; with a fresh token. The others hear so, once."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await make_moderator(ada, bob)
    await bob.says("participant-updated", isMuted=True, isHandRaised=True)
    await ada.hears("participant-updated")
    await is_lost(bob, ada)
    back = await stage.arrives("Bob")
    own = await back.resumes(bob, name="Eve", isHost=True)
    state = {"isMuted": True, "isHandRaised": True, "isModerator": True, "isHost": False, "isConnected": True}
    assert state.items() <= own.items()
    assert own["resumeToken"] != bob.token
    assert "creatorToken" not in own
    await ada.hears("participant-updated", participantId=bob.id, **state)
    await ada.hears_nothing()
    await back.hears_nothing()
    await back.says("room-locked")
    await ada.hears("room-locked", lockedBy=bob.id)


async def test_nothing_stands_in_the_way_of_a_token(stage: Stage) -> None:
    """R42: neither password nor lock nor capacity; and the code may be written in any way (R1)."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True, password="secret", maxParticipants=2)
    await ada.says("room-locked")
    for person in (ada, bob):
        await person.hears("room-locked")
    await is_lost(bob, ada)
    back = await stage.arrives("Bob")
    await back.resumes(bob, roomId=ada.room.lower(), password="wrong")
    await ada.hears("participant-updated", participantId=bob.id, isConnected=True)
    await back.hears_nothing()


async def test_what_happened_to_who_was_away_is_told(stage: Stage) -> None:
    """R24, R42: muted and made moderator meanwhile; its own message says what is true now."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(bob, ada)
    for action in ("mute", "make-moderator"):
        await ada.says("moderator-action", targetId=bob.id, action=action)
        await ada.hears("participant-updated", participantId=bob.id, isConnected=False)
    back = await stage.arrives("Bob")
    own = await back.resumes(bob)
    assert own["isMuted"] and own["isModerator"]
    heard = [message["type"] for message in await back.hears_everything()]
    assert sorted(heard) == ["moderator-action"] * 2 + ["participant-updated"] * 2


async def test_half_dead_connection_is_replaced(stage: Stage) -> None:
    """R43, R28: 4503 to the old one, which hears nothing more; the others need not even notice."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    back = await stage.arrives("Bob")
    assert (await back.resumes(bob))["replayed"] is True
    await bob.is_closed_with(4503)
    await ada.says("chat", text="hello")
    await back.hears("chat", text="hello")
    heard = await ada.hears_everything()
    assert not ids(heard, "participant-left")
    assert all(message["isConnected"] for message in heard if message["type"] == "participant-updated")
    await back.says("chat", text="hello yourself")
    await ada.hears("chat", participantId=bob.id)
    await ada.hears_nothing()


async def test_token_that_two_bring_at_once_has_one_holder(stage: Stage) -> None:
    """R43: the last one; the participant is there once."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(bob, ada)
    both = [await stage.arrives("Bob") for _ in range(2)]
    await asyncio.gather(*(back.asks_to_resume(bob) for back in both))
    answers = [await next_of(back) for back in both]
    assert set(answers) <= {"participant-joined", 4503}, "who comes second may be told first"
    await ada.says("chat", text="which one?")
    await ada.hears_until("chat")
    assert {await last_of(back) for back in both} == {"chat", 4503}


async def next_of(person: Person) -> str | int | None:
    """The type of what it hears next, or the code with which it was closed."""
    try:
        return str((await person.hears_something())["type"])
    except ConnectionClosed:
        return person.connection.close_code


async def last_of(person: Person) -> str | int | None:
    """Likewise, after all that comes before a chat: it may be told anew all there is."""
    while (heard := await next_of(person)) not in {"chat", person.connection.close_code}:
        pass
    return heard


async def test_reloaded_page_starts_again(stage: Stage) -> None:
    """R42: the others meet the same person anew, and it hears all there is."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    back = await stage.arrives("Ada")
    own = await back.resumes(ada, restart=True)
    assert (own["replayed"], own["isHost"]) == (False, True)
    await back.hears("participant-joined", participantId=bob.id)
    await back.hears_nothing()
    await bob.hears("participant-left", participantId=ada.id)
    await bob.hears("participant-joined", participantId=ada.id, name="Ada", isHost=True, isConnected=True)
    await bob.hears_nothing()
    await bob.says("offer", targetId=ada.id, sdp="anew")
    await back.hears("offer", sdp="anew")


@pytest.mark.house
async def test_recording_of_a_reloaded_page_has_ended(stage: Stage) -> None:
    """R18: it was the page that recorded."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await ada.says("recording-started")
    await bob.hears("recording-started")
    await is_lost(ada, bob)
    back = await stage.arrives("Ada")
    await back.resumes(ada, restart=True)
    assert not ids(await back.hears_everything(), "recording-started")
    await bob.hears("recording-stopped", stoppedBy=ada.id)
    await bob.hears("participant-left", participantId=ada.id)


async def test_reloaded_page_may_be_faster_than_the_loss(stage: Stage) -> None:
    """R42, R43: the old connection is replaced, and the others meet the person anew all the same."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    back = await stage.arrives("Bob")
    assert (await back.resumes(bob, restart=True))["replayed"] is False
    await back.hears("participant-joined", participantId=ada.id)
    await bob.is_closed_with(4503)
    await ada.hears("participant-left", participantId=bob.id)
    await ada.hears("participant-joined", participantId=bob.id)
    await ada.hears_nothing(after=back)


async def test_what_was_missed_may_be_more_than_may_wait_for_a_slow_reader(stage_with: StageWith) -> None:
    """R33, R42: who comes back and reads is told all, or that it is not held any more; never cut off."""
    stage = stage_with(MAX_OUTBOX_BYTES="65536")
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    for _ in range(50):
        await chatters(bob, 1, "x" * 4_000)
    back = await stage.arrives("Ada")
    await back.resumes(ada)
    await back.hears_everything()
