"""What those outside are told by real servers that are stopped and killed, with a real receiver."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.core.outsider import Outsider
from tests.receiver import SECRET, Receiver
from tests.redis_server import RedisServer
from tests.site_process import Site
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from mikroroom.core.chronicle import RoomEvent, place

PATIENCE = 30.0
TOKEN = "sixteen-letters!"
UNLIMITED = {"connections_per_minute": 0, "rooms_per_minute": 0, "guesses_per_minute": 0}

SiteWith = Callable[..., Site]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """It listens, until it is told otherwise."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def site_with(tmp_path: Path, receiver: Receiver) -> AsyncIterator[SiteWith]:
    """Servers that tell the receiver, each in a folder of its own. Those that still run are killed."""
    sites: list[Site] = []

    def build(**settings: object) -> Site:
        folder = tmp_path / str(len(sites))
        folder.mkdir()
        chosen = {"webhook_url": receiver.url, "webhook_secret": SECRET, "admin_token": TOKEN}
        sites.append(Site(folder, **{**UNLIMITED, **chosen, "resume_window": 1, **settings}))
        return sites[-1]

    yield build
    for site in sites:
        if site._process is not None:
            await asyncio.to_thread(site.kill)


async def told(site: Site) -> list[dict[str, Any]]:
    """All that a server tells of."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=PATIENCE) as http:
        answer = await http.get(f"{site.url}/api/events?limit=1000")
    assert answer.status_code == 200
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


async def tells(site: Site, count: int) -> list[dict[str, Any]]:
    """Wait until it does of so many: then they are on the disk."""
    async with asyncio.timeout(PATIENCE):
        while len(events := await told(site)) < count:
            await asyncio.sleep(0.02)
    return events


async def delivered(site: Site) -> int:
    """How many events this server has sent."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        text = (await http.get(f"{site.url}/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith("mikroroom_webhooks_delivered_total")]
    return int(float(line.rpartition(" ")[2]))


async def joins(site: Site, code: str, name: str = "Ada", **fields: object) -> ClientConnection:
    """Somebody who is in a room."""
    # What nobody reads must not keep it from closing.
    connection = await connect(f"{site.url.replace('http', 'ws')}/ws", max_queue=None, open_timeout=PATIENCE)
    message = {"type": "join", "roomId": code, "name": name, "isHost": True, **fields}
    await connection.send(json.dumps(message))
    assert json.loads(await connection.recv())["type"] == "participant-joined"
    return connection


async def ends(receiver: Receiver) -> Outsider:
    """Wait until all meetings have ended, as far as the receiver was told; all of that must be possible."""
    async with asyncio.timeout(PATIENCE):
        while True:
            events = [msgspec.convert(event, RoomEvent) for event in receiver.events()]
            outsider = Outsider()
            outsider.hears_all(events)
            if events and not outsider.rooms:
                break
            await asyncio.sleep(0.05)
    places = [place(event.id) for event in events]
    assert places == sorted(places)
    assert set(outsider.visits.values()) == {1}
    return outsider


async def test_what_waits_when_the_server_is_killed_is_told_afterwards(
    site_with: SiteWith, receiver: Receiver
) -> None:
    site = site_with()
    await receiver.shuts()
    await asyncio.to_thread(site.start)
    stays = await joins(site, "ROOM23", resume=True)
    for number in range(20):
        visitor = await joins(site, "ROOM23", f"Visitor {number}")
        await visitor.close()
    before = await tells(site, 42)
    await asyncio.to_thread(site.kill)
    with suppress(WebSocketException):
        await stays.close()
    await asyncio.to_thread(site.start)
    await receiver.opens()
    await ends(receiver)
    events = receiver.events()
    assert events[:42] == before
    assert [event["type"] for event in events[42:]] == ["participant.left", "room.ended"]
    assert events[42]["reason"] == "lost"


async def test_server_that_is_killed_again_and_again_tells_a_history_that_can_be(
    site_with: SiteWith, receiver: Receiver
) -> None:
    """Killed in the midst of it: what was not on the disk has not happened, and nobody was told of it."""
    site = site_with()
    for number in range(3):
        await asyncio.to_thread(site.start)
        coming = asyncio.create_task(come_and_go(site, f"ROOM2{number}"))
        await receiver.took(len(receiver.events()) + 20)
        receiver.moods = [lambda _: None]
        await asyncio.to_thread(site.kill)
        await coming
    await asyncio.to_thread(site.start)
    await ends(receiver)


async def come_and_go(site: Site, code: str) -> None:
    """People come and go, until the server is no more; every third stays, and every second may come back."""
    there: list[ClientConnection] = []
    with suppress(WebSocketException, OSError):
        for number in range(150):
            fields = {"resume": True} if number % 2 else {}
            there.append(await joins(site, code, f"P{number}", maxParticipants=100, **fields))
            if number % 3:
                await there.pop().close()
            elif len(there) > 20:
                await there.pop(0).close()
    for connection in there:
        with suppress(WebSocketException, OSError):
            await connection.close()


async def test_planned_stop_tells_who_left_by_it_at_once(site_with: SiteWith, receiver: Receiver) -> None:
    site = site_with()
    await asyncio.to_thread(site.start)
    visitor = await joins(site, "ROOM23")
    await receiver.took(2)
    await asyncio.to_thread(site.stop)
    await receiver.took(4)
    await ends(receiver)
    await visitor.close()


async def test_receiver_that_never_answers_changes_no_meeting(
    site_with: SiteWith, receiver: Receiver
) -> None:
    site = site_with()
    receiver.mood = lambda _: b""
    await asyncio.to_thread(site.start)
    ada = await joins(site, "ROOM23")
    await receiver.came(1)
    async with asyncio.timeout(PATIENCE):
        for number in range(20):
            bob = await joins(site, "ROOM23", "Bob")
            await ada.send(json.dumps({"type": "chat", "text": str(number)}))
            while json.loads(await bob.recv()).get("text") != str(number):
                pass
            await bob.close()
    began = asyncio.get_running_loop().time()
    await asyncio.to_thread(site.stop)
    assert asyncio.get_running_loop().time() - began < 15, "nor is the answer waited for"
    await ada.close()
    assert len({delivery.event["id"] for delivery in receiver.deliveries}) == 1


async def test_worker_that_dies_as_it_sends_has_a_successor(site_with: SiteWith, receiver: Receiver) -> None:
    """Two workers over one Redis: pairs and order hold; what comes twice has the same id."""
    with RedisServer() as redis:
        workers = [site_with(redis_url=redis.url, worker_lease=2) for _ in range(2)]
        for worker in workers:
            await asyncio.to_thread(worker.start)
        people = [await joins(worker, "ROOM23", maxParticipants=100) for worker in workers]
        await receiver.took(3)
        coming = [asyncio.create_task(come_and_go(worker, f"ROOM3{n}")) for n, worker in enumerate(workers)]
        await receiver.took(30)
        sent = [await delivered(worker) for worker in workers]
        assert 0 in sent, "one of them sends"
        courier = workers[sent.index(max(sent))]
        receiver.moods = [lambda _: None]
        await asyncio.to_thread(courier.kill)
        there = len(receiver.events())
        await receiver.took(there + 30)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*coming)
        for person in people:
            with suppress(WebSocketException, OSError):
                await person.close()
        await ends(receiver)
        others = [worker for worker in workers if worker is not courier]
        assert await delivered(others[0]) > 0
