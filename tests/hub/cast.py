"""The cast: ``House`` is a hub with people before it, ``Person`` a client whose connection only records,
``Disk`` what is left when the hub is no more.

Nothing here touches a socket. ``House.settles`` lets everything that is under way come to its end.
"""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, cast

import msgspec
import pytest

from mikroroom.core.chronicle import RoomEvent
from mikroroom.core.effects import Effects, Happened
from mikroroom.core.room import Policy, Room
from mikroroom.core.secrets import Password
from mikroroom.hub.doorkeeper import Hook
from mikroroom.hub.hashing import Hasher
from mikroroom.hub.hub import Hub
from mikroroom.hub.session import Session
from mikroroom.protocol.codec import HEADROOM, Frame
from mikroroom.settings import Settings
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Kept, Store

Message = dict[str, Any]

CODE = "ABC234"
NOON = 1_800_000_000_000
POLICY = Policy(latent_age=1_000, resume_window=30_000, kick_wait=600_000, max_waiting=50)


class Clock:
    """Milliseconds, set by hand."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def passes(self, milliseconds: int) -> None:
        """Let time pass; backwards too, as a wall clock does when someone sets it."""
        self.now += milliseconds


class Tape:
    """A connection that records what it is given, and is full when told to be."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.is_full = False

    def send(self, frame: Frame) -> bool:
        """Record a message."""
        if self.is_full:
            return False
        assert self.closed is None, f"sent after the close: {frame!r}"
        self.frames.append(bytes(frame[HEADROOM:]))
        return True

    def send_all(self, frames: Sequence[Frame]) -> bool:
        """Record several."""
        return all(self.send(frame) for frame in frames)

    @property
    def waiting(self) -> int:
        """Whatever was not said any more."""
        return 1_000_000 if self.is_full else 0

    def close(self, code: int, reason: str) -> None:
        """Record the close."""
        assert self.closed is None, "closed twice"
        self.closed = (int(code), reason)


