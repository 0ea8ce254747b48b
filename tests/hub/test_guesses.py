"""Wrong codes, passwords and tokens share one budget per address, and slow nobody else (R30)."""

import uuid

from .cast import CODE, House, Person
from .conftest import HouseWith

HERE, ELSEWHERE = "198.51.100.1", "198.51.100.2"


async def with_password(house: House, **fields: object) -> Person:
    ada = house.arrives("Ada")
    ada.joins(isHost=True, password="sesame", **fields)
    await house.settles()
    return ada


async def guesses(house: House, person: Person, code: str = CODE, **fields: object) -> str:
    """What comes of one join: the error's code, or the type of what lets one in. Whoever is in goes again."""
    person.joins(code, **fields)
    await house.settles()
    answer = person.hears_types()[0]
    if person.session.id:
        person.says("leave")
        person.hears()
    return answer


async def test_codes_passwords_and_tokens_share_one_budget(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=4)
    await with_password(house)
    bob = house.arrives("Bob", HERE)
    assert await guesses(house, bob, code="ZZZZZZ") == "ROOM_NOT_FOUND"
    assert await guesses(house, bob, password="wrong") == "INVALID_PASSWORD"
    # It is let in by its password; the token is a guess all the same.
    entered = await guesses(house, bob, password="sesame", creatorToken=str(uuid.UUID(int=1)))
    assert entered == "participant-joined"
    assert await guesses(house, bob, code="YYYYYY") == "ROOM_NOT_FOUND"
    assert await guesses(house, bob, code="XXXXXX") == "RATE_LIMITED"
    assert await guesses(house, bob, password="wrong") == "RATE_LIMITED"
    assert await guesses(house, bob, password="sesame") == "RATE_LIMITED"


async def test_the_budget_is_the_addresss_not_the_connections(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=3)
    await with_password(house)
    for number in range(3):
        bob = house.arrives(f"Bob {number}", HERE)
        assert await guesses(house, bob, password="wrong") == "INVALID_PASSWORD"
        bob.is_lost()
    assert await guesses(house, house.arrives("Bob", HERE), password="sesame") == "RATE_LIMITED"
    assert await guesses(house, house.arrives("Cleo", ELSEWHERE), password="sesame") == "participant-joined"


async def test_a_minute_later_there_is_a_new_guess(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=2)
    await with_password(house)
    bob = house.arrives("Bob", HERE)
    await guesses(house, bob, password="wrong")
    house.clock.passes(30_000)
    await guesses(house, bob, password="wrong")
    house.clock.passes(29_999)
    assert await guesses(house, bob, password="sesame") == "RATE_LIMITED"
    house.clock.passes(1)
    assert await guesses(house, bob, password="wrong") == "INVALID_PASSWORD"
    assert await guesses(house, bob, password="wrong") == "RATE_LIMITED"


async def test_guesses_hashed_side_by_side_get_no_more_answers(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=3)
    await with_password(house)
    house.hashing.stops()
    bobs = [house.arrives(f"Bob {number}", HERE) for number in range(20)]
    for number, bob in enumerate(bobs):
        # The right one is among the last: it must not be told apart from the wrong ones.
        bob.joins(password="sesame" if number == 15 else f"wrong {number}")
    house.hashing.goes_on()
    await house.settles()
    answers = [answer for bob in bobs for answer in bob.hears_types()]
    assert sorted(answers) == ["INVALID_PASSWORD"] * 3 + ["RATE_LIMITED"] * 17


async def test_to_ask_without_a_password_is_no_guess(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=2)
    await with_password(house)
    bob = house.arrives("Bob", HERE)
    for password in (None, ""):
        for _ in range(5):
            assert await guesses(house, bob, password=password) == "INVALID_PASSWORD"
    assert await guesses(house, bob, password="sesame") == "participant-joined"


async def test_what_is_right_is_no_guess(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=2, rooms_per_minute=0)
    ada = house.arrives("Ada", HERE)
    ada.joins(isHost=True, password="sesame")
    await house.settles()
    token = ada.hears()[0]["creatorToken"]
    bob = house.arrives("Bob", HERE)
    for _ in range(5):
        assert await guesses(house, bob, password="sesame", creatorToken=token) == "participant-joined"
        assert await guesses(house, bob, code="NEWONE", isHost=True) == "participant-joined"


