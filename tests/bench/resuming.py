"""What it costs that everyone may come back: processor time, memory, and the journal."""

from collections.abc import Callable
from typing import TypeVar

from .arrivals import filling
from .crowd import ROOM, offers
from .idle import settled
from .pump import Pump
from .report import Findings, Table, number, times
from .run import Run, Samples, ratio, typical
from .talk import CHAT, RELAY, Sample, talking
from .variants import NO_PINGS, Variant, running

SERVERS = ("direct", "resumable", "journal")
WARM_UP = 8
PEOPLE = 1_000
# So much has everyone heard when memory is looked at again: about as many bytes as are kept.
HEARD = 100
MOMENT = 0.02  # seconds
# What it may cost that everyone may come back.
MOST = 1.15

Taken = TypeVar("Taken")


def resuming(run: Run, findings: Findings) -> None:
    """The same talk and the same joins with everyone resumable, and with a data directory besides."""
    servers = run.variants(SERVERS)
    if not servers:
        return
    rows = []
    for talk in (RELAY, CHAT):
        ready = {name: talking(run, variant, talk) for name, variant in servers.items()}
        samples = run.compare(f"resuming, {talk.name}", ready, run.rounds * 2 // 3)
        rows.append(_row(f"{talk.name}, CPU µs a message heard", samples, Sample.cpu_each))
        found = ratio(samples, "resumable", "direct", Sample.cpu_each)
        findings.aim(f"{talk.name}: CPU with everyone resumable ÷ without", found, MOST)
        for name, taken in samples.items():
            findings.taken[f"resuming, {talk.name}, {name}"] = typical(taken, Sample.disturbed)
    if not run.is_quick:
        filled = {name: filling(run, variant) for name, variant in servers.items()}
        joins = run.compare("resuming, join", filled, run.rounds // 4)
        rows.append(_row("join, CPU µs a person", joins, float))
    header = ("", *servers, "resumable ÷ direct", "journal ÷ resumable")
    findings.tables.append(Table("Resuming: what it costs that everyone may come back", header, rows))


def _row(what: str, samples: Samples[Taken], value: Callable[[Taken], float]) -> tuple[str, ...]:
    return (
        what,
        *(number(typical(taken, value)) for taken in samples.values()),
        times(ratio(samples, "resumable", "direct", value)),
        times(ratio(samples, "journal", "resumable", value)),
    )


def kept(run: Run, findings: Findings) -> None:
    """Resident memory for each person who has joined, and once each has heard a hundred long messages."""
    people = 400 if run.is_quick else PEOPLE
    rows = []
    for name, variant in run.variants(SERVERS[:2]).items():
        joined, after = _grow(run, variant, people)
        rows.append((name, f"{people:,}", number(joined / 1024), number(after / 1024)))
    header = ("server", "people", "joined, KB a person", f"{HEARD} messages of 1.8 kB later")
    findings.tables.append(Table("Resuming: memory of what is kept", header, rows))


def _grow(run: Run, variant: Variant, people: int) -> tuple[float, float]:
    """By how many bytes resident memory has grown for each, at the two times."""
    run.say(f"kept: {variant.name}")
    with running(variant, run.tools, NO_PINGS) as server, server.crowd() as crowd:
        crowd.fill(WARM_UP)
        before = settled(server)
        newcomers = crowd.fill(people // ROOM)
        joined = settled(server)
        with Pump(run.tools, newcomers, offers(newcomers), RELAY.least) as pump:
            heard = pump.in_turns(MOMENT, every=1, begins=True)
            while heard < HEARD * len(newcomers):
                heard += pump.in_turns(MOMENT, every=1)
            pump.in_turns(run.seconds, every=0)
            after = settled(server)
    return (joined - before) / len(newcomers), (after - before) / len(newcomers)
