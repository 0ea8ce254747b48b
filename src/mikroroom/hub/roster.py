"""Who can be reached here: everyone in a room or its waiting room, connected or to be connected again.

Carries out what a store has decided about people. Knows no requests, and changes no room.
"""

import logging
from collections.abc import Callable, Iterator, Mapping

from mikroroom.core.effects import Close, Gone, Held, Resumed, Seated, Suspended
from mikroroom.hub.limits import Limits
from mikroroom.hub.mailbox import Capacity, Mailbox
from mikroroom.hub.session import Audience, Session
from mikroroom.logs import Line
from mikroroom.protocol.codec import Frame, frame
from mikroroom.protocol.codes import CloseCode
from mikroroom.protocol.events import Event
from mikroroom.settings import Settings
from mikroroom.stores.port import Kept, Store

log = logging.getLogger(__name__)

Person = Session | Mailbox
Change = Seated | Held | Gone | Suspended | Resumed | Close

# A room's burst of messages for each of its seats: everyone's offers and ICE candidates at once (R31).
BURST_PER_SEAT = 40


class Roster:
    """The people of one process, by id."""

    def __init__(self, settings: Settings, limits: Limits, store: Store, clock: Callable[[], int]) -> None:
        self.participants = 0
        self.peak_participants = 0
        self._limits = limits
        self._clock = clock
        self._store = store
        self._resume_window = int(settings.resume_window * 1_000)
        # What is kept is sent in one piece to whoever comes back: it must find room.
        size = min(settings.resume_bytes, settings.max_outbox_bytes // 2)
        self._capacity = Capacity(settings.resume_messages, size)
        self._people: dict[str, Person] = {}
        self._audiences: dict[str, Audience] = {}
        # Those who are coming back, by the id of their new connection, and what they have heard.
        self._returning: dict[str, tuple[Session, int]] = {}

    def get(self, participant_id: str) -> Person | None:
        """Someone, if it can be reached here."""
        return self._people.get(participant_id)

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

    def carry_out(self, effect: Change, now: int) -> None:
        """Do what a store has decided about someone. ``now`` is what it hears is stamped with."""
        match effect:
            case Seated(participant_id, seats):
                self._seat(participant_id, seats)
            case Held(participant_id):
                self._hold(participant_id)
            case Gone(participant_id):
                self.unseat(participant_id)
            case Suspended():
                self._suspend(effect)
            case Resumed():
                self._resume(effect, now)
            case Close(participant_id, code, reason):
                self._close(participant_id, code, reason)

    def unseat(self, participant_id: str) -> None:
        """Someone is in no room any more."""
        person = self._people.pop(participant_id, None)
        if person is None or person.code is None:
            return
        _log("left", person)
        if person.audience is not None:
            del person.audience[participant_id]
            if not person.audience:
                del self._audiences[person.code]
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

    def sessions(self) -> list[Session]:
        """The connections of all who have one, room by room; those who wait to be admitted come last."""
        seated = [person for audience in self._audiences.values() for person in map(self.get, audience)]
        everyone = dict.fromkeys([*seated, *self._people.values()])
        return [person.session for person in everyone if person is not None and person.session is not None]

    def kept(self) -> Mapping[str, Kept]:
        """What everyone was told who may come back, by id."""
        return _Kept({who: person for who, person in self._people.items() if isinstance(person, Mailbox)})

    def _seat(self, participant_id: str, seats: int) -> None:
        """Someone is a participant of its room."""
        person = self._people.get(participant_id)
        if person is None or person.code is None:
            return
        is_new = person.audience is None
        person.audience = self._audiences.setdefault(person.code, {})
        person.audience[participant_id] = person
        session = person.session
        if session is None:
            return
        self._let_in(person, session)
        session.audience = person.audience
        session.allowance.widen(BURST_PER_SEAT * seats)
        self.participants += 1
        self.peak_participants = max(self.peak_participants, self.participants)
        if is_new:
            _log("joined", person)

    def _hold(self, participant_id: str) -> None:
        """Someone waits to be admitted."""
        person = self._people.get(participant_id)
        if person is not None and person.session is not None:
            self._let_in(person, person.session)
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
            person = self._mailbox(effect.id, effect.code)
            kept = self._store.take_kept(effect.code, effect.id)
            person.restore(kept)
            if kept is None or not kept.is_whole:
                self._limits.forgive_tokens(self._clock() + self._resume_window)
            self._people[effect.id] = person
        person.suspended_from = effect.address
        self._limits.allow_one_more(effect.address)
        log.info(Line("suspended", room=effect.code, participant=effect.id, address=effect.address))

    def _resume(self, effect: Resumed, now: int) -> None:
        """Someone is back: it hears what it missed, or all there is (R42)."""
        session, last_seq = self._returning.pop(effect.connection_id)
        mailbox = self._people[effect.id]
        if not isinstance(mailbox, Mailbox):
            raise TypeError(f"{effect.id} is not resumable")
        former = self._free(mailbox)
        if former is not None:
            former.close(CloseCode.REPLACED, "resumed on another connection")
        mailbox.attach(session, effect.connection_id)
        self._give_back(mailbox, session)

        missed = None if effect.is_restart else mailbox.since(last_seq)
        anew: list[Frame] = []
        if missed is None:
            said = mailbox.start_anew(last_seq)
            anew = [*(_stamped(event, now) for event in effect.overview), *said]
        own = effect.own
        own.resumed = True
        own.replayed = missed is not None
        own.last_client_seq = mailbox.last_client_seq
        own.seq = mailbox.count - len(missed or ())
        session.send_all([_stamped(own, now), *(missed or ())])
        if anew:
            mailbox.send_all(anew)
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
        return mailbox.detach()

    def _give_back(self, mailbox: Mailbox, session: Session) -> None:
        """To come back is to open no new connection (R30); but not for those who do it all the time."""
        if self._limits.returns.take(mailbox.id, self._clock()) == 0:
            self._limits.connections.give_back(session.address, session.opened_at)


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


def _stamped(event: Event, now: int) -> Frame:
    event.timestamp = now
    return frame(event)


def _log(what: str, person: Person) -> None:
    address = person.session.address if person.session is not None else None
    log.info(Line(what, room=person.code, participant=person.id, address=address))
