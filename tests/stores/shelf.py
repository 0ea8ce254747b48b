"""Rooms to put into a store, verbs to do to them, and a store with its clock and its deliveries at hand."""

import asyncio
import inspect
import secrets
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from tests.redis_server import RedisServer

from mikroroom.core import door
from mikroroom.core.chronicle import RoomEvent
from mikroroom.core.door import Newcomer
from mikroroom.core.effects import Effects, Happened, Send
from mikroroom.core.room import Policy, Room
from mikroroom.core.secrets import digest_token
from mikroroom.protocol.codec import Frame
from mikroroom.protocol.codes import CloseCode
from mikroroom.protocol.events import Message
from mikroroom.settings import Settings
from mikroroom.stores.journal import Journal
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Census, Far, Kept, Step, Store, Verb
from mikroroom.stores.redis.store import RedisStore
from mikroroom.stores.redis.worker import Clocks

CODE = "ABC234"
TOKEN = "9b2e8f0c-6d5c-4f0e-9a51-6c1e7f3b2a10"
LATENT_AGE = 60_000
RESUME_WINDOW = 5_000
POLICY = Policy(LATENT_AGE, RESUME_WINDOW, kick_wait=0, max_waiting=2, chat_history=100)
NOON = 1_800_000_000_000

_numbers = count(1)


