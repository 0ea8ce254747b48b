"""Whether what one sends another arrives once and in order: the numbers that came, and those owed."""

from enum import Enum


class Arrival(Enum):
    """What the number of a message says of how it came."""

    IN_ORDER = 1
    LATE = 2
    AGAIN = 3
    NEVER_SENT = 4


class Sequence:
    """What has come from one sender to one receiver, numbered from 1 or, for a latecomer, from ``first``."""

    __slots__ = ("_missing", "_next")

    def __init__(self, first: int = 1) -> None:
        self._next = first
        self._missing: set[int] = set()

    def take(self, number: int, sent: int) -> Arrival:
        """A message has come, of ``sent`` that were sent so far."""
        if number == self._next and number <= sent:
            self._next += 1
            return Arrival.IN_ORDER
        if not 1 <= number <= sent:
            return Arrival.NEVER_SENT
        if number > self._next:
            self._missing.update(range(self._next, number))
            self._next = number + 1
            return Arrival.IN_ORDER
        if number in self._missing:
            self._missing.remove(number)
            return Arrival.LATE
        return Arrival.AGAIN

    def owed(self, sent: int) -> int:
        """How many of ``sent`` have not come."""
        return sent - self._next + 1 + len(self._missing)
