"""One worker among others, from its start to its stop: its people, their rooms, and what it hears of them."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from mikroroom.core.effects import Effects
from mikroroom.core.resume import forsake
from mikroroom.core.room import Policy, Room
from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.protocol.codes import CloseCode, Refusal
from mikroroom.settings import Settings
from mikroroom.stores.port import Receiver
from mikroroom.stores.redis.inbox import Inbox
from mikroroom.stores.redis.life import Life
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.post import Post, read
from mikroroom.stores.redis.record import Homes, encode
from mikroroom.stores.redis.rooms import Rooms
from mikroroom.stores.redis.wire import OutOfReach, Refused

log = logging.getLogger(__name__)

# Seconds that a stop gives to Redis to answer at all, to moving people elsewhere, and to leaving behind what
# nobody took.
ANSWER_PATIENCE = 1.5
MOVE_PATIENCE = 4.0
LEAVE_PATIENCE = 2.5
# Milliseconds for which what people were told outlives a stop that leaves nobody to keep it.
KEPT_LETTERS = 600_000
# An answer that is lost must not cost a worker its life: so many may be, one after the other, in a lease.
ANSWERS_IN_A_LEASE = 4
# Seconds between two looks at whether the one is there still who is asked to take them.
LOOK_EVERY = 0.25
# So many rooms of a worker that is gone are seen to at a time.
TOGETHER = 50


class Clocks(msgspec.Struct, frozen=True):
    """``steady`` and ``wall``, in milliseconds. Where time ``is_agreed``, all workers go by one time."""

    steady: Callable[[], int]
    wall: Callable[[], int]
    is_agreed: bool = True


class Worker:
    """See the module. ``name`` is its own in Redis.

    ``is_dead`` is called, once, when others have taken it for dead: who goes on does so as another worker.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        clocks: Clocks,
        receiver: Receiver,
        is_dead: Callable[[], None],
        meters: Meters,
    ) -> None:
        self.name = secrets.token_hex(4)
        self.loop = asyncio.get_running_loop()
        self._receiver = receiver
        self._policy = policy
        self._lease = int(settings.worker_lease * 1_000)
        self._steady = clocks.steady
        prefix = settings.redis_prefix
        patience = settings.worker_lease / ANSWERS_IN_A_LEASE
        self.link = Link(settings.redis_url, prefix, self.name, patience, meters)
        self.post = Post(self.link, self.name)
        self.life = Life(self.link, prefix, self.name, settings.worker_lease, clocks.steady, self)
        self.inbox = Inbox(
            self.link, self.name, self._open, delay=meters.inbox, redis_clock=self.life.redis_time
        )
        self.clock = self.life.time if clocks.is_agreed else clocks.steady
        self.rooms = Rooms(
            self.link,
            self.post,
            self.name,
            receiver,
            settings,
            policy,
            clock=self.clock,
            redis_clock=self.life.redis_time if clocks.is_agreed else None,
            wall=clocks.wall,
            is_dead=self.is_taken_for_dead,
        )
        self.desk = self.rooms.desk
        self._is_reading = False
        self._is_leaving = False
        self._tell_dead: Callable[[], None] | None = is_dead
        # For who waits to leave: whether others go on, as far as is known; who is asked to take its people,
        # and who will not.
        self._has_heirs = True
        self._heir = ""
        self._declined: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._seeing_to: set[str] = set()
        # Workers that have people in our rooms, and are not among the living: since when.
        self._missing: dict[str, int] = {}

    # Beginning and end

    def start(self) -> None:
        """Begin. Redis need not be there yet."""
        self.link.start(self.life.greet)
        self.life.start()
        self._do(self._look_for_missed())

    async def stop(self) -> None:
        """Leave in good order: whoever has a place here has it elsewhere, or once another worker starts."""
        self._is_leaving = True
        self.life.stop()
        with suppress(TimeoutError, Refused, OutOfReach):
            async with asyncio.timeout(ANSWER_PATIENCE):
                await self.link.call(b"PING", is_repeatable=True)
            # Whatever comes of that, what nobody took is to be left behind.
            with suppress(TimeoutError, Refused, OutOfReach):
                async with asyncio.timeout(MOVE_PATIENCE):
                    await self._finish()
                    await self._move_out()
            async with asyncio.timeout(LEAVE_PATIENCE):
                await self._leave_behind()
        await self._end()

    async def die(self) -> None:
        """Let go of everybody: others have them."""
        self._is_leaving = True
        self.life.stop()
        self.rooms.let_go()
        await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.rooms.stop()
        await self.inbox.stop()
        await self.link.stop()

    async def _finish(self) -> None:
        """See to the end what was begun: requests, and people on their way here."""
        await self.desk.idle()
        while self._seeing_to or self.rooms.arrivals.any():
            await self._change()
        await self.desk.idle()

    async def _move_out(self) -> None:
        """Ask the other workers to take all who have a place here, and send on what they were told.

        One after the other: who goes as well declines, but those who go on would speak to who is gone.
        """
        while True:
            alive = await self.link.run("leave", self.name, is_repeatable=True)
            others = [name.decode() for name in alive if name.decode() not in self._declined]
            self._has_heirs = bool(others)
            if not others or not self.rooms.copies:
                break
            self._heir = secrets.choice(others)
            self.post.write(self._heir, encode(("inherit", self.name)))
            while self.rooms.copies and self._heir not in self._declined:
                try:
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._change()
                except TimeoutError:
                    await self._look_after(self._heir)
        await self.post.drained()

    async def _look_after(self, heir: str) -> None:
        """It may have gone as well, before it has read what it was asked."""
        until = await self.link.call(b"ZSCORE", self.link.key("workers"), heir, is_repeatable=True)
        if not until or float(until) == 0:
            self._decline(heir)

    async def _change(self) -> None:
        """Something is other than it was."""
        self.rooms.changed.clear()
        await self.rooms.changed.wait()

    async def _leave_behind(self) -> None:
        """What people were told who have found no other place; then nobody waits for this worker any more."""
        for copy in self.rooms.copies.values():
            for who, home in copy.record.homes.items():
                if home == self.name:
                    self._leave_mailbox(who)
        await self.link.run("bury", self.name, 1, is_repeatable=True)

    def _leave_mailbox(self, who: str) -> None:
        awaited = self.rooms.arrivals.forget(who)
        kept = self._receiver.part_with(who, CloseCode.RESTARTING)
        if kept is None:
            return
        if awaited is not None:
            # This is only what followed, and how much there was before is not known.
            kept.count, kept.is_whole = 0, False
        elif len(kept.messages) == kept.count:
            # Number 1 holds tokens, and is to come to nobody's disk.
            del kept.messages[:1]
        if self._has_heirs:
            # They go on speaking to this one, and until its place is elsewhere nobody keeps that.
            kept.is_whole = False
        key = self.link.key("kept", who)
        self.link.call(b"SET", key, encode(kept), b"PX", KEPT_LETTERS, is_repeatable=True)

    # What beats find out; see life.Witness

    def inbox_is_new(self, last: bytes) -> None:
        """Begin to read; or whatever was in the former inbox is lost."""
        if not self._is_reading:
            self._is_reading = True
            self.inbox.start(last)
            return
        log.warning(Line("redis-data-lost", rooms=len(self.rooms.copies)))
        self.inbox.go_on_from(last)
        self.desk.forget_committed()
        self.rooms.lose_touch()
        self._do(self.rooms.compare(puts_back=True))

    def is_taken_for_dead(self) -> None:
        """Nothing more can be done in this name."""
        tell, self._tell_dead = self._tell_dead, None
        if tell is not None:
            log.warning(Line("taken-for-dead", name=self.name, rooms=len(self.rooms.copies)))
            tell()

    def last_read(self) -> bytes:
        """As far as it has been read."""
        return self.inbox.last

    def data_is_old(self, last: bytes | None) -> None:
        """Redis has come back with what it knew earlier."""
        if last is not None:
            self.inbox.go_on_from(last)
        log.warning(Line("redis-data-old", rooms=len(self.rooms.copies)))
        # What has happened meanwhile is not in the chronicle: it begins anew with the next beat.
        self.link.call(b"DEL", self.link.key("began"))
        self.rooms.lose_touch()
        self._do(self.rooms.compare(puts_back=True))

    def others_are(self, alive: frozenset[str], gone: Sequence[str]) -> None:
        """See to the rooms of those that are gone."""
        now = self._steady()
        neighbours = {worker for worker, count in self.rooms.neighbours.items() if count}
        others = neighbours - alive - {self.name}
        self._missing = {worker: self._missing.get(worker, now) for worker in others}
        # Nobody knows of these any more, but our rooms do.
        forgotten = {worker for worker, since in self._missing.items() if now - since > self._lease}
        self.desk.gone = (frozenset(gone) | forgotten) - {self.name}
        if not self._is_leaving:
            for worker in self.desk.gone:
                self._see_to(worker, None if worker in gone else self.rooms.shared_with(worker))

    def _see_to(self, worker: str, codes: list[str] | None = None) -> None:
        if worker not in self._seeing_to:
            self._seeing_to.add(worker)
            self._do(self._inherit(worker, codes))

    async def _inherit(self, worker: str, codes: list[str] | None) -> None:
        """Keep the places of those who had theirs on a worker that is gone or goes, in these rooms or all."""
        try:
            if codes is None:
                found = await self.link.run("inherit", worker, self.name, int(worker in self.desk.gone))
                if found is None:
                    return
                codes = [code.decode() for code in found]
            if codes:
                log.info(Line("inherits", gone=worker, rooms=len(codes)))
            for at in range(0, len(codes), TOGETHER):
                await asyncio.gather(
                    *(self._inherit_room(worker, code) for code in codes[at : at + TOGETHER])
                )
            await self.link.run("bury", worker, 0)
        except (Refused, OutOfReach, Refusal) as error:
            log.warning(Line("not-inherited-yet", gone=worker, problem=str(error)))
        finally:
            self._seeing_to.discard(worker)
            self.rooms.changed.set()

    async def _inherit_room(self, worker: str, code: str) -> None:
        def take_on(room: Room, homes: Homes, now: int) -> Effects:
            lost = [who for who, home in homes.items() if home == worker]
            return forsake(room, lost, now, self._policy)

        with suppress(Refusal):  # the room is gone, or it is tried again
            await self.desk.ask(code, take_on)

    async def _look_for_missed(self) -> None:
        """A room or an inbox was not there when something was sent: perhaps all is lost."""
        while True:
            await self.post.missed.wait()
            self.post.missed.clear()
            if self._is_leaving:
                self._decline(self._heir)
                continue
            self.life.beat_now()
            await asyncio.sleep(0.1)

    # What is in the inbox

    def _open(self, field: bytes, value: bytes) -> None:
        match field:
            case b"l":
                for kind, code, what, said in read(value):
                    if kind == "w":
                        self._read(*msgspec.msgpack.decode(said))
                    else:
                        self.rooms.hear(kind, code, what, said)
            case b"c":
                if unknown := self.rooms.committed_elsewhere(value):
                    self._do(self.rooms.compare((unknown,), puts_back=False))
            case b"o":
                code, version = value.decode().split(" ")
                if not self.rooms.committed_here(code, int(version)):
                    self._do(self.rooms.compare(puts_back=False))

    def _read(self, kind: str, content: Any) -> None:
        match kind:
            case "inherit" if self._is_leaving:
                self.post.write(content, encode(("decline", self.name)))
            case "inherit":
                self._see_to(content)
            case "decline":
                self._decline(content)
            case "clear":
                self.rooms.arrivals.clear(content)
            case "check":
                self.rooms.check_compared()

    def _decline(self, heir: str) -> None:
        self._declined.add(heir)
        self.rooms.changed.set()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
