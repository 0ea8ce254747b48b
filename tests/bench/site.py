"""Workers that share their rooms in Redis, each a process of its own, and the people before them."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from ..redis_server import BINARY, RedisServer
from .crowd import ROOM, Crowd, Person
from .machine import MachineError, cores, cpu_seconds
from .run import Run
from .variants import NO_PINGS, VARIANTS, Server, running

WORKERS = 2

# On which worker somebody is, by the number of the room and of the seat in it.
Place = Callable[[int, int], int]


def by_room(room: int, _seat: int) -> int:
    """All of a room are on one worker, and those of the next room on the next one."""
    return room


def by_seat(_room: int, seat: int) -> int:
    """Neighbours are on different workers, so every offer to the next one crosses."""
    return seat


class SpreadCrowd(Crowd):
    """People in rooms of ``size``, on workers by ``place``."""

    def __init__(
        self, ports: Sequence[int], place: Place, *, size: int = ROOM, resumes: bool = False
    ) -> None:
        super().__init__(ports[0], resumes=resumes)
        self._ports = ports
        self._place = place
        self.size = size

    def _fill_room(self, code: str) -> list[Person]:
        ports = [self._ports[self._place(int(code), seat) % len(self._ports)] for seat in range(self.size)]
        people = [Person(next(self._addresses), port) for port in ports]
        self.people += people
        for person in people:
            person.upgrade()
        for person in people:
            person.open()
        for person in people:
            self._join(person, code)
        for person in people:
            for _ in people[1:]:
                person.hears("participant-joined")
        return people


class Store:
    """A running Redis, as it tells of itself."""

    def __init__(self, server: RedisServer) -> None:
        self.url = server.url
        self.port = server.port
        self.client = redis.Redis(port=server.port)
        self.pid = int(self.told("server", "process_id")[0])

    def told(self, section: str, *names: str) -> list[float]:
        """Figures of a section of INFO."""
        found = self.client.info(section)
        return [float(found[name]) for name in names]

    def ask(self, *words: str | int) -> object:
        """The answer to a command."""
        answer: object = self.client.execute_command(*words)  # type: ignore[no-untyped-call]  # of redis-py
        return answer

    def cpu(self) -> float:
        """Processor seconds used so far."""
        return cpu_seconds(self.pid)


@dataclass(frozen=True)
class Site:
    """Running workers. Without ``store`` there is one, which keeps its rooms to itself."""

    workers: Sequence[Server]
    store: Store | None = None

    def crowd(self, place: Place, *, size: int = ROOM, resumes: bool = False) -> SpreadCrowd:
        """Nobody yet, who will come to these workers. Each crowd numbers its rooms from 0: one at a time."""
        return SpreadCrowd([worker.port for worker in self.workers], place, size=size, resumes=resumes)

    def cpu(self) -> float:
        """Processor seconds that all workers have used so far."""
        return sum(worker.cpu() for worker in self.workers)

    def store_cpu(self) -> float:
        """Likewise Redis."""
        return 0.0 if self.store is None else self.store.cpu()

    def waited(self) -> float:
        """Seconds so far in which a worker could have run, and another process had its core."""
        return sum(worker.waited() for worker in self.workers)


def check_redis() -> None:
    """Raises ``MachineError`` if there is no Redis to be started."""
    if BINARY is None:
        raise MachineError(
            "several workers need a Redis (redis-server): on Debian, apt-get install redis-server"
        )


@contextlib.contextmanager
def lone(run: Run) -> Iterator[Site]:
    """One worker, without Redis."""
    with running(VARIANTS["direct"], run.tools, NO_PINGS) as server:
        yield Site([server])


@contextlib.contextmanager
def shared(run: Run, *, resumes: bool = False, **settings: str) -> Iterator[Site]:
    """Two workers on the servers' core, and their Redis on that of the load."""
    variant = VARIANTS["resumable" if resumes else "direct"]
    with RedisServer() as server, contextlib.ExitStack() as stack:
        store = Store(server)
        pin(store.pid, cores()[1])
        chosen = {**NO_PINGS, "REDIS_URL": store.url, **settings}
        workers = [stack.enter_context(running(variant, run.tools, chosen)) for _ in range(WORKERS)]
        yield Site(workers, store)


def pin(pid: int, *places: int) -> None:
    """Have all threads of a process run on these cores, and those that it starts later."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), places)
