"""What the hub may rely on, whichever store is behind it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from mikroroom.core.chronicle import RoomEvent
from mikroroom.core.effects import Effects
from mikroroom.core.room import Room
from mikroroom.protocol.codec import Frame
from mikroroom.protocol.codes import CloseCode
from mikroroom.protocol.events import Chat, Relay

# Nothing to wait for, or something to await where the answer is not there yet: a store that is far away,
# a disk. Either way a refusal is raised, not returned.
Step = Awaitable[None] | None

# What is done to a room, at a time in milliseconds. It may be called again on a newer room, so it must not
# do anything else.
Verb = Callable[[Room, int], Effects]


class Kept(Struct):
    """What was told to someone who may come back (R44), as it outlives a planned stop (R46).

    ``count`` is the number of the last of ``messages``, which are JSON and numbered; ``last_client_seq``
    what had come of its own (R47), ``last_stamp`` the time on its last chat (R15). It is not whole where
    something was missed. After a crash there is only ``last_client_seq``, as it was a moment before, and what
    was said since; ``count`` is 0.
    """

    count: int
    last_client_seq: int
    last_stamp: int
    messages: list[bytes]
    is_whole: bool = True


class CodeTaken(Exception):
    """A room with this code exists already."""


class Far(Protocol):
    """The way to those participants of one room who are on other workers."""

    def __contains__(self, participant_id: object) -> bool:
        """Whether this one is among them."""

    def relay(self, event: Relay | Chat, target_id: str) -> None:
        """Pass on what is for one of them alone.

        Raises:
            Refusal: SERVER_ERROR, too much is waiting to be passed on.
        """

    def tell(self, frame: Frame) -> None:
        """Tell all of them. ``frame`` must not change any more. Raises as ``relay``."""


class Receiver(Protocol):
    """What a store needs of the hub: who can be reached here, and hears what comes of verbs."""

    def deliver(self, effects: Effects, code: str, stamp: int | None = None) -> None:
        """Carry out what was committed, in order, for those of the room ``code`` who are here.

        ``stamp`` is the time in milliseconds that people are told; None for now.
        """

    def hear(self, participant_ids: Iterable[str], frame: Frame) -> None:
        """These hear something that was said on another worker."""

    def meet(self, code: str, far: Far | None) -> None:
        """From now on these people of the room are elsewhere; None if all of them are here."""

    def expect_kept(self, participant_id: str) -> None:
        """Whoever takes this place, or is kept it, was on another worker: ``take_over`` will follow."""

    def take_over(self, participant_id: str, kept: Kept | None) -> None:
        """What was told to someone expected, on the worker where it was; None if nobody knows any more."""

    def part_with(self, participant_id: str, reason: CloseCode) -> Kept | None:
        """Someone's place is on another worker now. Its connection here, if any, is closed.

        Returns what it was told; of someone expected, whose mailbox has not come, what followed that.
        """

    def knows(self, participant_id: str) -> bool:
        """Whether this one can be reached here, now or when it is back."""

    def cut_off(self, code: str) -> None:
        """Something was not heard here that a room was told: its people are to come again (1012)."""


class Admission(NamedTuple):
    """Whether an address may open a connection: 0, or the milliseconds to ``wait``.

    ``taken_at`` names its place in the count; it ``is_extra`` if only to come back (R30).
    """

    wait: int
    taken_at: int
    is_extra: bool


class Counts(Protocol):
    """What is counted for each client address (R30), wherever in the service it happened."""

    async def take_connection(self, address: str) -> Admission:
        """Count a new connection, unless there are too many."""

    async def is_crowded(self, address: str) -> bool:
        """Whether the address has more connections than it may, because some may come back."""

    def give_back(self, address: str, taken_at: int) -> None:
        """Give a connection's place in the count back (R13)."""

    def give_back_return(self, participant_id: str, address: str, taken_at: int) -> None:
        """Likewise, because it was opened only to come back; but not for those who do it all the time."""

    async def take_room(self, address: str) -> int:
        """Count the making of a room. Returns 0, or the milliseconds to wait if there were too many."""

    async def room_wait(self, address: str) -> int:
        """Likewise, but only look."""

    async def take_config(self, address: str) -> int:
        """Count a request for ICE servers. Returns 0, or the milliseconds to wait if there were too many."""

    async def guess_wait(self, address: str) -> int:
        """0, or the milliseconds until the address may guess again."""

    async def take_guess(self, address: str) -> int:
        """Count a wrong password, code or token that came from the address.

        Returns 0; or, if others were counted meanwhile, the milliseconds until it may be answered.
        """

    def add_guess(self, address: str) -> None:
        """Likewise, where it has its answer already."""

    async def is_lapsed(self, token: bytes) -> bool:
        """Whether whoever comes with this token (its digest) is only late (R45)."""


