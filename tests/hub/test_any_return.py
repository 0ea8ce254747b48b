"""Any history of people who come back: what they have seen, put together, is what there is.

Lines go dead without a word, answers are lost on the way, what was said is said again, windows end, the
server is stopped as planned, or crashes. After every step everyone whom the server reaches knows the room as
it is, and has heard what was said to it exactly once, unless it was told of a gap.
At the end nothing is left.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.outsider import Outsider

from mikroroom.core.room import Room
from mikroroom.hub.mailbox import Mailbox
from mikroroom.settings import Settings
from mikroroom.stores.memory import MemoryStore

from .cast import House, Message
from .traveller import Traveller

CODES = ("AAAAAA", "BBBBBB")
MANY = 5
RESUMABLE = 4
KEPT = 12
WINDOW = 1_000

SIGNALS = (
    "raise-hand",
    "lower-hand",
    "recording-started",
    "recording-stopped",
    "room-locked",
    "room-unlocked",
    "room-unlocked",
    "nonsense",
)

someone = st.integers(0, MANY - 1)
# Those of the first room more often: a meeting of one is soon told.
codes = st.sampled_from((CODES[0], CODES[0], *CODES))


class AnyReturn(RuleBasedStateMachine):
    """Five people, four of whom may come back, and two rooms."""

    @initialize(present=st.integers(2, MANY))
    def opens(self, present: int) -> None:
        self.runner = asyncio.Runner()
        self.runner.run(self._open())
        self.cast = [
            Traveller(f"P{number}", f"192.0.2.{number // 2}", may_resume=number < RESUMABLE)
            for number in range(MANY)
        ]
        # By participant: what it has been sent that it must hear; the last of its own that the server took.
        self.sent: dict[str, list[str]] = {}
        self.taken: dict[str, int] = {}
        # Where the last snapshot began, and whose past a crash has wiped out.
        self.snapshots: dict[str, int] = {}
        self.wiped: set[str] = set()
        # Whose last token a late crash may have wiped out.
        self.unsure: set[str] = set()
        # What was on the disk when last looked at: of the rooms, and of what was taken.
        self.written: dict[str, bytes] = {}
        self.noted: dict[str, int] = {}
        self.told = 0
        self.count = 0
        for number in range(present):
            self._enters(self.cast[number], CODES[0], is_host=True)

    async def _open(self) -> None:
        self.house = House(self._settings())

    def _settings(self) -> Settings:
        return Settings(
            guesses_per_minute=0,
            rooms_per_minute=0,
            messages_per_second=0,
            refused_messages=0,
            default_participants=4,
            max_waiting=2,
            resume_window=WINDOW / 1_000,
            resume_messages=KEPT,
            kick_wait=2,
        )

    @property
    def rooms(self) -> dict[str, Room]:
        store = self.house.store
        assert isinstance(store, MemoryStore)
        return store._rooms

    def _do(self, act: Callable[[], object]) -> None:
        async def step() -> None:
            act()
            await self.house.settles()
            for traveller in self.cast:
                traveller.listens()
            await self.house.settles()

        self.runner.run(step())
        for traveller in self.cast:  # who was closed has gone meanwhile, and others have heard it
            traveller.listens()

    def _one_of(self, people: Iterable[Traveller], place: int) -> Traveller:
        there = list(people)
        return there[place % len(there)]

    def _placed(self, *, is_reached: bool = True) -> list[Traveller]:
        """Those who have a place, as far as they know."""
        placed = [traveller for traveller in self.cast if traveller.picture is not None]
        return [traveller for traveller in placed if traveller.is_reached or not is_reached]

    # Coming, going, coming back

    @precondition(lambda self: any(traveller.picture is None for traveller in self.cast))
    @rule(who=someone, code=codes, is_host=st.booleans() | st.just(True))
    def enters(self, who: int, code: str, is_host: bool) -> None:
        self._enters(
            self._one_of((one for one in self.cast if one.picture is None), who), code, is_host=is_host
        )

    def _enters(self, traveller: Traveller, code: str, *, is_host: bool) -> None:
        wish = {"resume": True} if traveller.may_resume else {}
        line = traveller.person if traveller.is_reached else None
        self._do(lambda: (line or traveller.connects(self.house)).joins(code, isHost=is_host, **wish))
        if traveller.picture is not None:
            self.sent[traveller.picture.me] = []

    @precondition(lambda self: self._placed())
    @rule(who=someone)
    def line_goes_dead(self, who: int) -> None:
        self._one_of(self._placed(), who).goes_dead()

    @precondition(lambda self: any(traveller.person for traveller in self.cast))
    @rule(who=someone)
    def server_notices(self, who: int) -> None:
        """Or both do."""
        traveller = self._one_of((one for one in self.cast if one.person is not None), who)
        assert traveller.person is not None
        self._do(traveller.person.is_lost)
        traveller.is_cut_off()

    @precondition(lambda self: self._placed())
    @rule(who=someone)
    def stops_reading(self, who: int) -> None:
        def stop() -> None:
            assert traveller.person is not None
            traveller.person.tape.is_full = True
            traveller.person.sends("nonsense")

        traveller = self._one_of(self._placed(), who)
        self._do(stop)

    @precondition(lambda self: any(one.may_resume for one in self._placed(is_reached=False)))
    @rule(
        who=someone,
        restart=st.sampled_from([False, False, False, True]),
        arrives=st.sampled_from([None, None, None, 0, 1, 3]),
        repeats=st.integers(0, 3),
        address=st.sampled_from([None, "192.0.2.9"]),
    )
    def comes_back(
        self, who: int, restart: bool, arrives: int | None, repeats: int, address: str | None
    ) -> None:
        """All of the answer arrives, or only the first messages. What it is not sure of it says again."""
        those = [one for one in self._placed(is_reached=False) if one.may_resume]
        # Rather those who have reason to.
        those = [one for one in those if not one.is_reached] or those
        traveller = self._one_of(those, who)
        self._comes_back(traveller, restart=restart, arrives=arrives, repeats=repeats, address=address)

    @precondition(lambda self: any(one.may_resume for one in self._placed()))
    @rule(
        who=someone,
        notices=st.booleans(),
        milliseconds=st.sampled_from([0, 0, WINDOW // 2]),
        times=st.integers(1, KEPT + 1) | st.integers(1, 3),
        is_planned=st.sampled_from([None, None, True, False]),
    )
    def is_away_for_a_while(
        self, who: int, notices: bool, milliseconds: int, times: int, is_planned: bool | None
    ) -> None:
        """While others go on, and perhaps the server does not."""
        traveller = self._one_of((one for one in self._placed() if one.may_resume), who)
        traveller.goes_dead()
        if notices:
            assert traveller.person is not None
            self._do(traveller.person.is_lost)
            traveller.is_cut_off()
        for number in range(times):
            for other in self._placed()[:1]:
                self._says(other, "chat" if number != 1 else "raise-hand", text=self._new_text())
        self.time_passes(milliseconds)
        if is_planned is True:
            self.server_restarts()
        elif is_planned is False:
            self.server_crashes(is_late=False)
        if traveller.picture is not None:
            self._comes_back(traveller)

    @precondition(lambda self: self._placed() and any(one.picture is None for one in self.cast))
    @rule(who=someone, is_admitted=st.booleans() | st.none(), is_away=st.booleans())
    def comes_to_a_locked_door(self, who: int, is_admitted: bool | None, is_away: bool) -> None:
        """Rare if left to chance."""
        newcomer = self._one_of((one for one in self.cast if one.picture is None), who)
        for host in self._placed():
            if host.is_host:
                self._says(host, "room-locked")
                self._enters(newcomer, host.code, is_host=False)
                break
        else:
            return
        if newcomer.picture is None:
            return
        if is_away and newcomer.person is not None:
            self._do(newcomer.person.is_lost)
            newcomer.is_cut_off()
        if is_admitted is not None and newcomer.picture is not None:
            kind = "admit-user" if is_admitted else "reject-user"
            self._says(host, kind, targetId=newcomer.picture.me)

    def _comes_back(
        self,
        traveller: Traveller,
        *,
        restart: bool = False,
        arrives: int | None = None,
        repeats: int = 2,
        address: str | None = None,
    ) -> None:
        traveller.address = address or traveller.address
        assert traveller.picture is not None
        me = traveller.picture.me
        is_gap = restart or self._is_gap(me, traveller.last_seq)

        def come() -> None:
            line = traveller.connects(self.house)
            if arrives is not None:
                traveller.goes_dead(arrives)
            wish = {"restart": True} if restart else {}
            line.joins(
                traveller.code, name=None, resumeToken=traveller.token, lastSeq=traveller.last_seq, **wish
            )
            answer = json.loads(line.tape.frames[0])
            if answer["type"] != "error":
                self._check_answer(answer, me, is_gap)
            else:
                assert answer["code"] == "RESUME_FAILED"
                is_there = any(me in {*room.participants, *room.waiting} for room in self.rooms.values())
                assert not is_there or me in self.unsure, "its place was kept"

        self._do(come)
        if traveller.is_reached:
            for number, message in enumerate(traveller.said, 1):
                if number > traveller.arrived - repeats:
                    self._arrives(traveller, number, message)

    def _is_gap(self, me: str, last_seq: int) -> bool:
        """Whether what someone missed cannot be held any more."""
        mailbox = self.house.hub.roster.get(me)
        if not isinstance(mailbox, Mailbox):
            return False
        return me in self.wiped or mailbox.count - last_seq > KEPT or last_seq < self.snapshots.get(me, 0)

    def _check_answer(self, answer: Message, me: str, is_gap: bool) -> None:
        assert answer["replayed"] is not is_gap
        assert answer["lastClientSeq"] == self.taken.get(me, 0)
        if is_gap:
            self.snapshots[me] = answer["seq"]
            self.sent[me] = []
            self.wiped.discard(me)

    # Talking

    def _says(self, traveller: Traveller, kind: str, **fields: object) -> None:
        message: dict[str, Any] = {"type": kind, **fields}
        if traveller.picture is None or not traveller.may_resume:
            if traveller.is_reached:
                self._arrives(traveller, None, message)
            return
        traveller.said.append(message)
        if traveller.is_reached:
            self._arrives(traveller, len(traveller.said), message)

    def _arrives(self, traveller: Traveller, number: int | None, message: dict[str, Any]) -> None:
        """A message has reached the server, perhaps not for the first time."""
        line = traveller.person
        if line is None or not traveller.is_reached:
            return
        me = line.session.id
        numbered = {} if number is None else {"clientSeq": number}
        is_repeat = me is not None and number is not None and number <= self.taken.get(me, 0)
        if me is not None and not is_repeat:
            self._expect(me, line.session.code, message)
            if number is not None and message["type"] != "nonsense":
                self.taken[me] = number  # what cannot be read has no number
        if message["type"] == "leave" and not is_repeat and me is not None:
            self._do(lambda: line.sends(json.dumps({**message, **numbered})))
            traveller.forgets()
        else:
            self._do(lambda: line.sends(json.dumps({**message, **numbered})))

    def _expect(self, me: str, code: str | None, message: dict[str, Any]) -> None:
        """Who is to hear what is said now: everyone who is in the room, reached or not (R44)."""
        room = self.rooms.get(code or "")
        if room is None or me not in room.participants:
            return
        if message["type"] == "chat" and "targetId" in message:
            if message["targetId"] in room.participants:
                for listener in {me, message["targetId"]}:
                    self.sent.setdefault(listener, []).append(message["text"])
        elif message["type"] == "chat":
            for listener in room.participants:
                self.sent.setdefault(listener, []).append(message["text"])
        elif message["type"] == "offer" and message["targetId"] in room.participants:
            self.sent.setdefault(message["targetId"], []).append(message["sdp"])

    def _new_text(self) -> str:
        self.count += 1
        return f"text {self.count}"

    @precondition(lambda self: self._placed(is_reached=False))
    @rule(who=someone, to=someone, kind=st.sampled_from(["chat", "chat", "whisper", "offer"]))
    def talks(self, who: int, to: int, kind: str) -> None:
        """Also into a dead line: it is said again (R47)."""
        speaker = self._one_of(self._placed(is_reached=False), who)
        if kind == "chat":
            self._says(speaker, "chat", text=self._new_text())
        elif kind == "whisper":
            self._says(speaker, "chat", targetId=self._id_of(to), text=self._new_text())
        else:
            self._says(speaker, "offer", targetId=self._id_of(to), sdp=self._new_text())

    @precondition(lambda self: self._placed())
    @rule(who=someone, to=someone, action=st.sampled_from(["mute", "unmute", "kick", "make-moderator"]))
    def moderates(self, who: int, to: int, action: str) -> None:
        speaker = self._one_of(self._placed(), who)
        self._says(speaker, "moderator-action", targetId=self._id_of(to), action=action)

    @precondition(lambda self: self._placed())
    @rule(who=someone, to=someone, kind=st.sampled_from(["admit-user", "admit-user", "reject-user"]))
    def answers_the_door(self, who: int, to: int, kind: str) -> None:
        self._says(self._one_of(self._placed(), who), kind, targetId=self._id_of(to))

    @precondition(lambda self: self._placed(is_reached=False))
    @rule(who=someone, kind=st.sampled_from(SIGNALS))
    def signals(self, who: int, kind: str) -> None:
        self._says(self._one_of(self._placed(is_reached=False), who), kind)

    @precondition(lambda self: self._placed())
    @rule(who=someone)
    def leaves(self, who: int) -> None:
        self._says(self._one_of(self._placed(), who), "leave")

    def _id_of(self, who: int) -> str:
        picture = self.cast[who].picture
        return picture.me if picture else "nobody"

    # What befalls all

    @rule(milliseconds=st.sampled_from([1, WINDOW // 2, WINDOW, 2 * WINDOW]))
    def time_passes(self, milliseconds: int) -> None:
        self.house.clock.passes(milliseconds)
        self.house.wall.passes(milliseconds - 100)
        self._do(self.house.store.tidy)
        self.written, self.noted = dict(self.house.disk.rooms), dict(self.taken)
        self.told = len(self.house.disk.happened)

    @rule()
    def server_restarts(self) -> None:
        async def restart() -> None:
            self.house = await self.house.restarts()

        self.runner.run(restart())
        self._do(lambda: None)
        for traveller in self.cast:
            traveller.is_cut_off()  # also who was in no room

    @rule(is_late=st.booleans())
    def server_crashes(self, is_late: bool) -> None:
        """Perhaps before the last changes have been written. What was in flight is lost (R46)."""

        async def crash() -> None:
            if is_late:
                self.house.disk.rooms, self.house.disk._noted = dict(self.written), dict(self.noted)
                del self.house.disk.happened[self.told :]
            self.house = self.house.crashes()

        self.runner.run(crash())
        if is_late:
            self.taken = dict(self.noted)
            self.unsure |= {one.picture.me for one in self.cast if one.picture is not None}
        for traveller in self.cast:
            traveller.is_cut_off()
        for room in self.rooms.values():
            self.wiped |= {*room.participants, *room.waiting}
        self._do(lambda: None)

    # What must hold

    @invariant()
    def whoever_is_reached_knows_what_is(self) -> None:
        for traveller in self.cast:
            picture = traveller.picture
            if picture is None or not traveller.is_reached:
                continue
            room = self.rooms[traveller.code]
            if picture.me in room.waiting:
                assert (picture.people, picture.waiting) == ({}, {picture.me})
                continue
            people = {who: flags(room, who) for who in room.participants}
            # Of what oneself has changed nobody tells one (R16): that much a client knows by itself.
            for own in ("isMuted", "isVideoOff", "isHandRaised", "isConnected"):
                picture.people[picture.me][own] = people[picture.me][own]
            assert picture.people == people
            assert picture.is_locked is (room.locked_by is not None)
            assert picture.recorders == set(room.recorders)
            if people[picture.me]["isModerator"]:
                assert picture.waiting == set(room.waiting)

    @invariant()
    def what_was_said_arrives_exactly_once(self) -> None:
        for traveller in self.cast:
            if traveller.picture is not None and traveller.is_reached:
                assert traveller.picture.texts == self.sent.get(traveller.picture.me, [])

    @invariant()
    def those_outside_know_who_is_where(self) -> None:
        """Whatever has befallen the server since."""
        outsider = Outsider()
        outsider.hears_all(self.house.disk.happened)
        for code in CODES:
            room = self.rooms.get(code)
            outsider.knows(code, room.participants if room else (), room.waiting if room else ())
        assert set(outsider.visits.values()) <= {1}, "nobody joins twice under one id"

    @invariant()
    def there_is_one_host_where_anyone_is(self) -> None:
        for room in self.rooms.values():
            assert sum(person.is_host for person in room.participants.values()) == bool(room.participants)
            assert len(room.participants) <= room.max_participants
            assert not (room.waiting and not room.participants), "stranded"

    @invariant()
    def the_books_agree(self) -> None:
        roster = self.house.hub.roster
        rooms = self.rooms.values()
        seated = {room.code: set(room.participants) for room in rooms if room.participants}
        assert {code: set(audience) for code, audience in roster._audiences.items()} == seated
        assert set(roster._people) == {who for room in rooms for who in (*room.participants, *room.waiting)}
        connected = [who for room in rooms for who in room.participants if who not in room.suspended]
        assert roster.participants == len(connected)
        away = Counter(
            (room.participants.get(who) or room.waiting[who]).address
            for room in rooms
            for who in room.suspended
        )
        assert self.house.hub.limits._expected == away
        assert roster._returning == {}
        assert self.house.faults == []
        sessions = {person.session for person in self.house.people}
        for who in roster._people:
            person = roster.get(who)
            suspended = any(who in room.suspended for room in rooms)
            assert person is not None and (person.session is None) is suspended
            assert person.session is None or person.session in sessions

    def teardown(self) -> None:
        async def close() -> None:
            await self.house.everyone_goes()
            self.house.clock.passes(2 * WINDOW)
            self.house.store.tidy()
            assert (self.rooms, self.house.disk.rooms) == ({}, {})
            await self.house.hub.stop()
            assert self.house.disk.kept == {}
            assert self.house.faults == []

        self.runner.run(close())
        self.runner.close()


def flags(room: Room, who: str) -> dict[str, bool]:
    person = room.participants[who]
    return {
        "isModerator": person.is_moderator,
        "isHost": person.is_host,
        "isMuted": person.is_muted,
        "isVideoOff": person.is_video_off,
        "isHandRaised": person.is_hand_raised,
        "isConnected": who not in room.suspended,
    }


TestAnyReturn = AnyReturn.TestCase
TestAnyReturn.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
