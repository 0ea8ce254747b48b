"""Pre-created rooms in an SQLite file, so that they survive a restart (R2).

Writes happen on a thread of the journal's own, never on the event loop. What cannot be written is kept
and tried again: a full or read-only disk costs one line in the log, not a meeting. The file is readable
by its owner alone, and holds digests where there were passwords and tokens.
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
from pathlib import Path

import msgspec

from mikroroom.core.room import Room
from mikroroom.logs import Line

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
# How long to wait for a file that another program has locked. Short: reading it holds up the start.
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
        self._problem: str | None = None

    def open(self) -> list[Room]:
        """Take the file and read it. If that cannot be done: a line in the log, and no rooms."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
        except BlockingIOError:
            self._give_up("another process uses this directory")
            return []
        except OSError as error:
            self._give_up(str(error))
            return []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mikroroom-journal")
        try:
            return self._read()
        except (sqlite3.OperationalError, OSError) as error:
            self._report(error)
        except (sqlite3.DatabaseError, msgspec.MsgspecError, TypeError) as error:
            self._set_aside(error)
        return []

    def put(self, room: Room) -> Awaitable[None] | None:
        """Write a room: the facts of its making, not who is in it. Awaited, it is on disk or reported."""
        bare = msgspec.structs.replace(
            room, participants={}, waiting={}, locked_by=None, recorders=[], kicked={}
        )
        written = self._write(room.code, msgspec.msgpack.encode(bare))
        return asyncio.wrap_future(written) if written else None

    def remove(self, code: str) -> None:
        """Forget a room."""
        self._write(code, None)

    def retry(self) -> None:
        """Try again to write what could not be written."""
        if self._writer is not None and self._problem is not None and self._pending:
            self._writer.submit(self._flush)

    def close(self) -> None:
        """Write what can be written, and let go of the file."""
        if self._writer is not None:
            self._writer.submit(self._flush)
            self._writer.shutdown()
            self._writer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self, code: str, record: bytes | None) -> "Future[None] | None":
        if self._writer is None:
            return None  # given up at the start, and said so
        with self._pending_lock:
            # Taken out first, so that the newest stands last.
            self._pending.pop(code, None)
            self._pending[code] = record
        return self._writer.submit(self._flush)

    def _flush(self) -> None:
        with self._pending_lock:
            batch, self._pending = self._pending, {}
        if not batch:
            return
        try:
            with closing(self._connect()) as database, database:
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

    def _read(self) -> list[Room]:
        with closing(self._connect()) as database:
            records = database.execute("SELECT record FROM rooms").fetchall()
        return [msgspec.msgpack.decode(record, type=Room) for (record,) in records]

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path.chmod(0o600)
        database = sqlite3.connect(self._path, timeout=_LOCK_PATIENCE)
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

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_suffix(".unreadable")
        log.error(Line("journal-unreadable", path=str(self._path), problem=str(error), set_aside=str(aside)))
        try:
            self._path.replace(aside)
            for suffix in ("-journal", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        except OSError as failure:
            self._report(failure)

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
