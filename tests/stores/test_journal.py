"""Pre-created rooms on a disk: they survive, betray no secret, and a broken disk breaks no meeting."""

import asyncio
import logging
import os
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mikroroom.core import secrets
from mikroroom.core.room import Newcomer, Participant
from mikroroom.logs import Line
from mikroroom.protocol.codes import Refusal
from mikroroom.stores import journal as journals
from mikroroom.stores.journal import Journal
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import CodeTaken

from .shelf import (
    CODE,
    LATENT_AGE,
    NOON,
    TOKEN,
    Clock,
    Shelf,
    joining,
    precreated,
    settled,
    with_journal,
)

PATIENCE = 10.0
SALT = b"sixteen bytes..."

Open = Callable[[], Shelf]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is locked is not waited for long, and every line is looked at."""
    monkeypatch.setattr(journals, "_LOCK_PATIENCE", 0.01)
    caplog.set_level(logging.DEBUG, "mikroroom")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the journal is; not made yet."""
    return tmp_path / "state" / "mikroroom"


@pytest.fixture
async def opened(directory: Path) -> AsyncIterator[Open]:
    """A store on the directory; asked again, the first has stopped and another begins."""
    shelves: list[Shelf] = []

    def build() -> Shelf:
        shelves.append(Shelf(with_journal, directory))
        return shelves[-1]

    yield build
    for shelf in shelves:
        await shelf.store.stop()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The events in the log since the last time, except for rooms that came to their end."""

    def events() -> list[str]:
        lines = [record.msg for record in caplog.records if isinstance(record.msg, Line)]
        caplog.clear()
        return [line.event for line in lines if line.event != "room-removed"]

    return events


Told = Callable[[], list[str]]


async def crashes(shelf: Shelf) -> None:
    """End without a word, but let the next one have the file: nothing is written on the way."""
    store = shelf.store
    assert isinstance(store, MemoryStore) and store._journal is not None
    store._journal._pending.clear()
    await store.stop()


async def is_there(shelf: Shelf, code: str = CODE) -> bool:
    try:
        await shelf.looks(code)
    except Refusal:
        return False
    return True


async def a_meeting_goes_on(shelf: Shelf) -> None:
    """Whatever is wrong with the disk: rooms are made, entered and left."""
    ada = await shelf.opens("MEETAA")
    bob = await shelf.joins("MEETAA")
    await shelf.makes(precreated("MEETBB"))
    cleo = await shelf.joins("MEETBB")
    shelf.store.tidy()
    assert shelf.store.active_rooms() == 2
    await shelf.leaves(cleo, "MEETBB")
    await shelf.leaves(bob, "MEETAA")
    await shelf.leaves(ada, "MEETAA")
    assert await is_there(shelf, "MEETBB")


async def tidied_until(shelf: Shelf, happens: Callable[[], bool]) -> None:
    """Tidy, as the hub does every second, until it has helped."""
    async with asyncio.timeout(PATIENCE):
        while not happens():
            shelf.store.tidy()
            await asyncio.sleep(0.01)


def codes_in(directory: Path) -> set[str]:
    with closing(sqlite3.connect(directory / "rooms.db")) as database:
        return {code for (code,) in database.execute("SELECT code FROM rooms")}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes_in(directory: Path) -> dict[str, int]:
    return {path.name: mode(path) for path in directory.iterdir()}


def bytes_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# Surviving


async def test_pre_created_rooms_survive_a_restart(opened: Open, told: Told) -> None:
    shelf = opened()
    await shelf.makes(precreated(max_participants=3, password=secrets.seal("sesame", SALT)))
    await shelf.makes(precreated("BBBBBB"))
    await shelf.store.stop()

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
    await crashes(shelf)
    assert await is_there(opened())


async def test_ad_hoc_rooms_are_not_written(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.opens("AAAAAA")
    await shelf.makes(precreated())
    await shelf.store.stop()
    assert codes_in(directory) == {CODE}
    assert not await is_there(opened(), "AAAAAA")


@pytest.mark.parametrize("ends", [crashes, lambda shelf: shelf.store.stop()], ids=["crash", "stop"])
async def test_a_room_that_was_occupied_comes_back_empty(
    opened: Open, ends: Callable[[Shelf], object]
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.joins(name="Ada")
    await shelf.joins(name="Bob")
    await asyncio.to_thread(lambda: None)
    step = ends(shelf)
    assert asyncio.iscoroutine(step)
    await step

    shelf = opened()
    room = await shelf.looks()
    assert (room.participants, room.waiting, room.locked_by, room.recorders) == ({}, {}, None, [])
    assert room.expires_at is not None and NOON < room.expires_at <= NOON + LATENT_AGE
    assert shelf.store.active_rooms() == 0
    cleo = await shelf.joins(name="Cleo")
    assert (await shelf.looks()).participants[cleo].is_host


async def test_a_room_that_was_in_use_for_days_gets_the_whole_latent_age_anew(opened: Open) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    shelf.clock.passes(LATENT_AGE // 2)
    await shelf.joins()
    await shelf.store.stop()

    shelf = opened()
    assert (await shelf.looks()).expires_at == NOON + LATENT_AGE


async def test_the_time_of_a_room_that_emptied_counts_on_over_a_restart(opened: Open) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    bob = await shelf.joins()
    shelf.clock.passes(-LATENT_AGE // 2)
    await shelf.leaves(bob)
    await shelf.store.stop()

    shelf = opened()
    assert (await shelf.looks()).expires_at == NOON + LATENT_AGE // 2


async def test_rooms_whose_time_came_meanwhile_are_dropped(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated(expires_at=NOON + 1))
    await shelf.makes(precreated("BBBBBB"))
    await shelf.store.stop()

    clock = Clock()
    clock.passes(1)
    later = Shelf(lambda place, _, rooms, latent: with_journal(place, clock, rooms, latent), directory)
    assert not await is_there(later)
    assert await is_there(later, "BBBBBB")
    await later.store.stop()
    assert codes_in(directory) == {"BBBBBB"}


async def test_a_room_from_a_longer_latent_age_stands_in_nobodys_way(opened: Open, directory: Path) -> None:
    """Or from a clock that was wrong then: it must not outlive its time, nor keep others from ending."""
    shelf = opened()
    await shelf.makes(precreated("AAAAAA", expires_at=NOON + 1_000 * LATENT_AGE))
    await shelf.store.stop()

    shelf = opened()
    await shelf.makes(precreated("BBBBBB"))
    shelf.clock.passes(LATENT_AGE)
    shelf.store.tidy()
    assert not await is_there(shelf, "AAAAAA")
    await shelf.store.stop()
    assert codes_in(directory) == set()


async def test_removed_rooms_stay_removed(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.makes(precreated("BBBBBB", expires_at=NOON + 2 * LATENT_AGE))
    shelf.clock.passes(LATENT_AGE)
    shelf.store.tidy()
    assert not await is_there(shelf)
    await shelf.store.stop()
    assert codes_in(directory) == {"BBBBBB"}
    assert not await is_there(opened())


async def test_a_removed_room_made_anew_is_the_new_one(opened: Open) -> None:
    shelf = opened()
    await shelf.makes(precreated(max_participants=3))
    shelf.clock.passes(LATENT_AGE)
    shelf.store.tidy()
    await shelf.makes(precreated(max_participants=5, expires_at=shelf.clock() + LATENT_AGE))
    await shelf.store.stop()
    assert (await opened().looks()).max_participants == 5


async def test_many_rooms_made_at_once_are_all_written(opened: Open, directory: Path) -> None:
    shelf = opened()
    steps = [shelf.store.create(precreated(f"M{number:05}"), []) for number in range(200)]
    for step in steps:
        await settled(step)
    assert len(codes_in(directory)) == 200
    await shelf.store.stop()
    shelf = opened()
    for number in range(200):
        assert await is_there(shelf, f"M{number:05}")


# Secrets


async def test_the_files_are_their_owners_alone(opened: Open, directory: Path) -> None:
    before = os.umask(0)
    try:
        shelf = opened()
        await shelf.makes(precreated())
        assert mode(directory) == 0o700
        assert modes_in(directory) == {"rooms.db": 0o600, "lock": 0o600}
        with closing(sqlite3.connect(directory / "rooms.db", isolation_level=None)) as writer:
            # What SQLite keeps beside the file while it writes.
            writer.execute("BEGIN IMMEDIATE").execute("DELETE FROM rooms")
            assert modes_in(directory)["rooms.db-journal"] == 0o600
            writer.execute("ROLLBACK")
    finally:
        os.umask(before)


async def test_files_that_were_open_to_all_are_closed(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop()
    (directory / "rooms.db").chmod(0o644)
    opened()
    assert mode(directory / "rooms.db") == 0o600
    assert await is_there(opened()) is False, "the one before still has the directory"


async def test_nothing_secret_can_be_read_from_the_disk(opened: Open, directory: Path) -> None:
    shelf = opened()
    password, name = "correct horse battery staple", "Ada Lovelace-King"
    sealed = secrets.seal(password, SALT)
    await shelf.makes(precreated(password=sealed))
    person = Newcomer("ada", name, "192.0.2.77", password=password, proof=sealed, creator_token=TOKEN)
    await settled(shelf.store.transact(CODE, joining(person)))
    room = await shelf.looks()
    room.participants["bob"] = Participant("bob", name, "192.0.2.77")
    await shelf.makes(precreated("BBBBBB"))
    written = bytes_in(directory)
    assert CODE.encode() in written
    for secret in (password, TOKEN, name, "192.0.2.77"):
        assert secret.encode() not in written
    assert sealed.digest in written, "looked in the right place"


# Files that are no good


@pytest.mark.parametrize(
    "content",
    [b"this is no database", b"SQLite format 3\0" + b"\xff" * 4_096, os.urandom(64) * 100],
    ids=["text", "a broken header", "noise"],
)
async def test_a_corrupt_file_is_set_aside(opened: Open, told: Told, directory: Path, content: bytes) -> None:
    put(directory / "rooms.db", content)
    shelf = opened()
    assert told() == ["journal-unreadable"]
    assert (directory / "rooms.unreadable").read_bytes() == content
    await a_meeting_goes_on(shelf)
    await shelf.store.stop()
    assert await is_there(opened(), "MEETBB")
    assert told() == []


async def test_a_database_with_a_damaged_page_is_set_aside(opened: Open, told: Told, directory: Path) -> None:
    shelf = opened()
    for number in range(100):
        await shelf.makes(precreated(f"M{number:05}"))
    await shelf.store.stop()
    file = directory / "rooms.db"
    content = bytearray(file.read_bytes())
    content[4_096:] = b"\xa5" * (len(content) - 4_096)
    file.write_bytes(content)
    shelf = opened()
    assert told() == ["journal-unreadable"]
    await a_meeting_goes_on(shelf)
    await shelf.store.stop()
    assert codes_in(directory) == {"MEETBB"}


BROKEN_TEXT = b"\x87\xa4code\xa1\xff"  # a map whose first value is no UTF-8


@pytest.mark.parametrize(
    "record",
    ["x'c1'", "x'80'", "x''", f"x'{BROKEN_TEXT.hex()}'", "'text'", "CAST(x'ff' AS TEXT)", "5"],
    ids=["broken", "another struct", "empty", "broken text", "text", "text in no encoding", "number"],
)
async def test_a_record_that_is_no_room_stays_alone_and_the_others_come_back(
    opened: Open, caplog: pytest.LogCaptureFixture, directory: Path, record: str
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop()
    with closing(sqlite3.connect(directory / "rooms.db")) as database, database:
        database.execute(f"INSERT INTO rooms VALUES ('BBBBBB', {record})")
        database.execute(f"INSERT INTO rooms VALUES (CAST(x'ff' AS TEXT), {record})")
    caplog.clear()
    shelf = opened()
    lines = [entry.msg for entry in caplog.records if isinstance(entry.msg, Line)]
    assert [line.event for line in lines] == ["journal-record-unreadable"] * 2
    assert {line.fields["room"] for line in lines} == {"BBBBBB", "\ufffd"}
    assert await is_there(shelf)
    assert not await is_there(shelf, "BBBBBB")
    await a_meeting_goes_on(shelf)
    await shelf.store.stop()
    with closing(sqlite3.connect(directory / "rooms.db")) as database:
        (kept,) = database.execute(f"SELECT count(*) FROM rooms WHERE record IS {record}").fetchone()
    assert kept == 2, "for who can read them"
    assert await is_there(opened(), "MEETBB")


async def test_a_file_set_aside_does_not_replace_one_set_aside_before(
    opened: Open, told: Told, directory: Path
) -> None:
    contents = [b"the first", b"the second", b"the third"]
    for content in contents:
        put(directory / "rooms.db", content)
        await opened().store.stop()
    assert told() == ["journal-unreadable"] * 3
    names = ["rooms.unreadable", "rooms.unreadable.1", "rooms.unreadable.2"]
    assert [(directory / name).read_bytes() for name in names] == contents


async def test_a_file_that_cannot_be_set_aside_is_left_alone(
    opened: Open, told: Told, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(f"not allowed: {target}")

    put(directory / "rooms.db", b"this is no database")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        shelf = opened()
        await a_meeting_goes_on(shelf)
        assert told() == ["journal-failed"]
        assert (directory / "rooms.db").read_bytes() == b"this is no database"
    await tidied_until(shelf, (directory / "rooms.unreadable").exists)
    assert sorted(told()) == ["journal-recovered", "journal-unreadable"]
    await shelf.store.stop()
    assert codes_in(directory) == {"MEETBB"}


async def test_a_file_of_another_version_is_set_aside_whole(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop()
    with closing(sqlite3.connect(directory / "rooms.db")) as database:
        database.execute("PRAGMA user_version = 99")
    shelf = opened()
    assert not await is_there(shelf)
    assert told() == ["journal-unreadable"]
    with closing(sqlite3.connect(directory / "rooms.unreadable")) as database:
        assert database.execute("SELECT code FROM rooms").fetchall() == [(CODE,)], "for who can read it"
    await a_meeting_goes_on(shelf)


async def test_a_directory_that_is_a_file_is_a_clear_line(opened: Open, told: Told, directory: Path) -> None:
    put(directory, b"in the way")
    shelf = opened()
    assert told() == ["journal-unusable"]
    await a_meeting_goes_on(shelf)
    assert told() == []
    assert bytes_in(directory.parent) == b"in the way"


@pytest.mark.parametrize(
    "name", ["a\0b", "\ud800", "x" * 300], ids=["a NUL byte", "half a letter", "too long"]
)
async def test_a_directory_that_cannot_be_is_a_clear_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    shelf = Shelf(with_journal, tmp_path / name)
    (record,) = caplog.records
    assert record.getMessage().startswith("journal-unusable ") and record.exc_info is None
    assert record.getMessage().isprintable()
    await a_meeting_goes_on(shelf)
    await shelf.store.stop()


async def test_a_file_that_is_a_directory_is_a_clear_line(opened: Open, told: Told, directory: Path) -> None:
    (directory / "rooms.db").mkdir(parents=True)
    shelf = opened()
    assert told() == ["journal-failed"]
    await a_meeting_goes_on(shelf)
    assert told() == []
    (directory / "rooms.db").rmdir()
    await tidied_until(shelf, (directory / "rooms.db").exists)
    await shelf.store.stop()
    assert codes_in(directory) == {"MEETBB"}


# Disks that are no good


@contextmanager
def locked(directory: Path, *, even_for_readers: bool = False) -> Iterator[None]:
    """Another program is writing to the file all the while."""
    with closing(sqlite3.connect(directory / "rooms.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE" if even_for_readers else "BEGIN IMMEDIATE")
        yield


async def test_what_cannot_be_written_now_is_written_later(opened: Open, told: Told, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated("AAAAAA"))
    with locked(directory):
        await a_meeting_goes_on(shelf)
        for _ in range(3):
            shelf.store.tidy()
            await asyncio.sleep(0.02)
        assert codes_in(directory) == {"AAAAAA"}
        assert told() == ["journal-failed"], "once is enough"
    await tidied_until(shelf, lambda: "MEETBB" in codes_in(directory))
    await tidied_until(shelf, lambda: told() == ["journal-recovered"])


async def test_a_removal_that_could_not_be_written_is_written_later(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    with locked(directory):
        shelf.clock.passes(LATENT_AGE)
        shelf.store.tidy()
        await shelf.makes(precreated("BBBBBB", expires_at=shelf.clock() + LATENT_AGE))
        assert codes_in(directory) == {CODE}
    await tidied_until(shelf, lambda: codes_in(directory) == {"BBBBBB"})


async def test_what_could_not_be_written_is_written_at_the_stop(opened: Open, directory: Path) -> None:
    shelf = opened()
    with locked(directory):
        await shelf.makes(precreated())
    await shelf.store.stop()
    assert codes_in(directory) == {CODE}


async def test_a_file_locked_for_good_does_not_keep_the_store_from_stopping(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    with locked(directory):
        await shelf.makes(precreated("BBBBBB"))
        async with asyncio.timeout(PATIENCE):
            await shelf.store.stop()
    assert told() == ["journal-failed"]


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each try to get at the file may wait, for files that are waited for a little longer."""
    tries: list[float] = []
    connect = Journal._connect

    def counted(journal: Journal, patience: float) -> sqlite3.Connection:
        tries.append(patience)
        return connect(journal, patience)

    monkeypatch.setattr(journals, "_LOCK_PATIENCE", 0.3)
    monkeypatch.setattr(Journal, "_connect", counted)
    return tries


