"""What those are told who may come back, and what they number themselves (R40, R47).

That whatever a resumable person hears carries the next number, and that nobody else hears anything new, is
checked of every message of every test: by ``Person``.
"""

import json

import pytest

from .conftest import StageWith
from .people import Message, Person, new_code
from .stage import Stage
from .test_talking import RELAYS

# What the server numbers


async def test_person_who_asks_is_told_how_to_come_back(stage: Stage) -> None:
    """R40: token, window and number 1, in the own message alone; each has a token of its own."""
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    own = await ada.joins(new_code(), isHost=True, resume=True)
    assert own["resumeWindow"] > 0
    await bob.joins(ada.room, resume=True)
    assert bob.token != ada.token
    await ada.hears("participant-joined", participantId=bob.id)
    await bob.hears("participant-joined", participantId=ada.id)
    assert (ada.seq, bob.seq) == (2, 2)


@pytest.mark.house
async def test_window_is_half_a_minute_by_default(stage: Stage) -> None:
    """R40."""
    ada = await stage.arrives("Ada")
    assert (await ada.joins(new_code(), isHost=True, resume=True))["resumeWindow"] == 30


async def test_all_that_one_hears_is_numbered(stage: Stage) -> None:
    """R40: talk, state, the room, errors; to each its own count."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    for kind, payload in RELAYS.items():
        await bob.says(kind, targetId=ada.id, **payload)
        await ada.hears(kind)
    await bob.says("chat", text="hello")
    await bob.says("raise-hand")
    await ada.says("room-locked")
    await ada.says("recording-started")
    await ada.says("offer")
    await ada.says("moderator-action", targetId=ada.id, action="kick")
    await ada.is_done()
    heard = await ada.hears_everything()
    kinds = [message["type"] for message in heard]
    assert sorted(kinds) == sorted(
        ["chat", "raise-hand", "participant-updated", "room-locked", "recording-started", "error", "error"]
    )
    await bob.hears_everything()
    assert ada.seq > bob.seq


async def test_numbered_messages_of_any_size_are_whole(stage: Stage) -> None:
    """R40, R14: also where the number makes the frame's header longer (RFC 6455, 5.2: at 65,536)."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await ada.says("offer", targetId=bob.id, sdp="")
    await bob.hears("offer", sdp="")
    bare = len(bob.text)
    for size in range(65_536 - bare - 12, 65_536 - bare + 4):
        await ada.says("offer", targetId=bob.id, sdp="x" * size)
        await bob.hears("offer", sdp="x" * size)


@pytest.mark.parametrize("fields", [{}, {"resume": False}, {"resume": None}], ids=["absent", "false", "null"])
async def test_person_who_does_not_ask_hears_nothing_new(stage: Stage, fields: dict[str, object]) -> None:
    """R40: neither of itself nor of those who did, whatever happens to them."""
    (ada,) = await stage.meeting("Ada", resume=True)
    bob = await stage.newcomer("Bob", ada, **fields)
    await ada.says("chat", text="hello")
    await bob.hears("chat", text="hello")
    await ada.says("offer", targetId=bob.id, sdp="v=0")
    await bob.hears("offer", sdp="v=0")
    await bob.says("fly")
    await bob.is_refused("INVALID_MESSAGE")
    await ada.vanishes()
    await bob.hears("participant-updated", participantId=ada.id, isConnected=False)
    await stage.comes_back(ada, bob)
    assert (bob.seq, bob.token) == (0, "")


async def test_person_who_does_not_ask_is_gone_with_its_connection(stage: Stage) -> None:
    """R41: only for clients that ask."""
    ada, carl = await stage.meeting("Ada", "Carl", resume=True)
    bob = await stage.newcomer("Bob", ada, carl)
    await bob.vanishes()
    for other in (ada, carl):
        await other.hears("participant-left", participantId=bob.id)
        await other.hears_nothing()


async def test_refusals_before_one_is_in_have_no_number(stage: Stage) -> None:
    """R40: the count begins with the own ``participant-joined``."""
    (ada,) = await stage.meeting("Ada", password="secret")
    bob = await stage.arrives("Bob")
    await bob.says("chat", text="too soon")
    await bob.is_refused("NOT_IN_ROOM")
    await bob.asks_to_join(ada.room, password="wrong", resume=True)
    await bob.is_refused("INVALID_PASSWORD")
    assert (await bob.joins(ada.room, password="secret", resume=True))["seq"] == 1


