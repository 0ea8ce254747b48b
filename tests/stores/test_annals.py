"""The chronicle in the rooms' file: it and the rooms agree, whatever befalls the file."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from tests.core.outsider import Outsider

from mikroroom.core.chronicle import TYPES, RoomEvent
from mikroroom.core.room import Room
from mikroroom.settings import Settings
from mikroroom.stores.chronicle import Changes, MemoryChronicle, Retention, retention_of
from mikroroom.stores.database import Database
from mikroroom.stores.journal import Journal
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Store

from .disks import unwritable
from .shelf import POLICY, Clock, Shelf

PATIENCE = 20.0
EVERYTHING = Retention(1_000, frozenset(TYPES))


def opened(directory: Path, clock: Clock | None = None) -> Shelf:
    """A store with a chronicle in this directory."""
    time = clock or Clock()

    def build(*_: object) -> Store:
        chronicle = MemoryChronicle(EVERYTHING, time)
        journal = Journal(str(directory), chronicle=chronicle)
        return MemoryStore(
            max_rooms=1_000,
            max_latent_rooms=1_000,
            policy=POLICY,
            clock=time,
            journal=journal,
            chronicle=chronicle,
        )

    return Shelf(build, directory, clock=time)


async def told(shelf: Shelf, count: int) -> list[RoomEvent]:
    """All that is kept, as soon as it is so much."""
    async with asyncio.timeout(PATIENCE):
        while len((excerpt := await shelf.store.chronicle.excerpt(None, 1_000)).events) != count:
            shelf.store.tidy()
            await asyncio.sleep(0.005)
    return excerpt.events


def delete(directory: Path) -> None:
    """Somebody deletes the file, and what belongs to it."""
    for file in directory.glob("rooms.db*"):
        file.unlink()


@pytest.mark.usefixtures("impatient")
async def test_event_is_not_seen_before_it_is_on_the_disk(directory: Path) -> None:
    shelf = opened(directory)
    await shelf.opens()
    assert (await shelf.store.chronicle.excerpt(None, 10)).events == []
    assert (await shelf.store.chronicle.owed(10)).total == 0
    await told(shelf, 2)
    assert (await shelf.store.chronicle.owed(10)).total == 2
    await shelf.store.stop({})


@pytest.mark.usefixtures("impatient")
async def test_while_nothing_can_be_written_events_are_seen_at_once_and_written_later(
    directory: Path,
) -> None:
    shelf = opened(directory)
    with unwritable():
        ada = await shelf.opens()
        events = await told(shelf, 2)
        await shelf.leaves(ada)
        events += (await told(shelf, 4))[2:]
        await shelf.store.chronicle.settle([events[0].id])
    async with asyncio.timeout(PATIENCE):
        while not shelf.store.keeps():
            shelf.store.tidy()
            await asyncio.sleep(0.005)
    await shelf.store.stop({})
    again = opened(directory)
    assert await told(again, 4) == events
    assert (await again.store.chronicle.owed(10)).events == events[1:]
    await again.store.stop({})


@pytest.mark.usefixtures("impatient")
async def test_file_that_was_deleted_has_the_chronicle_again(directory: Path) -> None:
    shelf = opened(directory)
    ada = await shelf.opens()
    events = await told(shelf, 2)
    await shelf.store.chronicle.settle([events[0].id])
    delete(directory)
    await shelf.leaves(ada)
    events = await told(shelf, 4)
    async with asyncio.timeout(PATIENCE):
        while not shelf.store.keeps():
            shelf.store.tidy()
            await asyncio.sleep(0.005)
    await shelf.store.stop({})
    again = opened(directory)
    assert await told(again, 4) == events
    assert (await again.store.chronicle.owed(10)).events == events[1:]
    await again.store.stop({})


@pytest.mark.usefixtures("impatient")
async def test_directory_that_another_process_has_leaves_a_chronicle_in_memory(directory: Path) -> None:
    first = opened(directory)
    second = opened(directory)
    await second.opens()
    await told(second, 2)
    await second.store.stop({})
    await first.store.stop({})


@pytest.mark.usefixtures("impatient")
async def test_record_that_is_damaged_costs_no_other(directory: Path) -> None:
    shelf = opened(directory)
    await shelf.leaves(await shelf.opens())
    await told(shelf, 4)
    await shelf.store.stop({})
    with sqlite3.connect(directory / "rooms.db") as connection:
        connection.execute("UPDATE chronicle SET record = x'00' WHERE number = 1")
    connection.close()
    again = opened(directory)
    assert [event.type for event in await told(again, 3)] == [
        "room.started",
        "participant.left",
        "room.ended",
    ]
    await again.store.stop({})


@pytest.mark.usefixtures("impatient")
async def test_file_of_an_earlier_version_gets_the_table(directory: Path) -> None:
    shelf = opened(directory)
    await shelf.opens(resume_token="a token")
    await told(shelf, 2)
    await shelf.store.stop({})
    with sqlite3.connect(directory / "rooms.db") as connection:
        connection.execute("DROP TABLE chronicle")
    connection.close()
    again = opened(directory)
    assert len((await again.looks()).participants) == 1
    await again.joins()
    await told(again, 1)
    await again.store.stop({})


@pytest.mark.usefixtures("impatient")
async def test_what_is_not_wanted_any_more_is_forgotten_on_the_disk(directory: Path) -> None:
    clock = Clock()
    chronicle = MemoryChronicle(Retention(4, frozenset(TYPES)), clock)
    journal = Journal(str(directory), chronicle=chronicle)
    store = MemoryStore(
        max_rooms=10, max_latent_rooms=10, policy=POLICY, clock=clock, journal=journal, chronicle=chronicle
    )
    shelf = Shelf(lambda *_: store, directory, clock=clock)
    for count in range(1, 4):
        await shelf.leaves(await shelf.opens())
        async with asyncio.timeout(PATIENCE):
            while (await chronicle.owed(1)).total != 4 * count:
                await asyncio.sleep(0.005)
    await chronicle.settle([event.id for event in (await chronicle.owed(9)).events[1:]])
    await shelf.store.stop({})
    with sqlite3.connect(directory / "rooms.db") as connection:
        owed = connection.execute("SELECT is_owed FROM chronicle ORDER BY milliseconds, number").fetchall()
    connection.close()
    # The first, which is owed still; the newest that is not kept; and the four that are.
    assert owed == [(1,), (0,), (0,), (1,), (1,), (1,)]


@pytest.mark.usefixtures("impatient")
async def test_after_every_writing_rooms_and_events_agree_however_much_changes_meanwhile(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rooms than are encoded at a time: those before have changed again when the last one is."""
    rooms: dict[str, Room] = {}
    outsider = Outsider()
    disagreements: list[str] = []
    write = Database.write

    def watched(
        database: Database,
        batch: Mapping[str, bytes | None],
        taken: Mapping[str, bytes],
        *,
        is_promised: bool,
        chronicle: Changes | None = None,
    ) -> None:
        write(database, batch, taken, is_promised=is_promised, chronicle=chronicle)
        for code, record in batch.items():
            if record is None:
                rooms.pop(code, None)
            else:
                rooms[code] = msgspec.msgpack.decode(record, type=Room)
        outsider.hears_all(row.record for row in (chronicle.rows if chronicle else ()))
        for code in {*rooms, *outsider.rooms, *outsider.waiting}:
            room = rooms.get(code)
            try:
                outsider.knows(code, room.participants if room else (), room.waiting if room else ())
            except AssertionError:
                disagreements.append(code)

    monkeypatch.setattr(Database, "write", watched)
    shelf = opened(directory)
    codes = [f"R{number:05}" for number in range(350)]
    makers = {code: await shelf.opens(code) for code in codes}

    async def churn() -> None:
        for number, code in enumerate(codes * 3):
            if code in makers:
                await shelf.leaves(makers.pop(code), code, by_word=number % 2 == 0)
            else:
                makers[code] = await shelf.opens(code) if number % 2 == 0 else await shelf.joins(code)
            if number % 3 == 0:
                await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE):
        await churn()
    await shelf.store.stop({})
    assert disagreements == []
    assert len(rooms) > 100


def test_settings_decide_what_is_kept_and_owed() -> None:
    secret = "whsec_" + "A" * 32
    assert not retention_of(Settings()).is_wanted
    assert retention_of(Settings(admin_token="a" * 32)) == Retention(10_000, frozenset())
    url = "http://127.0.0.1/"
    assert retention_of(Settings(webhook_url=url, webhook_secret=secret)) == Retention(0, frozenset(TYPES))
