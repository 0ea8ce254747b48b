"""What one address may take from the others (R6, R30)."""

import asyncio
import ipaddress
import itertools
import secrets

import httpx
import pytest

from .answers import assert_error
from .conftest import StageWith
from .people import new_code
from .stage import Stage

TOO_MANY = {"error": "Too many requests. Please try again later."}


def assert_rate_limited(response: httpx.Response) -> None:
    """The reference's 429, and R30's ``Retry-After``."""
    assert_error(response, 429)
    assert response.json() == TOO_MANY
    assert 1 <= int(response.headers["Retry-After"]) <= 60


async def use_up_rooms(http: httpx.AsyncClient, **headers: str) -> None:
    """Ten attempts at a room, none of which makes one."""
    for _ in range(10):
        response = await http.post("/api/rooms", content=b"not json", headers=headers)
        assert response.status_code == 400, response.text


# Connections


async def test_eleventh_connection_of_an_address_is_refused(stage: Stage) -> None:
    """R30: HTTP 429 at the handshake, with ``Retry-After``; another address is not affected."""
    address = stage.address()
    for _ in range(10):
        await stage.arrives("Ada", address=address)
    refused = await stage.is_turned_away(429, address=address)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    await stage.arrives("Bob", address=stage.address())


async def test_refused_handshake_is_an_http_error_like_any_other(stage: Stage) -> None:
    """R29: JSON, with the headers."""
    address = stage.address()
    for _ in range(10):
        await stage.arrives("Ada", address=address)
    refused = await stage.is_turned_away(429, address=address)
    headers = list(refused.headers.raw_items())
    assert_error(httpx.Response(refused.status_code, headers=headers, content=bytes(refused.body)), 429)


async def test_connections_count_though_they_are_closed_again(stage: Stage) -> None:
    """R30: per minute, not at a time; a flood of short ones is a flood."""
    address = stage.address()
    for _ in range(10):
        ada = await stage.arrives("Ada", address=address)
        await ada.joins(new_code(), isHost=True)
        await ada.leaves()
        await ada.hangs_up()
    await stage.is_turned_away(429, address=address)


async def test_connections_and_rooms_are_counted_apart(stage: Stage) -> None:
    """R30: who has used up one may still do the other."""
    address = stage.address()
    for _ in range(10):
        await stage.arrives("Ada", address=address)
    http = stage.http(address)
    await use_up_rooms(http)
    assert_rate_limited(await http.post("/api/rooms"))

    other = stage.address()
    await use_up_rooms(stage.http(other))
    await stage.arrives("Bob", address=other)


# Rooms


async def test_eleventh_room_of_an_address_is_refused(stage: Stage) -> None:
    """R30 and the reference: 429 with its body; another address is not affected."""
    address = stage.address()
    http = stage.http(address)
    await use_up_rooms(http)
    assert_rate_limited(await http.post("/api/rooms"))
    assert_rate_limited(await http.post("/api/rooms", content=b"not json"))
    assert (await http.get("/health")).status_code == 200
    assert (await stage.http().post("/api/rooms", content=b"not json")).status_code == 400


async def test_rooms_made_by_joining_count_too(stage: Stage) -> None:
    """R6: the eleventh is refused, made in either way; joining what exists is not."""
    address = stage.address()
    ada = await stage.arrives("Ada", address=address)
    for _ in range(10):
        await ada.joins(new_code(), isHost=True)
        await ada.leaves()
    await ada.asks_to_join(new_code(), isHost=True)
    await ada.is_refused("RATE_LIMITED", "join")
    assert_rate_limited(await stage.http(address).post("/api/rooms"))

    (bob,) = await stage.meeting("Bob")
    await stage.enters(ada, [bob])


async def test_room_made_by_joining_is_refused_after_ten_made_by_request(stage: Stage) -> None:
    """R6: it is one count."""
    address = stage.address()
    await use_up_rooms(stage.http(address))
    ada = await stage.arrives("Ada", address=address)
    await ada.asks_to_join(new_code(), isHost=True)
    await ada.is_refused("RATE_LIMITED", "join")


# Guesses