class Census(Struct, frozen=True):
    """How much goes on: rooms with somebody in them, participants who are connected, the most there were."""

    rooms: int
    participants: int
    peak: int


class Page(NamedTuple):
    """Some of the rooms, by code, to be looked at only. ``next`` is after which to go on, None at the end."""

    rooms: list[Room]
    next: str | None


class Excerpt(NamedTuple):
    """Room events in order; whether it ``is_complete``, or some before them are not kept any more."""

    events: list[RoomEvent]
    is_complete: bool


class Owed(NamedTuple):
    """The oldest room events that the site is still to be told, and how many there are in all."""

    events: list[RoomEvent]
    total: int


class Chronicle(Protocol):
    """What has happened in rooms: kept with the change that it is about, or not at all, and once."""

    async def excerpt(self, after: str | None, limit: int) -> Excerpt:
        """So many room events at most, from the first one after that id; None is from the beginning.

        Raises:
            Refusal: SERVER_ERROR, they are out of reach.
        """

    async def owed(self, limit: int) -> Owed:
        """What the site is still to be told, at most so many. Raises as ``excerpt``."""

    async def all_owed(self) -> list[RoomEvent]:
        """All that the site is still to be told: it may be much. Raises as ``excerpt``."""

    async def settle(self, ids: Sequence[str]) -> None:
        """The site has been told these, or need not be. Raises as ``excerpt``."""

    async def is_courier(self) -> bool:
        """Whether it is this process that tells the site, for the next few seconds. Raises as ``excerpt``."""

    async def resign(self) -> None:
        """It is not any longer."""


class Store(Protocol):
    """Rooms, and the one way to change them.

    A verb takes effect whole or not at all; verbs on one room take effect one after the other, and their
    effects are delivered in that order, once each. Effects are delivered before the step is done.
    """

    @property
    def chronicle(self) -> Chronicle:
        """What has happened in them."""

    def start(self, receiver: Receiver) -> None:
        """Get ready, and hand effects to ``receiver`` from now on."""

    def counts(self, local: Counts) -> Counts:
        """The counts for all who share this store; ``local`` are those of this process."""

    async def stop(self, kept: Mapping[str, Kept]) -> None:
        """Write what is still to be written, and ``kept``, by participant; let go. May be started again."""

    def take_kept(self, code: str, participant_id: str) -> Kept | None:
        """What the last stop kept for someone in a room, once; None where nothing outlives a stop."""

    def note_taken(self, code: str, participant_id: str, client_seq: int) -> None:
        """A message of someone in a room was taken, with that number (R47). Done for each: costs nothing."""

    def create(self, room: Room, effects: Effects) -> Step:
        """Take in a room that is new, with what follows from its making. A pre-created one is given its time.

        Raises:
            CodeTaken: there is one with this code.
            Refusal: ROOM_LIMIT, there are too many rooms.
        """

    def transact(self, code: str, verb: Verb) -> Step:
        """Apply a verb to a room.

        Raises:
            Refusal: ROOM_NOT_FOUND, or what the verb refuses.
        """

    async def page(self, after: str, limit: int) -> Page:
        """The rooms whose codes come after this one, so many at most.

        Raises:
            Refusal: SERVER_ERROR, they are out of reach.
        """

    def tidy(self) -> bool:
        """Let those go whose window has ended, and remove the rooms whose time has come (R2, R4, R41).

        To be called about once a second; and again soon where it returns that there is more to do.
        """

    def make_up_for(self, milliseconds: int) -> None:
        """Give everyone who is away so much more time: the process stood still, and heard nobody."""

    async def census(self, local: Census) -> Census:
        """How much goes on with all who share this store; ``local`` has the people of this process."""

    def queues(self) -> Mapping[str, int]:
        """How much waits here for whoever keeps the rooms, by the name of the queue."""

    def trouble(self) -> str | None:
        """Why rooms cannot be changed at the moment; None if all is well."""

    def keeps(self) -> bool:
        """Whether what changes is kept where it is to be: on a disk, say, or nowhere."""