class Hashing(Hasher):
    """Passwords are sealed in no time, but not before ``goes_on`` where ``stops`` was called."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self._open = asyncio.Event()
        self._open.set()

    def stops(self) -> None:
        """From now on hashing takes until ``goes_on``."""
        self._open.clear()

    def goes_on(self) -> None:
        """Everything held is sealed."""
        self._open.set()

    async def seal(self, password: str, salt: bytes, client: str) -> Password:
        """A digest of the same shape as the real one."""
        self.held += 1
        await asyncio.sleep(0)  # never at once, as with a thread
        await self._open.wait()
        self.held -= 1
        return Password(salt, hashlib.sha256(salt + password.encode()).digest())


class Disk:
    """What a journal is to a store, without a disk: what is written is there at once."""

    def __init__(self) -> None:
        self.rooms: dict[str, bytes] = {}
        self.kept: dict[str, Kept] = {}
        self.happened: list[RoomEvent] = []
        self._taken: dict[str, Kept] = {}
        self._noted: dict[str, int] = {}

    def open(self) -> list[Room]:
        """The rooms; and what the last stop kept is there to be taken, this once."""
        self._taken, self.kept = self.kept, {}
        return [msgspec.msgpack.decode(record, type=Room) for record in self.rooms.values()]

    def put(self, room: Room) -> None:
        """A room has changed."""
        self.rooms[room.code] = msgspec.msgpack.encode(room)

    def write(self, room: Room) -> None:
        """Likewise; there is nothing to wait for."""
        self.put(room)

    def remove(self, code: str) -> None:
        """A room is gone."""
        self.rooms.pop(code, None)

    def note(self, effects: Effects) -> None:
        """Something has happened that those outside are told."""
        self.happened += [effect.event for effect in effects if isinstance(effect, Happened)]

    def take_kept(self, code: str, participant_id: str) -> Kept | None:
        """What was kept for someone, once; after a crash only how much had come from it."""
        noted = self._noted.get(participant_id)
        crashed = None if noted is None else Kept(0, noted, 0, [], is_whole=False)
        return self._taken.pop(participant_id, crashed)

    def note_taken(self, code: str, participant_id: str, client_seq: int) -> None:
        """A numbered message was taken."""
        self._noted[participant_id] = client_seq

    def retry(self) -> list[Room]:
        """Nothing ever fails."""
        return []

    async def close(self, kept: Mapping[str, Kept]) -> None:
        """A planned stop."""
        self.kept = msgspec.msgpack.decode(msgspec.msgpack.encode(dict(kept)), type=dict[str, Kept])


class Person:
    """A client: says things, and hears what its connection was given since it last listened.

    ``token`` and ``last_seq`` are what it has heard that it needs to come back.
    """

    def __init__(self, name: str, session: Session, tape: Tape) -> None:
        self.name = name
        self.session = session
        self.tape = tape
        self.id = ""
        self.token = ""
        self.last_seq = 0
        self._heard = 0

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def sends(self, text: str) -> None:
        """Send this very text."""
        self.session.receive(text)

    def says(self, kind: str, /, **fields: object) -> None:
        """Send a message with these fields."""
        self.sends(json.dumps({"type": kind, **fields}))

    def joins(self, code: str = CODE, /, **fields: object) -> None:
        """Ask to join. Whether it worked is to be heard."""
        self.says("join", **{"roomId": code, "name": self.name, **fields})

    def is_lost(self) -> None:
        """The connection is gone, without a word."""
        self.session.end()

    def hears(self) -> list[Message]:
        """What came since the last time."""
        new, self._heard = self.tape.frames[self._heard :], len(self.tape.frames)
        messages = [json.loads(frame) for frame in new]
        for message in messages:
            self.token = message.get("resumeToken", self.token)
            self.last_seq = message.get("seq", self.last_seq)
        return messages

    def hears_types(self) -> list[str]:
        """Only the types of what came since the last time, an error as its code."""
        return [str(message.get("code", message["type"])) for message in self.hears()]

    @property
    def closed(self) -> int | None:
        """The code with which the server closed the connection."""
        return self.tape.closed[0] if self.tape.closed else None


class House:
    """A hub, and the people who come to it, each from an address of its own unless told otherwise."""

    def __init__(
        self,
        settings: Settings,
        store: Store | None = None,
        *,
        disk: Disk | None = None,
        clock: Clock | None = None,
        authorize_join: Hook | None = None,
        seed: int = 7,
    ) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.wall = Clock(self.clock.now)
        self.disk = disk or Disk()
        self.successor: House | None = None
        policy = Policy(
            latent_age=int(settings.latent_room_age * 1_000),
            resume_window=int(settings.resume_window * 1_000),
            kick_wait=int(settings.kick_wait * 1_000),
            max_waiting=settings.max_waiting,
            chat_history=settings.chat_history,
        )
        self.store = store or MemoryStore(
            max_rooms=settings.max_rooms,
            max_latent_rooms=settings.max_latent_rooms,
            policy=policy,
            clock=self.clock,
            journal=cast("Any", self.disk),
            chronicle=cast("Any", self.disk),
        )
        self.hub = Hub(
            settings,
            self.store,
            policy,
            Random(seed),
            authorize_join=authorize_join,
            clock=self.clock,
            ticks=lambda: self.clock.now / 1_000,
            wall=self.wall,
        )
        self.hashing = self.hub.lobby._hasher = Hashing()
        self.people: list[Person] = []
        self.faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: self.faults.append(fault))
        self._addresses = (f"192.0.2.{number}" for number in itertools.count(1))
        self.hub.start()

    def arrives(self, name: str, address: str | None = None) -> Person:
        """Someone connects."""
        tape = Tape()
        session = self.hub.connect(tape, address or next(self._addresses), self.clock())
        person = Person(name, session, tape)
        self.people.append(person)
        return person

    def meeting(
        self, *names: str, code: str = CODE, resume: bool | None = None, **fields: object
    ) -> list[Person]:
        """These people in a new room without a password, with nothing left to be heard. The first is host."""
        people = [self.arrives(name) for name in names]
        for person in people:
            wish = {"isHost": True, **fields} if person is people[0] else {}
            person.joins(code, **wish, **({"resume": resume} if resume else {}))
            assert person.session.id, f"{person} was refused: {person.hears()}"
            person.id = person.session.id
        self.nobody_listens()
        return people

    def comes_back(self, person: Person, address: str | None = None, /, **fields: object) -> Person:
        """Someone connects to take its place again by what it has heard. Whether it worked is to be heard."""
        again = self.arrives(person.name, address or person.session.address)
        again.token, again.last_seq = person.token, person.last_seq
        again.joins(**{"name": None, "resumeToken": person.token, "lastSeq": person.last_seq, **fields})
        again.id = again.session.id or ""
        return again

    async def restarts(self) -> "House":
        """A planned restart."""
        await self.hub.stop()
        return self._succeeded()

    def crashes(self) -> "House":
        """An unplanned one: nobody hears of it, and what was said is forgotten."""
        assert isinstance(self.store, MemoryStore)
        self.store._journal = None
        assert self.hub._tidying is not None
        self.hub._tidying.cancel()
        return self._succeeded()

    def _succeeded(self) -> "House":
        seed = self.hub._random.getrandbits(32)
        self.successor = House(self.settings, disk=self.disk, clock=self.clock, seed=seed)
        self.successor._addresses = self._addresses
        return self.successor

    def nobody_listens(self) -> None:
        """What was said up to now is of no interest."""
        for person in self.people:
            person.hears()

    async def settles(self) -> None:
        """Everything that was begun is done, except for hashing that was stopped."""
        while True:
            # Twice around the loop: a lost connection's room hears of it in a call of its own.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            deciding = [person.session._deciding for person in self.people if person.session._deciding]
            if len(deciding) == self.hashing.held and not self.hub._losses._under_way:
                return

    def active_rooms(self) -> int:
        """How many rooms have somebody in them. A store in memory is asked without a wait."""
        with pytest.raises(StopIteration) as done:
            self.hub.census().send(None)
        return int(done.value.value.rooms)

    async def everyone_goes(self) -> None:
        """All connections are lost, all windows end, and nothing is left of anyone."""
        self.hashing.goes_on()
        for person in self.people:
            person.is_lost()
        await self.settles()
        if self.hub.roster._people:
            self.clock.passes(int(self.settings.resume_window * 1_000))
            self.hub._tidy()
            await self.settles()
        assert self.hub.limits._expected == {}
        assert self.hub.roster._returning == {}
        assert self.hub.roster._people == {}
        assert self.hub.roster._audiences == {}
        assert self.hub.roster.participants == 0
        assert self.active_rooms() == 0
