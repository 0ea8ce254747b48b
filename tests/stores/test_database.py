"""The journal's file is no good, or its disk: a clear line, and no meeting is broken."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from mikroroom.core import secrets
from mikroroom.logs import Line
from mikroroom.stores.port import CodeTaken

from .disks import (
    Mount,
    Open,
    Told,
    a_meeting_goes_on,
    codes_in,
    crashes,
    fill,
    is_there,
    journal_of,
    lets_go,
    locked,
    names_in,
    put,
    tidied_until,
    tidied_until_there,
    tried,
    until,
    unwritable,
    written,
)
from .shelf import CODE, LATENT_AGE, NOON, Shelf, precreated, with_journal

pytestmark = pytest.mark.usefixtures("impatient")


def lines_in(caplog: pytest.LogCaptureFixture) -> list[Line]:
    return [entry.msg for entry in caplog.records if isinstance(entry.msg, Line)]


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
    await shelf.store.stop({})
    assert await is_there(opened(), "MEETBB")
    assert told() == []


async def test_a_database_with_a_damaged_page_is_set_aside(opened: Open, told: Told, directory: Path) -> None:
    shelf = opened()
    for number in range(100):
        await shelf.makes(precreated(f"M{number:05}"))
    await shelf.store.stop({})
    file = directory / "rooms.db"
    content = bytearray(file.read_bytes())
    content[4_096:] = b"\xa5" * (len(content) - 4_096)
    file.write_bytes(content)
    shelf = opened()
    assert told() == ["journal-unreadable"]
    await a_meeting_goes_on(shelf)
    await shelf.store.stop({})
    assert codes_in(directory) == {"MEETBB"}


BROKEN_TEXT = b"\x87\xa4code\xa1\xff"  # a map whose first value is no UTF-8
TOO_DEEP = b"\x81\xa1x" + b"\x91" * 100_000 + b"\x01"


@pytest.mark.parametrize(
    "record",
    [
        "x'c1'",
        "x'80'",
        "x''",
        f"x'{BROKEN_TEXT.hex()}'",
        f"x'{TOO_DEEP.hex()}'",
        "'text'",
        "CAST(x'ff' AS TEXT)",
        "5",
    ],
    ids=[
        "broken",
        "another struct",
        "empty",
        "broken text",
        "too deep",
        "text",
        "text in no encoding",
        "number",
    ],
)
async def test_a_record_that_is_no_room_stays_alone_and_the_others_come_back(
    opened: Open, caplog: pytest.LogCaptureFixture, directory: Path, record: str
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop({})
    with closing(sqlite3.connect(directory / "rooms.db")) as database, database:
        database.execute(f"INSERT INTO rooms VALUES ('BBBBBB', {record})")
        database.execute(f"INSERT INTO rooms VALUES (CAST(x'ff' AS TEXT), {record})")
    caplog.clear()
    shelf = opened()
    lines = lines_in(caplog)
    assert [line.event for line in lines] == ["journal-record-unreadable"] * 2
    assert {line.fields["room"] for line in lines} == {"BBBBBB", "\ufffd"}
    assert await is_there(shelf)
    assert not await is_there(shelf, "BBBBBB")
    await a_meeting_goes_on(shelf)
    await shelf.store.stop({})
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
        await opened().store.stop({})
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
    await tidied_until(shelf, lambda: told()[-1:] == ["journal-recovered"])
    await shelf.store.stop({})
    assert codes_in(directory) == {"MEETBB"}


async def test_a_file_of_another_version_is_set_aside_whole(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop({})
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
    assert names_in(directory.parent) == {directory.name}


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
    await shelf.store.stop({})


async def test_a_file_that_is_a_directory_is_a_clear_line(opened: Open, told: Told, directory: Path) -> None:
    (directory / "rooms.db").mkdir(parents=True)
    shelf = opened()
    assert told() == ["journal-failed"]
    await a_meeting_goes_on(shelf)
    assert told() == []
    (directory / "rooms.db").rmdir()
    await tidied_until(shelf, (directory / "rooms.db").exists)
    await shelf.store.stop({})
    assert codes_in(directory) == {"MEETBB"}


# Disks that are no good


async def test_what_cannot_be_written_now_is_written_later(opened: Open, told: Told, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated("AAAAAA"))
    with unwritable() as tries:
        await a_meeting_goes_on(shelf)
        await tidied_until(shelf, lambda: len(tries) > 3)
        assert codes_in(directory) == {"AAAAAA"}
        assert told() == ["journal-failed"], "once is enough"
    await tidied_until(shelf, lambda: "MEETBB" in codes_in(directory))
    await tidied_until(shelf, lambda: told() == ["journal-recovered"])


async def test_a_removal_that_could_not_be_written_is_written_later(opened: Open, directory: Path) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    with unwritable():
        shelf.clock.passes(LATENT_AGE)
        shelf.store.tidy()
        await shelf.makes(precreated("BBBBBB", expires_at=shelf.clock() + LATENT_AGE))
        assert codes_in(directory) == {CODE}
    await tidied_until(shelf, lambda: codes_in(directory) == {"BBBBBB"})


async def test_what_could_not_be_written_is_written_at_the_stop(opened: Open, directory: Path) -> None:
    shelf = opened()
    with unwritable():
        await shelf.makes(precreated())
    await shelf.store.stop({})
    assert codes_in(directory) == {CODE}


async def test_rooms_that_come_and_go_while_nothing_can_be_written_leave_nothing_to_be_written(
    opened: Open, directory: Path
) -> None:
    """Or a disk that is full for days would fill the memory as well."""
    shelf = opened()
    await shelf.opens("STAYED")
    await written(shelf)
    with unwritable() as tries:
        await shelf.makes(precreated())
        for number in range(50):
            code = f"C{number:05}"
            await shelf.leaves(await shelf.opens(code), code)
            shelf.store.tidy()
            await asyncio.sleep(0)
        count = len(tries)
        await tidied_until(shelf, lambda: len(tries) > count + 2)
        assert tries[-1] == 1
    await tidied_until(shelf, lambda: codes_in(directory) == {"STAYED", CODE})


async def test_a_removal_during_a_write_that_fails_leaves_nothing_to_be_written(
    opened: Open, directory: Path
) -> None:
    shelf = opened()
    failing = Event()
    with unwritable(failing) as tries:
        ada = await shelf.opens()
        await until(lambda: bool(tries))
        await shelf.leaves(ada)
        failing.set()
        await tidied_until(
            shelf, lambda: not journal_of(shelf)._changed and journal_of(shelf)._flushing is None
        )
    assert codes_in(directory) == set()


async def test_rooms_that_come_and_go_before_the_file_is_read_leave_nothing_to_be_written(
    opened: Open, directory: Path
) -> None:
    shelf = opened()
    await shelf.store.stop({})
    with locked(directory):
        shelf = opened()
        await shelf.opens("STAYED")
        for number in range(50):
            code = f"C{number:05}"
            await shelf.leaves(await shelf.opens(code), code)
        assert set(journal_of(shelf)._changed) == {"STAYED"}
    await tidied_until(shelf, lambda: codes_in(directory) == {"STAYED"})


async def test_a_file_that_is_locked_at_the_start_is_read_once_it_is_free(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    await shelf.makes(precreated("LATERR", expires_at=NOON + 3_000))
    await shelf.makes(precreated("SOONER", expires_at=NOON + 1_000))
    await shelf.makes(precreated("EXPIRE", expires_at=NOON + 1))
    await shelf.makes(precreated("LONGER", expires_at=NOON + 1_000 * LATENT_AGE))
    await crashes(shelf, directory)

    with locked(directory):
        shelf = opened()
        assert not await is_there(shelf, "LATERR")
        await a_meeting_goes_on(shelf)
        assert told() == ["journal-failed"]
    assert codes_in(directory) == {"LATERR", "SOONER", "EXPIRE", "LONGER"}
    shelf.clock.passes(1)
    await tidied_until(shelf, lambda: told() == ["journal-recovered"])
    latest = (await shelf.looks("LONGER")).expires_at
    assert latest is not None and latest <= shelf.clock() + LATENT_AGE
    assert not await is_there(shelf, "EXPIRE")
    shelf.clock.passes(1_000)
    shelf.store.tidy()
    await tidied_until(shelf, lambda: codes_in(directory) == {"LATERR", "LONGER", "MEETBB"})
    assert await is_there(shelf, "LATERR")
    assert told() == []


async def test_what_was_made_before_the_file_was_read_is_newer(opened: Open, directory: Path) -> None:
    """And what was made and removed is no reason to break a promise."""
    shelf = opened()
    for code in ("MADEAA", "REMOVD", "STORED"):
        await shelf.makes(precreated(code, max_participants=3))
    await shelf.store.stop({})

    with locked(directory):
        shelf = opened()
        await shelf.makes(precreated("MADEAA", max_participants=5))
        await shelf.leaves(await shelf.opens("REMOVD"), "REMOVD")
    await tidied_until_there(shelf, "STORED")
    with pytest.raises(CodeTaken):
        shelf.store.create(precreated("STORED", max_participants=5), [])
    assert (await shelf.looks("MADEAA")).max_participants == 5
    assert (await shelf.looks("REMOVD")).max_participants == 3
    await shelf.store.stop({})

    shelf = opened()
    assert (await shelf.looks("MADEAA")).max_participants == 5
    assert (await shelf.looks("STORED")).max_participants == 3


@pytest.mark.parametrize("freed", ["before the stop", "after the stop"])
async def test_a_stop_before_the_file_could_be_read_loses_nothing_that_was_in_it(
    opened: Open, directory: Path, freed: str
) -> None:
    shelf = opened()
    await shelf.makes(precreated())
    await shelf.store.stop({})

    with locked(directory):
        shelf = opened()
        await shelf.makes(precreated("BBBBBB"))
        if freed == "after the stop":
            await shelf.store.stop({})
    await shelf.store.stop({})
    assert codes_in(directory) == ({CODE} if freed == "after the stop" else {CODE, "BBBBBB"})
    assert await is_there(opened())


async def test_a_file_that_could_not_be_read_is_set_aside_if_then_it_is_no_good(
    opened: Open, told: Told, directory: Path
) -> None:
    (directory / "rooms.db").mkdir(parents=True)
    shelf = opened()
    await a_meeting_goes_on(shelf)
    await tried(shelf)
    (directory / "rooms.db").rmdir()
    (directory / "rooms.db").write_bytes(b"this is no database")
    assert told() == ["journal-failed"]
    await shelf.store.stop({})
    assert sorted(told()) == ["journal-recovered", "journal-unreadable"]
    assert (directory / "rooms.unreadable").read_bytes() == b"this is no database"
    assert codes_in(directory) == {"MEETBB"}


async def test_on_a_full_disk_rooms_are_made_and_written_once_there_is_space(
    small_disk: Mount, told: Told
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
    await shelf.store.stop({})
    shelf = Shelf(with_journal, directory)
    assert await is_there(shelf, "M00019")
    await shelf.store.stop({})


async def test_a_start_on_a_full_disk_has_the_rooms_that_were_written(small_disk: Mount, told: Told) -> None:
    directory = small_disk("size=256k") / "state"
    shelf = Shelf(with_journal, directory)
    await shelf.makes(precreated())
    await shelf.store.stop({})
    ballast = fill(directory.parent)
    again = Shelf(with_journal, directory)
    assert await is_there(again)
    assert told() == []
    ballast.unlink()
    await again.store.stop({})


async def test_a_start_on_a_full_disk_is_a_clear_line(small_disk: Mount, told: Told) -> None:
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
    await shelf.store.stop({})


async def test_a_start_on_a_full_disk_after_a_crash_has_the_rooms_that_were_written(
    small_disk: Mount, told: Told
) -> None:
    """They are in the log that SQLite keeps beside the file."""
    directory = small_disk("size=512k") / "state"
    shelf = Shelf(with_journal, directory)
    await shelf.makes(precreated())
    await shelf.opens("AAAAAA")
    await written(shelf)
    await crashes(shelf, directory)
    assert (directory / "rooms.db-wal").stat().st_size
    ballast = fill(directory.parent)
    again = Shelf(with_journal, directory)
    assert await is_there(again)
    assert await is_there(again, "AAAAAA")
    ballast.unlink()
    await again.store.stop({})
    assert "journal-unreadable" not in told()


@pytest.mark.parametrize("ended", ["a stop", "a crash"])
async def test_a_start_on_a_disk_that_became_read_only_has_the_rooms_and_writes_them_later(
    small_disk: Mount, told: Told, ended: str
) -> None:
    directory = small_disk("size=512k") / "state"
    shelf = Shelf(with_journal, directory)
    await shelf.makes(precreated())
    if ended == "a stop":
        await shelf.store.stop({})
    else:
        await crashes(shelf, directory)
    small_disk("ro")
    again = Shelf(with_journal, directory)
    assert await is_there(again)
    await a_meeting_goes_on(again)
    again.store.tidy()
    assert told() == ["journal-failed"]

    small_disk("rw")
    await tidied_until(again, lambda: codes_in(directory) == {CODE, "MEETBB"})
    await tidied_until(again, lambda: told() == ["journal-recovered"])
    await again.store.stop({})


async def test_a_disk_that_is_read_only_is_a_clear_line(small_disk: Mount, told: Told) -> None:
    directory = small_disk("size=256k,ro") / "state"
    shelf = Shelf(with_journal, directory)
    await a_meeting_goes_on(shelf)
    assert told() == ["journal-unusable"]
    await shelf.store.stop({})


# Under our hands


async def test_a_file_that_is_deleted_under_our_hands_is_made_anew_whole(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    await shelf.makes(precreated("AAAAAA"))
    await shelf.opens("BBBBBB")
    await written(shelf)
    (directory / "rooms.db").unlink()
    await shelf.opens("CCCCCC")
    await tidied_until(shelf, (directory / "rooms.db").exists)
    await tidied_until(shelf, lambda: told()[-1:] == ["journal-recovered"])
    await tidied_until(shelf, lambda: codes_in(directory) == {"AAAAAA", "BBBBBB", "CCCCCC"})


async def test_a_log_that_is_deleted_under_our_hands_costs_nothing(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    await shelf.makes(precreated("AAAAAA"))
    (directory / "rooms.db-wal").unlink()
    await shelf.opens("BBBBBB")
    await until(lambda: "journal-failed" in told())
    await tidied_until(shelf, lambda: told()[-1:] == ["journal-recovered"])
    await written(shelf)
    assert codes_in(directory) == {"AAAAAA", "BBBBBB"}
    await crashes(shelf, directory)
    assert await is_there(opened(), "BBBBBB")


async def test_a_file_that_is_replaced_under_our_hands_is_read_before_it_is_written(
    opened: Open, directory: Path, tmp_path: Path
) -> None:
    """Somebody has put back a copy of it."""
    shelf = Shelf(with_journal, tmp_path / "copy")
    await shelf.makes(precreated("BACKED", max_participants=3))
    await shelf.makes(precreated("AAAAAA", max_participants=3))
    await shelf.store.stop({})
    shelf = opened()
    await shelf.makes(precreated("AAAAAA", max_participants=5))
    (tmp_path / "copy" / "rooms.db").replace(directory / "rooms.db")
    (directory / "rooms.db-wal").unlink()
    await shelf.opens("BBBBBB")
    await tidied_until_there(shelf, "BACKED")
    await tidied_until(shelf, lambda: codes_in(directory) == {"AAAAAA", "BACKED", "BBBBBB"})
    assert (await shelf.looks("AAAAAA")).max_participants == 5


async def test_a_file_that_is_damaged_under_our_hands_is_set_aside_and_made_anew_whole(
    opened: Open, told: Told, directory: Path
) -> None:
    shelf = opened()
    codes = {f"M{number:05}" for number in range(100)}
    for code in codes:
        await shelf.makes(precreated(code))
    await lets_go(shelf)
    (directory / "rooms.db").write_bytes(b"this is no database")
    await shelf.makes(precreated("BBBBBB"))
    assert told() == ["journal-unreadable", "journal-failed"]
    assert (directory / "rooms.unreadable").exists()
    await tidied_until(shelf, (directory / "rooms.db").exists)
    await tidied_until(shelf, lambda: codes_in(directory) == codes | {"BBBBBB"})
    assert told() == ["journal-recovered"]


@pytest.mark.parametrize("damage", [b"", b"\xa5" * 32, b"\xa5" * 1_000], ids=["cut", "header", "frame"])
async def test_a_log_that_is_damaged_costs_what_was_in_it_and_no_start(
    opened: Open, told: Told, directory: Path, damage: bytes
) -> None:
    shelf = opened()
    await shelf.makes(precreated("AAAAAA"))
    await shelf.store.stop({})
    shelf = opened()
    await shelf.makes(precreated("BBBBBB"))
    await crashes(shelf, directory)
    log = directory / "rooms.db-wal"
    content = log.read_bytes()
    log.write_bytes(damage + content[len(damage) :] if damage else content[:100])
    shelf = opened()
    assert await is_there(shelf, "AAAAAA")
    assert not await is_there(shelf, "BBBBBB")
    assert told() == []
    await a_meeting_goes_on(shelf)
