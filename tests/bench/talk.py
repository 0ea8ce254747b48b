"""Everyone talks as fast as the server lets them: relays, chats, and the echo of a plain ASGI app."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .crowd import ROOM, CrowdError, Person, chats, echoes, offers
from .pump import Pump
from .report import Findings, Table, number, percent, times
from .run import Run, Samples, ratio, typical
from .variants import VARIANTS, Server, Variant, running

ROOMS = 20
WARM_UP = 0.3
SERVERS = ("floor", "bare", "direct", "asgi", "stock")
ECHOES = ("echo-picows", "echo-sansio", "echo-default")


@dataclass(frozen=True)
class Sample:
    """What one server did in one window of time. ``heard``: messages that arrived."""

    heard: int
    seconds: float
    cpu: float
    waited: float

    def per_second(self) -> float:
        """Messages that arrived in a second."""
        return self.heard / self.seconds

    def cpu_each(self) -> float:
        """Processor time of the server for each, in µs."""
        return self.cpu / self.heard * 1e6

    def busy(self) -> float:
        """The share of time in which the server worked. Well below 1, something else was the limit."""
        return self.cpu / self.seconds

    def disturbed(self) -> float:
        """The share of time in which another process had the server's core."""
        return self.waited / self.seconds


@dataclass(frozen=True)
class Talk:
    """A kind of talk: what everyone says, after how many messages heard each speaks again, which count."""

    name: str
    frames: Callable[[Sequence[Person]], list[bytes]]
    every: int
    least: int


# A column of a table: its header, the server that the others are compared with, and in what.
Ratio = tuple[str, str, Callable[[Sample], float]]
RATIOS: Sequence[Ratio] = (
    ("CPU ÷ bare", "bare", Sample.cpu_each),
    ("CPU ÷ floor", "floor", Sample.cpu_each),
    ("throughput ÷ stock", "stock", Sample.per_second),
)

RELAY = Talk("relay", offers, every=1, least=1_000)
CHAT = Talk("chat", chats, every=ROOM, least=200)
ECHO = Talk("echo", echoes, every=1, least=1)


def relay(run: Run, findings: Findings) -> None:
    """Offers of 1.8 kB: everyone answers each with its own next one."""
    samples = _compared(run, RELAY, SERVERS)
    _tell(findings, "Relay: offers of 1.8 kB, each to one person, 20 rooms of 8", samples, RATIOS)
    findings.aim("relay: CPU ÷ bare", ratio(samples, "direct", "bare", Sample.cpu_each), 1.3)
    findings.aim("relay: CPU ÷ floor", ratio(samples, "direct", "floor", Sample.cpu_each), 2)
    speed = ratio(samples, "direct", "stock", Sample.per_second)
    findings.aim("relay: throughput ÷ stock", speed, 2.5, is_least=True)
    findings.bars += [
        (f"{VARIANTS[name].told} ({name})", typical(taken, Sample.per_second))
        for name, taken in samples.items()
    ]


def chat(run: Run, findings: Findings) -> None:
    """Texts of 100 B to rooms of 8: everyone speaks once per round of the room."""
    samples = _compared(run, CHAT, SERVERS)
    _tell(findings, "Chat: texts of 100 B, each delivered to all 8 of a room, 20 rooms", samples, RATIOS)
    found = ratio(samples, "direct", "bare", Sample.cpu_each)
    findings.aim("chat: CPU per delivery ÷ bare", found, 1.25)


def echo(run: Run, findings: Findings) -> None:
    """Texts of 60 B, sent back by a plain ASGI app: what any site gains by our class for uvicorn."""
    samples = _compared(run, ECHO, ECHOES)
    ratios = (
        ("CPU ÷ sansio", "echo-sansio", Sample.cpu_each),
        ("throughput ÷ sansio", "echo-sansio", Sample.per_second),
    )
    _tell(findings, "Echo: texts of 60 B, a plain ASGI app under uvicorn, 160 people", samples, ratios)
    found = ratio(samples, "echo-picows", "echo-sansio", Sample.per_second)
    findings.aim("echo: throughput ÷ uvicorn's websockets-sansio", found, 1.7, is_least=True)


@contextlib.contextmanager
def talking(run: Run, variant: Variant, talk: Talk) -> Iterator[Callable[[], Sample]]:
    """A server with its people, and the call that lets them talk for a moment."""
    with running(variant, run.tools) as server, server.crowd() as crowd:
        people = crowd.fill(ROOMS)
        with Pump(run.tools, people, talk.frames(people), talk.least) as pump:
            pump.in_turns(WARM_UP, every=talk.every, begins=True)

            def take() -> Sample:
                pump.in_turns(run.seconds / 4, every=talk.every)
                return watched(server, lambda: pump.in_turns(run.seconds, every=talk.every))

            yield take


def _compared(run: Run, talk: Talk, names: Sequence[str]) -> Samples[Sample]:
    servers = run.variants(names).items()
    return run.compare(talk.name, {name: talking(run, variant, talk) for name, variant in servers})


def watched(server: Server, work: Callable[[], int]) -> Sample:
    """What the server spends on this work, which returns how many messages were heard."""
    start, cpu, waited = time.perf_counter(), server.cpu(), server.waited()
    heard = work()
    if not heard:
        raise CrowdError(f"{server.variant.name}: nothing was heard")
    return Sample(heard, time.perf_counter() - start, server.cpu() - cpu, server.waited() - waited)


def _tell(findings: Findings, title: str, samples: Samples[Sample], ratios: Sequence[Ratio]) -> None:
    """Put a table of this talk among the findings, and whether others disturbed it."""
    compared = [header for header, _, _ in ratios]
    header = ("server", "/s", "CPU µs", *compared, "core busy", "taken by others")
    rows = [
        (
            name,
            number(typical(taken, Sample.per_second)),
            number(typical(taken, Sample.cpu_each)),
            *(times(ratio(samples, name, other, value)) for _, other, value in ratios),
            percent(typical(taken, Sample.busy)),
            percent(typical(taken, Sample.disturbed)),
        )
        for name, taken in samples.items()
    ]
    findings.tables.append(Table(title, header, rows))
    kind, _, _ = title.partition(":")
    findings.taken.update(
        {f"{kind}, {name}": typical(taken, Sample.disturbed) for name, taken in samples.items()}
    )
