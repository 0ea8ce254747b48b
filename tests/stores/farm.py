"""Several workers over one Redis in this process: each a store with a shelf before it, on one clock."""

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from tests.redis_server import RedisServer

from mikroroom.core import resume
from mikroroom.core.effects import Effect
from mikroroom.core.resume import Returner
from mikroroom.protocol.codec import frame
from mikroroom.protocol.events import Chat, Offer
from mikroroom.settings import Settings
from mikroroom.stores.redis.store import RedisStore
from mikroroom.stores.redis.worker import Clocks, Worker

from .shelf import CODE, POLICY, Clock, Shelf, settled

PATIENCE = 30.0
LEASE = 60.0


class Farm:
    """Workers that share a prefix. ``redis`` looks at what is there, and changes it behind their backs."""

    def __init__(self, server: RedisServer) -> None:
        self.clock = Clock()
        self.prefix = f"farm-{secrets.token_hex(4)}:"
        self.redis: Any = Redis.from_url(server.url)
        self.shelves: list[Shelf] = []
        self._url = server.url

    async def worker(self, **settings: Any) -> Shelf:
        """Another worker, which the others have heard of."""
        chosen = Settings(redis_url=self._url, redis_prefix=self.prefix, worker_lease=LEASE, **settings)
        store = RedisStore(chosen, POLICY, Clocks(self.clock, self.clock, is_agreed=False))
        shelf = Shelf(lambda *_: store, Path(), clock=self.clock)
        self.shelves.append(shelf)
        await until(lambda: store.trouble() is None)
        for other in self.shelves:
            inside(other).life.beat_now()
        names = {
            inside(other).name
            for other in self.shelves
            if isinstance(other.store, RedisStore) and other.store._worker
        }
        await until(lambda: all(inside(other).life.alive >= names for other in self.shelves))
        return shelf

    async def catches_up(self, *shelves: Shelf) -> None:
        """All that was said on any of these workers has gone out, and come to all of them."""
        for shelf in shelves:
            await inside(shelf).post.drained()
        for shelf in shelves:
            worker = inside(shelf)
            [(last, _)] = await self.redis.xrevrange(f"{self.prefix}inbox:{worker.name}", count=1)
            await until(partial(_has_read, worker, last))

    async def key(self, *parts: str) -> Any:
        """All that is under a key, whatever it is."""
        name = self.prefix + ":".join(parts)
        kind = await self.redis.type(name)
        match kind:
            case b"hash":
                return await self.redis.hgetall(name)
            case b"set":
                return await self.redis.smembers(name)
            case b"stream":
                return await self.redis.xrange(name)
            case b"zset":
                return await self.redis.zrange(name, 0, -1, withscores=True)
            case b"string":
                return await self.redis.get(name)
        return None

    async def close(self) -> None:
        """All of them stop."""
        for shelf in self.shelves:
            await shelf.store.stop({})
        await self.redis.aclose()


def inside(shelf: Shelf) -> Worker:
    """The worker behind a shelf."""
    assert isinstance(shelf.store, RedisStore)
    return shelf.store._here


async def until(happens: Callable[[], bool]) -> None:
    """It happens, sooner or later."""
    async with asyncio.timeout(PATIENCE):
        while not happens():
            await asyncio.sleep(0.002)


async def dies(shelf: Shelf) -> None:
    """A worker is gone without a word."""
    worker = inside(shelf)
    shelf.store._worker = None  # type: ignore[attr-defined]  # a RedisStore, as ``inside`` has seen
    worker.life.stop()
    for task in worker._tasks:
        task.cancel()
    await worker.desk.stop()
    await worker.inbox.stop()
    await worker.link.stop()


async def comes_back(shelf: Shelf, token: str, next_token: str = "next", connection: str = "again") -> None:
    """Whoever has this token resumes on this worker."""
    returner = Returner(connection, "192.0.2.9", token, next_token)
    await settled(shelf.store.transact(CODE, lambda room, now: resume.resume(room, returner, now, POLICY)))


async def loses(shelf: Shelf, person_id: str, connection: str | None = None) -> None:
    """Somebody's connection to this worker is lost."""
    on = connection or person_id
    await settled(shelf.store.transact(CODE, lambda room, now: resume.lose(room, person_id, on, now, POLICY)))


def says(shelf: Shelf, text: str) -> None:
    """Somebody on this worker says this to everyone elsewhere in the room."""
    far = shelf.far.get(CODE)
    if far is not None:
        far.tell(frame(Chat(CODE, "somebody", text)))


def offers(shelf: Shelf, target: str, number: int) -> None:
    """Somebody on this worker sends an offer to somebody elsewhere."""
    shelf.far[CODE].relay(Offer(CODE, "somebody", target, timestamp=number), target)


def names_of(effects: list[Effect]) -> list[str]:
    """What kinds of effects these are, and about whom."""
    return [f"{type(effect).__name__} {getattr(effect, 'id', '')}".strip() for effect in effects]


def _has_read(worker: Worker, entry: bytes) -> bool:
    return _number(worker.inbox.last) >= _number(entry)


def _number(entry: bytes) -> tuple[int, ...]:
    return tuple(map(int, entry.split(b"-")))
