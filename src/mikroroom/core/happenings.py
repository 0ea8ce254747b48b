"""The effects by which verbs tell those outside what has happened."""

from typing import Literal, Protocol

from mikroroom.core.chronicle import Person, Reason, RoomEvent
from mikroroom.core.effects import Effects, Happened

# What can be done to a room or to someone in it. The last ones only the administration can do.
Deed = Literal[
    "locked",
    "unlocked",
    "admitted",
    "rejected",
    "muted",
    "unmuted",
    "kicked",
    "moderator-made",
    "recording-started",
    "recording-stopped",
    "message-deleted",
    "moderator-unmade",
    "password-changed",
    "resized",
]


class Somebody(Protocol):
    """Someone in the room or the waiting room."""

    id: str
    name: str
    subject: str | None


class Member(Somebody, Protocol):
    """Someone in the room."""

    is_host: bool
    is_moderator: bool


def in_room(member: Member) -> Person:
    """A participant, as it is told."""
    return Person(member.id, member.name, member.subject, member.is_host, member.is_moderator)


def in_waiting_room(somebody: Somebody) -> Person:
    """Someone who waits, as it is told."""
    return Person(somebody.id, somebody.name, somebody.subject)


def started(code: str) -> Effects:
    """The first participant is about to enter."""
    return [Happened(RoomEvent(type="room.started", room_id=code))]


def ended(code: str) -> Effects:
    """The last participant is gone."""
    return [Happened(RoomEvent(type="room.ended", room_id=code))]


def entered(code: str, member: Member) -> Effects:
    """Someone is in the room from here on."""
    return [Happened(RoomEvent(type="participant.joined", room_id=code, participant=in_room(member)))]


def left(code: str, member: Member, reason: Reason) -> Effects:
    """Someone is not in the room any more."""
    event = RoomEvent(type="participant.left", room_id=code, participant=in_room(member), reason=reason)
    return [Happened(event)]


def waited(code: str, somebody: Somebody) -> Effects:
    """Someone is in the waiting room from here on."""
    event = RoomEvent(type="participant.waiting", room_id=code, participant=in_waiting_room(somebody))
    return [Happened(event)]


def went(code: str, somebody: Somebody, reason: Reason) -> Effects:
    """Someone waits no longer, and did not enter."""
    person = in_waiting_room(somebody)
    event = RoomEvent(type="participant.waiting-left", room_id=code, participant=person, reason=reason)
    return [Happened(event)]


def moderated(code: str, deed: Deed, by: str, target: Person | None = None) -> Effects:
    """Something was done to the room or in it, ``by`` a participant or (empty) nobody in the room."""
    return [Happened(RoomEvent(type="room.moderated", room_id=code, action=deed, by=by, target=target))]
