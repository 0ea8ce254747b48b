"""The REST routes by which rooms are administered."""

from typing import Any

from mikroroom.contracts.endpoints import ADMINISTRATION, Answer, Endpoint, Parameter, refused, too_many
from mikroroom.contracts.people import ADA, BAN, CAROL, INVITE, NOW, ROOM
from mikroroom.protocol import administration as protocol

_CODE = Parameter("code", "The room's code, in upper or lower case.", {"type": "string"}, ROOM)
_PERSON = Parameter("id", "The id of a participant, or of somebody who waits.", {"type": "string"}, ADA)
_WAITING = Parameter("id", "The id of somebody who waits.", {"type": "string"}, CAROL)
_INVITE = Parameter("id", "The id of an invite.", {"type": "string"}, INVITE)
_BAN = Parameter("id", "The id of a ban.", {"type": "string"}, BAN)

_FULL = "The room is full; it seats 8"

# How any of these may be refused.
_WRONG = refused(
    400, "A body, a field or a parameter is wrong.", "Object contains unknown field `colour` - at `$`"
)
_UNKNOWN = refused(
    401,
    "There are no credentials, or none that can be read.",
    "This needs a token: `Authorization: Bearer TOKEN`",
    "WWW-Authenticate",
)
_FORBIDDEN = refused(
    403,
    "The token does not do that, whether or not there is such a room; or the page's origin is not allowed.",
    "This token does not do that",
)
_NOBODY = refused(
    404, "There is no such room, or nothing with this id in it.", "There is no room with this code"
)
_LARGE = refused(413, "The body is too large.", "Request body too large; at most 16384 bytes")
_GUESSES = too_many("Too many wrong tokens from this address in the last minute: no token is looked at.")
_AWAY = refused(
    503, "The rooms are out of reach. Nothing has changed.", "The rooms are out of reach", "Retry-After"
)
_ALWAYS = (_WRONG, _UNKNOWN, _FORBIDDEN, _NOBODY, _LARGE, _GUESSES, _AWAY)

_SUMMARY: dict[str, Any] = {
    "roomId": ROOM,
    "state": "active",
    "participantCount": 1,
    "connectedCount": 1,
    "waitingCount": 1,
    "maxParticipants": 8,
    "isLocked": True,
    "hasPassword": False,
    "isPrecreated": True,
    "expiresAt": None,
}
_PARTICIPANT = {
    "id": ADA,
    "name": "Ada",
    "isConnected": True,
    "address": "192.0.2.7",
    "subject": "user 7",
    "isHost": True,
    "isModerator": True,
    "isCreator": True,
    "isMuted": False,
    "isVideoOff": False,
    "isHandRaised": False,
}
_BANNED = {
    "id": BAN,
    "name": "Mallory",
    "createdAt": NOW,
    "expiresAt": NOW + 3_600_000,
    "address": "192.0.2.66",
}
_INVITED = {
    "id": INVITE,
    "role": "moderator",
    "label": "the board",
    "skipsWaiting": True,
    "createdAt": NOW,
    "expiresAt": None,
}
_ROOM = {
    **_SUMMARY,
    "participants": [_PARTICIPANT],
    "waiting": [{"id": CAROL, "name": "Carol", "isConnected": True, "address": "192.0.2.8"}],
    "bans": [_BANNED],
    "invites": [_INVITED],
}


