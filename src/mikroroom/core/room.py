"""A room: who is in it, who waits, and how people come and go (R4 to R12, R20, R23, R25, R26).

``Room`` is a plain struct of facts; it can be written to a disk or sent to another machine as it is.
Deadlines stand in it as times, so whoever holds the room can keep them.
"""

from msgspec import UNSET, Struct, UnsetType, field

from mikroroom.core.effects import Close, Effects, Gone, Held, Seated, WrongToken, send
from mikroroom.core.secrets import Password, is_same, is_token
from mikroroom.protocol import events
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal


class Policy(Struct, frozen=True):
    """The house rules that are settings. Durations are in milliseconds."""

    latent_age: int
    resume_window: int
    kick_wait: int
    max_waiting: int


class Participant(Struct):
    """Someone in the room. ``address`` is what is counted as one client (R30)."""

    id: str
    name: str
    address: str
    is_creator: bool = False
    is_host: bool = False
    is_moderator: bool = False
    is_muted: bool = False
    is_video_off: bool = False
    is_hand_raised: bool = False
    is_connected: bool = True


class WaitingParticipant(Struct):
    """Someone in the waiting room. Who ``is_cleared`` needs no moderator any more, only a seat (R23)."""

    id: str
    name: str
    address: str
    is_cleared: bool = False


class Room(Struct, kw_only=True):
    """One meeting. Participants and waiting participants stand in the order in which they came."""

    code: str
    max_participants: int
    creator_digest: bytes
    password: Password | None = None
    is_precreated: bool = False
    participants: dict[str, Participant] = field(default_factory=dict)
    waiting: dict[str, WaitingParticipant] = field(default_factory=dict)
    locked_by: str | None = None
    recorders: list[str] = field(default_factory=list)
    kicked: dict[str, int] = field(default_factory=dict)
    """Until when a join from a kicked address waits (R24)."""
    expires_at: int | None = None
    """When the room is removed; None while anyone is in it."""

    @property
    def is_latent(self) -> bool:
        """Pre-created, and nobody is in it (R2)."""
        return self.is_precreated and not self.participants

    def others(self, participant_id: str) -> tuple[str, ...]:
        """The ids of all participants but one."""
        return tuple(other for other in self.participants if other != participant_id)

    def moderators(self) -> tuple[str, ...]:
        """The ids of all moderators."""
        return tuple(person.id for person in self.participants.values() if person.is_moderator)


class Newcomer(Struct):
    """What someone brings to the door. ``proof`` is the password, sealed with the salt of the room."""

    id: str
    name: str
    address: str
    password: str | None = None
    proof: Password | None = None
    creator_token: str | None = None


class ProofNeeded(Exception):
    """Not a refusal: seal the password with ``salt``, and try again. Nothing has changed."""

    def __init__(self, salt: bytes) -> None:
        super().__init__("seal the password with this salt")
        self.salt = salt


def open_room(room: Room, maker: Newcomer, creator_token: str) -> Effects:
    """Let the maker of a new ad-hoc room in, and hand over its creator token (R4, R12)."""
    return _enter(room, Participant(maker.id, maker.name, maker.address, is_creator=True), creator_token)


def join(room: Room, newcomer: Newcomer, now: int, policy: Policy) -> Effects:
    """Let a newcomer in, or have it wait (R7, R9, R20).

    Raises:
        ProofNeeded: the room has a password, and the newcomer's is not sealed with its salt yet.
        Refusal: INVALID_PASSWORD, WAITING_ROOM_FULL or ROOM_FULL.
    """
    _check_password(room, newcomer)
    is_creator = newcomer.creator_token is not None and is_token(newcomer.creator_token, room.creator_digest)
    must_wait = not is_creator and _must_wait(room, newcomer.address, now)
    if must_wait and len(room.waiting) >= policy.max_waiting:
        raise Refusal(ErrorCode.WAITING_ROOM_FULL, "The waiting room is full")
    if not must_wait:
        check_seat(room)

    effects: Effects = []
    if newcomer.creator_token and not is_creator:
        effects.append(WrongToken(newcomer.id))
    if must_wait:
        return effects + _hold(room, WaitingParticipant(newcomer.id, newcomer.name, newcomer.address))
    return effects + _enter(
        room, Participant(newcomer.id, newcomer.name, newcomer.address, is_creator=is_creator)
    )


def leave(room: Room, participant_id: str, now: int, policy: Policy, *, by_word: bool) -> Effects:
    """Someone goes, from the room or the waiting room: ``by_word``, or because the connection was lost.

    Raises:
        Refusal: NOT_IN_ROOM.
    """
    if participant_id in room.waiting:
        del room.waiting[participant_id]
        return [
            Gone(participant_id),
            *send(room.moderators(), events.ParticipantLeft(room.code, participant_id)),
        ]
    if participant_id not in room.participants:
        raise Refusal(ErrorCode.NOT_IN_ROOM, "You are not in this room")
    return [Gone(participant_id), *depart(room, participant_id, now, policy, by_word=by_word)]


def admit(room: Room, participant_id: str) -> Effects:
    """Someone who waits gets a seat, under the same id (R21). There must be one free."""
    waiting = room.waiting.pop(participant_id)
    return _enter(room, Participant(waiting.id, waiting.name, waiting.address))


def check_seat(room: Room) -> None:
    """Raises Refusal: ROOM_FULL."""
    if len(room.participants) >= room.max_participants:
        raise Refusal(ErrorCode.ROOM_FULL, f"The room is full; it seats {room.max_participants}")


