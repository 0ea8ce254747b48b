"""How long an offer is under way on a server at half its speed, while some people never read."""

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import talk
from .cast import Cast, with_deaf
from .crowd import CrowdError, rooms_of
from .report import Findings, Table, number, times
from .run import Run, typical
from .variants import NO_PINGS, VARIANTS, Variant, running

ROOMS = 20
# So many more rooms have someone who never reads, and so has one of those that are measured.
DEAF_ROOMS = 5
SLICE = 0.05  # seconds
# A machine that stands still for most of a slice says nothing of the server, unless it goes on like that.
PAUSES = 5
TRIES = 5
WITH_DEAF = "direct, 6 never read"


@dataclass(frozen=True)
class Sample:
    """The delays in µs of a short time, the shortest first."""

    delays: Sequence[float]

    def median(self) -> float:
        """What half of them are below."""
        return self.delays[len(self.delays) // 2]

    def p99(self) -> float:
        """What all but a hundredth are below."""
        return self.delays[len(self.delays) * 99 // 100]


def latency(run: Run, findings: Findings) -> None:
    """At a fixed rate, whatever comes back; counted from when each message was due.

    The figures are of the middle one of many short times: what else the machine does now and then, for
    milliseconds, is left out of them. It is in what is said of all.
    """
    run.say("latency: how fast is direct")
    with talk.talking(run, VARIANTS["direct"], talk.RELAY) as take:
        rate = statistics.median(take().per_second() for _ in range(TRIES)) / 2
    samples = run.compare(
        "latency",
        {
            "floor": _speaking(run, VARIANTS["floor"], rate),
            "direct": _speaking(run, VARIANTS["direct"], rate),
            WITH_DEAF: _speaking(run, VARIANTS["direct"], rate, is_deaf=True),
        },
        rounds=run.rounds * 4,
    )
    rows = []
    for name, taken in samples.items():
        median, p99 = typical(taken, Sample.median), typical(taken, Sample.p99)
        overall = Sample(sorted(delay for sample in taken for delay in sample.delays))
        rows.append((name, number(median), number(p99), times(p99 / median), number(overall.p99())))
        if name == WITH_DEAF:
            findings.aim(f"latency: p99 ÷ p50 of {SLICE * 1e3:g} ms slices", p99 / median, 3)
    header = ("server", "p50 µs", "p99 µs", "p99 ÷ p50", "p99 of all µs")
    title = f"Latency: offers of 1.8 kB, {number(rate)} a second, half the speed of direct"
    findings.tables.append(Table(title, header, rows))


@contextlib.contextmanager
def _speaking(
    run: Run, variant: Variant, rate: float, *, is_deaf: bool = False
) -> Iterator[Callable[[], Sample]]:
    with running(variant, run.tools, NO_PINGS) as server, server.crowd() as crowd:
        cast = Cast([*rooms_of(crowd.fill(ROOMS))])
        if is_deaf:
            cast = with_deaf(cast.circles, [*rooms_of(crowd.fill(DEAF_ROOMS))])
            cast.fill_the_deaf(server, run.tools)
        order, speakers = cast.order(rate), cast.speakers()
        with cast.pump(run.tools) as pump:

            def take() -> Sample:
                for _ in range(PAUSES):
                    delays = pump.by_clock(SLICE, order=order, rate=rate, speakers=speakers)
                    if len(delays) >= 0.9 * rate * SLICE:
                        return Sample(sorted(delay * 1e6 for delay in delays))
                raise CrowdError(
                    f"of {rate * SLICE:.0f} offers only {len(delays)} came back, again and again"
                )

            yield take
