"""One worker among others, from its start to its stop: its people, their rooms, and what it hears of them."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from mikroroom.core.effects import Effects, Resumed
from mikroroom.core.resume import forsake
from mikroroom.core.room import Policy, Room
from mikroroom.logs import Line
from mikroroom.protocol.codec import to_frame
from mikroroom.protocol.codes import CloseCode, Refusal
from mikroroom.settings import Settings
from mikroroom.stores.port import Kept, Receiver
from mikroroom.stores.redis import record as records
from mikroroom.stores.redis.arrivals import Arrival, Arrivals
from mikroroom.stores.redis.copy import Copy, concerning
from mikroroom.stores.redis.desk import Desk
from mikroroom.stores.redis.inbox import Inbox
from mikroroom.stores.redis.life import Life
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.post import FarSide, Post, read
from mikroroom.stores.redis.record import Entry, Homes, decode_entry, decode_record, encode
from mikroroom.stores.redis.wire import OutOfReach, Refused

log = logging.getLogger(__name__)

# Seconds that a stop gives to moving people elsewhere, and to leaving behind what nobody took.
MOVE_PATIENCE = 3.0
LEAVE_PATIENCE = 1.0
# Milliseconds for which what people were told outlives a stop that leaves nobody to keep it.
KEPT_LETTERS = 600_000
# So many rooms of a worker that is gone are seen to at a time.
TOGETHER = 50


class Clocks(msgspec.Struct, frozen=True):
    """``steady`` and ``wall``, in milliseconds. Where time ``is_agreed``, all workers go by one time."""

    steady: Callable[[], int]
    wall: Callable[[], int]
    is_agreed: bool = True


class Worker:
    """See the module. ``name`` is its own in Redis."""

    def __init__(self, settings: Settings, policy: Policy, clocks: Clocks, receiver: Receiver) -> None:
        self.name = secrets.token_hex(4)
        self.copies: dict[str, Copy] = {}
        self._receiver = receiver
        self._policy = policy
        self._lease = int(settings.worker_lease * 1_000)
        self._steady = clocks.steady
        prefix = settings.redis_prefix
        self.link = Link(settings.redis_url, prefix)
        self.post = Post(self.link, self.name)
        self.inbox = Inbox(self.link, self.name, self._open)
        self.life = Life(self.link, prefix, self.name, settings.worker_lease, clocks.steady, self)
        self.clock = self.life.time if clocks.is_agreed else clocks.steady
        self.arrivals = Arrivals(self.link, self._take_over)
        self.desk = Desk(
            self.link,
            self.post,
            self.name,
            copies=self.copies,
            policy=policy,
            max_rooms=settings.max_rooms,
            max_latent_rooms=settings.max_latent_rooms,
            clock=self.clock,
            redis_clock=self.life.redis_time if clocks.is_agreed else None,
            wall=clocks.wall,
            deliver=self._deliver,
        )
        self._is_reading = False
        # Rooms that are newer in Redis, or not there (None), as it seems.
        self._compared: dict[str, Copy | None] = {}
        # Those who are being let go because they are not here, though they should be.
        self._disowned: set[str] = set()
        self._is_leaving = False
        # For who waits to leave: no other worker takes its people; or something has changed.
        self._is_declined = False
        self._has_changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._seeing_to: set[str] = set()
        # Workers that will send nothing any more.
        self._gone: set[str] = set()
        # Workers that have people in our rooms and are not among the living: since when.
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
            async with asyncio.timeout(MOVE_PATIENCE):
                await self._finish()
                await self._move_out()
        with suppress(TimeoutError, Refused, OutOfReach):
            async with asyncio.timeout(LEAVE_PATIENCE):
                await self._leave_behind()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.desk.stop()
        await self.inbox.stop()
        await self.link.stop()

    async def _finish(self) -> None:
        """See to the end what was begun: requests, and people on their way here."""
        await self.desk.idle()
        while self._seeing_to or self.arrivals.any():
            await self._change()
        await self.desk.idle()

    async def _move_out(self) -> None:
        """Ask another worker to take all who have a place here, and send on what they were told."""
        if self.link.problem is not None:
            return
        others = await self.link.run("leave", self.name)
        if others and self.copies:
            self.post.write(secrets.choice(others).decode(), encode(("inherit", self.name)))
            while self.copies and not self._is_declined:
                await self._change()
        await self.post.drained()

    async def _change(self) -> None:
        """Something is other than it was."""
        self._has_changed.clear()
        await self._has_changed.wait()

    async def _leave_behind(self) -> None:
        """What people were told who have found no other place; then nobody waits for this worker any more."""
        for copy in self.copies.values():
            for who, home in copy.record.homes.items():
                if home == self.name:
                    self._leave_mailbox(who)
        await self.link.run("bury", self.name, 1)

    def _leave_mailbox(self, who: str) -> None:
        kept = self._receiver.part_with(who, CloseCode.RESTARTING)
        if kept is not None:
            if kept.is_whole and len(kept.messages) == kept.count:
                # Number 1 holds tokens, and is to come to nobody's disk.
                del kept.messages[:1]
            self.link.call(b"SET", self.link.key("kept", who), encode(kept), b"PX", KEPT_LETTERS)

    # What beats find out; see life.Witness

    def inbox_is_new(self, last: bytes, *, was_buried: bool) -> None:
        """Begin to read; or whatever was in the former inbox is lost."""
        if not self._is_reading:
            self._is_reading = True
            self.inbox.start(last)
            return
        log.warning(Line("taken-for-dead" if was_buried else "redis-data-lost", rooms=len(self.copies)))
        self.inbox.go_on_from(last)
        self.desk.forget_committed()
        self._do(self._compare(puts_back=not was_buried))

    def data_is_old(self) -> None:
        """Redis has come back with what it knew earlier."""
        log.warning(Line("redis-data-old", rooms=len(self.copies)))
        self._do(self._compare(puts_back=True))

    def others_are(self, alive: frozenset[str], gone: Sequence[str]) -> None:
        """See to the rooms of those that are gone."""
        self._gone = set(gone)
        if self._is_leaving:
            return
        for worker in gone:
            if worker != self.name:
                self._see_to(worker)
        now = self._steady()
        homes = {home for copy in self.copies.values() for home in copy.record.homes.values()}
        self._missing = {worker: self._missing.get(worker, now) for worker in homes - alive - {self.name}}
        for worker, since in self._missing.items():
            if now - since > self._lease and worker not in gone:
                # Nobody knows of it any more, but our rooms do.
                self._gone.add(worker)
                self._see_to(
                    worker,
                    [code for code, copy in self.copies.items() if worker in copy.record.homes.values()],
                )

    def _see_to(self, worker: str, codes: list[str] | None = None) -> None:
        if worker not in self._seeing_to:
            self._seeing_to.add(worker)
            self._do(self._inherit(worker, codes))

    async def _inherit(self, worker: str, codes: list[str] | None = None) -> None:
        """Keep the places of all who had theirs on a worker that is gone, or goes."""
        try:
            if codes is None:
                found = await self.link.run("inherit", worker, self.name)
                if found is None:
                    return
                codes = [code.decode() for code in found]
            if codes:
                log.info(Line("inherits", worker=worker, rooms=len(codes)))
            for at in range(0, len(codes), TOGETHER):
                await asyncio.gather(
                    *(self._inherit_room(worker, code) for code in codes[at : at + TOGETHER])
                )
            await self.link.run("bury", worker, 0)
        except (Refused, OutOfReach, Refusal) as error:
            log.warning(Line("not-inherited-yet", worker=worker, problem=str(error)))
        finally:
            self._seeing_to.discard(worker)
            self._has_changed.set()

    async def _inherit_room(self, worker: str, code: str) -> None:
        def take_on(room: Room, homes: Homes, now: int) -> Effects:
            lost = [who for who, home in homes.items() if home == worker]
            return forsake(room, lost, now, self._policy)

        with suppress(Refusal):  # the room is gone, or it is tried again
            await self.desk.ask(code, take_on)

    # What Redis has lost, or what was not heard here

    async def _compare(self, *, puts_back: bool) -> None:
        """Find out at which version our rooms are in Redis; put them back there if need be."""
        for copy in list(self.copies.values()):
            with suppress(Refused, OutOfReach):
                there = await (self.desk.put_back(copy) if puts_back else self.desk.fetch(copy.code))
                if there is not None or not puts_back:
                    self._compared[copy.code] = there
        # What is newer may be in the inbox still. When this has come back through it, it is not.
        self.post.write(self.name, encode(("check", None)))

    def _check_compared(self) -> None:
        compared, self._compared = self._compared, {}
        for code, there in compared.items():
            copy = self.copies.get(code)
            if copy is not None and (there is None or copy.version < there.version):
                self._cut_off(copy, {} if there is None else there.record.homes)
                self._keep(code, there)

    async def _look_for_missed(self) -> None:
        """A room or an inbox was not there when something was sent: perhaps all is lost."""
        while True:
            await self.post.missed.wait()
            self.post.missed.clear()
            if self._is_leaving:
                self._decline()
                return
            self.life.beat_now()
            await asyncio.sleep(0.1)

    # What is in the inbox

    def _open(self, field: bytes, value: bytes) -> None:
        match field:
            case b"l":
                for kind, code, what, said in read(value):
                    self._take(kind, code, what, said)
            case b"c":
                self._deliver(decode_entry(value))
            case b"o":
                code, version = value.decode().split(" ")
                self._deliver_own(code, int(version))

    def _take(self, kind: str, code: str, what: str, said: memoryview) -> None:
        match kind:
            case "r":
                self._receiver.hear((what,), to_frame(said))
            case "c" | "d":
                origin, seen = what.split(":")
                self._hear_all(code, origin, int(seen), to_frame(said))
            case "h":
                self.arrivals.take(what, msgspec.msgpack.decode(said, type=Kept))
            case "w":
                self._read(*msgspec.msgpack.decode(said))

    def _take_over(self, who: str, kept: Kept | None) -> None:
        self._receiver.take_over(who, kept)
        self._has_changed.set()

    def _hear_all(self, code: str, origin: str, seen: int, frame: bytearray) -> None:
        """Something was said to a room on ``origin``, whose own as of version ``seen`` have heard it."""
        copy = self.copies.get(code)
        if copy is None:
            return
        if not copy.arrived:
            if origin != self.name:
                self._receiver.hear(copy.here, frame)
            return
        late = {who: home for who, (home, since) in copy.arrived.items() if since > seen}
        if origin == self.name:
            # Who is here now, and was not when it was said.
            self._receiver.hear(late, frame)
        else:
            # Who was there when it was said has heard it there.
            self._receiver.hear([who for who in copy.here if late.get(who) != origin], frame)

    def _read(self, kind: str, content: Any) -> None:
        match kind:
            case "inherit" if self._is_leaving:
                self.post.write(content, encode(("decline", self.name)))
            case "inherit":
                self._see_to(content)
            case "decline":
                self._decline()
            case "clear":
                self.arrivals.clear(content)
            case "check":
                self._check_compared()

    def _decline(self) -> None:
        self._is_declined = True
        self._has_changed.set()

    def _cut_off(self, copy: Copy, homes: Homes) -> None:
        """Something in the room was not heard here. ``homes`` is where people are after that."""
        log.warning(Line("room-missed", room=copy.code))
        self._receiver.cut_off(copy.code)
        for who, home in copy.record.homes.items():
            if home == self.name != homes.get(who):
                self.arrivals.forget(who)
                self._receiver.part_with(who, CloseCode.RESTARTING)

    # What was committed

    def _deliver_own(self, code: str, version: int) -> None:
        """A commit of ours: what it was is at hand."""
        entry = self.desk.entries.pop((code, version), None)
        if entry is not None:
            self._deliver(entry)
            return
        log.warning(Line("commit-forgotten", room=code))
        self._do(self._compare(puts_back=False))

    def _deliver(self, entry: Entry) -> None:
        """Bring the room up to an entry, and carry out what follows for those here."""
        copy = self.copies.get(entry.code)
        arriving: set[int] = set()
        if copy is None or entry.version > copy.version:
            if copy is not None and copy.version != entry.base:
                self._cut_off(copy, _homes_before(entry))
            arriving = self._carry_out(entry, copy)
            self._update(entry, copy)
        if entry.origin == self.name:
            for step in entry.steps:
                request = self.desk.committed.pop(step.number, None)
                if request is not None and step.number not in arriving:
                    request.succeed()

    def _carry_out(self, entry: Entry, copy: Copy | None) -> set[int]:
        """Returns the numbers of the requests that are done only when a mailbox has come."""
        me, code = self.name, entry.code
        here = set() if copy is None else {who for who, home in copy.record.homes.items() if home == me}
        arriving: set[int] = set()
        for step in entry.steps:
            concerned = set(here)
            for who, (origin, home) in step.moves.items():
                if home == me:
                    here.add(who)
                    concerned.add(who)
                    if origin:
                        arriving |= self._expect(entry, step, who, origin)
                elif who in here:
                    here.discard(who)
                    self.arrivals.forget(who)
                    if home:
                        concerned.discard(who)
                        self._hand_over(entry, step, who, home)
            if entry.origin == me:
                arriving |= self._join_arrivals(step)
            self._receiver.deliver(concerning(step.effects, concerned.__contains__), code, entry.stamp)
        return arriving

    def _expect(self, entry: Entry, step: records.Step, who: str, origin: str) -> set[int]:
        self._receiver.expect_kept(who)
        request = self.desk.committed.get(step.number) if entry.origin == self.name else None
        is_resumed = any(isinstance(effect, Resumed) and effect.id == who for effect in step.effects)
        # It comes back behind all that was sent from here to where it was, and finds it here now.
        self.post.write(self.name, encode(("clear", who)))
        arrival = Arrival(entry.code, request if is_resumed else None)
        self.arrivals.expect(who, arrival, is_alive=origin not in self._gone)
        return {step.number} if is_resumed and request is not None else set()

    def _join_arrivals(self, step: records.Step) -> set[int]:
        """Somebody comes back whose mailbox is on its way here already."""
        request = self.desk.committed.get(step.number)
        waits = request is not None and any(
            isinstance(effect, Resumed) and self.arrivals.wait_for(effect.id, request)
            for effect in step.effects
        )
        return {step.number} if waits else set()

    def _hand_over(self, entry: Entry, step: records.Step, who: str, home: str) -> None:
        is_resumed = any(isinstance(effect, Resumed) and effect.id == who for effect in step.effects)
        kept = self._receiver.part_with(who, CloseCode.REPLACED if is_resumed else CloseCode.RESTARTING)
        if kept is not None:
            self.post.hand_over(home, entry.code, entry.version, who, kept)

    def _update(self, entry: Entry, former: Copy | None) -> None:
        record = decode_record(entry.record)
        room = self.desk.drafts.pop((entry.code, entry.version), None)
        copy = Copy(entry.code, entry.version, record, room)
        if former is not None:
            copy.arrived = {
                who: it for who, it in former.arrived.items() if record.seated.get(who) == self.name
            }
        for step in entry.steps:
            for who, (origin, home) in step.moves.items():
                if home == self.name and origin and who in record.seated:
                    copy.arrived[who] = origin, entry.version
        self._keep(entry.code, copy)

    def _keep(self, code: str, copy: Copy | None) -> None:
        """This is the room now, if there is one, and anybody here is in it."""
        self._has_changed.set()
        me = self.name
        if copy is None or me not in copy.record.homes.values():
            self.copies.pop(code, None)
            return
        self.copies[code] = copy
        copy.here = tuple(who for who, home in copy.record.seated.items() if home == me)
        # What was said as of the former version goes before.
        self.post.flush()
        far = {who: home for who, home in copy.record.seated.items() if home != me}
        self._receiver.meet(code, FarSide(self.post, code, copy.version, far) if far else None)
        strangers = [
            who
            for who, home in copy.record.homes.items()
            if home == me and not self._receiver.knows(who) and who not in self._disowned
        ]
        if strangers:
            self._do(self._disown(code, strangers))

    async def _disown(self, code: str, strangers: list[str]) -> None:
        """People who should be here, and are not."""

        def let_go(room: Room, homes: Homes, now: int) -> Effects:
            return forsake(room, [who for who in strangers if homes.get(who) == self.name], now, self._policy)

        self._disowned.update(strangers)
        try:
            await self.desk.ask(code, let_go)
        except Refusal:
            pass  # the room is gone; or the next change in it shows them again
        finally:
            self._disowned.difference_update(strangers)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _homes_before(entry: Entry) -> Homes:
    """Where people were before an entry: of those who moved by it, where they came from."""
    homes = decode_record(entry.record).homes
    for step in reversed(entry.steps):
        homes |= {who: origin for who, (origin, _) in step.moves.items()}
    return homes
