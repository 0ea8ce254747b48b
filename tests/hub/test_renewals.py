"""Meetings that outlast the TURN credentials they began with: who is given fresh ones, and when."""

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import pytest

from mikroroom.hub.renewals import TOGETHER

from .cast import CODE, House, Person
from .conftest import HouseWith

TTL = 600
HALF = TTL * 1_000 // 2
SOON = 2_000
TURN = {
    "stun_servers": ("stun:stun.example.org",),
    "turn_servers": ("turn:turn.example.org",),
    "turn_secret": "north",
    "turn_credential_ttl": TTL,
}


@pytest.fixture
async def house(house_with: HouseWith) -> House:
    """A house with a TURN server that shares a secret with it."""
    return house_with(**TURN)


def passes(house: House, milliseconds: int) -> None:
    """Time passes, and the hub looks at its clock."""
    house.clock.passes(milliseconds)
    house.wall.passes(milliseconds)
    house.hub._tidy()


def is_renewed(person: Person) -> bool:
    """Whether someone heard of fresh credentials since the last time, and of nothing else."""
    heard = person.hears_types()
    assert heard in ([], ["ice-servers"])
    return bool(heard)


def login_in(message: dict[str, Any]) -> str:
    """The user part of the TURN credentials in a message, which are those that a TURN server computes."""
    _, turn = message["iceServers"]
    expected = hmac.digest(b"north", turn["username"].encode(), hashlib.sha1)
    assert base64.b64decode(turn["credential"]) == expected
    expires, user = turn["username"].split(":")
    assert int(expires) == message["timestamp"] // 1_000 + TTL
    return str(user)


async def test_a_meeting_that_goes_on_is_given_fresh_credentials_at_half_time(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    passes(house, HALF - 1)
    assert not is_renewed(ada)
    passes(house, 1)
    (told,) = ada.hears()
    assert login_in(told)
    assert told == {
        "type": "ice-servers",
        "roomId": CODE,
        "participantId": ada.id,
        "iceServers": [{"urls": "stun:stun.example.org"}, told["iceServers"][1]],
        "ttl": TTL,
        "timestamp": house.wall(),
    }
    assert told["iceServers"][1]["urls"] == "turn:turn.example.org"
    (other,) = bob.hears()
    assert login_in(other) != login_in(told), "a TURN server counts each of them for itself"


async def test_half_the_time_is_each_ones_own_and_comes_again(house: House) -> None:
    (ada,) = house.meeting("Ada")
    passes(house, HALF // 2)
    bob = house.arrives("Bob")
    bob.joins()
    house.nobody_listens()
    heard = []
    for _ in range(5):
        passes(house, HALF // 2)
        heard.append((is_renewed(ada), is_renewed(bob)))
    assert heard == [(True, False), (False, True)] * 2 + [(True, False)]


async def test_what_may_be_resumed_counts_it_and_follows_in_its_place(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    seq = bob.last_seq
    passes(house, HALF)
    ada.says("chat", text="hello")
    # All of that was lost on the way.
    bob.is_lost()
    await house.settles()
    bob.last_seq = seq
    back = house.comes_back(bob)
    heard = [(message["type"], message["seq"]) for message in back.hears()]
    assert heard == [("participant-joined", seq), ("ice-servers", seq + 1), ("chat", seq + 2)]


@pytest.mark.parametrize("way", ["resume", "restart"])
async def test_whoever_comes_back_is_given_some_soon_and_then_at_half_time(house: House, way: str) -> None:
    _, bob = house.meeting("Ada", "Bob", resume=True)
    passes(house, HALF - 1_000)
    bob.is_lost()
    await house.settles()
    back = house.comes_back(bob, **({"restart": True} if way == "restart" else {}))
    house.nobody_listens()
    passes(house, 500)
    assert not is_renewed(back), "many come back together"
    passes(house, SOON - 500)
    assert is_renewed(back)
    passes(house, HALF - 1)
    assert not is_renewed(back)
    passes(house, 1)
    assert is_renewed(back)


async def test_whoever_comes_back_after_a_restart_is_given_some_soon(house: House) -> None:
    (ada,) = house.meeting("Ada", resume=True)
    house = await house.restarts()
    back = house.comes_back(ada)
    house.nobody_listens()
    passes(house, SOON)
    assert is_renewed(back)


async def test_whoever_waits_is_given_none_until_admitted_and_then_soon(house: House) -> None:
    (ada,) = house.meeting("Ada")
    ada.says("room-locked")
    bob, eve = house.arrives("Bob"), house.arrives("Eve")
    bob.joins()
    eve.joins(resume=True)
    house.nobody_listens()
    passes(house, 3 * HALF)
    assert is_renewed(ada)
    assert not is_renewed(bob)
    for person in (bob, eve):
        ada.says("admit-user", targetId=person.session.id)
    house.nobody_listens()
    passes(house, SOON)
    assert (is_renewed(bob), is_renewed(eve), is_renewed(ada)) == (True, True, False)


async def test_a_second_join_on_a_connection_is_followed_by_some_soon(house: House) -> None:
    (ada,) = house.meeting("Ada")
    passes(house, HALF - 1)
    ada.says("leave")
    ada.joins(isHost=True)
    house.nobody_listens()
    passes(house, SOON)
    assert is_renewed(ada)


@pytest.mark.parametrize("resume", [None, True])
@pytest.mark.parametrize("way", ["leaves", "is lost", "is kicked", "reads too slowly"])
async def test_nothing_is_kept_of_who_is_gone(house: House, way: str, resume: bool | None) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=resume)
    match way:
        case "leaves":
            bob.says("leave")
        case "is lost":
            bob.is_lost()
        case "is kicked":
            ada.says("moderator-action", targetId=bob.id, action="kick")
        case _:
            bob.tape.is_full = True
            ada.says("chat", text="x")
    await house.settles()
    house.nobody_listens()
    passes(house, HALF)
    assert is_renewed(bob) is False
    assert [*house.hub._renewals._soon, *house.hub._renewals._later] == [ada.id]


async def test_many_at_once_are_served_some_in_each_turn_of_the_loop(house: House) -> None:
    count = TOGETHER + 5
    people = [person for room in range(count // 5) for person in meeting_of_five(house, f"ROOM{room:02}")]
    rounds: list[int] = []
    passes(house, HALF)
    while not rounds or rounds[-1]:
        rounds.append(sum(map(is_renewed, people)))
        house.hub._tidy()
    assert rounds == [TOGETHER, 5, 0]


async def test_the_rest_of_many_does_not_have_to_wait_for_long(house: House) -> None:
    for room in range(TOGETHER // 5):
        meeting_of_five(house, f"ROOM{room:02}")
    passes(house, HALF)
    timer = house.hub._tidying
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() < 0.1


def meeting_of_five(house: House, code: str) -> list[Person]:
    return house.meeting(*"ABCDE", code=code)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"turn_secret": "north"},
        {"turn_servers": ("turn:a.example",), "turn_username": "u", "turn_credential": "c"},
    ],
)
async def test_where_credentials_do_not_end_nobody_is_told_any(
    house_with: HouseWith, settings: dict[str, Any]
) -> None:
    house = house_with(**settings, turn_credential_ttl=TTL)
    (ada,) = house.meeting("Ada")
    passes(house, 10 * HALF)
    assert not is_renewed(ada)
    assert house.hub._renewals._later == {}
