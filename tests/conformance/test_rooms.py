"""Rooms made by joining, and who is their creator (R4 to R6, R11, R12)."""

import pytest

from .conftest import StageWith
from .people import Person, eventually, new_code
from .stage import Stage

# Ad-hoc rooms


async def test_host_of_an_unknown_code_makes_the_room(stage: Stage) -> None:
    """R4, R11: and its first participant is host and moderator."""
    ada = await stage.arrives("Ada")
    await ada.asks_to_join(new_code(), isHost=True)
    await ada.hears("participant-joined", name="Ada", isHost=True, isModerator=True, isConnected=True)
    await ada.hears_nothing()


async def test_guest_of_an_unknown_code_is_refused(stage: Stage) -> None:
    """R7: ROOM_NOT_FOUND, with isHost false or left out; the connection lives on."""
    ada = await stage.arrives("Ada")
    code = new_code()
    for fields in ({}, {"isHost": False}, {"isHost": None}):
        await ada.asks_to_join(code, **fields)
        await ada.is_refused("ROOM_NOT_FOUND", "join")
    await ada.joins(code, isHost=True)


async def test_room_code_in_any_case_is_the_same_room(stage: Stage) -> None:
    """R1: compared without regard to case, answered in upper case."""
    code = new_code()
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.asks_to_join(code.lower(), isHost=True)
    await ada.hears("participant-joined", roomId=code)
    await bob.joins(code.swapcase())
    assert bob.room == code
    await ada.hears("participant-joined", name="Bob", roomId=code)


async def test_ad_hoc_room_has_the_password_it_was_made_with(stage: Stage) -> None:
    """R4."""
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(new_code(), isHost=True, password="secret")
    await bob.asks_to_join(ada.room, password="Secret")
    await bob.is_refused("INVALID_PASSWORD", "join")
    await bob.asks_to_join(ada.room)
    await bob.is_refused("INVALID_PASSWORD", "join")
    await bob.joins(ada.room, password="secret")


async def test_ad_hoc_room_has_the_seats_it_was_made_with(stage: Stage) -> None:
    """R4: ``maxParticipants`` is an additive field of ``join``."""
    ada, _ = await stage.meeting("Ada", "Bob", maxParticipants=2)
    carl = await stage.arrives("Carl")
    await carl.asks_to_join(ada.room)
    await carl.is_refused("ROOM_FULL", "join")
    await ada.hears_nothing()


async def test_ad_hoc_room_is_gone_when_its_last_participant_leaves(stage: Stage) -> None:
    """R4: by word; the code may be used again, and nothing of the old room is left."""
    ada, bob = await stage.meeting("Ada", "Bob", password="secret")
    code = ada.room
    await ada.says("room-locked")
    await ada.leaves()
    await bob.leaves()
    await bob.asks_to_join(code, password="secret")
    await bob.is_refused("ROOM_NOT_FOUND")

    await bob.joins(code, isHost=True)
    await stage.newcomer("Carl", bob)


async def test_ad_hoc_room_whose_last_participant_is_lost_lingers(stage: Stage) -> None:
    """R4: and whoever enters a room where nobody is becomes its host."""
    (ada,) = await stage.meeting("Ada", password="secret")
    await ada.hangs_up()
    bob = await stage.successor("Bob", ada, password="secret")
    await bob.hears_nothing()


async def test_lingering_room_is_unlocked(stage: Stage) -> None:
    """R4."""
    (ada,) = await stage.meeting("Ada")
    await ada.says("room-locked")
    await ada.hears("room-locked")
    await ada.hangs_up()
    bob = await stage.successor("Bob", ada)
    await bob.hears_nothing()


async def test_lingering_room_is_gone_after_the_resume_window(stage_with: StageWith) -> None:
    """R4: the code is free again."""
    stage = stage_with(RESUME_WINDOW="0.2")
    (ada,) = await stage.meeting("Ada")
    await ada.vanishes()

    async def the_code_is_free() -> bool:
        return (await stage.http().post("/api/rooms", json={"roomId": ada.room})).status_code == 201

    await eventually(the_code_is_free)


