"""What one thing that somebody does costs the workers and Redis, when nothing else goes on."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Self

from .crowd import ROOM, Person, chats, circle
from .report import Findings, Table, number, times
from .run import Run, Samples, ratio, typical
from .site import Place, Site, SpreadCrowd, Store
from .workers import LONE, SPLIT, WHOLE, sites

# So many rooms of 8 are entered, and left, in a round; so often is each other thing done.
ROOMS, TIMES = 5, 100
# What a join may cost with Redis, as many times as without.
MOST = 2
# Seconds in which it is seen what goes on while nobody does anything.
IDLE = 3.0
# The figures of INFO: how many commands Redis has carried out, those in scripts among them, and bytes.
_INFO = ("total_commands_processed", "total_net_input_bytes", "total_net_output_bytes")


class Bill(NamedTuple):
    """Processor seconds of all workers and of Redis; commands done, and sent; bytes to Redis and from it."""

    cpu: float = 0.0
    store: float = 0.0
    done: float = 0.0
    sent: float = 0.0
    taken: float = 0.0
    given: float = 0.0

    def without(self, other: Self, share: float = 1.0) -> "Bill":
        """What is left of it without so much of another."""
        return Bill(*(mine - share * theirs for mine, theirs in zip(self, other, strict=True)))

    def each(self, count: float) -> "Bill":
        """The part of one of so many."""
        return Bill(*(value / count for value in self))


class Deed(NamedTuple):
    """A thing to do, ``often`` times or for so many rooms; returns how often it was done."""

    do: Callable[[int], int]
    often: int


def deeds(run: Run, findings: Findings) -> None:
    """Each thing by itself, with rooms whole on one of two workers and split, beside no Redis at all."""
    ready = {name: _doing(run, site, place) for name, (site, place) in sites(run).items()}
    taken = run.compare("deeds", ready, run.rounds // 4)
    rows = []
    for what in taken[LONE][0]:
        samples = {name: [one[what] for one in all_] for name, all_ in taken.items()}
        rows += [(f"{what}, {name}", *_row(samples, name)) for name in samples]
        if what == "join":
            for name in (WHOLE, SPLIT):
                findings.aim(f"join: CPU, {name} ÷ {LONE}", ratio(samples, name, LONE, _cpu), MOST)
    header = ("", "CPU µs", f"÷ {LONE}", "of Redis", "commands sent", "done", "bytes to Redis", "from Redis")
    findings.tables.append(Table("Deeds: what one costs by itself, in rooms of 8", header, rows))


def _row(samples: Samples[Bill], name: str) -> Sequence[str]:
    bills = samples[name]
    bill = Bill(*(typical(values, float) for values in zip(*bills, strict=True)))
    return number(bill.cpu * 1e6), times(ratio(samples, name, LONE, _cpu)), *_of_redis(bill)


def _cpu(bill: Bill) -> float:
    return bill.cpu


def _of_redis(bill: Bill) -> Sequence[str]:
    """As columns; nothing where nothing was sent."""
    if bill.done < 0.05:
        return [""] * 5
    return (
        number(bill.store * 1e6),
        f"{bill.sent:.1f}",
        f"{bill.done:.1f}",
        number(bill.taken),
        number(bill.given),
    )


@contextlib.contextmanager
def _doing(
    run: Run, starting: AbstractContextManager[Site], place: Place
) -> Iterator[Callable[[], Mapping[str, Bill]]]:
    """Workers with their people, and the call that does each thing some times, and tells what one costs."""
    with starting as site, site.crowd(place) as crowd:
        room = crowd.fill(2)[:ROOM]
        idle = at_rest(site)
        things = {
            "join": Deed(lambda count: len(crowd.fill(count)), ROOMS),
            "leave": Deed(lambda count: _leave(crowd, count), ROOMS),
            "relay": Deed(lambda count: _relay(room, count), TIMES),
            "chat": Deed(lambda count: _chat(room, count), TIMES),
            "state": Deed(lambda count: _change(room, count), TIMES),
        }

        def take() -> Mapping[str, Bill]:
            found = {what: _billed(site, deed, idle) for what, deed in things.items()}
            if site.store is None:
                return found
            sent = {what: _sent(site.store, deed, idle) for what, deed in things.items()}
            return {what: bill._replace(sent=sent[what]) for what, bill in found.items()}

        take()
        yield take


def bill(site: Site) -> Bill:
    """All that was spent so far; what was sent is not known."""
    told = site.store.told("stats", *_INFO) if site.store is not None else [0.0] * len(_INFO)
    done, taken, given = told
    return Bill(site.cpu(), site.store_cpu(), done, 0.0, taken, given)


def at_rest(site: Site) -> Bill:
    """What a second costs in which nobody does anything."""
    time.sleep(1.0)
    before = bill(site)
    with _monitored(site.store) as monitor:
        time.sleep(IDLE)
    spent = bill(site).without(before).each(IDLE)
    return spent._replace(sent=monitor.sent / IDLE)


def _billed(site: Site, deed: Deed, idle: Bill) -> Bill:
    before, start = bill(site), time.perf_counter()
    done = deed.do(deed.often)
    return bill(site).without(before).without(idle, time.perf_counter() - start).each(done)


def _sent(store: Store, deed: Deed, idle: Bill) -> float:
    """How many commands workers send for each."""
    with _monitored(store) as monitor:
        start = time.perf_counter()
        done = deed.do(max(1, deed.often // 5))
        seconds = time.perf_counter() - start
    return max(0.0, monitor.sent - idle.sent * seconds) / done


class _Monitor:
    """How many commands were ``sent``: those in scripts are not."""

    sent = 0


@contextlib.contextmanager
def _monitored(store: Store | None) -> Iterator[_Monitor]:
    """Counts, once the block has ended, what was sent in it. Redis tells of each command in a line."""
    monitor = _Monitor()
    if store is None:
        yield monitor
        return
    with socket.create_connection(("127.0.0.1", store.port)) as link:
        link.sendall(b"MONITOR\r\n")
        link.recv(5)
        yield monitor
        store.ask("ECHO", "the end")
        lines = b""
        while b'"the end"' not in lines:
            lines += link.recv(65_536)
    monitor.sent = sum(b" lua]" not in line[:40] for line in lines.splitlines() if line) - 1


def _leave(crowd: SpreadCrowd, rooms: int) -> int:
    """From the rooms that came last all go, the host at the end, and whoever is left hears of it."""
    for people in crowd.last_rooms(rooms):
        while people:
            people.pop().says("leave")
            for other in people:
                other.hears("participant-left")
    crowd.drop(rooms)
    return rooms * ROOM


def _relay(room: Sequence[Person], count: int) -> int:
    frames = circle(room)
    for at in range(count):
        room[at % ROOM].socket.sendall(frames[at % ROOM])
        room[(at + 1) % ROOM].hears("offer")
    return count


def _chat(room: Sequence[Person], count: int) -> int:
    frames = chats(room)
    for at in range(count):
        room[at % ROOM].socket.sendall(frames[at % ROOM])
        for person in room:
            person.hears("chat")
    return count


def _change(room: Sequence[Person], count: int) -> int:
    """One after the other mutes itself, and then no longer."""
    for at in range(count):
        speaker = room[at // 2 % ROOM]
        speaker.says("participant-updated", isMuted=at % 2 == 0)
        for person in room:
            if person is not speaker:
                person.hears("participant-updated")
    return count
