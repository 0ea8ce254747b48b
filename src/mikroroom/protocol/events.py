"""What the server sends: one tagged struct per message type, and their union ``Event``.

Whoever builds an event leaves ``timestamp`` alone: the hub stamps it as it goes out. Only a relay and a chat
have a time of their own. Fields that the reference does not know are additive, and left out of the JSON where
they say nothing (``UNSET``).
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from mikroroom.protocol.codes import ErrorCode
from mikroroom.protocol.requests import Action, RawObject, RawText

# A known code, or one of a later version.
Code = Annotated[str, Meta(extra_json_schema={"x-extensible-enum": [code.value for code in ErrorCode]})]


class Stamped(Struct, tag_field="type", rename="camel", kw_only=True, gc=False):
    """``timestamp`` is in milliseconds since the epoch: the server's, or for a relay the sender's.

    ``seq`` numbers what a resumable participant hears (R40).
    """

    timestamp: int | float = 0
    seq: int | UnsetType = UNSET


class Message(Stamped):
    """The base of every event. ``participant_id``: who did it or whom it is about; empty for the server."""

    room_id: str
    participant_id: str


class ParticipantState(Message):
    """What everyone may know of a participant; always told whole (R12)."""

    is_moderator: bool = False
    is_host: bool = False
    is_muted: bool = False
    is_video_off: bool = False
    is_hand_raised: bool = False
    is_connected: bool = True


class ParticipantJoined(ParticipantState, tag="participant-joined"):
    """Someone is in the room. The first one that a client hears is its own (R9).

    ``creator_token`` stands only in the own one of whoever made an ad-hoc room (R12), what follows it only in
    that of a resumable participant: how it may come back, within ``resume_window`` seconds (R40), and once it
    has ``resumed``, whether all that it missed is ``replayed`` and what of its own has arrived (R42, R47).
    """

    name: str = ""
    creator_token: str | UnsetType = UNSET
    resume_token: str | UnsetType = UNSET
    resume_window: int | float | UnsetType = UNSET
    resumed: bool | UnsetType = UNSET
    replayed: bool | UnsetType = UNSET
    last_client_seq: int | UnsetType = UNSET


class ParticipantUpdated(ParticipantState, tag="participant-updated"):
    """A participant's state, whole, after it changed (R16)."""


class ParticipantLeft(Message, tag="participant-left"):
    """Someone is gone: from the room, or (told to moderators) from the waiting room (R22)."""


class WaitingRoom(Message, tag="waiting-room"):
    """Someone waits to be admitted: oneself, or (told to moderators) another (R20).

    In that of a resumable waiting participant stands how it may come back, as in ``ParticipantJoined``.
    """

    name: str = ""
    resume_token: str | UnsetType = UNSET
    resume_window: int | float | UnsetType = UNSET
    resumed: bool | UnsetType = UNSET
    replayed: bool | UnsetType = UNSET
    last_client_seq: int | UnsetType = UNSET


class ModeratorAction(Message, tag="moderator-action"):
    """A moderator acted on this client (R24), or the server made it one (R25: empty ``participant_id``)."""

    target_id: str = ""
    action: Action = "mute"


class RoomLocked(Message, tag="room-locked"):
    """Newcomers wait from now on (R20)."""

    locked_by: str = ""


class RoomUnlocked(Message, tag="room-unlocked"):
    """Newcomers enter again (R23)."""

    unlocked_by: str = ""


class RejectUser(Message, tag="reject-user"):
    """This client may not enter; its connection is closed next (R22, R26)."""

    target_id: str = ""
    reason: str = ""


class RaiseHand(Message, tag="raise-hand"):
    """Someone asks for attention (R16)."""


class LowerHand(Message, tag="lower-hand"):
    """Someone took the raised hand down (R16)."""


class RecordingStarted(Message, tag="recording-started"):
    """A participant's client is recording (R18)."""

    started_by: str = ""


class RecordingStopped(Message, tag="recording-stopped"):
    """A participant's client records no longer (R18)."""

    stopped_by: str = ""


class Chat(Message, tag="chat"):
    """A text from a participant to the room (R15), or to ``target_id`` alone.

    ``message_id`` is ``<timestamp>-<participant_id>``: it has its time before it goes out. One that
    ``is_history`` was said before who hears it was there, by someone of that ``name``.
    """

    text: str = ""
    message_id: str = ""
    reply_to: str | UnsetType = UNSET
    target_id: str | UnsetType = UNSET
    is_history: bool | UnsetType = UNSET
    name: str | UnsetType = UNSET


class MessageDeleted(Message, tag="message-deleted"):
    """A chat message was taken back, by who wrote it or by a moderator."""

    message_id: str = ""
    deleted_by: str = ""


class Relay(Message):
    """The base of what comes from one other participant (R14)."""

    target_id: str = ""


class Offer(Relay, tag="offer"):
    """A WebRTC offer."""

    sdp: RawText = Raw(b'""')

    @property
    def text(self) -> str:
        """The session description (RFC 8866)."""
        return msgspec.json.decode(self.sdp, type=str)


class Answer(Relay, tag="answer"):
    """A WebRTC answer."""

    sdp: RawText = Raw(b'""')

    @property
    def text(self) -> str:
        """The session description (RFC 8866)."""
        return msgspec.json.decode(self.sdp, type=str)


class IceCandidate(Relay, tag="ice-candidate"):
    """An ICE candidate; null is the end of candidates."""

    candidate: RawObject = Raw(b"null")

    @property
    def fields(self) -> dict[str, Any] | None:
        """The candidate as a browser's ``RTCIceCandidateInit``."""
        return msgspec.json.decode(self.candidate, type=dict[str, Any] | None)


class FileOffer(Relay, tag="file-offer"):
    """A participant offers a file."""

    file_name: str = ""
    file_size: int = 0
    file_type: str = ""


class FileAnswer(Relay, tag="file-answer"):
    """A participant accepts or declines a file."""

    accepted: bool = False


class FileChunk(Relay, tag="file-chunk"):
    """A piece of a file."""

    chunk: RawText = Raw(b'""')
    index: int = 0
    total: int = 0


class QualityChange(Relay, tag="quality-change"):
    """A participant asks for another video quality."""

    quality: str = ""


class IceServer(Struct):
    """An entry of ``iceServers``, as ``RTCPeerConnection`` takes it (W3C WebRTC, RTCIceServer)."""

    urls: str
    username: str | UnsetType = UNSET
    credential: str | UnsetType = UNSET


class IceServers(Message, tag="ice-servers"):
    """Fresh credentials for TURN, before those of a participant run out. They hold for ``ttl`` seconds."""

    ice_servers: list[IceServer] = []
    ttl: int = 0


class Error(Message, tag="error"):
    """A request was refused, and nothing has changed (R27)."""

    message: str = ""
    code: Code = ""
    request_type: str | UnsetType = UNSET


Event = (
    ParticipantJoined
    | ParticipantUpdated
    | ParticipantLeft
    | WaitingRoom
    | ModeratorAction
    | RoomLocked
    | RoomUnlocked
    | RejectUser
    | RaiseHand
    | LowerHand
    | RecordingStarted
    | RecordingStopped
    | Chat
    | MessageDeleted
    | Offer
    | Answer
    | IceCandidate
    | FileOffer
    | FileAnswer
    | FileChunk
    | QualityChange
    | IceServers
    | Error
)
