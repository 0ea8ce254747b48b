"""What a client may send: for each request what it does, what follows, how it is refused, and an example."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mikroroom.contracts.people import (
    ADA,
    BOB,
    CANDIDATE,
    CAROL,
    CREATOR_TOKEN,
    JOIN_TOKEN,
    NOW,
    RESUME_TOKEN,
    ROOM,
    SDP,
)
from mikroroom.core.rules import RULES, Role
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode

Example = dict[str, Any]

# How any request may be refused; all but ``join`` also where one is in no room.
ALWAYS = (ErrorCode.INVALID_MESSAGE, ErrorCode.RATE_LIMITED, ErrorCode.SERVER_ERROR)


class Asked(NamedTuple):
    """About one request. ``answers`` is what its own sender hears if all goes well, ``errors`` what else."""

    about: str
    follows: str
    examples: tuple[Example, ...]
    answers: tuple[type[events.Message], ...] = ()
    errors: tuple[ErrorCode, ...] = ()


def _example(**fields: Any) -> tuple[Example, ...]:
    return (fields,)


_RELAYED = (
    "The participant named by targetId hears it, under the sender's true id and unchanged in its payload."
)

_ASKED: Mapping[type[requests.Message], Asked] = {
    requests.Join: Asked(
        "Enter a room, or with isHost make it if it does not exist. With resume one's place is kept when the "
        "connection is lost; with a resumeToken one takes it again, on a new connection.",
        "One's own participant-joined, then one for each participant there, room-locked if the room is "
        "locked, and recording-started for each recording that runs, then the chat that is kept; the "
        "others hear participant-joined. In a locked room waiting-room instead, to oneself and every "
        "moderator.",
        (
            {
                "type": "join",
                "roomId": ROOM,
                "name": "Ada",
                "isHost": True,
                "password": "secret",
                "maxParticipants": 8,
                "creatorToken": CREATOR_TOKEN,
                "token": JOIN_TOKEN,
                "resume": True,
                "timestamp": NOW,
            },
            {
                "type": "join",
                "roomId": ROOM,
                "resumeToken": RESUME_TOKEN,
                "lastSeq": 3,
                "restart": False,
                "timestamp": NOW,
            },
        ),
        (events.ParticipantJoined, events.WaitingRoom),
        (
            ErrorCode.ALREADY_JOINED,
            ErrorCode.ROOM_NOT_FOUND,
            ErrorCode.INVALID_PASSWORD,
            ErrorCode.ROOM_FULL,
            ErrorCode.WAITING_ROOM_FULL,
            ErrorCode.ROOM_LIMIT,
            ErrorCode.RESUME_FAILED,
            ErrorCode.INVALID_TOKEN,
            ErrorCode.BANNED,
            ErrorCode.UNAUTHORIZED,
        ),
    ),
    requests.Leave: Asked(
        "Leave the room, or the waiting room. The connection stays open, and may join again.",
        "The others hear participant-left; of somebody who waited, only the moderators.",
        _example(type="leave", timestamp=NOW),
    ),
    requests.Offer: Asked(
        "A WebRTC offer to one participant.",
        _RELAYED,
        _example(type="offer", targetId=BOB, sdp=SDP, timestamp=NOW),
        errors=(ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.Answer: Asked(
        "A WebRTC answer to one participant.",
        _RELAYED,
        _example(type="answer", targetId=ADA, sdp=SDP, timestamp=NOW),
        errors=(ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.IceCandidate: Asked(
        "An ICE candidate to one participant: any object, or null for the end of candidates.",
        _RELAYED,
        (
            {"type": "ice-candidate", "targetId": BOB, "candidate": CANDIDATE, "timestamp": NOW},
            {"type": "ice-candidate", "targetId": BOB, "candidate": None, "timestamp": NOW},
        ),
        errors=(ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.FileOffer: Asked(
        "Offers a file to one participant.",
        _RELAYED,
        _example(
            type="file-offer",
            targetId=BOB,
            fileName="minutes.pdf",
            fileSize=48_213,
            fileType="application/pdf",
            timestamp=NOW,
        ),
        errors=(ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.FileAnswer: Asked(
        "Whether the file that one participant offered is wanted.",
        _RELAYED,
        _example(type="file-answer", targetId=ADA, accepted=True, timestamp=NOW),
        errors=(ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.FileChunk: Asked(
        "A piece of a file to one participant, for clients without a data channel.",
        _RELAYED,
        _example(type="file-chunk", targetId=BOB, chunk="JVBERi0xLjcK", index=0, total=3, timestamp=NOW),
        errors=(ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.QualityChange: Asked(
        "Asks one participant to send video of another quality.",
        _RELAYED,
        _example(type="quality-change", targetId=BOB, quality="low", timestamp=NOW),
        errors=(ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.Chat: Asked(
        "A text for everyone in the room; with a targetId for that participant alone.",
        "Everyone hears chat, the sender included; of a private one, the sender and the target.",
        (
            {
                "type": "chat",
                "text": "Hello everyone!",
                "replyTo": f"{NOW - 60_000}-{BOB}",
                "timestamp": NOW,
            },
            {"type": "chat", "text": "Shall we go on?", "targetId": BOB, "timestamp": NOW},
        ),
        (events.Chat,),
        (ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.DeleteMessage: Asked(
        "Takes a chat message back: one's own, or as a moderator anyone's.",
        "Everyone hears message-deleted. Whether the server still knows the message does not matter.",
        _example(type="delete-message", messageId=f"{NOW}-{BOB}", timestamp=NOW),
        (events.MessageDeleted,),
        (ErrorCode.UNAUTHORIZED,),
    ),
    requests.UpdateState: Asked(
        "Changes one's own state; what is left out stays as it is.",
        "The others hear participant-updated.",
        _example(
            type="participant-updated", isMuted=True, isVideoOff=False, isHandRaised=False, timestamp=NOW
        ),
    ),
    requests.RaiseHand: Asked(
        "Asks for attention.",
        "The others hear raise-hand, then participant-updated.",
        _example(type="raise-hand", timestamp=NOW),
    ),
    requests.LowerHand: Asked(
        "Takes the raised hand down.",
        "The others hear lower-hand, then participant-updated.",
        _example(type="lower-hand", timestamp=NOW),
    ),
    requests.StartRecording: Asked(
        "One's client records from now on: the recording itself is the client's, this tells the room.",
        "Everyone hears recording-started, and so does whoever comes later.",
        _example(type="recording-started", timestamp=NOW),
        (events.RecordingStarted,),
    ),
    requests.StopRecording: Asked(
        "Ends one's own recording; those of others go on.",
        "Everyone hears recording-stopped.",
        _example(type="recording-stopped", timestamp=NOW),
        (events.RecordingStopped,),
    ),
    requests.ModeratorAction: Asked(
        "Mutes, unmutes or kicks a participant, or makes it a moderator. A creator cannot be kicked, and "
        "nobody kicks themselves.",
        "The target hears moderator-action, then everyone participant-updated. Whoever is kicked is closed "
        "with 4501, and the others hear participant-left.",
        _example(type="moderator-action", targetId=BOB, action="mute", timestamp=NOW),
        (events.ParticipantUpdated,),
        (ErrorCode.TARGET_NOT_FOUND,),
    ),
    requests.LockRoom: Asked(
        "From now on newcomers wait.",
        "Everyone hears room-locked.",
        _example(type="room-locked", timestamp=NOW),
        (events.RoomLocked,),
    ),
    requests.UnlockRoom: Asked(
        "Everyone waiting enters, in order, while there are seats; the rest enter as seats free.",
        "Everyone hears room-unlocked, then participant-joined for each who enters.",
        _example(type="room-unlocked", timestamp=NOW),
        (events.RoomUnlocked,),
    ),
    requests.AdmitUser: Asked(
        "Somebody who waits may enter, if there is a seat.",
        "Everyone hears participant-joined, the newcomer as after any join.",
        _example(type="admit-user", targetId=CAROL, timestamp=NOW),
        (events.ParticipantJoined,),
        (ErrorCode.TARGET_NOT_FOUND, ErrorCode.ROOM_FULL),
    ),
    requests.RejectUser: Asked(
        "Somebody who waits may not enter.",
        "The one who waits hears reject-user and is closed with 4502; the moderators hear participant-left.",
        _example(type="reject-user", targetId=CAROL, reason="Wrong meeting", timestamp=NOW),
        (events.ParticipantLeft,),
        (ErrorCode.TARGET_NOT_FOUND,),
    ),
}


def asked(request: type[requests.Message]) -> Asked:
    """What there is to tell of a request."""
    return _ASKED.get(request) or Asked((request.__doc__ or "").strip(), "", ())


def sender(request: type[requests.Message]) -> str:
    """Who may send it."""
    if request is requests.Join:
        return "anyone who is in no room"
    if RULES.get(request, (Role.PARTICIPANT,))[0] is Role.MODERATOR:
        return "moderators"
    return "participants, and who waits" if request is requests.Leave else "participants"


def refusals(request: type[requests.Message]) -> tuple[ErrorCode, ...]:
    """Each code with which it may be refused."""
    place = () if request is requests.Join else (ErrorCode.NOT_IN_ROOM,)
    right = (ErrorCode.UNAUTHORIZED,) if sender(request) == "moderators" else ()
    return (*place, *right, *asked(request).errors, *ALWAYS)
