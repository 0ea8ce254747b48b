"""Origins, prefixes and proxies: what a deployment puts around the app."""

import pytest
from starlette.applications import Starlette

from .asgi import CORS_HEADERS, ELSEWHERE, HERE, SECURITY_HEADERS, Caller, visit
from .conftest import AppWith

OURS, OTHER, FOREIGN = "https://meet.example", "https://www.example:8443", "https://evil.example"

# Origins


@pytest.mark.parametrize("path", ["/health", "/nope"])
async def test_an_origin_on_the_list_may_read(app_with: AppWith, path: str) -> None:
    async with visit(app_with(allowed_origins=(OURS, OTHER))) as client:
        for origin in (OURS, OTHER):
            response = await client.get(path, headers={"Origin": origin})
            assert response.headers.get_list("Access-Control-Allow-Origin") == [origin]
            assert response.headers["Vary"] == "Origin"


async def test_scheme_and_host_of_an_origin_know_no_case(app_with: AppWith) -> None:
    async with visit(app_with(allowed_origins=(OURS,))) as client:
        response = await client.get("/health", headers={"Origin": "HTTPS://Meet.Example"})
    assert response.headers["Access-Control-Allow-Origin"] == "HTTPS://Meet.Example"


@pytest.mark.parametrize(
    "origin",
    [None, FOREIGN, "null", "https://meet.example.evil.example", "http://meet.example"],
)
async def test_any_other_origin_is_not_told_that_it_may(app_with: AppWith, origin: str | None) -> None:
    async with visit(app_with(allowed_origins=(OURS,))) as client:
        response = await client.get("/health", headers={"Origin": origin} if origin else {})
    assert response.status_code == 200
    assert "Access-Control-Allow-Origin" not in response.headers
    # A cache must not give this answer to a page that may read, nor the other way round.
    assert response.headers["Vary"] == "Origin"
    for name, value in {**CORS_HEADERS, **SECURITY_HEADERS}.items():
        assert response.headers[name] == value


async def test_a_page_of_another_origin_makes_no_room(app_with: AppWith) -> None:
    """CORS keeps the answer from it, but not the request from us: as text/plain it needs no preflight."""
    async with visit(app_with(allowed_origins=(OURS,))) as client:
        refused = await client.post("/api/rooms", content=b"{}", headers={"Origin": FOREIGN})
        assert (refused.status_code, refused.json()) == (403, {"error": "This origin is not allowed"})
        for headers in ({}, {"Origin": OURS}):
            assert (await client.post("/api/rooms", headers=headers)).status_code == 201


async def test_a_preflight_knows_the_list(app_with: AppWith) -> None:
    async with visit(app_with(allowed_origins=(OURS,))) as client:
        ours = await client.options("/api/rooms", headers={"Origin": OURS})
        foreign = await client.options("/api/rooms", headers={"Origin": FOREIGN})
    assert (ours.status_code, ours.headers["Access-Control-Allow-Origin"]) == (204, OURS)
    assert (foreign.status_code, foreign.headers.get("Access-Control-Allow-Origin")) == (204, None)


