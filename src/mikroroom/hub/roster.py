"""Who can be reached here: everyone in a room or its waiting room, connected or to be connected again.

Carries out what a store has decided about people. Knows no requests, and changes no room.
"""

import logging
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from mikroroom.core.effects import Close, Gone, Held, Resumed, Seated, Suspended, Widened
from mikroroom.hub.chat import unheard
from mikroroom.hub.limits import Limits
from mikroroom.hub.mailbox import Capacity, Mailbox
from mikroroom.hub.renewals import Renewals
from mikroroom.hub.session import Audience, Session
from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.protocol.codec import Frame, stamped
from mikroroom.protocol.codes import CloseCode
from mikroroom.settings import Settings
from mikroroom.stores.port import Counts, Far, Kept, Store

log = logging.getLogger(__name__)

Person = Session | Mailbox
Change = Seated | Widened | Held | Gone | Suspended | Resumed | Close

# Why a connection is closed whose participant has its place on another worker.
_PARTED = {
    CloseCode.REPLACED: "resumed on another connection",
    CloseCode.RESTARTING: "the place is kept on another server",
}


class Presence(Struct):
    """How many are here, and how many bytes they have not taken: all of them, and the slowest one."""

    participants: int = 0
    waiting: int = 0
    suspended: int = 0
    outbox_bytes: int = 0
    outbox_largest: int = 0


# A room's burst of messages for each of its seats: everyone's offers and ICE candidates at once (R31).
BURST_PER_SEAT = 40


