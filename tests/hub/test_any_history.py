"""The hub under any history: who comes, talks, moderates, fails and vanishes, in any order.

After every step: nothing has crossed rooms, everyone's view of the room is the room, and the hub's own books
agree with it. At the end everyone is lost, and nothing may be left of anyone.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.outsider import Outsider

from mikroroom.core.chronicle import RoomEvent
from mikroroom.core.room import Participant, Room
from mikroroom.hub.outside import Outside
from mikroroom.settings import Settings
from mikroroom.stores.memory import MemoryStore

from .cast import House, Message, Person

CODES = ("AAAAAA", "BBBBBB")
LATENT = "LATENT"
FLAGS = ("isModerator", "isHost", "isMuted", "isVideoOff", "isHandRaised", "isConnected")
MANY = 6

GARBAGE = (
    "",
    "[]",
    "null",
    "{}",
    '{"type":"offer"}',
    '{"type":"join"}',
    "{" * 2_000,
    '{"type":"chat","text":1}',
)

people = st.integers(0, MANY - 1)
codes = st.sampled_from((*CODES, LATENT))


class View:
    """What one client knows of its room, from nothing but what it has heard."""

    def __init__(self) -> None:
        self.me = ""
        self.room = ""
        self.others: dict[str, dict[str, bool]] = {}
        self.waiting: set[str] = set()
        self.is_locked = False

    def hears(self, message: Message) -> None:
        """Learn from one message."""
        kind, subject = message["type"], message["participantId"]
        if kind == "participant-joined":
            if not self.others:
                self.me, self.room, self.is_locked = subject, message["roomId"], False
            self.waiting.discard(subject)
            assert subject not in self.others, "joined twice"
            self.others[subject] = {flag: message[flag] for flag in FLAGS}
        elif kind == "participant-updated":
            self.others[subject] = {flag: message[flag] for flag in FLAGS}
        elif kind == "participant-left":
            if subject in self.others:
                del self.others[subject]
            else:
                self.waiting.remove(subject)
        elif kind == "waiting-room":
            self.waiting.add(subject)
        elif kind in {"room-locked", "room-unlocked"}:
            self.is_locked = kind == "room-locked"


class AnyHistory(RuleBasedStateMachine):
    """Six clients, two ad-hoc rooms and a pre-created one."""

    @initialize(present=st.integers(0, 3))
    def opens(self, present: int) -> None:
        self.runner = asyncio.Runner()
        self.runner.run(self._open())
        for who in range(present):
            self.joins(who, CODES[0], is_host=True, password="")

    async def _open(self) -> None:
        self.house = House(
            Settings(
                guesses_per_minute=0,
                rooms_per_minute=0,
                messages_per_second=0,
                refused_messages=0,
                default_participants=3,
                max_waiting=2,
                resume_window=1,
                latent_room_age=10,
            )
        )
        store = self.house.store
        assert isinstance(store, MemoryStore)
        self.rooms = store._rooms
        self.outsider = Outsider()
        self.house.hub._outside = Outside([self])
        self.cast: list[Person] = []
        self.views: dict[Person, View] = {}
        for number in range(MANY):
            self._arrives(number)

    def start(self) -> None:
        """See ``Listener``: what happens is told to the outsider."""

    def tell(self, event: RoomEvent) -> None:
        """See ``Listener``."""
        self.outsider.hears(event)

    async def stop(self) -> None:
        """See ``Listener``."""

    def _arrives(self, number: int) -> None:
        person = self.house.arrives(f"P{number}", f"192.0.2.{number // 2}")
        self.cast[number:] = [person, *self.cast[number + 1 :]]
        self.views[person] = View()

    def _do(self, act: Callable[[], object]) -> None:
        """One step, until all that follows from it has happened; then everyone listens."""

        async def step() -> None:
            was = {person: self._room_of(person) for person in self.cast}
            act()
            await self.house.settles()
            for person in self.cast:
                self._listens(person, {was.get(person), self._room_of(person)})

        self.runner.run(step())

    def _room_of(self, person: Person) -> str | None:
        return person.session.code

    def _listens(self, person: Person, rooms: set[str | None]) -> None:
        for message in person.hears():
            if message["type"] == "error":
                assert message["roomId"] == message["participantId"] == ""
                assert message["code"] != "SERVER_ERROR"
                continue
            assert message["roomId"] in rooms, f"{person} is in {rooms} and heard {message}"
            assert "secret" not in message
            self.views[person].hears(message)
        if person.session.id is None:
            self.views[person] = View()

    def _some_id(self, of: int) -> str:
        return self.cast[of].session.id or "nobody"

    # What people do

    @rule(
        who=people, code=codes, is_host=st.booleans(), password=st.sampled_from(["", "", "sesame", "wrong"])
    )
    def joins(self, who: int, code: str, is_host: bool, password: str) -> None:
        self._do(lambda: self.cast[who].joins(code, isHost=is_host, password=password, secret=1))

    @rule(code=st.just(LATENT))
    @precondition(lambda self: LATENT not in self.rooms)
    def makes_a_latent_room(self, code: str) -> None:
        room = Room(code=code, max_participants=3, creator_digest=b"", is_precreated=True)
        room.expires_at = self.house.clock() + 10_000
        self._do(lambda: self.house.store.create(room, []))

    @rule(who=people, to=people, code=codes)
    def talks(self, who: int, to: int, code: str) -> None:
        def talk() -> None:
            person, target = self.cast[who], self._some_id(to)
            person.says("chat", text="hello", roomId=code, participantId=target, secret=1)
            person.says("offer", targetId=target, sdp="v=0", roomId=code, participantId=target, secret=1)

        self._do(talk)

    @rule(who=people, to=people, action=st.sampled_from(["mute", "unmute", "kick", "make-moderator"]))
    def moderates(self, who: int, to: int, action: str) -> None:
        self._do(lambda: self.cast[who].says("moderator-action", targetId=self._some_id(to), action=action))

    @rule(who=people, kind=st.sampled_from(["room-locked", "room-unlocked", "room-locked"]))
    def turns_the_key(self, who: int, kind: str) -> None:
        self._do(lambda: self.cast[who].says(kind))

    @rule(who=people, to=people, kind=st.sampled_from(["admit-user", "admit-user", "reject-user"]))
    def answers_the_door(self, who: int, to: int, kind: str) -> None:
        self._do(lambda: self.cast[who].says(kind, targetId=self._some_id(to)))

    @rule(who=people, muted=st.none() | st.booleans(), hand=st.none() | st.booleans())
    def changes(self, who: int, muted: bool | None, hand: bool | None) -> None:
        self._do(
            lambda: self.cast[who].says("participant-updated", isMuted=muted, isHandRaised=hand, isHost=True)
        )

    @rule(
        who=people,
        kind=st.sampled_from(["raise-hand", "lower-hand", "recording-started", "recording-stopped"]),
    )
    def signals(self, who: int, kind: str) -> None:
        self._do(lambda: self.cast[who].says(kind))

    @rule(who=people, text=st.sampled_from(GARBAGE))
    def says_nonsense(self, who: int, text: str) -> None:
        self._do(lambda: self.cast[who].sends(text))

    @rule(who=people)
    def leaves(self, who: int) -> None:
        self._do(lambda: self.cast[who].says("leave"))

    @rule(who=people)
    def is_lost(self, who: int) -> None:
        self._do(self.cast[who].is_lost)
        self.runner.run(self._comes_anew(who))

    @rule(who=people)
    def stops_reading(self, who: int) -> None:
        def stop() -> None:
            self.cast[who].tape.is_full = True
            # Whoever hears nothing now is as good as a reader: make it be told something.
            self.cast[who].sends("nonsense")

        self._do(stop)

    @rule()
    def hashing_stops(self) -> None:
        self.house.hashing.stops()

    @rule()
    def hashing_goes_on(self) -> None:
        self._do(self.house.hashing.goes_on)

    @rule(milliseconds=st.sampled_from([1, 999, 1_001, 10_001]))
    def time_passes(self, milliseconds: int) -> None:
        self.house.clock.passes(milliseconds)
        self.house.wall.passes(milliseconds - 500)
        self._do(self.house.store.tidy)

    async def _comes_anew(self, who: int) -> None:
        self._arrives(who)

    # What must hold

    @invariant()
    def whoever_was_closed_comes_anew(self) -> None:
        for who, person in enumerate(self.cast):
            if person.closed is not None:
                self._do(person.is_lost)
                self.runner.run(self._comes_anew(who))

    @invariant()
    def views_equal_the_rooms(self) -> None:
        for person, view in self.views.items():
            room = self.rooms.get(person.session.code or "")
            if person.session.id is None or room is None or person.session.id not in room.participants:
                continue
            seated = {participant.id: flags(room, participant) for participant in room.participants.values()}
            # Of what oneself has changed nobody tells one (R16): that much a client knows by itself.
            for own in ("isMuted", "isVideoOff", "isHandRaised"):
                view.others[view.me][own] = seated[person.session.id][own]
            assert view.others == seated
            assert (view.me, view.room, view.is_locked) == (
                person.session.id,
                room.code,
                room.locked_by is not None,
            )
            if room.participants[view.me].is_moderator:
                assert view.waiting == set(room.waiting)

    @invariant()
    def the_books_agree(self) -> None:
        hub = self.house.hub
        seated = {room.code: set(room.participants) for room in self.rooms.values() if room.participants}
        assert {code: set(audience) for code, audience in hub.roster._audiences.items()} == seated
        assert hub.roster.participants == sum(map(len, seated.values()))
        assert self.house.active_rooms() == len(seated)
        known = {
            person_id for room in self.rooms.values() for person_id in (*room.participants, *room.waiting)
        }
        deciding = {p.session.id for p in self.house.people if p.session._deciding and p.session.id}
        assert set(hub.roster._people) == known | deciding
        assert self.house.faults == []

    @invariant()
    def those_outside_know_who_is_where(self) -> None:
        for code in (*CODES, LATENT):
            room = self.rooms.get(code)
            self.outsider.knows(code, room.participants if room else (), room.waiting if room else ())
        assert set(self.outsider.visits.values()) <= {1}, "nobody joins twice under one id"

    @invariant()
    def there_is_one_host_where_anyone_is(self) -> None:
        for room in self.rooms.values():
            assert sum(person.is_host for person in room.participants.values()) == bool(room.participants)
            assert len(room.participants) <= room.max_participants
            assert not (room.waiting and not room.participants), "stranded"

    def teardown(self) -> None:
        async def close() -> None:
            await self.house.everyone_goes()
            self.house.clock.passes(20_000)
            self.house.store.tidy()
            assert self.rooms == {}
            assert self.outsider.rooms == {}
            await self.house.hub.stop()
            assert self.house.faults == []

        self.runner.run(close())
        self.runner.close()


def flags(room: Room, person: Participant) -> dict[str, Any]:
    return {
        "isModerator": person.is_moderator,
        "isHost": person.is_host,
        "isMuted": person.is_muted,
        "isVideoOff": person.is_video_off,
        "isHandRaised": person.is_hand_raised,
        "isConnected": person.id not in room.suspended,
    }


def test_garbage_is_garbage() -> None:
    """The machine's own words, looked at once: none of them may do anything."""
    for text in GARBAGE:
        try:
            message = json.loads(text)
        except ValueError:
            continue
        assert not isinstance(message, dict) or len(message) < 3


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
