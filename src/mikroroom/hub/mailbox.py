"""What one resumable participant is told: numbered, and kept for when it comes back (R40, R44, R47).

It outlives the connections of its participant, and changes nothing in its room.
"""

from collections.abc import Callable

from msgspec import Struct

from mikroroom.hub.session import Audience, Session
from mikroroom.protocol.codec import HEADROOM, Frame, frame, is_talk, numbered, unnumbered
from mikroroom.protocol.events import Relay
from mikroroom.stores.port import Kept


class Capacity(Struct, frozen=True):
    """How much is kept for one participant, connected or not: so many messages, and bytes of JSON."""

    messages: int
    size: int


# An eighth more may be held for a while: to forget many at once is cheaper than one by one.
SLACK = 8

# Called with each numbered message of a client: the room's code, the participant, and the number.
Note = Callable[[str, str, int], None]


class Mailbox:
    """A participant, or waiting participant, of the room ``code`` who may come back.

    ``session`` is the connection it is on, if any; ``connection_id`` is the store's name for the last one,
    ``suspended_from`` the address from which that was lost. ``count`` numbers the last message. One that
    ``has_gap`` does not hold all that was said.
    """

    __slots__ = (
        "_capacity",
        "_is_counted",
        "_kept",
        "_last_stamp",
        "_most_bytes",
        "_most_messages",
        "_note",
        "_size",
        "audience",
        "code",
        "connection_id",
        "count",
        "has_gap",
        "id",
        "last_client_seq",
        "session",
        "suspended_from",
    )

    def __init__(self, participant_id: str, code: str, capacity: Capacity, note: Note) -> None:
        self.id = participant_id
        self.code = code
        self.connection_id = participant_id
        self.audience: Audience | None = None
        self.session: Session | None = None
        self.count = 0
        self.last_client_seq = 0
        self.suspended_from: str | None = None
        self._capacity = capacity
        self._note = note
        # What others hear too has no number, so that it is there once. What nobody else hears is bytes, and
        # numbered. The last one is number ``count``. The size is that of all this, with the headroom.
        self._kept: list[Frame | bytes] = []
        self._size = 0
        self._most_bytes = capacity.size + capacity.size // SLACK
        self._most_messages = capacity.messages + capacity.messages // SLACK
        self.has_gap = False
        # Whether ``count`` is what the client has counted too. After a crash only it knows.
        self._is_counted = True
        self._last_stamp = 0

    def restore(self, kept: Kept | None) -> None:
        """Go on from what outlived a stop. After a crash not even how much had been said is known."""
        self.has_gap = kept is None or not kept.is_whole
        self._is_counted = kept is not None and (kept.is_whole or kept.count > 0)
        if kept is None:
            return
        self.count = kept.count if self._is_counted else len(kept.messages)
        self.last_client_seq = kept.last_client_seq
        self._last_stamp = kept.last_stamp
        for message in kept.messages:
            self._keep(bytes(HEADROOM) + message)

    def take_said(self) -> list[Frame]:
        """Take out what has been said before it was known how much was said before that."""
        said = [unnumbered(kept) if isinstance(kept, bytes) else kept for kept in self._kept]
        self._kept.clear()
        self._size = self.count = 0
        return said

    def save(self, *, tokens: bool = False) -> Kept:
        """All that is to outlive a stop, or to go on elsewhere. Not message number 1, which holds ``tokens``,
        where it would come to a disk.
        """
        self._trim()
        # After a crash it is one like any other.
        begin = 0 if self.has_gap or tokens else 1
        frames = self._numbered(max(begin, self.count - len(self._kept)))
        messages = [bytes(memoryview(frame)[HEADROOM:]) for frame in frames]
        count = self.count if self._is_counted else 0
        return Kept(count, self.last_client_seq, self._last_stamp, messages, is_whole=not self.has_gap)

    def send(self, frame: Frame) -> None:
        """Number a message, keep it, and send it if there is a connection. See ``session.Listener``."""
        # Done for every chat, and each of them for a whole room: no call that can be spared.
        seq = self.count = self.count + 1
        kept = self._kept
        kept.append(frame)
        self._size += len(frame)
        if self._size > self._most_bytes or len(kept) > self._most_messages:
            self._trim()
        session = self.session
        if session is not None and not session.is_closed:
            told = frame[:-1]  # as ``codec.numbered`` does it
            told += b',"seq":%d}' % seq
            if not session.connection.send(told):
                session.drop()

    def relay(self, event: Relay, scratch: Frame) -> None:
        """Likewise, with a message for nobody else: it is kept as it is sent."""
        event.seq = self.count = self.count + 1
        encoded = frame(event, scratch)
        kept = self._kept
        kept.append(bytes(encoded))
        self._size += len(encoded)
        if self._size > self._most_bytes or len(kept) > self._most_messages:
            self._trim()
        session = self.session
        if session is not None and not session.is_closed and not session.connection.send(encoded):
            session.drop()

    def send_all(self, frames: list[Frame]) -> None:
        """Likewise, with several messages."""
        first = self.count + 1
        self.count += len(frames)
        for each in frames:
            self._keep(each)
        if self.session is not None:
            self.session.send_all([numbered(each, seq) for seq, each in enumerate(frames, first)])

    def is_repeat(self, client_seq: int) -> bool:
        """Whether the client has sent this before; if not, it has now (R47)."""
        if client_seq <= self.last_client_seq:
            return True
        self.last_client_seq = client_seq
        self._note(self.code, self.id, client_seq)
        return False

    def note_taken(self) -> None:
        """Have it kept how much has come from the client."""
        if self.last_client_seq:
            self._note(self.code, self.id, self.last_client_seq)

    def since(self, last_seq: int) -> list[Frame] | None:
        """What was said after message ``last_seq``, with its numbers; None if not all of it is held (R42)."""
        self._trim()
        before = self.count - len(self._kept)
        if self.has_gap or not before <= last_seq <= self.count:
            return None
        return self._numbered(last_seq)

    def start_anew(self, last_seq: int) -> list[Frame]:
        """What follows replaces all that was said. It begins with a number, so that nobody can miss that.

        ``last_seq`` is what the client has heard: after a crash only it knows. If something else was missed,
        what people have said to it since is still to be said, and returned.
        """
        before = self.count - len(self._kept)
        since = self._kept[max(0, last_seq - before) :] if self._is_counted else self._kept
        said = [kept for kept in since if is_talk(kept)] if self.has_gap else []
        self.count = max(self.count, last_seq) + 1
        self._is_counted = True
        self._kept.clear()
        self._size = 0
        self.has_gap = False
        return [unnumbered(kept) if isinstance(kept, bytes) else kept for kept in said]

    def attach(self, session: Session, connection_id: str) -> None:
        """The participant is on this connection from now on."""
        self.session = session
        self.connection_id = connection_id
        session.id, session.code, session.audience = self.id, self.code, self.audience
        session.mailbox = self
        session.last_stamp = self._last_stamp

    def detach(self) -> Session | None:
        """The participant is on no connection any more. Returns the one it was on."""
        session, self.session = self.session, None
        if session is not None:
            self._last_stamp = session.last_stamp
            session.unseat()
        return session

    def _numbered(self, after: int) -> list[Frame]:
        """What is held, after the message of that number."""
        place = after - (self.count - len(self._kept))
        return [
            bytearray(kept) if isinstance(kept, bytes) else numbered(kept, seq)
            for seq, kept in enumerate(self._kept[place:], after + 1)
        ]

    def _keep(self, frame: Frame | bytes) -> None:
        self._kept.append(frame)
        self._size += len(frame)
        if self._size > self._most_bytes or len(self._kept) > self._most_messages:
            self._trim()

    def _trim(self) -> None:
        """Forget what is beyond the bounds: at once, because to take the first from a list is slow."""
        kept, capacity = self._kept, self._capacity
        surplus = max(0, len(kept) - capacity.messages)
        self._size -= sum(map(len, kept[:surplus]))
        while self._size - HEADROOM * (len(kept) - surplus) > capacity.size:
            self._size -= len(kept[surplus])
            surplus += 1
        del kept[:surplus]