async def test_refusal_while_the_password_is_checked_does_not_take_the_first_number(stage: Stage) -> None:
    """R40: the own ``participant-joined`` is number 1, whatever is said before the join is decided."""
    (ada,) = await stage.meeting("Ada", password="secret")
    bob = await stage.arrives("Bob")
    await bob.asks_to_join(ada.room, password="secret", resume=True)
    for _ in range(6):  # more than may wait for the answer to a join
        await bob.sends('{"type": "fly"}' + " " * 250_000)
    heard = await bob.hears_until("participant-joined")
    assert heard[-1]["seq"] == 1
    assert {message["code"] for message in heard[:-1]} <= {"RATE_LIMITED"}


async def test_who_left_and_joins_again_is_somebody_new(stage: Stage) -> None:
    """R17, R40: with a count that begins at 1, also on the same connection; or without one."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await bob.leaves()
    await ada.hears("participant-left")
    own = await bob.joins(ada.room, resume=True)
    assert own["seq"] == 1
    await bob.hears("participant-joined", participantId=ada.id, seq=2)
    await ada.hears("participant-joined", participantId=bob.id)
    await bob.leaves()
    await ada.hears("participant-left")
    await stage.enters(bob, [ada])
    assert bob.seq == 0


async def test_nobody_is_resumable_where_the_window_is_zero(stage_with: StageWith) -> None:
    """Turned off: a join that asks is a join like any other, and a lost connection is a loss."""
    stage = stage_with(RESUME_WINDOW="0")
    (ada,) = await stage.meeting("Ada")
    bob = await stage.newcomer("Bob", ada, resume=True)
    assert (bob.seq, bob.token) == (0, "")
    await bob.vanishes()
    await ada.hears("participant-left", participantId=bob.id)
    late = await stage.arrives("Bob")
    bob.token = "550e8400-e29b-41d4-a716-446655440000"
    await late.asks_to_resume(bob)
    await late.is_refused("RESUME_FAILED", "join")


# What is sent in the new fields

WRONG: dict[str, tuple[object, ...]] = {
    "resume": ("yes", 1, {}, []),
    "resumeToken": (5, True, {}, ["x"], "x" * 100_000),
    "lastSeq": (-1, 1.5, "1", True, 10**20, 2**63, {}, 1e300),
    "restart": ("yes", 1, {}),
    "clientSeq": (-1, 1.5, "1", True, 10**20, 2**63, [1]),
}
WRONG_FIELDS = [(field, value) for field, values in WRONG.items() for value in values]


async def test_malformed_fields_are_refused_and_change_nothing(stage: Stage) -> None:
    """R7, R27: INVALID_MESSAGE, and the place is there still for who asks well."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await bob.vanishes()
    await ada.hears("participant-updated", participantId=bob.id, isConnected=False)
    back = await stage.arrives("Bob")
    for field, value in WRONG_FIELDS:
        await back.asks_to_resume(bob, **{field: value})
        await back.is_refused("INVALID_MESSAGE", "join")
    await ada.hears_nothing()
    assert (await back.resumes(bob))["replayed"] is True


async def test_malformed_number_of_a_client_is_refused(stage: Stage) -> None:
    """R27, R47: in any message, and of those who did not ask too; what it was in is not done."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    carl = await stage.newcomer("Carl", ada, bob)
    for person in (bob, carl):
        for value in WRONG["clientSeq"]:
            await person.says("chat", text="hello", clientSeq=value)
            await person.is_refused("INVALID_MESSAGE", "chat")
    await ada.hears_nothing(after=carl)


async def test_fields_may_be_null(stage: Stage) -> None:
    """R10: as if they were absent."""
    nothing = dict.fromkeys(("resume", "resumeToken", "lastSeq", "restart", "clientSeq"))
    (ada,) = await stage.meeting("Ada")
    bob = await stage.newcomer("Bob", ada, **nothing)
    await bob.says("chat", text="hello", clientSeq=None)
    await ada.hears("chat", text="hello")
    await bob.leaves()
    await ada.hears("participant-left")
    await bob.joins(ada.room, resume=True, name="Bob")
    await ada.hears("participant-joined")
    await bob.vanishes()
    await ada.hears("participant-updated", isConnected=False)
    fields = dict.fromkeys(("name", "password", "isHost", "resume", "restart", "clientSeq"))
    back = await stage.comes_back(bob, ada, **fields)
    assert back.seq == bob.seq


# What the client numbers


async def say(person: Person, number: int, text: str) -> None:
    await person.says("chat", text=text, clientSeq=number)


def texts(heard: list[Message]) -> list[str]:
    """What was said, in order."""
    return [message["text"] for message in heard if message["type"] == "chat"]


async def test_repeats_are_dropped(stage: Stage) -> None:
    """R47: without a word; what has a higher number is new, also after a gap."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    for number, text in [(1, "a"), (2, "b"), (2, "b"), (1, "a"), (3, "c"), (7, "d"), (5, "late"), (8, "e")]:
        await say(bob, number, text)
    await bob.is_done()
    for person in (ada, bob):
        assert texts(await person.hears_everything()) == ["a", "b", "c", "d", "e"]


