"""What a client may send: one tagged struct per message type, and their union ``Request``.

``roomId`` (outside ``join``) and ``participantId`` are not even read: the server knows who speaks and
where (R10). Unknown fields are dropped here, so they can never be passed on.
"""

import re
import unicodedata
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

NAME_LENGTH = 64
NAME_MISSING = "Object missing required field `name`"
TEXT_LENGTH = 4_000

# Control characters, line and paragraph separators, and what turns the direction of the text around it (R8).
REFUSED_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_CODE = re.compile("[A-Za-z0-9]{6}")
# Letters and symbols that show nothing: Hangul fillers, the empty Braille pattern.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})

Id = Annotated[str, Meta(max_length=64)]
Password = Annotated[str, Meta(max_length=256)]
# Client clocks may be fractional (R10). Within these bounds every client reads back what was sent.
Timestamp = Annotated[int, Meta(ge=-(2**53), le=2**53)] | Annotated[float, Meta(ge=-(2.0**53), le=2.0**53)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
# What is counted on from here must stay a number that every client can read.
Seq = Annotated[int, Meta(ge=0, le=2**52)]
Token = Annotated[str, Meta(max_length=256)]
JoinToken = Annotated[str, Meta(max_length=4_096)]
# ``<timestamp>-<participantId>`` (R15). The look ahead: in Python ``$`` would let a line end follow.
MessageId = Annotated[str, Meta(pattern=r"^[0-9]{1,16}-[0-9A-Za-z-]{1,64}(?!\n)$")]

# What the schemas of the contracts say beyond what is checked on the way in.
RoomCode = Annotated[
    str,
    Meta(max_length=64, extra_json_schema={"pattern": "^[A-Za-z0-9]{6}$", "minLength": 6, "maxLength": 6}),
]
Name = Annotated[str, Meta(extra_json_schema={"pattern": r"^\s*\S([\s\S]{0,62}\S)?\s*$"})]
RawText = Annotated[Raw, Meta(extra_json_schema={"type": "string"})]
RawObject = Annotated[Raw, Meta(extra_json_schema={"type": ["object", "null"]})]


class Message(Struct, tag_field="type", rename="camel", kw_only=True, omit_defaults=True, gc=False):
    """The base of every request. ``client_seq`` numbers what a resumable client sends: 1, 2, 3, … (R47)."""

    timestamp: Timestamp | None = None
    client_seq: Annotated[int, Meta(ge=1, le=2**52)] | None = None


class Join(Message, tag="join"):
    """Enter a room, or with ``isHost`` make it if it does not exist (R4 to R12).

    With ``resume`` one's place is kept when the connection is lost (R40); with ``resume_token`` one takes it
    again (R42): ``last_seq`` is the last number heard, ``restart`` says that all before is forgotten.
    ``token`` is a join token or an invite: it says who one is. ``name`` may be left out where
    that, or the site, brings one.
    """

    room_id: RoomCode
    name: Name | None = None
    password: Password | None = None
    is_host: bool | None = None
    creator_token: Token | None = None
    max_participants: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    resume: bool | None = None
    resume_token: Token | None = None
    last_seq: Seq | None = None
    restart: bool | None = None
    token: JoinToken | None = None

    def __post_init__(self) -> None:
        """Bring the code to upper case (R1) and hold the name to R8.

        Raises:
            ValueError: the code is none, or the name is empty, too long or has refused characters.
        """
        self.room_id = _code(self.room_id)
        if self.name is not None:
            self.name = _name(self.name)


class Leave(Message, tag="leave"):
    """Leave the room, or the waiting room; the connection stays open (R17)."""


class Relay(Message):
    """The base of what goes to one other participant, unread (R14).

    Payloads that can be long are kept as the bytes that came, so that they go out byte-exact. What kind of
    JSON they must be is for ``codec.decode_request`` to see to.
    """

    target_id: Id


class Offer(Relay, tag="offer"):
    """A WebRTC offer (RFC 8829)."""

    sdp: RawText


class Answer(Relay, tag="answer"):
    """A WebRTC answer (RFC 8829)."""

    sdp: RawText


class IceCandidate(Relay, tag="ice-candidate"):
    """An ICE candidate (RFC 8838): any object, or null for the end of candidates."""

    candidate: RawObject


class FileOffer(Relay, tag="file-offer"):
    """A file is offered to one participant."""

    file_name: Annotated[str, Meta(max_length=1_024)]
    file_size: Count
    file_type: Annotated[str, Meta(max_length=256)]


class FileAnswer(Relay, tag="file-answer"):
    """An offered file is accepted or declined."""

    accepted: bool


class FileChunk(Relay, tag="file-chunk"):
    """A piece of a file, for clients without a data channel."""

    chunk: RawText
    index: Count
    total: Count


class QualityChange(Relay, tag="quality-change"):
    """Asks one participant to send another video quality."""

    quality: Annotated[str, Meta(max_length=32)]


class Chat(Message, tag="chat"):
    """A text for everyone in the room (R15), or for ``target_id`` alone."""

    text: Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH)]
    reply_to: Annotated[str, Meta(max_length=128)] | None = None
    target_id: Id | None = None


