"""Who gets in, what a newcomer hears, and what is believed of it (R7 to R10, R13)."""

import asyncio
import json
import uuid

import pytest

from .conftest import StageWith
from .people import Person, eventually, new_code
from .stage import Stage

# The order of the checks


async def test_malformed_join_is_told_before_anything_else(stage: Stage) -> None:
    """R7: also to someone who has joined already."""
    (ada,) = await stage.meeting("Ada")
    await ada.asks_to_join(ada.room, name=5)
    await ada.is_refused("INVALID_MESSAGE", "join")


async def test_second_join_changes_nothing(stage: Stage) -> None:
    """R7: ALREADY_JOINED, to whatever room and with whatever password; the first one stands."""
    ada, bob = await stage.meeting("Ada", "Bob")
    (zoe,) = await stage.meeting("Zoe")
    for code in (ada.room, zoe.room, new_code()):
        await bob.asks_to_join(code, isHost=True, password="x", name="Other")
        await bob.is_refused("ALREADY_JOINED", "join")
    await bob.says("chat", text="still here")
    await ada.hears("chat", participantId=bob.id, text="still here")
    await zoe.hears_nothing()


async def test_missing_room_is_told_before_its_password(stage: Stage) -> None:
    """R7."""
    ada = await stage.arrives("Ada")
    await ada.asks_to_join(new_code(), password="secret")
    await ada.is_refused("ROOM_NOT_FOUND")


async def test_wrong_password_is_told_before_lock_and_capacity(stage: Stage) -> None:
    """R7: in a room that is full and locked too."""
    (ada,) = await stage.meeting("Ada", password="secret", maxParticipants=1)
    await ada.says("room-locked")
    await ada.hears("room-locked")
    bob = await stage.arrives("Bob")
    await bob.asks_to_join(ada.room, password="wrong")
    await bob.is_refused("INVALID_PASSWORD")
    await ada.hears_nothing()


async def test_creator_with_a_wrong_password_is_refused(stage: Stage) -> None:
    """R7: creators too."""
    room = await stage.room(password="secret")
    ada = await stage.arrives("Ada")
    await ada.asks_to_join(room["roomId"], creatorToken=room["creatorToken"], password="wrong")
    await ada.is_refused("INVALID_PASSWORD")


async def test_locked_room_that_is_full_lets_a_newcomer_wait(stage: Stage) -> None:
    """R7: the lock comes before the capacity."""
    (ada,) = await stage.meeting("Ada", maxParticipants=1)
    await ada.says("room-locked")
    await ada.hears("room-locked")
    await stage.waiting("Bob", ada)


async def test_creator_of_a_full_room_is_refused(stage: Stage) -> None:
    """R7, R11: the token bypasses the waiting room, not the capacity."""
    room = await stage.room(maxParticipants=1)
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(room["roomId"])
    await bob.asks_to_join(room["roomId"], creatorToken=room["creatorToken"])
    await bob.is_refused("ROOM_FULL")
    await ada.hears_nothing()


async def test_room_holds_eight_by_default(stage: Stage) -> None:
    """R3, the reference: maxParticipants, default 8."""
    code = (await stage.room())["roomId"]
    people = [await stage.arrives(f"Person {number}") for number in range(9)]
    for person in people[:8]:
        await person.joins(code)
    await people[8].asks_to_join(code)
    await people[8].is_refused("ROOM_FULL")
    await people[0].leaves()
    await people[8].joins(code)


async def test_what_follows_a_join_waits_for_it(stage: Stage) -> None:
    """R7: one connection's messages are handled in order, also while a password is being hashed."""
    ada = await stage.arrives("Ada")
    code = new_code()
    await ada.asks_to_join(code, isHost=True, password="secret")
    await ada.says("chat", text="first words")
    await ada.says("leave")
    await ada.asks_to_join(code, isHost=True)
    await ada.is_let_in()
    first = ada.id
    await ada.hears("chat", text="first words", participantId=first)
    ada.id = ""
    heard = await ada.hears_until("participant-joined")
    assert heard[-1]["isHost"]


