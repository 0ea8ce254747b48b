"""One connection's requests are dealt with in order, whatever has to be waited for (R7)."""

import asyncio

import pytest

from mikroroom.hub import session as sessions
from mikroroom.protocol.codes import CloseCode

from .cast import CODE, House, Person
from .conftest import HouseWith


async def with_password(house: House) -> Person:
    """A room with a password, and its host in it."""
    ada = house.arrives("Ada")
    ada.joins(isHost=True, password="sesame")
    await house.settles()
    assert ada.hears_types() == ["participant-joined"]
    return ada


async def test_what_follows_a_join_that_is_being_hashed_comes_after_it(house: House) -> None:
    ada = await with_password(house)
    bob = house.arrives("Bob")
    house.hashing.stops()
    bob.joins(password="sesame")
    bob.says("chat", text="one")
    bob.says("chat", text="two")
    bob.says("raise-hand")
    bob.says("leave")
    bob.says("chat", text="three")
    await house.settles()
    assert (ada.hears(), bob.hears()) == ([], [])

    house.hashing.goes_on()
    await house.settles()
    assert bob.hears_types() == ["participant-joined", "participant-joined", "chat", "chat", "NOT_IN_ROOM"]
    heard = ada.hears()
    assert [message["type"] for message in heard] == [
        "participant-joined",
        "chat",
        "chat",
        "raise-hand",
        "participant-updated",
        "participant-left",
    ]
    assert [message["text"] for message in heard[1:3]] == ["one", "two"]


async def test_what_comes_right_after_the_decision_does_not_overtake_what_waited(house: House) -> None:
    ada = await with_password(house)
    bob = house.arrives("Bob")
    house.hashing.stops()
    bob.joins(password="wrong")
    bob.joins(password="sesame")
    bob.says("chat", text="one")
    house.hashing.goes_on()
    # The first join is refused, the second is being decided: this one waits behind it as well.
    while bob.hears_types() != ["INVALID_PASSWORD"]:
        await asyncio.sleep(0)
    bob.says("chat", text="two")
    await house.settles()
    assert [message["text"] for message in ada.hears() if message["type"] == "chat"] == ["one", "two"]


async def test_requests_behind_a_refused_join_are_answered_one_by_one(house: House) -> None:
    await with_password(house)
    bob = house.arrives("Bob")
    house.hashing.stops()
    bob.joins(password="wrong")
    bob.says("chat", text="one")
    bob.sends("nonsense")
    house.hashing.goes_on()
    await house.settles()
    assert bob.hears_types() == ["INVALID_PASSWORD", "NOT_IN_ROOM", "INVALID_MESSAGE"]


async def test_a_join_that_is_malformed_is_refused_before_anything_else(house: House) -> None:
    (ada,) = house.meeting("Ada")
    ada.joins(name="")
    ada.joins(maxParticipants=101)
    ada.joins("ZZZZZZ")
    assert ada.hears_types() == ["INVALID_MESSAGE", "INVALID_MESSAGE", "ALREADY_JOINED"]


