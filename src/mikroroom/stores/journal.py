"""Rooms on a disk, so that they outlive the process (R2, R46).

A room that has changed is written behind: a moment later, with all others that have, by a thread of the
journal's own. The event loop never waits for the disk; it only encodes, because another thread would find
rooms half changed. What cannot be written is tried again: a full or read-only disk costs one line in the log,
not a meeting. Nothing is written to a file before it was read.

The files are readable by their owner alone. They hold digests where there were passwords and tokens; but the
names and client addresses of those in meetings as they are, the chat that rooms keep, and from a stop to the
next start what people were told.
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Awaitable, Mapping
from concurrent.futures import Future, wait
from pathlib import Path

import msgspec

from mikroroom.core.room import Room
from mikroroom.logs import Line
from mikroroom.meters import Histogram
from mikroroom.stores.chronicle import Changes, MemoryChronicle
from mikroroom.stores.database import Database, FileLost
from mikroroom.stores.kept import KeptFile
from mikroroom.stores.port import Kept
from mikroroom.stores.writer import Writer

log = logging.getLogger(__name__)

# Seconds from a change to its writing; what a crash may cost (R46) is twice as long.
_DELAY = 0.1
# Rooms that are encoded before others have the event loop again: less than a millisecond.
_SLICE = 100
# Seconds that a stop gives to the writing of what was told, and to everything.
_KEPT_PATIENCE = 3.0
_STOP_PATIENCE = 5.0
# Seconds that a start waits for the disk before it goes on without rooms.
_START_PATIENCE = 10.0


class Journal:
    """The files in a directory, for one process at a time. To be used on an event loop.

    ``times`` is shown how long each writing took. The ``chronicle`` is written along with the rooms.
    """

    def __init__(
        self, directory: str, times: Histogram | None = None, chronicle: MemoryChronicle | None = None
    ) -> None:
        self._times = times
        self._chronicle = chronicle
        self._directory = Path(directory)
        self._path = self._directory / "rooms.db"
        self._lock: int | None = None
        self._writer: Writer | None = None
        self._database = Database(self._path)
        self._kept = KeptFile(self._directory / "kept")
        self._encode = msgspec.msgpack.Encoder().encode
        # All rooms as they are now; the codes of those that are other than on the disk, and of those on it.
        self._rooms: dict[str, Room] = {}
        self._changed: dict[str, None] = {}
        self._written: set[str] = set()
        # What has come of whom in each room (R47), and where that is other than on the disk.
        self._taken: dict[str, dict[str, int]] = {}
        self._noted: dict[str, None] = {}
        # How changes come to the disk: a timer, then a task. The future is for who waits for the next task.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._next_flush: asyncio.Future[None] | None = None
        self._reading: Future[tuple[list[Room], Exception | None]] | None = None
        self._is_read = False
        self.problem: str | None = None
        """Why what changes is not written; None if it is."""

    def open(self) -> list[Room]:
        """Take the files and read them. If that cannot be done: a line in the log, and no rooms."""
        try:
            self._take_lock()
        except BlockingIOError:
            self._give_up("another process uses this directory")
            return []
        except (OSError, ValueError) as error:  # ValueError: no file can have this name
            self._give_up(str(error))
            return []
        self._database = Database(self._path)
        self._kept = KeptFile(self._directory / "kept")
        self._writer = Writer()
        self._loop = asyncio.get_running_loop()
        if self._chronicle is not None:
            self._chronicle.attach(self._note_event)
        self._lose_track()
        self._reading = self._writer.submit(self._read)
        return self._take_rooms(_START_PATIENCE)

    @property
    def backlog(self) -> int:
        """Rooms that are other than on the disk."""
        return len(self._changed)

    def put(self, room: Room) -> None:
        """A room is new, or has changed: write it soon."""
        code = room.code
        self._rooms[code] = room
        self._changed[code] = None
        if self._timer is None:
            self._flush_later()

    def write(self, room: Room) -> Awaitable[None] | None:
        """Write a room now. Awaited, it is on disk, even if the power is cut; or the problem was reported."""
        self.put(room)
        if self._writer is None or not self._is_read:
            return None  # that was reported
        if self._next_flush is None:
            self._next_flush = asyncio.get_running_loop().create_future()
        self._flush_now(self._writer)
        # Others wait for the same flush: who stops waiting must not cancel it.
        return asyncio.shield(self._next_flush)

    def remove(self, code: str) -> None:
        """A room is gone: forget it soon."""
        self._rooms.pop(code, None)
        self._taken.pop(code, None)
        if code not in self._written:
            self._changed.pop(code, None)  # else those that come and go would pile up before the file is read
            return
        self._changed[code] = None
        if self._timer is None:
            self._flush_later()

    def take_kept(self, code: str, participant_id: str) -> Kept | None:
        """What the last stop kept for someone in a room, once."""
        kept = self._kept.take(participant_id)
        last = self._taken.get(code, {}).get(participant_id)
        if kept is None and last is not None:
            return Kept(count=0, last_client_seq=last, last_stamp=0, messages=[], is_whole=False)
        return kept

    def note_taken(self, code: str, participant_id: str, client_seq: int) -> None:
        """A message of someone in a room was taken: write its number soon."""
        if self._writer is None:
            return
        self._noted[code] = None
        try:
            self._taken[code][participant_id] = client_seq
        except KeyError:
            self._taken[code] = {participant_id: client_seq}
        if self._timer is None:
            self._flush_later()

    def _note_event(self) -> None:
        """There is something new in the chronicle: write it soon."""
        if self._timer is None:
            self._flush_later()

    def retry(self) -> list[Room]:
        """Try again what could not be done, without waiting. Returns the rooms if they could be read by now.

        To be called about once a second.
        """
        if self._writer is None:
            return []
        if self._loop is not asyncio.get_running_loop():
            self._change_loop()
        if not self._is_read:
            if self._reading is None:
                self._reading = self._writer.submit(self._read)
            return self._take_rooms(0)
        if self._has_changes() and self._timer is None:
            self._flush_now(self._writer)
        return []

    async def close(self, kept: Mapping[str, Kept]) -> None:
        """Write what can be written, and ``kept`` as far as there is time; let go of the files."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            async with asyncio.timeout(_STOP_PATIENCE):
                await self._finish(writer, kept)
        except TimeoutError:
            # The thread goes on as long as the process does, and so does its hold on the directory.
            self._report(TimeoutError(f"not done within {_STOP_PATIENCE:g} seconds"))
            self._lock = None
            writer.submit(self._database.close)
        writer.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _finish(self, writer: Writer, kept: Mapping[str, Kept]) -> None:
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._take_rooms(0)
        if not self._is_read:
            # So that it may be written to; the rooms stay for the next start.
            self._reading = self._reading or writer.submit(self._read)
            await asyncio.gather(asyncio.wrap_future(self._reading), return_exceptions=True)
            self._take_rooms(0)
        if self._is_read and (self._has_changes() or self._next_flush):
            await self._flush(writer)
        await asyncio.wrap_future(writer.submit(self._database.close))
        missing, problem = await asyncio.wrap_future(writer.submit(self._kept.save, kept, _KEPT_PATIENCE))
        if missing:
            log.error(
                Line(
                    "journal-kept-incomplete",
                    path=str(self._path.with_name("kept")),
                    missing=missing,
                    problem=problem,
                    effect="who comes back to a meeting is told all anew",
                )
            )

    def _lose_track(self) -> None:
        """What is in the file is unknown: read it, then write everything."""
        self._is_read = False
        if self._next_flush is not None:
            self._next_flush.set_result(None)
            self._next_flush = None
        self._written.clear()
        self._changed = dict.fromkeys(self._rooms)
        self._noted = dict.fromkeys(self._taken)
        if self._chronicle is not None:
            self._chronicle.rewrite()

    def _has_changes(self) -> bool:
        has_events = self._chronicle is not None and self._chronicle.has_changes
        return bool(self._changed or self._noted or has_events)

    def _change_loop(self) -> None:
        """What was under way on another loop may have ended with it."""
        self._loop = asyncio.get_running_loop()
        self._timer = self._flushing = self._next_flush = None
        self._changed |= dict.fromkeys([*self._written, *self._rooms])
        self._noted |= dict.fromkeys(self._taken)

    def _read(self) -> tuple[list[Room], Exception | None]:
        """In the writer's thread."""
        if not self._kept.is_gone:
            try:
                self._kept.open()
            except OSError as error:
                rooms, problem = self._database.read()
                return rooms, problem or error
        return self._database.read()

    def _take_rooms(self, patience: float) -> list[Room]:
        """The rooms that were read, if that is done. What the store has already is newer."""
        reading = self._reading
        if reading is None:
            return []
        wait([reading], patience)
        if not reading.done():
            if patience:
                self._report(TimeoutError(f"not read within {patience:g} seconds"))
            return []
        self._reading = None
        try:
            rooms, problem = reading.result()
        except (sqlite3.Error, OSError) as error:
            self._report(error)
            return []
        self._is_read = True
        self._report(problem)
        self._written = {room.code for room in rooms}
        for code in self._written - self._rooms.keys():
            self._taken[code] = self._database.taken.get(code, {})
        if self._chronicle is not None:
            self._chronicle.load(self._database.chronicle)
        self._database.chronicle = []
        if self._has_changes():
            self._flush_later()
        return rooms

    def _flush_later(self) -> None:
        if (
            self._writer is None
            or not self._is_read
            or self.problem is not None
            or self._flushing is not None
        ):
            return  # a start, a retry or the end of the flush will
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_DELAY, self._flush_now, self._writer)

    def _flush_now(self, writer: Writer) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flushing is None:
            self._loop = asyncio.get_running_loop()
            self._flushing = self._loop.create_task(self._flush_and_go_on(writer))

    async def _flush_and_go_on(self, writer: Writer) -> None:
        try:
            await self._flush(writer)
        finally:
            self._flushing = None
        if self._writer is None:
            return
        if self._next_flush is not None:
            self._flush_now(self._writer)
        elif self._has_changes():
            self._flush_later()

    async def _flush(self, writer: Writer) -> None:
        """Write all that has changed until now. What cannot be written has changed still."""
        began = time.monotonic()
        awaited, self._next_flush = self._next_flush, None
        codes, self._changed = self._changed, {}
        noted, self._noted = self._noted, {}
        fresh: set[str] = set()
        try:
            batch = await self._encoded(codes)
            codes |= self._bring_up(batch)
            fresh = {code for code, record in batch.items() if record is not None} - self._written
            self._written |= fresh  # from now on their removal must be written
            taken = self._encoded_taken(noted)
            chronicle = None if self._chronicle is None else self._chronicle.changes()
            await asyncio.wrap_future(
                writer.submit(self._write, batch, taken, chronicle, is_promised=awaited is not None)
            )
        except FileLost as error:
            self._lose_track()
            self._report(error)
        except (sqlite3.Error, OSError) as error:
            self._written -= fresh
            self._report(error)
        else:
            self._written.difference_update(code for code, record in batch.items() if record is None)
            codes = noted = {}
            if self._chronicle is not None and chronicle is not None:
                self._chronicle.written(chronicle)
            self._report(None)
            if self._times is not None:
                self._times.observe(time.monotonic() - began)
        finally:
            self._noted |= {code: None for code in noted if code in self._taken}
            self._changed |= {code: None for code in codes if code in self._rooms or code in self._written}
            if awaited is not None and not awaited.done():
                awaited.set_result(None)

    async def _encoded(self, codes: Mapping[str, None]) -> dict[str, bytes | None]:
        """The records of rooms, as they are when their turn comes; None for those that are gone."""
        batch: dict[str, bytes | None] = {}
        for number, code in enumerate(codes, 1):
            if code in self._rooms:
                self._add_record(batch, self._rooms[code])
            elif code in self._written:
                batch[code] = None
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        return batch

    def _bring_up(self, batch: dict[str, bytes | None]) -> dict[str, None]:
        """What has changed while others were encoded is so in the same writing, as the chronicle has it.

        Returns the codes of those that had changed.
        """
        changed, self._changed = self._changed, {}
        for code in changed:
            if code in self._rooms:
                self._add_record(batch, self._rooms[code])
            elif code in self._written:
                batch[code] = None
        for code in batch.keys() - self._rooms.keys():
            batch[code] = None
        return changed

    def _encoded_taken(self, noted: Mapping[str, None]) -> dict[str, bytes]:
        """What was taken of those who are still there."""
        taken: dict[str, bytes] = {}
        for code in noted:
            room, counts = self._rooms.get(code), self._taken.get(code)
            if room is not None and counts is not None:
                self._taken[code] = there = {
                    who: count
                    for who, count in counts.items()
                    if who in room.participants or who in room.waiting
                }
                taken[code] = self._encode(there)
        return taken

    def _add_record(self, batch: dict[str, bytes | None], room: Room) -> None:
        try:
            batch[room.code] = self._encode(room)
        except (ValueError, TypeError, OverflowError) as error:
            self._log_unwritable(room.code, error)

    def _write(
        self,
        batch: Mapping[str, bytes | None],
        taken: Mapping[str, bytes],
        chronicle: Changes | None,
        *,
        is_promised: bool,
    ) -> None:
        """In the writer's thread."""
        if not self._kept.is_gone:
            self._kept.delete()  # it belongs to rooms that are older than what is written now
        self._database.write(batch, taken, is_promised=is_promised, chronicle=chronicle)

    def _take_lock(self) -> None:
        """Two processes on one file would each write over what the other knows."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / "lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            if not path.is_file():
                raise
            lock = os.open(path, os.O_RDONLY)  # on a read-only disk rooms can be read all the same
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def _give_up(self, problem: str) -> None:
        self.problem = problem
        if self._chronicle is not None:
            self._chronicle.attach(None)
        log.error(
            Line(
                "journal-unusable",
                path=str(self._path),
                problem=problem,
                effect="rooms do not survive a restart",
            )
        )

    def _log_unwritable(self, code: str, error: Exception) -> None:
        log.error(
            Line(
                "journal-record-unwritable",
                path=str(self._path),
                room=code,
                problem=str(error),
                effect="this room does not survive a restart",
            )
        )

    def _report(self, error: Exception | None) -> None:
        """Say once what is wrong, and once that it is over."""
        problem = str(error) if error else None
        if problem == self.problem:
            return
        self.problem = problem
        if self._chronicle is not None:
            self._chronicle.hold(is_held=problem is None)
        if problem is None:
            log.info(Line("journal-recovered", path=str(self._path)))
        else:
            log.error(
                Line(
                    "journal-failed",
                    path=str(self._path),
                    problem=problem,
                    effect="rooms wait for it; what changes meanwhile does not survive a restart",
                )
            )
