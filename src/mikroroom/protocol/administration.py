"""What whoever administers rooms may ask over HTTP, and what it is answered: one struct per body.

Times are in milliseconds since the epoch, by the server's clock. What is asked for is read strictly: a field
that nobody knows is refused, since it was meant to change something.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

YEAR = 31_536_000

Seconds = Annotated[int, Meta(ge=1, le=YEAR, description="seconds")]
# The look ahead: in Python ``$`` would let a line end follow.
EventId = Annotated[str, Meta(pattern=r"^([0-9]{1,19}(-[0-9]{1,19})?)?(?!\n)$")]
Role = Literal["participant", "moderator"]
State = Literal["active", "latent", "lingering"]


class Asked(Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The base of what is asked for, as a body in JSON or as the query of a URL."""


class ListRooms(Asked):
    """The query of ``GET /api/rooms``: rooms whose codes come ``after`` this one, at most so many."""

    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class ListEvents(Asked):
    """The query of ``GET /api/events``: room events that follow this one, at most so many.

    ``after`` is the id of one, as in ``1767225600000-0``; without it they are told from the oldest that is
    kept.
    """

    after: EventId = ""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class ChangeRoom(Asked):
    """The body of ``PATCH /api/rooms/CODE``: what is left out stays; a ``password`` of null is none."""

    password: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType | None = UNSET
    max_participants: Annotated[int, Meta(ge=1, le=1_000)] | UnsetType = UNSET
    is_locked: bool | UnsetType = UNSET


class EndMeeting(Asked):
    """The query of ``DELETE /api/rooms/CODE``: what people are told."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)] | UnsetType = UNSET


class ChangeParticipant(Asked):
    """The body of ``PATCH /api/rooms/CODE/participants/ID``."""

    is_moderator: bool


class RemoveParticipant(Asked):
    """The query of ``DELETE /api/rooms/CODE/participants/ID``: for how many seconds it may not come back."""

    ban: Seconds | UnsetType = UNSET


class NewInvite(Asked):
    """The body of ``POST /api/rooms/CODE/invites``: every field may be left out.

    Valid for ``expires_in`` seconds, or as long as the room is there. ``label`` is for whoever makes it.
    """

    role: Role = "participant"
    expires_in: Seconds | None = None
    skips_waiting: bool = False
    label: Annotated[str, Meta(max_length=100)] = ""


class Nothing(Asked):
    """The query of all other routes: there is none, and a token in it is refused."""


class RoomSummary(Struct, rename="camel", kw_only=True):
    """A room at a glance: ``active`` with people in it, ``latent`` or ``lingering`` without (R2, R4).

    A room without people is removed when it ``expires_at``.
    """

    room_id: str
    state: State
    participant_count: int
    connected_count: int
    waiting_count: int
    max_participants: int
    is_locked: bool
    has_password: bool
    is_precreated: bool
    expires_at: int | None


class RoomList(Struct, rename="camel", kw_only=True):
    """The answer to ``GET /api/rooms``, sorted by code. ``next`` is the ``after`` to go on with, if any."""

    rooms: list[RoomSummary]
    next: str | UnsetType = UNSET


class Person(Struct, rename="camel", kw_only=True):
    """Someone in a room or its waiting room.

    ``address``, and ``subject`` (who the site says it is), are for the administrator of the site alone.
    """

    id: str
    name: str
    is_connected: bool
    address: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET


class ParticipantDetail(Person):
    """Someone in a room; ``is_creator`` where it came with the creator token."""

    is_host: bool
    is_moderator: bool
    is_creator: bool
    is_muted: bool
    is_video_off: bool
    is_hand_raised: bool


class BanDetail(Struct, rename="camel", kw_only=True):
    """Someone who may not join until then; ``address`` and ``subject`` as in ``Person``."""

    id: str
    name: str
    created_at: int
    expires_at: int
    address: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET


class InviteDetail(Struct, rename="camel", kw_only=True):
    """An invite, without its token. ``expires_at`` is null where it lasts as long as the room."""

    id: str
    role: Role
    label: str
    skips_waiting: bool
    created_at: int
    expires_at: int | None


class CreatedInvite(InviteDetail):
    """The answer to ``POST /api/rooms/CODE/invites``: its token is told once, and stored hashed."""

    token: str


class InviteList(Struct, rename="camel", kw_only=True):
    """The answer to ``GET /api/rooms/CODE/invites``, in the order of their making."""

    invites: list[InviteDetail]


class RoomDetail(RoomSummary):
    """A room and its people, in the order in which they came."""

    participants: list[ParticipantDetail]
    waiting: list[Person]
    bans: list[BanDetail]
    invites: list[InviteDetail]


class Removal(Struct, rename="camel", kw_only=True):
    """The answer to ``DELETE /api/rooms/CODE/participants/ID``: the ban that came with it, if one did."""

    ban: BanDetail | None