async def test_however_many_wait_for_a_locked_file_they_wait_together(
    opened: Open, told: Told, directory: Path, tries: list[float]
) -> None:
    shelf = opened()
    with locked(directory):
        del tries[:]
        steps = [shelf.store.create(precreated(f"M{number:05}"), []) for number in range(100)]
        for step in steps:
            await settled(step)
        assert len(tries) <= 2, "one that runs, and one for all that came meanwhile"
        del tries[:]
        for number in range(100):
            shelf.store.create(precreated(f"N{number:05}"), [])
        await shelf.store.stop()
        assert len(tries) <= 2
    assert told() == ["journal-failed"]


async def test_who_stops_waiting_for_the_file_leaves_the_others_to_wait(
    opened: Open, directory: Path, tries: list[float]
) -> None:
    shelf = opened()
    with locked(directory):
        first, second, third = (
            asyncio.create_task(shelf.makes(precreated(code))) for code in ("AAAAAA", "BBBBBB", "CCCCCC")
        )
        await asyncio.sleep(0.1)
        second.cancel()
        await asyncio.sleep(0)
    await first
    await third
    assert second.cancelled()
    await tidied_until(shelf, lambda: codes_in(directory) == {"AAAAAA", "BBBBBB", "CCCCCC"})


async def test_a_file_that_is_locked_at_the_start_is_read_once_it_is_free(
    opened: Open, told: Told, directory: Path, tries: list[float]
) -> None:
    shelf = opened()
    await shelf.makes(precreated("LATERR", expires_at=NOON + 3_000))
    await shelf.makes(precreated("SOONER", expires_at=NOON + 1_000))
    await shelf.makes(precreated("EXPIRE", expires_at=NOON + 1))
    await shelf.makes(precreated("LONGER", expires_at=NOON + 1_000 * LATENT_AGE))
    await crashes(shelf)

    with locked(directory, even_for_readers=True):
        shelf = opened()
        assert not await is_there(shelf, "LATERR")
        del tries[:]
        await a_meeting_goes_on(shelf)
        assert tries and not any(tries), "the event loop does not wait for a file"
        assert told() == ["journal-failed"]
    assert codes_in(directory) == {"LATERR", "SOONER", "EXPIRE", "LONGER"}
    shelf.clock.passes(1)
    shelf.store.tidy()
    assert told() == ["journal-recovered"]
    assert (await shelf.looks("LONGER")).expires_at == shelf.clock() + LATENT_AGE
    assert not await is_there(shelf, "EXPIRE")
    shelf.clock.passes(1_000)
    shelf.store.tidy()
    await tidied_until(shelf, lambda: codes_in(directory) == {"LATERR", "LONGER", "MEETBB"})
    assert await is_there(shelf, "LATERR")
    assert told() == []


