"""What a room keeps of its chat, for those who come later: the last lines, within two bounds.

Knows no rooms. The lines are told as they were at first, under their own ids and times.
"""

from msgspec import UNSET, Struct

from mikroroom.protocol.events import Chat

# Bytes (UTF-8) that people may have written in all that one room keeps. How many lines is a setting.
HISTORY_BYTES = 65_536


class ChatLine(Struct):
    """Something that was said to the room (R15). ``name`` is what its sender was called then.

    ``timestamp`` is in milliseconds, and part of the ``message_id``; ``size`` is what was written, in bytes.
    """

    message_id: str
    participant_id: str
    name: str
    text: str
    reply_to: str | None
    timestamp: int
    size: int


def add_line(lines: list[ChatLine], line: ChatLine, most: int) -> None:
    """Keep a line; forget the oldest where there are more than ``most``, or more bytes than may be."""
    lines.append(line)
    shorten(lines, most)


def shorten(lines: list[ChatLine], most: int) -> None:
    """Forget the oldest lines beyond the bounds."""
    surplus = max(0, len(lines) - most)
    size = sum(line.size for line in lines[surplus:])
    while size > HISTORY_BYTES:
        size -= lines[surplus].size
        surplus += 1
    del lines[:surplus]


def remove_line(lines: list[ChatLine], message_id: str) -> None:
    """Forget one line, if it is there."""
    lines[:] = [line for line in lines if line.message_id != message_id]


def live(code: str, line: ChatLine) -> Chat:
    """A line as those hear it who are there when it is said."""
    return Chat(
        code,
        line.participant_id,
        line.text,
        line.message_id,
        UNSET if line.reply_to is None else line.reply_to,
        timestamp=line.timestamp,
    )


def recalled(code: str, line: ChatLine) -> Chat:
    """A line as those hear it who come later: its sender may be gone, so it has the name."""
    event = live(code, line)
    event.is_history = True
    event.name = line.name
    return event
