"""Rooms in the memory of this process, and the pre-created ones on disk as well."""

import asyncio
import logging
from collections.abc import Callable

from mikroroom.core.effects import Effects
from mikroroom.core.room import Room
from mikroroom.logs import Line
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.journal import Journal
from mikroroom.stores.port import CodeTaken, Deliver, Step, Verb

log = logging.getLogger(__name__)


class MemoryStore:
    """The store of a single process: every verb takes effect at once. See ``port.Store``."""

    def __init__(
        self,
        *,
        max_rooms: int,
        max_latent_rooms: int,
        latent_age: int,
        clock: Callable[[], int],
        journal: Journal | None = None,
    ) -> None:
        self._max_rooms = max_rooms
        self._max_latent_rooms = max_latent_rooms
        self._latent_age = latent_age
        self._clock = clock
        self._journal = journal
        self._rooms: dict[str, Room] = {}
        # The empty rooms, in the order in which their time comes: each kind lives equally long.
        self._latent: dict[str, Room] = {}
        self._lingering: dict[str, Room] = {}
        self._deliver: Deliver = _nowhere

    def start(self, deliver: Deliver) -> None:
        """See ``port.Store``. Pre-created rooms come back from the journal."""
        self._deliver = deliver
        if self._journal is not None:
            self._restore(self._journal.open())
        self.tidy()

    async def stop(self) -> None:
        """See ``port.Store``."""
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)

    def create(self, room: Room, effects: Effects) -> Step:
        """See ``port.Store``. To be awaited is the disk: a pre-created room is promised to survive."""
        self.tidy()
        if self._find(room.code) is not None:
            raise CodeTaken(room.code)
        if len(self._rooms) >= self._max_rooms:
            raise Refusal(ErrorCode.ROOM_LIMIT, "There are too many rooms; try again later")
        if room.is_latent and len(self._latent) >= self._max_latent_rooms:
            raise Refusal(ErrorCode.ROOM_LIMIT, "There are too many rooms that nobody is in; try again later")
        self._rooms[room.code] = room
        written = self._settle(room)
        self._deliver(effects)
        return written

    def transact(self, code: str, verb: Verb) -> Step:
        """See ``port.Store``."""
        room = self._find(code)
        if room is None:
            raise Refusal(ErrorCode.ROOM_NOT_FOUND, "There is no meeting with this code")
        was_empty = not room.participants
        effects = verb(room, self._clock())
        if was_empty != (not room.participants):
            self._settle(room)
        self._deliver(effects)
        return None

    def tidy(self) -> None:
        """See ``port.Store``. Also tries again what the journal could not do."""
        if self._journal is not None:
            self._restore(self._journal.retry())
        now = self._clock()
        for empty in (self._latent, self._lingering):
            while empty:
                room = next(iter(empty.values()))
                if room.expires_at is None or room.expires_at > now:
                    break
                self._remove(room)

    def active_rooms(self) -> int:
        """See ``port.Store``."""
        return len(self._rooms) - len(self._latent) - len(self._lingering)

    def _restore(self, rooms: list[Room]) -> None:
        """Pre-created rooms come back from the journal, without whoever was in them."""
        if not rooms:  # nearly always, every second
            return
        latest = self._clock() + self._latent_age
        for room in rooms:
            # Read late, or started again after a stop: what is here is newer than what was written.
            if room.code not in self._rooms:
                # Later only by another setting or a wrong clock; and no room may keep others from their end.
                room.expires_at = min(room.expires_at or latest, latest)
                self._rooms[room.code] = self._latent[room.code] = room
        self._latent = dict(sorted(self._latent.items(), key=lambda item: item[1].expires_at or 0))

    def _find(self, code: str) -> Room | None:
        room = self._rooms.get(code)
        if room is not None and room.expires_at is not None and room.expires_at <= self._clock():
            self._remove(room)
            return None
        return room

    def _settle(self, room: Room) -> Step:
        """Put a room among the empty ones, or take it from there."""
        self._latent.pop(room.code, None)
        self._lingering.pop(room.code, None)
        if not room.participants:
            empty = self._latent if room.is_precreated else self._lingering
            empty[room.code] = room
            if room.expires_at is not None and room.expires_at <= self._clock():
                self._remove(room)
                return None
        if room.is_precreated and self._journal is not None:
            return self._journal.put(room)
        return None

    def _remove(self, room: Room) -> None:
        for rooms in (self._rooms, self._latent, self._lingering):
            rooms.pop(room.code, None)
        log.info(Line("room-removed", room=room.code))
        if room.is_precreated and self._journal is not None:
            self._journal.remove(room.code)


def _nowhere(effects: Effects) -> None:
    raise RuntimeError("the store was not started")
