"""GET /health, GET /config and POST /api/rooms (R1 to R3)."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator

import pytest

from .answers import assert_error, assert_headers
from .conftest import StageWith
from .people import eventually, new_code
from .stage import Stage

BAD_BODY = {"error": "Invalid request body"}
NO_ROOM = {"error": "Cannot create room. Limit reached or room ID already exists."}


BODY_LIMIT = 16 * 1024


# Health


async def test_health_has_the_fields_of_the_reference(stage: Stage) -> None:
    """The reference, Health Check."""
    response = await stage.http().get("/health")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    health = response.json()
    assert health["status"] == "ok"
    assert isinstance(health["version"], str)
    assert health["version"]
    for number in ("totalRooms", "totalParticipants", "peakParticipants", "uptime"):
        assert isinstance(health[number], int), number
        assert health[number] >= 0
    assert health["peakParticipants"] >= health["totalParticipants"]


@pytest.mark.house
async def test_ready_says_that_people_may_come(stage: Stage) -> None:
    """For load balancers: 200 while the server serves, with the headers of any answer (R29)."""
    http = stage.http()
    response = await http.get("/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    assert_headers(response)
    assert (await http.head("/ready")).status_code == 200
    assert_error(await http.post("/ready"), 405)
    assert_error(await http.get("/ready/"), 404)


async def test_health_counts_who_is_there(stage_with: StageWith) -> None:
    """The reference: participants now and at the peak. Who waits or has only connected is no participant."""
    stage = stage_with()
    before = await stage.health()
    assert (before["totalParticipants"], before["peakParticipants"]) == (0, 0)

    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await ada.says("room-locked")
    await ada.is_done()
    await stage.arrives("Dan")
    eve = await stage.arrives("Eve")
    await eve.knocks(ada.room)
    during = await stage.health()
    assert (during["totalParticipants"], during["peakParticipants"]) == (3, 3)

    for person in (bob, carl):
        await person.leaves()
    await stage.meeting("Zoe")
    after = await stage.health()
    assert (after["totalParticipants"], after["peakParticipants"]) == (2, 3)


async def test_health_counts_a_lost_connection_out(stage_with: StageWith) -> None:
    """The reference: *current* connected participants."""
    stage = stage_with()
    _, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await bob.hangs_up()
    await carl.vanishes()

    async def only_ada_counts() -> bool:
        health = await stage.health()
        return bool(health["totalParticipants"] == 1)

    await eventually(only_ada_counts)


@pytest.mark.house
async def test_health_counts_rooms_with_somebody_in_them(stage_with: StageWith) -> None:
    """The reference: *active* rooms. One that waits for its first participant is not."""
    stage = stage_with()
    await stage.room()
    assert (await stage.health())["totalRooms"] == 0
    (ada,) = await stage.meeting("Ada")
    await stage.meeting("Bob", "Carl")
    assert (await stage.health())["totalRooms"] == 2
    await ada.leaves()
    assert (await stage.health())["totalRooms"] == 1


async def test_health_uptime_is_in_milliseconds_and_grows(stage: Stage) -> None:
    """The reference, Health Check."""
    first = (await stage.health())["uptime"]

    async def it_has_grown() -> bool:
        return bool((await stage.health())["uptime"] > first)

    await eventually(it_has_grown)


# Configuration


async def test_config_lists_ice_servers(stage: Stage) -> None:
    """The reference, Configuration."""
    response = await stage.http().get("/config")
    assert response.status_code == 200
    assert isinstance(response.json()["iceServers"], list)
    for server in response.json()["iceServers"]:
        assert set(server) <= {"urls", "username", "credential"}
        assert server["urls"]
        assert ("username" in server) == ("credential" in server)


async def test_config_with_stun_and_turn_is_as_in_the_reference(stage_with: StageWith) -> None:
    """The reference, Configuration: its example."""
    stage = stage_with(
        STUN_SERVERS="stun:stun.example.org:3478",
        TURN_SERVERS="turn:turn.example.org:3478",
        TURN_USERNAME="mikroroom",
        TURN_CREDENTIAL="password",
    )
    assert (await stage.http().get("/config")).json() == {
        "iceServers": [
            {"urls": "stun:stun.example.org:3478"},
            {"urls": "turn:turn.example.org:3478", "username": "mikroroom", "credential": "password"},
        ]
    }


async def test_config_with_a_turn_secret_gives_credentials_that_expire(stage_with: StageWith) -> None:
    """The TURN REST draft as in coturn: HMAC-SHA1 over a user name that begins with the time of expiry."""
    stage = stage_with(TURN_SERVERS="turn:turn.example.org:3478", TURN_SECRET="s3cret")
    response = await stage.http().get("/config")
    turn = next(server for server in response.json()["iceServers"] if "credential" in server)
    assert re.match(r"\d{10}(:|$)", turn["username"])
    expected = hmac.new(b"s3cret", turn["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(turn["credential"]) == expected
    assert "s3cret" not in response.text


# Making a room


async def test_room_without_a_body_is_made(stage: Stage) -> None:
    """R3: no body at all is fine. R1: a generated code is 6 capitals or digits."""
    response = await stage.posts_room()
    assert response.status_code == 201, response.text
    assert re.fullmatch("[A-Z0-9]{6}", response.json()["roomId"])
    assert isinstance(response.json()["creatorToken"], str)
    assert len(response.json()["creatorToken"]) >= 20
    assert_headers(response)


@pytest.mark.parametrize("body", ["{}", '{"roomId": null, "password": null, "maxParticipants": null}'])
async def test_room_asking_for_nothing_in_particular_is_made(stage: Stage, body: str) -> None:
    """R3 all fields are optional, and R10 any optional field may be null."""
    response = await stage.posts_room(content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 201, response.text


async def test_rooms_have_codes_and_tokens_of_their_own(stage: Stage) -> None:
    """R1: from a secure source, and of an alphabet without look-alikes."""
    rooms = [await stage.room() for _ in range(10)]
    assert len({room["roomId"] for room in rooms}) == 10
    assert len({room["creatorToken"] for room in rooms}) == 10
    letters = {letter for room in rooms for letter in room["roomId"]}
    assert not {"0", "O"} <= letters
    assert not {"1", "I"} <= letters


async def test_room_with_an_own_code_is_made_in_upper_case(stage: Stage) -> None:
    """R1: answered in upper case."""
    code = new_code()
    assert (await stage.room(roomId=code.lower()))["roomId"] == code


@pytest.mark.parametrize("seats", [1, 100])
async def test_room_with_seats_within_bounds_is_made(stage: Stage, seats: int) -> None:
    """R3: 1 to 100."""
    await stage.room(maxParticipants=seats)


async def test_code_of_a_pre_created_room_is_taken(stage: Stage) -> None:
    """R2: a code in use gets the reference's 429, in whatever case it is written."""
    room = await stage.room()
    for code in (room["roomId"], room["roomId"].lower()):
        response = await stage.http().post("/api/rooms", json={"roomId": code})
        assert_error(response, 429)
        assert response.json() == NO_ROOM