class Roster:
    """The people of one process, by id."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        limits: Limits,
        counts: Counts,
        renewals: Renewals,
        meters: Meters,
        clock: Callable[[], int],
    ) -> None:
        self.participants = 0
        self.peak_participants = 0
        self._limits = limits
        self._counts = counts
        self._renewals = renewals
        self._clock = clock
        self._meters = meters
        self._store = store
        self._resume_window = int(settings.resume_window * 1_000)
        # What is kept is sent in one piece to whoever comes back: it must find room.
        size = min(settings.resume_bytes, settings.max_outbox_bytes // 2)
        self._capacity = Capacity(settings.resume_messages, size)
        self._people: dict[str, Person] = {}
        self._audiences: dict[str, Audience] = {}
        # Those who are coming back, by the id of their new connection, and what they have heard.
        self._returning: dict[str, tuple[Session, int]] = {}
        # Those whose mailbox is on its way here from another worker.
        self._arrivals: dict[str, _Arrival] = {}

    @property
    def rooms(self) -> int:
        """In how many rooms there is somebody of this process."""
        return len(self._audiences)

    def get(self, participant_id: str) -> Person | None:
        """Someone, if it can be reached here."""
        return self._people.get(participant_id)

    def tell(self, participant_id: str, frames: list[Frame]) -> None:
        """Someone hears this, if it can be reached here."""
        person = self._people.get(participant_id)
        if person is None:
            return
        if self._arrivals and participant_id in self._arrivals:
            self._arrivals[participant_id].heard += frames
        elif len(frames) == 1:
            person.send(frames[0])
        elif frames:
            person.send_all(frames)

    def expect(
        self, session: Session, participant_id: str, code: str, *, is_resumable: bool, client_seq: int
    ) -> None:
        """Someone is about to enter a room: what is said to it from now on finds it.

        ``client_seq`` is the number of its request to do so (R47), if it is to be kept.
        """
        person: Person = session
        session.id, session.code = participant_id, code
        if is_resumable:
            person = self._mailbox(participant_id, code)
            person.last_client_seq = client_seq
            person.session = session
        self._people[participant_id] = person

    def expect_back(self, session: Session, connection_id: str, code: str, last_seq: int) -> None:
        """Someone is about to resume on a new connection, under an id that the store will tell."""
        session.id, session.code = connection_id, code
        self._returning[connection_id] = session, last_seq

    def withdraw(self, session: Session) -> None:
        """It was not let in."""
        if session.id is not None:
            self._returning.pop(session.id, None)
            self._people.pop(session.id, None)
        session.unseat()

    def carry_out(self, effect: Change, now: int) -> str | None:
        """Do what a store has decided about someone. ``now`` is what it hears is stamped with.

        Returns None; or, where nobody is here any more who wanted that, the connection that is to be lost.
        """
        if isinstance(effect, Gone | Close) and effect.id in self._arrivals:
            # Its mailbox would come too late: it hears all there is to hear, and why it goes.
            self.take_over(effect.id, None, now)
        match effect:
            case Seated(participant_id) | Held(participant_id) if participant_id not in self._people:
                return participant_id
            case Seated(participant_id, seats):
                self._seat(participant_id, seats)
            case Widened(participant_id, seats):
                self._widen(participant_id, seats)
            case Held(participant_id):
                self._hold(participant_id)
            case Gone(participant_id):
                self.unseat(participant_id)
            case Suspended():
                self._suspend(effect)
            case Resumed():
                return self._come_back(effect, now)
            case Close(participant_id, code, reason):
                self._close(participant_id, code, reason)
        return None

    def unseat(self, participant_id: str) -> None:
        """Someone is in no room any more."""
        person = self._people.get(participant_id)
        if person is None or person.code is None:
            return
        self._meters.leaves += 1
        _log("left", person)
        self._take_away(person, participant_id)
        if isinstance(person, Mailbox):
            self._free(person)
        else:
            if person.audience is not None:
                self.participants -= 1
            person.unseat()

    def let_go(self, participant_id: str, connection_id: str) -> None:
        """Someone's connection is gone, and the store does not know yet."""
        person = self._people.get(participant_id)
        if not isinstance(person, Mailbox):
            self.unseat(participant_id)
        elif person.connection_id == connection_id:
            self._free(person)

    def meet(self, code: str, far: Far | None) -> None:
        """From now on these people of the room are on other workers."""
        audience = self._audiences.get(code)
        if audience is not None:
            audience.far = far

    def expect_kept(self, participant_id: str) -> None:
        """Someone who is to be reached here was on another worker: what it was told there will follow."""
        self._arrivals[participant_id] = _Arrival()

    def take_over(self, participant_id: str, kept: Kept | None, now: int) -> None:
        """What was told to someone expected; None if nobody knows any more.

        Then comes what the store brought meanwhile, and then what was said here: those who said it may have
        said something before to where this one was, and that was brought.
        """
        arrival = self._arrivals.pop(participant_id, None)
        mailbox = self._people.get(participant_id)
        if arrival is None or not isinstance(mailbox, Mailbox):
            return
        told = mailbox.count
        said = mailbox.take_said()
        mailbox.restore(kept)
        if told > len(said):
            mailbox.has_gap = True
        if arrival.comeback is not None and arrival.session is not None:
            mailbox.attach(arrival.session, arrival.comeback.connection_id)
            self._resume(mailbox, arrival.session, arrival.comeback, arrival.last_seq, now)
            if arrival.seats is None:
                self._hold(participant_id)
            else:
                self._seat(participant_id, arrival.seats)
        if arrival.heard or said:
            mailbox.send_all(unheard([*arrival.heard, *said], arrival.comeback))

    def part_with(self, participant_id: str, reason: CloseCode) -> Kept | None:
        """Someone's place is on another worker now. Returns what it was told; closes its connection here.

        Of someone whose mailbox is still on its way here that is what followed.
        """
        mailbox = self._people.get(participant_id)
        if not isinstance(mailbox, Mailbox):
            return None
        arrival = self._arrivals.pop(participant_id, None)
        if arrival is not None:
            # Whoever asks knows that this is only what followed.
            told = mailbox.count
            said = mailbox.take_said()
            mailbox.has_gap = mailbox.has_gap or told > len(said)
            mailbox.send_all([*arrival.heard, *said])
        kept = mailbox.save(tokens=True)
        self._take_away(mailbox, participant_id)
        former = self._free(mailbox)
        if former is None and arrival is not None and arrival.session is not None:
            former = arrival.session
            former.unseat()
        if former is not None:
            former.close(reason, _PARTED[reason])
        return kept

    def cut_off(self, code: str) -> None:
        """Something that a room was told was not heard here: its people come again, and hear all anew."""
        for person in [person for person in self._people.values() if person.code == code]:
            if isinstance(person, Mailbox):
                person.has_gap = True
            if person.session is not None:
                person.session.close(CloseCode.RESTARTING, "this server was cut off for a moment")

    def sessions(self) -> list[Session]:
        """The connections of all who have one, room by room; those who wait to be admitted come last."""
        seated = [person for audience in self._audiences.values() for person in map(self.get, audience)]
        everyone = dict.fromkeys([*seated, *self._people.values()])
        return [person.session for person in everyone if person is not None and person.session is not None]

    def presence(self) -> Presence:
        """How many are here, counted anew."""
        there = Presence(participants=self.participants)
        for person in self._people.values():
            session = person.session
            if session is None:
                there.suspended += 1
                continue
            waiting = session.connection.waiting
            there.outbox_bytes += waiting
            there.outbox_largest = max(there.outbox_largest, waiting)
            there.waiting += person.audience is None
        return there

    def kept(self) -> Mapping[str, Kept]:
        """What everyone was told who may come back, by id."""
        return _Kept({who: person for who, person in self._people.items() if isinstance(person, Mailbox)})

    def _seat(self, participant_id: str, seats: int) -> None:
        """Someone is a participant of its room."""
        person = self._people.get(participant_id)
        if person is None or person.code is None:
            return
        is_new = person.audience is None
        audience = person.audience = self._audiences.get(person.code) or Audience()
        audience[participant_id] = person
        self._audiences[person.code] = audience
        arrival = self._arrivals.get(participant_id)
        if arrival is not None:
            arrival.seats = seats
        session = person.session
        if session is None:
            return
        # Whoever has waited, or was away, got its TURN credentials who knows when.
        self._renewals.expect(participant_id, soon=session.has_joined or session.mailbox is not None)
        self._let_in(person, session)
        session.audience = person.audience
        session.allowance.widen(BURST_PER_SEAT * seats)
        self.participants += 1
        self.peak_participants = max(self.peak_participants, self.participants)
        if is_new:
            self._meters.joins += 1
            _log("joined", person)

    def _widen(self, participant_id: str, seats: int) -> None:
        """The room of someone has more seats now (R31)."""
        person = self._people.get(participant_id)
        if person is not None and person.session is not None:
            person.session.allowance.widen(BURST_PER_SEAT * seats)

    def _hold(self, participant_id: str) -> None:
        """Someone waits to be admitted."""
        person = self._people.get(participant_id)
        if person is not None and person.session is not None:
            self._let_in(person, person.session)
            self._meters.waits += 1
            _log("waiting", person)

    def _let_in(self, person: Person, session: Session) -> None:
        session.joined()
        # Not before: what is refused until then is no part of what the participant hears (R40).
        if isinstance(person, Mailbox):
            session.mailbox = person
            person.note_taken()

    def _close(self, participant_id: str, code: CloseCode, reason: str) -> None:
        """Someone is in no room any more, and its connection is closed."""
        person = self._people.get(participant_id)
        if person is not None and person.session is not None:
            person.session.close(code, reason)
        self.unseat(participant_id)

    def _suspend(self, effect: Suspended) -> None:
        """Someone has no connection now: it lost the one it had, or has not come back since a restart."""
        person = self._people.get(effect.id)
        if isinstance(person, Mailbox):
            self._free(person)
        else:
            person = self._people[effect.id] = self._mailbox(effect.id, effect.code)
            if effect.id not in self._arrivals:
                self._restore(person)
        person.suspended_from = effect.address
        self._limits.allow_one_more(effect.address)
        self._meters.suspensions += 1
        log.info(Line("suspended", room=effect.code, participant=effect.id, address=effect.address))

    def _restore(self, mailbox: Mailbox) -> None:
        """Fill a mailbox with what outlived a stop, if anything did."""
        kept = self._store.take_kept(mailbox.code, mailbox.id)
        mailbox.restore(kept)
        if kept is None or not kept.is_whole:
            self._limits.forgive_tokens(self._clock() + self._resume_window)

    def _come_back(self, effect: Resumed, now: int) -> str | None:
        """Someone is back. Returns None; or the connection it is on, if that is gone already."""
        session, last_seq = self._returning.pop(effect.connection_id, (None, 0))
        arrival = self._arrivals.get(effect.id)
        mailbox = self._people.get(effect.id)
        if mailbox is None:
            # Until the mailbox is there, what is said to it waits in one that has no connection.
            own = effect.own
            mailbox = self._people[effect.id] = self._mailbox(effect.id, own.room_id)
            if arrival is None:
                self._restore(mailbox)
        if not isinstance(mailbox, Mailbox):
            raise TypeError(f"{effect.id} is not resumable")
        former = self._free(mailbox)
        if former is None and arrival is not None and arrival.session is not None:
            former = arrival.session
            former.unseat()
        if former is not None:
            former.close(CloseCode.REPLACED, "resumed on another connection")
        mailbox.connection_id = effect.connection_id
        if session is None:
            return effect.connection_id
        self._counts.give_back_return(mailbox.id, session.address, session.opened_at)
        if arrival is None:
            mailbox.attach(session, effect.connection_id)
            self._resume(mailbox, session, effect, last_seq, now)
        else:
            arrival.session, arrival.comeback, arrival.last_seq = session, effect, last_seq
        return None

    def _resume(self, mailbox: Mailbox, session: Session, effect: Resumed, last_seq: int, now: int) -> None:
        """Someone who is back hears what it missed, or all there is (R42)."""
        missed = None if effect.is_restart else mailbox.since(last_seq)
        own = effect.own
        own.resumed = True
        own.replayed = missed is not None
        anew: list[Frame] = []
        if missed is None:
            said = unheard(mailbox.start_anew(last_seq), effect)
            anew = [*(stamped(event, now) for event in effect.overview), *said]
        own.last_client_seq = mailbox.last_client_seq
        own.seq = mailbox.count - len(missed or ())
        session.send_all([stamped(own, now), *(missed or ())])
        if anew:
            mailbox.send_all(anew)
        self._meters.resumes["snapshot" if missed is None else "replay"] += 1
        log.info(
            Line(
                "resumed",
                room=mailbox.code,
                participant=mailbox.id,
                address=session.address,
                replayed=own.replayed,
                missed=len(missed or ()),
            )
        )

    def _mailbox(self, participant_id: str, code: str) -> Mailbox:
        return Mailbox(participant_id, code, self._capacity, self._store.note_taken)

    def _free(self, mailbox: Mailbox) -> Session | None:
        """Someone is not where it was: on a connection, which is returned, or out of reach."""
        if mailbox.suspended_from is not None:
            self._limits.allow_one_less(mailbox.suspended_from)
            mailbox.suspended_from = None
        if mailbox.session is not None and mailbox.audience is not None:
            self.participants -= 1
        self._renewals.forget(mailbox.id)
        return mailbox.detach()

    def _take_away(self, person: Person, participant_id: str) -> None:
        """Nobody is there under this id any more."""
        self._renewals.forget(participant_id)
        del self._people[participant_id]
        if person.audience is not None and person.code is not None:
            del person.audience[participant_id]
            if not person.audience:
                del self._audiences[person.code]


class _Arrival:
    """Someone whose mailbox is on its way here; and if it is back already, on which connection, and how."""

    __slots__ = ("comeback", "heard", "last_seq", "seats", "session")

    def __init__(self) -> None:
        self.heard: list[Frame] = []
        self.comeback: Resumed | None = None
        self.session: Session | None = None
        self.last_seq = 0
        # None for someone in a waiting room.
        self.seats: int | None = None


class _Kept(Mapping[str, Kept]):
    """What mailboxes hold, made when it is asked for: what a room was told they share, and this does not."""

    def __init__(self, mailboxes: dict[str, Mailbox]) -> None:
        self._mailboxes = mailboxes

    def __getitem__(self, participant_id: str) -> Kept:
        return self._mailboxes[participant_id].save()

    def __iter__(self) -> Iterator[str]:
        return iter(self._mailboxes)

    def __len__(self) -> int:
        return len(self._mailboxes)


def _log(what: str, person: Person) -> None:
    address = person.session.address if person.session is not None else None
    log.info(Line(what, room=person.code, participant=person.id, address=address))
