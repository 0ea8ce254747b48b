"""What RFC 6455 says of frames and close codes, and picows leaves to others. Knows no connection."""

from typing import Final

NORMAL, NO_CODE, ABNORMAL, SERVER_ERROR, RESTARTING = 1000, 1005, 1006, 1011, 1012
PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = 1002, 1007, 1009

# A close frame without a code, which picows cannot write.
EMPTY_CLOSE: Final = b"\x88\x00"


class Violation(Exception):
    """Input that ends the connection, with the code and the reason that the client is given (7.1.7)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Fragments:
    """A message that comes in pieces (5.4)."""

    __slots__ = ("_is_binary", "_whole")

    def __init__(self, *, is_binary: bool) -> None:
        self._is_binary = is_binary
        self._whole = bytearray()

    def add(self, piece: memoryview, limit: int) -> None:
        """One piece more. Raises ``Violation`` if the message gets longer than ``limit`` bytes."""
        if len(self._whole) + len(piece) > limit:
            raise Violation(TOO_BIG, f"a message may have {limit} bytes")
        self._whole += piece

    def message(self) -> str | bytes:
        """All of it. Raises ``Violation`` if it is to be text, and is none."""
        if self._is_binary:
            return bytes(self._whole)
        try:
            return self._whole.decode()
        except UnicodeDecodeError:
            raise Violation(INVALID_TEXT, "text must be UTF-8") from None


def text_header(size: int) -> bytes:
    """What stands before a text of so many bytes, as a server sends it (5.2)."""
    if size < 126:
        return bytes((0x81, size))
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2)
    return b"\x81\x7f" + size.to_bytes(8)


def read_close(payload: bytes) -> tuple[int, str]:
    """The code and the reason in a close frame. Raises ``Violation`` for a code that may not be sent."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2])
    if not may_be_sent(code):
        raise Violation(PROTOCOL_ERROR, f"{code} is no close code")
    return code, payload[2:].decode()


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry the code (7.4, and the registry it made)."""
    return (1000 <= code <= 1014 and code not in {1004, NO_CODE, ABNORMAL}) or 3000 <= code <= 4999


def short(reason: str) -> str:
    """As much of a reason as fits into a close frame, with no half letter at its end (5.5)."""
    return reason.encode()[:123].decode(errors="ignore")
