"""What a client tells its application of its own connection, among what the server says."""

from msgspec import Struct

from mikroroom.protocol import events
from mikroroom.protocol.events import Event


class Suspended(Struct, frozen=True):
    """The connection is lost, for this ``code`` and ``reason``, and the client is on its way back.

    What is sent meanwhile waits.
    """

    code: int
    reason: str


class Resumed(Struct, frozen=True):
    """The client is back in its place. ``own`` is its own state (R42).

    ``replayed``: what it missed follows. If not, that is not held any more: everything there is to know
    follows, as to a newcomer, and replaces all that was known.
    """

    own: events.ParticipantJoined | events.WaitingRoom
    replayed: bool


class Rejoined(Struct, frozen=True):
    """The place was gone, and the client has joined afresh: ``own`` has a new ``participant_id``.

    Everything there is to know follows, and replaces all that was known. What had been sent without its
    arrival being known is not sent again; what had only waited is sent now.
    """

    own: events.ParticipantJoined | events.WaitingRoom


Heard = Event | Suspended | Resumed | Rejoined
