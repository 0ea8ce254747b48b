"""The table in the rooms' file that holds the chronicle: written with the rooms, in one transaction."""

import sqlite3
from contextlib import suppress
from zlib import crc32

import msgspec

from mikroroom.core.chronicle import RoomEvent, place
from mikroroom.stores.chronicle import Changes, Row

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RoomEvent).decode


def prepare(connection: sqlite3.Connection) -> None:
    """Make the table. A program that does not know it leaves it alone."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS chronicle (milliseconds INTEGER NOT NULL, number INTEGER NOT NULL, "
        "record BLOB NOT NULL, checksum INTEGER NOT NULL, is_owed INTEGER NOT NULL, "
        "PRIMARY KEY (milliseconds, number)) WITHOUT ROWID"
    )


def read(connection: sqlite3.Connection) -> list[Row]:
    """All room events, in order, but for those that are damaged."""
    if not connection.execute("PRAGMA table_info(chronicle)").fetchone():
        return []
    rows: list[Row] = []
    for milliseconds, number, record, checksum, is_owed in connection.execute(
        "SELECT milliseconds, number, record, checksum, is_owed FROM chronicle ORDER BY milliseconds, number"
    ):
        with suppress(ValueError, TypeError, RecursionError):
            if crc32(record) == checksum:
                rows.append(Row(milliseconds, number, _decode(record), bool(is_owed)))
    return rows


def write(connection: sqlite3.Connection, changes: Changes) -> None:
    """Write what is new, and forget what nobody wants any more."""
    if not (changes.rows or changes.settled):
        return
    records = [(row, _encode(row.record)) for row in changes.rows]
    connection.executemany(
        "INSERT OR REPLACE INTO chronicle (milliseconds, number, record, checksum, is_owed) "
        "VALUES (?, ?, ?, ?, ?)",
        [(row.milliseconds, row.number, record, crc32(record), row.is_owed) for row, record in records],
    )
    connection.executemany(
        "UPDATE chronicle SET is_owed = 0 WHERE milliseconds = ? AND number = ?",
        [place(event_id) for event_id in changes.settled],
    )
    # The newest one that is forgotten stays: it tells up to where that is so, and the next id is after it.
    connection.execute(
        "DELETE FROM chronicle WHERE is_owed = 0 AND (milliseconds, number) < (?, ?)", changes.forgotten
    )
