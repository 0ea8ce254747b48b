"""What a room keeps of its chat, for those who come later: the last lines, within two bounds.

Knows no rooms. The lines are told as they were at first, under their own ids and times.
"""

from msgspec import UNSET, Struct, field

from mikroroom.protocol.events import Chat

# Bytes (UTF-8) that people may have written in all that one room keeps. How many lines is a setting.
HISTORY_BYTES = 65_536

# As it is told, a line is a third of this around what people have written; and a byte of that may be written
# in six (a control character, RFC 8259, 7).
LINE_BYTES = 1_024
LONGEST_ESCAPE = 6


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


class History(Struct):
    """The lines that are kept, in the order in which they were said; ``size`` is that of all of them."""

    lines: list[ChatLine] = field(default_factory=list)
    size: int = 0


def bounds(most: int, outbox: int) -> tuple[int, int]:
    """How many lines may be kept, and bytes, where ``outbox`` bytes may wait for one client.

    Whoever comes is told all of it at once, and is to be able to take it.
    """
    return min(most, outbox // LINE_BYTES), min(HISTORY_BYTES, outbox // (2 * LONGEST_ESCAPE))


def add_line(history: History, line: ChatLine, most: int, most_bytes: int = HISTORY_BYTES) -> None:
    """Keep a line; forget the oldest where there are more than ``most``, or more bytes than may be."""
    history.lines.append(line)
    history.size += line.size
    shorten(history, most, most_bytes)


def shorten(history: History, most: int, most_bytes: int = HISTORY_BYTES) -> None:
    """Forget the oldest lines beyond the bounds."""
    lines, size, surplus = history.lines, history.size, 0
    while len(lines) - surplus > most or size > most_bytes:
        size -= lines[surplus].size
        surplus += 1
    del lines[:surplus]
    history.size = size


def remove_line(history: History, message_id: str) -> None:
    """Forget one line, if it is there."""
    for place, line in enumerate(history.lines):
        if line.message_id == message_id:
            del history.lines[place]
            history.size -= line.size
            return


def last_stamp(history: History, participant_id: str) -> int:
    """When somebody last said something that is kept; 0 if there is nothing."""
    for line in reversed(history.lines):
        if line.participant_id == participant_id:
            return line.timestamp
    return 0


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
