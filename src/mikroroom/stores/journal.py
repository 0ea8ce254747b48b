"""Pre-created rooms in an SQLite file, so that they survive a restart (R2).

Writes happen on a thread of the journal's own, never on the event loop. What cannot be read or written now
is tried again: a full or read-only disk costs one line in the log, not a meeting. Nothing is written to a
file before it was read. It is readable by its owner alone, and holds digests where there were passwords and
tokens.
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Awaitable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain, count
from pathlib import Path

import msgspec

from mikroroom.core.room import Room
from mikroroom.logs import Line

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
# Seconds to wait for a file that another program has locked. Short: reading it holds up the start, and a
# room that is made waits for two flushes at the most.
_LOCK_PATIENCE = 1.0


class Journal:
    """The file ``rooms.db`` in a directory, for one process at a time."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._path = self._directory / "rooms.db"
        self._lock: int | None = None
        self._writer: ThreadPoolExecutor | None = None
        # What is to be written: a room, or None for one that is gone. Shared with the writer's thread.
        self._pending: dict[str, bytes | None] = {}
        self._pending_lock = threading.Lock()
        # The flush that has not begun: it will write all that is pending then, so one is enough for all.
        self._next_flush: Future[None] | None = None
        self._is_read = False
        self._problem: str | None = None

    def open(self) -> list[Room]:
        """Take the file and read it. If that cannot be done: a line in the log, and no rooms."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
        except BlockingIOError:
            self._give_up("another process uses this directory")
            return []
        except (OSError, ValueError) as error:  # ValueError: no file can have this name
            self._give_up(str(error))
            return []
        self._is_read = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mikroroom-journal")
        return self._read(_LOCK_PATIENCE)

    def put(self, room: Room) -> Awaitable[None] | None:
        """Write a room: the facts of its making, not who is in it. Awaited, it is on disk or reported."""
        bare = msgspec.structs.replace(
            room, participants={}, waiting={}, locked_by=None, recorders=[], kicked={}
        )
        written = self._write(room.code, msgspec.msgpack.encode(bare))
        # Others wait for the same flush: who stops waiting must not cancel it.
        return asyncio.shield(asyncio.wrap_future(written)) if written else None

    def remove(self, code: str) -> None:
        """Forget a room."""
        self._write(code, None)

    def retry(self) -> list[Room]:
        """Try again what could not be done, without waiting. Returns the rooms if they could be read now."""
        rooms = [] if self._is_read or self._writer is None else self._read(patience=0)
        with self._pending_lock:
            if self._pending and self._writer is not None:
                self._flush_soon(self._writer)
        return rooms

    def close(self) -> None:
        """Write what can be written, and let go of the file."""
        with self._pending_lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            if not self._is_read:
                self._read(_LOCK_PATIENCE)  # so that it may be written to; the rooms stay for the next start
            with self._pending_lock:
                self._flush_soon(writer)
            writer.shutdown()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self, code: str, record: bytes | None) -> "Future[None] | None":
        with self._pending_lock:
            if self._writer is None:
                return None  # given up at the start, and said so
            # Taken out first, so that the newest stands last.
            self._pending.pop(code, None)
            self._pending[code] = record
            return self._flush_soon(self._writer)

    def _flush_soon(self, writer: ThreadPoolExecutor) -> "Future[None]":
        if self._next_flush is None:
            self._next_flush = writer.submit(self._flush)
        return self._next_flush

    def _flush(self) -> None:
        with self._pending_lock:
            self._next_flush = None
            if not self._is_read:
                return
            batch, self._pending = self._pending, {}
        if not batch:
            return
        try:
            with closing(self._connect(_LOCK_PATIENCE)) as database, database:
                database.executemany(
                    "INSERT OR REPLACE INTO rooms (code, record) VALUES (?, ?)",
                    [(code, record) for code, record in batch.items() if record is not None],
                )
                database.executemany(
                    "DELETE FROM rooms WHERE code = ?",
                    [(code,) for code, record in batch.items() if record is None],
                )
        except (sqlite3.Error, OSError) as error:
            with self._pending_lock:
                self._pending = {**batch, **self._pending}
            self._report(error)
        else:
            self._report(None)

    def _read(self, patience: float) -> list[Room]:
        """The rooms in the file. Once this has worked, or the file is out of the way, it is written to."""
        try:
            with closing(self._connect(patience)) as database:
                rows = database.execute("SELECT code, record FROM rooms").fetchall()
        except (sqlite3.OperationalError, OSError) as error:
            self._report(error)
            return []
        except sqlite3.DatabaseError as error:
            if not self._set_aside(error):
                return []
            rows = []
        self._report(None)
        rooms = [room for code, record in rows if (room := self._decode(code, record))]
        with self._pending_lock:
            self._is_read = True
            # What was made or removed meanwhile is newer.
            return [room for room in rooms if room.code not in self._pending]

    def _decode(self, code: object, record: bytes) -> Room | None:
        try:
            return msgspec.msgpack.decode(record, type=Room)
        except (ValueError, TypeError) as error:  # no room, text that is no UTF-8; or not even bytes
            log.error(
                Line(
                    "journal-record-unreadable",
                    path=str(self._path),
                    room=code,
                    problem=str(error),
                    effect="this room is not there; its record stays",
                )
            )
            return None

    def _connect(self, patience: float) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path.chmod(0o600)
        database = sqlite3.connect(self._path, timeout=patience)
        # Damaged text is one record's damage, not the whole file's.
        database.text_factory = lambda text: text.decode(errors="replace")
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA_VERSION):
                raise _OtherSchema(f"schema version {version}, this program knows {SCHEMA_VERSION}")
            if version == 0:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS rooms (code TEXT PRIMARY KEY, record BLOB NOT NULL)"
                )
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except BaseException:
            database.close()
            raise
        return database

    def _take_lock(self) -> None:
        """Two processes on one file would each write over what the other knows."""
        lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def _give_up(self, problem: str) -> None:
        log.error(
            Line(
                "journal-unusable",
                path=str(self._path),
                problem=problem,
                effect="rooms do not survive a restart",
            )
        )

    def _set_aside(self, error: Exception) -> bool:
        """Make room for a new file, and keep this one under a name that no other was given."""
        endings = chain(["unreadable"], (f"unreadable.{number}" for number in count(1)))
        names = (self._path.with_suffix(f".{ending}") for ending in endings)
        try:
            aside = next(name for name in names if not name.exists())
            self._path.replace(aside)
            for suffix in ("-journal", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        except OSError as failure:
            self._report(failure)
            return False
        log.error(Line("journal-unreadable", path=str(self._path), problem=str(error), set_aside=str(aside)))
        return True

    def _report(self, error: Exception | None) -> None:
        """Say once what is wrong, and once that it is over."""
        problem = str(error) if error else None
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log.info(Line("journal-recovered", path=str(self._path)))
        else:
            log.error(
                Line(
                    "journal-failed",
                    path=str(self._path),
                    problem=problem,
                    effect="pre-created rooms wait for it",
                )
            )


class _OtherSchema(sqlite3.DatabaseError):
    """The file was written by another version."""
