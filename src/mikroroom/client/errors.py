"""What a client may run into, besides what it is told in events."""

from websockets.exceptions import ConnectionClosed

from mikroroom.protocol import events

# Whoever comes back from one of these has said, or been told, what cannot be read, and would again:
# no WebSocket, not text, not UTF-8, too large (RFC 6455, 7.4.1).
_FAULTS = frozenset({1002, 1003, 1007, 1009})
_FINAL = range(4500, 5000)


class RefusedError(Exception):
    """The server refused to let the client in. ``code`` is one of ``protocol.codes.ErrorCode``."""

    def __init__(self, error: events.Error) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.code = error.code
        self.message = error.message


class DisconnectedError(Exception):
    """The connection is closed, with a code of ``protocol.codes.CloseCode`` or of RFC 6455, 7.4.1.

    ``is_final``: nobody may come back from this (R28), or it would be of no use.
    """

    def __init__(self, code: int, reason: str, *, is_final: bool = True) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason
        self.is_final = is_final


class QueueFullError(Exception):
    """What was to be sent is not kept: too much waits already for the connection to come back."""


class GapError(Exception):
    """The server has left something out: its messages are numbered without gaps (R40)."""


def disconnected(closed: ConnectionClosed) -> DisconnectedError:
    """Why a connection was closed; 1006 where the server has not said."""
    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
    # Whose fault it was: this side repeats what it was told, and tells the server of the server's own.
    told = closed.sent.code if closed.sent else code
    return DisconnectedError(code, reason, is_final=code in _FINAL or told in _FAULTS)
