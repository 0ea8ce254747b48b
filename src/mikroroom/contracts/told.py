"""What the server sends: for each event what it says, who hears it, and an example."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mikroroom.contracts.people import (
    ADA,
    BOB,
    CANDIDATE,
    CAROL,
    CREATOR_TOKEN,
    ICE_SERVERS,
    NOW,
    RESUME_TOKEN,
    ROOM,
    SDP,
)
from mikroroom.protocol import events

Example = dict[str, Any]


class Told(NamedTuple):
    """About one event: what it says, who hears it, examples."""

    about: str
    hearers: str
    examples: tuple[Example, ...]


def _said(kind: str, by: str, **fields: Any) -> Example:
    return {"type": kind, "roomId": ROOM, "participantId": by, **fields, "timestamp": NOW}


_STATE = {
    "isModerator": False,
    "isHost": False,
    "isMuted": False,
    "isVideoOff": False,
    "isHandRaised": False,
    "isConnected": True,
}
_HOST = _STATE | {"isModerator": True, "isHost": True}
_BACK = {
    "resumeToken": RESUME_TOKEN,
    "resumeWindow": 30,
    "resumed": True,
    "replayed": True,
    "lastClientSeq": 2,
}

_ALL = "everyone in the room"
_TARGET = "the participant named by targetId"

_TOLD: Mapping[type[events.Message], Told] = {
    events.ParticipantJoined: Told(
        "Somebody is in the room. The first one that a client hears is its own, and tells it its id. "
        "creatorToken is there only in the own one of whoever made the room by joining, once; the fields "
        "about coming back only in the own one of a client that asked for it.",
        _ALL,
        (
            _said("participant-joined", ADA, **_HOST, name="Ada", creatorToken=CREATOR_TOKEN),
            _said("participant-joined", ADA, **_HOST, name="Ada", **_BACK) | {"seq": 3},
        ),
    ),
    events.ParticipantUpdated: Told(
        "A participant's state after it changed, always whole.",
        "everyone in the room but who caused it by its own update",
        (_said("participant-updated", BOB, **_STATE | {"isMuted": True}),),
    ),
    events.ParticipantLeft: Told(
        "Somebody has left the room; or, told to moderators, the waiting room.",
        "everyone else in the room; moderators alone of somebody who waited",
        (_said("participant-left", BOB),),
    ),
    events.WaitingRoom: Told(
        "Before one's own participant-joined: one has to wait. To a moderator: this person waits. The "
        "fields about coming back are only in the own one of a client that asked for it.",
        "who waits, and every moderator",
        (
            _said("waiting-room", CAROL, name="Carol"),
            _said("waiting-room", CAROL, name="Carol", **_BACK) | {"seq": 1},
        ),
    ),
    events.ModeratorAction: Told(
        "A moderator did it to this client. With an empty participantId the server did: this client is the "
        "host now, and so a moderator.",
        _TARGET,
        (_said("moderator-action", ADA, targetId=BOB, action="mute"),),
    ),
    events.RoomLocked: Told("Newcomers wait from now on.", _ALL, (_said("room-locked", ADA, lockedBy=ADA),)),
    events.RoomUnlocked: Told("Newcomers enter again.", _ALL, (_said("room-unlocked", ADA, unlockedBy=ADA),)),
    events.RejectUser: Told(
        "This client may not enter; its connection is closed next. With an empty participantId the meeting "
        "ended while it waited.",
        "who waited",
        (_said("reject-user", ADA, targetId=CAROL, reason="Wrong meeting"),),
    ),
    events.RaiseHand: Told(
        "Somebody asks for attention.", "everyone else in the room", (_said("raise-hand", BOB),)
    ),
    events.LowerHand: Told(
        "Somebody took the raised hand down.", "everyone else in the room", (_said("lower-hand", BOB),)
    ),
    events.RecordingStarted: Told(
        "A participant's client is recording. Also told to whoever comes later, one for each recording "
        "that runs.",
        _ALL,
        (_said("recording-started", ADA, startedBy=ADA),),
    ),
    events.RecordingStopped: Told(
        "A participant's client records no longer, or its participant has left.",
        _ALL,
        (_said("recording-stopped", ADA, stoppedBy=ADA),),
    ),
    events.Chat: Told(
        "A text from a participant to the room; with a targetId to that participant alone. What was said "
        "before one came has isHistory, and the name of who said it.",
        "everyone in the room, the sender included; of a private one, its sender and its target",
        (
            _said(
                "chat",
                BOB,
                text="Hello everyone!",
                messageId=f"{NOW}-{BOB}",
                replyTo=f"{NOW - 60_000}-{ADA}",
            ),
            _said("chat", BOB, targetId=ADA, text="Shall we go on?", messageId=f"{NOW}-{BOB}"),
            _said("chat", BOB, text="Hello everyone!", messageId=f"{NOW}-{BOB}", isHistory=True, name="Bob"),
        ),
    ),
    events.MessageDeleted: Told(
        "A chat message was taken back, by who wrote it or by a moderator: clients remove it. Who does not "
        "know it has nothing to do.",
        _ALL,
        (_said("message-deleted", ADA, messageId=f"{NOW}-{BOB}", deletedBy=ADA),),
    ),
    events.Offer: Told("A WebRTC offer.", _TARGET, (_said("offer", ADA, targetId=BOB, sdp=SDP),)),
    events.Answer: Told("A WebRTC answer.", _TARGET, (_said("answer", BOB, targetId=ADA, sdp=SDP),)),
    events.IceCandidate: Told(
        "An ICE candidate; null is the end of candidates.",
        _TARGET,
        (
            _said("ice-candidate", ADA, targetId=BOB, candidate=CANDIDATE),
            _said("ice-candidate", ADA, targetId=BOB, candidate=None),
        ),
    ),
    events.FileOffer: Told(
        "A participant offers a file.",
        _TARGET,
        (
            _said(
                "file-offer",
                ADA,
                targetId=BOB,
                fileName="minutes.pdf",
                fileSize=48_213,
                fileType="application/pdf",
            ),
        ),
    ),
    events.FileAnswer: Told(
        "A participant accepts or declines a file.",
        _TARGET,
        (_said("file-answer", BOB, targetId=ADA, accepted=True),),
    ),
    events.FileChunk: Told(
        "A piece of a file.",
        _TARGET,
        (_said("file-chunk", ADA, targetId=BOB, chunk="JVBERi0xLjcK", index=0, total=3),),
    ),
    events.QualityChange: Told(
        "A participant asks for another video quality.",
        _TARGET,
        (_said("quality-change", BOB, targetId=ADA, quality="low"),),
    ),
    events.IceServers: Told(
        "Fresh credentials for TURN, before those of a participant run out: for "
        "RTCPeerConnection.setConfiguration on every connection there is, and for every later one. "
        "participantId is the receiver's own.",
        "each participant, where credentials are short-lived",
        (_said("ice-servers", BOB, iceServers=ICE_SERVERS, ttl=86_400),),
    ),
    events.Error: Told(
        "A request was refused, and nothing has changed; the connection lives on.",
        "who asked",
        (
            {
                "type": "error",
                "roomId": "",
                "participantId": "",
                "message": "The room is full; it seats 8",
                "code": "ROOM_FULL",
                "requestType": "join",
                "timestamp": NOW,
            },
        ),
    ),
}


def told(event: type[events.Message]) -> Told:
    """What there is to tell of an event."""
    return _TOLD.get(event) or Told((event.__doc__ or "").strip(), "", ())
