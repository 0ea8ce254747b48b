"""Rooms on a disk: they survive, are written behind and together, and betray no secret."""

import asyncio
import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path
from threading import Event
from threading import enumerate as threads
from typing import Any

import msgspec
import pytest

from mikroroom.core import chat, resume, secrets
from mikroroom.core.door import Newcomer
from mikroroom.core.effects import Effects, Suspended
from mikroroom.core.room import Room
from mikroroom.protocol import requests
from mikroroom.stores import journal as journals
from mikroroom.stores.chronicle import Changes
from mikroroom.stores.database import Database
from mikroroom.stores.journal import Journal
from mikroroom.stores.kept import KeptFile
from mikroroom.stores.port import Kept

from .disks import (
    PATIENCE,
    Open,
    Told,
    a_meeting_goes_on,
    codes_in,
    crashes,
    is_there,
    lets_go,
    locked,
    names_in,
    put,
    taken_in,
    tidied_until,
    tidied_until_there,
    until,
    unwritable,
    writes,
    written,
)
from .shelf import (
    CODE,
    LATENT_AGE,
    NOON,
    POLICY,
    RESUME_WINDOW,
    TOKEN,
    Clock,
    Shelf,
    adhoc,
    joining,
    precreated,
    settled,
    with_journal,
)

SALT = b"sixteen bytes..."
KEPT = Kept(7, 3, NOON, [b'{"type":"chat","text":"hello"}', b"{}"])

DELAY = journals._DELAY

pytestmark = pytest.mark.usefixtures("impatient")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes_in(directory: Path) -> dict[str, int]:
    return {path.name: mode(path) for path in directory.iterdir()}


def bytes_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


Ends = Callable[[Shelf, Path], Awaitable[None]]


async def stops(shelf: Shelf, directory: Path) -> None:
    await shelf.store.stop({})


@pytest.fixture(params=[stops, crashes], ids=["stop", "crash"])
def ends(request: pytest.FixtureRequest) -> Ends:
    """The ways in which a process may end."""
    end: Ends = request.param
    return end


# Surviving


async def test_pre_created_rooms_survive_a_restart(opened: Open, told: Told) -> None:
    shelf = opened()
    await shelf.makes(precreated(max_participants=3, password=secrets.seal("sesame", SALT)))
    await shelf.makes(precreated("BBBBBB"))
    await shelf.store.stop({})

    shelf = opened()
    room = await shelf.looks()
    assert (room.max_participants, room.is_precreated, room.expires_at) == (3, True, NOON + LATENT_AGE)
    assert secrets.is_token(TOKEN, room.creator_digest)
    assert room.password is not None
    assert secrets.is_same(secrets.seal("sesame", room.password.salt), room.password)
    assert not secrets.is_same(secrets.seal("wrong", room.password.salt), room.password)
    assert await is_there(shelf, "BBBBBB")
    assert told() == []


