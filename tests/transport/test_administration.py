"""Rooms, administered over HTTP while people are in them."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from msgspec import structs
from starlette.applications import Starlette

from mikroroom import Settings, create_app
from mikroroom.client import Client, DisconnectedError
from mikroroom.core.grants import Denial
from mikroroom.core.invites import MAX_INVITES, find_invite
from mikroroom.hooks import AuthorizeJoin
from mikroroom.hub.hub import Hub
from mikroroom.protocol import events
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.memory import MemoryStore

from .asgi import CORS_HEADERS, ELSEWHERE, HERE, Caller, visit
from .conftest import AppWith

TOKEN = "the-token-of-the-site"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
CODE = "ABC234"
ROOM = f"/api/rooms/{CODE}"
PEOPLE = "192.0.2.9"
NOBODY = "5ce0a3f4-0000-4000-8000-000000000000"

Json = dict[str, Any]


@pytest.fixture
def app(app_with: AppWith) -> Starlette:
    """With a token for all of it, and one who tries many."""
    return app_with(admin_token=TOKEN, guesses_per_minute=5, connections_per_minute=0, rooms_per_minute=0)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def made(app: Starlette, code: str = CODE, **fields: object) -> str:
    """A room ahead of its people. Returns its creator token."""
    async with visit(app, PEOPLE) as client:
        response = await client.post("/api/rooms", json={"roomId": code, **fields})
        assert response.status_code == 201
        return str(response.json()["creatorToken"])


class Guest:
    """Someone who is in the room, or waits: ``id`` is who, ``heard`` what was said first."""

    def __init__(self, caller: Caller, heard: Json) -> None:
        self.caller = caller
        self.id = heard["participantId"]
        self.heard = heard

    async def hears(self, kind: str) -> Json:
        """The next message of this type; what comes before it is passed over."""
        while True:
            message = await self.caller.hears_text()
            if message["type"] == kind:
                return message

    async def is_closed(self, code: int) -> None:
        while (heard := await self.caller.hears())["type"] != "websocket.close":
            pass
        assert heard["code"] == code


async def comes(app: Starlette, name: str = "Ada", peer: str = PEOPLE, **fields: object) -> Guest:
    caller = await Caller(app, peer=peer).is_accepted()
    caller.says("join", roomId=CODE, name=name, **fields)
    return Guest(caller, await caller.hears_text())


async def asks(app: Starlette, method: str, path: str, peer: str = HERE, **options: Any) -> httpx.Response:
    options.setdefault("headers", ADMIN)
    async with visit(app, peer) as client:
        response = await client.request(method, path, **options)
    assert response.headers.get("Cache-Control") == "no-store" or response.status_code in (404, 405)
    return response


async def shown(app: Starlette, headers: dict[str, str] = ADMIN) -> Json:
    response = await asks(app, "GET", ROOM, headers=headers)
    assert response.status_code == 200
    room: Json = response.json()
    return room


# Who may


async def test_without_credentials_there_is_no_administration(app_with: AppWith) -> None:
    """A client of the reference finds what it always found."""
    app = app_with()
    await made(app)
    for method, path, status in (
        ("GET", "/api/rooms", 405),
        ("GET", ROOM, 404),
        ("PATCH", ROOM, 404),
        ("DELETE", ROOM, 404),
        ("POST", f"{ROOM}/invites", 404),
        ("POST", ROOM, 404),
    ):
        assert (await asks(app, method, path, headers={})).status_code == status


@pytest.mark.parametrize(
    "headers",
    [{}, *({"Authorization": text} for text in ("Bearer", f"Basic {TOKEN}", f"Bearer {'x' * 300}"))],
)
async def test_a_site_with_a_token_asks_for_it(app: Starlette, headers: dict[str, str]) -> None:
    await made(app)
    for _ in range(10):
        response = await asks(app, "GET", ROOM, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (await asks(app, "GET", ROOM)).status_code == 200, "none of these was a guess"


async def test_a_token_in_the_query_is_none(app: Starlette) -> None:
    await made(app)
    response = await asks(app, "GET", f"{ROOM}?token={TOKEN}", headers={})
    assert response.status_code == 401
    assert (await asks(app, "GET", f"{ROOM}?token={TOKEN}")).status_code == 400


async def test_a_creator_administers_its_room_and_no_other(app: Starlette) -> None:
    token = await made(app)
    await made(app, "DEF234")
    assert (await shown(app, bearer(token)))["roomId"] == CODE
    for path in ("/api/rooms", "/api/rooms/DEF234", "/api/rooms/NONE22", "/api/rooms/nonsense"):
        response = await asks(app, "GET", path, headers=bearer(token))
        assert (response.status_code, response.json()) == (403, {"error": "This token does not allow that"})


async def test_a_creator_needs_no_token_of_the_site(app_with: AppWith) -> None:
    app = app_with()
    token = await made(app)
    assert (await asks(app, "PATCH", ROOM, headers=bearer(token), json={"isLocked": True})).status_code == 200
    assert (await asks(app, "GET", "/api/rooms", headers=bearer(token))).status_code == 403
    assert (await asks(app, "GET", "/api/rooms", headers=bearer(""))).status_code == 401


async def test_whether_there_is_a_room_is_the_administrators_to_know(app: Starlette) -> None:
    assert (await asks(app, "GET", ROOM)).status_code == 404
    assert (await asks(app, "GET", ROOM, headers=bearer("wrong"))).status_code == 403
    await made(app)
    assert (await asks(app, "GET", ROOM, headers=bearer("wrong"))).status_code == 403
    assert (await asks(app, "GET", f"/api/rooms/{CODE.lower()}")).status_code == 200
    for path in ("/api/rooms/short", f"/api/rooms/{'x' * 5_000}", "/api/rooms/%00%00%00%00%00%00"):
        assert (await asks(app, "GET", path)).status_code == 404


async def test_wrong_tokens_are_guesses_and_then_no_token_is_looked_at(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    """R30."""
    await made(app)
    for _ in range(5):
        assert (await asks(app, "DELETE", ROOM, headers=bearer("wrong"))).status_code == 403
    for headers in (bearer("wrong"), ADMIN, {}):
        response = await asks(app, "GET", ROOM, headers=headers)
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert (await asks(app, "GET", ROOM, ELSEWHERE)).status_code == 200
    assert "guesses-limited address=192.0.2.1" in [record.getMessage() for record in caplog.records]


async def test_wrong_tokens_by_the_thousand_disturb_no_meeting(app_with: AppWith) -> None:
    # Who talks as fast as they can is not to be told to talk less.
    app = app_with(admin_token=TOKEN, guesses_per_minute=5, connections_per_minute=0, messages_per_second=0)
    await made(app)
    ada, bob = await comes(app, "Ada"), await comes(app, "Bob")

    async def attack() -> None:
        for _ in range(1_000):
            response = await asks(app, "PATCH", ROOM, headers=bearer("wrong"), json={})
            assert response.status_code in (403, 429)
            await asyncio.sleep(0)  # a client over ASGI waits for nothing

    attacking, rounds = asyncio.create_task(attack()), 0
    while not attacking.done():
        ada.caller.says("chat", text=str(rounds))
        assert (await bob.hears("chat"))["text"] == str(rounds)
        rounds += 1
    await attacking
    assert rounds > 100
    assert (await shown_from(app, ELSEWHERE))["participantCount"] == 2


async def shown_from(app: Starlette, peer: str) -> Json:
    room: Json = (await asks(app, "GET", ROOM, peer)).json()
    return room


async def test_a_page_of_another_origin_administers_nothing(app_with: AppWith) -> None:
    app = app_with(admin_token=TOKEN, allowed_origins=("https://meet.example",))
    await made(app)
    response = await asks(app, "DELETE", ROOM, headers={**ADMIN, "Origin": "https://evil.example"})
    assert response.status_code == 403
    assert (await asks(app, "GET", ROOM, headers={**ADMIN, "Origin": "https://meet.example"})).is_success


async def test_a_preflight_is_told_what_it_asks_for_and_no_other_answer_is_otherwise(app: Starlette) -> None:
    async with visit(app) as client:
        for asked in (
            {"Access-Control-Request-Method": "PATCH"},
            {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"},
        ):
            response = await client.options(ROOM, headers=asked)
            assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, PATCH, DELETE, OPTIONS"
            assert response.headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization"
            for path in ("/metrics", "/health"):
                other = (await client.options(path, headers=asked)).headers
                assert {name: other[name] for name in CORS_HEADERS} == CORS_HEADERS
        response = await client.options(ROOM, headers={"Access-Control-Request-Method": "POST"})
        assert {name: response.headers[name] for name in CORS_HEADERS} == CORS_HEADERS
        response = await client.get(ROOM, headers=ADMIN)
        assert {name: response.headers[name] for name in CORS_HEADERS} == CORS_HEADERS


async def test_a_method_that_is_not_there_is_a_405_for_who_may_know(app: Starlette) -> None:
    response = await asks(app, "PUT", ROOM)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"DELETE", "GET", "HEAD", "PATCH"}


# Looking


async def test_all_rooms_are_listed_page_by_page(app: Starlette) -> None:
    for code in ("CCC234", "AAA234"):
        await made(app, code)
    await comes(app, isHost=True)
    response = (await asks(app, "GET", "/api/rooms?limit=2")).json()
    assert [room["roomId"] for room in response["rooms"]] == ["AAA234", "ABC234"]
    latent, active = response["rooms"]
    assert abs(latent.pop("expiresAt") - time.time() * 1_000 - 86_400_000) < 60_000
    assert latent == {
        "roomId": "AAA234",
        "state": "latent",
        "participantCount": 0,
        "connectedCount": 0,
        "waitingCount": 0,
        "maxParticipants": 8,
        "isLocked": False,
        "hasPassword": False,
        "isPrecreated": True,
    }
    assert (active["state"], active["connectedCount"], active["expiresAt"]) == ("active", 1, None)
    rest = (await asks(app, "GET", f"/api/rooms?limit=2&after={response['next']}")).json()
    assert [room["roomId"] for room in rest["rooms"]] == ["CCC234"]
    assert "next" not in rest


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "all=1"])
async def test_a_query_that_is_none_is_explained(app: Starlette, query: str) -> None:
    response = await asks(app, "GET", f"/api/rooms?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["error"]


async def test_a_room_is_shown_with_its_people(app: Starlette) -> None:
    token = await made(app, password="sesame", maxParticipants=3)
    ada = await comes(app, "Ada", password="sesame", creatorToken=token, resume=True)
    ada.caller.says("room-locked")
    await ada.hears("room-locked")
    bob = await comes(app, "Bob", password="sesame")
    ada.caller.hangs_up()
    await ada.caller.ends()
    room = await shown(app)
    assert room["isLocked"] and room["hasPassword"]
    assert (room["participantCount"], room["connectedCount"], room["waitingCount"]) == (1, 0, 1)
    assert room["participants"] == [
        {
            "id": ada.id,
            "name": "Ada",
            "isConnected": False,
            "address": PEOPLE,
            "isHost": True,
            "isModerator": True,
            "isCreator": True,
            "isMuted": False,
            "isVideoOff": False,
            "isHandRaised": False,
        }
    ]
    assert room["waiting"] == [{"id": bob.id, "name": "Bob", "isConnected": True, "address": PEOPLE}]
    mine = await shown(app, bearer(token))
    assert "address" not in mine["participants"][0] and "address" not in mine["waiting"][0]


async def test_a_look_changes_nothing(app: Starlette) -> None:
    await made(app)
    ada = await comes(app)
    before = await shown(app)
    assert await shown(app) == before
    ada.caller.says("chat", text="nothing before this")
    assert (await ada.caller.hears_text())["type"] == "chat"


# Changing


async def test_a_room_is_locked_and_unlocked(app: Starlette) -> None:
    await made(app)
    ada = await comes(app)
    response = await asks(app, "PATCH", ROOM, json={"isLocked": True})
    assert response.status_code == 200 and response.json()["isLocked"]
    heard = await ada.hears("room-locked")
    assert (heard["participantId"], heard["lockedBy"]) == ("", "")
    bob = await comes(app, "Bob")
    assert bob.heard["type"] == "waiting-room"
    await asks(app, "PATCH", ROOM, json={"isLocked": False})
    assert (await ada.hears("room-unlocked"))["unlockedBy"] == ""
    assert (await bob.hears("participant-joined"))["participantId"] == bob.id


async def test_a_password_is_set_and_taken_away(app: Starlette) -> None:
    token = await made(app)
    response = await asks(app, "PATCH", ROOM, headers=bearer(token), json={"password": "sesame"})
    assert response.json()["hasPassword"]
    assert (await comes(app, password="wrong")).heard["code"] == "INVALID_PASSWORD"
    assert (await comes(app, password="sesame")).heard["type"] == "participant-joined"
    assert not (await asks(app, "PATCH", ROOM, json={"password": None})).json()["hasPassword"]
    assert (await comes(app, "Bob")).heard["type"] == "participant-joined"


async def test_a_room_that_has_grown_lets_its_people_say_more(app: Starlette) -> None:
    """R31."""
    await made(app, maxParticipants=1)
    ada = await comes(app)
    assert (await asks(app, "PATCH", ROOM, json={"maxParticipants": 50})).json()["maxParticipants"] == 50
    for number in range(1_900):
        ada.caller.says("chat", text=str(number))
    for number in range(1_900):
        assert (await ada.caller.hears_text())["text"] == str(number)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"[]", "Expected `object`"),
        (b"{", "Not valid JSON"),
        (b"\xff", "Unicode"),
        (b"[" * 15_000, "Expected `object`"),
        (b'{"locked": true}', "unknown field `locked`"),
        (b'{"isLocked": 1}', "Expected `bool`"),
        (b'{"isLocked": null}', "Expected `bool`"),
        (b'{"password": ""}', "length >= 1"),
        (b'{"maxParticipants": 0}', ">= 1"),
        (b'{"maxParticipants": 101}', "<= 100"),
        (b'{"maxParticipants": 1e400}', "maxParticipants"),
    ],
)
async def test_what_cannot_be_changed_is_explained_and_nothing_is(
    app: Starlette, body: bytes, what: str
) -> None:
    await made(app)
    before = await shown(app)
    response = await asks(app, "PATCH", ROOM, content=body)
    assert response.status_code == 400
    assert what in response.json()["error"]
    assert await shown(app) == before


async def test_a_body_that_is_too_large_is_not_read(app: Starlette) -> None:
    await made(app)
    assert (await asks(app, "PATCH", ROOM, content=b" " * 20_000)).status_code == 413


async def test_a_moderator_is_made_and_unmade(app: Starlette) -> None:
    await made(app)
    ada, bob = await comes(app, "Ada"), await comes(app, "Bob")
    path = f"{ROOM}/participants/{bob.id}"
    assert (await asks(app, "PATCH", path, json={"isModerator": True})).json()["isModerator"]
    assert (await bob.hears("moderator-action"))["action"] == "make-moderator"
    assert (await ada.hears("participant-updated"))["isModerator"]
    assert not (await asks(app, "PATCH", path, json={"isModerator": False})).json()["isModerator"]
    assert not (await ada.hears("participant-updated"))["isModerator"]
    response = await asks(app, "PATCH", f"{ROOM}/participants/{ada.id}", json={"isModerator": False})
    assert (response.status_code, response.json()) == (
        409,
        {"error": "The host of a room is always a moderator"},
    )
    assert (await asks(app, "PATCH", path, json={})).status_code == 400
    missing = await asks(app, "PATCH", f"{ROOM}/participants/{NOBODY}", json={"isModerator": True})
    assert missing.status_code == 404


async def test_who_waits_is_admitted_while_there_is_a_seat(app: Starlette) -> None:
    token = await made(app, maxParticipants=2)
    await comes(app)
    await asks(app, "PATCH", ROOM, json={"isLocked": True})
    bob, cleo = await comes(app, "Bob"), await comes(app, "Cleo")
    response = await asks(app, "POST", f"{ROOM}/waiting/{bob.id}", headers=bearer(token))
    assert response.json()["name"] == "Bob"
    assert (await bob.hears("participant-joined"))["participantId"] == bob.id
    assert (await asks(app, "POST", f"{ROOM}/waiting/{bob.id}")).status_code == 404
    full = await asks(app, "POST", f"{ROOM}/waiting/{cleo.id}")
    assert (full.status_code, full.json()) == (409, {"error": "The room is full; it seats 2"})


# Removing and banning


async def test_who_is_removed_is_told_and_closed(app: Starlette) -> None:
    token = await made(app)
    ada, bob = await comes(app, "Ada", creatorToken=token), await comes(app, "Bob")
    response = await asks(app, "DELETE", f"{ROOM}/participants/{bob.id}", headers=bearer(token))
    assert (response.status_code, response.json()) == (200, {"ban": None})
    heard = await bob.hears("moderator-action")
    assert (heard["participantId"], heard["action"], heard["targetId"]) == ("", "kick", bob.id)
    await bob.is_closed(4501)
    assert (await ada.hears("participant-left"))["participantId"] == bob.id
    assert (await comes(app, "Bob")).heard["type"] == "waiting-room"
    assert (await asks(app, "DELETE", f"{ROOM}/participants/{NOBODY}")).status_code == 404


async def test_who_waits_is_removed_too(app: Starlette) -> None:
    await made(app)
    await comes(app)
    await asks(app, "PATCH", ROOM, json={"isLocked": True})
    bob = await comes(app, "Bob")
    assert (await asks(app, "DELETE", f"{ROOM}/participants/{bob.id}")).is_success
    await bob.is_closed(4501)


async def test_who_is_banned_stays_out_until_the_ban_is_lifted(app: Starlette) -> None:
    token = await made(app, password="sesame")
    await comes(app, "Ada", password="sesame")
    bob = await comes(app, "Bob", ELSEWHERE, password="sesame")
    ban = (await asks(app, "DELETE", f"{ROOM}/participants/{bob.id}?ban=3600")).json()["ban"]
    await bob.is_closed(4501)
    assert ban["expiresAt"] - ban["createdAt"] == 3_600_000
    assert (ban["name"], ban["address"]) == ("Bob", ELSEWHERE)
    for password in ("wrong", "sesame", None):
        assert (await comes(app, "Bob", ELSEWHERE, password=password)).heard["code"] == "BANNED"
    assert (await shown(app))["bans"] == [ban]
    (mine,) = (await shown(app, bearer(token)))["bans"]
    assert "address" not in mine
    for status in (204, 404):
        response = await asks(app, "DELETE", f"{ROOM}/bans/{ban['id']}", headers=bearer(token))
        assert response.status_code == status
    assert (await comes(app, "Bob", ELSEWHERE, password="sesame")).heard["type"] == "waiting-room"


@pytest.mark.parametrize("ban", ["0", "-1", "1.5", "x", "31536001"])
async def test_a_ban_that_is_none_removes_nobody(app: Starlette, ban: str) -> None:
    await made(app)
    ada = await comes(app)
    assert (await asks(app, "DELETE", f"{ROOM}/participants/{ada.id}?ban={ban}")).status_code == 400
    assert (await shown(app))["participantCount"] == 1


# The end


async def test_the_end_of_a_meeting_is_everyones_and_the_rooms(app: Starlette) -> None:
    token = await made(app)
    ada, bob = await comes(app, "Ada"), await comes(app, "Bob", resume=True)
    await asks(app, "PATCH", ROOM, json={"isLocked": True})
    cleo = await comes(app, "Cleo")
    bob.caller.hangs_up()
    await bob.caller.ends()
    response = await asks(app, "DELETE", f"{ROOM}?reason=The building closes", headers=bearer(token))
    assert (response.status_code, response.content) == (204, b"")
    for who in (ada, cleo):
        heard = await who.hears("reject-user")
        assert (heard["reason"], heard["targetId"]) == ("The building closes", who.id)
        await who.is_closed(4504)
    assert (await asks(app, "GET", ROOM)).status_code == 404
    assert (await asks(app, "DELETE", ROOM, headers=bearer(token))).status_code == 403
    back = await Caller(app, peer=PEOPLE).is_accepted()
    back.says("join", roomId=CODE, resumeToken=bob.heard["resumeToken"])
    assert (await back.hears_text())["code"] == "RESUME_FAILED"
    await made(app)


async def test_a_room_that_nobody_is_in_is_deleted(app: Starlette) -> None:
    await made(app)
    assert (await asks(app, "DELETE", ROOM)).status_code == 204
    assert (await asks(app, "GET", ROOM)).status_code == 404


@pytest.mark.parametrize("reason", ["", "x" * 501])
async def test_a_reason_that_is_none_ends_nothing(app: Starlette, reason: str) -> None:
    await made(app)
    assert (await asks(app, "DELETE", ROOM, params={"reason": reason})).status_code == 400
    assert (await asks(app, "GET", ROOM)).status_code == 200


# Invites


async def test_an_invite_is_made_listed_and_revoked(app: Starlette) -> None:
    token = await made(app)
    asked = {"role": "moderator", "expiresIn": 60, "skipsWaiting": True, "label": "the board"}
    response = await asks(app, "POST", f"{ROOM}/invites", headers=bearer(token), json=asked)
    assert response.status_code == 201
    invite = response.json()
    secret = invite.pop("token")
    assert secret.startswith("inv_")
    assert invite["expiresAt"] - invite["createdAt"] == 60_000
    assert {name: invite[name] for name in ("role", "skipsWaiting", "label")} == {
        "role": "moderator",
        "skipsWaiting": True,
        "label": "the board",
    }
    listed = await asks(app, "GET", f"{ROOM}/invites", headers=bearer(token))
    assert listed.json() == {"invites": [invite]} and (await shown(app))["invites"] == [invite]
    hub: Hub = app.state.hub
    assert isinstance(hub._store, MemoryStore)
    found = find_invite(hub._store._rooms[CODE], secret, hub.clock())
    assert found is not None and found.id == invite["id"]
    for status in (204, 404):
        response = await asks(app, "DELETE", f"{ROOM}/invites/{invite['id']}")
        assert response.status_code == status
    assert (await asks(app, "GET", f"{ROOM}/invites")).json() == {"invites": []}


async def test_an_invite_needs_no_body_and_a_wrong_one_makes_none(app: Starlette) -> None:
    await made(app)
    assert (await asks(app, "POST", f"{ROOM}/invites")).json()["expiresAt"] is None
    for body in ({"role": "host"}, {"expiresIn": 0}, {"label": "x" * 101}, {"uses": 1}):
        assert (await asks(app, "POST", f"{ROOM}/invites", json=body)).status_code == 400
    for _ in range(MAX_INVITES - 1):
        assert (await asks(app, "POST", f"{ROOM}/invites")).status_code == 201
    response = await asks(app, "POST", f"{ROOM}/invites")
    assert (response.status_code, response.json()) == (
        409,
        {"error": "The room has 100 invites; revoke one first"},
    )


# What is told


async def test_each_action_is_a_line_without_names_or_secrets(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = await made(app)
    ada = await comes(app, "Adalbert")
    await asks(app, "GET", ROOM)
    body = {"isLocked": True, "password": "sesame"}
    await asks(app, "PATCH", ROOM, headers=bearer(token), json=body)
    await asks(app, "POST", f"{ROOM}/invites", json={"label": "the board"})
    await asks(app, "DELETE", f"{ROOM}/participants/{ada.id}?ban=60")
    await asks(app, "DELETE", ROOM)
    lines = [record.getMessage() for record in caplog.records if "administered" in record.getMessage()]
    assert lines[0] == (
        f"administered room={CODE} action=change by=creator changed=password,is_locked address={HERE}"
    )
    assert lines[2] == f"administered room={CODE} action=ban by=admin target={ada.id} address={HERE}"
    assert [line.split()[2] for line in lines] == [
        "action=change",
        "action=invite",
        "action=ban",
        "action=end",
    ]
    everything = "\n".join(record.getMessage() for record in caplog.records)
    secrets = ("Adalbert", "sesame", "board", token, TOKEN, "inv_")
    assert not [secret for secret in secrets if secret in everything]


async def test_a_store_out_of_reach_is_a_503(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(code: str, verb: object) -> None:
        raise Refusal(ErrorCode.SERVER_ERROR, "The server cannot reach its rooms")

    token = await made(app)
    hub: Hub = app.state.hub
    monkeypatch.setattr(hub._store, "transact", fails)
    for headers in (ADMIN, bearer(token)):
        response = await asks(app, "GET", ROOM, headers=headers)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


# Where it is decided who may join

TOKENS_REQUIRED = Settings(join_tokens="required", join_token_secret="a-secret-of-thirty-two-characters")


def nobody_joins(request: object, room: str, name: str) -> Denial:
    return Denial()


@pytest.mark.parametrize("admin_token", ["", TOKEN])
@pytest.mark.parametrize("hook", [None, nobody_joins])
async def test_where_it_is_decided_who_joins_strangers_make_no_rooms(
    hook: AuthorizeJoin | None, admin_token: str
) -> None:
    """Or they could invite themselves, as the room's creators."""
    settings = Settings() if hook else TOKENS_REQUIRED
    app = create_app(structs.replace(settings, admin_token=admin_token), authorize_join=hook)
    for headers, status in (({}, 401), (bearer("guess"), 403), (ADMIN, 201 if admin_token else 403)):
        async with visit(app, PEOPLE) as client:
            response = await client.post("/api/rooms", json={"roomId": CODE}, headers=headers)
        assert response.status_code == status
        assert response.headers["Cache-Control"] == "no-store"
    await app.state.hub.stop()


