"""What the error codes and the close codes mean, in words for whoever writes a client."""

from collections.abc import Mapping

from mikroroom.protocol.codes import CloseCode, ErrorCode

ERRORS: Mapping[ErrorCode, str] = {
    ErrorCode.ROOM_FULL: "Every seat is taken.",
    ErrorCode.INVALID_PASSWORD: "The password is missing or wrong.",
    ErrorCode.ROOM_NOT_FOUND: "There is no room with this code.",
    ErrorCode.UNAUTHORIZED: "Only moderators may do this, or with this; or the site does not let one join.",
    ErrorCode.INVALID_MESSAGE: (
        "Not JSON, an unknown type, or a field that is missing or wrong; the message says which, and what "
        "is allowed."
    ),
    ErrorCode.NOT_IN_ROOM: "Join first, or wait to be admitted.",
    ErrorCode.ALREADY_JOINED: "This connection is in a room, or waits for one.",
    ErrorCode.TARGET_NOT_FOUND: "The targetId is nobody in this room, or nobody who waits.",
    ErrorCode.RATE_LIMITED: "Too many messages, rooms made, or failed guesses. Wait a little.",
    ErrorCode.ROOM_LIMIT: "The server has as many rooms as it may.",
    ErrorCode.WAITING_ROOM_FULL: "As many wait as may.",
    ErrorCode.RESUME_FAILED: (
        "Nobody can come back with this resumeToken: wrong, too late, or kicked meanwhile. One may join "
        "afresh."
    ),
    ErrorCode.INVALID_TOKEN: (
        "The token is none, is over, is for another room, or one is needed; the message says which."
    ),
    ErrorCode.BANNED: "One was removed from this room for a time.",
    ErrorCode.SERVER_ERROR: (
        "A fault or an overload of the server, or its rooms are out of reach. Nothing has changed; try "
        "again later."
    ),
}

# RFC 6455's own that a client may meet, beside those which the server gives itself.
_STANDARD: Mapping[int, str] = {
    1002: "What came was not WebSocket (RFC 6455).",
    1007: "What came was not UTF-8.",
    1011: "No answer to pings, or a fault of the server.",
}

_OURS: Mapping[CloseCode, str] = {
    CloseCode.UNSUPPORTED_DATA: "A binary message: all of them are text.",
    CloseCode.MESSAGE_TOO_BIG: "A message over the size limit.",
    CloseCode.RESTARTING: "The server is restarting: come back within seconds.",
    CloseCode.SLOW_READER: "The client reads too slowly.",
    CloseCode.NEVER_JOINED: "No room was joined in time.",
    CloseCode.TOO_MANY_REFUSED: "Too many messages were refused.",
    CloseCode.KICKED: "Kicked; a moderator-action said so before.",
    CloseCode.REJECTED: "Rejected from the waiting room; a reject-user said so before.",
    CloseCode.REPLACED: "Replaced: the same participant came back on a newer connection.",
    CloseCode.MEETING_ENDED: "The meeting ended while one waited; a reject-user said so before.",
}


def close_codes() -> dict[int, str]:
    """Every code with which a connection may be closed, in order."""
    ours = {int(code): _OURS.get(code, "") for code in CloseCode}
    return dict(sorted({**_STANDARD, **ours}.items()))


def error_codes() -> dict[str, str]:
    """Every code of an error, in the order of the protocol."""
    return {code.value: ERRORS.get(code, "") for code in ErrorCode}


def may_reconnect(close_code: int) -> bool:
    """Whether a client may come back after this (R28)."""
    return not 4500 <= close_code <= 4999
