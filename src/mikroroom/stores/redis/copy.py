"""A room as this worker knows it, and what becomes of it when verbs are applied."""

from collections.abc import Callable, Collection

from msgspec import Raw, Struct

from mikroroom.core.effects import Close, Effects, Gone, Held, Resumed, Seated, Suspended, Widened
from mikroroom.core.resume import forsake, lapse
from mikroroom.core.room import Policy, Room
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.port import CodeTaken
from mikroroom.stores.redis.record import Homes, Record, Step, decode_record, decode_room, encode

# What is applied to a room: with where its people are, at a time.
Action = Callable[[Room, Homes, int], Effects]


# For so long it matters where somebody was: as long as something can be under way. Versions are microseconds.
REMEMBERED = 60_000_000


class Copy(Struct):
    """A room at a version; ``room`` is it decoded, if that is at hand.

    ``here`` are the participants on this worker.
    """

    code: str
    version: int
    record: Record
    room: Room | None = None
    here: tuple[str, ...] = ()

    def fresh_room(self) -> Room:
        """The room, to be changed; ``room`` if it is at hand, which then is not any more."""
        room, self.room = self.room, None
        return room if room is not None else decode_room(self.record.room)


def copy_of(code: str, version: int, record: bytes | Raw) -> Copy:
    """A room as it came from Redis."""
    return Copy(code, version, decode_record(record))


class Draft:
    """A room, or that there is none, while one verb after the other is applied to it.

    ``seated`` and ``held`` tell on which worker its people are; who comes is on ``worker``.
    """

    def __init__(self, copy: Copy | None, worker: str, now: int, policy: Policy) -> None:
        self.room = None if copy is None else copy.fresh_room()
        self.homes: Homes = {} if copy is None else copy.record.homes
        self.steps: list[Step] = []
        self._moved = {} if copy is None else copy.record.moved
        self.absent_before = absences(self.room)
        self._before = None if copy is None else bytes(copy.record.room)
        self._worker = worker
        self._now = now
        self._policy = policy

    def settle(self, leniency: int, gone: Collection[str]) -> None:
        """What is to happen before anything else does.

        Whoever has a place on a worker that is ``gone`` has it here. Whoever's window has ended is gone, and
        the room if its time has come; windows last ``leniency`` milliseconds longer.
        """
        lost = [who for who, home in self.homes.items() if home in gone]
        if lost:
            self.apply(0, lambda room, homes, now: forsake(room, lost, now, self._policy))
        room, late = self.room, self._now - leniency
        if room is not None and room.suspended and next(iter(room.suspended.values())) <= late:
            self.apply(0, lambda room, homes, now: lapse(room, late, self._policy))
        self._end_if_over()

    def create(self, number: int, room: Room, effects: Effects) -> None:
        """Begin with a new room.

        Raises:
            CodeTaken: there is one.
        """
        if self.room is not None:
            raise CodeTaken(room.code)
        self.room = decode_room(encode(room))
        if self.room.is_latent and self.room.expires_at is None:
            self.room.expires_at = self._now + self._policy.latent_age
        self._note(number, effects)

    def apply(self, number: int, action: Action) -> None:
        """Apply a verb. Raises what it raises, or ``Refusal``: ROOM_NOT_FOUND."""
        if self.room is None:
            raise Refusal(ErrorCode.ROOM_NOT_FOUND, "There is no meeting with this code")
        effects = action(self.room, self.homes, self._now)
        self._note(number, effects)
        self._end_if_over()

    def record(self, done: dict[str, int], version: int) -> Record:
        """What is to be kept of that version; an empty one if there is no room any more."""
        room = self.room
        if room is None:
            return Record(Raw(b"\xc0"), {}, {}, done)
        seated = {who: self.homes[who] for who in room.participants}
        held = {who: self.homes[who] for who in room.waiting}
        return Record(Raw(encode(room)), seated, held, done, self._moved_by(version))

    def _moved_by(self, version: int) -> dict[str, list[tuple[str, int]]]:
        """The last moves of those who are here still: what is older is of no more use to anybody."""
        moved = {
            who: recent
            for who, moves in self._moved.items()
            if who in self.homes and (recent := [move for move in moves if version - move[1] < REMEMBERED])
        }
        for step in self.steps:
            for who, (origin, home) in step.moves.items():
                if origin and home:
                    moved.setdefault(who, []).append((origin, version))
        return moved

    def is_changed(self, record: Record) -> bool:
        """Whether there is anything to commit."""
        if any(step.effects or step.moves for step in self.steps):
            return True
        return bytes(record.room) != (self._before if self._before is not None else b"\xc0")

    def _note(self, number: int, effects: Effects) -> None:
        moves = self._moves(effects)
        for who, (_, worker) in moves.items():
            if worker:
                self.homes[who] = worker
            else:
                del self.homes[who]
        self.steps.append(Step(number, effects, moves))

    def _moves(self, effects: Effects) -> dict[str, tuple[str, str]]:
        """Who came, went, or came back here, or was inherited."""
        room, homes, me = self.room, self.homes, self._worker
        assert room is not None  # noqa: S101 - a verb never takes it away
        there = room.participants.keys() | room.waiting.keys()
        moves = {who: (worker, "") for who, worker in homes.items() if who not in there}
        moves |= {who: ("", self._worker) for who in (*room.participants, *room.waiting) if who not in homes}
        for effect in effects:
            # Nobody else tells that somebody is lost who is on another worker, but its heir.
            if isinstance(effect, Resumed | Suspended) and homes.get(effect.id, me) != me:
                moves[effect.id] = homes[effect.id], me
        return moves

    def _end_if_over(self) -> None:
        room = self.room
        if room is not None and not room.participants and (room.expires_at or 0) <= self._now:
            self.room = None


_PERSONAL = Seated | Widened | Held | Gone | Suspended | Resumed | Close


def concerning(effects: Effects, here: Callable[[str], bool]) -> Effects:
    """The effects that are for this worker: of those about one person only where that one is ``here``."""
    return [effect for effect in effects if not isinstance(effect, _PERSONAL) or here(effect.id)]


def absences(room: Room | None) -> dict[str, tuple[str, int]]:
    """From which address each of those was lost who may come back, and until when they may (R30)."""
    if room is None:
        return {}
    people = room.participants | room.waiting
    return {who: (people[who].address, until) for who, until in room.suspended.items()}
