"""A room: who is in it, who waits, and whatever else is a fact about it.

``Room`` is a plain struct; it can be written to a disk or sent to another machine as it is. Deadlines stand
in it as times, so whoever holds the room can keep them.
"""

from typing import Literal

from msgspec import Struct, field

from mikroroom.core.grants import GrantedRole
from mikroroom.core.history import HISTORY_BYTES, History
from mikroroom.core.secrets import Password

InviteRole = Literal["participant", "moderator"]


class Policy(Struct, frozen=True):
    """The house rules that are settings. Durations are in milliseconds."""

    latent_age: int
    resume_window: int
    kick_wait: int
    max_waiting: int
    chat_history: int = 0
    """How many chat messages a room keeps for those who come later; 0 is none."""
    chat_bytes: int = HISTORY_BYTES

    @property
    def resume_seconds(self) -> int | float:
        """The resume window as clients are told it (R40)."""
        seconds = self.resume_window / 1_000
        return int(seconds) if seconds.is_integer() else seconds


class Resumption(Struct):
    """How someone may come back (R42): digests of the token given out last, and of the one it came back with.

    ``connection_id`` is the one it is on: the loss of another is none of its.
    """

    issued: bytes
    connection_id: str
    presented: bytes | None = None

    def tokens(self) -> tuple[bytes, ...]:
        """The digests of the tokens that are valid."""
        return (self.issued,) if self.presented is None else (self.issued, self.presented)


class Participant(Struct):
    """Someone in the room. ``address`` is what is counted as one client (R30).

    ``role`` and ``subject`` are as in its ``Grant``, if it came with one.
    """

    id: str
    name: str
    address: str
    is_creator: bool = False
    is_host: bool = False
    is_moderator: bool = False
    is_muted: bool = False
    is_video_off: bool = False
    is_hand_raised: bool = False
    resumption: Resumption | None = None
    role: GrantedRole | None = None
    subject: str | None = None


class WaitingParticipant(Struct):
    """Someone in the waiting room. Who ``is_cleared`` needs no moderator any more, only a seat (R23)."""

    id: str
    name: str
    address: str
    is_cleared: bool = False
    resumption: Resumption | None = None
    role: GrantedRole | None = None
    subject: str | None = None


class Invite(Struct, frozen=True):
    """``digest`` is its token as it may be kept, ``label`` what its maker calls it.

    Times are in milliseconds: until ``expires_at`` it is valid, or with None as long as its room is there.
    Whoever comes with one that ``skips_waiting`` enters a locked room at once.
    """

    id: str
    digest: bytes
    created_at: int
    role: InviteRole = "participant"
    expires_at: int | None = None
    skips_waiting: bool = False
    label: str = ""


class Ban(Struct, frozen=True):
    """Who may not join until then: ``name`` is what it was called. Times are in milliseconds."""

    id: str
    name: str
    address: str
    subject: str | None
    created_at: int
    expires_at: int


class Room(Struct, kw_only=True):
    """One meeting. Participants and waiting participants stand in the order in which they came."""

    code: str
    max_participants: int
    creator_digest: bytes
    password: Password | None = None
    is_precreated: bool = False
    participants: dict[str, Participant] = field(default_factory=dict)
    waiting: dict[str, WaitingParticipant] = field(default_factory=dict)
    suspended: dict[str, int] = field(default_factory=dict)
    """Whose connection is lost, and until when they may come back; the first to lapse stands first (R41)."""
    locked_by: str | None = None
    recorders: list[str] = field(default_factory=list)
    kicked: dict[str, int] = field(default_factory=dict)
    """Until when a join from a kicked address waits (R24)."""
    expires_at: int | None = None
    """When the room is removed; None while anyone is in it."""
    lost_until: int = 0
    """Until when someone may come back who lost its connection, and kept no place (R4)."""
    invites: dict[str, Invite] = field(default_factory=dict)
    bans: dict[str, Ban] = field(default_factory=dict)
    chat: History = field(default_factory=History)

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
