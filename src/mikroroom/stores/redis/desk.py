"""Where requests that change rooms are dealt with: for each room one after the other, all that wait together.

Verbs are applied to this worker's copy of the room, or to one that is fetched; the commit tells whether it
was the newest. If not, they are applied again to that. What is refused is refused only by the newest room.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec import Raw

from mikroroom.core.door import ProofNeeded
from mikroroom.core.effects import Effects
from mikroroom.core.room import Policy, Room
from mikroroom.logs import Line
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.chronicle import Retention
from mikroroom.stores.port import CodeTaken
from mikroroom.stores.redis.chronicle import to_tell, without_events
from mikroroom.stores.redis.commit import how_of, how_to_restore
from mikroroom.stores.redis.copy import Action, Copy, Draft, copy_of
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.post import Post
from mikroroom.stores.redis.record import Entry, Record, decode_record, encode, without_old
from mikroroom.stores.redis.wire import OutOfReach, Reply

log = logging.getLogger(__name__)

# Seconds for which a request may wait for Redis, and then for the news of what it did. If Redis has been away
# for so many already, no request waits.
PATIENCE = 5.0
NEWS_PATIENCE = 1.0
AWAY = 2.0
# So many requests for one room are committed together.
TOGETHER = 64
# Milliseconds for which the news of a commit are waited for that may have been lost on the way to Redis.
REMEMBERED = 60_000
# In so many rooms what is due happens at once; the event loop has other things to do as well.
DUE_TOGETHER = 50

# What the script of a commit answers; see ``lua/commit.lua``.
OTHER_VERSION, COMMITTED, TOO_MANY = 0, 1, 2

AWAY_NOW = "The server cannot reach its rooms at the moment; try again soon"


class Request:
    """Something that is to be done to a room. ``done`` when those here have heard what came of it.

    Redis does it before the ``deadline``, a time of its own clock, or not at all: who is told that it failed
    must not see it happen. 0 is none.
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


class _Fault(Exception):
    """What was asked for could be neither done nor refused."""

    def __init__(self, request: Request, error: Exception) -> None:
        super().__init__(str(error))
        self.request = request
        self.error = error


class Attempt(NamedTuple):
    """What would become of a room: which requests are ``accepted`` then, and why others are ``refused``."""

    code: str
    copy: Copy | None
    draft: Draft
    record: Record
    version: int
    accepted: list[Request]
    refused: dict[Request, Exception]

    @property
    def is_change(self) -> bool:
        """Whether there is anything to commit."""
        return self.draft.is_changed(self.record)