class DeleteMessage(Message, tag="delete-message"):
    """Takes a chat message back: one's own, or as a moderator anyone's."""

    message_id: MessageId

    @property
    def author_id(self) -> str:
        """Who wrote it."""
        return self.message_id.partition("-")[2]


class UpdateState(Message, tag="participant-updated"):
    """Changes one's own state; absent fields stay as they were (R16)."""

    is_muted: bool | None = None
    is_video_off: bool | None = None
    is_hand_raised: bool | None = None


class RaiseHand(Message, tag="raise-hand"):
    """Asks for attention (R16)."""


class LowerHand(Message, tag="lower-hand"):
    """Takes the raised hand down (R16)."""


class StartRecording(Message, tag="recording-started"):
    """A moderator's client records from now on (R18)."""


class StopRecording(Message, tag="recording-stopped"):
    """A moderator's client records no longer (R18)."""


Action = Literal["mute", "unmute", "kick", "make-moderator"]


class ModeratorAction(Message, tag="moderator-action"):
    """A moderator acts on one participant (R24)."""

    target_id: Id
    action: Action


class LockRoom(Message, tag="room-locked"):
    """From now on newcomers wait (R20)."""


class UnlockRoom(Message, tag="room-unlocked"):
    """Everyone waiting enters while there is room (R23)."""


class AdmitUser(Message, tag="admit-user"):
    """A waiting participant may enter (R21)."""

    target_id: Id


class RejectUser(Message, tag="reject-user"):
    """A waiting participant may not enter (R22)."""

    target_id: Id
    reason: Annotated[str, Meta(max_length=500)] | None = None


Request = (
    Join
    | Leave
    | Offer
    | Answer
    | IceCandidate
    | FileOffer
    | FileAnswer
    | FileChunk
    | QualityChange
    | Chat
    | DeleteMessage
    | UpdateState
    | RaiseHand
    | LowerHand
    | StartRecording
    | StopRecording
    | ModeratorAction
    | LockRoom
    | UnlockRoom
    | AdmitUser
    | RejectUser
)


class CreateRoom(Struct, rename="camel", kw_only=True):
    """The body of ``POST /api/rooms`` (R3): every field may be left out."""

    room_id: RoomCode | None = None
    password: Password | None = None
    max_participants: Annotated[int, Meta(ge=1, le=1_000)] | None = None

    def __post_init__(self) -> None:
        """Bring the code to upper case (R1). Raises ValueError: it is none."""
        if self.room_id is not None:
            self.room_id = _code(self.room_id)


def _name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"`name` must be 1 to {NAME_LENGTH} characters after trimming")
    if REFUSED_IN_NAMES.search(name):
        raise ValueError("`name` must not contain control or text-direction characters")
    if not is_visible(name):
        raise ValueError("`name` must have at least one visible character")
    return name


def is_visible(text: str) -> bool:
    """Whether there is anything in it that one can see."""
    return not all(
        character in _BLANKS or unicodedata.category(character) in _INVISIBLE for character in text
    )


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise ValueError("`roomId` must be six letters or digits")
    return text.upper()
