"""What a resumable client has sent, until it is known to have arrived (R47). Does no I/O."""

from collections import deque

from msgspec import Struct

from mikroroom.client.errors import QueueFullError


class Limit(Struct, frozen=True):
    """How much may wait for a connection that is lost."""

    messages: int = 256
    bytes: int = 1_048_576


class Outbox:
    """Messages under the numbers 1, 2, 3, … in the order in which they were given.

    They stand in three groups: those that have arrived are forgotten; those that were sent on this
    connection; those that were not yet.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._kept: deque[bytes] = deque()
        self._size = 0
        # The numbers of the last ones.
        self._arrived = 0
        self.sent = 0

    @property
    def is_unsure(self) -> bool:
        """Whether something was sent that is not known to have arrived."""
        return self.sent > self._arrived

    def put(self, text: bytes, *, is_away: bool) -> None:
        """Take in a message, a JSON object.

        Only while nothing can be sent there is a limit: else the network itself holds back whoever sends.

        Raises:
            QueueFullError: it is not taken in.
        """
        if is_away and (
            len(self._kept) >= self._limit.messages or self._size + len(text) > self._limit.bytes
        ):
            raise QueueFullError(
                f"{len(self._kept)} messages of {self._size:,} bytes wait for the connection to come back;"
                f" at most {self._limit.messages} of {self._limit.bytes:,} bytes may"
            )
        self._kept.append(text)
        self._size += len(text)

    def take(self) -> bytes | None:
        """The next one to be sent, with its number."""
        at = self.sent - self._arrived
        if at >= len(self._kept):
            return None
        self.sent += 1
        return self._kept[at][:-1] + b',"clientSeq":%d}' % self.sent

    def confirm(self, number: int) -> None:
        """All up to this number have arrived."""
        while self._arrived < min(number, self.sent):
            self._size -= len(self._kept.popleft())
            self._arrived += 1

    def rewind(self, number: int) -> None:
        """On a new connection: the server has those up to this number, the others are to be sent again.

        After a crash it may have forgotten some, which have arrived nonetheless.
        """
        self.confirm(number)
        self.sent = self._arrived

    def unsent(self) -> "Outbox":
        """A new one, numbered anew, with what was never sent."""
        rest = Outbox(self._limit)
        rest._kept.extend(list(self._kept)[self.sent - self._arrived :])
        rest._size = sum(map(len, rest._kept))
        return rest
