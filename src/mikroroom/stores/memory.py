"""Rooms in the memory of this process, and on disk as well, so that they outlive it (R46)."""

import logging
from collections.abc import Callable, Iterator, Mapping
from heapq import nsmallest
from itertools import islice

from msgspec import structs

from mikroroom.clock import wall_ms
from mikroroom.core.effects import Effects
from mikroroom.core.resume import lapse, restore
from mikroroom.core.room import Policy, Room
from mikroroom.logs import Line
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.chronicle import MemoryChronicle, Retention
from mikroroom.stores.journal import Journal
from mikroroom.stores.port import Census, CodeTaken, Counts, Kept, Page, Receiver, Step, Verb

log = logging.getLogger(__name__)

# In so many rooms people's windows end at once; the event loop has other things to do as well.
LAPSING_ROOMS = 20


class MemoryStore:
    """The store of a single process: every verb takes effect at once. See ``port.Store``."""

    def __init__(
        self,
        *,
        max_rooms: int,
        max_latent_rooms: int,
        policy: Policy,
        clock: Callable[[], int],
        journal: Journal | None = None,
        chronicle: MemoryChronicle | None = None,
    ) -> None:
        self.chronicle = chronicle or MemoryChronicle(Retention(), wall_ms)
        self._max_rooms = max_rooms
        self._max_latent_rooms = max_latent_rooms
        self._policy = policy
        self._clock = clock
        self._journal = journal
        self._rooms: dict[str, Room] = {}
        # The empty rooms, in the order in which their time comes: each kind lives equally long.
        self._latent: dict[str, Room] = {}
        self._lingering: dict[str, Room] = {}
        # Those that have somebody suspended, or had a moment ago.
        self._awaiting: dict[str, Room] = {}
        self._receiver: Receiver | None = None

    def start(self, receiver: Receiver) -> None:
        """See ``port.Store``. Rooms come back from the journal."""
        self._receiver = receiver
        if self._journal is not None:
            self._restore(self._journal.open())
        self.tidy()

    async def stop(self, kept: Mapping[str, Kept]) -> None:
        """See ``port.Store``."""
        if self._journal is not None:
            await self._journal.close(kept)

    def counts(self, local: Counts) -> Counts:
        """See ``port.Store``. Nobody shares it."""
        return local

    def take_kept(self, code: str, participant_id: str) -> Kept | None:
        """See ``port.Store``."""
        return None if self._journal is None else self._journal.take_kept(code, participant_id)

    def note_taken(self, code: str, participant_id: str, client_seq: int) -> None:
        """See ``port.Store``."""
        if self._journal is not None:
            self._journal.note_taken(code, participant_id, client_seq)

    def create(self, room: Room, effects: Effects) -> Step:
        """See ``port.Store``. To be awaited is the disk: a pre-created room is promised to survive."""
        self._sweep()
        if self._find(room.code) is not None:
            raise CodeTaken(room.code)
        if len(self._rooms) >= self._max_rooms:
            raise Refusal(ErrorCode.ROOM_LIMIT, "There are too many rooms; try again later")
        if room.is_latent and len(self._latent) >= self._max_latent_rooms:
            raise Refusal(ErrorCode.ROOM_LIMIT, "There are too many rooms that nobody is in; try again later")
        if room.is_latent and room.expires_at is None:
            room.expires_at = self._clock() + self._policy.latent_age
        self._rooms[room.code] = room
        self._settle(room)
        written = self._journal.write(room) if self._journal is not None and room.is_latent else None
        self._deliver(effects, room.code)
        return written

    def transact(self, code: str, verb: Verb) -> Step:
        """See ``port.Store``."""
        room = self._find(code)
        if room is None:
            raise Refusal(ErrorCode.ROOM_NOT_FOUND, "There is no meeting with this code")
        self._apply(room, verb)
        return None

    async def page(self, after: str, limit: int) -> Page:
        """See ``port.Store``."""
        self._sweep()
        codes = nsmallest(limit + 1, (code for code in self._rooms if code > after))
        return Page(
            [self._rooms[code] for code in codes[:limit]], codes[limit - 1] if len(codes) > limit else None
        )

    def tidy(self) -> bool:
        """See ``port.Store``. Also tries again what the journal could not do."""
        if self._journal is not None:
            self._restore(self._journal.retry())
        due = self._due()
        for room in islice(due, LAPSING_ROOMS):
            self._let_lapse(room)
        self._sweep()
        return next(due, None) is not None

    def make_up_for(self, milliseconds: int) -> None:
        """See ``port.Store``."""
        for room in self._awaiting.values():
            room.suspended = {who: until + milliseconds for who, until in room.suspended.items()}

    async def census(self, local: Census) -> Census:
        """See ``port.Store``."""
        active = len(self._rooms) - len(self._latent) - len(self._lingering)
        return structs.replace(local, rooms=active)

    def queues(self) -> Mapping[str, int]:
        """See ``port.Store``."""
        return {} if self._journal is None else {"journal": self._journal.backlog}

    def trouble(self) -> str | None:
        """See ``port.Store``. The journal's own troubles hold nothing up."""
        return None

    def keeps(self) -> bool:
        """See ``port.Store``."""
        return self._journal is None or self._journal.problem is None

    def _deliver(self, effects: Effects, code: str) -> None:
        if self._receiver is None:
            raise RuntimeError("the store was not started")
        self.chronicle.note(effects)
        self._receiver.deliver(effects, code)

    def _restore(self, rooms: list[Room]) -> None:
        """Rooms come back from the journal, with those who may come back to them."""
        if not rooms:  # nearly always, every second
            return
        for room in rooms:
            # Read late, or started again after a stop: what is here is newer than what was written.
            if room.code not in self._rooms:
                self._rooms[room.code] = room
                self._apply(room, self._revive)
        self._latent = dict(sorted(self._latent.items(), key=lambda item: item[1].expires_at or 0))

    def _revive(self, room: Room, now: int) -> Effects:
        return restore(room, now, self._policy)

    def _lapse(self, room: Room, now: int) -> Effects:
        return lapse(room, now, self._policy)

    def _due(self) -> Iterator[Room]:
        """The rooms in which somebody's window has ended."""
        now = self._clock()
        for room in list(self._awaiting.values()):
            if not room.suspended:
                self._awaiting.pop(room.code, None)
            elif next(iter(room.suspended.values())) <= now:
                yield room

    def _let_lapse(self, room: Room) -> None:
        try:
            self._apply(room, self._lapse)
        except Exception:
            # A fault of ours in one room must not keep those in the others, nor be told each second.
            self._awaiting.pop(room.code, None)
            log.exception(Line("room-not-tidied", room=room.code))

    def _apply(self, room: Room, verb: Verb) -> None:
        effects = verb(room, self._clock())
        self._settle(room)
        self._deliver(effects, room.code)

    def _sweep(self) -> None:
        """Remove the empty rooms whose time has come."""
        now = self._clock()
        for empty in (self._latent, self._lingering):
            while empty:
                room = next(iter(empty.values()))
                if room.expires_at is None or room.expires_at > now:
                    break
                self._remove(room)

    def _find(self, code: str) -> Room | None:
        room = self._rooms.get(code)
        if room is None:
            return None
        now = self._clock()
        if room.suspended and next(iter(room.suspended.values())) <= now:
            self._let_lapse(room)
        if room.expires_at is not None and room.expires_at <= now:
            self._remove(room)
            return None
        return room

    def _settle(self, room: Room) -> None:
        """Put a changed room where it belongs: among the empty ones, among those that await somebody."""
        code = room.code
        if room.participants:
            self._latent.pop(code, None)
            self._lingering.pop(code, None)
        else:
            (self._latent if room.is_precreated else self._lingering)[code] = room
            if room.expires_at is not None and room.expires_at <= self._clock():
                self._remove(room)
                return
        if room.suspended:
            self._awaiting[code] = room
        if self._journal is not None:
            self._journal.put(room)

    def _remove(self, room: Room) -> None:
        for rooms in (self._rooms, self._latent, self._lingering, self._awaiting):
            rooms.pop(room.code, None)
        log.info(Line("room-removed", room=room.code))
        if self._journal is not None:
            self._journal.remove(room.code)