async def test_last_seat_goes_to_exactly_one(stage: Stage) -> None:
    """R7: however many ask at once."""
    (ada,) = await stage.meeting("Ada", maxParticipants=2)
    winner = await race_for_the_last_seat(stage, ada, contenders=12)
    await ada.hears("participant-joined", participantId=winner["participantId"])
    await ada.hears_nothing()


async def test_last_seat_of_a_room_with_a_password_goes_to_exactly_one(stage: Stage) -> None:
    """R7: after hashing all checks run again."""
    (ada,) = await stage.meeting("Ada", maxParticipants=2, password="secret")
    winner = await race_for_the_last_seat(stage, ada, contenders=4, password="secret")
    await ada.hears("participant-joined", participantId=winner["participantId"])
    await ada.hears_nothing()


async def test_room_is_made_by_exactly_one_of_many(stage: Stage) -> None:
    """R4, R5: all say that they are host of a new code; one is, and the others have joined it."""
    code = new_code()
    people = [await stage.arrives(f"Maker {number}") for number in range(6)]
    await asyncio.gather(*(person.asks_to_join(code, isHost=True) for person in people))
    joined = [await person.is_let_in() for person in people]
    assert [message["isHost"] for message in joined].count(True) == 1
    assert [("creatorToken" in message) == message["isHost"] for message in joined] == [True] * 6


async def test_room_made_by_two_at_once_has_the_password_of_one(stage: Stage) -> None:
    """R7: after hashing all checks run again; whoever was slower is refused as anyone else would be."""
    code = new_code()
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await asyncio.gather(
        ada.asks_to_join(code, isHost=True, password="Ada's"),
        bob.asks_to_join(code, isHost=True, password="Bob's"),
    )
    answers = [await person.hears_something() for person in (ada, bob)]
    assert sorted(answer["type"] for answer in answers) == ["error", "participant-joined"]
    assert [answer["code"] for answer in answers if "code" in answer] == ["INVALID_PASSWORD"]


async def test_seat_of_one_who_hung_up_while_joining_is_free(stage: Stage) -> None:
    """R7: a password is still being hashed when its sender goes; nobody is left who is not there."""
    (ada,) = await stage.meeting("Ada", password="secret", maxParticipants=2)
    eve = await stage.arrives("Eve")
    await eve.asks_to_join(ada.room, password="secret")
    await eve.vanishes()
    bob = await stage.arrives("Bob")

    async def there_is_a_seat() -> bool:
        await bob.asks_to_join(ada.room, password="secret")
        return bool((await bob.hears_something())["type"] == "participant-joined")

    await eventually(there_is_a_seat)
    *eves, _ = await ada.hears_until("participant-joined", name="Bob")
    assert [message["type"] for message in eves] in ([], ["participant-joined", "participant-left"])


async def race_for_the_last_seat(
    stage: Stage, host: Person, contenders: int, **fields: object
) -> dict[str, object]:
    """All ask at once; one is let in, and the others hear that it is full. Returns what the winner heard."""
    people = [await stage.arrives(f"Contender {number}") for number in range(contenders)]
    await asyncio.gather(*(person.asks_to_join(host.room, **fields) for person in people))
    answers = [await person.hears_something() for person in people]
    winners = [answer for answer in answers if answer["type"] == "participant-joined"]
    assert [answer["code"] for answer in answers if answer not in winners] == ["ROOM_FULL"] * (contenders - 1)
    assert len(winners) == 1
    return winners[0]


# Names

REFUSED_NAMES = {
    "empty": "",
    "blank": "   ",
    "too long": "x" * 65,
    "a zero": "Ada\0",
    "a bell": "A\ada",
    "a line break inside": "Ada\nLovelace",
    "an escape": "\x1b[31mAda",
    "a C1 control": "Ada\x9b",
    "right-to-left override": "Ada\u202eevil",
    "left-to-right embedding": "Ada\u202a",
    "an isolate": "Ada\u2066x\u2069",
    "null": None,
    "a number": 5,
    "an array": ["Ada"],
    "an object": {"name": "Ada"},
}
ACCEPTED_NAMES = [
    "A",
    "x" * 64,
    "Zoë",
    "Жанна",
    "דוד",
    "فاطمة",
    "李雷",
    "😀",
    "O'Hara <b>&amp;</b>",
    'Ada "L"',
]


