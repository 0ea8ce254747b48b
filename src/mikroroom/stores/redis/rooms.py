"""The rooms that have people on this worker: what is heard of them, and what of it concerns whom here."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress

import msgspec

from mikroroom.core.effects import Effects, Resumed
from mikroroom.core.resume import forsake
from mikroroom.core.room import Policy, Room
from mikroroom.logs import Line
from mikroroom.protocol.codec import to_frame
from mikroroom.protocol.codes import CloseCode, Refusal
from mikroroom.settings import Settings
from mikroroom.stores.chronicle import retention_of
from mikroroom.stores.port import Kept, Receiver
from mikroroom.stores.redis.arrivals import Arrival, Arrivals
from mikroroom.stores.redis.copy import Copy, concerning
from mikroroom.stores.redis.desk import Desk
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.post import FarSide, Parcel, Post
from mikroroom.stores.redis.record import Entry, Homes, Step, code_in, decode_entry, decode_record, encode
from mikroroom.stores.redis.wire import OutOfReach, Refused

log = logging.getLogger(__name__)


class Rooms:
    """See the module. ``copies`` are the rooms, ``neighbours`` in how many of them each worker has people.

    ``changed`` is set whenever one of them is other than it was, or somebody's mailbox has come.
    """

    def __init__(
        self,
        link: Link,
        post: Post,
        worker: str,
        receiver: Receiver,
        settings: Settings,
        policy: Policy,
        *,
        clock: Callable[[], int],
        redis_clock: Callable[[], int] | None,
        wall: Callable[[], int],
        is_dead: Callable[[], None],
    ) -> None:
        self.copies: dict[str, Copy] = {}
        self.neighbours: Counter[str] = Counter()
        self.changed = asyncio.Event()
        self.arrivals = Arrivals(link, self._take_over, self._send_on)
        self.desk = Desk(
            link,
            post,
            worker,
            copies=self.copies,
            policy=policy,
            max_rooms=settings.max_rooms,
            max_latent_rooms=settings.max_latent_rooms,
            retention=retention_of(settings),
            clock=clock,
            redis_clock=redis_clock,
            wall=wall,
            deliver=self._deliver,
            is_dead=is_dead,
        )
        self._link = link
        self._post = post
        self._worker = worker
        self._receiver = receiver
        self._policy = policy
        # Rooms that are newer in Redis, or not there (None), as it seems.
        self._compared: dict[str, Copy | None] = {}
        # Those who are being let go because they are not here, though they should be.
        self._disowned: set[str] = set()
        self._disowning: set[asyncio.Task[None]] = set()

    def shared_with(self, worker: str) -> list[str]:
        """The codes of those in which that worker has people."""
        return [code for code, copy in self.copies.items() if worker in copy.record.homes.values()]

    async def stop(self) -> None:
        """Nothing more is done."""
        await self.desk.stop()
        await asyncio.gather(*self._disowning, return_exceptions=True)

    # What is heard

    def hear(self, kind: str, code: str, what: str, said: memoryview) -> None:
        """Something that was said on another worker; see ``post``."""
        match kind:
            case "r":
                self._receiver.hear((what,), to_frame(said))
            case "c" | "d":
                origin, seen = what.split(":")
                self._hear_all(code, origin, int(seen), to_frame(said))
            case "h":
                self.arrivals.take(what, msgspec.msgpack.decode(said, type=Parcel))

    def committed_elsewhere(self, entry: bytes) -> str | None:
        """A commit of another worker. Returns the code of the room if we do not know what it says."""
        try:
            known = decode_entry(entry)
        except msgspec.ValidationError as error:
            # A newer worker has done what only it can; see docs/scaling.md.
            code = code_in(entry)
            log.warning(Line("entry-unknown", room=code, problem=str(error)))
            return code
        self._deliver(known, None)
        return None

    def committed_here(self, code: str, version: int) -> bool:
        """A commit of ours: what it was is at hand. Returns False where it is not any more."""
        committed = self.desk.entries.pop((code, version), None)
        if committed is not None:
            self._deliver(*committed)
        return committed is not None

    # What that means

    def _hear_all(self, code: str, origin: str, seen: int, frame: bytearray) -> None:
        """Something was said to a room on ``origin``, whose own as of version ``seen`` have heard it."""
        copy = self.copies.get(code)
        if copy is None:
            return
        record, me = copy.record, self._worker
        if not record.moved:
            if origin != me:
                self._receiver.hear(copy.here, frame)
            return
        # Who was on the speaker's worker then has heard it there, wherever it is now. What was said here
        # before somebody was known to be here has come back for that one.
        told = [who for who in copy.here if record.home_at(who, seen) != origin]
        self._receiver.hear(told, frame)

    def _deliver(self, entry: Entry, room: Room | None) -> None:
        """Bring the room up to an entry, and carry out what follows for those here.

        ``room`` is the one after it, if that is at hand.
        """
        # What was said as of the former version goes before: a letter is about one version of a room.
        self._post.flush()
        copy = self.copies.get(entry.code)
        arriving: set[int] = set()
        if copy is None or entry.version > copy.version:
            if copy is not None and copy.version != entry.base:
                log.warning(Line("room-missed", room=entry.code))
                self._cut_off(copy, _homes_before(entry))
            arriving = self._carry_out(entry, copy)
            self._update(entry, room)
        if entry.origin == self._worker:
            for step in entry.steps:
                request = self.desk.committed.pop(step.number, None)
                if request is not None and step.number not in arriving:
                    request.succeed()

    def _carry_out(self, entry: Entry, copy: Copy | None) -> set[int]:
        """Returns the numbers of the requests that are done only when a mailbox has come."""
        me, code = self._worker, entry.code
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
                    awaited = self.arrivals.forget(who)
                    if home:
                        concerned.discard(who)
                        self._hand_over(entry, step, who, home, awaited)
            if entry.origin == me:
                arriving |= self._join_arrivals(step)
            self._receiver.deliver(concerning(step.effects, concerned.__contains__), code, entry.stamp)
        return arriving

    def _expect(self, entry: Entry, step: Step, who: str, origin: str) -> set[int]:
        self._receiver.expect_kept(who)
        request = self.desk.committed.get(step.number) if entry.origin == self._worker else None
        is_resumed = any(isinstance(effect, Resumed) and effect.id == who for effect in step.effects)
        self._post.flush()
        # It comes back behind all that was sent from here to where it was, and finds it here now.
        self._post.write(self._worker, encode(("clear", who)))
        arrival = Arrival(entry.code, origin, request if is_resumed else None)
        self.arrivals.expect(who, arrival, is_alive=origin not in self.desk.gone)
        return {step.number} if is_resumed and request is not None else set()

    def _join_arrivals(self, step: Step) -> set[int]:
        """Somebody comes back whose mailbox is on its way here already."""
        request = self.desk.committed.get(step.number)
        waits = request is not None and any(
            isinstance(effect, Resumed) and self.arrivals.wait_for(effect.id, request)
            for effect in step.effects
        )
        return {step.number} if waits else set()

    def _hand_over(self, entry: Entry, step: Step, who: str, home: str, awaited: Arrival | None) -> None:
        if awaited is not None and awaited.kept is not None:
            self._receiver.take_over(who, awaited.kept)
            awaited = None
        is_resumed = any(isinstance(effect, Resumed) and effect.id == who for effect in step.effects)
        kept = self._receiver.part_with(who, CloseCode.REPLACED if is_resumed else CloseCode.RESTARTING)
        if kept is None:
            return
        if awaited is not None and awaited.earlier is not None:
            self._post.send_on(home, entry.code, entry.version, who, awaited.earlier)
        if awaited is not None and awaited.later is not None:
            kept.is_whole = False  # three moves at once: of the parcels in between one is enough
        self._post.hand_over(home, entry.code, entry.version, who, kept, follows=awaited is not None)

    def _update(self, entry: Entry, room: Room | None) -> None:
        record = decode_record(entry.record)
        self._keep(entry.code, Copy(entry.code, entry.version, record, room))

    def _keep(self, code: str, copy: Copy | None) -> None:
        """This is the room now, if there is one, and anybody here is in it."""
        self.changed.set()
        me = self._worker
        former = self.copies.pop(code, None)
        if former is not None:
            self.neighbours.subtract(set(former.record.homes.values()))
        if copy is None or me not in copy.record.homes.values():
            return
        self.copies[code] = copy
        self.neighbours.update(set(copy.record.homes.values()))
        copy.here = tuple(who for who, home in copy.record.seated.items() if home == me)
        far = {who: home for who, home in copy.record.seated.items() if home != me}
        self._receiver.meet(code, FarSide(self._post, code, copy.version, far) if far else None)
        strangers = [
            who
            for who, home in copy.record.homes.items()
            if home == me and not self._receiver.knows(who) and who not in self._disowned
        ]
        if strangers:
            disowning = asyncio.create_task(self._disown(code, strangers))
            self._disowning.add(disowning)
            disowning.add_done_callback(self._disowning.discard)

    async def _disown(self, code: str, strangers: Collection[str] = ()) -> None:
        """People should be here, and are not: ``strangers`` among them."""

        def let_go(room: Room, homes: Homes, now: int) -> Effects:
            here = [who for who, home in homes.items() if home == self._worker]
            return forsake(room, [who for who in here if not self._receiver.knows(who)], now, self._policy)

        self._disowned.update(strangers)
        try:
            await self.desk.ask(code, let_go)
        except Refusal:
            pass  # the room is gone; or the next change in it shows them again
        finally:
            self._disowned.difference_update(strangers)

    def _send_on(self, code: str, who: str, parcel: Parcel | None) -> None:
        if parcel is not None:
            # No room is of that version: Redis knows where to.
            self._post.send_on(self._worker, code, 0, who, parcel)
        self.changed.set()

    def _take_over(self, who: str, kept: Kept | None) -> None:
        self._receiver.take_over(who, kept)
        self.changed.set()

    # What was not heard

    def let_go(self) -> None:
        """Others have the people of this worker: whoever is connected is to come again."""
        for copy in list(self.copies.values()):
            self._cut_off(copy, {})
            self._keep(copy.code, None)

    def lose_touch(self) -> None:
        """What others sent here may be lost: who is in a room with people elsewhere cannot be told all."""
        for copy in list(self.copies.values()):
            if any(home != self._worker for home in copy.record.homes.values()):
                self._cut_off(copy, copy.record.homes)

    async def compare(self, codes: Collection[str] | None = None, *, puts_back: bool) -> None:
        """Find out at which version our rooms are in Redis, or these; put them back there if need be."""
        for copy in list(self.copies.values()):
            if codes is not None and copy.code not in codes:
                continue
            with suppress(Refused, OutOfReach):
                there = await (self.desk.put_back(copy) if puts_back else self.desk.fetch(copy.code))
                if there is not None or not puts_back:
                    self._compared[copy.code] = there
        await self._let_go_of_unknown()
        # What is newer may be in the inbox still. When this has come back through it, it is not.
        self._post.write(self._worker, encode(("check", None)))

    async def _let_go_of_unknown(self) -> None:
        """Rooms that have people here as Redis has it, and none as far as we know: they had ended, say."""
        with suppress(Refused, OutOfReach):
            for code in await self._link.call(b"SMEMBERS", self._link.key("at", self._worker)):
                if code.decode() not in self.copies:
                    await self._disown(code.decode())

    def check_compared(self) -> None:
        """All that was under way when rooms were compared has been heard."""
        self._post.flush()
        compared, self._compared = self._compared, {}
        for code, there in compared.items():
            copy = self.copies.get(code)
            if copy is not None and (there is None or copy.version < there.version):
                log.warning(Line("room-missed", room=code))
                self._cut_off(copy, {} if there is None else there.record.homes)
                self._keep(code, there)

    def _cut_off(self, copy: Copy, homes: Homes) -> None:
        """Something in the room was not heard here. ``homes`` is where people are after that."""
        self._receiver.cut_off(copy.code)
        for who, home in copy.record.homes.items():
            if home == self._worker != homes.get(who):
                self.arrivals.forget(who)
                self._receiver.part_with(who, CloseCode.RESTARTING)


def _homes_before(entry: Entry) -> Homes:
    """Where people were before an entry: of those who moved by it, where they came from."""
    homes = decode_record(entry.record).homes
    for step in reversed(entry.steps):
        homes |= {who: origin for who, (origin, _) in step.moves.items()}
    return homes