async def test_code_of_an_ad_hoc_room_is_taken(stage: Stage) -> None:
    """R2: a code in use, however it came into use."""
    (ada,) = await stage.meeting("Ada")
    response = await stage.http().post("/api/rooms", json={"roomId": ada.room})
    assert response.status_code == 429
    assert response.json() == NO_ROOM


async def test_the_eleventh_latent_room_is_refused(stage_with: StageWith) -> None:
    """R2: ten that nobody is in, by default. One that somebody enters is not latent."""
    stage = stage_with(MAX_LATENT_ROOMS="10")
    rooms = [await stage.room() for _ in range(10)]
    refused = await stage.http().post("/api/rooms")
    assert_error(refused, 429)
    assert refused.json() == NO_ROOM

    ada = await stage.arrives("Ada")
    await ada.joins(rooms[0]["roomId"])
    assert (await stage.http().post("/api/rooms")).status_code == 201


async def test_pre_created_room_comes_back_to_more_than_the_limit(stage_with: StageWith) -> None:
    """R2: it survives its last participant, also where others have been made meanwhile; no further one is."""
    stage = stage_with(MAX_LATENT_ROOMS="1")
    first = await stage.room()
    ada = await stage.arrives("Ada")
    await ada.joins(first["roomId"])
    second = await stage.room()
    await ada.leaves()
    assert (await stage.http().post("/api/rooms")).status_code == 429
    for room in (first, second):
        await ada.joins(room["roomId"])
        await ada.leaves()


async def test_room_that_somebody_is_in_is_not_too_old(stage_with: StageWith) -> None:
    """R2: only the time that it was empty counts."""
    stage = stage_with(LATENT_ROOM_AGE="0.5")
    ada = await stage.arrives("Ada")

    async def she_enters_before_that() -> bool:
        room = await stage.room()
        await ada.asks_to_join(room["roomId"])
        heard = await ada.hears_something()
        ada.id, ada.room = heard["participantId"], room["roomId"]
        return bool(heard["type"] == "participant-joined")

    await eventually(she_enters_before_that)
    later = (await stage.room())["roomId"]

    async def a_later_one_is_gone() -> bool:
        return (await stage.http().post("/api/rooms", json={"roomId": later})).status_code == 201

    await eventually(a_later_one_is_gone)
    await stage.newcomer("Bob", ada)