async def test_where_it_is_decided_who_joins_a_page_of_another_origin_makes_no_rooms() -> None:
    app = create_app(
        structs.replace(TOKENS_REQUIRED, admin_token=TOKEN, allowed_origins=("https://meet.example.org",))
    )
    async with visit(app, PEOPLE) as client:
        response = await client.post("/api/rooms", headers={**ADMIN, "Origin": "https://evil.example"})
    assert response.status_code == 403
    assert response.json()["error"] == "This origin is not allowed"
    await app.state.hub.stop()


# On a real server


async def test_people_on_a_server_are_reached(serve: Callable[..., Awaitable[str]]) -> None:
    url = await serve(create_app(Settings(admin_token=TOKEN)))
    async with (
        Client.connect(url.replace("http", "ws", 1) + "/ws") as ada,
        httpx.AsyncClient(timeout=60) as http,
    ):
        own = await ada.join(CODE, "Ada", is_host=True)
        assert isinstance(own, events.ParticipantJoined)
        listed = json.loads((await http.get(f"{url}/api/rooms", headers=ADMIN)).text)
        assert [room["roomId"] for room in listed["rooms"]] == [CODE]
        by_maker = bearer(str(own.creator_token))
        assert (await http.patch(f"{url}{ROOM}", headers=by_maker, json={"isLocked": True})).is_success
        assert isinstance(await ada.receive(), events.RoomLocked)
        assert (await http.delete(f"{url}{ROOM}", headers=ADMIN)).status_code == 204
        assert isinstance(await ada.receive(), events.RejectUser)
        with pytest.raises(DisconnectedError):
            await ada.receive()


async def test_a_creator_sets_no_more_passwords_than_it_could_make_rooms(app_with: AppWith) -> None:
    app = app_with(admin_token=TOKEN, rooms_per_minute=3)
    creator = bearer(await made(app))
    async with visit(app, PEOPLE) as client:
        answers = [
            (await client.patch(ROOM, headers=who, json=change)).status_code
            for who, change in [
                *[(creator, {"password": "sesame"})] * 3,
                (creator, {"password": None}),
                (creator, {"isLocked": True}),
                (ADMIN, {"password": "sesame"}),
            ]
        ]
    assert answers == [200, 200, 429, 200, 200, 200]
