"""The numbers in what a resumable person hears (R40, R42): none is left out, and none comes twice."""

from collections import deque
from enum import Enum

import msgspec
from msgspec import UNSET

from mikroroom.protocol import events

# Whoever comes back says that so many messages were not heard, though they were: as if lost in flight.
BEHIND = 4


class Number(Enum):
    """What the number of a message says of it."""

    NEXT = 1
    REPLAYED = 2  # heard before, and the same
    ALTERED = 3  # heard before, and not the same
    WRONG = 4  # left out, given twice, or missing
    BACK = 5  # one's own, after coming back: what was missed follows
    ANEW = 6  # likewise, but all is told anew
    NONE = 7  # the server numbers nothing: nobody can come back to it


class Numbering:
    """How far one person has heard: ``last`` is the number of its last message."""

    __slots__ = ("_again", "_is_returning", "_tail", "_token", "last")

    def __init__(self) -> None:
        self.last = 0
        self._token = ""
        self._is_returning = False
        # The last texts as they were: what comes again must be the same.
        self._tail: deque[str] = deque(maxlen=BEHIND)
        self._again: deque[str] = deque()

    @property
    def is_behind(self) -> bool:
        """Whether messages are still to come again."""
        return bool(self._again)

    def take(self, event: events.Message | None, text: str) -> Number:
        """A message has come, the first of them one's own ``participant-joined``.

        ``event`` is None where its type is not known.
        """
        if not self._token:
            if not isinstance(event, events.ParticipantJoined) or event.resume_token is UNSET:
                return Number.NONE
            self._token = event.resume_token
        if self._is_returning:
            return self._return(event)
        seq = event.seq if event is not None else _decoder.decode(text).seq
        return self._follow(seq, text)

    def go_back(self) -> tuple[str, int]:
        """Forget the last messages. Gives what to come back with: the token, and the last number heard."""
        self._is_returning = True
        self._again = self._tail.copy()
        self.last -= len(self._again)
        return self._token, self.last

    def _return(self, event: events.Message | None) -> Number:
        if isinstance(event, events.Error):
            return Number.NEXT  # not let in, so it has no number
        if not isinstance(event, events.ParticipantJoined):
            return Number.WRONG
        if event.resumed is not True or event.resume_token is UNSET or event.seq is UNSET:
            return Number.WRONG
        self._token, self._is_returning = event.resume_token, False
        if event.replayed is True:
            return Number.BACK if event.seq == self.last else Number.WRONG
        self._again.clear()
        self._tail.clear()
        self.last = event.seq
        return Number.ANEW

    def _follow(self, seq: object, text: str) -> Number:
        if seq != self.last + 1:
            if isinstance(seq, int):
                self.last = seq
            return Number.WRONG
        self.last += 1
        if self._again:
            return Number.REPLAYED if self._again.popleft() == text else Number.ALTERED
        self._tail.append(text)
        return Number.NEXT


class _Numbered(msgspec.Struct):
    """As much as is needed of a message whose type is not known."""

    seq: int | msgspec.UnsetType = UNSET


_decoder = msgspec.json.Decoder(_Numbered)