def depart(room: Room, participant_id: str, now: int, policy: Policy, *, by_word: bool = False) -> Effects:
    """Take someone out of the room and tell the others; pass on what they held: host, recording, seat."""
    leaver = room.participants.pop(participant_id)
    effects = send(room.participants, events.ParticipantLeft(room.code, leaver.id))
    if leaver.is_host and room.participants:
        effects += _make_host(room, _successor(room))
    if leaver.id in room.recorders:
        room.recorders.remove(leaver.id)
        effects += send(room.participants, events.RecordingStopped(room.code, leaver.id, leaver.id))
    effects += fill_seats(room)
    if not room.participants:
        effects += _end(room, now, policy, by_word=by_word)
    return effects


def fill_seats(room: Room) -> Effects:
    """Give the free seats to those who are cleared to enter, in order (R23)."""
    free = room.max_participants - len(room.participants)
    cleared = [person.id for person in room.waiting.values() if person.is_cleared]
    return [effect for waiting_id in cleared[:free] for effect in admit(room, waiting_id)]


def show_waiting(room: Room, moderator_id: str) -> Effects:
    """Whoever has become a moderator hears who is waiting (R20)."""
    return [
        effect
        for person in room.waiting.values()
        for effect in send((moderator_id,), events.WaitingRoom(room.code, person.id, person.name))
    ]


def updated(room: Room, person: Participant) -> events.ParticipantUpdated:
    """A participant's state, whole (R12)."""
    return events.ParticipantUpdated(room.code, person.id, **_state(person))


def _joined(
    room: Room, person: Participant, creator_token: str | UnsetType = UNSET
) -> events.ParticipantJoined:
    return events.ParticipantJoined(
        room.code, person.id, name=person.name, creator_token=creator_token, **_state(person)
    )


def _state(person: Participant) -> dict[str, bool]:
    return {
        "is_moderator": person.is_moderator,
        "is_host": person.is_host,
        "is_muted": person.is_muted,
        "is_video_off": person.is_video_off,
        "is_hand_raised": person.is_hand_raised,
        "is_connected": person.is_connected,
    }


def _check_password(room: Room, newcomer: Newcomer) -> None:
    if room.password is None:
        return
    if not newcomer.password:
        raise Refusal(ErrorCode.INVALID_PASSWORD, "This room needs a password")
    if newcomer.proof is None or newcomer.proof.salt != room.password.salt:
        raise ProofNeeded(room.password.salt)
    if not is_same(newcomer.proof, room.password):
        raise Refusal(ErrorCode.INVALID_PASSWORD, "The password is wrong")


def _must_wait(room: Room, address: str, now: int) -> bool:
    """Locked, or a kicked address comes back (R20, R24). Where nobody is, nobody could admit: enter."""
    if not room.participants:
        return False
    return room.locked_by is not None or room.kicked.get(address, 0) > now


def _hold(room: Room, person: WaitingParticipant) -> Effects:
    room.waiting[person.id] = person
    event = events.WaitingRoom(room.code, person.id, person.name)
    return [Held(person.id), *send((person.id, *room.moderators()), event)]


def _enter(room: Room, newcomer: Participant, creator_token: str | UnsetType = UNSET) -> Effects:
    """R9: the newcomer hears itself, everyone there, what holds in the room; the others hear the newcomer."""
    former_host = _host(room)
    if former_host is None or newcomer.is_creator:
        newcomer.is_host = newcomer.is_moderator = True
        if former_host:
            former_host.is_host = False
    there = tuple(room.participants.values())
    room.participants[newcomer.id] = newcomer
    room.expires_at = None

    effects: Effects = [Seated(newcomer.id, room.max_participants)]
    effects += send((newcomer.id,), _joined(room, newcomer, creator_token))
    for person in there:
        effects += send((newcomer.id,), _joined(room, person))
    if room.locked_by is not None:
        effects += send((newcomer.id,), events.RoomLocked(room.code, room.locked_by, room.locked_by))
    for recorder in room.recorders:
        effects += send((newcomer.id,), events.RecordingStarted(room.code, recorder, recorder))
    effects += send((person.id for person in there), _joined(room, newcomer))
    if former_host and newcomer.is_host:
        effects += send((person.id for person in there), updated(room, former_host))
    if newcomer.is_moderator:
        effects += show_waiting(room, newcomer.id)
    return effects


def _host(room: Room) -> Participant | None:
    return next((person for person in room.participants.values() if person.is_host), None)


def _successor(room: Room) -> Participant:
    """The longest-present moderator, else the longest-present at all; connected before suspended (R25)."""
    return min(
        room.participants.values(), key=lambda person: (not person.is_moderator, not person.is_connected)
    )


def _make_host(room: Room, person: Participant) -> Effects:
    was_moderator = person.is_moderator
    person.is_host = person.is_moderator = True
    effects: Effects = []
    if not was_moderator:
        effects += send((person.id,), events.ModeratorAction(room.code, "", person.id, "make-moderator"))
    effects += send(room.participants, updated(room, person))
    if not was_moderator:
        effects += show_waiting(room, person.id)
    return effects


def _end(room: Room, now: int, policy: Policy, *, by_word: bool) -> Effects:
    """Nobody is left (R2, R4, R26): those who wait are sent away, and the room is given its time to live."""
    effects: Effects = []
    for waiting_id in room.waiting:
        effects += send((waiting_id,), events.RejectUser(room.code, "", waiting_id, "Meeting ended"))
        effects.append(Close(waiting_id, CloseCode.MEETING_ENDED, "meeting ended"))
    room.waiting.clear()
    room.locked_by = None
    if room.is_precreated:
        room.expires_at = now + policy.latent_age
    else:
        room.expires_at = now if by_word else now + policy.resume_window
    return effects
