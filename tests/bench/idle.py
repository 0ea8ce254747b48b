"""What a connection costs that does nothing: memory, and the processor time of its pings."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from .crowd import ROOM
from .machine import SPARE_FILES, allow_files
from .pump import Pump
from .report import Findings, Table, number
from .run import Run
from .variants import NO_PINGS, Server, Variant, running

SERVERS = ("bare", "direct", "asgi", "stock")
WARM_UP = 8
PEOPLE = 10_000
PINGED = 800
# Seconds: here, and by default.
PING_INTERVAL, USUAL_PING_INTERVAL = 2.0, 20.0
PINGS = {"PING_INTERVAL": str(PING_INTERVAL), "PING_TIMEOUT": "60"}
# Of a ping's cost: what an idle connection may cost besides, and all that can be told here from chance.
BESIDES = 0.25
SETTLING_STEP, SETTLING_STEPS = 0.3, 20


@dataclass(frozen=True)
class Rest:
    """What a server does for people who say nothing: its share of a core, and the pings that they heard."""

    cpu: float
    pings: int


def memory(run: Run, findings: Findings) -> None:
    """How far a server's resident memory grows as people join and stay."""
    people = min(2_000 if run.is_quick else PEOPLE, allow_files() - SPARE_FILES)
    samples = {name: _grow(run, variant, people) for name, variant in run.variants(SERVERS).items()}
    rows = [
        (name, f"{people:,}", number(total / 2**20), number(each / 1024))
        for name, (total, each) in samples.items()
    ]
    header = ("server", "people", "RSS MB", "KB a person")
    findings.tables.append(Table("Memory: joined, in rooms of 8, in one process", header, rows))
    if "direct" in samples:
        findings.aim("memory a joined person", samples["direct"][1] / 1024, 16, "KB")


def idle(run: Run, findings: Findings) -> None:
    """What the server spends on people who only answer its pings, and on people who are not even pinged."""
    rows = []
    intervals = 2 if run.is_quick else 3
    for name, variant in run.variants(SERVERS[:2] if run.is_quick else SERVERS).items():
        run.say(f"idle: {name}")
        empty = _rest(run, variant, NO_PINGS, 0, intervals)
        unpinged = _rest(run, variant, NO_PINGS, PINGED, intervals)
        pinged = _rest(run, variant, PINGS, PINGED, intervals)
        pings = pinged.pings / PINGED / intervals
        ping = (pinged.cpu - unpinged.cpu) * PING_INTERVAL / PINGED / pings
        besides = max(unpinged.cpu - empty.cpu, 0) * USUAL_PING_INTERVAL / PINGED
        usual = unpinged.cpu + PEOPLE * ping / USUAL_PING_INTERVAL
        shares = [f"{empty.cpu:.2%}", f"{unpinged.cpu:.2%}"]
        rows.append((name, *shares, f"{pings:.2f}", number(ping * 1e6), f"{usual:.1%}"))
        if name == "direct":
            findings.aim("idle: pings a person and interval", round(pings, 2), 1)
            findings.aim("idle: CPU besides the ping ÷ the ping's", besides / ping, BESIDES)
    header = (
        "server",
        "share of a core, nobody there",
        "share of a core, no pings",
        "pings a person and interval",
        "CPU µs, a ping and its pong",
        f"{PEOPLE:,} people, a ping in {USUAL_PING_INTERVAL:g} s",
    )
    findings.tables.append(Table(f"Idle: {PINGED:,} people who joined and say nothing", header, rows))


def _grow(run: Run, variant: Variant, people: int) -> tuple[float, float]:
    """Resident memory with so many more people, and its growth for each of them, in bytes."""
    run.say(f"memory: {variant.name}")
    with running(variant, run.tools) as server, server.crowd() as crowd:
        crowd.fill(WARM_UP)
        before = settled(server)
        newcomers = crowd.fill(people // ROOM)
        after = settled(server)
    return after, (after - before) / len(newcomers)


def settled(server: Server) -> int:
    """Resident memory once it stays the same for a while."""
    last, now = -1, server.resident()
    for _ in range(SETTLING_STEPS):
        if now == last:
            break
        time.sleep(SETTLING_STEP)
        last, now = now, server.resident()
    return now


def _rest(run: Run, variant: Variant, settings: Mapping[str, str], people: int, intervals: int) -> Rest:
    with running(variant, run.tools, settings) as server, server.crowd() as crowd:
        resting = crowd.fill(people // ROOM)
        with Pump(run.tools, resting, [b""] * len(resting)) as pump:
            pump.in_turns(PING_INTERVAL / 2, every=0)  # whatever the joining left to be done
            seconds, before, pings = PING_INTERVAL * intervals, server.cpu(), pump.pings()
            pump.in_turns(seconds, every=0)
            return Rest((server.cpu() - before) / seconds, pump.pings() - pings)