async def test_what_was_made_or_removed_before_the_file_was_read_is_newer(
    opened: Open, directory: Path
) -> None:
    shelf = opened()
    for code in ("MADEAA", "REMOVD", "STORED"):
        await shelf.makes(precreated(code, max_participants=3))
    await shelf.store.stop()

    with locked(directory, even_for_readers=True):
        shelf = opened()
        await shelf.makes(precreated("MADEAA", max_participants=5))
        await shelf.makes(precreated("REMOVD", max_participants=5, expires_at=NOON + 1))
        shelf.clock.passes(1)
        shelf.store.tidy()
    with pytest.raises(CodeTaken):
        shelf.store.create(precreated("STORED", max_participants=5), [])
    assert not await is_there(shelf, "REMOVD")
    await shelf.store.stop()

    assert codes_in(directory) == {"MADEAA", "STORED"}
    shelf = opened()
    assert (await shelf.looks("MADEAA")).max_participants == 5
    assert (await shelf.looks("STORED")).max_participants == 3


@pytest.mark.parametrize("freed", ["before the stop", "after the stop"])
async def test_a_stop_before_the_file_could_be_read_loses_nothing_that_was_in_it(
    opened: Open, directory: Path, freed: str
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop()

    with locked(directory, even_for_readers=True):
        shelf = opened()
        await shelf.makes(precreated("BBBBBB"))
        if freed == "after the stop":
            await shelf.store.stop()
    await shelf.store.stop()
    assert codes_in(directory) == ({CODE} if freed == "after the stop" else {CODE, "BBBBBB"})
    assert await is_there(opened())


async def test_a_file_that_could_not_be_read_is_set_aside_if_then_it_is_no_good(
    opened: Open, told: Told, directory: Path
) -> None:
    (directory / "rooms.db").mkdir(parents=True)
    shelf = opened()
    await a_meeting_goes_on(shelf)
    (directory / "rooms.db").rmdir()
    (directory / "rooms.db").write_bytes(b"this is no database")
    assert told() == ["journal-failed"]
    await shelf.store.stop()
    assert sorted(told()) == ["journal-recovered", "journal-unreadable"]
    assert (directory / "rooms.unreadable").read_bytes() == b"this is no database"
    assert codes_in(directory) == {"MEETBB"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk of so many bytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except OSError as error:
            pytest.skip(f"cannot mount a disk: {error}")
        if done.returncode:
            pytest.skip(f"cannot mount a disk: {done.stderr.strip()}")
        mounted = True
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", "--lazy", str(place)], timeout=PATIENCE, check=True)


async def test_on_a_full_disk_rooms_are_made_and_written_once_there_is_space(
    small_disk: Callable[[str], Path], told: Told
) -> None:
    directory = small_disk("size=256k") / "state"
    shelf = Shelf(with_journal, directory)
    await shelf.makes(precreated("AAAAAA"))
    ballast = fill(directory.parent)
    for number in range(20):
        await shelf.makes(precreated(f"M{number:05}", password=secrets.Password(b"x" * 3_000, b"")))
    await a_meeting_goes_on(shelf)
    assert told() == ["journal-failed"]

    ballast.unlink()
    assert "AAAAAA" in codes_in(directory), "what was written is whole"
    await tidied_until(shelf, lambda: len(codes_in(directory)) == 22)
    await tidied_until(shelf, lambda: told() == ["journal-recovered"])
    await shelf.store.stop()
    shelf = Shelf(with_journal, directory)
    assert await is_there(shelf, "M00019")
    await shelf.store.stop()


async def test_a_start_on_a_full_disk_has_the_rooms_that_were_written(
    small_disk: Callable[[str], Path], told: Told
) -> None:
    directory = small_disk("size=256k") / "state"
    shelf = Shelf(with_journal, directory)
    await shelf.makes(precreated())
    await shelf.store.stop()
    ballast = fill(directory.parent)
    again = Shelf(with_journal, directory)
    assert await is_there(again)
    assert told() == []
    ballast.unlink()
    await again.store.stop()


async def test_a_start_on_a_full_disk_is_a_clear_line(small_disk: Callable[[str], Path], told: Told) -> None:
    directory = small_disk("size=64k") / "state"
    directory.mkdir(mode=0o700)
    (directory / "lock").touch()
    ballast = fill(directory.parent)
    shelf = Shelf(with_journal, directory)
    await a_meeting_goes_on(shelf)
    assert told() == ["journal-failed"]
    ballast.unlink()
    await tidied_until(shelf, lambda: told() == ["journal-recovered"])
    assert codes_in(directory) == {"MEETBB"}
    await shelf.store.stop()


async def test_a_disk_that_is_read_only_is_a_clear_line(
    small_disk: Callable[[str], Path], told: Told
) -> None:
    directory = small_disk("size=256k,ro") / "state"
    shelf = Shelf(with_journal, directory)
    await a_meeting_goes_on(shelf)
    assert told() == ["journal-unusable"]
    await shelf.store.stop()


def fill(place: Path) -> Path:
    """Use up every byte that is left on a disk."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4_096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


# Two on one directory


async def test_a_second_one_on_the_directory_is_told_so_and_works_without(
    opened: Open, told: Told, directory: Path
) -> None:
    first, second = opened(), opened()
    assert told() == ["journal-unusable"]
    await first.makes(precreated())
    await a_meeting_goes_on(second)
    assert not await is_there(second)
    await second.store.stop()
    assert codes_in(directory) == {CODE}

    await first.store.stop()
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
        await shelf.store.stop()
    assert told() == []