async def test_with_any_origin_allowed_there_is_nothing_to_vary(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get("/health", headers={"Origin": FOREIGN})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in response.headers


# Prefixes


@pytest.mark.parametrize("path", ["/meet/health", "/health"])
async def test_a_prefix_may_be_stripped_by_the_proxy_or_not(app_with: AppWith, path: str) -> None:
    async with visit(app_with(root_path="/meet")) as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/meet/", "/"])
async def test_the_index_shows_the_prefix(app_with: AppWith, path: str) -> None:
    async with visit(app_with(root_path="/meet")) as client:
        endpoints = (await client.get(path)).json()["endpoints"]
    assert endpoints["websocket"] == "/meet/ws"


@pytest.mark.parametrize(
    "path", ["/meethealth", "/meeting/health", "/meet/meet/health", "/other/health", "/meet/nope"]
)
async def test_what_only_looks_like_the_prefix_is_not_there(app_with: AppWith, path: str) -> None:
    async with visit(app_with(root_path="/meet")) as client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/a/b/ws", "/ws"])
async def test_signaling_knows_the_prefix(app_with: AppWith, path: str) -> None:
    caller = await Caller(app_with(root_path="/a/b"), path).is_accepted()
    caller.hangs_up()
    await caller.ends()


async def test_a_prefix_that_the_server_knows_of_stands(app_with: AppWith) -> None:
    """As with ``uvicorn --root-path``: the server puts it before the path itself."""
    async with visit(app_with(), root_path="/meet") as client:
        response = await client.get("/meet/")
        assert response.json()["endpoints"]["health"] == "/meet/health"
        assert (await client.get("/meet/health")).status_code == 200


# Proxies


async def is_limited(app: Starlette, peer: str, *forwarded: str) -> bool:
    """Whether another room may not be made, from this peer with these ``X-Forwarded-For``."""
    async with visit(app, peer) as client:
        headers = [("X-Forwarded-For", value) for value in forwarded]
        return (await client.post("/api/rooms", headers=headers)).status_code == 429


async def test_a_stranger_cannot_choose_its_address(app_with: AppWith) -> None:
    app = app_with(rooms_per_minute=1)
    assert not await is_limited(app, HERE, "203.0.113.1")
    assert await is_limited(app, HERE, "203.0.113.2")
    assert await is_limited(app, HERE)
    assert not await is_limited(app, ELSEWHERE, HERE)
    assert not await is_limited(app, "203.0.113.1"), "nor use up another's"


async def test_a_trusted_proxy_says_who_it_is(app_with: AppWith) -> None:
    app = app_with(rooms_per_minute=1)
    assert not await is_limited(app, "127.0.0.1", "203.0.113.1")
    assert not await is_limited(app, "127.0.0.1", "203.0.113.2")
    assert await is_limited(app, "127.0.0.1", "203.0.113.1")


async def test_of_a_trusted_proxys_list_only_the_end_is_believed(app_with: AppWith) -> None:
    app = app_with(rooms_per_minute=1)
    assert not await is_limited(app, "127.0.0.1", "198.51.100.1, 203.0.113.1")
    assert await is_limited(app, "127.0.0.1", "198.51.100.2, 203.0.113.1")
    assert await is_limited(app, "127.0.0.1", "198.51.100.3", "203.0.113.1"), "also over two headers"


async def test_proxies_behind_proxies_are_passed_over(app_with: AppWith) -> None:
    app = app_with(rooms_per_minute=1, trusted_proxies=("10.0.0.0/8",))
    assert not await is_limited(app, "10.0.0.1", "198.51.100.1, 203.0.113.1, 10.0.0.2, 10.0.0.3")
    assert await is_limited(app, "10.0.0.9", "203.0.113.1")
    assert not await is_limited(app, "127.0.0.1", "203.0.113.1"), "which is not on this list"


async def test_ipv6_counts_by_the_64(app_with: AppWith) -> None:
    app = app_with(rooms_per_minute=1)
    assert not await is_limited(app, "2001:db8:0:1::1")
    assert await is_limited(app, "2001:db8:0:1:ffff::2")
    assert not await is_limited(app, "2001:db8:0:2::1")
    assert not await is_limited(app, "::1", "2001:db8:0:3::1")
    assert await is_limited(app, "2001:db8:0:3::9")


async def test_signaling_sees_the_same_addresses(app_with: AppWith) -> None:
    app = app_with(connections_per_minute=1)
    await Caller(app, peer="127.0.0.1", x_forwarded_for="203.0.113.1").is_accepted()
    await Caller(app, peer="127.0.0.1", x_forwarded_for="203.0.113.2").is_accepted()
    spoofed = Caller(app, peer="127.0.0.1", x_forwarded_for="198.51.100.1, 203.0.113.1")
    assert (await spoofed.is_denied()).status_code == 429
