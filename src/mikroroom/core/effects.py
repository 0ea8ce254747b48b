"""What follows from a verb on a room, in the order in which it is to happen.

Effects name people by id and never hold a socket, so they can be carried to another worker as they are.
"""

from collections.abc import Iterable

from msgspec import Struct

from mikroroom.core.chronicle import RoomEvent
from mikroroom.protocol.codes import CloseCode
from mikroroom.protocol.events import Event, ParticipantJoined, WaitingRoom


class Send(Struct, frozen=True, tag=True):
    """Everyone in ``to`` hears ``event``."""

    to: tuple[str, ...]
    event: Event


class Seated(Struct, frozen=True, tag=True):
    """``id`` is a participant from here on, of a room with so many ``seats``."""

    id: str
    seats: int


class Widened(Struct, frozen=True, tag=True):
    """``id``, who is a participant already, is of a room with so many ``seats`` from here on."""

    id: str
    seats: int


class Held(Struct, frozen=True, tag=True):
    """``id`` is in the waiting room from here on."""

    id: str


class Gone(Struct, frozen=True, tag=True):
    """``id`` is neither any longer; its connection, if there is one, stays open (R17)."""

    id: str


class Suspended(Struct, frozen=True, tag=True):
    """``id``, of the room ``code``, lost its connection, and may come back; ``address`` is where it was."""

    id: str
    code: str
    address: str


class Resumed(Struct, frozen=True, tag=True):
    """``id`` is back on ``connection_id``, and on no other (R42, R43).

    It hears ``own``, then what it missed; or ``overview``, if that is not held any more or ``is_restart``.
    """

    id: str
    connection_id: str
    own: ParticipantJoined | WaitingRoom
    overview: tuple[Event, ...]
    is_restart: bool


class Lapsed(Struct, frozen=True, tag=True):
    """Whoever still comes with one of these tokens (digests) is late, but did not guess (R45)."""

    tokens: tuple[bytes, ...]


class Close(Struct, frozen=True, tag=True):
    """``id`` is gone, and its connection is closed."""

    id: str
    code: CloseCode
    reason: str


class WrongToken(Struct, frozen=True, tag=True):
    """``id`` came with a creator token that is none: a failed guess (R11)."""

    id: str


class Happened(Struct, frozen=True, tag=True):
    """Those outside are told of it, if anyone there wants to know."""

    event: RoomEvent


Effect = Send | Seated | Widened | Held | Gone | Suspended | Resumed | Lapsed | Close | WrongToken | Happened
Effects = list[Effect]


def send(to: Iterable[str], event: Event) -> Effects:
    """One ``Send``, or nothing where nobody would hear it."""
    ids = tuple(to)
    return [Send(ids, event)] if ids else []
