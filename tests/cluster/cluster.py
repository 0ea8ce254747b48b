"""A cluster: one Redis, and workers each of which has a port of its own."""

import asyncio
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import redis
from tests.redis_server import RedisServer
from tests.reliability.servers import PATIENCE, Server

from .pipe import Pipe

# The shortest that there is: seconds after which a worker is taken for dead.
LEASE = 2
PREFIX = "mikroroom:"


class Cluster:
    """So many servers with a Redis between them, the workers. ``settings`` are those of each, by name.

    The workers at the places ``piped`` reach Redis through a ``Pipe`` each, in that order in ``pipes``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        servers: int = 3,
        piped: Sequence[int] = (),
        redis_options: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        self.redis = RedisServer()
        self.pipes: list[Pipe] = []
        # The ports of those that were seen not to be ready.
        self.unready: set[int] = set()
        self._redis_options = redis_options
        self._folder = folder
        self._settings: dict[str, Any] = {"worker_lease": LEASE, "resume_window": 30, **settings}
        self._piped = piped
        self._count = servers
        self.workers: list[Server] = []

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self.redis.start, *self._redis_options)
            for _ in self._piped:
                self.pipes.append(await Pipe(self.redis.port).opens())
            self.workers += await asyncio.gather(*map(self._worker, range(self._count)))
            await self.are_up()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _worker(self, number: int) -> Server:
        folder = self._folder / f"worker-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        port = self.redis.port
        if number in self._piped:
            port = self.pipes[list(self._piped).index(number)].port
        url = f"redis://127.0.0.1:{port}/0"
        for _ in range(5):
            worker = Server(folder, redis_url=url, data_dir="", **self._settings)
            worker.launches()
            # Somebody else may have taken the port a moment before, and answers there in its place.
            while not worker.said("listening") and worker.run.process.poll() is None:
                await asyncio.sleep(0.02)
            if worker.run.process.poll() is None:
                return worker
            worker.close()
        raise RuntimeError(f"a worker does not start: {worker.said()}")

    async def close(self) -> None:
        """Whatever state it is in, nothing of it is left."""
        for worker in self.workers:
            worker.close()
        for pipe in self.pipes:
            await pipe.close()
        self.redis.close()

    def faults(self) -> list[str]:
        """What workers have said that no worker should ever say, with what they said next."""
        words = ("Traceback", "letter-failed", "beat-failed", "room-not-tidied")
        found: list[str] = []
        for worker in self.workers:
            for run in worker.runs:
                lines = run.said()
                found += [
                    "\n".join(lines[at : at + 40])
                    for at, line in enumerate(lines)
                    if any(word in line for word in words)
                ]
        return found

    # Workers

    async def are_up(self, workers: Sequence[Server] = ()) -> None:
        """Wait until each of them is ready, all if none are named."""
        for worker in workers or self.workers:
            await worker.is_up()

    # Redis

    def command(self, *words: str | bytes | int) -> object:
        """Have Redis do something."""
        with redis.Redis(port=self.redis.port, socket_timeout=10) as client:
            answer: object = client.execute_command(*words)
        return answer

    def keys(self) -> dict[str, int]:
        """All keys with our prefix, and in how many milliseconds they expire; -1 is never."""
        with redis.Redis(port=self.redis.port, socket_timeout=10, decode_responses=True) as client:
            return {
                str(key): int(str(client.pttl(key))) for key in client.scan_iter(f"{PREFIX}*", count=1000)
            }

    # All together

    async def health(self, worker: Server) -> tuple[int, int]:
        """How many rooms and participants there are, as a worker tells it; (-1, -1) if it does not."""
        _, body = await worker.gets("/health")
        told = json.loads(body or "{}")
        return told.get("totalRooms", -1), told.get("totalParticipants", -1)

    async def counts(self, rooms: int, participants: int) -> None:
        """Wait until every worker that runs counts so many rooms and participants."""
        wrong = await self.miscounting(rooms, participants)
        assert not wrong, [(worker.port, await self.health(worker)) for worker in wrong]

    async def miscounting(self, rooms: int, participants: int) -> list[Server]:
        """Likewise. Returns the workers that do not, even after a while."""
        deadline = time.monotonic() + PATIENCE
        while True:
            running = [worker for worker in self.workers if worker.run.process.poll() is None]
            wrong = [worker for worker in running if await self.health(worker) != (rooms, participants)]
            if not wrong or time.monotonic() > deadline:
                return wrong
            await asyncio.sleep(0.02)


def freeze(worker: Server) -> None:
    """Let a worker stand still: its connections stay open, and nothing is answered."""
    worker.run.process.send_signal(signal.SIGSTOP)


def thaw(worker: Server) -> None:
    """Let it go on, with all that has come meanwhile."""
    worker.run.process.send_signal(signal.SIGCONT)