async def test_lingering_room_that_somebody_entered_stays(stage_with: StageWith) -> None:
    """R4: the window ends only for rooms that nobody came back to."""
    stage = stage_with(RESUME_WINDOW="1")
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(new_code(), isHost=True)
    await bob.joins(new_code(), isHost=True)
    for person in (ada, bob):
        await person.vanishes()
    again = await stage.successor("Ada", ada, isHost=True)  # who makes it anew, should we be too slow

    async def the_other_is_gone() -> bool:
        return (await stage.http().post("/api/rooms", json={"roomId": bob.room})).status_code == 201

    await eventually(the_other_is_gone)
    await stage.newcomer("Carl", again)


async def test_pre_created_room_survives_its_last_participant(stage: Stage) -> None:
    """R2: with its password."""
    code = (await stage.room(password="secret"))["roomId"]
    ada = await stage.arrives("Ada")
    await ada.joins(code, password="secret")
    await ada.leaves()
    await ada.asks_to_join(code, password="other")
    await ada.is_refused("INVALID_PASSWORD")
    assert (await ada.joins(code, password="secret"))["isHost"]


async def test_pre_created_room_needs_no_host_to_enter_first(stage: Stage) -> None:
    """R2, R11: it exists before anyone is in it, and its first participant is host."""
    code = (await stage.room())["roomId"]
    ada = await stage.arrives("Ada")
    joined = await ada.joins(code, isHost=False)
    assert joined["isHost"]
    assert joined["isModerator"]


async def test_host_flag_on_a_room_that_exists_grants_nothing(stage: Stage) -> None:
    """R5."""
    ada, bob = await stage.meeting("Ada", "Bob")
    carl = await stage.arrives("Carl")
    joined = await carl.joins(ada.room, isHost=True, password="mine", maxParticipants=2)
    assert not joined["isHost"]
    assert not joined["isModerator"]
    assert "creatorToken" not in joined
    for present in (ada, bob):
        await present.hears("participant-joined", participantId=carl.id, isHost=False, isModerator=False)
        await carl.hears("participant-joined", participantId=present.id, isHost=present is ada)


# Creators


async def test_creator_of_a_pre_created_room_becomes_host(stage: Stage) -> None:
    """R11: also when somebody else was first, who stays a moderator (R12)."""
    room = await stage.room()
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    assert (await ada.joins(room["roomId"]))["isHost"]
    joined = await bob.joins(room["roomId"], creatorToken=room["creatorToken"])
    assert joined["isHost"]
    assert joined["isModerator"]
    assert await hosts_as_a_newcomer_sees_them(stage, ada) == {bob.id}


async def test_creator_bypasses_the_waiting_room(stage: Stage) -> None:
    """R11."""
    room = await stage.room()
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(room["roomId"])
    await ada.says("room-locked")
    await ada.hears("room-locked")
    assert (await bob.joins(room["roomId"], creatorToken=room["creatorToken"]))["isHost"]
    heard = await bob.hears_everything()
    assert [message["type"] for message in heard if message["type"] == "room-locked"] == ["room-locked"]


async def test_wrong_token_is_ignored(stage: Stage) -> None:
    """R11: with one character changed, with another room's, or with none at all in it."""
    room, other = await stage.room(), await stage.room()
    ada = await stage.arrives("Ada")
    await ada.joins(room["roomId"])
    token = room["creatorToken"]
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")
    for wrong in (changed, other["creatorToken"], token.upper() + "x", "", "nonsense"):
        bob = await stage.arrives("Bob")
        joined = await bob.joins(room["roomId"], creatorToken=wrong)
        assert not joined["isHost"]
        assert not joined["isModerator"]


