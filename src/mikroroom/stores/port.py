"""What the hub may rely on, whichever store is behind it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from msgspec import Struct

from mikroroom.core.effects import Effects
from mikroroom.core.room import Room

# Nothing to wait for, or something to await where the answer is not there yet: a store that is far away,
# a disk. Either way a refusal is raised, not returned.
Step = Awaitable[None] | None

# What is done to a room, at a time in milliseconds. It may be called again on a newer room, so it must not
# do anything else.
Verb = Callable[[Room, int], Effects]

Deliver = Callable[[Effects], None]


class Kept(Struct):
    """What was told to someone who may come back (R44), as it outlives a planned stop (R46).

    ``count`` is the number of the last of ``messages``, which are JSON and numbered; ``last_client_seq``
    what had come of its own (R47), ``last_stamp`` the time on its last chat (R15). After a crash it is not
    whole: there is only ``last_client_seq``, as it was a moment before, and what was said since.
    """

    count: int
    last_client_seq: int
    last_stamp: int
    messages: list[bytes]
    is_whole: bool = True


class CodeTaken(Exception):
    """A room with this code exists already."""


class Store(Protocol):
    """Rooms, and the one way to change them.

    A verb takes effect whole or not at all; verbs on one room take effect one after the other, and their
    effects are delivered in that order, once each. Effects are delivered before the step is done.
    """

    def start(self, deliver: Deliver) -> None:
        """Get ready, and hand effects to ``deliver`` from now on."""

    async def stop(self, kept: Mapping[str, Kept]) -> None:
        """Write what is still to be written, and ``kept``, by participant; let go. May be started again."""

    def take_kept(self, code: str, participant_id: str) -> Kept | None:
        """What the last stop kept for someone in a room, once; None where nothing outlives a stop."""

    def note_taken(self, code: str, participant_id: str, client_seq: int) -> None:
        """A message of someone in a room was taken, with that number (R47). Done for each: costs nothing."""

    def create(self, room: Room, effects: Effects) -> Step:
        """Take in a room that is new, with what follows from its making.

        Raises:
            CodeTaken: there is one with this code.
            Refusal: ROOM_LIMIT, there are too many rooms.
        """

    def transact(self, code: str, verb: Verb) -> Step:
        """Apply a verb to a room.

        Raises:
            Refusal: ROOM_NOT_FOUND, or what the verb refuses.
        """

    def tidy(self) -> bool:
        """Let those go whose window has ended, and remove the rooms whose time has come (R2, R4, R41).

        To be called about once a second; and again soon where it returns that there is more to do.
        """

    def make_up_for(self, milliseconds: int) -> None:
        """Give everyone who is away so much more time: the process stood still, and heard nobody."""

    def active_rooms(self) -> int:
        """How many rooms have somebody in them."""
