"""What every store promises of the chronicle, and what each adds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis
from tests.core.outsider import Outsider
from tests.redis_server import RedisServer

from mikroroom.core.chronicle import TYPES, RoomEvent, place
from mikroroom.core.effects import Send
from mikroroom.protocol.codes import Refusal
from mikroroom.settings import Settings
from mikroroom.stores.chronicle import MemoryChronicle, Retention
from mikroroom.stores.journal import Journal
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Chronicle, Store
from mikroroom.stores.redis.store import RedisStore
from mikroroom.stores.redis.worker import Clocks

from .shelf import CODE, LATENT_AGE, NOON, POLICY, RESUME_WINDOW, Clock, Shelf

PATIENCE = 20.0
TOKEN = "sixteen-letters!"
SECRET = "whsec_" + "A" * 32

Build = Callable[..., Shelf]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """One for all of them."""
    with RedisServer() as server:
        yield server


def in_memory(directory: Path, clock: Clock, retention: Retention, *, has_journal: bool) -> Store:
    chronicle = MemoryChronicle(retention, clock)
    return MemoryStore(
        max_rooms=1_000,
        max_latent_rooms=1_000,
        policy=POLICY,
        clock=clock,
        journal=Journal(str(directory), chronicle=chronicle) if has_journal else None,
        chronicle=chronicle,
    )


@pytest.fixture(params=["memory", "journal", "redis"])
async def build(request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Build]:
    """Shelves before stores of one kind, on one clock; those of Redis or a journal share what is kept."""
    kind: str = request.param
    clock = Clock()
    shelves: list[Shelf] = []
    prefix = f"{tmp_path.name}:"

    def make(kept: int = 1_000, owed: bool = True, types: tuple[str, ...] = TYPES) -> Shelf:
        settings = Settings(
            redis_url=redis.url if kind == "redis" else "",
            redis_prefix=prefix,
            admin_token=TOKEN if kept else "",
            events_kept=kept,
            webhook_url="http://127.0.0.1:9/" if owed else "",
            webhook_secret=SECRET,
            webhook_events=types,  # type: ignore[arg-type]  # some of them
        )
        if kind == "redis":
            store: Store = RedisStore(settings, POLICY, Clocks(clock, clock, is_agreed=False))
        else:
            retention = Retention(kept, frozenset(settings.webhook_events if owed else ()))
            store = in_memory(tmp_path, clock, retention, has_journal=kind == "journal")
        shelves.append(Shelf(lambda *_: store, Path(), clock=clock))
        return shelves[-1]

    yield make
    for shelf in shelves:
        await shelf.store.stop({})


async def told(chronicle: Chronicle, count: int) -> list[RoomEvent]:
    """All that is kept, as soon as it is so much."""
    events: list[RoomEvent] = []
    async with asyncio.timeout(PATIENCE):
        while len(events) < count:
            await asyncio.sleep(0.005)
            with suppress(Refusal):  # a store that is far away is not there at once
                events = (await chronicle.excerpt(None, 1_000)).events
    assert len(events) == count
    return events


async def owes(chronicle: Chronicle, count: int) -> list[RoomEvent]:
    """All that is owed, as soon as it is so much."""
    async with asyncio.timeout(PATIENCE):
        while (owed := await chronicle.owed(1_000)).total != count:
            await asyncio.sleep(0.005)
    assert len(owed.events) == count
    return owed.events


def kinds(events: list[RoomEvent]) -> list[str]:
    return [event.type for event in events]


MEETING = ["room.started", "participant.joined", "participant.left", "room.ended"]


async def test_chronicle_has_what_happened_in_order_and_the_site_is_owed_it(build: Build) -> None:
    shelf = build()
    ada = await shelf.opens()
    await shelf.leaves(ada)
    events = await told(shelf.store.chronicle, 4)
    assert kinds(events) == MEETING
    assert await owes(shelf.store.chronicle, 4) == events
    places = [place(event.id) for event in events]
    assert sorted(set(places)) == places
    assert [event.timestamp for event in events] == [milliseconds for milliseconds, _ in places]
    assert (await shelf.store.chronicle.excerpt(None, 1_000)).is_complete


async def test_page_after_page_is_the_whole(build: Build) -> None:
    shelf = build()
    for number in range(5):
        await shelf.leaves(await shelf.opens(f"CODE{number:02}"), f"CODE{number:02}")
    events = await told(shelf.store.chronicle, 20)
    after, read = None, []
    while (page := await shelf.store.chronicle.excerpt(after, 3)).events:
        assert page.is_complete
        read += page.events
        after = page.events[-1].id
    assert read == events
    assert (await shelf.store.chronicle.excerpt("0", 100)).events == events
    assert (await shelf.store.chronicle.excerpt(f"{events[-1].timestamp + 1}", 100)).events == []


async def test_what_is_not_kept_any_more_is_missing_and_that_is_said(build: Build) -> None:
    shelf = build(kept=4)
    await shelf.leaves(await shelf.opens())
    first = await told(shelf.store.chronicle, 4)
    await owes(shelf.store.chronicle, 4)
    await shelf.leaves(await shelf.opens())
    await owes(shelf.store.chronicle, 8)
    later = await told(shelf.store.chronicle, 4)
    assert kinds(later) == MEETING
    assert later[0].id not in {event.id for event in first}
    excerpt = shelf.store.chronicle.excerpt
    assert not (await excerpt(None, 10)).is_complete
    assert not (await excerpt(first[0].id, 10)).is_complete
    assert await excerpt(first[-1].id, 10) == (later, True)
    assert (await excerpt(later[0].id, 10)).is_complete


async def test_what_the_site_was_told_it_is_owed_no_more(build: Build) -> None:
    shelf = build()
    await shelf.leaves(await shelf.opens())
    events = await owes(shelf.store.chronicle, 4)
    assert (await shelf.store.chronicle.owed(2)).events == events[:2]
    assert await shelf.store.chronicle.all_owed() == events
    await shelf.store.chronicle.settle([events[0].id, events[2].id, "1-1"])
    await shelf.store.chronicle.settle([])
    assert await owes(shelf.store.chronicle, 2) == [events[1], events[3]]
    assert len(await told(shelf.store.chronicle, 4)) == 4


async def test_site_is_owed_what_it_wants_to_know_and_nothing_else(build: Build) -> None:
    shelf = build(kept=0, types=("room.ended", "participant.left"))
    await shelf.leaves(await shelf.opens())
    assert kinds(await owes(shelf.store.chronicle, 2)) == ["participant.left", "room.ended"]
    assert (await shelf.store.chronicle.excerpt(None, 10)).events == []
    assert not (await shelf.store.chronicle.excerpt(None, 10)).is_complete


async def test_where_nobody_wants_to_know_nothing_is_kept(build: Build) -> None:
    shelf = build(kept=0, owed=False)
    await shelf.leaves(await shelf.opens())
    assert len(shelf.happened) == 4, "the function of the site is told all the same"
    await shelf.tidies()
    assert await shelf.store.chronicle.owed(10) == ([], 0)
    assert (await shelf.store.chronicle.excerpt(None, 10)).events == []


async def test_only_refused_changes_are_not_told(build: Build) -> None:
    shelf = build()
    await shelf.opens()
    with pytest.raises(Exception, match="no meeting"):
        await shelf.joins("NOROOM")
    await told(shelf.store.chronicle, 2)


async def test_after_a_restart_it_goes_on_where_it_was(build: Build, request: pytest.FixtureRequest) -> None:
    if "[memory]" in request.node.name:
        pytest.skip("nothing outlives the process")
    shelf = build()
    shelf.clock.passes(60_000)
    await shelf.opens()
    await shelf.joins(name="Bob", resume_token="a token")
    before = await told(shelf.store.chronicle, 3)
    await owes(shelf.store.chronicle, 3)
    await shelf.store.chronicle.settle([before[0].id])
    await shelf.store.stop({})
    shelf.clock.passes(-60_000)  # the clock was set meanwhile
    again = build()
    if isinstance(again.store, RedisStore):
        shelf.clock.passes(60_000)
    events = await told(again.store.chronicle, 5)
    assert events[:3] == before
    assert kinds(events[3:]) == ["participant.left", "room.moderated"], "Ada could not come back"
    assert await owes(again.store.chronicle, 4) == events[1:]
    places = [place(event.id) for event in events]
    assert sorted(set(places)) == places
    again.clock.passes(RESUME_WINDOW + LATENT_AGE)
    await again.tidies()
    events = await told(again.store.chronicle, 7)
    outsider = Outsider()
    outsider.hears_all(events)
    outsider.knows(CODE, [], [])
    assert set(outsider.visits.values()) == {1}


async def test_what_was_lost_with_a_former_chronicle_is_missing_and_that_is_said(
    build: Build, redis: RedisServer, tmp_path: Path
) -> None:
    shelf = build()
    await shelf.leaves(await shelf.opens())
    known = (await told(shelf.store.chronicle, 4))[-1].id
    await shelf.store.stop({})
    forgets_all(redis, tmp_path)
    shelf.clock.passes(60_000)
    again = build()
    await again.leaves(await again.opens())
    events = await told(again.store.chronicle, 4)
    excerpt = again.store.chronicle.excerpt
    assert await excerpt(known, 10) == (events, False)
    assert await excerpt(None, 10) == (events, True), "who knows nothing misses nothing"
    assert (await excerpt(events[0].id, 10)).is_complete


async def test_redis_without_its_last_moments_has_a_chronicle_that_is_not_complete(
    build: Build, request: pytest.FixtureRequest
) -> None:
    if "[redis]" not in request.node.name:
        pytest.skip("it is Redis' own")
    shelf = build()
    await shelf.leaves(await shelf.opens())
    known = (await told(shelf.store.chronicle, 4))[-1].id
    assert (await shelf.store.chronicle.excerpt(known, 10)).is_complete
    assert isinstance(shelf.store, RedisStore) and shelf.store._worker is not None
    shelf.store._worker.data_is_old(None)
    async with asyncio.timeout(PATIENCE):
        while (await shelf.store.chronicle.excerpt(known, 10)).is_complete:
            await asyncio.sleep(0.005)
    shelf.store._worker.life.beat_now()
    await shelf.leaves(await shelf.opens())
    assert (await shelf.store.chronicle.excerpt(known, 10)).is_complete is False


async def test_where_far_fewer_are_to_be_kept_in_redis_the_others_go_by_and_by(
    build: Build, request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path
) -> None:
    if "[redis]" not in request.node.name:
        pytest.skip("it is Redis' own")
    stream = f"{tmp_path.name}:chronicle"
    with Redis(port=redis.port) as client:
        for number in range(1, 1_501):
            client.xadd(stream, {"e": b'{"type":"room.started","roomId":"ABC234"}'}, id=f"1000-{number}")
        shelf = build(kept=4)
        ada = await shelf.opens()
        assert client.xlen(stream) == 502
        await shelf.leaves(ada)
    later = await told(shelf.store.chronicle, 4)
    assert kinds(later) == MEETING
    assert await shelf.store.chronicle.excerpt("1000-1500", 10) == (later, False), "before it began"


def forgets_all(redis: RedisServer, directory: Path) -> None:
    """Nothing is left, on the disk or in Redis."""
    for path in directory.glob("rooms.db*"):
        path.unlink()
    with Redis(port=redis.port) as client:
        client.flushall()


async def test_ids_hold_the_time_and_never_go_back(build: Build, request: pytest.FixtureRequest) -> None:
    if "[redis]" in request.node.name:
        pytest.skip("the time is Redis' own")
    shelf = build()
    ada = await shelf.opens()
    shelf.clock.passes(-5_000)
    await shelf.leaves(ada)
    assert [event.id for event in await told(shelf.store.chronicle, 4)] == [f"{NOON}-{n}" for n in range(4)]


async def test_function_of_the_site_is_told_by_the_worker_that_did_it_alone(
    build: Build, request: pytest.FixtureRequest
) -> None:
    if "[redis]" not in request.node.name:
        pytest.skip("there is one worker")
    first, second = build(), build()
    async with asyncio.timeout(PATIENCE):
        while first.store.trouble() or second.store.trouble():
            await asyncio.sleep(0.005)
    ada = await first.opens()
    await second.joins(name="Bob")
    await first.leaves(ada)
    await told(second.store.chronicle, 5)
    async with asyncio.timeout(PATIENCE):
        while not any(isinstance(effect, Send) for effect in second.heard()):
            await asyncio.sleep(0.005)
    assert kinds(first.happened) == [
        "room.started",
        "participant.joined",
        "participant.left",
        "room.moderated",
    ]
