"""What the same things cost as rooms elsewhere grow in number: nothing more, if all is well."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from . import talk
from .arrivals import cost_of_joining
from .crowd import ROOM, Crowd
from .machine import SPARE_FILES, allow_files
from .pump import Pump
from .report import Findings, Table, number, times
from .run import Run, ratio, typical
from .variants import NO_PINGS, VARIANTS, Server, running

SIZES = (10, 100, 1_000)
# The same activity at each size: so many rooms come and go in each round, and so many talk.
COMING, TALKING = 5, 10
# As near to 1 as can be told here from chance.
FLAT = 1.2


@dataclass(frozen=True)
class Sample:
    """Processor time of the server in µs for each relay, each person who joins, and each who leaves."""

    relay: float
    join: float
    leave: float


def scale(run: Run, findings: Findings) -> None:
    """Rooms of 8 who sit there, and the same few who do something."""
    wanted = SIZES[:2] if run.is_quick else SIZES
    sizes = [size for size in wanted if (size + COMING) * ROOM < allow_files() - SPARE_FILES]
    sitting = {f"{size:,} rooms": _living(run, size) for size in sizes}
    samples = run.compare("scale", sitting, run.rounds // 2)
    least = f"{sizes[0]} rooms"
    told = "/".join(f"{size:,}" for size in sizes)
    header, rows = ["direct"], [[size] for size in samples]
    for what in ("relay", "join", "leave"):
        value = attrgetter(what)
        ratios = [ratio(samples, size, least, value) or 1.0 for size in samples]
        header += [f"{what} µs", f"÷ {sizes[0]}"]
        for row, taken, found in zip(rows, samples.values(), ratios, strict=True):
            row += [number(typical(taken, value)), times(found)]
        findings.aim(f"scale: {what}, dearest ÷ cheapest of {told} rooms", max(ratios) / min(ratios), FLAT)
    findings.tables.append(Table("Scale: the same activity among more rooms of 8", header, rows))


@contextlib.contextmanager
def _living(run: Run, rooms: int) -> Iterator[Callable[[], Sample]]:
    with running(VARIANTS["direct"], run.tools, NO_PINGS) as server, server.crowd() as crowd:
        people = crowd.fill(rooms)[: TALKING * ROOM]
        with Pump(run.tools, people, talk.RELAY.frames(people), talk.RELAY.least) as pump:
            pump.in_turns(talk.WARM_UP, every=1, begins=True)

            def take() -> Sample:
                relay = talk.watched(server, lambda: pump.in_turns(run.seconds, every=1)).cpu_each()
                pump.in_turns(run.seconds, every=0)  # what is under way comes to rest
                join = cost_of_joining(server, crowd, COMING)
                leave = _cost_of_leaving(server, crowd)
                pump.in_turns(0, every=1, begins=True)
                return Sample(relay, join, leave)

            yield take


def _cost_of_leaving(server: Server, crowd: Crowd) -> float:
    """All but the first, who hears of it, go from the rooms that came last; then, uncounted, those too."""
    rooms = crowd.last_rooms(COMING)
    before = server.cpu()
    for first, *others in rooms:
        for person in others:
            person.says("leave")
        for _ in others:
            first.hears("participant-left")
    cost = (server.cpu() - before) / (COMING * (ROOM - 1)) * 1e6
    for first, *_ in rooms:
        first.says("leave")
    crowd.drop(COMING)
    return cost
