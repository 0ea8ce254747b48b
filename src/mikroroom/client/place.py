"""One's place in a room, which is kept when the connection is lost (R40 to R42). Does no I/O."""

from msgspec import UNSET, Struct
from msgspec.structs import replace

from mikroroom.client.errors import GapError
from mikroroom.client.outbox import Outbox
from mikroroom.protocol import events
from mikroroom.protocol.requests import Join


class Entry(Struct, frozen=True):
    """How a place is got; and whether it is to be got again in the same way when it is gone."""

    request: Join
    rejoins: bool = True


class Place:
    """By which tokens it is taken again, what was heard there, and what was said."""

    def __init__(
        self, entry: Entry, own: events.ParticipantJoined | events.WaitingRoom, outbox: Outbox
    ) -> None:
        if isinstance(own, events.ParticipantJoined) and own.creator_token:
            entry = replace(entry, request=replace(entry.request, creator_token=own.creator_token))
        self.entry = entry
        self.outbox = outbox
        self._tokens: list[str] = []
        self._heard = 0
        self.take(own)

    def take(self, own: events.ParticipantJoined | events.WaitingRoom) -> None:
        """It is one's own, from the number in ``own`` on.

        The token before is kept: a server that crashed within a moment may not know of the newer one (R46).
        """
        if own.resume_token:
            self._tokens = [own.resume_token, *self._tokens[:1]]
        if own.seq is not UNSET:
            self._heard = max(self._heard, own.seq)

    @property
    def is_lost(self) -> bool:
        """There is no way back to it."""
        return not self._tokens and not self.entry.rejoins

    def request(self) -> Join:
        """How to get it back: with a token, or afresh when none is good."""
        if not self._tokens:
            return self.entry.request
        code = self.entry.request.room_id
        return Join(room_id=code, resume_token=self._tokens[0], last_seq=self._heard)

    def discard_token(self) -> None:
        """The one that was tried is no good."""
        del self._tokens[:1]

    def hear(self, seq: int) -> bool:
        """Whether the message of this number is new.

        Raises:
            GapError: one is missing before it.
        """
        if seq > self._heard + 1:
            raise GapError(f"After message {self._heard} the server sent {seq}")
        is_new = seq > self._heard
        self._heard = max(seq, self._heard)
        return is_new
