"""A thousand people come back in the same moment: how long that takes, and what those notice who talk."""

import select
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .cast import Cast
from .crowd import ROOM, Crowd, CrowdError, Person, rooms_of
from .pump import Aftermath, Pump, Storm
from .report import Findings, Table, number
from .run import Run, typical
from .variants import NO_PINGS, VARIANTS, Server, running

PEOPLE = 1_000
# Who joins a room of eight hears of everyone, or everyone of it; half of that is said to be unheard.
HEARD, UNHEARD = ROOM, ROOM // 2
PATIENCE = 30.0
# Those who talk meanwhile: rooms, and offers a second in all.
TALKING, RATE = 5, 1_000.0
BEFORE = 2.0
# In milliseconds: what is under way for so long nobody takes for a fault.
MOST_DELAYED = 50
SHORT = {"DRAIN_TIME": "2", **NO_PINGS}


@dataclass(frozen=True)
class Sample:
    """One storm: the processor time of the server, and what those heard who talked, before and meanwhile."""

    aftermath: Aftermath
    cpu: float
    before: Sequence[float] = ()
    away: float = 0.0

    def cpu_each(self) -> float:
        """Processor time for each who came back, in µs."""
        return self.cpu / len(self.aftermath.took) * 1e6


def storm(run: Run, findings: Findings) -> None:
    """All are cut off, or the server is stopped and started again; then all connect at once, and resume."""
    cut = [_cut_off(run, turn) for turn in range(1, 2 if run.is_quick else 4)]
    rows = [_row("cut off, others talk", cut)]
    if not run.is_quick:
        rows.append(_row("the server restarts", [_restart(run)]))
    header = (
        "storm",
        "people",
        "p50 ms",
        "p99 ms",
        "max ms",
        "all back, s",
        "CPU µs a resume",
        "server away, s",
    )
    findings.tables.append(Table("Resuming: all come back at once", header, rows))
    meanwhile = sorted(delay for sample in cut for delay in sample.aftermath.delays)
    talk = [
        ("before", *_spread([delay for sample in cut for delay in sample.before])),
        ("during the storm", *_spread(meanwhile)),
    ]
    title = f"Resuming: offers of 1.8 kB, {number(RATE)} a second, before and during the storm"
    findings.tables.append(Table(title, ("", "heard", "p50 ms", "p99 ms", "max ms"), talk))
    findings.aim(
        "storm: p99 of others' talk", meanwhile[len(meanwhile) * 99 // 100] * 1e3, MOST_DELAYED, "ms"
    )


def _cut_off(run: Run, turn: int) -> Sample:
    run.say(f"storm {turn}: {PEOPLE:,} people join")
    variant = VARIANTS["resumable"]
    with running(variant, run.tools, NO_PINGS) as server, server.crowd() as crowd:
        cast = Cast([*rooms_of(crowd.fill(TALKING))])
        people = crowd.fill(PEOPLE // ROOM)
        order, speakers = cast.order(RATE), cast.speakers()
        with cast.pump(run.tools) as pump:
            before = pump.by_clock(BEFORE, order=order, rate=RATE, speakers=speakers)
            run.say(f"storm {turn}: all are cut off")
            cpu = server.cpu()
            for person in people:
                person.cut()
            for person in people:
                person.renew()
            aftermath = pump.storm(_return(people, server), order=order, rate=RATE, speakers=speakers)
            return Sample(aftermath, server.cpu() - cpu, before)


def _restart(run: Run) -> Sample:
    run.say(f"restart: {PEOPLE:,} people join")
    variant = VARIANTS["journal"]
    with running(variant, run.tools, SHORT) as server, server.crowd() as crowd:
        people = crowd.fill(PEOPLE // ROOM)
        run.say("restart: the server stops")
        began = time.monotonic()
        server.terminate()
        _go(crowd, server)
        with running(variant, run.tools, SHORT, port=server.port) as again:
            away = time.monotonic() - began
            for person in people:
                person.renew()
            # It is idle: what it has used was its start.
            scout, *others = people
            _check(scout, again)
            cpu = again.cpu()
            with Pump(run.tools, [], []) as pump:
                aftermath = pump.storm(_return(others, again), order=[], rate=0.0, speakers=[])
            return Sample(aftermath, again.cpu() - cpu, away=away)


def _go(crowd: Crowd, server: Server) -> None:
    """Everyone hangs up when the server says goodbye, until it has ended."""
    poll, staying = select.poll(), {person.socket.fileno(): person for person in crowd.people}
    for place in staying:
        poll.register(place, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    while not server.has_ended():
        for place, _ in poll.poll(10):
            poll.unregister(place)
            staying.pop(place).socket.close()
        if time.monotonic() > deadline:
            raise CrowdError("the server did not stop")


def _check(scout: Person, server: Server) -> None:
    """The first one back must find that nothing was lost; the pump only counts."""
    scout.socket.setblocking(True)
    scout.socket.connect(("127.0.0.1", server.port))
    scout.upgrade()
    scout.open()
    scout.says("join", resumeToken=scout.token, lastSeq=HEARD - UNHEARD)
    if not scout.hears("participant-joined").get("replayed"):
        raise CrowdError("what was said before the restart is not there again")


def _return(people: Sequence[Person], server: Server) -> Storm:
    joins = [person.frame("join", resumeToken=person.token, lastSeq=HEARD - UNHEARD) for person in people]
    return Storm(people, server.port, joins, needed=1 + UNHEARD, patience=PATIENCE)


def _row(name: str, samples: Sequence[Sample]) -> tuple[str, ...]:
    took = [seconds for sample in samples for seconds in sample.aftermath.took]
    away = typical(samples, lambda sample: sample.away)
    return (
        name,
        *_spread(took),
        number(typical(samples, lambda sample: sample.aftermath.whole)),
        number(typical(samples, Sample.cpu_each)),
        number(away) if away else "",
    )


def _spread(seconds: Sequence[float]) -> tuple[str, ...]:
    ordered = sorted(one * 1e3 for one in seconds)
    size = len(ordered)
    return f"{size:,}", number(ordered[size // 2]), number(ordered[size * 99 // 100]), number(ordered[-1])
