"""The limits of one connection: time to join (R13), message rate (R31), reading speed (R33)."""

import asyncio

from mikroroom.protocol.codes import CloseCode

from .cast import CODE, House, Person
from .conftest import HouseWith

PATIENCE = 20.0


async def is_closed(person: Person) -> None:
    async with asyncio.timeout(PATIENCE):
        while person.closed is None:
            await asyncio.sleep(0.005)


# Time to join (R13)


async def test_a_client_that_never_joins_is_closed_and_its_place_given_back(house_with: HouseWith) -> None:
    house = house_with(join_timeout=0.01, connections_per_minute=2)
    connections = house.hub.limits.connections
    assert connections.take("192.0.2.1", house.clock()) == 0
    assert connections.take("192.0.2.1", house.clock()) == 0
    assert connections.wait("192.0.2.1", house.clock()) > 0
    ada = house.arrives("Ada", "192.0.2.1")
    await is_closed(ada)
    assert ada.closed == CloseCode.NEVER_JOINED
    assert connections.take("192.0.2.1", house.clock()) == 0
    assert connections.wait("192.0.2.1", house.clock()) > 0, "one place, and no more"


async def test_a_refused_join_is_no_join(house_with: HouseWith) -> None:
    house = house_with(join_timeout=0.01)
    ada = house.arrives("Ada")
    ada.joins()
    assert ada.hears_types() == ["ROOM_NOT_FOUND"]
    await is_closed(ada)
    assert ada.closed == CloseCode.NEVER_JOINED


async def test_a_client_is_not_closed_while_its_join_is_decided(house_with: HouseWith) -> None:
    house = house_with(join_timeout=0.01)
    ada = house.arrives("Ada")
    house.hashing.stops()
    ada.joins(isHost=True, password="sesame")
    waiter = house.arrives("Waiter")
    await is_closed(waiter)
    assert ada.closed is None
    house.hashing.goes_on()
    await house.settles()
    assert ada.hears_types() == ["participant-joined"]
    assert ada.session._join_timer is None


async def test_a_client_whose_join_is_refused_late_is_given_up_all_the_same(house_with: HouseWith) -> None:
    house = house_with(join_timeout=0.01)
    ada = house.arrives("Ada")
    ada.joins(isHost=True, password="sesame")
    await house.settles()
    house.hashing.stops()
    bob = house.arrives("Bob")
    bob.joins(password="wrong")
    waiter = house.arrives("Waiter")
    await is_closed(waiter)
    house.hashing.goes_on()
    await house.settles()
    assert bob.hears_types() == ["INVALID_PASSWORD"]
    await is_closed(bob)
    assert bob.closed == CloseCode.NEVER_JOINED


async def test_a_client_cannot_put_off_its_end_by_one_join_after_the_other(house_with: HouseWith) -> None:
    """R13: the join that is being decided when the time is up is the last one."""
    house = house_with(join_timeout=0.01)
    ada = house.arrives("Ada")
    ada.joins(isHost=True, password="sesame")
    await house.settles()
    house.hashing.stops()
    bob = house.arrives("Bob")
    for _ in range(3):
        bob.joins(password="wrong")
    await is_closed(house.arrives("Waiter"))
    house.hashing.goes_on()
    await house.settles()
    assert bob.hears_types() == ["INVALID_PASSWORD"]
    assert bob.closed == CloseCode.NEVER_JOINED


async def test_whoever_waits_to_be_admitted_has_joined_enough(house_with: HouseWith) -> None:
    house = house_with(join_timeout=0.05)
    (ada,) = house.meeting("Ada")
    ada.says("room-locked")
    bob = house.arrives("Bob")
    bob.joins()
    waiter = house.arrives("Waiter")
    await is_closed(waiter)
    assert (ada.closed, bob.closed) == (None, None)


async def test_a_client_that_goes_leaves_no_timer_behind(house_with: HouseWith) -> None:
    house = house_with(join_timeout=30)
    ada = house.arrives("Ada")
    timer = ada.session._join_timer
    ada.is_lost()
    assert timer is not None and timer.cancelled()


# Message rate (R31)


async def test_over_the_burst_messages_are_dropped_and_the_client_told_once_a_second(
    house_with: HouseWith,
) -> None:
    house = house_with(message_burst=20, messages_per_second=10)
    ada = house.arrives("Ada")
    for _ in range(30):
        ada.says("raise-hand")
    assert ada.hears_types() == ["NOT_IN_ROOM"] * 20 + ["RATE_LIMITED"]
    for _ in range(3):
        house.clock.passes(999)
        for _ in range(50):
            ada.says("raise-hand")
        house.clock.passes(1)
        ada.says("raise-hand")
    heard = ada.hears_types()
    assert 2 <= heard.count("RATE_LIMITED") <= 3, "told once a second"
    assert heard.count("NOT_IN_ROOM") == 30, "ten a second go on"


async def test_a_dropped_message_changes_nothing(house_with: HouseWith) -> None:
    house = house_with(message_burst=5, messages_per_second=1)
    bob = house.arrives("Bob")
    for _ in range(5):
        bob.sends("nonsense")
    bob.joins(isHost=True)
    assert bob.hears_types()[-1] == "RATE_LIMITED"
    assert bob.session.id is None