async def test_guessing_is_stopped_after_ten(stage: Stage) -> None:
    """R30: wrong codes here, then even a right password is not told to be right; others are not slowed."""
    (ada,) = await stage.meeting("Ada", password="secret")
    address = stage.address()
    eve = await stage.arrives("Eve", address=address)
    for _ in range(10):
        await eve.asks_to_join(new_code())
        await eve.is_refused("ROOM_NOT_FOUND")
    for fields in ({}, {"password": "wrong"}, {"password": "secret"}):
        await eve.asks_to_join(ada.room, **{"password": "x", **fields})
        await eve.is_refused("RATE_LIMITED", "join")
    mallory = await stage.arrives("Mallory", address=address)
    await mallory.asks_to_join(new_code())
    await mallory.is_refused("RATE_LIMITED", "join")
    await ada.hears_nothing()

    bob = await stage.arrives("Bob", address=stage.address())
    await bob.asks_to_join(new_code())
    await bob.is_refused("ROOM_NOT_FOUND")
    await stage.enters(bob, [ada], password="secret")


async def test_wrong_passwords_tokens_and_codes_are_one_count(stage: Stage) -> None:
    """R30, R11: over all rooms and connections of an address."""
    room = await stage.room(password="secret")
    (ada,) = await stage.meeting("Ada")
    address = stage.address()
    eve = await stage.arrives("Eve", address=address)
    for _ in range(2):
        await eve.asks_to_join(room["roomId"], password="wrong")
        await eve.is_refused("INVALID_PASSWORD")
    mallory = await stage.arrives("Mallory", address=address)
    for _ in range(4):
        assert not (await mallory.joins(ada.room, creatorToken="550e8400-e29b-41d4-a716-446655440000"))[
            "isHost"
        ]
        await mallory.leaves()
    for _ in range(4):
        await eve.asks_to_join(new_code())
        await eve.is_refused("ROOM_NOT_FOUND")
    for guesser in (eve, mallory):
        await guesser.asks_to_join(new_code())
        await guesser.is_refused("RATE_LIMITED")


async def test_guesses_side_by_side_get_no_more_answers_than_ten(stage: Stage) -> None:
    """R30: neither over several connections nor while the first are still being hashed."""
    (ada,) = await stage.meeting("Ada", password="secret")
    address = stage.address()
    guessers = [await stage.arrives("Eve", address=address) for _ in range(8)]
    for _ in range(2):
        await asyncio.gather(*(eve.asks_to_join(ada.room, password="wrong") for eve in guessers))
    codes = [(await eve.hears("error"))["code"] for eve in guessers for _ in range(2)]
    assert codes.count("INVALID_PASSWORD") <= 10
    assert set(codes) <= {"INVALID_PASSWORD", "RATE_LIMITED"}
    assert "RATE_LIMITED" in codes
    await ada.hears_nothing()


async def test_token_is_not_told_to_be_right_after_ten_wrong_ones(stage: Stage) -> None:
    """R30: refused or let in as a guest, but not as what the token would make of its holder."""
    room = await stage.room()
    ada = await stage.arrives("Ada")
    await ada.joins(room["roomId"])
    eve = await stage.arrives("Eve", address=stage.address())
    for _ in range(10):
        await eve.asks_to_join(new_code())
        await eve.is_refused("ROOM_NOT_FOUND")
    await eve.asks_to_join(room["roomId"], creatorToken=room["creatorToken"])
    answer = await eve.hears_something()
    assert answer["type"] == "error" or not answer["isHost"]


@pytest.mark.house
async def test_join_without_the_password_is_no_guess(stage: Stage) -> None:
    """The original client asks without one first: told INVALID_PASSWORD, and not counted."""
    (ada,) = await stage.meeting("Ada", password="secret")
    bob = await stage.arrives("Bob")
    for _ in range(15):
        await bob.asks_to_join(ada.room)
        await bob.is_refused("INVALID_PASSWORD", "join")
    await stage.enters(bob, [ada], password="secret")


# Who it is


# The range kept for measurements; from a random one on, for servers that outlive a run.
_MEASURED = ipaddress.IPv4Network("198.18.0.0/15")
_numbers = itertools.count(secrets.randbelow(_MEASURED.num_addresses))


def public_address() -> str:
    """An address that nobody has come from yet."""
    return str(_MEASURED[next(_numbers) % _MEASURED.num_addresses])