class Clock:
    """Milliseconds, set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now

    def passes(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds


# A store with these ceilings on this clock; what it keeps on a disk goes into the directory.
Factory = Callable[[Path, Clock, int, int], Store]


def in_memory(directory: Path, clock: Clock, max_rooms: int, max_latent_rooms: int) -> Store:
    """Rooms that end with the process."""
    return MemoryStore(max_rooms=max_rooms, max_latent_rooms=max_latent_rooms, policy=POLICY, clock=clock)


def with_journal(directory: Path, clock: Clock, max_rooms: int, max_latent_rooms: int) -> Store:
    """Rooms that are in a file as well."""
    return MemoryStore(
        max_rooms=max_rooms,
        max_latent_rooms=max_latent_rooms,
        policy=POLICY,
        clock=clock,
        journal=Journal(str(directory)),
    )


def in_redis(redis: RedisServer) -> Factory:
    """Rooms that many workers may share; this one is alone with them."""
    prefix = f"test-{secrets.token_hex(4)}:"

    def build(directory: Path, clock: Clock, max_rooms: int, max_latent_rooms: int) -> Store:
        settings = Settings(
            redis_url=redis.url, redis_prefix=prefix, max_rooms=max_rooms, max_latent_rooms=max_latent_rooms
        )
        return RedisStore(settings, POLICY, Clocks(clock, clock, is_agreed=False))

    return build


class Shelf:
    """A store that was started, its clock, and all it has delivered."""

    def __init__(
        self,
        factory: Factory,
        directory: Path,
        *,
        max_rooms: int = 1_000,
        max_latent_rooms: int = 1_000,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.delivered: Effects = []
        self.happened: list[RoomEvent] = []
        self.talk: list[tuple[str, bytes]] = []
        self.far: dict[str, Far] = {}
        self.arrivals: list[tuple[str, Kept | None]] = []
        self.departures: list[tuple[str, CloseCode]] = []
        self.mailboxes: dict[str, Kept] = {}
        self.cut: list[str] = []
        self.strangers: set[str] = set()
        self.store = factory(directory, self.clock, max_rooms, max_latent_rooms)
        self.start()

    def start(self) -> None:
        """Start the store, again where it was stopped."""
        self.store.start(self)

    def deliver(self, effects: Effects, code: str, stamp: int | None = None) -> None:
        """Keep what is delivered. See ``port.Receiver``."""
        self.happened += [effect.event for effect in effects if isinstance(effect, Happened)]
        self.delivered += [effect for effect in effects if not isinstance(effect, Happened)]

    def hear(self, participant_ids: Iterable[str], frame: Frame) -> None:
        """Keep what was said elsewhere."""
        self.talk += [(participant_id, bytes(frame)) for participant_id in participant_ids]

    def meet(self, code: str, far: Far | None) -> None:
        """Keep the way to those who are elsewhere."""
        self.far.pop(code, None)
        if far is not None:
            self.far[code] = far

    def expect_kept(self, participant_id: str) -> None:
        """Keep whose mailbox is to come."""
        self.arrivals.append((participant_id, None))

    def take_over(self, participant_id: str, kept: Kept | None) -> None:
        """Keep what came."""
        self.arrivals.append((participant_id, kept))

    def part_with(self, participant_id: str, reason: CloseCode) -> Kept | None:
        """Keep who went, and why."""
        self.departures.append((participant_id, reason))
        return self.mailboxes.get(participant_id)

    def knows(self, participant_id: str) -> bool:
        """Everybody is here who should be."""
        return participant_id not in self.strangers

    def cut_off(self, code: str) -> None:
        """Keep which room was cut off."""
        self.cut.append(code)

    async def tidies(self) -> None:
        """A second has passed for the store, and it has done what was to be done."""
        self.store.tidy()
        if isinstance(self.store, RedisStore) and self.store._tidying is not None:
            await self.store._tidying

    async def active_rooms(self) -> int:
        """How many rooms have somebody in them."""
        return (await self.store.census(Census(0, 0, 0))).rooms

    def heard(self) -> Effects:
        """What was delivered since the last time, but for what those outside are told."""
        self.happened.clear()
        heard, self.delivered[:] = list(self.delivered), []
        return heard

    def heard_events(self) -> list[type[Message]]:
        """The kinds of the events among them."""
        return [type(effect.event) for effect in self.heard() if isinstance(effect, Send)]

    async def makes(self, room: Room) -> Room:
        """Put a room there, and wait until it is."""
        await settled(self.store.create(room, []))
        return room

    async def opens(self, code: str = CODE, name: str = "Ada", *, resume_token: str | None = None) -> str:
        """An ad-hoc room with someone in it. Returns their id."""
        room = adhoc(code)
        maker = newcomer(name, resume_token)
        await settled(self.store.create(room, door.open_room(room, maker, TOKEN, POLICY)))
        return maker.id

    async def joins(self, code: str = CODE, name: str = "Bob", *, resume_token: str | None = None) -> str:
        """Someone enters. Returns their id."""
        person = newcomer(name, resume_token)
        await settled(self.store.transact(code, joining(person)))
        return person.id

    async def leaves(self, person_id: str, code: str = CODE, *, by_word: bool = True) -> None:
        """Someone goes: by word, or because the connection was lost."""
        await settled(self.store.transact(code, leaving(person_id, by_word=by_word)))

    async def looks(self, code: str = CODE) -> Room:
        """The room, as a verb sees it. Raises as ``transact`` does."""
        seen: list[Room] = []

        def look(room: Room, now: int) -> Effects:
            seen.append(room)
            return []

        await settled(self.store.transact(code, look))
        return seen[-1]


async def settled(step: Step) -> None:
    """The step is done, or has raised: at once, or when it was awaited."""
    if inspect.isawaitable(step):
        async with asyncio.timeout(30):
            await step


def adhoc(code: str = CODE) -> Room:
    """A room as someone makes it who joins."""
    return Room(code=code, max_participants=8, creator_digest=digest_token(TOKEN))


def precreated(code: str = CODE, *, expires_at: int = NOON + LATENT_AGE, **fields: object) -> Room:
    """A room as it is ordered in advance."""
    room = Room(
        code=code,
        max_participants=8,
        creator_digest=digest_token(TOKEN),
        is_precreated=True,
        expires_at=expires_at,
    )
    for name, value in fields.items():
        setattr(room, name, value)
    return room


def newcomer(name: str = "Bob", resume_token: str | None = None) -> Newcomer:
    """Someone at the door, under an id that nobody else has; with a token, someone who may come back."""
    return Newcomer(f"{name.lower()}-{next(_numbers)}", name, "192.0.2.1", resume_token=resume_token)


def joining(person: Newcomer) -> Verb:
    """The verb that lets someone in."""
    return lambda room, now: door.join(room, person, now, POLICY)


def leaving(person_id: str, *, by_word: bool = True) -> Verb:
    """The verb that lets someone go."""
    return lambda room, now: door.leave(room, person_id, now, POLICY, by_word=by_word)