def answers(done: Answer, conflict: str = "", error: str = "") -> tuple[Answer, ...]:
    """What there is when it is done, and every way in which it is refused."""
    conflicts = (refused(409, conflict, error),) if conflict else ()
    return tuple(sorted((done, *_ALWAYS, *conflicts), key=lambda answer: answer.status))


ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/rooms",
        "listRooms",
        "All rooms, sorted by code",
        "Only for the administrator. Where there are more rooms than the limit, the answer has a next: the "
        "after of the request that goes on.",
        (
            *answers(Answer(200, "Some rooms.", protocol.RoomList, {"rooms": [_SUMMARY], "next": ROOM})),
            refused(405, "There are no credentials, and no administrator.", "Method Not Allowed"),
        ),
        ADMINISTRATION,
        query=protocol.ListRooms,
        needs="a token",
    ),
    Endpoint(
        "GET",
        "/api/rooms/{code}",
        "showRoom",
        "A room, and who is in it",
        "People are in the order in which they came. Addresses and subjects are told to the administrator "
        "alone.",
        answers(Answer(200, "The room.", protocol.RoomDetail, _ROOM)),
        ADMINISTRATION,
        parameters=(_CODE,),
        needs="a token",
    ),
    Endpoint(
        "PATCH",
        "/api/rooms/{code}",
        "changeRoom",
        "Change a room",
        "What is left out stays as it is. Nobody has to go if there are fewer seats than people. Locked, "
        "newcomers wait; unlocked, those who wait enter.",
        answers(Answer(200, "The room as it is now.", protocol.RoomDetail, _ROOM)),
        ADMINISTRATION,
        protocol.ChangeRoom,
        {"password": None, "maxParticipants": 12, "isLocked": True},
        parameters=(_CODE,),
        needs="a token",
    ),
    Endpoint(
        "DELETE",
        "/api/rooms/{code}",
        "endMeeting",
        "End a meeting, and remove the room",
        "Everyone hears reject-user with the reason and is closed with 4504. Nobody can come back, and the "
        "room's tokens, invites and bans are gone with it.",
        answers(Answer(204, "It is over.")),
        ADMINISTRATION,
        query=protocol.EndMeeting,
        parameters=(_CODE,),
        needs="a token",
    ),
    Endpoint(
        "PATCH",
        "/api/rooms/{code}/participants/{id}",
        "changeParticipant",
        "Make somebody a moderator, or none any more",
        "",
        answers(
            Answer(200, "The participant as it is now.", protocol.ParticipantDetail, _PARTICIPANT),
            "This is the host, who is always a moderator.",
            "The host is always a moderator",
        ),
        ADMINISTRATION,
        protocol.ChangeParticipant,
        {"isModerator": True},
        parameters=(_CODE, _PERSON),
        needs="a token",
    ),
    Endpoint(
        "DELETE",
        "/api/rooms/{code}/participants/{id}",
        "removeParticipant",
        "Remove somebody from the room, or from the waiting room",
        "Also the creator. Who is removed hears moderator-action with kick, is closed with 4501, and waits "
        "when coming back within ten minutes. With a ban it may not come back for so long: a join from its "
        "address, or by the same subject, is refused with BANNED.",
        answers(Answer(200, "It is removed; the ban, if there is one.", protocol.Removal, {"ban": _BANNED})),
        ADMINISTRATION,
        query=protocol.RemoveParticipant,
        parameters=(_CODE, _PERSON),
        needs="a token",
    ),
    Endpoint(
        "POST",
        "/api/rooms/{code}/waiting/{id}",
        "admitParticipant",
        "Admit somebody who waits",
        "To turn somebody away, remove the participant of that id.",
        answers(
            Answer(200, "It is in the room.", protocol.ParticipantDetail, _PARTICIPANT),
            "No seat is free.",
            _FULL,
        ),
        ADMINISTRATION,
        parameters=(_CODE, _WAITING),
        needs="a token",
    ),
    Endpoint(
        "GET",
        "/api/rooms/{code}/invites",
        "listInvites",
        "The invites that somebody can come in by",
        "Without their tokens.",
        answers(Answer(200, "The invites.", protocol.InviteList, {"invites": [_INVITED]})),
        ADMINISTRATION,
        parameters=(_CODE,),
        needs="a token",
    ),
    Endpoint(
        "POST",
        "/api/rooms/{code}/invites",
        "createInvite",
        "Make an invite",
        "Every field may be left out, and so may the whole body. The token is told once, and stored hashed.",
        answers(
            Answer(201, "The invite.", protocol.CreatedInvite, {**_INVITED, "token": "inv_xJ0kqV9c2mB7tR4e"}),
            "The room has as many invites as it may.",
            "The room has 100 invites already",
        ),
        ADMINISTRATION,
        protocol.NewInvite,
        {"role": "moderator", "expiresIn": 86_400, "skipsWaiting": True, "label": "the board"},
        parameters=(_CODE,),
        needs="a token",
    ),
    Endpoint(
        "DELETE",
        "/api/rooms/{code}/invites/{id}",
        "revokeInvite",
        "Let nobody come in by an invite any more",
        "Whoever has come in stays.",
        answers(Answer(204, "It is worth nothing now.")),
        ADMINISTRATION,
        parameters=(_CODE, _INVITE),
        needs="a token",
    ),
    Endpoint(
        "DELETE",
        "/api/rooms/{code}/bans/{id}",
        "liftBan",
        "Lift a ban",
        "",
        answers(Answer(204, "It is lifted.")),
        ADMINISTRATION,
        parameters=(_CODE, _BAN),
        needs="a token",
    ),
)
