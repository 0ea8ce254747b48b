"""What is on a disk, and what can befall it while a journal is there."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import msgspec
import pytest

from mikroroom.protocol.codes import Refusal
from mikroroom.stores.chronicle import Changes
from mikroroom.stores.database import Database
from mikroroom.stores.journal import Journal
from mikroroom.stores.memory import MemoryStore

from .shelf import CODE, Shelf, precreated

PATIENCE = 20.0

Open = Callable[[], Shelf]
Told = Callable[[], list[str]]
Mount = Callable[[str], Path]


# How often a file is looked at that is being written to all the while.
LOOKS = 1_000


def content_of(path: Path) -> bytes | None:
    """What is in a file; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def copy_database(directory: Path, place: Path) -> None:
    """The file and its log as they are together, though they may be written to, or deleted, meanwhile."""
    for _ in range(LOOKS):
        base, log = (content_of(directory / name) for name in ("rooms.db", "rooms.db-wal"))
        if content_of(directory / "rooms.db") == base:
            break
    for name, content in (("rooms.db", base), ("rooms.db-wal", log)):
        if content is not None:
            (place / name).write_bytes(content)


def codes_in(directory: Path) -> set[str]:
    """The rooms that a start would find now. The file itself is its holder's alone."""
    with TemporaryDirectory() as place:
        copy_database(directory, Path(place))
        with closing(sqlite3.connect(Path(place) / "rooms.db")) as database:
            if not database.execute("PRAGMA table_info(rooms)").fetchone():
                return set()  # it is just being made
            return {code for (code,) in database.execute("SELECT code FROM rooms")}


def taken_in(directory: Path) -> dict[str, dict[str, int]]:
    """What a start would find of messages that were taken."""
    with TemporaryDirectory() as place:
        copy_database(directory, Path(place))
        with closing(sqlite3.connect(Path(place) / "rooms.db")) as database:
            rows = database.execute("SELECT code, record FROM taken")
            return {code: msgspec.msgpack.decode(record[:-4]) for code, record in rows}


async def crashes(shelf: Shelf, directory: Path) -> None:
    """End without a word, with the files as they are at this moment."""
    copy = directory.with_name("at the crash")
    for _ in range(LOOKS):
        before = names_in(directory), content_of(directory / "rooms.db")
        try:
            shutil.copytree(directory, copy)
        except shutil.Error:  # one of them was deleted meanwhile
            is_whole = False
        else:
            is_whole = (names_in(directory), content_of(directory / "rooms.db")) == before
        if is_whole:
            break
        shutil.rmtree(copy)
    await shelf.store.stop({})
    shutil.rmtree(directory)
    copy.rename(directory)


def journal_of(shelf: Shelf) -> Journal:
    """The journal behind a store."""
    assert isinstance(shelf.store, MemoryStore) and shelf.store._journal is not None
    return shelf.store._journal


async def lets_go(shelf: Shelf) -> None:
    """The journal has closed its file, as it does after any failure, and will open it again."""
    journal = journal_of(shelf)
    assert journal._writer is not None
    await asyncio.wrap_future(journal._writer.submit(journal._database.close))


async def tried(shelf: Shelf) -> None:
    """Nobody is reading the file just now."""
    journal = journal_of(shelf)
    await until(lambda: journal._reading is None or journal._reading.done())


async def writes(journal: Journal) -> None:
    """A write is under way."""
    async with asyncio.timeout(PATIENCE):
        while journal._flushing is None:
            await asyncio.sleep(0)  # not longer: it might be over


async def written(shelf: Shelf) -> None:
    """All that has changed until now is on the disk."""
    journal = journal_of(shelf)
    await until(lambda: not journal._changed and journal._flushing is None)


async def until(happens: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(PATIENCE):
        while not happens():
            await asyncio.sleep(0.005)


async def tidied_until(shelf: Shelf, happens: Callable[[], bool]) -> None:
    """Tidy, as the hub does every second, until it has helped."""
    async with asyncio.timeout(PATIENCE):
        while not happens():
            shelf.store.tidy()
            await asyncio.sleep(0.01)


async def is_there(shelf: Shelf, code: str = CODE) -> bool:
    """Whether there is such a room."""
    try:
        await shelf.looks(code)
    except Refusal:
        return False
    return True


async def tidied_until_there(shelf: Shelf, code: str = CODE) -> None:
    """Tidy until there is such a room."""
    async with asyncio.timeout(PATIENCE):
        while not await is_there(shelf, code):
            shelf.store.tidy()
            await asyncio.sleep(0.01)


def put(path: Path, content: bytes) -> None:
    """Write a file, and make its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def names_in(directory: Path) -> set[str]:
    """The files in a directory."""
    return {path.name for path in directory.iterdir()}


async def a_meeting_goes_on(shelf: Shelf) -> None:
    """Whatever is wrong with the disk: rooms are made, entered and left."""
    ada = await shelf.opens("MEETAA")
    bob = await shelf.joins("MEETAA")
    await shelf.makes(precreated("MEETBB"))
    cleo = await shelf.joins("MEETBB")
    before = await shelf.active_rooms()
    shelf.store.tidy()
    assert await shelf.active_rooms() == before >= 2
    await shelf.leaves(cleo, "MEETBB")
    await shelf.leaves(bob, "MEETAA")
    await shelf.leaves(ada, "MEETAA")
    assert await is_there(shelf, "MEETBB")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Another program has the file to itself all the while."""
    with closing(sqlite3.connect(directory / "rooms.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("SELECT * FROM rooms")
        yield


@contextmanager
def unwritable(failing: Event | None = None) -> Iterator[list[int]]:
    """No file can be written to all the while. Holds how many rooms each try was about.

    A try fails at once, or when ``failing`` is set.
    """
    tries: list[int] = []

    def fail(
        database: Database,
        batch: dict[str, bytes | None],
        taken: dict[str, bytes],
        *,
        is_promised: bool,
        chronicle: Changes | None = None,
    ) -> None:
        tries.append(len(batch))
        if failing is not None:
            failing.wait(PATIENCE)
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "write", fail)
        yield tries


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