async def test_the_burst_widens_with_the_seats_of_the_room(house_with: HouseWith) -> None:
    """With 50 seats the newcomer owes everyone an offer and candidates: 40 messages for each seat."""
    house = house_with(message_burst=300)
    ada, bob = house.meeting("Ada", "Bob", maxParticipants=50)
    for _ in range(1_999):
        ada.says("offer", targetId=bob.id, sdp="v=0")
    assert (len(ada.hears()), len(bob.hears())) == (0, 1_999), "the join was the first of 2,000"
    ada.says("offer", targetId=bob.id, sdp="v=0")
    assert ada.hears_types() == ["RATE_LIMITED"]


async def test_a_small_room_leaves_the_burst_as_it_is(house_with: HouseWith) -> None:
    house = house_with(message_burst=300)
    ada, bob = house.meeting("Ada", "Bob", maxParticipants=2)
    for _ in range(320):
        ada.says("offer", targetId=bob.id, sdp="v=0")
    assert len(bob.hears()) == 299, "the join was the first of 300"


async def test_a_rate_of_zero_is_no_limit(house_with: HouseWith) -> None:
    house = house_with(message_burst=1, messages_per_second=0)
    ada, bob = house.meeting("Ada", "Bob")
    for _ in range(3_000):
        ada.says("chat", text="x")
    assert bob.hears_types() == ["chat"] * 3_000


async def test_too_many_refused_messages_end_the_connection(house_with: HouseWith) -> None:
    house = house_with(refused_messages=50)
    ada, bob = house.meeting("Ada", "Bob")
    for _ in range(49):
        bob.sends("[]")
    assert [bob.closed] == [None]
    bob.sends("[]")
    assert bob.closed == CloseCode.TOO_MANY_REFUSED
    await house.settles()
    assert ada.hears_types() == ["participant-left"]
    bob.says("chat", text="too late")
    assert ada.hears() == []


async def test_messages_dropped_for_their_rate_count_as_refused(house_with: HouseWith) -> None:
    house = house_with(message_burst=20, refused_messages=50)
    bob = house.arrives("Bob")
    for _ in range(49):
        bob.says("raise-hand")
    assert [bob.closed] == [None]
    bob.says("raise-hand")
    assert bob.closed == CloseCode.TOO_MANY_REFUSED
    assert bob.hears_types() == ["NOT_IN_ROOM"] * 20 + ["RATE_LIMITED"]


async def test_refused_messages_spread_over_time_end_nothing(house_with: HouseWith) -> None:
    house = house_with(refused_messages=50)
    (ada,) = house.meeting("Ada")
    for _ in range(200):
        ada.sends("[]")
        house.clock.passes(250)
    assert ada.closed is None
    assert ada.hears_types() == ["INVALID_MESSAGE"] * 200


# Reading speed (R33)


async def test_a_slow_reader_is_closed_alone(house: House) -> None:
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo")
    bob.tape.is_full = True
    ada.says("chat", text="one")
    ada.says("chat", text="two")
    # All in one go: nobody has waited for anybody.
    assert bob.closed == CloseCode.SLOW_READER
    assert ada.hears_types() == cleo.hears_types() == ["chat", "chat"]
    await house.settles()
    assert [(m["type"], m["participantId"]) for m in ada.hears()] == [("participant-left", bob.id)]
    assert [(m["type"], m["participantId"]) for m in cleo.hears()] == [("participant-left", bob.id)]
    bob.is_lost()
    await house.settles()
    assert ada.hears() == cleo.hears() == [], "exactly one participant-left"


async def test_a_slow_reader_of_an_offer_does_not_harm_who_sent_it(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    bob.tape.is_full = True
    ada.says("offer", targetId=bob.id, sdp="v=0")
    ada.says("offer", targetId=bob.id, sdp="v=0")
    assert ada.hears() == []
    await house.settles()
    assert ada.hears_types() == ["participant-left"]
    ada.says("offer", targetId=bob.id, sdp="v=0")
    assert ada.hears_types() == ["TARGET_NOT_FOUND"]


async def test_all_slow_readers_of_one_message_go_together(house: House) -> None:
    people = house.meeting("Ada", "Bob", "Cleo", "Dora", "Egon")
    for person in people[1:4]:
        person.tape.is_full = True
    people[0].says("chat", text="all of you")
    await house.settles()
    assert [person.closed for person in people] == [None, 4001, 4001, 4001, None]
    assert people[4].hears_types() == ["chat"] + ["participant-left"] * 3
    assert set(house.hub.roster._audiences[CODE]) == {people[0].id, people[4].id}


async def test_the_host_reading_too_slowly_passes_the_room_on(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    ada.tape.is_full = True
    bob.says("chat", text="hello?")
    await house.settles()
    assert bob.hears_types() == ["chat", "participant-left", "moderator-action", "participant-updated"]


async def test_the_slow_reader_that_is_also_refused_something_is_closed_once(house: House) -> None:
    (ada,) = house.meeting("Ada")
    ada.tape.is_full = True
    ada.sends("nonsense")
    ada.sends("nonsense")
    assert ada.closed == CloseCode.SLOW_READER
