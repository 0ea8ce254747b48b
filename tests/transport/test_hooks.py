"""The site's say in who joins: what a hook sees of a handshake, and where tokens must not stand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from mikroroom import Settings, create_app
from mikroroom.client import Client, RefusedError
from mikroroom.core.jointokens import key_of, mint
from mikroroom.hooks import Denial, Grant
from mikroroom.protocol import events
from mikroroom.transport.guard import GuardedProtocol
from mikroroom.transport.picows import PicowsProtocol

from .asgi import Caller
from .conftest import AppWith

CODE = "ABC234"
PASSES = {"ada": "moderator", "bob": "participant"}


class Passes(AuthenticationBackend):
    """A site's own login: whoever has the cookie ``pass`` is who it says."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        """See ``AuthenticationBackend``."""
        name = conn.cookies.get("pass")
        return (AuthCredentials(["in"]), SimpleUser(name)) if name in PASSES else None


def by_login(request: HTTPConnection, room: str, name: str) -> Grant | Denial:
    """Whoever is logged in may come, to one room."""
    if not request.user.is_authenticated or room != CODE:
        return Denial("Log in first")
    who = request.user.display_name
    return Grant(name=who.capitalize(), subject=who, role="moderator" if who == "ada" else "participant")


async def by_login_in_time(request: HTTPConnection, room: str, name: str) -> Grant | Denial:
    """Likewise, but not at once."""
    await asyncio.sleep(0)
    return by_login(request, room, name)


@asynccontextmanager
async def site(hook: Any, protocol: Any) -> AsyncIterator[str]:
    """A site with a login, and the service mounted in it, on a real server: its URL."""
    meet = create_app(Settings(connections_per_minute=0), authorize_join=hook)

    def lifespan(_: Starlette) -> Any:
        return meet.router.lifespan_context(meet)

    app = Starlette(
        routes=[Mount("/meet", meet)],
        middleware=[Middleware(AuthenticationMiddleware, backend=Passes())],
        lifespan=lifespan,
    )
    config = uvicorn.Config(app, port=0, ws=protocol, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.005)
    try:
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/meet/ws"
    finally:
        server.should_exit = True
        await serving


def as_one(url: str, who: str) -> AbstractAsyncContextManager[Client]:
    """A client with the cookie of that name."""
    return Client.connect(url, additional_headers={"Cookie": f"pass={who}"})


@pytest.mark.parametrize("hook", [by_login, by_login_in_time])
@pytest.mark.parametrize("protocol", [PicowsProtocol, GuardedProtocol, "websockets-sansio"])
async def test_a_sites_own_login_decides(hook: object, protocol: object) -> None:
    async with (
        site(hook, protocol) as url,
        as_one(url, "ada") as ada,
        as_one(url, "bob") as bob,
        as_one(url, "eve") as eve,
    ):
        with pytest.raises(RefusedError, match="no meeting"):
            await bob.join(CODE, "somebody", is_host=True)
        mine = await ada.join(CODE, "somebody", is_host=True)
        assert isinstance(mine, events.ParticipantJoined)
        assert (mine.name, mine.is_host) == ("Ada", True)
        his = await bob.join(CODE, "Ada")
        assert isinstance(his, events.ParticipantJoined)
        assert (his.name, his.is_moderator) == ("Bob", False)
        with pytest.raises(RefusedError, match="Log in first"):
            await eve.join(CODE, "Eve")


async def test_nobody_is_kept_who_is_not_asked_about(app: Starlette) -> None:
    caller = await Caller(app).is_accepted()
    caller.says("join", roomId=CODE, name="Ada", isHost=True)
    await caller.hears_text()
    (session,) = app.state.hub.roster.sessions()
    assert session.handshake is None


@pytest.mark.parametrize(
    "query",
    [
        "token=x",
        "access_token=x",
        "joinToken=x",
        "a=b&resume-token=x",
        "t=eyJhbGciOi.eyJhdWQi.x",
        "x=inv_abc",
    ],
)
async def test_a_token_in_the_query_string_is_refused(app: Starlette, query: str) -> None:
    response = await Caller(app, query=query).is_denied()
    assert response.status_code == 400
    assert "send it as `token` in `join`" in response.json()["error"]


@pytest.mark.parametrize("query", ["", "room=ABC234", "v=1&t=1795701854", "name=eyJ", "tokens=3"])
async def test_any_other_query_string_is_of_no_interest(app: Starlette, query: str) -> None:
    await Caller(app, query=query).is_accepted()


async def test_a_join_token_goes_all_the_way(app_with: AppWith) -> None:
    secret = "the-secret-of-the-site-32-bytes!"
    app = app_with(join_token_secret=secret, join_tokens="required")
    now = app.state.hub.wall() // 1_000
    caller = await Caller(app).is_accepted()
    token = mint(key_of(secret), audience="mikroroom", code=CODE, now=now, ttl=60, name="Ada", role="host")
    caller.says("join", roomId=CODE, isHost=True, token=token)
    heard = await caller.hears_text()
    assert (heard["type"], heard["name"]) == ("participant-joined", "Ada")
