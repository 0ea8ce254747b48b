"""What rooms cost by being there, in Redis and on workers: memory, beats, and what a dead worker leaves."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .crowd import CrowdError
from .deeds import Bill, at_rest
from .idle import settled
from .report import Findings, Table, number
from .run import Run
from .site import WORKERS, Site, Store, by_seat, lone, shared

# Rooms of each of these sizes, so many of each.
SIZES = (8, 4, 2)
ROOMS, QUICK_ROOMS = 250, 50
WARM_UP = 5
# Keys that go again within a minute: what is counted of whoever connects or makes a room.
PASSING = {"connections", "rooms", "guesses", "ended"}
# The shortest lease there is, in seconds; and so many rooms are left behind.
LEASE = 2
LEFT, LEFT_SIZE, QUICK_LEFT = 400, 4, 100
PATIENCE = 30.0
STEP = 0.001


@dataclass(frozen=True)
class Size:
    """Bytes for each room with so many people: in Redis, there for a minute as well, and on both workers."""

    people: int
    store: float
    passing: float
    workers: float


@dataclass(frozen=True)
class Legacy:
    """Seconds from a worker's death until another one began to see to its rooms, and to the end of that."""

    rooms: int
    noticed: float
    took: float
    cpu: float
    store: float


def keeping(run: Run, findings: Findings) -> None:
    """Rooms whose people are spread over two workers."""
    rooms = QUICK_ROOMS if run.is_quick else ROOMS
    run.say("keeping: at rest")
    with lone(run) as site:
        rests = {"without Redis": at_rest(site)}
    sizes = []
    for size in SIZES:
        run.say(f"keeping: {rooms} rooms of {size}")
        with shared(run) as site, site.crowd(by_seat, size=size) as crowd:
            crowd.fill(WARM_UP)
            before = _memory(site)
            if size == SIZES[0]:
                rests["with Redis, hardly a room"] = at_rest(site).each(WORKERS)
            crowd.fill(rooms)
            grown = [(now - then) / rooms for now, then in zip(_memory(site), before, strict=True)]
            sizes.append(Size(size, *grown))
            if size == SIZES[0]:
                rests[f"with Redis, {rooms} rooms of {size}"] = at_rest(site).each(WORKERS)
    _tell_sizes(findings, rooms, sizes)
    _tell_rests(findings, rests)
    legacy = _inherit(run, QUICK_LEFT if run.is_quick else LEFT)
    row = (
        f"{legacy.rooms:,}",
        number(legacy.noticed),
        number(legacy.took),
        number(legacy.cpu / legacy.rooms * 1e6),
        number(legacy.store / legacy.rooms * 1e6),
    )
    header = ("rooms", "noticed after, s", "all seen to, s", "CPU µs a room", "of Redis")
    title = f"Keeping: rooms of {LEFT_SIZE} of a worker that was killed, at a lease of {LEASE} s"
    findings.tables.append(Table(title, header, [row]))


def _tell_sizes(findings: Findings, rooms: int, sizes: Sequence[Size]) -> None:
    rows = [(f"in Redis, a room of {one.people}", number(one.store / 1024)) for one in sizes]
    most, *_, least = sizes
    person = (most.store - least.store) / (most.people - least.people)
    rows += [
        ("of that each person", number(person / 1024)),
        ("of that the room", number((least.store - person * least.people) / 1024)),
        ("for a minute, each person who came", number(most.passing / most.people / 1024)),
        (f"on its worker, a person of a room of {most.people}", number(most.workers / most.people / 1024)),
    ]
    title = f"Keeping: memory, {rooms} rooms of each size, their people on two workers"
    findings.tables.append(Table(title, ("", "KB"), rows))


def _tell_rests(findings: Findings, rests: dict[str, Bill]) -> None:
    rows = [
        (name, number(one.cpu * 1e6), number(one.store * 1e6), f"{one.sent:.1f}", f"{one.done:.1f}")
        for name, one in rests.items()
    ]
    header = ("", "CPU µs", "of Redis", "commands sent", "done")
    findings.tables.append(Table("Keeping: a second of a worker with nothing to do", header, rows))


def _memory(site: Site) -> tuple[float, float, float]:
    """Bytes of what is in Redis for longer, of what only passes, and of all workers.

    Inboxes are not in it: what is there has been read, and is deleted soon.
    """
    workers = sum(settled(worker) for worker in site.workers)
    store = _store(site)
    kept = passing = 0
    for key in store.client.scan_iter("mikroroom:*", count=1_000):
        kind = key.split(b":")[1].decode()
        if kind != "inbox":
            size = store.client.memory_usage(key, samples=0) or 0
            kept, passing = (kept, passing + size) if kind in PASSING else (kept + size, passing)
    return kept, passing, workers


def _inherit(run: Run, rooms: int) -> Legacy:
    """One of two workers is killed, which both have people in every room who may come back."""
    run.say("keeping: a worker is killed")
    with shared(run, resumes=True, WORKER_LEASE=str(LEASE)) as site:
        store, (first, second) = _store(site), site.workers
        with site.crowd(by_seat, size=LEFT_SIZE, resumes=True) as crowd:
            crowd.fill(rooms)
            died = time.monotonic()
            first.process.kill()
            _await(lambda: bool(store.ask("KEYS", "mikroroom:heir:*")), "a dead worker was not noticed")
            began, cpu, used = time.monotonic(), second.cpu(), store.cpu()
            _await(lambda: store.ask("ZCARD", "mikroroom:workers") == 1, "its rooms were not seen to")
            ended = time.monotonic()
            return Legacy(rooms, began - died, ended - began, second.cpu() - cpu, store.cpu() - used)


def _store(site: Site) -> Store:
    assert site.store is not None, "these workers share nothing"
    return site.store


def _await(is_so: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise CrowdError(problem)
        time.sleep(STEP)