async def test_other_refusals_are_no_guesses(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=2)
    house.meeting("Ada", maxParticipants=1)
    bob = house.arrives("Bob", HERE)
    for _ in range(5):
        assert await guesses(house, bob) == "ROOM_FULL"
        assert await guesses(house, bob, name=" ") == "INVALID_MESSAGE"


async def test_a_token_is_a_guess_even_where_the_waiting_room_is_full(house_with: HouseWith) -> None:
    """A right one would not have had to wait: whoever hears WAITING_ROOM_FULL knows that it was wrong."""
    house = house_with(guesses_per_minute=3, max_waiting=0)
    (ada,) = house.meeting("Ada")
    ada.says("room-locked")
    bob = house.arrives("Bob", HERE)
    tokens = [str(uuid.UUID(int=number)) for number in range(5)]
    answers = [await guesses(house, bob, creatorToken=token) for token in tokens]
    assert answers == ["WAITING_ROOM_FULL"] * 3 + ["RATE_LIMITED"] * 2


async def test_a_full_room_does_not_tell_a_right_token_from_a_wrong_one(house: House) -> None:
    ada = house.arrives("Ada")
    ada.joins(isHost=True, maxParticipants=1)
    token = ada.hears()[0]["creatorToken"]
    bob = house.arrives("Bob", HERE)
    for guess in (token, str(uuid.UUID(int=1))):
        assert await guesses(house, bob, creatorToken=guess) == "ROOM_FULL"


async def test_people_in_a_meeting_notice_nothing_of_their_address_guessing(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=1)
    ada = house.arrives("Ada", HERE)
    ada.joins(isHost=True)
    bob = house.arrives("Bob", HERE)
    await guesses(house, bob, code="ZZZZZZ")
    await guesses(house, bob, code="ZZZZZZ")
    ada.hears()
    ada.says("chat", text="all is well")
    assert ada.hears_types() == ["chat"]


async def test_rooms_made_by_joining_count_against_the_address(house_with: HouseWith) -> None:
    house = house_with(rooms_per_minute=2)
    bob = house.arrives("Bob", HERE)
    answers = [await guesses(house, bob, code=code, isHost=True) for code in ("AAAAAA", "BBBBBB", "CCCCCC")]
    assert answers == ["participant-joined", "participant-joined", "RATE_LIMITED"]
    assert await guesses(house, house.arrives("Cleo"), code="CCCCCC", isHost=True) == "participant-joined"
    house.clock.passes(60_000)
    assert await guesses(house, bob, code="CCCCCC", isHost=True) == "participant-joined"


async def test_limits_forget_the_addresses_that_are_gone(house_with: HouseWith) -> None:
    house = house_with()
    for number in range(500):
        person = house.arrives(f"{number}", f"10.0.{number // 256}.{number % 256}")
        person.joins("ZZZZZZ")
        person.is_lost()
    assert len(house.hub.limits.guesses._taken) == 500
    house.clock.passes(60_001)
    house.hub._tidy()
    assert len(house.hub.limits.guesses._taken) == 0


async def test_a_room_that_may_not_be_made_is_a_wrong_code(house_with: HouseWith) -> None:
    """Else whoever has used up its rooms could try code after code: the refusal tells that there is none."""
    house = house_with(rooms_per_minute=1, guesses_per_minute=3)
    house.meeting("Ada")
    bob = house.arrives("Bob", HERE)
    assert await guesses(house, bob, code="AAAAAA", isHost=True) == "participant-joined"
    codes = ["BBBBBB", "CCCCCC", "DDDDDD", CODE]
    assert [await guesses(house, bob, code=code, isHost=True) for code in codes] == ["RATE_LIMITED"] * 4


async def test_no_password_is_hashed_for_a_room_that_may_not_be_made(house_with: HouseWith) -> None:
    house = house_with(rooms_per_minute=1)
    bob = house.arrives("Bob", HERE)
    assert await guesses(house, bob, code="AAAAAA", isHost=True) == "participant-joined"
    house.hashing.stops()
    bob.joins("BBBBBB", isHost=True, password="sesame")
    assert bob.hears_types() == ["RATE_LIMITED"]
