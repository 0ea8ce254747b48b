"""Who is in which room, what they say, and whether what they hear is right. Knows no sockets.

All are in one process, so a receiver can ask its sender what was sent, and checks each message as it comes.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol

from mikroroom.loadtest import payload
from mikroroom.loadtest.numbering import Number, Numbering
from mikroroom.loadtest.payload import Mark
from mikroroom.loadtest.score import Failure, Score
from mikroroom.loadtest.sequence import Arrival, Sequence
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import decode_event, encode
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal

BURST = 8
JOIN_PATIENCE = 30.0
# The refusal of a server that gives no token to come back with.
NOT_RESUMABLE = "no resume token"


class Line(Protocol):
    """The way to the server."""

    is_paused: bool

    def send(self, message: bytes) -> None:
        """Send a text message."""


class JoinRefused(Exception):
    """The server answered a join with this error code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Gone(Exception):
    """The connection was closed, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Room:
    """A room: ``residents`` are in it from the beginning to the end, others come and go."""

    def __init__(self, code: str, seats: int) -> None:
        self.code = code
        self.seats = seats
        self.residents: list[Visit] = []
        self.has_slow_reader = False

    def present(self) -> "list[Visit]":
        """The residents who are still connected."""
        return [resident for resident in self.residents if not resident.is_over]


class Book:
    """Everyone who has ever been in a room, by number, so that a mark can be understood."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.visits: dict[int, Visit] = {}

    def visit(self, room: Room, line: Line, *, is_late: bool, is_resumable: bool = False) -> "Visit":
        """Someone new at the door. Latecomers are owed only what follows the first that they hear."""
        visit = Visit(self, len(self.visits) + 1, room, line, is_late=is_late)
        visit.numbering = Numbering() if is_resumable else None
        self.visits[visit.number] = visit
        return visit


