"""Talk over several workers: what it costs where it crosses, and how much they do together."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from . import latency, talk
from .cast import Cast
from .crowd import CrowdError, rooms_of
from .latency import PAUSES, SLICE
from .machine import cores
from .pump import Pump
from .report import Findings, Table, number, times
from .run import Run, Samples, ratio, typical
from .site import Place, Site, by_room, by_seat, lone, pin, shared

# How people are spread: a server of its own, and two workers with Redis.
LONE, WHOLE, SPLIT = "without Redis", "rooms whole", "rooms split"
# What they do, and how that is told.
RELAY, CHAT, WIDE = "relay", "chat", "wide"
_WHATS = {
    RELAY: "Workers, relay: offers of 1.8 kB, 20 rooms of 8, two workers on one core",
    CHAT: "Workers, chat: texts of 100 B, each delivered to all 8 of a room, two workers on one core",
    WIDE: "Workers, relay with two cores: a worker on each, the load and Redis on both",
}
# Processor time of both workers, in µs, for what crosses from one to the other.
MOST = 30


@dataclass(frozen=True)
class Sample:
    """What workers did in a window of time. ``heard``: messages that arrived; ``store``: seconds of Redis."""

    heard: int
    seconds: float
    cpu: float
    store: float
    waited: float

    def per_second(self) -> float:
        """Messages that arrived in a second."""
        return self.heard / self.seconds

    def cpu_each(self) -> float:
        """Processor time of all workers for each, in µs."""
        return self.cpu / self.heard * 1e6

    def store_each(self) -> float:
        """Likewise of Redis."""
        return self.store / self.heard * 1e6

    def disturbed(self) -> float:
        """The share of time in which workers did not get their core."""
        return self.waited / self.seconds


def sites(run: Run) -> dict[str, tuple[AbstractContextManager[Site], Place]]:
    """The ways in which people are spread, with servers that are not started yet."""
    return {LONE: (lone(run), by_room), WHOLE: (shared(run), by_room), SPLIT: (shared(run), by_seat)}


def workers(run: Run, findings: Findings) -> None:
    """Rooms whole on one of two workers, and split over both, beside a server without Redis."""
    ready = {name: _talking(run, site, place) for name, (site, place) in sites(run).items()}
    taken = run.compare("workers", ready, run.rounds // 3)
    samples = {what: {name: [one[what] for one in all_] for name, all_ in taken.items()} for what in _WHATS}
    for what, title in _WHATS.items():
        _tell(findings, title, samples[what])
    # Two on one core wait for each other, too; and all have had their turns at the same time.
    findings.taken[f"workers, {LONE}"] = typical(samples[RELAY][LONE], Sample.disturbed)
    crossing = samples[RELAY][SPLIT]
    findings.aim("workers: CPU of a relay that crosses", typical(crossing, Sample.cpu_each), MOST, "µs")
    _delays(run, findings, typical(crossing, Sample.per_second) / 2)


def _tell(findings: Findings, title: str, samples: Samples[Sample]) -> None:
    rows = [
        (
            name,
            number(typical(taken, Sample.cpu_each)),
            times(ratio(samples, name, LONE, Sample.cpu_each)),
            number(typical(taken, Sample.store_each)),
            number(typical(taken, Sample.per_second)),
            times(ratio(samples, name, LONE, Sample.per_second)),
        )
        for name, taken in samples.items()
    ]
    header = ("", "CPU µs", f"÷ {LONE}", "CPU µs of Redis", "/s", f"÷ {LONE}")
    findings.tables.append(Table(title, header, rows))


@contextlib.contextmanager
def _talking(
    run: Run, starting: AbstractContextManager[Site], place: Place
) -> Iterator[Callable[[], Mapping[str, Sample]]]:
    """Workers with their people, and the call that lets them talk for a moment, in all ways."""
    with starting as site, site.crowd(place) as crowd, contextlib.ExitStack() as stack:
        people = crowd.fill(talk.ROOMS)

        def pump(kind: talk.Talk) -> Callable[[], Sample]:
            ready = stack.enter_context(Pump(run.tools, people, kind.frames(people), kind.least))
            return lambda: _talk(run, site, ready, kind)

        relay, chat = pump(talk.RELAY), pump(talk.CHAT)

        def take() -> Mapping[str, Sample]:
            found = {RELAY: relay(), CHAT: chat()}
            with _spread(site):
                return {**found, WIDE: relay()}

        take()
        yield take


def _talk(run: Run, site: Site, pump: Pump, kind: talk.Talk) -> Sample:
    """What workers and Redis spend while people talk, who are silent before and after."""
    pump.in_turns(run.seconds / 2, every=kind.every, begins=True)
    start, cpu, store, waited = time.perf_counter(), site.cpu(), site.store_cpu(), site.waited()
    heard = pump.in_turns(run.seconds, every=kind.every)
    sample = Sample(
        heard,
        time.perf_counter() - start,
        site.cpu() - cpu,
        site.store_cpu() - store,
        site.waited() - waited,
    )
    if not heard:
        raise CrowdError("nothing was heard")
    while pump.in_turns(run.seconds / 4, every=0):
        pass  # what is under way comes to rest
    return sample


@contextlib.contextmanager
def _spread(site: Site) -> Iterator[None]:
    """A core for each worker, and any for the load and for Redis, while the block lasts."""
    served, loaded = cores()
    pins = [(server.pid, core) for server, core in zip(site.workers, (served, loaded), strict=False)]
    try:
        for pid, core in pins:
            pin(pid, core)
        _pin_load(site, served, loaded)
        yield
    finally:
        for pid, _ in pins:
            pin(pid, served)
        _pin_load(site, loaded)


def _pin_load(site: Site, *places: int) -> None:
    pin(os.getpid(), *places)
    if site.store is not None:
        pin(site.store.pid, *places)


def _delays(run: Run, findings: Findings, rate: float) -> None:
    """How long an offer is under way, at this rate: half of what crosses at full speed."""
    ready = {name: _speaking(run, site, place, rate) for name, (site, place) in sites(run).items()}
    samples = run.compare("workers, delays", ready, run.rounds * 2)
    rows = []
    for name, taken in samples.items():
        overall = latency.Sample(sorted(delay for sample in taken for delay in sample.delays))
        median = typical(taken, latency.Sample.median)
        p99 = typical(taken, latency.Sample.p99)
        rows.append((name, number(median), number(p99), number(overall.p99())))
    title = f"Workers, delay: offers of 1.8 kB, {number(rate)} a second, half the speed of split rooms"
    findings.tables.append(Table(title, ("relay", "p50 µs", "p99 µs", "p99 of all µs"), rows))


@contextlib.contextmanager
def _speaking(
    run: Run, starting: AbstractContextManager[Site], place: Place, rate: float
) -> Iterator[Callable[[], latency.Sample]]:
    with starting as site, site.crowd(place) as crowd:
        cast = Cast([*rooms_of(crowd.fill(talk.ROOMS))])
        order, speakers = cast.order(rate), cast.speakers()
        with cast.pump(run.tools) as pump:

            def take() -> latency.Sample:
                for _ in range(PAUSES):
                    delays: Sequence[float] = pump.by_clock(SLICE, order=order, rate=rate, speakers=speakers)
                    if len(delays) >= 0.9 * rate * SLICE:
                        return latency.Sample(sorted(delay * 1e6 for delay in delays))
                raise CrowdError(
                    f"of {rate * SLICE:.0f} offers only {len(delays)} came back, again and again"
                )

            yield take