@pytest.mark.parametrize("name", REFUSED_NAMES.values(), ids=REFUSED_NAMES)
async def test_join_with_no_proper_name_is_refused(stage: Stage, name: object) -> None:
    """R8."""
    ada = await stage.arrives("Ada")
    await ada.asks_to_join(new_code(), isHost=True, name=name)
    await ada.is_refused("INVALID_MESSAGE", "join")


async def test_join_without_a_name_is_refused(stage: Stage) -> None:
    """R8."""
    ada = await stage.arrives("Ada")
    await ada.sends(json.dumps({"type": "join", "roomId": new_code(), "isHost": True}))
    await ada.is_refused("INVALID_MESSAGE", "join")


async def test_proper_names_are_told_as_they_are(stage: Stage) -> None:
    """R8: any script, and nothing is escaped."""
    for name in ACCEPTED_NAMES:
        await (await stage.arrives(name)).joins(new_code(), isHost=True)


async def test_name_is_trimmed(stage: Stage) -> None:
    """R8: also before its length is taken."""
    ada, bob = await stage.arrives("Ada"), await stage.arrives("x" * 64)
    await ada.joins(new_code(), isHost=True, name="  Ada ")
    await bob.joins(ada.room, name=" " + "x" * 64 + " ")
    await ada.hears("participant-joined", name="x" * 64)


WRONG_JOINS: list[dict[str, object]] = [
    {"password": 5},
    {"isHost": "yes"},
    {"isHost": 1},
    {"creatorToken": 5},
    {"maxParticipants": 0},
    {"maxParticipants": 101},
    {"maxParticipants": "8"},
    {"maxParticipants": 1.5},
]


@pytest.mark.parametrize("fields", WRONG_JOINS, ids=str)
async def test_join_with_a_wrong_field_is_refused(stage: Stage, fields: dict[str, object]) -> None:
    """R7: well-formed first of all; no room is made."""
    code = new_code()
    ada = await stage.arrives("Ada")
    await ada.asks_to_join(code, **{"isHost": True, **fields})
    await ada.is_refused("INVALID_MESSAGE", "join")
    await ada.asks_to_join(code)
    await ada.is_refused("ROOM_NOT_FOUND")


@pytest.mark.house
@pytest.mark.parametrize(
    "code", ["", "ABC12", "ABC1234", "ABC 12", "ABC12\n", "ÄBC123", 123456, None, {}], ids=repr
)
async def test_join_of_no_proper_code_is_malformed(stage: Stage, code: object) -> None:
    """R1 says what a code is, R7 that malformed comes first; the rules do not say it of a code."""
    ada = await stage.arrives("Ada")
    await ada.says("join", roomId=code, name="Ada", isHost=True)
    await ada.is_refused("INVALID_MESSAGE", "join")


# What a newcomer hears


async def test_newcomer_hears_itself_first_and_then_everyone_in_order(stage: Stage) -> None:
    """R9: own, the others in order of joining, the lock last; the others hear one message."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await ada.says("room-locked")
    for person in (ada, bob, carl):
        await person.hears("room-locked")
    dan = await stage.waiting("Dan", ada)
    await ada.says("admit-user", targetId=dan.id)

    await dan.is_let_in()
    await dan.hears("participant-joined", participantId=ada.id, name="Ada", isHost=True)
    await dan.hears("participant-joined", participantId=bob.id, name="Bob", isHost=False)
    await dan.hears("participant-joined", participantId=carl.id, name="Carl", isHost=False)
    await dan.hears("room-locked", lockedBy=ada.id)
    await dan.hears_nothing(after=ada)
    for person in (ada, bob, carl):
        await person.hears("participant-joined", participantId=dan.id, name="Dan")
        await person.hears_nothing()


async def test_newcomer_sees_the_true_state_of_everyone(stage: Stage) -> None:
    """R12: late joiners are told what they missed."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("participant-updated", isMuted=True, isVideoOff=True)
    await bob.hears("participant-updated")
    await bob.says("raise-hand")
    await ada.hears("raise-hand")
    await ada.says("moderator-action", targetId=bob.id, action="make-moderator")
    await ada.is_done()

    carl = await stage.arrives("Carl")
    await carl.joins(ada.room)
    adas = {"isMuted": True, "isVideoOff": True, "isHandRaised": False, "isModerator": True, "isHost": True}
    bobs = {"isMuted": False, "isVideoOff": False, "isHandRaised": True, "isModerator": True, "isHost": False}
    await carl.hears("participant-joined", participantId=ada.id, isConnected=True, **adas)
    await carl.hears("participant-joined", participantId=bob.id, isConnected=True, **bobs)


