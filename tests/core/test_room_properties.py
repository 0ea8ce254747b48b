"""What holds in a room after any history, whoever does whatever in whichever order.

Hypothesis tells the story: people come, with and without tokens and passwords, ask for what they may and what
they may not, go, are lost, and come back; the server restarts. After each step every client that can be
reached, which knows nothing but what it heard, must know what is. What is to be refused, the law at the end
says in words of its own.
"""

from collections.abc import Iterable
from typing import get_args

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import UNSET

from mikroroom.core.administration import Change, change_room, end_meeting, remove, set_moderator
from mikroroom.core.bans import Banishment
from mikroroom.core.effects import Close, Effects, Resumed
from mikroroom.core.room import Room
from mikroroom.core.secrets import digest_token
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import CloseCode, ErrorCode

from .client import Client, face_in, face_of
from .stage import KICK_WAIT, RESUME_WINDOW, TOKEN, Heard, Stage

PASSWORD = "sesame"
ADDRESSES = ("here", "there", "elsewhere")

# Whom there is to speak or to act on, the history tells; these are places in a list.
places = st.integers(0, 11)
flags = st.none() | st.booleans()

of_oneself = st.builds(
    requests.UpdateState, is_muted=flags, is_video_off=flags, is_hand_raised=flags
) | st.sampled_from([requests.RaiseHand(), requests.LowerHand()])
of_the_room = st.sampled_from(
    [requests.LockRoom(), requests.UnlockRoom(), requests.StartRecording(), requests.StopRecording()]
)
of_the_door = st.sampled_from([requests.AdmitUser, requests.RejectUser])
actions = st.sampled_from(get_args(requests.Action))
changes = st.builds(
    Change,
    max_participants=st.sampled_from([UNSET, 1, 2, 3, 4]),
    is_locked=st.sampled_from([UNSET, True, False]),
)

EVERYONES = (requests.UpdateState, requests.RaiseHand, requests.LowerHand)


class Away:
    """Someone whom nothing reaches: its connection is lost, or half dead. ``missed`` is kept for it.

    ``must_begin_anew`` once what it missed is not held any more; ``since`` when the server noticed.
    """

    def __init__(self) -> None:
        self.missed: list[Heard] = []
        self.must_begin_anew = False
        self.since: int | None = None


