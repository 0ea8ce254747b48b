"""What is asked of one worker reaches those of a room on the other, and all rooms are seen from either."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from starlette.applications import Starlette
from tests.redis_server import RedisServer

from mikroroom import Settings, create_app
from mikroroom.client import Client, DisconnectedError, RefusedError
from mikroroom.protocol import events
from mikroroom.protocol.codes import ErrorCode

TOKEN = "the-token-of-the-site"
CODE = "ABC234"
ROOM = f"/api/rooms/{CODE}"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Two:
    """Two workers: Ada and Bob are on the first, Cleo is on the second, of which everything is asked."""

    def __init__(self, urls: list[str], people: list[Client], http: httpx.AsyncClient) -> None:
        self.urls = urls
        self.ada, self.bob, self.cleo = people
        self.http = http

    async def asks(self, method: str, path: str, status: int = 200, **options: object) -> httpx.Response:
        response = await self.http.request(method, f"{self.urls[1]}{path}", **options)  # type: ignore[arg-type]
        assert response.status_code == status, response.text
        return response


@pytest.fixture
async def two(serve: Callable[..., Awaitable[str]], redis: RedisServer) -> AsyncIterator[Two]:
    settings = Settings(redis_url=redis.url, redis_prefix=f"{secrets.token_hex(4)}:", admin_token=TOKEN)
    apps: list[Starlette] = [create_app(settings), create_app(settings)]
    urls = [await serve(app) for app in apps]
    async with AsyncExitStack() as stack:
        http = httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        await stack.enter_async_context(http)
        people = []
        for name, url in (("Ada", urls[0]), ("Bob", urls[0]), ("Cleo", urls[1])):
            client = Client.connect(url.replace("http", "ws", 1) + "/ws")
            people.append(await stack.enter_async_context(client))
            await people[-1].join(CODE, name, is_host=True)
        yield Two(urls, people, http)


async def hears(client: Client, kind: type[events.Message]) -> events.Message:
    while not isinstance(heard := await client.receive(), kind):
        pass
    return heard


async def test_a_change_reaches_those_on_the_other_worker(two: Two) -> None:
    await two.asks("PATCH", ROOM, json={"isLocked": True, "maxParticipants": 4})
    for person in (two.ada, two.bob, two.cleo):
        locked = await hears(person, events.RoomLocked)
        assert isinstance(locked, events.RoomLocked) and locked.locked_by == ""
    await two.asks("PATCH", f"{ROOM}/participants/{two.bob.id}", json={"isModerator": True})
    await hears(two.bob, events.ModeratorAction)
    seen = await two.http.get(f"{two.urls[0]}{ROOM}")
    assert [person["isModerator"] for person in seen.json()["participants"]] == [True, True, False]


async def test_who_is_removed_is_closed_on_the_other_worker_and_a_ban_holds_on_both(two: Two) -> None:
    answer = await two.asks("DELETE", f"{ROOM}/participants/{two.bob.id}?ban=60")
    await hears(two.bob, events.ModeratorAction)
    with pytest.raises(DisconnectedError):
        await hears(two.bob, events.Error)
    await hears(two.ada, events.ParticipantLeft)
    for url in two.urls:
        async with Client.connect(url.replace("http", "ws", 1) + "/ws") as bob:
            with pytest.raises(RefusedError) as refused:
                await bob.join(CODE, "Bob")
            assert refused.value.code == ErrorCode.BANNED
    await two.asks("DELETE", f"{ROOM}/bans/{answer.json()['ban']['id']}", 204)


async def test_the_end_of_a_meeting_is_everyones_on_every_worker(two: Two) -> None:
    await two.asks("DELETE", ROOM, 204)
    for person in (two.ada, two.bob, two.cleo):
        await hears(person, events.RejectUser)
        with pytest.raises(DisconnectedError) as gone:
            await hears(person, events.Error)
        assert gone.value.code == 4504
    for url in two.urls:
        assert (await two.http.get(f"{url}{ROOM}")).status_code == 404
        assert (await two.http.get(f"{url}/api/rooms")).json() == {"rooms": []}


async def test_all_rooms_are_seen_from_any_worker(two: Two) -> None:
    made = await two.http.post(f"{two.urls[0]}/api/rooms", json={"roomId": "AAA234"})
    assert made.status_code == 201
    for url in two.urls:
        rooms = (await two.http.get(f"{url}/api/rooms")).json()["rooms"]
        assert [(room["roomId"], room["state"]) for room in rooms] == [("AAA234", "latent"), (CODE, "active")]


async def test_without_redis_nothing_is_administered(two: Two, redis: RedisServer) -> None:
    redis.stop()
    try:
        for path in ("/api/rooms", ROOM):
            assert (await two.http.get(f"{two.urls[1]}{path}")).status_code == 503
    finally:
        redis.start()
