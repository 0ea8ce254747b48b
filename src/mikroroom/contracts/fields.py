"""What each field is, in words for whoever writes a client."""

from collections.abc import Mapping

from mikroroom.protocol import events

# Wherever it stands, unless the schema below says otherwise.
_ANYWHERE: Mapping[str, str] = {
    "type": "What this message is.",
    "roomId": "The room's code: six letters or digits, in upper case.",
    "participantId": "Who did it, or whom it is about; empty where it is the server itself.",
    "targetId": "Whom it is for: the id of one participant of the same room.",
    "timestamp": "Milliseconds since the epoch, by the server's clock.",
    "seq": (
        "Number of this message among all that are told to a client that may come back; others never see "
        "it."
    ),
    "clientSeq": (
        "Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped."
    ),
    "name": "What a person is called.",
    "isModerator": "May act on others, lock the room and admit who waits.",
    "isHost": "Is the one host of the room, who is a moderator too.",
    "isMuted": "Sends no sound.",
    "isVideoOff": "Sends no picture.",
    "isHandRaised": "Asks for attention.",
    "isConnected": "False while the connection is lost and the participant may still come back.",
    "creatorToken": (
        "Makes its holder host, lets it past the waiting room, and protects it from being kicked. A secret."
    ),
    "resumeToken": (
        "With which to come back after a lost connection. A secret of this client; each return brings a "
        "new one."
    ),
    "resumeWindow": "For how many seconds one's place is kept after a lost connection.",
    "resumed": "True: this answers a join with a resume token, and the place is one's own again.",
    "replayed": (
        "True: all that was missed follows. False: everything there is follows, and replaces what was "
        "known."
    ),
    "lastClientSeq": "The highest clientSeq that has arrived; 0 if none has.",
    "password": "The room's password.",
    "maxParticipants": "How many seats the room has.",
    "text": "What is said.",
    "messageId": "Names this text, as <timestamp>-<participantId>.",
    "replyTo": "The messageId of the text that this one answers.",
    "sdp": "A session description (RFC 8866), passed on as it is.",
    "candidate": (
        "An ICE candidate as browsers give it (RTCIceCandidateInit), passed on as it is; null ends them."
    ),
    "fileName": "The file's name.",
    "fileSize": "The file's size in bytes.",
    "fileType": "The file's media type.",
    "accepted": "Whether the file is wanted.",
    "chunk": "This piece of the file, as text (Base64, say).",
    "index": "Which piece this is, counted from 0.",
    "total": "How many pieces there are.",
    "quality": "What is asked for, such as low, medium or high; the server does not read it.",
    "action": "What is done to the target.",
    "reason": "Why, for people to read.",
    "lockedBy": "The moderator who locked the room.",
    "unlockedBy": "The moderator who unlocked the room.",
    "startedBy": "The participant whose client records.",
    "stoppedBy": "The participant whose client recorded.",
    "message": "What is wrong, for people to read.",
    "code": "What is wrong, for programs. Later versions may have further codes.",
    "requestType": "The type of what was refused; absent where that could not be read.",
    "iceServers": "For RTCPeerConnection, as they are.",
    "ttl": "For how many seconds the credentials hold.",
    "urls": "The server's address (RFC 7064, RFC 7065).",
    "username": "User name, for a TURN server.",
    "credential": "Password, for a TURN server.",
    "isHistory": "True: said before one came.",
    "deletedBy": "Who took it back.",
    "error": "What was wrong, for people to read.",
    "version": "The server's version.",
    "status": "How it is.",
    "id": "Its id.",
    "state": (
        "With people in it (active), made ahead and empty (latent), or lost by everyone in it (lingering)."
    ),
    "participantCount": "People in the room, and be it some who may come back.",
    "connectedCount": "People in the room who are connected.",
    "waitingCount": "People who wait.",
    "isLocked": "Newcomers wait.",
    "hasPassword": "Newcomers need a password.",
    "isPrecreated": "It was made before anyone was in it.",
    "createdAt": "Since when, in milliseconds since the epoch.",
    "expiresAt": "Until when, in milliseconds since the epoch; null is as long as the room is there.",
    "rooms": "The rooms, sorted by code.",
    "next": "The after of the next request; absent where there are no more.",
    "address": "From where it came; told to the administrator alone.",
    "subject": "Who the site says it is; told to the administrator alone, where the site said so.",
    "isCreator": "Came with the creator token.",
    "participants": "Who is in the room, in the order in which they came.",
    "waiting": "Who waits, in the order in which they came.",
    "bans": "Who may not come.",
    "invites": "By what somebody can come in, in the order of their making.",
    "events": "The events, in order.",
    "isComplete": "False where some that came after the one asked for are not kept any more.",
    "participant": "Who joined, left, waits, or waits no longer.",
    "by": "The id of the participant who did it; empty for the server and its administration.",
    "target": "To whom it was done; absent where it concerns the room.",
    "role": "As what one comes in.",
    "skipsWaiting": "Whoever comes with it enters a locked room at once.",
    "label": "For whoever makes it.",
    "token": "With which to come in, as the token of a join. It is told once, and stored hashed.",
}  # fmt: skip

_RELAYED = "Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none."
_SENT = (
    "Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it."
)

