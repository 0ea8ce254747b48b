"""What it costs the server that someone joins, from the TCP connection to the last word of it to others."""

import contextlib
from collections.abc import Callable, Iterator

from .crowd import Crowd
from .report import Findings, Table, number, times
from .run import Run, ratio, typical
from .variants import Server, Variant, running

SERVERS = ("bare", "direct", "asgi", "stock")
# Rooms: so many come first in each round, unmeasured, and then so many.
WARM_UP, MORE = 5, 25


def join(run: Run, findings: Findings) -> None:
    """Rooms of 8 fill one after the other."""
    servers = run.variants(SERVERS).items()
    ready = {name: filling(run, variant) for name, variant in servers}
    samples = run.compare("join", ready, run.rounds // 3)
    rows = [
        (name, number(typical(taken, float)), times(ratio(samples, name, "bare", float)))
        for name, taken in samples.items()
    ]
    header = ("server", "CPU µs a person", "÷ bare")
    title = "Join: connect, upgrade, join and tell the room, rooms of 8"
    findings.tables.append(Table(title, header, rows))
    if "direct" in samples:
        findings.aim("join: CPU a person", typical(samples["direct"], float), 300, "µs")


def cost_of_joining(server: Server, crowd: Crowd, rooms: int) -> float:
    """Processor time for each person of so many rooms, in µs."""
    before = server.cpu()
    newcomers = crowd.fill(rooms)
    return (server.cpu() - before) / len(newcomers) * 1e6


@contextlib.contextmanager
def filling(run: Run, variant: Variant) -> Iterator[Callable[[], float]]:
    """A server, and the call that lets some more people join it."""
    with running(variant, run.tools) as server, server.crowd() as crowd:

        def take() -> float:
            crowd.fill(WARM_UP)
            return cost_of_joining(server, crowd, MORE)

        yield take