async def test_what_has_no_number_is_no_repeat(stage: Stage) -> None:
    """R47: it may be numbered, and need not be."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await say(bob, 1, "a")
    for _ in range(2):
        await bob.says("chat", text="again")
    await say(bob, 2, "b")
    await bob.is_done()
    assert texts(await ada.hears_everything()) == ["a", "again", "again", "b"]


async def test_who_came_back_sends_again_what_it_cannot_be_sure_of(stage: Stage) -> None:
    """R47: ``lastClientSeq`` says what has come, over any number of connections."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await say(bob, 1, "one")
    await say(bob, 2, "two")
    await bob.is_done()
    await bob.vanishes()
    back = await stage.arrives("Bob")
    assert (await back.resumes(bob))["lastClientSeq"] == 2
    for number, text in [(2, "two"), (3, "three"), (3, "three")]:
        await say(back, number, text)
    await back.is_done()
    await back.vanishes()
    again = await stage.arrives("Bob")
    assert (await again.resumes(back, clientSeq=9))["lastClientSeq"] == 3, "a return has no number itself"
    await say(again, 4, "four")
    await again.is_done()
    assert texts(await ada.hears_everything()) == ["one", "two", "three", "four"]


async def test_reloaded_page_goes_on_with_the_numbers(stage: Stage) -> None:
    """R42, R47: the server remembers what has come, whatever the page does."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await say(bob, 3, "before")
    await bob.is_done()
    back = await stage.arrives("Bob")
    assert (await back.resumes(bob, restart=True))["lastClientSeq"] == 3
    await say(back, 3, "repeated")
    await say(back, 4, "after")
    await back.is_done()
    assert texts(await ada.hears_everything()) == ["before", "after"]


async def test_first_join_may_be_numbered_too(stage: Stage) -> None:
    """R47: as the first message of the client."""
    (ada,) = await stage.meeting("Ada")
    bob = await stage.newcomer("Bob", ada, resume=True, clientSeq=1)
    await bob.vanishes()
    back = await stage.arrives("Bob")
    assert (await back.resumes(bob))["lastClientSeq"] == 1


async def test_refused_message_has_come_all_the_same(stage: Stage) -> None:
    """R47: the error said so, and it need not be sent again."""
    (ada,) = await stage.meeting("Ada", resume=True)
    await ada.says("offer", targetId="nobody", sdp="v=0", clientSeq=1)
    await ada.is_refused("TARGET_NOT_FOUND", "offer")
    await ada.says("offer", targetId="nobody", sdp="v=0", clientSeq=1)
    await ada.hears_nothing()
    await ada.vanishes()
    back = await stage.arrives("Ada")
    assert (await back.resumes(ada))["lastClientSeq"] == 1


@pytest.mark.house
async def test_numbers_of_who_did_not_ask_mean_nothing(stage: Stage) -> None:
    """R47: only for resumable clients; R10: an unknown field is ignored, and never passed on."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for _ in range(2):
        await say(bob, 1, "same")
        message = await ada.hears("chat", text="same")
        assert "clientSeq" not in message
    await bob.sends(json.dumps({"type": "offer", "targetId": ada.id, "sdp": "v=0", "clientSeq": 3, "seq": 9}))
    assert not {"clientSeq", "seq"} & (await ada.hears("offer")).keys()