def network() -> str:
    """An IPv6 /64 of the range kept for documentation."""
    return "2001:db8:" + ":".join(f"{secrets.randbelow(65536):x}" for _ in range(2))


async def test_stranger_cannot_say_who_it_is(stage: Stage) -> None:
    """R30: what an untrusted peer claims in ``X-Forwarded-For`` is nothing."""
    http = stage.http(stage.address())
    for _ in range(10):
        headers = {"X-Forwarded-For": public_address()}
        assert (await http.post("/api/rooms", content=b"x", headers=headers)).status_code == 400
    assert_rate_limited(await http.post("/api/rooms", headers={"X-Forwarded-For": public_address()}))


async def test_stranger_cannot_say_who_it_is_when_connecting(stage: Stage) -> None:
    """R30: nor at the handshake, in any of the headers that proxies use."""
    address = stage.address()
    for _ in range(10):
        await stage.arrives("Eve", address=address, X_Forwarded_For=public_address())
    await stage.is_turned_away(
        429,
        address=address,
        X_Forwarded_For=public_address(),
        X_Real_IP=public_address(),
        Forwarded="for=192.0.2.1",
    )


async def test_trusted_proxy_says_who_it_is(stage: Stage) -> None:
    """R30: the rightmost address that is no trusted proxy's; what is left of it is the client's own claim."""
    stage.address()
    http = stage.http("127.0.0.1")
    client, other = public_address(), public_address()
    for _ in range(5):
        for chain in (f"{public_address()}, {client}", f"{public_address()}, {client}, 127.0.0.1"):
            headers = {"X-Forwarded-For": chain}
            assert (await http.post("/api/rooms", content=b"x", headers=headers)).status_code == 400
    assert_rate_limited(
        await http.post("/api/rooms", headers={"X-Forwarded-For": f"{public_address()}, {client}"})
    )
    assert_rate_limited(await http.post("/api/rooms", headers={"X-Forwarded-For": f"{other}, {client}"}))
    assert (
        await http.post("/api/rooms", content=b"x", headers={"X-Forwarded-For": other})
    ).status_code == 400


async def test_trusted_proxy_says_who_connects(stage: Stage) -> None:
    """R30: also at the handshake."""
    stage.address()
    client = public_address()
    for _ in range(10):
        await stage.arrives("Ada", address="127.0.0.1", X_Forwarded_For=client)
    await stage.is_turned_away(429, address="127.0.0.1", X_Forwarded_For=client)
    await stage.arrives("Bob", address="127.0.0.1", X_Forwarded_For=public_address())


async def test_addresses_of_one_ipv6_network_are_one(stage: Stage) -> None:
    """R30: IPv6 by /64."""
    stage.address()
    http = stage.http("127.0.0.1")
    here, there = network(), network()
    for number in range(10):
        headers = {"X-Forwarded-For": f"{here}::{number + 1}"}
        assert (await http.post("/api/rooms", content=b"x", headers=headers)).status_code == 400
    assert_rate_limited(await http.post("/api/rooms", headers={"X-Forwarded-For": f"{here}::ffff"}))
    response = await http.post("/api/rooms", content=b"x", headers={"X-Forwarded-For": f"{there}::1"})
    assert response.status_code == 400


# Origins


async def test_any_origin_is_welcome_by_default(stage: Stage) -> None:
    """The reference: cross-origin requests are allowed."""
    for origin in ("https://example.org", "http://localhost:5173", "null"):
        await stage.arrives("Ada", origin=origin)


async def test_foreign_origin_is_forbidden_where_origins_are_listed(stage_with: StageWith) -> None:
    """403 at the handshake; a listed origin passes, and so does a client that is no browser and has none."""
    stage = stage_with(ALLOWED_ORIGINS="https://meet.example.org,http://localhost:5173")
    for origin in ("https://meet.example.org", "http://localhost:5173", None):
        await stage.arrives("Ada", origin=origin)
    for origin in (
        "https://evil.example.org", "http://meet.example.org", "https://meet.example.org.evil.example",
        "https://meet.example.org:8443", "null",
    ):  # fmt: skip
        refused = await stage.is_turned_away(403, origin=origin)
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