async def test_a_second_join_changes_nothing(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    bob.joins("ZZZZZZ", isHost=True)
    bob.joins(name="Robert")
    assert bob.hears_types() == ["ALREADY_JOINED", "ALREADY_JOINED"]
    assert ada.hears() == []
    bob.says("chat", text="still here")
    assert [message["text"] for message in ada.hears()] == ["still here"]
    assert house.active_rooms() == 1


async def test_a_second_join_while_waiting_changes_nothing(house: House) -> None:
    (ada,) = house.meeting("Ada")
    ada.says("room-locked")
    bob = house.arrives("Bob")
    bob.joins()
    assert bob.hears_types() == ["waiting-room"]
    bob.joins("ZZZZZZ", isHost=True)
    bob.says("chat", text="let me in")
    assert bob.hears_types() == ["ALREADY_JOINED", "NOT_IN_ROOM"]
    assert [message["type"] for message in ada.hears()] == ["room-locked", "waiting-room"]


async def test_only_so_much_waits_behind_a_decision(house_with: HouseWith) -> None:
    house = house_with(message_burst=1_000, messages_per_second=0)
    ada = await with_password(house)
    bob = house.arrives("Bob")
    house.hashing.stops()
    bob.joins(password="sesame")
    text = "x" * 4_000
    for _ in range(300):
        bob.says("chat", text=text)
    refused = bob.hears_types()
    assert refused and set(refused) == {"RATE_LIMITED"}
    assert bob.session._deferred_characters <= sessions.DEFERRED_CHARACTERS

    house.hashing.goes_on()
    await house.settles()
    assert bob.session._deferred_characters == 0
    assert ada.hears_types().count("chat") == 300 - len(refused)
    bob.says("chat", text="again")
    assert ada.hears_types() == ["chat"]


async def test_what_waits_behind_a_decision_counts_against_the_rate(house_with: HouseWith) -> None:
    house = house_with(message_burst=5)
    await with_password(house)
    bob = house.arrives("Bob")
    house.hashing.stops()
    bob.joins(password="sesame")
    for _ in range(10):
        bob.says("raise-hand")
    assert bob.hears_types() == ["RATE_LIMITED"]
    assert len(bob.session._deferred or ()) == 4


@pytest.mark.parametrize("password", ["sesame", "wrong"])
async def test_a_connection_lost_while_its_join_is_hashed_leaves_no_ghost(
    house: House, password: str
) -> None:
    ada = await with_password(house)
    bob = house.arrives("Bob")
    house.hashing.stops()
    bob.joins(password=password)
    bob.says("chat", text="hello")
    await house.settles()
    bob.is_lost()
    house.hashing.goes_on()
    await house.settles()

    assert ada.hears_types() == [], "whoever is gone does not come in first"
    assert house.hub.roster.participants == 1
    assert set(house.hub.roster._people) == set(house.hub.roster._audiences[CODE]) == {ada.session.id}


async def test_a_room_made_by_someone_lost_meanwhile_is_not_kept(house: House) -> None:
    ada = house.arrives("Ada")
    house.hashing.stops()
    ada.joins(isHost=True, password="sesame")
    ada.is_lost()
    house.hashing.goes_on()
    await house.settles()
    assert house.active_rooms() == 0
    bob = house.arrives("Bob")
    bob.joins()
    assert bob.hears_types() == ["ROOM_NOT_FOUND"]


async def test_someone_closed_for_reading_too_slowly_while_its_join_is_hashed_leaves_no_ghost(
    house: House,
) -> None:
    ada = await with_password(house)
    bob = house.arrives("Bob")
    bob.tape.is_full = True
    house.hashing.stops()
    bob.joins(password="sesame")
    house.hashing.goes_on()
    await house.settles()
    assert bob.closed == CloseCode.SLOW_READER
    assert ada.hears_types() == ["participant-joined", "participant-left"]
    assert house.hub.roster.participants == 1


async def test_the_last_seat_goes_to_whoever_commits_first(house: House) -> None:
    ada = house.arrives("Ada")
    ada.joins(isHost=True, password="sesame", maxParticipants=2)
    await house.settles()
    house.hashing.stops()
    bob, cleo = house.arrives("Bob"), house.arrives("Cleo")
    bob.joins(password="sesame")
    cleo.joins(password="sesame")
    house.hashing.goes_on()
    await house.settles()
    assert bob.hears_types() == ["participant-joined", "participant-joined"]
    assert cleo.hears_types() == ["ROOM_FULL"]


async def test_a_room_that_became_another_while_the_password_was_hashed_is_asked_anew(house: House) -> None:
    """After hashing all checks run again: this proof belongs to the salt of a room that is no more."""
    ada = await with_password(house)
    bob = house.arrives("Bob")
    house.hashing.stops()
    bob.joins(password="sesame")
    await house.settles()
    ada.says("leave")
    house.hashing.goes_on()
    dora = house.arrives("Dora")
    dora.joins(isHost=True, password="other")
    await house.settles()
    assert bob.hears_types()[-1] in {"INVALID_PASSWORD", "ROOM_NOT_FOUND"}
    assert "participant-joined" not in dora.hears_types()[1:]