async def test_ids_are_random_uuids_of_the_server(stage: Stage) -> None:
    """R10: whatever the client proposes."""
    mine = str(uuid.uuid4())
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(new_code(), isHost=True, participantId=mine)
    await bob.joins(ada.room, participantId=ada.id)
    assert len({mine, ada.id, bob.id}) == 3
    for person in (ada, bob):
        assert uuid.UUID(person.id).version == 4


async def test_join_cannot_claim_a_role_or_state(stage: Stage) -> None:
    """R10: roles are never believed."""
    (ada,) = await stage.meeting("Ada")
    bob = await stage.arrives("Bob")
    claims = {"isModerator": True, "isConnected": False, "isCreator": True, "role": "host"}
    joined = await bob.joins(ada.room, **claims)
    assert (joined["isModerator"], joined["isHost"], joined["isConnected"]) == (False, False, True)
    told = await ada.hears("participant-joined", participantId=bob.id, isModerator=False, isConnected=True)
    assert not {"isCreator", "role"} & (joined.keys() | told.keys())


async def test_join_with_null_in_every_optional_field_is_accepted(stage: Stage) -> None:
    """R10."""
    ada = await stage.arrives("Ada")
    optional = ("participantId", "timestamp", "password", "creatorToken", "maxParticipants")
    await ada.joins(new_code(), isHost=True, **dict.fromkeys(optional))


async def test_join_with_the_fewest_fields_is_accepted(stage: Stage) -> None:
    """R10: ``participantId`` and ``timestamp`` may be absent."""
    (ada,) = await stage.meeting("Ada")
    bob = await stage.arrives("Bob")
    await bob.sends(json.dumps({"type": "join", "roomId": ada.room, "name": "Bob"}))
    await bob.is_let_in()


async def test_join_with_a_fractional_timestamp_is_accepted(stage: Stage) -> None:
    """R10: and the server stamps its own time, in milliseconds."""
    ada = await stage.arrives("Ada")
    joined = await ada.joins(new_code(), isHost=True, timestamp=1.5)
    assert joined["timestamp"] > 1_600_000_000_000


async def test_unknown_fields_of_a_join_are_not_passed_on(stage: Stage) -> None:
    """R10."""
    (ada,) = await stage.meeting("Ada")
    bob = await stage.arrives("Bob")
    joined = await bob.joins(ada.room, avatar="https://example.org/x.png")
    told = await ada.hears("participant-joined", name="Bob")
    assert "avatar" not in joined.keys() | told.keys()


# Never joining


async def test_connection_that_never_joins_is_closed(stage_with: StageWith) -> None:
    """R13: 4002, also when it only ever said what was refused; who has joined or waits is left alone."""
    stage = stage_with(JOIN_TIMEOUT="2")
    (ada,) = await stage.meeting("Ada")
    await ada.says("room-locked")
    await ada.hears("room-locked")
    bob = await stage.waiting("Bob", ada)
    eve, mallory = await stage.arrives("Eve"), await stage.arrives("Mallory")
    await mallory.asks_to_join(new_code())
    await mallory.is_refused("ROOM_NOT_FOUND")
    for idle in (eve, mallory):
        await idle.is_closed_with(4002)
    await bob.hears_nothing()
    await ada.hears_nothing()


async def test_place_of_a_connection_that_never_joined_is_given_back(stage_with: StageWith) -> None:
    """R13: it no longer counts against R30."""
    stage = stage_with(JOIN_TIMEOUT="2", CONNECTIONS_PER_MINUTE="3")
    address = stage.address()
    idle = [await stage.arrives("Eve", address=address) for _ in range(3)]
    await stage.is_turned_away(429, address=address)
    for eve in idle:
        await eve.is_closed_with(4002)
    for _ in range(3):
        ada = await stage.arrives("Ada", address=address)
        await ada.joins(new_code(), isHost=True)
    await stage.is_turned_away(429, address=address)