async def test_latent_room_is_removed_when_it_is_too_old(stage_with: StageWith) -> None:
    """R2: and its code is free again."""
    stage = stage_with(LATENT_ROOM_AGE="0.2")
    code = (await stage.room())["roomId"]

    async def the_code_is_free() -> bool:
        return (await stage.http().post("/api/rooms", json={"roomId": code})).status_code == 201

    await eventually(the_code_is_free)


async def test_too_many_rooms_in_all_are_refused(stage_with: StageWith) -> None:
    """R6: the total has a ceiling, for rooms made either way."""
    stage = stage_with(MAX_ROOMS="2")
    await stage.meeting("Ada")
    await stage.room()
    refused = await stage.http().post("/api/rooms")
    assert refused.status_code == 429
    assert refused.json() == NO_ROOM
    bob = await stage.arrives("Bob")
    await bob.asks_to_join(new_code(), isHost=True)
    await bob.is_refused("ROOM_LIMIT", "join")


# Bodies that make no room

WRONG_VALUES: dict[str, list[object]] = {
    "roomId": [
        "",
        "ABC12",
        "ABC1234",
        "ABC 12",
        "ABC-12",
        "ABC12\n",
        "ÄBC123",
        "１２３４５６",
        123456,
        True,
        [],
    ],
    "maxParticipants": [0, -1, 101, 1.5, "8", True, [8], {}, 10**400],
    "password": [5, True, ["secret"], {"a": 1}],
}
WRONG_FIELDS = [{field: value} for field, values in WRONG_VALUES.items() for value in values]

MALFORMED = {
    "an array": b"[]",
    "an array of an object": b"[{}]",
    "a string": b'"ABC123"',
    "a number": b"1",
    "not json": b"roomId=ABC123",
    "truncated": b'{"password": "secr',
    "trailing data": b"{} {}",
    "a trailing comma": b'{"password": "secret",}',
    "NaN": b'{"maxParticipants": NaN}',
    "NaN in an unknown field": b'{"more": NaN}',
    "too large a number": b'{"maxParticipants": 1e400}',
    "a huge integer": b'{"maxParticipants": ' + b"9" * 5000 + b"}",
    "deep nesting": b"[" * 8000 + b"]" * 8000,
    "a lone surrogate": rb'{"password": "\ud800"}',
    "not UTF-8": b'{"password": "\xff\xfe"}',
    "overlong UTF-8": b'{"password": "\xc0\xaf"}',
    "UTF-16": '{"password": "secret"}'.encode("utf-16"),
    "a single quote": b"{'password': 'secret'}",
    "a comment": b'{"password": "secret"} // why',
}


@pytest.mark.parametrize("body", WRONG_FIELDS, ids=lambda body: str(body)[:40])
async def test_room_with_a_wrong_field_is_not_made(stage: Stage, body: dict[str, object]) -> None:
    """R3: 400 as in the reference, and nothing is created."""
    code = new_code()
    response = await stage.http().post("/api/rooms", content=json.dumps({"roomId": code, **body}))
    assert_error(response, 400)
    assert response.json() == BAD_BODY
    ada = await stage.arrives("Ada")
    await ada.asks_to_join(code)
    await ada.is_refused("ROOM_NOT_FOUND")


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_room_with_a_malformed_body_is_not_made(stage: Stage, body: bytes) -> None:
    """R3: 400 as in the reference."""
    response = await stage.http().post(
        "/api/rooms", content=body, headers={"Content-Type": "application/json"}
    )
    assert_error(response, 400)
    assert response.json() == BAD_BODY


async def test_body_at_the_limit_is_read(stage: Stage) -> None:
    """R32: 16 KiB."""
    body = b"{}".ljust(BODY_LIMIT)
    assert (await stage.posts_room(content=body)).status_code == 201


async def test_body_over_the_limit_is_too_large(stage: Stage) -> None:
    """R3, R32: 413 where the length is told."""
    body = b"{}".ljust(BODY_LIMIT + 1)
    assert_error(await stage.http().post("/api/rooms", content=body), 413)


async def test_body_over_the_limit_in_pieces_is_too_large(stage: Stage) -> None:
    """R3, R32: 413 also where the length is not told."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"
        for _ in range(16):
            yield b" " * 1024

    assert_error(await stage.http().post("/api/rooms", content=pieces()), 413)


async def test_body_over_the_limit_is_not_waited_for(stage: Stage) -> None:
    """R32: what exceeds the limit is refused before all of it has come."""
    wire = await stage.wire()
    head = f"POST {stage.site.path}/api/rooms HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000\r\n\r\n"
    wire.send(head.encode() + b" " * (BODY_LIMIT + 1))
    status, _ = await wire.answer()
    stage.skip_if_limited(status)
    assert status == 413
