"""The app as a part of something larger: mounted anywhere, started by anyone, twice in one process."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from mikroroom import Settings, create_app

PATIENCE = 60.0
CODE = "ABC234"

Serve = Callable[..., Awaitable[str]]

# Nobody here has more than one address.
UNLIMITED = Settings(connections_per_minute=0, rooms_per_minute=0, guesses_per_minute=0)


class Site:
    """A site of somebody else's, with the service under ``/meet``, and a diary of what it was asked."""

    def __init__(self, build: Callable[["Site"], ASGIApp], *, runs_lifespan: bool) -> None:
        self.service = create_app(UNLIMITED)
        self.runs_lifespan = runs_lifespan
        self.diary: list[str] = []
        self.app = build(self)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[dict[str, str]]:
        """The site's own, which runs the service's as well where it knows that it should."""
        self.diary.append("site starts")
        async with contextlib.AsyncExitStack() as stack:
            if self.runs_lifespan:
                await stack.enter_async_context(self.service.router.lifespan_context(self.service))
            yield {"pool": "the site's own"}
        self.diary.append("site stops")


class Signature:
    """The site's middleware: signs every answer, and writes down every path."""

    def __init__(self, app: ASGIApp, diary: list[str]) -> None:
        self.app = app
        self.diary = diary

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        self.diary.append(scope["path"])

        async def sign(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-site", b"signed")]
            await send(message)

        await self.app(scope, receive, sign)


async def home(request: Request) -> Response:
    return PlainTextResponse(f"home with {request.state.pool}")


async def broken(request: Request) -> Response:
    raise HTTPException(418, "a teapot")


async def site_error(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, HTTPException)
    return JSONResponse({"site says": exception.detail}, exception.status_code)


def starlette_site(site: Site) -> ASGIApp:
    return Starlette(
        routes=[Route("/", home), Route("/broken", broken), Mount("/meet", app=site.service)],
        middleware=[Middleware(Signature, diary=site.diary)],
        exception_handlers={HTTPException: site_error},
        lifespan=site.lifespan,
    )


def fastapi_site(site: Site) -> ASGIApp:
    app = fastapi.FastAPI(lifespan=site.lifespan)
    app.add_middleware(Signature, diary=site.diary)
    app.add_exception_handler(HTTPException, site_error)
    app.add_api_route("/", home, response_model=None)
    app.add_api_route("/broken", broken, response_model=None)
    app.mount("/meet", site.service)
    return app


@pytest.fixture(params=[starlette_site, fastapi_site], ids=["Starlette", "FastAPI"])
def build(request: pytest.FixtureRequest) -> Callable[[Site], ASGIApp]:
    """How the site is built."""
    chosen: Callable[[Site], ASGIApp] = request.param
    return chosen


@pytest.fixture(params=[True, False], ids=["with our lifespan", "without"])
async def site(request: pytest.FixtureRequest, build: Callable[[Site], ASGIApp]) -> AsyncIterator[Site]:
    """A site with the service in it."""
    made = Site(build, runs_lifespan=request.param)
    yield made
    await made.service.state.hub.stop()


class Guest:
    """Someone with a WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def joins(self, code: str = CODE, name: str = "Ada") -> dict[str, Any]:
        """Join, and hear what comes of it."""
        await self.says("join", roomId=code, name=name, isHost=True)
        return await self.hears()

    async def says(self, kind: str, /, **fields: object) -> None:
        """Send a message."""
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def hears(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message


@contextlib.asynccontextmanager
async def guest(url: str) -> AsyncIterator[Guest]:
    """Someone connects to the signaling of a service at ``url``."""
    address = url.replace("http", "ws", 1) + "/ws"
    async with connect(address, compression=None, proxy=None, open_timeout=PATIENCE) as connection:
        yield Guest(connection)


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        return await client.get(url)


# As a part of another site


async def test_a_meeting_is_held_under_a_prefix(site: Site, serve: Serve) -> None:
    url = await serve(site.app)
    async with guest(url + "/meet") as ada, guest(url + "/meet") as bob:
        me = await ada.joins()
        assert me["isHost"]
        await bob.joins(name="Bob")
        await bob.hears()
        assert (await ada.hears())["name"] == "Bob"
        await bob.says("offer", targetId=me["participantId"], sdp="v=0")
        assert (await ada.hears())["sdp"] == "v=0"
        health = (await get(url + "/meet/health")).json()
        assert (health["totalRooms"], health["totalParticipants"]) == (1, 2)


async def test_a_site_keeps_its_own(site: Site, serve: Serve) -> None:
    url = await serve(site.app)
    response = await get(url + "/")
    assert (response.text, response.headers["X-Site"]) == ("home with the site's own", "signed")
    assert "X-Frame-Options" not in response.headers
    response = await get(url + "/broken")
    assert (response.status_code, response.json()) == (418, {"site says": "a teapot"})
    response = await get(url + "/nope")
    assert (response.status_code, response.json()) == (404, {"site says": "Not Found"})
    assert site.diary == ["site starts", "/", "/broken", "/nope"]


async def test_the_service_answers_for_itself(site: Site, serve: Serve) -> None:
    url = await serve(site.app)
    response = await get(url + "/meet/nope")
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Site"] == "signed", "the site's middleware is around it"
    index = (await get(url + "/meet/")).json()
    assert index["endpoints"]["websocket"] == "/meet/ws"
    async with httpx.AsyncClient(base_url=url + "/meet", timeout=PATIENCE, trust_env=False) as client:
        assert (await client.options("/anywhere")).status_code == 204
        assert (await client.post("/api/rooms", json={"roomId": CODE})).status_code == 201
        assert (await client.post("/api/rooms", json={"roomId": CODE})).status_code == 429


async def test_the_site_starts_and_stops_as_ever(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    stopped = asyncio.Event()
    hub = site.service.state.hub
    stop = hub.stop

    async def stops() -> None:
        await stop()
        stopped.set()

    hub.stop = stops
    await _start_and_stop(site.app)
    assert site.diary[0] == "site starts"
    assert site.diary[-1] == "site stops"
    assert stopped.is_set() is site.runs_lifespan
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _start_and_stop(app: ASGIApp) -> None:
    """The lifespan of a server, by hand."""
    incoming: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    running = asyncio.create_task(_run(app, scope, incoming, said))
    for event in ("startup", "shutdown"):
        incoming.put_nowait({"type": f"lifespan.{event}"})
        async with asyncio.timeout(PATIENCE):
            assert (await said.get())["type"] == f"lifespan.{event}.complete"
    await running


async def _run(
    app: ASGIApp, scope: Scope, incoming: asyncio.Queue[Message], said: asyncio.Queue[Message]
) -> None:
    await app(scope, incoming.get, said.put)


async def test_a_room_page_of_the_site_shares_nothing_with_the_service(site: Site) -> None:
    """httpx over ASGI, as the site's own tests would do; nothing runs any lifespan."""
    transport = httpx.ASGITransport(site.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://site.example") as client:
        assert (await client.get("/meet/config")).status_code == 200
        assert (await client.get("/meet/health")).json()["status"] == "ok"
        assert (await client.post("/meet/api/rooms")).status_code == 201
        assert (await client.get("/meeting")).status_code == 404


# By itself


async def test_a_lifespan_starts_and_stops_and_starts_again(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=str(tmp_path)))
    await _start_and_stop(app)
    await _start_and_stop(app)


async def test_rooms_made_before_a_stop_are_there_after_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"))
    app = create_app(settings)
    for status in (201, 429, 429):
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://meet.example") as client:
                assert (await client.post("/api/rooms", json={"roomId": CODE})).status_code == status


async def test_two_services_in_one_process_share_nothing(serve: Serve) -> None:
    first = create_app(Settings(connections_per_minute=3, rooms_per_minute=2))
    second = create_app(Settings(connections_per_minute=3, rooms_per_minute=2))
    url, other = await serve(first), await serve(second)
    async with guest(url) as ada, guest(url) as bob, guest(other) as eve:
        await ada.joins()
        await bob.joins(name="Bob")
        await ada.hears()
        own = await eve.joins(name="Eve")
        assert own["isHost"], "a room of the same code, but not the same room"
        await ada.says("chat", text="nobody but us")
        assert (await ada.hears())["type"] == "chat"
        await eve.says("chat", text="alone")
        assert (await eve.hears())["text"] == "alone"
        counts = [(await get(each + "/health")).json() for each in (url, other)]
        assert [count["totalParticipants"] for count in counts] == [2, 1]
        assert [count["peakParticipants"] for count in counts] == [2, 1]
    async with guest(url):
        pass
    with pytest.raises(InvalidStatus) as refused:
        async with guest(url):
            pass
    assert refused.value.response.status_code == 429
    async with guest(other):
        pass


async def test_two_services_on_one_directory_are_told_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    apps = [create_app(Settings(data_dir=str(tmp_path))) for _ in range(2)]
    for app in apps:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://meet.example") as client:
            assert (await client.post("/api/rooms", json={"roomId": CODE})).status_code == 201
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "another process uses this directory" in errors[0]
    for app in apps:
        await app.state.hub.stop()


async def test_a_factory_reads_its_settings_from_the_environment(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ``uvicorn --factory mikroroom:create_app``."""
    monkeypatch.setenv("MIKROROOM_STUN_SERVERS", "stun:stun.example.org:3478")
    url = await serve("mikroroom:create_app", factory=True)
    config = (await get(url + "/config")).json()
    assert config == {"iceServers": [{"urls": "stun:stun.example.org:3478"}]}
    async with guest(url) as ada:
        assert (await ada.joins())["type"] == "participant-joined"


@pytest.mark.parametrize("ws", ["websockets-sansio", "auto"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_meeting_is_held_on_any_of_uvicorns_protocols(serve: Serve, ws: str, http: str) -> None:
    url = await serve(create_app(UNLIMITED), ws=ws, http=http)
    async with guest(url) as ada, guest(url) as bob:
        await ada.joins()
        await bob.joins(name="Bob")
        await ada.hears()
        await bob.says("chat", text="hello")
        assert (await ada.hears())["text"] == "hello"


def test_rooms_keep_no_more_chat_than_a_client_can_take_at_once() -> None:
    app = create_app(Settings(chat_history=1_000, max_outbox_bytes=65_536))
    policy = app.state.hub._policy
    assert (policy.chat_history, policy.chat_bytes) == (64, 5_461)
