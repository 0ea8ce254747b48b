"""REST, as a site that has the app in its own tests would ask: httpx over ASGI, no server, no lifespan."""

import logging
import re
import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from mikroroom import __version__

from .asgi import CORS_HEADERS, ELSEWHERE, HERE, SECURITY_HEADERS, visit
from .conftest import AppWith


def assert_headers(response: httpx.Response) -> None:
    """The security and CORS headers of the reference, each of them once (R29)."""
    expected = {"Access-Control-Allow-Origin": "*", **SECURITY_HEADERS, **CORS_HEADERS}
    for name, value in expected.items():
        assert response.headers.get_list(name) == [value], f"{name} of {response}"


def assert_error(response: httpx.Response, status: int, message: str | None = None) -> None:
    """An error as JSON, with the headers (R29)."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    (error,) = response.json().values()
    assert response.json() == {"error": error}
    assert error == (message or error) and error
    assert_headers(response)


# What can be read


async def test_the_index_tells_what_this_is(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get("/")
    assert response.status_code == 200
    assert response.json() == {
        "name": "MikroRoom",
        "version": __version__,
        "endpoints": {
            "health": "/health",
            "ready": "/ready",
            "config": "/config",
            "rooms": "/api/rooms",
            "websocket": "/ws",
            "page": "/",
            "client": "/web/mikroroom.js",
            "docs": "/docs",
            "openapi": "/openapi.json",
            "asyncapi": "/asyncapi.json",
        },
    }
    assert_headers(response)


async def test_health_is_as_in_the_reference(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get("/health")
    assert response.status_code == 200
    health = response.json()
    assert 0 <= health.pop("uptime") < 60_000
    assert health == {
        "status": "ok",
        "totalRooms": 0,
        "totalParticipants": 0,
        "peakParticipants": 0,
        "version": __version__,
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert_headers(response)


async def test_config_lists_the_ice_servers(app_with: AppWith) -> None:
    app = app_with(
        stun_servers=("stun:stun.example.org:3478",),
        turn_servers=("turn:turn.example.org:3478", "turns:turn.example.org:5349?transport=tcp"),
        turn_username="mikroroom",
        turn_credential="password",
    )
    async with visit(app) as client:
        response = await client.get("/config")
    login = {"username": "mikroroom", "credential": "password"}
    assert response.json() == {
        "iceServers": [
            {"urls": "stun:stun.example.org:3478"},
            {"urls": "turn:turn.example.org:3478", **login},
            {"urls": "turns:turn.example.org:5349?transport=tcp", **login},
        ]
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert_headers(response)


async def test_config_with_a_secret_makes_logins_that_end(app_with: AppWith) -> None:
    app = app_with(turn_servers=("turn:turn.example.org:3478",), turn_secret="shared", turn_credential_ttl=60)
    async with visit(app) as client:
        response = await client.get("/config")
        again = await client.get("/config")
    *_, turn = response.json()["iceServers"]
    expires, _, user = turn["username"].partition(":")
    assert 0 < int(expires) - time.time() <= 61
    assert response.json()["ttl"] == 60
    assert "shared" not in response.text
    assert user not in again.text, "each has a quota of its own at the TURN server"


async def test_config_without_turn_has_nothing_that_ends(app_with: AppWith) -> None:
    async with visit(app_with(turn_secret="shared")) as client:
        response = await client.get("/config")
    assert response.json() == {"iceServers": [{"urls": "stun:stun.cloudflare.com:3478"}]}


async def test_too_many_configs_for_one_address_are_told_when_to_come_back(
    app_with: AppWith, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with(configs_per_minute=2, rooms_per_minute=1)
    async with visit(app) as client, visit(app, ELSEWHERE) as other:
        for _ in range(2):
            assert (await client.get("/config")).status_code == 200
        for _ in range(3):
            response = await client.get("/config")
            assert_error(response, 429, "Too many requests. Please try again later.")
            assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert (await other.get("/config")).status_code == 200
        assert (await client.post("/api/rooms")).status_code == 201, "it is counted apart"
    assert caplog.text.count("configs-limited") == 1


async def test_ready_says_that_people_may_come(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get("/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    assert response.headers["Cache-Control"] == "no-store"
    assert_headers(response)


async def test_ready_says_that_the_server_is_stopping_and_the_rest_goes_on(app: Starlette) -> None:
    app.state.hub.start()
    app.state.hub.is_stopping = True
    async with visit(app) as client:
        response = await client.get("/ready")
        assert_error(response, 503, "The server is stopping")
        assert response.headers["Retry-After"] == "1"
        assert response.headers["Cache-Control"] == "no-store"
        assert (await client.get("/health")).json()["status"] == "ok"
        assert (await client.get("/config")).status_code == 200


async def test_a_service_that_was_stopped_and_is_asked_again_is_ready(app: Starlette) -> None:
    """As a site may do that starts and stops us at will."""
    async with visit(app) as client:
        await client.get("/ready")
        await app.state.hub.stop()
        assert (await client.get("/ready")).status_code == 503
        app.state.hub.start()
        assert (await client.get("/ready")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/config"])
async def test_head_is_get_without_a_body(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        response = await client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    assert_headers(response)


# Rooms


async def test_a_room_is_made_with_nothing_said(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.post("/api/rooms")
    assert response.status_code == 201
    assert set(response.json()) == {"roomId", "creatorToken"}
    assert re.fullmatch(r"[A-Z0-9]{6}", response.json()["roomId"])
    assert response.headers["Cache-Control"] == "no-store"
    assert_headers(response)


async def test_a_room_is_made_as_asked(app: Starlette) -> None:
    async with visit(app) as client:
        asked = {"roomId": "abc123", "password": "secret", "maxParticipants": 3, "mood": "good"}
        response = await client.post("/api/rooms", json=asked)
    assert response.status_code == 201
    assert response.json()["roomId"] == "ABC123"


async def test_a_code_that_is_taken_is_the_429_of_the_reference(app: Starlette) -> None:
    async with visit(app) as client:
        await client.post("/api/rooms", json={"roomId": "ABC123"})
        response = await client.post("/api/rooms", json={"roomId": "abc123"})
    assert_error(response, 429, "Cannot create room. Limit reached or room ID already exists.")


async def test_too_many_latent_rooms_are_the_429_of_the_reference(app_with: AppWith) -> None:
    async with visit(app_with(max_latent_rooms=1)) as client:
        await client.post("/api/rooms")
        response = await client.post("/api/rooms")
    assert_error(response, 429, "Cannot create room. Limit reached or room ID already exists.")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"{",
        b'"ABC123"',
        b'{"roomId": "ABC"}',
        b'{"roomId": 123456}',
        b'{"roomId": "ABC12\xc3\xa9"}',
        b'{"password": 1}',
        b'{"maxParticipants": 0}',
        b'{"maxParticipants": 101}',
        b'{"maxParticipants": "8"}',
        b'{"maxParticipants": 1e999}',
        b'{"maxParticipants": 8} {}',
        b'{"roomId": "ABC123"}\xff',
        b'{"x": ' + b"[" * 5_000,
    ],
)
async def test_a_body_that_is_no_good_makes_nothing(app: Starlette, body: bytes) -> None:
    async with visit(app) as client:
        response = await client.post("/api/rooms", content=body)
        assert_error(response, 400, "Invalid request body")
        taken = await client.post("/api/rooms", json={"roomId": "ABC123"})
    assert taken.status_code == 201


async def test_a_body_that_is_too_large_makes_nothing(app_with: AppWith) -> None:
    async with visit(app_with(max_body_bytes=256)) as client:
        response = await client.post("/api/rooms", json={"roomId": "ABC123", "password": "x" * 256})
        assert_error(response, 413)
        assert (await client.post("/api/rooms", json={"roomId": "ABC123"})).status_code == 201


async def test_too_many_rooms_from_one_address_are_told_when_to_come_back(app_with: AppWith) -> None:
    app = app_with(rooms_per_minute=2)
    async with visit(app) as client, visit(app, ELSEWHERE) as other:
        assert (await client.post("/api/rooms", content=b"{")).status_code == 400, "it is an attempt"
        assert (await client.post("/api/rooms")).status_code == 201
        response = await client.post("/api/rooms")
        assert_error(response, 429, "Too many requests. Please try again later.")
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert (await other.post("/api/rooms")).status_code == 201
        assert (await client.get("/health")).status_code == 200


async def test_a_room_with_a_password_and_data_on_a_disk_is_made(app_with: AppWith, tmp_path: Path) -> None:
    app = app_with(data_dir=str(tmp_path / "data"))
    async with visit(app) as client:
        response = await client.post("/api/rooms", json={"roomId": "ABC123", "password": "secret"})
    assert response.status_code == 201
    await app.state.hub.stop()
    async with visit(app_with(data_dir=str(tmp_path / "data"))) as client:
        response = await client.post("/api/rooms", json={"roomId": "ABC123"})
    assert response.status_code == 429, "it is there still"


async def test_more_passwords_than_can_be_hashed_are_told_to_wait(
    app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.hub.hashing.MAX_CLIENTS", 0)
    async with visit(app) as client:
        response = await client.post("/api/rooms", json={"password": "secret"})
        assert_error(response, 503)
        assert response.headers["Retry-After"] == "1"
        assert (await client.post("/api/rooms")).status_code == 201


# What is not there


@pytest.mark.parametrize("path", ["/nope", "/health/", "/api", "/api/rooms/", "/ws/", "/%2e%2e/health", "/é"])
async def test_what_is_not_there_is_a_404_in_json(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        assert_error(await client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/health"), ("DELETE", "/config"), ("GET", "/api/rooms"), ("PUT", "/")]
)
async def test_a_wrong_method_is_a_405_in_json(app: Starlette, method: str, path: str) -> None:
    async with visit(app) as client:
        response = await client.request(method, path)
    assert_error(response, 405)
    assert response.headers["Allow"]


async def test_signaling_without_a_websocket_is_a_426_in_json(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get("/ws")
    assert_error(response, 426)
    assert response.headers["Upgrade"] == "websocket"


@pytest.mark.parametrize("path", ["/", "/api/rooms", "/ws", "/nope", "/nope/deeper"])
async def test_options_is_answered_anywhere(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        response = await client.options(
            path, headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        )
    assert (response.status_code, response.content) == (204, b"")
    assert_headers(response)


# Faults


async def test_a_fault_of_ours_is_a_500_in_json_and_a_line_in_the_log(
    app: Starlette, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> int:
        raise ZeroDivisionError("somewhere deep")

    monkeypatch.setattr(app.state.hub, "census", fails)
    async with visit(app) as client:
        response = await client.get("/health")
        assert_error(response, 500, "Internal server error")
        assert (await client.get("/config")).status_code == 200
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == 'failed request="GET /health"'
    assert record.exc_info is not None


async def test_a_client_that_goes_in_the_middle_of_its_body_is_no_fault(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[dict[str, object]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered = []

    async def receive() -> dict[str, object]:
        return said.pop(0)

    async def send(message: object) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/rooms",
        "headers": [],
        "query_string": b"",
        "client": (HERE, 1),
    }
    await app(scope, receive, send)
    assert answered == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
