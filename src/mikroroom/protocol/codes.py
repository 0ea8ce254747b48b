"""The two families of bad news: an error told to a client that stays, and a close code for one that goes."""

from enum import IntEnum, StrEnum


class ErrorCode(StrEnum):
    """``code`` of an ``error`` message (R27). The connection lives on, and nothing has changed."""

    ROOM_FULL = "ROOM_FULL"
    INVALID_PASSWORD = "INVALID_PASSWORD"
    ROOM_NOT_FOUND = "ROOM_NOT_FOUND"
    UNAUTHORIZED = "UNAUTHORIZED"
    # Beyond the reference's four:
    INVALID_MESSAGE = "INVALID_MESSAGE"
    NOT_IN_ROOM = "NOT_IN_ROOM"
    ALREADY_JOINED = "ALREADY_JOINED"
    TARGET_NOT_FOUND = "TARGET_NOT_FOUND"
    RATE_LIMITED = "RATE_LIMITED"
    ROOM_LIMIT = "ROOM_LIMIT"
    WAITING_ROOM_FULL = "WAITING_ROOM_FULL"
    RESUME_FAILED = "RESUME_FAILED"
    INVALID_TOKEN = "INVALID_TOKEN"
    BANNED = "BANNED"
    SERVER_ERROR = "SERVER_ERROR"


class CloseCode(IntEnum):
    """Why the server closes a connection (R28). Up to 4499 a client may reconnect, from 4500 it must not."""

    UNSUPPORTED_DATA = 1003
    MESSAGE_TOO_BIG = 1009
    RESTARTING = 1012
    SLOW_READER = 4001
    NEVER_JOINED = 4002
    TOO_MANY_REFUSED = 4003
    KICKED = 4501
    REJECTED = 4502
    REPLACED = 4503
    MEETING_ENDED = 4504


class Refusal(Exception):
    """A request was refused, and nothing has changed (R27). Its sender is told in an ``error`` message."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
