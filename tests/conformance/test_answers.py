"""What every HTTP answer carries, whatever it answers (R29)."""

import pytest

from .answers import assert_error, assert_headers
from .stage import Stage


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_wrong_method_for_rooms_is_not_allowed(stage: Stage, method: str) -> None:
    """R29: 405 is JSON with the headers."""
    assert_error(await stage.http().request(method, "/api/rooms"), 405)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/health", "/config"])
async def test_wrong_method_for_what_is_read_is_not_allowed(stage: Stage, method: str, path: str) -> None:
    """R29: 405 is JSON with the headers."""
    assert_error(await stage.http().request(method, path), 405)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/nope", "/api", "/api/rooms/ABC123", "/health/x", "/%00", "/..%2fhealth"])
async def test_unknown_path_is_not_found(stage: Stage, method: str, path: str) -> None:
    """R29: 404 is JSON with the headers."""
    assert_error(await stage.http().request(method, path), 404)


@pytest.mark.parametrize("path", ["/health", "/config", "/api/rooms", "/ws", "/nope", "/api/rooms/ABC123"])
async def test_options_are_answered_anywhere(stage: Stage, path: str) -> None:
    """A browser's preflight: any path, the reference's CORS headers."""
    preflight = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Content-Type",
    }
    for headers in ({}, preflight):
        response = await stage.http().options(path, headers=headers)
        assert response.status_code in (200, 204)
        assert_headers(response)


@pytest.mark.parametrize("path", ["/health", "/config"])
async def test_head_is_answered_without_a_body(stage: Stage, path: str) -> None:
    """Whether HEAD is served is open; that an answer has its headers, and no body, is not."""
    response = await stage.http().head(path)
    assert response.status_code in (200, 405)
    assert response.content == b""
    assert_headers(response)


@pytest.mark.parametrize("path", ["/health", "/config", "/nope", "/health/", "/ws"])
async def test_every_answer_carries_the_headers(stage: Stage, path: str) -> None:
    """R29 and the reference: with and without an Origin, and nothing that contradicts ``*``."""
    for headers in ({}, {"Origin": "https://example.org"}):
        response = await stage.http().get(path, headers=headers)
        assert_headers(response)
        assert "Access-Control-Allow-Credentials" not in response.headers


async def test_signaling_without_an_upgrade_is_an_http_error(stage: Stage) -> None:
    """R29: JSON like any other error."""
    response = await stage.http().get("/ws")
    assert 400 <= response.status_code < 500
    assert_error(response, response.status_code)