class Visit:
    """One person in a room, from joining to leaving. Who comes again is another visit, unless it resumes.

    ``roster`` are the ids of everyone that the server said is in the room and connected. ``numbering`` is
    there if this person asks to be resumable. ``sent_to``, ``said``,
    ``heard_from`` and ``chats_heard`` are by number of visit: what was sent, and what has come of it.
    ``awaited`` is what this person did last: whose message is still to come, and its number (0 is any).
    ``next_turn`` is called when it has arrived, or will not, where that is wanted.
    """

    def __init__(self, book: Book, number: int, room: Room, line: Line, *, is_late: bool) -> None:
        self.number = number
        self.room = room
        self.line = line
        self.id = ""
        self.roster: set[str] = set()
        self.is_over = False
        self.was_limited = False
        self.sent_to: dict[int, int] = {}
        self.said = 0
        self.next_turn: Callable[[Visit], None] | None = None
        self.answers = asyncio.Semaphore(0)
        self._book = book
        self._score = book.score
        self.is_late = is_late
        self._joining: asyncio.Future[int] | None = None
        self.heard_from: dict[int, Sequence] = {}
        self.chats_heard: dict[int, Sequence] = {}
        self.awaited = (0, 0)
        self.numbering: Numbering | None = None

    @property
    def name(self) -> str:
        """What the server is told."""
        return f"Person {self.number}"

    # What they do

    async def join(self) -> int:
        """Enter the room, or make it. Returns the nanoseconds until the server's answer.

        Raises:
            JoinRefused: the server said no.
            Gone: the connection was closed.
            TimeoutError: nothing was heard.
        """
        began = perf_counter_ns()
        join = requests.Join(
            room_id=self.room.code,
            name=self.name,
            is_host=True,
            max_participants=self.room.seats,
            resume=None if self.numbering is None else True,
        )
        return await self._enter(join) - began

    async def resume(self, line: Line) -> int:
        """Take one's place again on another connection, as one who has not heard the last messages.

        Returns the time (``perf_counter_ns``) when these had come again. Raises as ``join``.
        """
        if self.numbering is None:
            raise ValueError("only who is resumable can come back")
        self.line = line
        token, last = self.numbering.go_back()
        return await self._enter(requests.Join(room_id=self.room.code, resume_token=token, last_seq=last))

    async def _enter(self, join: requests.Join) -> int:
        self._joining = asyncio.get_running_loop().create_future()
        self.line.send(encode(join))
        async with asyncio.timeout(JOIN_PATIENCE):
            return await self._joining

    def leave(self) -> None:
        """Go by word; the connection stays."""
        self.is_over = True
        self.line.send(encode(requests.Leave()))

    def offer(self, peer: "Visit") -> None:
        """Offer a WebRTC connection; the answer comes back by itself."""
        self.line.send(encode(payload.offer(peer.id, *self._mark(peer, "offer"))))
        self.awaited = (peer.number, 0)

    def trickle(self, peer: "Visit") -> None:
        """Send ICE candidates, as a browser does: several in a row."""
        for _ in range(BURST):
            self.line.send(encode(payload.candidate(peer.id, *self._mark(peer, "ice-candidate"))))
        self.awaited = (peer.number, self.sent_to[peer.number])

    def chat(self) -> None:
        """Say something to the room."""
        self.said += 1
        self._score.sent["chat"] += 1
        self.line.send(encode(payload.chat(self.number, self.said, perf_counter_ns())))
        self.awaited = (self.number, self.said)

    def owed(self, peer: "Visit") -> int:
        """How much that this person sent ``peer``, and said while both were residents, has not come."""
        sent, heard = self.sent_to.get(peer.number, 0), peer.heard_from.get(self.number)
        owed = heard.owed(sent) if heard is not None else sent
        if not self.is_late and not peer.is_late:
            heard = peer.chats_heard.get(self.number)
            owed += heard.owed(self.said) if heard is not None else self.said
        return owed

    def _mark(self, peer: "Visit", kind: str) -> Mark:
        number = self.sent_to[peer.number] = self.sent_to.get(peer.number, 0) + 1
        self._score.sent[kind] += 1
        return Mark(self.number, peer.number, number, perf_counter_ns())

    # What they hear

    def hear(self, text: str) -> None:
        """A message from the server."""
        now = perf_counter_ns()
        try:
            event = decode_event(text)
        except Refusal:
            self._score.failures[Failure.UNREADABLE] += 1
            return
        if self.numbering is None or self._is_news(self.numbering, event, text, now):
            self._take_in(event, now)

    def _take_in(self, event: events.Message | None, now: int) -> None:
        match event:
            case events.Error():
                self._be_refused(event)
            case events.ParticipantJoined():
                self._see(event, now)
            case _ if not self.id or self.is_over:
                pass  # of a room that was left
            case events.Chat():
                self._hear_chat(event, now)
            case events.Offer():
                self._hear_offer(event, now)
            case events.Answer():
                self._hear_answer(event, now)
            case events.IceCandidate():
                self._hear_candidate(event, now)
            case events.ParticipantLeft():
                self.roster.discard(event.participant_id)
            case events.ParticipantUpdated():
                self._show(event)

    def lose(self, code: int) -> None:
        """The connection is gone. It was not this person who ended it, unless the visit is over."""
        if self.is_over:
            return
        self.is_over = True
        if self._joining is not None and not self._joining.done():
            self._joining.set_exception(Gone(code))
        self._score.closes[code] += 1
        if code == CloseCode.TOO_MANY_REFUSED and self.was_limited:
            self._score.refusals["closed for the message rate"] += 1
        else:
            self._score.failures[Failure.CLOSED] += 1

    def _see(self, event: events.ParticipantJoined, now: int) -> None:
        if not self.id:
            if not self._is_own(event) or self._joining is None or self._joining.done():
                return
            self.id = event.participant_id
            self._joining.set_result(now)
        self._show(event)

    def _is_own(self, event: events.Message | None) -> bool:
        """Whether this is how the server tells someone new who it is: others have other names."""
        return isinstance(event, events.ParticipantJoined) and event.name == self.name

    def _show(self, event: events.ParticipantState) -> None:
        """Whoever has lost its connection is not there, until it is back (R41)."""
        if event.is_connected:
            self.roster.add(event.participant_id)
        else:
            self.roster.discard(event.participant_id)

    def _is_news(self, numbering: Numbering, event: events.Message | None, text: str, now: int) -> bool:
        """Check a message's number; whether it is to be heard. Those that come again are not."""
        if self.is_over or not (self.id or self._is_own(event)):
            return True  # of another visit by the same line, or a refusal
        number = numbering.take(event, text)
        if number is Number.NEXT:
            return True
        if number in _MISNUMBERED:
            self._score.failures[_MISNUMBERED[number]] += 1
        if number is Number.NONE:
            self._score.refusals[NOT_RESUMABLE] += 1
            self.numbering = None
        if number is Number.ANEW:
            self.roster = {self.id}
        is_back = number in (Number.BACK, Number.ANEW, Number.REPLAYED) and not numbering.is_behind
        if is_back and self._joining is not None and not self._joining.done():
            self._joining.set_result(now)
        return number in (Number.NONE, Number.WRONG)

    def _be_refused(self, event: events.Error) -> None:
        self._score.refusals[event.code] += 1
        if event.code == ErrorCode.SERVER_ERROR:
            self._score.failures[Failure.SERVER_ERRORS] += 1
        if event.request_type == "join":
            if self._joining is not None and not self._joining.done():
                self._joining.set_exception(JoinRefused(event.code))
        elif event.code == ErrorCode.RATE_LIMITED:
            self.was_limited = True

    def _hear_offer(self, event: events.Offer, now: int) -> None:
        heard = self._take(event, "offer", now)
        if heard is None or heard[0].is_over:
            return
        sender, _ = heard
        if self.line.is_paused:
            sender.be_answered_by(self)  # no answer will come: that was all
        else:
            self.line.send(encode(payload.answer(sender.id, *self._mark(sender, "answer"))))

    def _hear_answer(self, event: events.Answer, now: int) -> None:
        if heard := self._take(event, "answer", now):
            self.be_answered_by(heard[0])

    def be_answered_by(self, peer: "Visit") -> None:
        """The offer to ``peer`` is answered, or will not be."""
        self.answers.release()
        self.finish((peer.number, 0))

    def _hear_candidate(self, event: events.IceCandidate, now: int) -> None:
        if heard := self._take(event, "ice-candidate", now):
            sender, number = heard
            sender.finish((self.number, number))

    def _hear_chat(self, event: events.Chat, now: int) -> None:
        mark = payload.read(event)
        if mark is None:
            self._score.failures[Failure.ALTERED] += 1
            return
        sender = self._book.visits.get(mark.sender)
        if sender is None or not self._is_from(event, sender):
            self._score.failures[Failure.MISROUTED] += 1
            return
        heard = self.chats_heard.get(sender.number)
        if heard is None:
            first = mark.number if self.is_late or sender.is_late else 1
            heard = self.chats_heard[sender.number] = Sequence(first)
        if self._note(heard.take(mark.number, sender.said)):
            self._score.deliver("chat", now - mark.sent, beside_slow=self.room.has_slow_reader)
            if sender is self:
                self.finish((self.number, mark.number))

    def _take(
        self, event: events.Offer | events.Answer | events.IceCandidate, kind: str, now: int
    ) -> "tuple[Visit, int] | None":
        """Check a relayed message. Gives its sender and number, unless it is not for here or came before."""
        mark = payload.read(event)
        if mark is None:
            self._score.failures[Failure.ALTERED] += 1
            return None
        sender = self._book.visits.get(mark.sender)
        is_for_me = mark.target == self.number and event.target_id == self.id
        if sender is None or not is_for_me or not self._is_from(event, sender):
            self._score.failures[Failure.MISROUTED] += 1
            return None
        heard = self.heard_from.get(sender.number)
        if heard is None:
            heard = self.heard_from[sender.number] = Sequence()
        if not self._note(heard.take(mark.number, sender.sent_to.get(self.number, 0))):
            return None
        self._score.deliver(kind, now - mark.sent, beside_slow=self.room.has_slow_reader)
        return sender, mark.number

    def _is_from(self, event: events.Message, sender: "Visit") -> bool:
        """Whether the server names the true sender, who is in this very room."""
        return (
            event.participant_id == sender.id and sender.room is self.room and event.room_id == self.room.code
        )

    def _note(self, arrival: Arrival) -> bool:
        """Count what is wrong with how a message came; whether it is to be taken as one."""
        if arrival is Arrival.IN_ORDER:
            return True
        self._score.failures[_FAILURES[arrival]] += 1
        return arrival is Arrival.LATE

    def finish(self, arrived: tuple[int, int]) -> None:
        """Go on if this is what was awaited: whoever was late must not get two turns for one."""
        if arrived == self.awaited:
            self.take_turn()

    def take_turn(self) -> None:
        """What this person did last has arrived, or will not."""
        self.awaited = (0, 0)
        if self.next_turn is not None:
            self.next_turn(self)


_FAILURES = {
    Arrival.LATE: Failure.OUT_OF_ORDER,
    Arrival.AGAIN: Failure.DUPLICATED,
    Arrival.NEVER_SENT: Failure.MISROUTED,
}
_MISNUMBERED = {
    Number.WRONG: Failure.MISNUMBERED,
    Number.ALTERED: Failure.ALTERED,
    Number.ANEW: Failure.NOT_REPLAYED,
}
