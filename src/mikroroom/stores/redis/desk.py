"""Where requests that change rooms are dealt with: for each room one after the other, all that wait together.

Verbs are applied to this worker's copy of the room, or to one that is fetched; the commit tells whether it was
the newest. If not, they are applied again to that. What is refused is refused only by the newest room.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Raw

from mikroroom.core.effects import Effects
from mikroroom.core.room import Policy, Room
from mikroroom.logs import Line
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.redis.copy import Action, Copy, Draft, absences, copy_of, lapsed_tokens
from mikroroom.stores.redis.link import Link, OutOfReach, Reply
from mikroroom.stores.redis.post import Post
from mikroroom.stores.redis.record import Entry, How, Record, decode_room, encode, without_old

log = logging.getLogger(__name__)

# Seconds for which a request may wait for Redis, and then for the news of what it did. If Redis has been away for
# so many already, no request waits.
PATIENCE = 5.0
NEWS_PATIENCE = 1.0
AWAY = 2.0
# So many requests for one room are committed together.
TOGETHER = 64
# In so many rooms what is due happens at once; the event loop has other things to do as well.
DUE_TOGETHER = 50
# Milliseconds for which a room is kept that nobody looks after; see ``store``.
KEPT = 86_400_000

AWAY_NOW = "The server cannot reach its rooms at the moment; try again soon"


class Request:
    """Something that is to be done to a room. ``done`` when those here have heard what came of it.

    Redis does it before the ``deadline``, a time of its own clock, or not at all: who is told that it failed must
    not see it happen. 0 is none.
    """

    __slots__ = ("action", "deadline", "done", "new_room", "number")

    def __init__(
        self, number: int, action: Action | None, new_room: tuple[Room, Effects] | None, deadline: int
    ) -> None:
        self.number = number
        self.action = action
        self.new_room = new_room
        self.deadline = deadline
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(
            PATIENCE + NEWS_PATIENCE, self.fail, Refusal(ErrorCode.SERVER_ERROR, AWAY_NOW)
        )
        self.done.add_done_callback(lambda _: timer.cancel())

    def succeed(self) -> None:
        """It took effect."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """It was refused, or failed."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # whoever asked may be gone


class _TooMany(Exception):
    """Rooms, or latent ones."""


