"""The store that many workers share. ``port.Store`` is what it promises, ``worker`` how it keeps it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from mikroroom.core.effects import Effects
from mikroroom.core.room import Policy, Room
from mikroroom.meters import Meters
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.settings import Settings
from mikroroom.stores.chronicle import retention_of
from mikroroom.stores.port import Census, Counts, Kept, Page, Receiver, Step, Verb
from mikroroom.stores.redis.chronicle import RedisChronicle
from mikroroom.stores.redis.commit import KEPT
from mikroroom.stores.redis.counts import SharedCounts
from mikroroom.stores.redis.desk import AWAY, AWAY_NOW, DUE_TOGETHER, PATIENCE
from mikroroom.stores.redis.pages import page
from mikroroom.stores.redis.wire import OutOfReach, Refused
from mikroroom.stores.redis.worker import Clocks, Worker

# Seconds until it is written how much has come from people (R47), and between two times at which the rooms
# with people here are kept longer.
NOTE_AFTER = 0.15
REFRESH_EVERY = 3_600.0


class RedisStore:
    """See ``port.Store``. Each start makes another worker of it."""

    def __init__(
        self, settings: Settings, policy: Policy, clocks: Clocks, meters: Meters | None = None
    ) -> None:
        self._settings = settings
        self._meters = meters or Meters()
        self._policy = policy
        self._clocks = clocks
        self._worker: Worker | None = None
        self.chronicle = RedisChronicle(
            self._run,
            lambda: self._here.name,
            retention_of(settings),
            int(settings.worker_lease * 1_000),
        )
        self._receiver: Receiver | None = None
        # Workers that were taken for dead, and are letting go.
        self._ending: set[asyncio.Task[None]] = set()
        self._tidying: asyncio.Task[None] | None = None
        self._refreshed_at = clocks.steady()
        # How much has come of whom, by room and participant, that is not written yet.
        self._taken: dict[tuple[str, str], int] = {}

    def start(self, receiver: Receiver) -> None:
        """See ``port.Store``. Redis may be away still; until it is there, rooms cannot be made or entered."""
        self._receiver = receiver
        self._begin(receiver)

    def _begin(self, receiver: Receiver) -> None:
        self._worker = Worker(
            self._settings, self._policy, self._clocks, receiver, self._begin_anew, self._meters
        )
        self._worker.start()

    def _begin_anew(self) -> None:
        """Others have taken this worker for dead, and have its people: another goes on with none."""
        dead, receiver = self._worker, self._receiver
        if dead is not None and receiver is not None:
            self._begin(receiver)
            ending = asyncio.create_task(dead.die())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def stop(self, kept: Mapping[str, Kept]) -> None:
        """See ``port.Store``. Whoever has a place here is given one on another worker, if there is one.

        What was told is asked for one by one, as people go.
        """
        worker, self._worker = self._worker, None
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        if worker is not None:
            self._write_taken(worker)
            await worker.stop()
        await asyncio.gather(*self._ending)

    def counts(self, local: Counts) -> Counts:
        """See ``port.Store``."""
        return SharedCounts(self._run, self._settings, local)

    def take_kept(self, code: str, participant_id: str) -> Kept | None:
        """See ``port.Store``. What was told comes from another worker; see ``arrivals``."""
        return None

    def note_taken(self, code: str, participant_id: str, client_seq: int) -> None:
        """See ``port.Store``."""
        if not self._taken and self._worker is not None:
            asyncio.get_running_loop().call_later(NOTE_AFTER, self._write_taken, self._worker)
        self._taken[code, participant_id] = client_seq

    def create(self, room: Room, effects: Effects) -> Step:
        """See ``port.Store``."""
        return self._here.desk.ask(room.code, None, (room, effects))

    def transact(self, code: str, verb: Verb) -> Step:
        """See ``port.Store``. Refused as well, with SERVER_ERROR, if Redis is away for too long."""
        return self._here.desk.ask(code, lambda room, _homes, now: verb(room, now))

    async def page(self, after: str, limit: int) -> Page:
        """See ``port.Store``. As Redis has them, whichever worker made or holds them."""
        worker = self._here
        try:
            async with asyncio.timeout(0 if worker.link.is_down_for(AWAY) else PATIENCE):
                return await page(worker.link, after, limit, worker.clock())
        except (Refused, OutOfReach, TimeoutError):
            raise Refusal(ErrorCode.SERVER_ERROR, AWAY_NOW) from None

    def tidy(self) -> bool:
        """See ``port.Store``. The workers take turns."""
        worker = self._worker
        if worker is not None and worker.link.problem is None and self._tidying is None:
            self._tidying = asyncio.create_task(self._tidy(worker))
        return False

    def make_up_for(self, milliseconds: int) -> None:
        """See ``port.Store``. Only what this worker sees to is late by so much."""
        if self._worker is not None:
            self._worker.desk.leniency = milliseconds

    async def census(self, local: Census) -> Census:
        """See ``port.Store``. While Redis is away, of this worker alone."""
        worker = self._worker
        if worker is None:
            return local
        try:
            rooms, people, peak = await self._run("census")
        except (Refused, OutOfReach):
            return Census(len(worker.rooms.copies), local.participants, local.peak)
        return Census(rooms, people, peak)

    def queues(self) -> Mapping[str, int]:
        """See ``port.Store``."""
        worker = self._worker
        if worker is None:
            return {}
        return {"redis": worker.link.under_way, "post_bytes": worker.post.waiting}

    def trouble(self) -> str | None:
        """See ``port.Store``."""
        worker = self._here
        if worker.link.problem is not None:
            return "The rooms are out of reach: Redis does not answer"
        if worker.life.problem is not None or worker.inbox.problem is not None:
            return "The rooms are out of reach: Redis refuses"
        return None

    def keeps(self) -> bool:
        """See ``port.Store``. What Redis does not take has not happened."""
        return True

    @property
    def _here(self) -> Worker:
        if self._worker is None or self._receiver is None:
            raise RuntimeError("the store was not started")
        if self._worker.loop is not asyncio.get_running_loop():
            # The one it was on has ended, and the worker with it: a test client makes one for each request.
            self._begin(self._receiver)
        return self._worker

    def _run(self, name: str, *arguments: str | int | bytes) -> "asyncio.Future[Any]":
        """Have a script run. Raises ``OutOfReach`` where it is known that it cannot be."""
        link = self._here.link
        if link.problem is not None:
            raise OutOfReach("Redis does not answer")
        return link.run(name, *arguments)

    async def _tidy(self, worker: Worker) -> None:
        try:
            if not await worker.desk.see_to_due(DUE_TOGETHER):
                worker.desk.leniency = 0
            worker.desk.forget_old()
            await self._refresh(worker)
        except (Refused, OutOfReach):
            pass  # the next one does it
        finally:
            self._tidying = None

    async def _refresh(self, worker: Worker) -> None:
        now = self._clocks.steady()
        if now - self._refreshed_at >= REFRESH_EVERY * 1_000:
            self._refreshed_at = now
            codes = list(worker.rooms.copies)
            for at in range(0, len(codes), 500):
                await worker.link.run("refresh", KEPT, *codes[at : at + 500])

    def _write_taken(self, worker: Worker) -> None:
        taken, self._taken = self._taken, {}
        told: list[str | int] = []
        for (code, participant_id), count in taken.items():
            told += (code, participant_id, count)
        for at in range(0, len(told), 1_500):
            worker.link.run("note", *told[at : at + 1_500], is_repeatable=True)