async def test_wrong_token_does_not_bypass_the_waiting_room(stage: Stage) -> None:
    """R11."""
    (ada,) = await stage.meeting("Ada")
    await ada.says("room-locked")
    await ada.hears("room-locked")
    bob = await stage.arrives("Bob")
    await bob.knocks(ada.room, creatorToken="550e8400-e29b-41d4-a716-446655440000")


async def test_maker_of_an_ad_hoc_room_alone_is_told_its_token(stage: Stage) -> None:
    """R12: once, in its own ``participant-joined``."""
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    token = (await ada.joins(new_code(), isHost=True))["creatorToken"]
    assert isinstance(token, str)
    assert token
    await bob.joins(ada.room)
    await bob.hears("participant-joined", participantId=ada.id)
    assert token not in bob.text
    await bob.hears_nothing()
    await ada.hears("participant-joined", name="Bob")
    assert "creatorToken" not in ada.text


async def test_maker_of_an_ad_hoc_room_comes_back_as_host(stage: Stage) -> None:
    """R12: with the token it was told."""
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    token = (await ada.joins(new_code(), isHost=True))["creatorToken"]
    await bob.joins(ada.room)
    await ada.vanishes()
    await bob.hears_until("participant-updated", participantId=bob.id, isHost=True)
    again = await stage.arrives("Ada")
    joined = await again.joins(bob.room, creatorToken=token)
    assert joined["isHost"]
    assert "creatorToken" not in joined
    assert await hosts_as_a_newcomer_sees_them(stage, bob) == {again.id}


async def test_token_of_an_ad_hoc_room_dies_with_it(stage: Stage) -> None:
    """R12: a later room of the same code knows nothing of it."""
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    token = (await ada.joins(new_code(), isHost=True))["creatorToken"]
    code = ada.room
    await ada.leaves()
    await bob.joins(code, isHost=True)
    assert not (await ada.joins(code, creatorToken=token))["isHost"]


async def test_joiner_of_a_pre_created_room_is_told_no_token(stage: Stage) -> None:
    """R12: only ad-hoc rooms have a maker to be told."""
    room = await stage.room()
    ada = await stage.arrives("Ada")
    await ada.joins(room["roomId"], isHost=True)
    assert "creatorToken" not in ada.text


async def test_newest_creator_to_join_is_host(stage: Stage) -> None:
    """R12: earlier ones stay moderators."""
    room = await stage.room()
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    for creator in (ada, bob):
        assert (await creator.joins(room["roomId"], creatorToken=room["creatorToken"]))["isHost"]
    assert await hosts_as_a_newcomer_sees_them(stage, ada) == {bob.id}
    await ada.says("room-locked")
    heard = await ada.hears_until("room-locked")
    assert heard[-1]["lockedBy"] == ada.id


@pytest.mark.house
async def test_creator_taking_over_is_told_in_order(stage: Stage) -> None:
    """R12 says who is host; here the others hear of the new one first, then of the former."""
    room = await stage.room()
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(room["roomId"])
    await bob.joins(room["roomId"])
    await ada.hears("participant-joined", name="Bob")
    await bob.hears("participant-joined", participantId=ada.id)
    carl = await stage.arrives("Carl")
    await carl.joins(room["roomId"], creatorToken=room["creatorToken"])
    for other in (ada, bob):
        await other.hears("participant-joined", participantId=carl.id, isHost=True, isModerator=True)
        await other.hears("participant-updated", participantId=ada.id, isHost=False, isModerator=True)


async def hosts_as_a_newcomer_sees_them(stage: Stage, present: Person) -> set[str]:
    """Who is host in the room of someone present, once all that happened there has."""
    await present.is_done()
    newcomer = await stage.arrives("Newcomer")
    await newcomer.joins(present.room)
    heard = await newcomer.hears_everything()
    hosts = {message["participantId"] for message in heard if message.get("isHost")}
    demoted = {message["participantId"] for message in heard if message["type"] == "participant-updated"}
    assert not demoted, "a snapshot needs no correction"
    await newcomer.leaves()
    return hosts
