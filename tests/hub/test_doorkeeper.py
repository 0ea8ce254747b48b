"""Who may come to the door at all: by a join token, by the site's word, or as everyone."""

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mikroroom.core.grants import Denial, Grant
from mikroroom.core.jointokens import key_of, keys_in, mint
from mikroroom.hub import doorkeeper as doorkeepers
from mikroroom.hub.doorkeeper import JoinTokenKeys
from mikroroom.hub.foreign import THREADS, Foreign
from mikroroom.settings import Settings, SettingsError

from .cast import CODE, NOON, House, Person
from .conftest import HouseWith

PATIENCE = 20.0
SECRET = "the-secret-of-the-site-32-bytes!"
HERE = "198.51.100.1"


def token(code: str = CODE, *, ttl: int = 60, secret: str = SECRET, **how: str) -> str:
    """A token as the site would make it."""
    return mint(key_of(secret), audience="mikroroom", code=code, now=NOON // 1_000, ttl=ttl, **how)  # type: ignore[arg-type]  # as given


async def answer(house: House, person: Person, **fields: object) -> dict[str, object]:
    """The first thing that comes of a join."""
    person.joins(**fields)
    await house.settles()
    return person.hears()[0]


async def gather(house: House, *names: str, **fields: object) -> list[Person]:
    """These are in the room, the first as its host, and have nothing left to hear."""
    people = [house.arrives(name) for name in names]
    for person in people:
        heard = await answer(house, person, **({"isHost": True} if person is people[0] else {}), **fields)
        assert heard["type"] == "participant-joined"
        person.id = str(heard["participantId"])
    house.nobody_listens()
    return people


async def until(holds: Callable[[], object]) -> None:
    """Let the loop go round until that holds."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.001)


# Join tokens


async def test_a_token_says_who_one_is(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET)
    house.meeting("Ada")
    bob = house.arrives("Bob")
    whose = token(name="Bob B.", role="moderator", subject="u-7")
    heard = await answer(house, bob, name="Somebody", token=whose)
    assert (heard["type"], heard["name"], heard["isModerator"]) == ("participant-joined", "Bob B.", True)
    assert "u-7" not in heard.values()


async def test_a_token_may_bring_the_name(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET)
    house.meeting("Ada")
    bob, cleo = house.arrives("Bob"), house.arrives("Cleo")
    assert (await answer(house, bob, name=None, token=token(name="Bob")))["name"] == "Bob"
    heard = await answer(house, cleo, name=None, token=token())
    assert heard["code"] == "INVALID_MESSAGE"
    assert "`name`" in str(heard["message"])


async def test_a_room_begins_with_a_token_of_one_who_moderates_only(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET, join_tokens="required")
    ada, bob = house.arrives("Ada"), house.arrives("Bob")
    heard = await answer(house, bob, isHost=True, token=token(role="participant"))
    assert heard["code"] == "ROOM_NOT_FOUND"
    heard = await answer(house, ada, isHost=True, token=token(role="host"))
    assert heard["isHost"]
    assert heard["creatorToken"]
    assert (await answer(house, bob, token=token(role="participant")))["isModerator"] is False


async def test_where_tokens_are_required_nobody_joins_without(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET, join_tokens="required", guesses_per_minute=1)
    bob = house.arrives("Bob")
    for fields in ({}, {"token": ""}, {"token": None}, {"creatorToken": "x"}, {"isHost": True}):
        assert (await answer(house, bob, **fields))["code"] == "INVALID_TOKEN"


async def test_where_they_are_optional_others_join_as_ever(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET)
    house.meeting("Ada", "Bob")


async def test_a_server_without_keys_takes_no_tokens(house: House) -> None:
    house.meeting("Ada")
    heard = await answer(house, house.arrives("Bob"), token=token())
    assert (heard["code"], heard["message"]) == ("INVALID_TOKEN", "This server takes no join tokens")


async def test_a_forged_token_is_a_guess_and_one_that_is_over_is_none(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET, guesses_per_minute=2)
    house.meeting("Ada")
    bob = house.arrives("Bob", HERE)
    for stale in (token(ttl=-60), token("ZZZZZZ"), token(ttl=-3_600)):
        assert (await answer(house, bob, token=stale))["code"] == "INVALID_TOKEN"
    for _ in range(2):
        assert (await answer(house, bob, token=token(secret="x" * 32)))["code"] == "INVALID_TOKEN"
    assert (await answer(house, bob, token=token()))["code"] == "RATE_LIMITED"
    house.clock.passes(60_000)
    assert (await answer(house, bob, token=token()))["type"] == "participant-joined"


async def test_who_comes_too_early_with_a_token_does_not_guess(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET, guesses_per_minute=1)
    bob = house.arrives("Bob", HERE)
    for _ in range(3):
        assert (await answer(house, bob, token=token(role="participant")))["code"] == "ROOM_NOT_FOUND"
    house.meeting("Ada")
    assert (await answer(house, bob, token=token()))["type"] == "participant-joined"


async def test_who_may_make_rooms_and_has_made_too_many_does_not_guess(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET, rooms_per_minute=1, guesses_per_minute=1)
    ada, bob, cleo = (house.arrives(name, HERE) for name in ("Ada", "Bob", "Cleo"))
    assert (await answer(house, ada, token=token(role="host")))["isHost"]
    for _ in range(3):
        bob.joins("ZZZZZZ", token=token("ZZZZZZ", role="host"))
        assert bob.hears_types() == ["RATE_LIMITED"]
    assert (await answer(house, cleo, token=token()))["type"] == "participant-joined"


async def test_an_invite_that_is_none_is_a_guess(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=1)
    house.meeting("Ada")
    bob = house.arrives("Bob", HERE)
    assert (await answer(house, bob, token="inv_wrong"))["code"] == "INVALID_TOKEN"
    assert (await answer(house, bob, token="inv_wrong"))["code"] == "RATE_LIMITED"


async def test_an_invite_makes_no_room(house: House) -> None:
    assert (await answer(house, house.arrives("Bob"), isHost=True, token="inv_x"))["code"] == "ROOM_NOT_FOUND"


async def test_wrong_tokens_by_the_thousand_disturb_nobody(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET, message_burst=10_000, refused_messages=0)
    ada, bob = house.meeting("Ada", "Bob")
    eve = house.arrives("Eve", HERE)
    for number in range(2_000):
        eve.joins(token=f"eyJhbGciOiJIUzI1NiJ9.{number}.x")
        if number % 100 == 0:
            ada.says("chat", text=str(number))
    await house.settles()
    codes = eve.hears_types()
    assert codes[:10] == ["INVALID_TOKEN"] * 10
    assert set(codes[10:]) == {"RATE_LIMITED"}
    assert [message["text"] for message in bob.hears()] == [str(number) for number in range(0, 2_000, 100)]


async def test_keys_are_read_anew_when_their_file_changes(
    house_with: HouseWith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorkeepers, "LOOK_EVERY", 0.0)
    path = tmp_path / "keys.json"

    def write(text: str) -> None:
        beside = tmp_path / "new"
        beside.write_text(text)
        beside.replace(path)

    def key_set(kid: str) -> str:
        return json.dumps({"keys": [{"kty": "oct", "kid": kid, "k": "c2VjcmV0" * 6}]})

    write(key_set("one"))
    house = house_with(join_token_keys=str(path))
    house.meeting("Ada")
    one, two = (
        mint(keys_in(key_set(kid))[0], audience="mikroroom", code=CODE, now=NOON // 1_000, ttl=60)
        for kid in ("one", "two")
    )
    assert (await answer(house, house.arrives("Bob"), token=one))["type"] == "participant-joined"
    assert (await answer(house, house.arrives("Cleo"), token=two))["code"] == "INVALID_TOKEN"
    write(key_set("two"))
    assert (await answer(house, house.arrives("Cleo"), token=two))["type"] == "participant-joined"
    caplog.set_level(logging.INFO)
    write("{")
    assert (await answer(house, house.arrives("Dan"), token=two))["type"] == "participant-joined"
    path.unlink()
    assert (await answer(house, house.arrives("Eve"), token=two))["type"] == "participant-joined"
    assert [record.getMessage().split()[0] for record in caplog.records].count("keys-unusable") == 2


def test_keys_that_cannot_be_used_are_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{}")
    with pytest.raises(SettingsError, match=r"join_token_keys = .*must be a JSON Web Key Set"):
        JoinTokenKeys(Settings(join_token_keys=str(path)))


def test_no_key_takes_the_place_of_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = {"kty": "oct", "k": "c2VjcmV0" * 6}
    path.write_text(json.dumps({"keys": [key]}))
    with pytest.raises(SettingsError, match="each key needs a `kid`"):
        JoinTokenKeys(Settings(join_token_secret=SECRET, join_token_keys=str(path)))
    path.write_text(json.dumps({"keys": [key | {"kid": "one"}]}))
    assert len(JoinTokenKeys(Settings(join_token_secret=SECRET, join_token_keys=str(path))).keys) == 2


# The site's word


async def test_the_site_is_asked_and_decides(house_with: HouseWith) -> None:
    asked = []

    async def authorize(handshake: object, room: str, name: str) -> Grant | Denial:
        asked.append((handshake, room, name))
        if name == "Eve":
            return Denial("Log in first")
        return Grant(name=f"{name} of the site", role="moderator" if name == "Tom" else None)

    house = house_with(authorize_join=authorize)
    ada, eve, tom = house.arrives("Ada"), house.arrives("Eve"), house.arrives("Tom")
    tom.session.handshake = "how Tom came"
    assert (await answer(house, ada, isHost=True))["name"] == "Ada of the site"
    heard = await answer(house, eve)
    assert (heard["code"], heard["message"]) == ("UNAUTHORIZED", "Log in first")
    heard = await answer(house, tom)
    assert (heard["name"], heard["isModerator"], heard["isHost"]) == ("Tom of the site", True, False)
    assert asked == [(None, CODE, "Ada"), (None, CODE, "Eve"), ("how Tom came", CODE, "Tom")]


async def test_a_plain_function_is_asked_on_a_thread(house_with: HouseWith) -> None:
    threads = []

    def authorize(prefix: str, _handshake: object, _room: str, name: str) -> Grant:
        threads.append(threading.current_thread())
        return Grant(name=f"{prefix} {name}")

    house = house_with(authorize_join=partial(authorize, "Dr."))
    ada = house.arrives("Ada")
    ada.joins(isHost=True)
    await until(lambda: ada.tape.frames)
    assert ada.hears()[0]["name"] == "Dr. Ada"
    assert threads[0] is not threading.main_thread()
    assert threads[0].daemon


async def test_an_object_may_be_asked_and_a_function_that_returns_a_coroutine(house_with: HouseWith) -> None:
    class Site:
        async def __call__(self, _handshake: object, _room: str, name: str) -> Grant:
            return Grant(name=name.upper())

    def site(handshake: object, room: str, name: str) -> Awaitable[Grant]:
        return Site()(handshake, room, name)

    for hook in (Site(), site):
        house = house_with(authorize_join=hook)
        ada = house.arrives("Ada")
        ada.joins(isHost=True)
        await until(partial(getattr, ada.tape, "frames"))
        assert ada.hears()[0]["name"] == "ADA"


async def test_a_token_or_an_invite_stands_for_the_sites_word(house_with: HouseWith) -> None:
    async def authorize(_handshake: object, _room: str, name: str) -> Grant | Denial:
        return Grant() if name == "Ada" else Denial()

    house = house_with(authorize_join=authorize, join_token_secret=SECRET)
    await gather(house, "Ada")
    bob = house.arrives("Bob")
    assert (await answer(house, bob))["message"] == "You may not join this meeting"
    assert (await answer(house, bob, token=token()))["type"] == "participant-joined"


async def test_a_denial_is_a_guess_so_the_site_is_not_asked_for_ever(house_with: HouseWith) -> None:
    asked = []

    async def authorize(_handshake: object, _room: str, name: str) -> Denial:
        asked.append(name)
        return Denial()

    house = house_with(authorize_join=authorize, guesses_per_minute=3)
    eve = house.arrives("Eve", HERE)
    answers = [(await answer(house, eve))["code"] for _ in range(5)]
    assert answers == ["UNAUTHORIZED"] * 3 + ["RATE_LIMITED"] * 2
    assert len(asked) == 3


@pytest.mark.parametrize("problem", [asyncio.CancelledError, SystemExit])
@pytest.mark.parametrize("is_plain", [True, False])
async def test_a_site_that_would_end_more_than_itself_is_one_that_fails(
    house_with: HouseWith, problem: type[BaseException], is_plain: bool
) -> None:
    def fail(*_: object) -> Grant:
        raise problem

    async def fail_later(*_: object) -> Grant:
        raise problem

    house = house_with(authorize_join=fail if is_plain else fail_later)
    ada = house.arrives("Ada")
    ada.joins(isHost=True)
    ada.joins(isHost=True)
    await until(lambda: len(ada.tape.frames) == 2)
    assert ada.hears_types() == ["SERVER_ERROR"] * 2


async def test_a_site_that_does_not_let_itself_be_stopped_is_not_waited_for(house_with: HouseWith) -> None:
    goes_on = asyncio.Event()

    async def authorize(*_: object) -> Grant:
        while not goes_on.is_set():
            with suppress(asyncio.CancelledError):
                await goes_on.wait()
        return Grant()

    house = house_with(authorize_join=authorize, hook_timeout=0.05)
    ada = house.arrives("Ada")
    ada.joins(isHost=True)
    await until(lambda: ada.tape.frames)
    assert ada.hears_types() == ["SERVER_ERROR"]
    goes_on.set()


@pytest.mark.parametrize("fault", ["raises", "returns", "stops"])
async def test_a_site_that_fails_lets_nobody_in_and_the_log_says_why(
    house_with: HouseWith, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    def fail() -> Grant:
        if fault == "raises":
            raise LookupError("no table users")
        if fault == "stops":
            raise StopIteration
        return True  # type: ignore[return-value]  # what is tried here

    house = house_with(authorize_join=lambda *_: fail())
    ada = house.arrives("Ada")
    ada.joins(isHost=True)
    await until(lambda: ada.tape.frames)
    heard = ada.hears()[0]
    assert (heard["code"], "no table" in str(heard["message"])) == ("SERVER_ERROR", False)
    line = next(record.getMessage() for record in caplog.records if "join-undecided" in record.getMessage())
    assert {"raises": "no table users", "returns": "True", "stops": "StopIteration"}[fault] in line


@pytest.mark.parametrize(
    "verdict",
    [
        Grant(name=7),  # type: ignore[arg-type]  # as in what follows, this is what is tried
        Grant(role="admin"),  # type: ignore[arg-type]
        Grant(subject=7),  # type: ignore[arg-type]
        Grant(subject="u" * 257),
        Grant(subject="half a character: \ud83d"),
        Grant(skips_waiting="no"),  # type: ignore[arg-type]
        Denial(None),  # type: ignore[arg-type]
        Denial(object()),  # type: ignore[arg-type]
    ],
)
async def test_a_verdict_that_cannot_be_kept_is_none_and_the_log_says_why(
    house_with: HouseWith, caplog: pytest.LogCaptureFixture, verdict: Grant | Denial
) -> None:
    async def authorize(*_: object) -> Grant | Denial:
        return verdict

    house = house_with(authorize_join=authorize)
    assert (await answer(house, house.arrives("Ada"), isHost=True))["code"] == "SERVER_ERROR"
    assert "join-undecided" in caplog.text
    assert house.active_rooms() == 0


async def test_what_a_site_writes_is_made_to_fit(house_with: HouseWith) -> None:
    async def authorize(_handshake: object, _room: str, name: str) -> Grant | Denial:
        return Grant(name=f"{name}\ud83d" + "x" * 99) if name == "Ada" else Denial("No\ud83d" + "!" * 999)

    house = house_with(authorize_join=authorize)
    heard = await answer(house, house.arrives("Ada"), isHost=True)
    assert heard["name"] == "Ada" + "x" * 61
    assert (await answer(house, house.arrives("Bob")))["message"] == "No" + "!" * 497


async def test_a_site_that_takes_too_long_delays_nobody_who_is_in(house_with: HouseWith) -> None:
    forever = asyncio.Event()

    async def authorize(_handshake: object, _room: str, name: str) -> Grant:
        if name == "Eve":
            await forever.wait()
        return Grant()

    house = house_with(authorize_join=authorize, hook_timeout=0.05)
    ada, bob = await gather(house, "Ada", "Bob")
    eve = house.arrives("Eve")
    eve.joins()
    ada.says("chat", text="are you there?")
    assert bob.hears_types() == ["chat"]
    await until(lambda: eve.tape.frames)
    assert eve.hears_types() == ["SERVER_ERROR"]


async def test_who_is_gone_meanwhile_does_not_enter(house_with: HouseWith) -> None:
    decided = asyncio.Event()

    async def authorize(*_: object) -> Grant:
        await decided.wait()
        return Grant()

    house = house_with(authorize_join=authorize)
    ada = house.arrives("Ada")
    ada.joins(isHost=True)
    await asyncio.sleep(0)
    ada.is_lost()
    decided.set()
    await until(lambda: ada.session._deciding is None)
    assert house.active_rooms() == 0


async def test_whoever_comes_back_was_asked_about_before(house_with: HouseWith) -> None:
    asked = []

    async def authorize(_handshake: object, _room: str, name: str) -> Grant:
        asked.append(name)
        return Grant(subject="u-1")

    house = house_with(authorize_join=authorize)
    (ada,) = await gather(house, "Ada", resume=True)
    ada.is_lost()
    again = house.comes_back(ada)
    assert again.hears()[0]["resumed"]
    assert asked == ["Ada"]


def threads_of_hooks() -> int:
    return sum(thread.name == "mikroroom-hook" for thread in threading.enumerate())


async def test_threads_that_hang_are_few_and_let_go_when_they_end() -> None:
    await until(lambda: threads_of_hooks() == 0)
    foreign = Foreign(timeout=0.05)
    goes_on = threading.Event()
    calls = [foreign.call(goes_on.wait) for _ in range(THREADS * 3)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TimeoutError}
    assert threads_of_hooks() == THREADS
    goes_on.set()
    await until(lambda: threads_of_hooks() == 0)
    foreign._timeout = PATIENCE
    assert await foreign.call(lambda: 7) == 7


def test_threads_that_hang_are_none_of_the_next_event_loops() -> None:
    foreign = Foreign(timeout=0.05)
    goes_on = threading.Event()

    async def ask(function: Callable[[], object], times: int) -> list[Any]:
        calls = [foreign.call(function) for _ in range(times)]
        return await asyncio.gather(*calls, return_exceptions=True)

    try:
        asyncio.run(ask(goes_on.wait, THREADS * 2))
        foreign._timeout = PATIENCE
        assert asyncio.run(ask(lambda: 7, THREADS * 2)) == [7] * THREADS * 2
    finally:
        goes_on.set()