class Desk:
    """See the module. ``copies`` are the rooms with people here, ``deliver`` brings one up to an entry.

    ``is_dead`` is called when others have taken this worker for dead.
    """

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
        retention: Retention,
        clock: Callable[[], int],
        redis_clock: Callable[[], int] | None,
        wall: Callable[[], int],
        deliver: Callable[[Entry, Room | None], None],
        is_dead: Callable[[], None],
    ) -> None:
        self._link = link
        self._post = post
        self._worker = worker
        self._copies = copies
        self._policy = policy
        self._max_rooms = max_rooms
        self._max_latent_rooms = max_latent_rooms
        self._retention = retention
        self._clock = clock
        self._redis_clock = redis_clock
        self._wall = wall
        self._deliver = deliver
        self._is_dead = is_dead
        self._queues: dict[str, deque[Request]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._number = 0
        self.leniency = 0
        """Milliseconds by which windows are longer, because nobody here could be heard for so long."""
        self.gone: frozenset[str] = frozenset()
        """Workers that will send nothing any more."""
        # Committed, and not heard of in the inbox yet: requests; and entries, with the rooms after them.
        self.committed: dict[int, Request] = {}
        self.entries: dict[tuple[str, int], tuple[Entry, Room | None]] = {}

    def ask(
        self, code: str, action: Action | None, new_room: tuple[Room, Effects] | None = None
    ) -> Awaitable[None]:
        """Have something done to a room.

        Raises, when awaited, what the verb raises, or ``Refusal``: SERVER_ERROR.
        """
        self._number += 1
        deadline = 0 if self._redis_clock is None else self._redis_clock() + int(PATIENCE * 1_000)
        request = Request(self._number, action, new_room, deadline)
        if self._link.is_down_for(AWAY):
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

    async def see_to_due(self, together: int, *, but: str = "") -> int:
        """Let happen what is due in so many rooms at most, ``but`` in this one. Returns in how many."""
        due = await self._link.run("due", self._clock(), together)
        codes = [code for code in due if code.decode() != but]
        # It happens whenever something is done to a room; so nothing is.
        asked = [self.ask(code.decode(), lambda _room, _homes, _now: []) for code in codes]
        for code, outcome in zip(codes, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, Refusal):
                # A fault of ours in one room must not keep those in the others.
                log.error(Line("room-not-tidied", room=code.decode()), exc_info=outcome)
        return len(codes)

    def forget_old(self) -> None:
        """What was given up long ago, and will not be heard of any more."""
        oldest = self._wall() - REMEMBERED
        for entry in [entry for entry, _ in self.entries.values() if entry.stamp < oldest]:
            del self.entries[entry.code, entry.version]
            for step in entry.steps:
                self.committed.pop(step.number, None)

    def forget_committed(self) -> None:
        """Nothing will be heard any more of what was committed: whoever waits for that waits in vain."""
        for request in self.committed.values():
            request.fail(Refusal(ErrorCode.SERVER_ERROR, AWAY_NOW))
        self.committed.clear()
        self.entries.clear()

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
                        if requests:
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
        copy, is_newest = self._copies.get(code), False
        while True:
            if copy is None:
                copy, is_newest = await self.fetch(code), True
            attempt = self._attempt(code, copy, requests)
            if attempt.is_change:
                newer = await self._commit(attempt)
                if newer is None:
                    break
                # Version 0 is none: to be looked for again.
                copy, is_newest = (newer, True) if newer.version else (None, False)
            elif is_newest or await self._is_newest(code, copy):
                if copy is not None:
                    copy.room = attempt.draft.room
                for request in attempt.accepted:
                    request.succeed()
                break
            else:
                copy = None
        for request, error in attempt.refused.items():
            request.fail(error)
        if attempt.accepted:
            await asyncio.wait([request.done for request in attempt.accepted])

    def _attempt(self, code: str, copy: Copy | None, requests: list[Request]) -> "Attempt":
        """What becomes of the room if all that is asked for is done to it, one after the other."""
        while True:
            draft = Draft(copy, self._worker, self._clock(), self._policy)
            draft.settle(self.leniency, self.gone)
            try:
                accepted, refused = _apply(draft, requests)
            except _Fault as fault:
                # It may have left the room half changed: begin again without it.
                fault.request.fail(fault.error)
            else:
                break
        before = {} if copy is None else copy.record.done
        number = max((request.number for request in accepted), default=before.get(self._worker, 0))
        base = 0 if copy is None else copy.version
        # Nothing else has had this number: no former room of the same code, nor another change of this one
        # that Redis has forgotten.
        version = max(base + 1, self._clock() * 1_000 + secrets.randbelow(1_000))
        record = draft.record(without_old(before, draft.homes.values(), self._worker, number), version)
        return Attempt(code, copy, draft, record, version, accepted, refused)

    async def _is_newest(self, code: str, copy: Copy | None) -> bool:
        """Whether what was refused was refused rightly."""
        version = await self._link.call(b"HGET", self._link.key("room", code), b"v", is_repeatable=True)
        if version is None and code in self._copies:
            await self.put_back(self._copies[code])
        return copy is not None and version is not None and int(version) == copy.version

    async def fetch(self, code: str) -> Copy | None:
        """The room as it is in Redis; None if there is none."""
        version, record = await self._link.call(
            b"HMGET", self._link.key("room", code), b"v", b"b", is_repeatable=True
        )
        return None if version is None else copy_of(code, int(version), record)

    async def _commit(self, attempt: "Attempt") -> Copy | None:
        """Commit what was attempted. Returns None; or the room as it is, where that is not as we thought.

        Raises:
            Refusal: ROOM_LIMIT.
        """
        entry = self._entry(attempt)
        deadline = min((request.deadline for request in attempt.accepted), default=0)
        how = how_of(entry, attempt.copy, attempt.draft, self._clock())
        how.deadline = deadline
        how.events, how.events_kept = to_tell(entry.steps, self._retention), self._retention.kept
        how.max_rooms, how.max_latent_rooms = self._max_rooms, self._max_latent_rooms
        # What these people have said comes first.
        self._post.flush()
        for request in attempt.accepted:
            self.committed[request.number] = request
        self.entries[entry.code, entry.version] = entry, attempt.draft.room
        told = encode(without_events(entry)) if len(how.to) > 1 else b""
        reply = await self._link.run(
            "commit", entry.code, encode(how), bytes(entry.record), told, self._worker, is_repeatable=True
        )
        if reply[0] == COMMITTED or (reply[0] == OTHER_VERSION and self._is_done(attempt, reply)):
            if self._worker.encode() in reply[1:]:
                # The inbox is lost: what follows must be heard all the same.
                self._deliver(entry, attempt.draft.room)
            return None
        self._forget(entry, attempt.accepted)
        return await self._newer(attempt, reply)

    def _entry(self, attempt: "Attempt") -> Entry:
        base = 0 if attempt.copy is None else attempt.copy.version
        record = Raw(encode(attempt.record))
        return Entry(
            attempt.code, base, attempt.version, self._worker, self._wall(), attempt.draft.steps, record
        )

    def _is_done(self, attempt: "Attempt", reply: Reply) -> bool:
        """Whether a request of ours took effect, whose answer was lost."""
        if not attempt.accepted or not reply[1]:
            return False
        done = decode_record(reply[2]).done.get(self._worker, 0)
        return done >= max(request.number for request in attempt.accepted)

    async def _newer(self, attempt: "Attempt", reply: Reply) -> Copy:
        """The room that is there instead of the one that was thought to be; of version 0 if there is none."""
        code, base = attempt.code, 0 if attempt.copy is None else attempt.copy.version
        match reply[0]:
            case 0:
                version = int(reply[1] or 0)
                if version < base and code in self._copies:
                    await self.put_back(self._copies[code])
                    return _none(code)
                return copy_of(code, version, reply[2]) if version else _none(code)
            case 2 | 3:
                # Some may only have to be swept away.
                if await self.see_to_due(DUE_TOGETHER, but=code):
                    return _none(code)
                what = "too many rooms" if reply[0] == TOO_MANY else "too many rooms that nobody is in"
                raise Refusal(ErrorCode.ROOM_LIMIT, f"There are {what}; try again later")
            case 5:
                self._is_dead()
                raise OutOfReach("this worker was taken for dead")
            case _:
                raise OutOfReach("it took too long")

    def _forget(self, entry: Entry, requests: list[Request]) -> None:
        for request in requests:
            self.committed.pop(request.number, None)
        self.entries.pop((entry.code, entry.version), None)

    async def put_back(self, copy: Copy) -> Copy | None:
        """Put a room back that Redis has lost. Returns what is there instead, if that is newer."""
        reply = await self._link.run(
            "commit",
            copy.code,
            encode(how_to_restore(copy, self._worker, self._clock(), self._policy)),
            encode(copy.record),
            b"",
            self._worker,
            is_repeatable=True,
        )
        if reply[0] == OTHER_VERSION and reply[1] and int(reply[1]) > copy.version:
            return copy_of(copy.code, int(reply[1]), reply[2])
        return None


def _apply(draft: Draft, requests: list[Request]) -> tuple[list[Request], dict[Request, Exception]]:
    """Apply all that is still wanted: which requests were accepted, and why others were refused.

    Raises:
        _Fault: one was neither.
    """
    accepted: list[Request] = []
    refused: dict[Request, Exception] = {}
    for request in requests:
        if request.done.done():
            continue
        try:
            if request.new_room is not None:
                draft.create(request.number, *request.new_room)
            elif request.action is not None:
                draft.apply(request.number, request.action)
        except (Refusal, CodeTaken, ProofNeeded) as refusal:
            refused[request] = refusal
        except Exception as error:
            raise _Fault(request, error) from error
        else:
            accepted.append(request)
    return accepted, refused


def _none(code: str) -> Copy:
    return Copy(code, 0, Record(Raw(b"\xc0"), {}, {}, {}))