class Desk:
    """See the module. ``copies`` are the rooms that have people here; ``deliver`` brings one up to an entry."""

    def __init__(
        self,
        link: Link,
        post: Post,
        worker: str,
        *,
        copies: dict[str, Copy],
        policy: Policy,
        max_rooms: int,
        max_latent_rooms: int,
        clock: Callable[[], int],
        redis_clock: Callable[[], int] | None,
        wall: Callable[[], int],
        deliver: Callable[[Entry], None],
        rebuild: Callable[[Copy], Awaitable[object]],
    ) -> None:
        self._link = link
        self._post = post
        self._worker = worker
        self._copies = copies
        self._policy = policy
        self._max_rooms = max_rooms
        self._max_latent_rooms = max_latent_rooms
        self._clock = clock
        self._redis_clock = redis_clock
        self._wall = wall
        self._deliver = deliver
        self._rebuild = rebuild
        self._queues: dict[str, deque[Request]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._number = 0
        self.leniency = 0
        """Milliseconds by which windows are longer, because nobody here could be heard for so long."""
        # Committed, and not heard of in the inbox yet; and rooms as they are once that is so.
        self.committed: dict[int, Request] = {}
        self.drafts: dict[tuple[str, int], Room | None] = {}

    def ask(
        self, code: str, action: Action | None, new_room: tuple[Room, Effects] | None = None
    ) -> Awaitable[None]:
        """Have something done to a room. Raises, when awaited, what the verb raises or ``Refusal``: SERVER_ERROR."""
        self._number += 1
        deadline = 0 if self._redis_clock is None else self._redis_clock() + int(PATIENCE * 1_000)
        request = Request(self._number, action, new_room, deadline)
        if (
            self._link.problem is not None
            and asyncio.get_running_loop().time() - self._link.down_since > AWAY
        ):
            request.fail(Refusal(ErrorCode.SERVER_ERROR, AWAY_NOW))
            return request.done
        queue = self._queues.get(code)
        if queue is None:
            queue = self._queues[code] = deque()
            serving = asyncio.create_task(self._serve(code, queue))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        queue.append(request)
        return request.done

    async def see_to_due(self, together: int) -> int:
        """Let happen what is due in so many rooms at most. Returns in how many something was."""
        codes = await self._link.run("due", self._clock(), together)
        # It happens whenever something is done to a room; so nothing is.
        asked = [self.ask(code.decode(), lambda _room, _homes, _now: []) for code in codes]
        for code, outcome in zip(codes, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, Refusal):
                # A fault of ours in one room must not keep those in the others.
                log.error(Line("room-not-tidied", room=code.decode()), exc_info=outcome)
        return len(codes)

    async def stop(self) -> None:
        """Nothing more is done."""
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._serving:
            await asyncio.wait(self._serving)

    async def _serve(self, code: str, queue: deque[Request]) -> None:
        requests: list[Request] = []
        try:
            while queue:
                requests = [queue.popleft() for _ in range(min(len(queue), TOGETHER))]
                requests = [request for request in requests if not request.done.done()]
                try:
                    async with asyncio.timeout(PATIENCE + NEWS_PATIENCE):
                        await self._do(code, requests)
                except (OutOfReach, TimeoutError):
                    for request in requests:
                        request.fail(Refusal(ErrorCode.SERVER_ERROR, AWAY_NOW))
                except Exception as error:  # noqa: BLE001 - it is for who asked
                    for request in requests:
                        request.fail(error)
        finally:
            del self._queues[code]
            for request in (*requests, *queue):
                request.fail(Refusal(ErrorCode.SERVER_ERROR, AWAY_NOW))

    async def _do(self, code: str, requests: list[Request]) -> None:
        """See requests through: until they are committed and heard of, or refused."""
        copy = self._copies.get(code)
        is_newest = False
        while requests:
            if copy is None:
                copy, is_newest = await self._fetch(code), True
            draft, refused = self._apply(code, copy, requests)
            wanted = [request for request in requests if request not in refused]
            number = max((request.number for request in wanted), default=0)
            record = draft.record(self._done(copy, draft, number))
            is_changed = draft.is_changed(record)
            if not is_changed and not is_newest:
                newest = await self._link.call(
                    b"HGET", self._link.key("room", code), b"v", is_repeatable=True
                )
                if copy is None or newest is None or int(newest) != copy.version:
                    copy = await self._newer(code, copy, newest)
                    is_newest = newest is not None
                    continue
            if is_changed:
                try:
                    newer = await self._commit(code, copy, draft, record, wanted)
                except _TooMany as limit:
                    # Some may only have to be swept away. (Not this one: it would wait for itself.)
                    if await self.see_to_due(DUE_TOGETHER):
                        continue
                    raise Refusal(ErrorCode.ROOM_LIMIT, str(limit)) from None
                if newer is not None:
                    copy, is_newest = (newer if newer.version else None), bool(newer.version)
                    if _is_done(newer, self._worker, number):
                        await asyncio.wait([request.done for request in wanted])
                        _refuse(refused)
                        return
                    continue
            _refuse(refused)
            if not is_changed:
                if copy is not None:
                    copy.room = draft.room
                for request in wanted:
                    request.succeed()
            elif wanted:
                await asyncio.wait([request.done for request in wanted])
            return

    def _done(self, copy: Copy | None, draft: Draft, number: int) -> dict[str, int]:
        before = {} if copy is None else copy.record.done
        last = max(number, before.get(self._worker, 0))
        return without_old(before, draft.homes.values(), self._worker, last)

    async def _newer(self, code: str, copy: Copy | None, newest: bytes | None) -> Copy | None:
        """The room as it is, which is not as we thought."""
        known = self._copies.get(code)
        if newest is None and known is not None:
            await self._rebuild(known)
        return await self._fetch(code)

    async def _fetch(self, code: str) -> Copy | None:
        version, record = await self._link.call(
            b"HMGET", self._link.key("room", code), b"v", b"b", is_repeatable=True
        )
        return None if version is None else copy_of(code, int(version), record)

    def _apply(
        self, code: str, copy: Copy | None, requests: list[Request]
    ) -> tuple[Draft, dict[Request, Exception]]:
        now = self._clock()
        draft = Draft(copy, self._worker, now, self._policy)
        refused: dict[Request, Exception] = {}
        draft.settle(self.leniency)
        for request in requests:
            try:
                if request.new_room is not None:
                    draft.create(request.number, *request.new_room)
                elif request.action is not None:
                    draft.apply(request.number, request.action)
            except Refusal as refusal:
                refused[request] = refusal
            except Exception as error:  # noqa: BLE001 - as a rule a refusal of another kind; else a fault of ours
                refused[request] = error
        return draft, refused

    async def _commit(
        self, code: str, copy: Copy | None, draft: Draft, record: Record, requests: list[Request]
    ) -> Copy | None:
        """Commit a draft. Returns None, or the room as it is where that is not as we thought; of version 0: none.

        Raises:
            Refusal: ROOM_LIMIT.
        """
        base = 0 if copy is None else copy.version
        # A room that is made anew is not taken for a former one of the same code.
        version = base + 1 if base else self._clock() * 1_000
        entry = Entry(code, base, version, self._worker, self._wall(), draft.steps, Raw(encode(record)))
        deadline = min((request.deadline for request in requests), default=0)
        how = self._how(entry, copy, draft, record, deadline)
        self._post.flush()
        for request in requests:
            self.committed[request.number] = request
        self.drafts[code, version] = draft.room
        try:
            reply = await self._link.run(
                "commit", code, encode(how), bytes(entry.record), encode(entry), is_repeatable=True
            )
        except BaseException:
            self._forget(code, version, requests)
            raise
        if reply[0] == 1:
            if self._worker.encode() in reply[1:]:
                # The inbox is lost: what follows must be heard all the same.
                self._deliver(entry)
            return None
        newer = self._not_committed(code, reply, copy)
        if not _is_done(newer, self._worker, max((request.number for request in requests), default=0)):
            self._forget(code, version, requests)
        if reply[0] == 0 and newer.version < base:
            known = self._copies.get(code)
            if known is not None:
                await self._rebuild(known)
            fetched = await self._fetch(code)
            return fetched if fetched is not None else newer
        return newer

    def _forget(self, code: str, version: int, requests: list[Request]) -> None:
        for request in requests:
            self.committed.pop(request.number, None)
        self.drafts.pop((code, version), None)

    def _not_committed(self, code: str, reply: Reply, copy: Copy | None) -> Copy:
        match reply[0]:
            case 0 if reply[1]:
                return copy_of(code, int(reply[1]), reply[2])
            case 0:
                return Copy(code, 0, Record(Raw(b"\xc0"), {}, {}, {}))
            case 2:
                raise _TooMany("There are too many rooms; try again later")
            case 3:
                raise _TooMany("There are too many rooms that nobody is in; try again later")
            case _:
                raise OutOfReach("it took too long")

    def _how(self, entry: Entry, copy: Copy | None, draft: Draft, record: Record, deadline: int) -> How:
        room, now = draft.room, self._clock()
        before = {} if copy is None else copy.record.homes
        after = record.homes
        workers_before, workers_after = set(before.values()), set(after.values())
        deadlines: list[int] = []
        if room is not None:
            deadlines = [
                until for until in (next(iter(room.suspended.values()), None), room.expires_at) if until
            ]
        absent = absences(room)
        return How(
            version=str(entry.version),
            base=str(entry.base) if entry.base else "",
            deadline=deadline,
            max_rooms=self._max_rooms,
            max_latent_rooms=self._max_latent_rooms,
            state=_state(room),
            people=0 if room is None else sum(who not in room.suspended for who in room.participants),
            due=min(deadlines, default=0),
            ttl=KEPT if room is None or room.expires_at is None else max(room.expires_at - now, 0) + KEPT,
            talkers=" ".join(sorted(set(record.seated.values()))),
            homes={who: worker for who, worker in after.items() if before.get(who) != worker},
            gone=[who for who in before if who not in after],
            came=sorted(workers_after - workers_before),
            went=sorted(workers_before - workers_after),
            to=sorted(workers_before | workers_after | {self._worker}),
            away=[
                (address, who, until - now)
                for who, (address, until) in absent.items()
                if draft.absent_before.get(who) != (address, until) and until > now
            ],
            back=[
                (address, who)
                for who, (address, _) in draft.absent_before.items()
                if who not in absent or absent[who][0] != address
            ],
            late=lapsed_tokens(draft.steps),
        )

    def restoring(self, copy: Copy) -> How:
        """How a room is put back that Redis has lost."""
        draft = Draft(None, self._worker, self._clock(), self._policy)
        draft.room = decode_room(copy.record.room)
        entry = Entry(copy.code, 0, copy.version, self._worker, 0, [], Raw(b"\xc0"))
        how = self._how(entry, None, draft, copy.record, 0)
        how.is_restore = True
        return how


def _state(room: Room | None) -> str:
    """By which name rooms of this kind are counted; empty for none."""
    if room is None:
        return ""
    if room.participants:
        return "active"
    return "latent" if room.is_precreated else "lingering"


def _is_done(copy: Copy, worker: str, number: int) -> bool:
    """Whether a request of ours took effect, whose answer was lost."""
    return number > 0 and copy.record.done.get(worker, 0) >= number


def _refuse(refused: dict[Request, Exception]) -> None:
    for request, error in refused.items():
        request.fail(error)