class History(RuleBasedStateMachine):
    """One room, and after it has ended the next one."""

    @initialize(
        seats=st.sampled_from([3, 4, 2, 1]),
        max_waiting=st.sampled_from([2, 3, 1, 0]),
        has_password=st.booleans(),
        is_precreated=st.booleans(),
    )
    def begins(self, seats: int, max_waiting: int, has_password: bool, is_precreated: bool) -> None:
        """A room is made: ahead, or by entering it."""
        self.password = PASSWORD if has_password else None
        self.stage = Stage(
            seats=seats, password=self.password, is_precreated=is_precreated, max_waiting=max_waiting
        )
        self.clients: dict[str, Client] = {}
        self.away: dict[str, Away] = {}
        # The tokens by which someone may come back, the one given out last first; and those of the past.
        self.tokens: dict[str, list[str]] = {}
        self.dead_tokens: list[str] = []
        self.creators: set[str] = set()
        self.kicked: dict[str, int] = {}
        self.banned: dict[str, int] = {}
        # Of these moderators and creators it was taken away; and so many were there before the room shrank.
        self.unmade: set[str] = set()
        self.leftover = 0
        self.addresses: dict[str, str] = {}
        self.count = 0
        if not is_precreated:
            maker = self._somebody_new("here")
            self.creators.add(maker)
            self.stage.opens(maker, address="here")
            self._everyone_listens()

    @rule(address=st.sampled_from(ADDRESSES), may_resume=st.booleans())
    def somebody_comes(self, address: str, may_resume: bool) -> None:
        """Someone with nothing to hide."""
        self._comes(address, token=None, password=self.password, may_resume=may_resume)

    @rule(
        address=st.sampled_from(ADDRESSES),
        token=st.sampled_from([TOKEN, "wrong", None]),
        password=st.sampled_from([PASSWORD, "wrong", None]),
        may_resume=st.booleans(),
    )
    def somebody_comes_with_something(
        self, address: str, token: str | None, password: str | None, may_resume: bool
    ) -> None:
        """A creator, someone who would be one, someone who does not know the password."""
        self._comes(address, token=token, password=password, may_resume=may_resume)

    @precondition(lambda self: self.clients)
    @rule(who=places, by_word=st.booleans())
    def somebody_goes(self, who: int, by_word: bool) -> None:
        """From the room, or from the waiting room."""
        self._goes(_one_of(self.clients, who), by_word=by_word)

    @precondition(lambda self: self.stage.room.waiting)
    @rule(by_word=st.booleans())
    def host_goes_while_people_wait(self, by_word: bool) -> None:
        """Another one must hear of them, or they of the end."""
        people = self.stage.room.participants.values()
        self._goes(next(person.id for person in people if person.is_host), by_word=by_word)

    @precondition(lambda self: self.tokens)
    @rule(who=places)
    def connection_is_half_dead(self, who: int) -> None:
        """Nothing gets through any more, and the server has not noticed (R43)."""
        name = _one_of(self.tokens, who)
        if name not in self.away:
            self.away[name] = Away()

    @precondition(lambda self: self.tokens)
    @rule(
        who=places,
        which=st.integers(0, 1),
        restart=st.booleans() | st.just(False),
        anew=st.booleans(),
        is_told=st.booleans() | st.just(True),
        address=st.sampled_from(ADDRESSES),
    )
    def somebody_comes_back(
        self, who: int, which: int, restart: bool, anew: bool, is_told: bool, address: str
    ) -> None:
        """From being away or over a connection that is well; or the answer to that is lost (R42)."""
        name = _one_of(self.away or self.tokens, who)
        tokens = self.tokens[name]
        token = tokens[which % len(tokens)]
        former = self.stage.connections.get(name)
        away = self.away.pop(name, None) or Away()
        away.missed += self.stage.overhears(name)
        self.stage.resumes(name, token=token, restart=restart, address=address)
        self.addresses[name] = address
        self.dead_tokens += [old for old in tokens if old != token]
        self.tokens[name] = [self.stage.tokens[name], token]
        answer, *_ = self.stage.overhears(name)
        assert isinstance(answer, Resumed)
        away.must_begin_anew |= restart or anew
        if former is not None:
            before = self.stage.picture()
            self.stage.is_lost(name, connection=former)
            assert self.stage.picture() == before, "it is on another one"
        if is_told:
            self._is_back(name, away, answer)
        else:
            away.since = None
            self.away[name] = away
        self._everyone_listens()

    @precondition(lambda self: self.dead_tokens or self.tokens)
    @rule(which=places)
    def somebody_comes_back_too_late(self, which: int) -> None:
        """Or never was here (R45)."""
        issued = [token[:-1] + chr(ord(token[-1]) ^ 1) for tokens in self.tokens.values() for token in tokens]
        token = _one_of([*self.dead_tokens[-6:], *issued, ""], which)
        if not any(token in tokens for tokens in self.tokens.values()):
            with self.stage.refuses(ErrorCode.RESUME_FAILED):
                self.stage.resumes("late", token=token)

    @rule(is_crash=st.booleans())
    def server_restarts(self, is_crash: bool) -> None:
        """As planned, when everyone is lost first; or not, and what was said is forgotten (R46)."""
        if not is_crash:
            for name in list(self.stage.connections):
                if name in {*self.stage.room.participants, *self.stage.room.waiting}:
                    self._is_lost(name)
        connected = [name for name in self.stage.connections if name not in self.tokens]
        self.stage.restarts()
        for name in connected:
            del self.clients[name]
        for name in self.tokens:
            away = self.away.setdefault(name, Away())
            away.since = self.stage.now
            away.must_begin_anew |= is_crash
        # Whatever was said on the way is heard with the rest.
        self._everyone_listens()
        self._perhaps_the_room_is_gone()

    @precondition(lambda self: self.stage.room.participants)
    @rule(addresses=st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=3))
    def crowd_gathers_before_a_locked_door_that_is_opened(self, addresses: list[str]) -> None:
        """Rare if left to chance, and how people come to wait for nothing but a seat (R23)."""
        host = _one_of(self.stage.room.moderators(), 0)
        self._says(host, requests.LockRoom())
        for address in addresses:
            self._comes(address, token=None, password=self.password)
        self._says(host, requests.UnlockRoom())

    @precondition(lambda self: self.stage.room.participants)
    @rule(who=places, saying=of_oneself)
    def participant_says_something_of_itself(self, who: int, saying: requests.Message) -> None:
        """Whoever is in the room may."""
        self._says(_one_of(self.stage.room.participants, who), saying)

    @precondition(lambda self: self.stage.room.participants)
    @rule(who=places, saying=of_the_room)
    def moderator_says_something_of_the_room(self, who: int, saying: requests.Message) -> None:
        """It is locked, unlocked or recorded."""
        self._says(_one_of(self.stage.room.moderators(), who), saying)

    @precondition(lambda self: self.stage.room.waiting)
    @rule(who=places, whom=places, saying=of_the_door)
    def moderator_turns_to_the_door(
        self, who: int, whom: int, saying: type[requests.AdmitUser | requests.RejectUser]
    ) -> None:
        """Someone who waits is admitted or rejected."""
        self._says(_one_of(self.stage.room.moderators(), who), saying(_one_of(self.stage.room.waiting, whom)))

    @precondition(lambda self: self.stage.room.participants)
    @rule(who=places, whom=places, action=actions)
    def moderator_acts_on_somebody(self, who: int, whom: int, action: requests.Action) -> None:
        """Anybody in the room, itself and creators included."""
        target = _one_of(self.stage.room.participants, whom)
        self._says(_one_of(self.stage.room.moderators(), who), requests.ModeratorAction(target, action))

    @rule(
        who=places,
        whom=places,
        saying=of_oneself | of_the_room | of_the_door | actions,
    )
    def anybody_asks_for_anything(
        self, who: int, whom: int, saying: requests.Message | type[requests.AdmitUser] | requests.Action
    ) -> None:
        """Guests, those who wait, those who are gone; and of anybody."""
        room = self.stage.room
        cast = [*room.participants, *room.waiting, *list(self.addresses)[-2:], "nobody"]
        target = _one_of(cast, whom)
        if isinstance(saying, str):
            request: requests.Message = requests.ModeratorAction(target, saying)
        else:
            request = saying if isinstance(saying, requests.Message) else saying(target)
        self._says(_one_of(cast, who), request)

    @rule(change=changes)
    def room_is_changed_from_outside(self, change: Change) -> None:
        """Made larger or smaller, locked or unlocked, also while nobody is there."""
        room = self.stage.room
        self.leftover = len(room.participants)
        self._is_administered(change_room(room, change))
        if change.is_locked is not UNSET:
            assert (room.locked_by is not None) is change.is_locked
        if change.max_participants is not UNSET:
            assert room.max_participants == change.max_participants

    @precondition(lambda self: self.stage.room.participants)
    @rule(who=places)
    def room_shrinks_while_people_wait_for_a_seat(self, who: int) -> None:
        """Nobody enters then, before there are fewer than there may be."""
        self.room_is_changed_from_outside(Change(max_participants=2))
        self.crowd_gathers_before_a_locked_door_that_is_opened(list(ADDRESSES))
        self.room_is_changed_from_outside(Change(max_participants=1))
        self._goes(_one_of(self.stage.room.participants, who), by_word=True)

    @precondition(lambda self: self.stage.room.participants)
    @rule(whom=places, is_moderator=st.booleans())
    def moderator_is_made_or_unmade_from_outside(self, whom: int, is_moderator: bool) -> None:
        """Anybody in the room; but never the host."""
        name = _one_of(self.stage.room.participants, whom)
        if self.stage.room.participants[name].is_host and not is_moderator:
            with self.stage.refuses(ErrorCode.UNAUTHORIZED):
                set_moderator(self.stage.room, name, is_moderator=False)
            return
        (self.unmade.discard if is_moderator else self.unmade.add)(name)
        self._is_administered(set_moderator(self.stage.room, name, is_moderator=is_moderator))
        assert self.stage.room.participants[name].is_moderator is is_moderator

    @precondition(lambda self: self.clients)
    @rule(whom=places, ban=st.sampled_from([None, RESUME_WINDOW, KICK_WAIT]))
    def somebody_is_removed_from_outside(self, whom: int, ban: int | None) -> None:
        """Whoever waits and creators included, whether or not anything reaches them."""
        name = _one_of(self.clients, whom)
        address = self.addresses[name]
        banishment = None if ban is None else Banishment(f"ban of {name}", ban)
        effects = remove(self.stage.room, name, self.stage.now, self.stage.policy, banishment)
        self._is_administered(effects)
        self.kicked[address] = self.stage.now + KICK_WAIT
        if ban is not None:
            self.banned[address] = max(self.banned.get(address, 0), self.stage.now + ban)
        self._perhaps_the_room_is_gone()

    @precondition(lambda self: len(self.clients) > 2)
    @rule()
    def meeting_is_ended_from_outside(self) -> None:
        """For everyone, and nobody comes back. (Not sooner: histories must have time to become strange.)"""
        tokens = {digest_token(token) for tokens in self.tokens.values() for token in tokens}
        reached = [client for name, client in self.clients.items() if name not in self.away]
        self._is_administered(end_meeting(self.stage.room, "Meeting ended", self.stage.now))
        assert all(client.closed_with is CloseCode.MEETING_ENDED for client in reached)
        assert tokens <= set(self.stage.late), "late is not wrong (R45)"
        assert not self.stage.seated and not self.stage.held
        self._perhaps_the_room_is_gone()

    @rule(milliseconds=st.sampled_from([1, RESUME_WINDOW // 2, RESUME_WINDOW, KICK_WAIT - 1, KICK_WAIT]))
    def time_passes(self, milliseconds: int) -> None:
        """A kicked address may come back, a window and a lingering room end (R24, R41, R4)."""
        self.stage.passes(milliseconds)
        late = [name for name, away in self.away.items() if self._is_over(away)]
        valid = {digest_token(token): name for name in late for token in self.tokens[name]}
        for name in late:
            with self.stage.refuses(ErrorCode.RESUME_FAILED):
                self.stage.resumes(name, token=self.tokens[name][0])
        told = len(self.stage.late)
        self.stage.tidies()
        sent_away = {
            name for name in late if any(isinstance(m, Close) for m in self.stage._inboxes.get(name, ()))
        }
        expected = {digest for digest, name in valid.items() if name not in sent_away}
        assert expected <= set(self.stage.late[told:]) <= set(valid), "late is not wrong (R45)"
        self._everyone_listens()
        assert not {*late} & {*self.stage.room.participants, *self.stage.room.waiting}
        self._perhaps_the_room_is_gone()

    @rule()
    def room_is_written_down_and_read_again(self) -> None:
        """As it is when it goes to a disk or to another machine, at any time."""
        copy = msgspec.msgpack.decode(msgspec.msgpack.encode(self.stage.room), type=Room)
        assert copy == self.stage.room
        self.stage.room = copy

    @invariant()
    def every_participant_knows_what_is(self) -> None:
        """Who is there and how, whether it is locked, who records; and moderators who waits."""
        room = self.stage.room
        people = {
            person.id: face_of(person, is_connected=person.id not in room.suspended)
            for person in room.participants.values()
        }
        waiting = [(person.id, person.name) for person in room.waiting.values()]
        for person in room.participants.values():
            client = self.clients[person.id]
            if person.id in self.away:
                continue
            assert client.id == person.id
            assert client.people == people
            assert client.is_locked is (room.locked_by is not None)
            assert client.recorders == room.recorders
            assert list(client.waiting.items()) == (waiting if person.is_moderator else [])

    @invariant()
    def everyone_who_waits_knows_just_that(self) -> None:
        """R20."""
        for name in self.stage.room.waiting.keys() - self.away.keys():
            client = self.clients[name]
            assert (client.waits_as, client.id, client.people) == (name, None, {})

    @invariant()
    def nobody_is_told_after_going(self) -> None:
        """Joins and leaves pair up: the clients that are left are those who are there, or were sent away."""
        there = {*self.stage.room.participants, *self.stage.room.waiting}
        gone = [name for name, client in self.clients.items() if client.closed_with is not None]
        assert there.isdisjoint(gone)
        for name in gone:
            self._is_gone(name)
        assert self.clients.keys() == there
        assert self.tokens.keys() <= there

    @invariant()
    def whoever_is_suspended_is_away_and_whoever_is_not_is_not(self) -> None:
        """R41: those who may not come back are never suspended; the first to lapse stands first."""
        suspended = self.stage.room.suspended
        noticed = {
            name: away.since + RESUME_WINDOW for name, away in self.away.items() if away.since is not None
        }
        assert suspended == noticed
        assert list(suspended.values()) == sorted(suspended.values())
        assert suspended.keys() <= self.tokens.keys()
        assert not any(until <= self.stage.now for until in suspended.values())

    @invariant()
    def there_is_one_host_while_anyone_is(self) -> None:
        """R11, R25."""
        hosts = [person for person in self.stage.room.participants.values() if person.is_host]
        assert len(hosts) == bool(self.stage.room.participants)
        assert all(host.is_moderator for host in hosts)

    @invariant()
    def creators_are_protected_moderators(self) -> None:
        """R11, R12."""
        for person in self.stage.room.participants.values():
            assert person.is_creator is (person.id in self.creators)
            assert person.is_moderator or not person.is_creator or person.id in self.unmade

    @invariant()
    def ceilings_hold(self) -> None:
        """R7, R20."""
        self.leftover = min(self.leftover, len(self.stage.room.participants))
        assert len(self.stage.room.participants) <= max(self.stage.room.max_participants, self.leftover)
        assert len(self.stage.room.waiting) <= self.stage.policy.max_waiting

    @invariant()
    def nobody_is_stranded(self) -> None:
        """R23: whoever needs but a seat waits only while there is none."""
        room = self.stage.room
        cleared = [person for person in room.waiting.values() if person.is_cleared]
        assert not cleared or len(room.participants) >= room.max_participants
        assert not cleared or room.locked_by is None

    @invariant()
    def empty_room_has_an_end_and_nothing_left_over(self) -> None:
        """R2, R4, R26."""
        room = self.stage.room
        assert (room.expires_at is None) is bool(room.participants)
        if not room.participants:
            assert (room.waiting, room.recorders) == ({}, [])
            assert not room.locked_by, "by nobody who is gone"

    def _law_of_the_door(
        self, address: str, token: str | None, password: str | None
    ) -> tuple[ErrorCode | None, bool]:
        """With which code a newcomer is to be refused, if any, and whether it is to wait (R7)."""
        room = self.stage.room
        is_kicked = self.kicked.get(address, 0) > self.stage.now
        waits = bool(room.participants) and token != TOKEN and (room.locked_by is not None or is_kicked)
        if self.banned.get(address, 0) > self.stage.now:
            return ErrorCode.BANNED, False
        if self.password not in (None, password):
            return ErrorCode.INVALID_PASSWORD, False
        if waits:
            is_full = len(room.waiting) == self.stage.policy.max_waiting
            return (ErrorCode.WAITING_ROOM_FULL if is_full else None), True
        is_full = len(room.participants) >= room.max_participants
        return (ErrorCode.ROOM_FULL if is_full else None), False

    def _law_of_the_room(self, name: str, request: requests.Message) -> ErrorCode | None:
        """With which code a request is to be refused, if any (R19 to R24)."""
        room = self.stage.room
        if name not in room.participants:
            return ErrorCode.NOT_IN_ROOM
        ends_its_own = isinstance(request, requests.StopRecording) and name in room.recorders
        if name not in room.moderators() and not isinstance(request, EVERYONES) and not ends_its_own:
            return ErrorCode.UNAUTHORIZED
        match request:
            case requests.AdmitUser(target) | requests.RejectUser(target) if target not in room.waiting:
                return ErrorCode.TARGET_NOT_FOUND
            case requests.AdmitUser() if len(room.participants) >= room.max_participants:
                return ErrorCode.ROOM_FULL
            case requests.ModeratorAction(target) if target not in room.participants:
                return ErrorCode.TARGET_NOT_FOUND
            case requests.ModeratorAction(target, "kick") if target == name or target in self.creators:
                return ErrorCode.UNAUTHORIZED
        return None

    def _comes(
        self, address: str, *, token: str | None, password: str | None, may_resume: bool = False
    ) -> None:
        """Newcomers enter, wait, or are refused."""
        code, waits = self._law_of_the_door(address, token, password)
        name = self._somebody_new(address)
        if code is not None:
            del self.clients[name]
            with self.stage.refuses(code):
                self.stage.joins(name, password=password, token=token, address=address)
            return
        self.stage.joins(name, password=password, token=token, address=address, may_resume=may_resume)
        if may_resume:
            self.tokens[name] = [self.stage.tokens[name]]
        assert (name in self.stage.held) is waits
        assert (name in self.stage.guesses) is (token == "wrong")
        if token == TOKEN:
            self.creators.add(name)
            assert self.stage.room.participants[name].is_host
        self._everyone_listens()

    def _goes(self, name: str, *, by_word: bool) -> None:
        """By word, or because the connection is lost."""
        if by_word and name not in self.away:
            self.stage.leaves(name)
            self._everyone_listens()
            self._is_gone(name)
        elif name in self.stage.connections:
            self._is_lost(name)
        self._perhaps_the_room_is_gone()

    def _is_lost(self, name: str) -> None:
        """The server has noticed: it is suspended, or gone if it cannot come back (R41)."""
        self.stage.is_lost(name)
        if name in self.tokens:
            away = self.away.setdefault(name, Away())
            away.since = self.stage.now
            assert name in self.stage.suspended
        self._everyone_listens()
        if name not in self.tokens:
            self._is_gone(name)

    def _is_gone(self, name: str) -> None:
        del self.clients[name]
        self.away.pop(name, None)
        self.dead_tokens += self.tokens.pop(name, [])

    def _is_over(self, away: Away) -> bool:
        return away.since is not None and away.since + RESUME_WINDOW <= self.stage.now

    def _is_back(self, name: str, away: Away, answer: Resumed) -> None:
        """It hears what it missed; or all there is, and forgets what was before (R42)."""
        if away.must_begin_anew:
            client = self.clients[name] = Client()
            client.hears(answer.own)
            for event in answer.overview:
                client.hears(event)
            return
        client = self.clients[name]
        for message in away.missed:
            if not isinstance(message, Resumed):
                client.hears(message)
        if isinstance(answer.own, events.ParticipantJoined):
            assert client.id == name
            # What it missed may say that it is not connected: as to itself, it goes by its own message.
            face = face_in(answer.own, answer.own.name)
            assert msgspec.structs.replace(client.people[name], is_connected=True) == face
            client.people[name] = face

    def _says(self, name: str, request: requests.Message) -> None:
        """What is asked for is done, or refused."""
        if name in self.away:
            return  # nothing gets through
        code = self._law_of_the_room(name, request)
        if code is not None:
            with self.stage.refuses(code):
                self.stage.does(name, request)
            return
        self.stage.does(name, request)
        self.clients[name].says(request)
        self._is_done(name, request)
        self._everyone_listens()

    def _is_done(self, name: str, request: requests.Message) -> None:
        """What was granted has come about; that everyone knows of it is seen after each step."""
        room = self.stage.room
        match request:
            case requests.LockRoom():
                assert room.locked_by == name
                assert not any(person.is_cleared for person in room.waiting.values())
            case requests.UnlockRoom():
                assert room.locked_by is None
                assert all(person.is_cleared for person in room.waiting.values())
            case requests.AdmitUser(target):
                assert target in room.participants
            case requests.RejectUser(target):
                assert target not in room.waiting
            case requests.ModeratorAction(target, "kick"):
                assert target not in room.participants
                self.kicked[self.addresses[target]] = self.stage.now + KICK_WAIT
            case requests.ModeratorAction(target, "make-moderator"):
                assert room.participants[target].is_moderator
            case requests.ModeratorAction(target, action):
                assert room.participants[target].is_muted is (action == "mute")

    def _is_administered(self, effects: Effects) -> None:
        """Somebody outside has done something; whoever heard of it must know what is."""
        self.stage.is_done(effects)
        self._everyone_listens()

    def _somebody_new(self, address: str) -> str:
        self.count += 1
        name = f"p{self.count}"
        self.addresses[name] = address
        self.clients[name] = Client()
        return name

    def _everyone_listens(self) -> None:
        there = {*self.stage.room.participants, *self.stage.room.waiting}
        for name, client in self.clients.items():
            if name not in self.away:
                for message in self.stage.overhears(name):
                    assert not isinstance(message, Resumed)
                    client.hears(message)
            else:
                self.away[name].missed += self.stage.overhears(name)
        for name in self.away.keys() - there:  # it will find out when it comes back
            self._is_gone(name)
        assert self.stage.heard() == {}, "somebody heard something after going"

    def _perhaps_the_room_is_gone(self) -> None:
        """A store removes a room whose time has come; the story goes on in a new one (R2, R4)."""
        ends = self.stage.room.expires_at
        if ends is not None and ends <= self.stage.now:
            self.begins(
                self.stage.room.max_participants,
                self.stage.policy.max_waiting,
                self.password is not None,
                self.stage.room.is_precreated,
            )


def _one_of(names: Iterable[str], place: int) -> str:
    there = list(names)
    return there[place % len(there)]


def test_any_history_leaves_everyone_with_the_truth() -> None:
    run_state_machine_as_test(
        History,
        settings=settings(
            derandomize=True,
            deadline=None,
            max_examples=100,
            stateful_step_count=100,
            suppress_health_check=[HealthCheck.too_slow],  # of a busy machine
        ),
    )
