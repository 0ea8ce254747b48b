"""Where a test takes place: connections are made, people enter rooms, and what goes wrong is counted."""

import asyncio
import secrets
import ssl
import string
from time import perf_counter_ns

from mikroroom.loadtest.people import Book, Gone, JoinRefused, Room, Visit
from mikroroom.loadtest.plan import STORM_ROOM, Plan
from mikroroom.loadtest.score import Failure, Score
from mikroroom.loadtest.target import Sources, Target
from mikroroom.loadtest.wire import HandshakeRefused, Unconnected, Wire, connect

_CLOSE_PATIENCE = 5.0
_ALPHABET = string.ascii_uppercase + string.digits


class Stage:
    """One test in progress.

    In ``storm_rooms`` are those whom the storm hits. ``doing`` and ``share`` tell how far it is;
    ``is_ending`` tells those who come and go to come no more.
    """

    def __init__(self, plan: Plan, target: Target, score: Score) -> None:
        self.plan = plan
        self.score = score
        self.book = Book(score)
        self.target = target
        self.sources = Sources(target)
        self.rooms = [Room(_code(), self._seats(index)) for index in range(plan.rooms)]
        self.storm_rooms = [Room(_code(), STORM_ROOM) for _ in range(plan.storm // STORM_ROOM)]
        self.wires: set[Wire] = set()
        self.doing = "starting"
        self.share = 0.0
        self.is_ending = False
        self._tls = _tls(plan) if target.is_tls else None

    async def connect(self, source: str | None = None, *, receive_buffer: int = 0) -> Wire | None:
        """A new connection, from this address or a fresh one; or None and the reason counted."""
        self.score.connections_asked += 1
        began = perf_counter_ns()
        try:
            wire = await connect(
                self.target,
                self._tls,
                source or self.sources.next(),
                _nobody_hears,
                self._lose_unused,
                receive_buffer=receive_buffer,
            )
        except HandshakeRefused as refused:
            self.score.refusals[f"HTTP {refused.status}"] += 1
            return None
        except Unconnected as unconnected:
            self.score.unconnected[str(unconnected)] += 1
            self.score.failures[Failure.UNCONNECTED] += 1
            return None
        self.score.connecting.add(perf_counter_ns() - began)
        self.wires.add(wire)
        return wire

    async def join(
        self, wire: Wire, room: Room, *, is_late: bool, is_resumable: bool | None = None
    ) -> Visit | None:
        """Let someone into a room by this connection, or None and the reason counted.

        Whether it asks to be resumable is as planned, unless told otherwise.
        """
        if is_resumable is None:
            is_resumable = self.plan.is_resumable
        visit = self.book.visit(room, wire, is_late=is_late, is_resumable=is_resumable)
        wire.hear, wire.lose = visit.hear, visit.lose
        durations = self.score.joining_late if is_late else self.score.joining
        if not is_late:
            self.score.joins_asked += 1
        try:
            durations.add(await visit.join())
        except TimeoutError:
            self.score.failures[Failure.UNANSWERED_JOINS] += 1
        except (JoinRefused, Gone):
            pass  # counted where it was heard
        else:
            return visit
        visit.is_over = True
        return None

    async def resume(self, visit: Visit, source: str | None) -> Wire | None:
        """Bring someone back whose connection is gone: its new one, or None and the reason counted."""
        self.score.resumes_asked += 1
        began = perf_counter_ns()
        wire = await self.connect(source)
        if wire is not None:
            wire.hear, wire.lose = visit.hear, visit.lose
            try:
                self.score.resuming.add(await visit.resume(wire) - began)
            except (TimeoutError, JoinRefused, Gone):
                self.drop(wire)
            else:
                return wire
        self.score.failures[Failure.NOT_RESUMED] += 1
        return None

    async def close(self, wire: Wire) -> None:
        """Say goodbye, and see to it that the connection is closed."""
        wire.lose = _nobody_minds
        wire.close()
        try:
            async with asyncio.timeout(_CLOSE_PATIENCE):
                await wire.closed.wait()
        except TimeoutError:
            wire.drop()
        self.wires.discard(wire)

    def drop(self, wire: Wire) -> None:
        """Be gone without a word."""
        wire.lose = _nobody_minds
        wire.drop()
        self.wires.discard(wire)

    def cut(self, wire: Wire) -> None:
        """Be gone with a reset."""
        wire.lose = _nobody_minds
        wire.reset()
        self.wires.discard(wire)

    def see_visitors_out(self) -> None:
        """End what is left of those who come and go: an interrupted test leaves them where they are."""
        rooms = (*self.rooms, *self.storm_rooms)
        lines = {id(resident.line) for room in rooms for resident in room.residents}
        for visit in self.book.visits.values():
            visit.is_over = visit.is_over or visit.is_late
        for wire in [wire for wire in self.wires if id(wire) not in lines]:
            self.drop(wire)

    def lose(self, sender: Visit, owed: int) -> None:
        """So much that was sent has not arrived. Above the message rate the server may drop messages."""
        if owed and sender.was_limited:
            self.score.refusals["dropped over the message rate"] += owed
        elif owed:
            self.score.failures[Failure.LOST] += owed

    def _lose_unused(self, code: int) -> None:
        self.score.closes[code] += 1
        self.score.failures[Failure.CLOSED] += 1

    def _seats(self, index: int) -> int:
        """For the residents, and for who may come to a room that is the index-th."""
        churners = -(-max(self.plan.churners - index, 0) // self.plan.rooms)
        slow_readers = -(-max(self.plan.slow_readers - index, 0) // self.plan.rooms)
        # A seat is free again only once the server has noticed that somebody is gone without a word.
        return self.plan.people + 2 * churners + 2 * slow_readers


def _code() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))


def _tls(plan: Plan) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if plan.is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _nobody_hears(_: str) -> None:
    pass


def _nobody_minds(_: int) -> None:
    pass
