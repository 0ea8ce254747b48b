"""What the people of a room are told of it and of each other (R9, R12, R16, R20)."""

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType, structs

from mikroroom.core.effects import Effects, Send, send
from mikroroom.core.history import recalled
from mikroroom.core.room import Participant, Room, WaitingParticipant
from mikroroom.protocol import events
from mikroroom.protocol.events import Event


class Keys(Struct, frozen=True):
    """What its holder alone is told: the creator token of a room it made; how, and how long, to come back."""

    creator_token: str | UnsetType = UNSET
    resume_token: str | UnsetType = UNSET
    resume_window: float | UnsetType = UNSET


NO_KEYS = Keys()


def show_waiting(room: Room, moderator_id: str) -> Effects:
    """Whoever has become a moderator hears who is waiting (R20)."""
    return [Send((moderator_id,), waits(room, person)) for person in room.waiting.values()]


def updated(room: Room, person: Participant) -> events.ParticipantUpdated:
    """A participant's state, whole (R12)."""
    return events.ParticipantUpdated(room.code, person.id, **_state(room, person))


def announce(room: Room, person: Participant, to: Iterable[str] | None = None) -> Effects:
    """Everyone hears a participant's state (R16), or those do who are named.

    Who is away will hear its own when it is connected again, and hears so.
    """
    ids = tuple(room.participants if to is None else to)
    event = updated(room, person)
    if event.is_connected or person.id not in ids:
        return send(ids, event)
    own = structs.replace(event, is_connected=True)
    return [*send((other for other in ids if other != person.id), event), Send((person.id,), own)]


def joined(room: Room, person: Participant, keys: Keys = NO_KEYS) -> events.ParticipantJoined:
    """That a participant is in the room: with ``keys``, told to itself."""
    return events.ParticipantJoined(
        room.code,
        person.id,
        name=person.name,
        creator_token=keys.creator_token,
        resume_token=keys.resume_token,
        resume_window=keys.resume_window,
        **_state(room, person),
    )


def waits(room: Room, person: WaitingParticipant, keys: Keys = NO_KEYS) -> events.WaitingRoom:
    """That someone waits: with ``keys``, told to itself."""
    return events.WaitingRoom(
        room.code,
        person.id,
        name=person.name,
        resume_token=keys.resume_token,
        resume_window=keys.resume_window,
    )


def overview(room: Room, person: Participant) -> tuple[Event, ...]:
    """All that a participant must hear of the room, after its own ``participant-joined`` (R9, R18, R20)."""
    told: list[Event] = [joined(room, other) for other in room.participants.values() if other is not person]
    if room.locked_by is not None:
        told.append(events.RoomLocked(room.code, room.locked_by, room.locked_by))
    told += [events.RecordingStarted(room.code, recorder, recorder) for recorder in room.recorders]
    if person.is_moderator:
        told += [waits(room, waiting) for waiting in room.waiting.values()]
    told += [recalled(room.code, line) for line in room.chat.lines]
    return tuple(told)


def _state(room: Room, person: Participant) -> dict[str, bool]:
    return {
        "is_moderator": person.is_moderator,
        "is_host": person.is_host,
        "is_muted": person.is_muted,
        "is_video_off": person.is_video_off,
        "is_hand_raised": person.is_hand_raised,
        "is_connected": person.id not in room.suspended,
    }
