"""The file that rooms are written to: SQLite, and what can be wrong with a file.

It knows rooms as they stand in the file, not when they are written: that is the journal's. A write-ahead log
makes a transaction one append, with nothing to be synchronised. The connection is held open, and the file
locked against other programs meanwhile: then SQLite keeps the log's index in memory, and the file can be read
on a disk that is full.
"""

import logging
import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from zlib import crc32

import msgspec

from mikroroom.core.room import Room
from mikroroom.logs import Line
from mikroroom.stores import annals
from mikroroom.stores.chronicle import Changes, Row

log = logging.getLogger(__name__)

# 1 was a file of pre-created rooms alone, in the same table.
SCHEMA_VERSION = 2
_READABLE = (0, 1, SCHEMA_VERSION)  # 0: a new file
# Seconds to wait for a file that another program has locked. Short: reading it holds up the start.
_LOCK_PATIENCE = 1.0

# What SQLite says of a file that will not get better: damaged, no database, none of ours.
_HOPELESS = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)


class FileLost(Exception):
    """What was written is not there any more. Read again, and write everything."""


class Database:
    """The file ``rooms.db``. All that is done with one is done in the same thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: object = None
        self.taken: dict[str, dict[str, int]] = {}
        self.chronicle: list[Row] = []

    def read(self) -> tuple[list[Room], Exception | None]:
        """The rooms in the file, and why it cannot be written to, if so. A hopeless file is set aside.

        What stands there of messages that were taken (R47) is in ``taken`` then, by room and participant, and
        what has happened in rooms in ``chronicle``.

        Raises:
            sqlite3.Error, OSError: it cannot be read now.
        """
        self.close()
        rooms: list[Room] = []
        try:
            connection = self._connect()
            self._select(connection, rooms)
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            self.close()
            if _is_hopeless(error):
                self._set_aside(error)
                return rooms, None  # those that were read before the damage
            if _is_locked(error):
                raise
            return self._read_copy(error), error
        try:
            self._prepare(connection)
        except (sqlite3.Error, OSError) as error:
            self.close()
            return rooms, error
        return rooms, None

    def write(
        self,
        batch: Mapping[str, bytes | None],
        taken: Mapping[str, bytes],
        *,
        is_promised: bool,
        chronicle: Changes | None = None,
    ) -> None:
        """Write records by their rooms' codes, all or none; None for a room that is gone.

        Likewise what was ``taken`` of whom, in msgpack, and what there is new in the ``chronicle``.

        What is written survives the end of the process; if ``is_promised``, a power cut as well.

        Raises:
            FileLost: somebody deleted or replaced the file, or it was damaged and is set aside.
            sqlite3.Error, OSError: it cannot be written to now.
        """
        if self._connection is not None and self._identity != self._identify():
            self.close()
            raise FileLost("the file was deleted or replaced")
        try:
            connection = self._connection or self._reconnect()
            connection.execute(f"PRAGMA synchronous = {'FULL' if is_promised else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT OR REPLACE INTO rooms (code, record) VALUES (?, ?)",
                [(code, _sealed(record)) for code, record in batch.items() if record is not None],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO taken (code, record) VALUES (?, ?)",
                [(code, _sealed(record)) for code, record in taken.items()],
            )
            gone = [(code,) for code, record in batch.items() if record is None]
            connection.executemany("DELETE FROM rooms WHERE code = ?", gone)
            connection.executemany("DELETE FROM taken WHERE code = ?", gone)
            if chronicle is not None:
                annals.write(connection, chronicle)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self.close()
            if not _is_hopeless(error):
                raise
            self._set_aside(error)
            raise FileLost(str(error)) from error

    def close(self) -> None:
        """Let go of the file. What was being written is not."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _reconnect(self) -> sqlite3.Connection:
        connection = self._connect()
        self._prepare(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path.chmod(0o600)
        connection = sqlite3.connect(self._path, timeout=_LOCK_PATIENCE, isolation_level=None)
        self._connection = connection
        # Damaged text is one record's damage, not the whole file's.
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = self._version(connection)
        if version not in _READABLE:
            raise _OtherSchema(f"schema version {version}, this program knows {SCHEMA_VERSION}")
        return connection

    def _select(self, connection: sqlite3.Connection, rooms: list[Room]) -> None:
        """Add the rooms in the file to ``rooms``, one by one: damage further on costs none before it."""
        self.taken.clear()
        self.chronicle = []
        version = self._version(connection)
        if version == 0 and not connection.execute("PRAGMA table_info(rooms)").fetchone():
            return
        is_sealed = version == SCHEMA_VERSION
        for code, record in connection.execute("SELECT code, record FROM rooms"):
            room = self._decode(code, record, is_sealed=is_sealed)
            if room is not None:
                rooms.append(room)
        if is_sealed:
            for code, record in connection.execute("SELECT code, record FROM taken"):
                with suppress(ValueError, TypeError, RecursionError):
                    self.taken[code] = msgspec.msgpack.decode(_unsealed(record), type=dict[str, int])
        self.chronicle = annals.read(connection)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the file ready to be written to."""
        connection.execute("PRAGMA journal_mode = WAL")
        if self._version(connection) != SCHEMA_VERSION:
            connection.execute("BEGIN IMMEDIATE")
            for table in ("rooms", "taken"):
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (code TEXT PRIMARY KEY, record BLOB NOT NULL)"
                )
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        annals.prepare(connection)
        self._identity = self._identify()

    def _read_copy(self, error: Exception) -> list[Room]:
        """Read a file that cannot be written to. What a crash has left in its log is read by writing it."""
        if not self._path.is_file():
            raise error
        with TemporaryDirectory(prefix="mikroroom-") as place:
            copy = Database(Path(place, self._path.name))
            try:
                for suffix in ("", "-journal", "-wal"):
                    with suppress(FileNotFoundError):
                        copyfile(f"{self._path}{suffix}", f"{copy._path}{suffix}")
                rooms: list[Room] = []
                copy._select(copy._connect(), rooms)
                self.taken, self.chronicle = copy.taken, copy.chronicle
            except (sqlite3.Error, OSError, UnicodeDecodeError):
                raise error from None
            finally:
                copy.close()
        return rooms

    def _decode(self, code: object, record: bytes, *, is_sealed: bool) -> Room | None:
        try:
            return msgspec.msgpack.decode(_unsealed(record) if is_sealed else record, type=Room)
        except (ValueError, TypeError, RecursionError) as error:  # no room, no UTF-8, not even bytes; a trap
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

    def _set_aside(self, error: Exception) -> None:
        """Make room for a new file, and keep this one under a name that no other was given.

        Raises:
            OSError: it cannot be renamed.
        """
        endings = chain(["unreadable"], (f"unreadable.{number}" for number in count(1)))
        names = (self._path.with_suffix(f".{ending}") for ending in endings)
        aside = next(name for name in names if not name.exists())
        self._path.replace(aside)
        for suffix in ("-journal", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")
        log.error(Line("journal-unreadable", path=str(self._path), problem=str(error), set_aside=str(aside)))

    def _identify(self) -> object:
        """Which files bear our names: SQLite goes on with those that were deleted, and does not notice."""
        return [_identify(Path(f"{self._path}{suffix}")) for suffix in ("", "-wal")]

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)


def _sealed(record: bytes) -> bytes:
    """A record and its checksum: what is damaged might look like a room, and be one that cannot be."""
    return record + crc32(record).to_bytes(4, "big")


def _unsealed(record: bytes) -> bytes:
    """Raises ``ValueError``: it is damaged."""
    content = record[:-4]
    if crc32(content).to_bytes(4, "big") != record[-4:]:
        raise ValueError("the record is damaged")
    return content


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        file = path.stat()
    except OSError:
        return None
    return file.st_dev, file.st_ino


class _OtherSchema(sqlite3.DatabaseError):
    """The file was written by another version."""


def _is_hopeless(error: Exception) -> bool:
    # The third: damaged text, in words of SQLite's about it.
    return isinstance(error, _OtherSchema | UnicodeDecodeError) or _reason(error) in _HOPELESS


def _is_locked(error: Exception) -> bool:
    return _reason(error) == sqlite3.SQLITE_BUSY


def _reason(error: Exception) -> int | None:
    """SQLite's primary result code."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