async def test_a_room_is_on_the_disk_when_its_making_is_answered(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    assert codes_in(directory) == {CODE}
    await crashes(shelf, directory)
    assert await is_there(opened())


async def test_a_room_that_was_in_use_for_days_gets_the_whole_latent_age_anew(opened: Open) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    shelf.clock.passes(LATENT_AGE // 2)
    await shelf.joins()
    await shelf.store.stop({})

    shelf = opened()
    assert (await shelf.looks()).expires_at == NOON + LATENT_AGE


async def test_the_time_of_a_room_that_emptied_counts_on_over_a_restart(opened: Open) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    bob = await shelf.joins()
    shelf.clock.passes(-LATENT_AGE // 2)
    await shelf.leaves(bob)
    await shelf.store.stop({})

    shelf = opened()
    assert (await shelf.looks()).expires_at == NOON + LATENT_AGE // 2


async def test_rooms_whose_time_came_meanwhile_are_dropped(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated(expires_at=NOON + 1))
    await shelf.makes(precreated("BBBBBB"))
    await shelf.store.stop({})

    clock = Clock()
    clock.passes(1)
    later = Shelf(lambda place, _, rooms, latent: with_journal(place, clock, rooms, latent), directory)
    assert not await is_there(later)
    assert await is_there(later, "BBBBBB")
    await later.store.stop({})
    assert codes_in(directory) == {"BBBBBB"}


async def test_a_room_from_a_longer_latent_age_stands_in_nobodys_way(opened: Open, directory: Path) -> None:
    """Or from a clock that was wrong then: it must not outlive its time, nor keep others from ending."""
    shelf = opened()
    await shelf.makes(precreated("AAAAAA", expires_at=NOON + 1_000 * LATENT_AGE))
    await shelf.store.stop({})

    shelf = opened()
    await shelf.makes(precreated("BBBBBB"))
    shelf.clock.passes(LATENT_AGE)
    shelf.store.tidy()
    assert not await is_there(shelf, "AAAAAA")
    await shelf.store.stop({})
    assert codes_in(directory) == set()


async def test_removed_rooms_stay_removed(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.makes(precreated("BBBBBB", expires_at=NOON + 2 * LATENT_AGE))
    shelf.clock.passes(LATENT_AGE)
    shelf.store.tidy()
    assert not await is_there(shelf)
    await shelf.store.stop({})
    assert codes_in(directory) == {"BBBBBB"}
    assert not await is_there(opened())


async def test_a_removed_room_made_anew_is_the_new_one(opened: Open) -> None:
    shelf = opened()
    await shelf.makes(precreated(max_participants=3))
    shelf.clock.passes(LATENT_AGE)
    shelf.store.tidy()
    await shelf.makes(precreated(max_participants=5, expires_at=shelf.clock() + LATENT_AGE))
    await shelf.store.stop({})
    assert (await opened().looks()).max_participants == 5


async def test_rooms_come_back_as_they_were(opened: Open, directory: Path, ends: Ends) -> None:
    """R46: people, roles, states, the lock, who waits, recordings, kicks, chat, the digests of tokens."""
    shelf = opened()
    ada = await shelf.opens(resume_token="ada's")
    bob = await shelf.joins(resume_token="bob's")
    zoe = await shelf.joins(name="Zoe", resume_token="zoe's")

    def busy(room: Room, now: int) -> Effects:
        room.participants[bob].is_moderator = room.participants[bob].is_hand_raised = True
        room.participants[zoe].is_muted = room.participants[zoe].is_video_off = True
        room.recorders.append(bob)
        room.kicked["192.0.2.9"] = now
        room.locked_by = ada
        return chat.say(room, ada, requests.Chat("kept", "1-x"), now, POLICY)

    await settled(shelf.store.transact(CODE, busy))
    cleo = await shelf.joins(name="Cleo", resume_token="cleo's")
    await settled(shelf.store.transact(CODE, lambda room, now: resume.lose(room, bob, bob, now, POLICY)))
    room = await shelf.looks()
    assert set(room.waiting) == {cleo} and set(room.suspended) == {bob}
    before = msgspec.structs.asdict(msgspec.msgpack.decode(msgspec.msgpack.encode(room), type=Room))
    await written(shelf)
    await ends(shelf, directory)

    shelf = opened()
    after = msgspec.structs.asdict(await shelf.looks())
    window_end = NOON + RESUME_WINDOW
    assert after.pop("suspended") == dict.fromkeys([ada, bob, zoe, cleo], window_end)
    before.pop("suspended")
    assert after == before
    assert [
        person.resumption.issued
        for person in (await shelf.looks()).participants.values()
        if person.resumption
    ] == [secrets.digest_token(token) for token in ("ada's", "bob's", "zoe's")]
    suspended = [effect.id for effect in shelf.heard() if isinstance(effect, Suspended)]
    assert suspended == [ada, bob, zoe, cleo]
    returner = resume.Returner("new", "192.0.2.2", "cleo's", "next")
    await settled(shelf.store.transact(CODE, lambda room, now: resume.resume(room, returner, now, POLICY)))
    shelf.clock.passes(RESUME_WINDOW)
    shelf.store.tidy()
    assert not await is_there(shelf), "nobody else came back"


async def test_a_room_that_nobody_can_come_back_to_lingers_empty(
    opened: Open, directory: Path, ends: Ends
) -> None:
    shelf = opened()
    await shelf.opens()
    await shelf.makes(precreated("BBBBBB"))
    await shelf.joins("BBBBBB")
    await written(shelf)
    await ends(shelf, directory)

    shelf = opened()
    assert (await shelf.looks()).expires_at == NOON + RESUME_WINDOW
    assert (await shelf.looks("BBBBBB")).expires_at == NOON + LATENT_AGE
    assert await shelf.active_rooms() == 0
    cleo = await shelf.joins(name="Cleo")
    assert (await shelf.looks()).participants[cleo].is_host
    shelf.clock.passes(RESUME_WINDOW)
    shelf.store.tidy()
    assert await is_there(shelf)


async def test_a_room_that_ended_stays_ended(opened: Open, directory: Path, ends: Ends) -> None:
    shelf = opened()
    ada = await shelf.opens()
    await written(shelf)
    assert codes_in(directory) == {CODE}
    await shelf.leaves(ada)
    await written(shelf)
    await ends(shelf, directory)
    assert codes_in(directory) == set()
    assert not await is_there(opened())


async def test_a_file_of_the_first_version_is_read_and_carried_on(
    opened: Open, told: Told, directory: Path
) -> None:
    room = {"code": CODE, "max_participants": 3, "creator_digest": b"d" * 32, "password": None}
    room |= {"is_precreated": True, "participants": {}, "waiting": {}, "locked_by": None}
    room |= {"recorders": [], "kicked": {}, "expires_at": NOON + 5}
    put(directory / "rooms.db", b"")
    with closing(sqlite3.connect(directory / "rooms.db")) as database, database:
        database.execute("CREATE TABLE rooms (code TEXT PRIMARY KEY, record BLOB NOT NULL)")
        database.execute("INSERT INTO rooms VALUES (?, ?)", (CODE, msgspec.msgpack.encode(room)))
        database.execute("PRAGMA user_version = 1")
    shelf = opened()
    read = await shelf.looks()
    assert (read.max_participants, read.expires_at) == (3, NOON + 5)
    await shelf.opens("BBBBBB")
    await shelf.store.stop({})
    assert codes_in(directory) == {CODE, "BBBBBB"}
    assert told() == []


BUSY = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = {path!r}
from mikroroom.core import room as rooms
from mikroroom.stores.journal import Journal

async def main():
    journal = Journal({directory!r})
    journal.open()
    number = 0
    while True:
        number += 1
        for name in "AAAAAA", "BBBBBB", f"C{{number:05}}":
            room = rooms.Room(code=name, max_participants=number, creator_digest=b"d")
            journal.put(room)
        if number > 1:
            journal.remove(f"C{{number - 1:05}}")
        await journal.write(room)
        print(number, flush=True)

asyncio.run(main())
"""


def killed_while_writing(directory: Path, after: int) -> int:
    """A process that writes all the time, until it is killed. Returns what it said it had written last."""
    script = BUSY.format(path=sys.path, directory=str(directory))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = [process.stdout.readline() for _ in range(after)]
        finally:
            process.kill()
        # Some of it may have been taken in with the lines before, where ``communicate`` does not look.
        said += [line for line in process.stdout if line.endswith("\n")]
    return int(said[-1])


@pytest.mark.parametrize("after", [1, 40, 90])
async def test_a_process_that_is_killed_while_it_writes_loses_nothing_it_said_was_written(
    directory: Path, told: Told, after: int
) -> None:
    last = killed_while_writing(directory, after)
    journal = Journal(str(directory))
    found = {room.code: room.max_participants for room in journal.open()}
    await journal.close({})
    assert last <= found["AAAAAA"] == found["BBBBBB"] <= last + 1
    churned = {code for code in found if code.startswith("C")}
    assert churned == {f"C{found['AAAAAA']:05}"}, "what is written together is there together"
    assert told() == []


# Writing behind


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, bytes | None]]:
    """What was written, each time."""
    batches: list[Mapping[str, bytes | None]] = []
    write = Database.write

    def watched(
        database: Database,
        batch: Mapping[str, bytes | None],
        taken: Mapping[str, bytes],
        *,
        is_promised: bool,
        chronicle: Changes | None = None,
    ) -> None:
        batches.append(batch)
        write(database, batch, taken, is_promised=is_promised, chronicle=chronicle)

    monkeypatch.setattr(Database, "write", watched)
    return batches


Batches = list[Mapping[str, bytes | None]]


@pytest.fixture
async def journal(directory: Path) -> AsyncIterator[Journal]:
    """A journal that was opened."""
    journal = Journal(str(directory))
    assert journal.open() == []
    yield journal
    await journal.close({})


def rooms_in(batch: Mapping[str, bytes | None]) -> list[Room | None]:
    return [
        None if record is None else msgspec.msgpack.decode(record, type=Room) for record in batch.values()
    ]


async def test_a_room_that_changes_is_on_the_disk_soon_without_anyone_asking(
    journal: Journal, directory: Path
) -> None:
    journal.put(adhoc())
    await until(lambda: CODE in codes_in(directory))
    journal.put(adhoc("BBBBBB"))
    journal.remove(CODE)
    await until(lambda: codes_in(directory) == {"BBBBBB"})


def test_a_crash_costs_no_more_than_was_promised() -> None:
    """R46: 200 ms; half of them are for the disk."""
    assert DELAY <= 0.1


async def test_many_changes_are_written_together_and_a_room_once_as_it_is_then(
    journal: Journal, batches: Batches
) -> None:
    room = adhoc()
    for number in range(500):
        room.max_participants = number
        journal.put(room)
        journal.put(adhoc(f"C{number % 20:05}"))
    room.max_participants = 1_000  # half done: the verb has not come to its end
    journal.put(room)
    await until(lambda: bool(batches))
    (batch,) = batches
    assert len(batch) == 21
    assert rooms_in(batch)[0] == room


async def test_what_changes_while_others_are_written_is_written_next(
    journal: Journal, batches: Batches, directory: Path
) -> None:
    room, gone = adhoc(), adhoc("GONEAA")
    journal.put(room)
    journal.put(gone)
    await writes(journal)
    room.max_participants = 77
    journal.put(room)
    journal.remove(gone.code)
    await until(lambda: not journal._changed and journal._flushing is None)
    assert codes_in(directory) == {CODE}
    (last,) = (room for batch in batches[-1:] for room in rooms_in(batch) if room)
    assert last.max_participants == 77


async def test_the_event_loop_goes_on_while_many_rooms_are_encoded(
    journal: Journal, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_SLICE", 10)
    turns, encoded_at = 0, set()
    encode = journal._encode

    def watched(room: Room) -> bytes:
        encoded_at.add(turns)
        return encode(room)

    journal._encode = watched
    for number in range(95):
        journal.put(adhoc(f"C{number:05}"))
    while not batches:
        turns += 1
        await asyncio.sleep(0)
    assert len(encoded_at) == 10
    assert [len(batch) for batch in batches] == [95]


async def test_a_room_that_came_and_went_is_never_written(journal: Journal, batches: Batches) -> None:
    journal.put(adhoc())
    journal.remove(CODE)
    journal.put(adhoc("BBBBBB"))
    await until(lambda: bool(batches))
    assert [set(batch) for batch in batches] == [{"BBBBBB"}]


async def test_who_waits_for_a_room_to_be_written_need_not_wait_for_the_timer(
    journal: Journal, batches: Batches, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_DELAY", 10 * PATIENCE)
    journal.put(adhoc("BBBBBB"))
    steps = [journal.write(precreated(f"M{number:05}")) for number in range(100)]
    async with asyncio.timeout(PATIENCE):
        for step in steps:
            await settled(step)
    assert len(codes_in(directory)) == 101
    assert len(batches) == 1, "they wait together"


async def test_who_stops_waiting_for_the_disk_leaves_the_others_to_wait(
    journal: Journal, directory: Path
) -> None:
    async def write(code: str) -> None:
        await settled(journal.write(precreated(code)))

    first, second, third = (asyncio.create_task(write(code)) for code in ("AAAAAA", "BBBBBB", "CCCCCC"))
    await asyncio.sleep(0)
    second.cancel()
    await first
    await third
    assert second.cancelled()
    assert codes_in(directory) == {"AAAAAA", "BBBBBB", "CCCCCC"}


async def test_who_waits_for_a_disk_that_cannot_be_written_to_is_answered(
    journal: Journal, told: Told, directory: Path
) -> None:
    with unwritable() as tries:
        steps = [journal.write(precreated(f"M{number:05}")) for number in range(100)]
        for step in steps:
            await settled(step)
        assert len(tries) <= 2
    assert told() == ["journal-failed"]
    assert journal.problem
    journal.retry()
    await until(lambda: len(codes_in(directory)) == 100)
    await until(lambda: journal.problem is None)


async def test_a_room_that_cannot_be_encoded_costs_only_itself(
    journal: Journal, told: Told, directory: Path
) -> None:
    journal.put(adhoc("AAAAAA"))
    journal.put(precreated("BROKEN", locked_by="\ud800"))
    journal.put(adhoc("CCCCCC"))
    await until(lambda: not journal._changed and journal._flushing is None)
    assert codes_in(directory) == {"AAAAAA", "CCCCCC"}
    assert told() == ["journal-record-unwritable"]


def test_what_was_under_way_on_a_loop_that_has_ended_is_done_on_the_next(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host site that never runs our lifespan may give each request a loop of its own."""
    # However slowly it ends, this is under way then.
    monkeypatch.setattr(journals, "_DELAY", 10 * PATIENCE)
    journal = Journal(str(directory))

    async def begin() -> None:
        journal.open()
        journal.put(adhoc("AAAAAA"))

    async def go_on() -> None:
        journal.put(adhoc("BBBBBB"))
        journal.retry()
        await until(lambda: codes_in(directory) == {"AAAAAA", "BBBBBB"})
        await journal.close({})

    asyncio.run(begin())
    asyncio.run(go_on())


# Stopping


async def test_what_has_just_changed_is_written_at_the_stop(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.opens("AAAAAA")
    await shelf.opens("BBBBBB")
    ada = await shelf.opens("CCCCCC")
    await shelf.leaves(ada, "CCCCCC")
    await shelf.store.stop({})
    assert codes_in(directory) == {"AAAAAA", "BBBBBB"}
    assert names_in(directory) == {"rooms.db", "lock"}


async def test_what_was_kept_is_there_once_after_a_stop(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.opens()
    await shelf.store.stop({"ada": KEPT, "bob": Kept(0, 0, 0, [])})

    shelf = opened()
    assert shelf.store.take_kept(CODE, "cleo") is None
    assert shelf.store.take_kept(CODE, "ada") == KEPT
    assert shelf.store.take_kept(CODE, "ada") is None
    await crashes(shelf, directory)
    shelf = opened()
    assert shelf.store.take_kept(CODE, "bob") is None, "a crash has come between"


async def test_how_much_had_come_of_whom_is_known_after_a_crash(
    opened: Open, directory: Path, ends: Ends
) -> None:
    shelf = opened()
    ada = await shelf.opens(resume_token="ada's")
    bob, cleo = await shelf.joins(), await shelf.joins(name="Cleo")
    for number in range(1, 58):
        shelf.store.note_taken(CODE, ada, number)
    shelf.store.note_taken(CODE, bob, 3)
    shelf.store.note_taken("GONE22", ada, 9)
    await until(lambda: taken_in(directory).get(CODE) == {ada: 57, bob: 3})
    await shelf.leaves(bob)
    shelf.store.note_taken(CODE, ada, 58)
    await until(lambda: taken_in(directory) == {CODE: {ada: 58}})
    await ends(shelf, directory)

    for _ in range(2):
        shelf = opened()
        kept = shelf.store.take_kept(CODE, ada)
        assert kept is not None
        assert (kept.last_client_seq, kept.messages, kept.is_whole) == (58, [], False)
        assert shelf.store.take_kept(CODE, cleo) is None
        assert shelf.store.take_kept("GONE22", ada) is None
        await crashes(shelf, directory)

    shelf = opened()
    shelf.clock.passes(RESUME_WINDOW)
    shelf.store.tidy()
    await until(lambda: taken_in(directory) == {})


async def test_how_much_had_come_is_written_when_the_disk_has_room_again(
    opened: Open, directory: Path, told: Told
) -> None:
    shelf = opened()
    ada = await shelf.opens()
    await written(shelf)
    await lets_go(shelf)
    with locked(directory):
        shelf.store.note_taken(CODE, ada, 7)
        await until(lambda: told() == ["journal-failed"])
    await tidied_until(shelf, lambda: taken_in(directory) == {CODE: {ada: 7}})


async def test_what_was_kept_is_there_although_the_rooms_are_locked_for_a_while(
    opened: Open, directory: Path
) -> None:
    shelf = opened()
    await shelf.opens()
    await shelf.store.stop({"ada": KEPT})
    with locked(directory):
        shelf = opened()
    assert shelf.store.take_kept(CODE, "ada") == KEPT
    await tidied_until_there(shelf)


async def test_what_was_kept_and_cannot_be_deleted_is_not_used_then_or_later(
    opened: Open, directory: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a crash would tell people again what they were told before."""
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop({"ada": KEPT})

    def refuse(kept: KeptFile) -> None:
        raise PermissionError("not allowed")

    with monkeypatch.context() as patch:
        patch.setattr(KeptFile, "delete", refuse)
        shelf = opened()
        assert shelf.store.take_kept(CODE, "ada") is None
        assert await is_there(shelf)
        await a_meeting_goes_on(shelf)
        assert told() == ["journal-failed"]
        assert codes_in(directory) == {CODE}, "or they would no longer be of one stop"
    await tidied_until(shelf, lambda: codes_in(directory) == {CODE, "MEETBB"})
    await crashes(shelf, directory)
    assert opened().store.take_kept(CODE, "ada") is None


async def test_more_than_there_is_time_for_is_kept_in_part(
    opened: Open, told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = opened()
    monkeypatch.setattr(journals, "_KEPT_PATIENCE", -1.0)
    await shelf.store.stop({"ada": KEPT, "bob": KEPT})
    assert "missing=2" in caplog.text
    assert told() == ["journal-kept-incomplete"]
    assert opened().store.take_kept(CODE, "ada") is None


async def test_a_file_that_became_locked_does_not_keep_the_store_from_stopping(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await lets_go(shelf)
    with locked(directory):
        await shelf.makes(precreated("BBBBBB"))
        async with asyncio.timeout(PATIENCE):
            await shelf.store.stop({"ada": KEPT})
    assert told() == ["journal-failed"]
    assert codes_in(directory) == {CODE}
    shelf = opened()
    assert shelf.store.take_kept(CODE, "ada") == KEPT


@pytest.mark.parametrize("stuck", ["write", "close", "save"])
async def test_a_disk_that_does_not_answer_does_not_keep_the_store_from_stopping(
    directory: Path, told: Told, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    answers = Event()
    where: Any = KeptFile if stuck == "save" else Database
    does = getattr(where, stuck)

    def does_at_last(*args: object, **kwargs: object) -> object:
        answers.wait(PATIENCE)
        return does(*args, **kwargs)

    monkeypatch.setattr(journals, "_STOP_PATIENCE", 0.1)
    shelf = Shelf(with_journal, directory)
    await written(shelf)
    monkeypatch.setattr(where, stuck, does_at_last)
    await shelf.opens()
    try:
        async with asyncio.timeout(PATIENCE / 2):
            await shelf.store.stop({"ada": KEPT})
        assert told() == ["journal-failed"]
        other = Shelf(with_journal, directory)
        assert told() == ["journal-unusable"], "what it may be writing yet is not to be read"
        await other.store.stop({})
    finally:
        answers.set()
        await until(lambda: not any(one.name == "mikroroom-journal" for one in threads()))


async def test_the_event_loop_goes_on_while_the_store_stops(opened: Open) -> None:
    shelf = opened()
    for number in range(600):
        await shelf.opens(f"C{number:05}")
    kept = {f"p{number}": Kept(1, 1, 1, [b"x" * 1_000] * 20) for number in range(500)}
    turns = 0
    stopping = asyncio.create_task(shelf.store.stop(kept))
    while not stopping.done():
        turns += 1
        await asyncio.sleep(0)
    await stopping
    assert turns > 10


async def test_a_store_that_was_stopped_and_started_writes_on(opened: Open, directory: Path) -> None:
    shelf = opened()
    ada = await shelf.opens()
    await shelf.store.stop({})
    shelf.start()
    await shelf.leaves(ada)
    await shelf.opens("BBBBBB")
    await written(shelf)
    assert codes_in(directory) == {"BBBBBB"}


# Secrets


async def test_the_files_are_their_owners_alone(opened: Open, directory: Path) -> None:
    before = os.umask(0)
    try:
        shelf = opened()
        await shelf.makes(precreated())
        assert mode(directory) == 0o700
        assert modes_in(directory) == {"rooms.db": 0o600, "rooms.db-wal": 0o600, "lock": 0o600}
        await shelf.store.stop({"ada": KEPT})
        assert modes_in(directory) == {"rooms.db": 0o600, "kept": 0o600, "lock": 0o600}
    finally:
        os.umask(before)


async def test_files_that_were_open_to_all_are_closed(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop({})
    (directory / "rooms.db").chmod(0o644)
    opened()
    assert mode(directory / "rooms.db") == 0o600
    assert await is_there(opened()) is False, "the one before still has the directory"


async def test_nothing_secret_can_be_read_from_the_disk(opened: Open, directory: Path) -> None:
    shelf = opened()
    password, resume_token = "correct horse battery staple", "7d9c1f6e-resume"
    sealed = secrets.seal(password, SALT)
    await shelf.makes(precreated(password=sealed))
    person = Newcomer(
        "ada", "Ada", "192.0.2.77", password, proof=sealed, creator_token=TOKEN, resume_token=resume_token
    )
    await settled(shelf.store.transact(CODE, joining(person)))
    await written(shelf)
    content = bytes_in(directory)
    for secret in (password, TOKEN, resume_token):
        assert secret.encode() not in content
    for digest in (sealed.digest, secrets.digest_token(resume_token), b"192.0.2.77"):
        assert digest in content, "looked in the right place"


async def test_what_people_were_told_is_on_the_disk_from_a_stop_to_the_next_start_only(
    opened: Open, directory: Path
) -> None:
    shelf = opened()
    await shelf.opens()
    await shelf.store.stop({"ada": KEPT})
    assert b"hello" in bytes_in(directory)
    shelf = opened()
    assert b"hello" not in bytes_in(directory)
    assert shelf.store.take_kept(CODE, "ada") == KEPT
    await shelf.store.stop({})
    assert b"hello" not in bytes_in(directory)


# Two on one directory


async def test_a_second_one_on_the_directory_is_told_so_and_works_without(
    opened: Open, told: Told, directory: Path
) -> None:
    first, second = opened(), opened()
    assert told() == ["journal-unusable"]
    await first.makes(precreated())
    await a_meeting_goes_on(second)
    assert not await is_there(second)
    await second.store.stop({})
    assert codes_in(directory) == {CODE}

    await first.store.stop({})
    third = opened()
    assert told() == []
    assert await is_there(third)


async def test_what_is_wrong_is_said_in_words(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    opened(), opened()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "another process uses this directory" in record.getMessage()
    assert "rooms do not survive a restart" in record.getMessage()


async def test_a_directory_is_free_again_after_a_stop(opened: Open, told: Told) -> None:
    for _ in range(3):
        shelf = opened()
        await shelf.store.stop({})
    assert told() == []