_HERE: Mapping[tuple[str, str], str] = {
    ("JoinRequest", "roomId"): "The room's code, in upper or lower case.",
    ("JoinRequest", "name"): (
        "1 to 64 characters after trimming, at least one of them visible, none of them a control or "
        "text-direction character. Not needed with a resumeToken, nor where a token or the site brings one."
    ),
    ("JoinRequest", "password"): (
        "The room's password if it has one; for a room that is made, the one it gets."
    ),
    ("JoinRequest", "isHost"): "Make the room if there is none. On a room that exists it grants nothing.",
    ("JoinRequest", "creatorToken"): (
        "Makes its holder host. A wrong one is ignored, but counts as a failed guess."
    ),
    ("JoinRequest", "maxParticipants"): "Seats of a room that is made, up to the server's ceiling.",
    ("JoinRequest", "resume"): "One's place is to be kept when the connection is lost.",
    ("JoinRequest", "resumeToken"): "Take one's place again: the last token that was given for it.",
    ("JoinRequest", "lastSeq"): "With a resumeToken: the seq of the last message that was heard.",
    ("JoinRequest", "restart"): (
        "With a resumeToken: all that was known is forgotten, as when a page is loaded anew; the others meet "
        "the same person again."
    ),
    ("ModeratorActionRequest", "targetId"): "A participant of the room.",
    ("AdmitUserRequest", "targetId"): "Who waits, and may enter.",
    ("RejectUserRequest", "targetId"): "Who waits, and may not enter.",
    ("RejectUserMessage", "targetId"): "Who may not enter: the receiver.",
    ("ModeratorActionMessage", "targetId"): "To whom it is done: the receiver.",
    ("RecordingStoppedMessage", "stoppedBy"): "The participant whose client records no longer.",
    ("JoinRequest", "token"): (
        "A join token or an invite of the site: what it grants holds, whatever the other fields say, and "
        "it may bring the name."
    ),
    ("ChatRequest", "targetId"): "For whom alone it is: the id of one participant of the same room.",
    ("ChatMessage", "targetId"): "For whom alone it is; absent from what is said to all.",
    ("ChatMessage", "name"): "Of who said it, in history: they may be gone.",
    ("DeleteMessageRequest", "messageId"): "Which message, as <timestamp>-<participantId>.",
    ("MessageDeletedMessage", "messageId"): "Which message.",
    ("ChatRequest", "text"): "1 to 4,000 characters.",
    ("ErrorMessage", "roomId"): "Always empty.",
    ("ErrorMessage", "participantId"): "Always empty.",
    ("ParticipantJoinedMessage", "seq"): (
        "Number of this message; where it says resumed, the number from which the count goes on."
    ),
    ("RoomSummary", "expiresAt"): (
        "When it is removed, in milliseconds since the epoch; null with people in it."
    ),
    ("RoomDetail", "expiresAt"): (
        "When it is removed, in milliseconds since the epoch; null with people in it."
    ),
    ("ListRooms", "after"): "Only rooms whose code comes after this one.",
    ("ListRooms", "limit"): "How many at most.",
    ("ChangeRoom", "password"): "What newcomers need; null is none.",
    ("ChangeRoom", "maxParticipants"): "How many seats the room has, up to the server's ceiling.",
    ("ChangeRoom", "isLocked"): "Whether newcomers wait.",
    ("EndMeeting", "reason"): "What people are told; without it, Meeting ended.",
    ("ChangeParticipant", "isModerator"): "Whether it may act on others.",
    ("RemoveParticipant", "ban"): "For how many seconds it may not come back.",
    ("Removal", "ban"): "The ban; null where none was asked for.",
    ("NewInvite", "expiresIn"): "For how many seconds it holds; without it, as long as the room is there.",
    ("ListEvents", "after"): (
        "Only events after the one with this id, or after this time; without it, from the oldest."
    ),
    ("ListEvents", "limit"): "How many at most.",
    ("RoomEvents", "next"): "The after of the next request; null where there has been nothing yet.",
    ("RoomEvent", "type"): "What has happened.",
    ("RoomEvent", "id"): "The event's place, milliseconds and a number; it grows from each to the next.",
    ("RoomEvent", "timestamp"): "When it happened, in milliseconds since the epoch.",
    ("RoomEvent", "reason"): (
        "Why somebody is gone: left by word, lost the connection, removed, rejected, or it all ended."
    ),
    ("RoomEvent", "action"): "What was done, such as locked, admitted or muted; there may be more.",
    ("EventPerson", "subject"): "Who that is to the site; null if it did not say.",
    ("CreateRoom", "roomId"): "The code to be used, in upper or lower case; without it one is made.",
    ("CreateRoom", "password"): "At most 256 characters; empty is none.",
    ("CreateRoom", "maxParticipants"): (
        "How many seats the room has, up to the server's ceiling."
    ),
    ("Index", "name"): "Of the service.",
    ("Index", "endpoints"): "Paths, by what is there.",
    ("Health", "totalRooms"): "Rooms that have somebody in them, and be it somebody who may come back.",
    ("Health", "totalParticipants"): "Participants who are connected.",
    ("Health", "peakParticipants"): "The highest totalParticipants since the start.",
    ("Health", "uptime"): "Milliseconds since the start.",
}  # fmt: skip

_RELAYS = {f"{relay.__name__}Message" for relay in events.Relay.__subclasses__()}


def about(schema: str, field: str) -> str:
    """What a field of a schema is; empty where nobody has said."""
    if (schema, field) in _HERE:
        return _HERE[schema, field]
    if field == "timestamp":
        return _RELAYED if schema in _RELAYS else _SENT if schema.endswith("Request") else _ANYWHERE[field]
    return _ANYWHERE.get(field, "")
