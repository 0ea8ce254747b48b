"""Room events: what happens in rooms, as those outside are told it.

What the server says to clients are events of the protocol; these are for the site around it, which is in no
room. A verb returns them among its effects, the store keeps them in the *chronicle*, and numbers them there.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from msgspec import Struct

RoomEventType = Literal[
    "room.started",
    "room.ended",
    "room.moderated",
    "participant.joined",
    "participant.left",
    "participant.waiting",
    "participant.waiting-left",
]

TYPES: tuple[RoomEventType, ...] = get_args(RoomEventType)

Reason = Literal["left", "lost", "removed", "rejected", "ended"]
"""Why someone is gone: by word; the connection lost, and not back in time; removed from the room, or rejected
from the waiting room; or the meeting is over."""


class Person(Struct, frozen=True, rename="camel"):
    """Someone in a room or its waiting room, as of that moment. ``subject`` is who that is to the site."""

    id: str
    name: str
    subject: str | None = None
    is_host: bool = False
    is_moderator: bool = False


class RoomEvent(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that has happened in a room.

    ``id`` is its place in the chronicle, ``MILLISECONDS-NUMBER``, which grows from one to the next; it is
    empty until it has one. ``timestamp`` is in milliseconds since the epoch.

    ``participant`` is who joined, left, waits or waits no longer. A room is moderated ``by`` a participant
    (its id; empty for the server itself and its administration), and ``target`` is whom that concerns.
    """

    type: RoomEventType
    id: str = ""
    timestamp: int = 0
    room_id: str
    participant: Person | None = None
    reason: Reason | None = None
    action: str | None = None
    by: str | None = None
    target: Person | None = None


class RoomEvents(Struct, rename="camel"):
    """Some of them in order, and the id after which to ask for those that follow.

    They are not complete where some that came after the one asked for are not kept any more.
    """

    events: list[RoomEvent]
    next: str | None
    is_complete: bool


def place(event_id: str) -> tuple[int, int]:
    """An id as numbers that can be compared.

    Raises:
        ValueError: it is none.
    """
    milliseconds, dash, number = event_id.partition("-")
    parts = milliseconds, number if dash else "0"
    if not all(part.isascii() and part.isdigit() and len(part) <= _LONGEST for part in parts):
        raise ValueError("not the id of a room event")
    return int(parts[0]), int(parts[1])


# As in Redis, where each is a number of 64 bits; with one digit less each of them is one.
_LONGEST = 19


def to_drop(waiting: Sequence[RoomEvent], most: int) -> list[str]:
    """Which of so many that wait to be told need not be, so that no more than ``most`` are left.

    Returns their ids. What belongs together goes together: whoever is told that someone joined is told that
    they left, and nobody is told one without the other. First goes what was moderated, then who waited, then
    visits that are over, then meetings that are; the oldest before others. What has begun before, or not
    ended yet, stays, even if that is more.
    """
    excess = len(waiting) - most
    dropped: list[str] = []
    for group in (*_moderation(waiting), *_waits(waiting), *_visits(waiting), *_meetings(waiting)):
        if len(dropped) >= excess:
            break
        dropped += group
    return dropped


def _moderation(waiting: Iterable[RoomEvent]) -> Iterable[list[str]]:
    return ([event.id] for event in waiting if event.type == "room.moderated")


def _waits(waiting: Iterable[RoomEvent]) -> Iterable[list[str]]:
    """Each wait that is over: that someone waited, and that they went if they did not enter."""
    open_waits: dict[str, str] = {}
    for event in waiting:
        who = event.participant.id if event.participant is not None else ""
        match event.type:
            case "participant.waiting":
                open_waits[who] = event.id
            case "participant.waiting-left" if who in open_waits:
                yield [open_waits.pop(who), event.id]
            case "participant.joined" if who in open_waits:
                yield [open_waits.pop(who)]


def _visits(waiting: Iterable[RoomEvent]) -> Iterable[list[str]]:
    return _pairs(waiting, "participant.joined", "participant.left")


def _meetings(waiting: Iterable[RoomEvent]) -> Iterable[list[str]]:
    """Each meeting that is over; all visits to it are, and have gone before."""
    return _pairs(waiting, "room.started", "room.ended")


def _pairs(waiting: Iterable[RoomEvent], first: RoomEventType, last: RoomEventType) -> Iterable[list[str]]:
    begun: dict[str, str] = {}
    for event in waiting:
        who = event.participant.id if event.participant is not None else event.room_id
        if event.type == first:
            begun[who] = event.id
        elif event.type == last and who in begun:
            yield [begun.pop(who), event.id]
