"""What a test has shown: as a struct (``--json``), a table for people, a chart, and a verdict."""

import signal
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from mikroroom import __version__, chart
from mikroroom.loadtest.busyness import MUCH_CPU, Busyness
from mikroroom.loadtest.histogram import Histogram
from mikroroom.loadtest.people import NOT_RESUMABLE
from mikroroom.loadtest.plan import Plan
from mikroroom.loadtest.score import KINDS, Failure, Score, StormScore

_HINTS = {
    "HTTP 429": "start the server with MIKROROOM_CONNECTIONS_PER_MINUTE=0 for the test",
    "HTTP 403": "the server takes no client without a known Origin: MIKROROOM_ALLOWED_ORIGINS=* for the test",
    "HTTP 404": "is the path right? It is where the service stands, and /ws behind it",
    "RATE_LIMITED": "start the server with MIKROROOM_MESSAGES_PER_SECOND=0, MIKROROOM_ROOMS_PER_MINUTE=0 and"
    " MIKROROOM_GUESSES_PER_MINUTE=0 for the test",
    "INVALID_MESSAGE": "more people than a room may have? Raise MIKROROOM_MAX_PARTICIPANTS",
    NOT_RESUMABLE: "nobody can come back to this server: MIKROROOM_RESUME_WINDOW is 0, or it is an older one",
    "ROOM_LIMIT": "raise MIKROROOM_MAX_ROOMS for the test",
}
_FAILURES = {
    Failure.UNCONNECTED: "connections could not be made",
    Failure.UNANSWERED_JOINS: "joins were not answered",
    Failure.CLOSED: "connections were closed unexpectedly",
    Failure.LOST: "messages were lost",
    Failure.DUPLICATED: "messages came again",
    Failure.OUT_OF_ORDER: "messages came out of order",
    Failure.MISROUTED: "messages came to the wrong person or under a wrong name",
    Failure.ALTERED: "messages were altered",
    Failure.UNREADABLE: "messages could not be read",
    Failure.WRONG_ROSTERS: "people were shown somebody who is not there, or not shown somebody who is",
    Failure.SERVER_ERRORS: "requests failed with SERVER_ERROR",
    Failure.NOT_CUT_OFF: "slow readers were not cut off",
    Failure.MISNUMBERED: "messages were numbered wrongly",
    Failure.NOT_RESUMED: "people could not come back",
    Failure.NOT_REPLAYED: "people came back and were not told what they had missed",
}

Verdict = Literal["passed", "failed", "nothing measured"]


class Spread(Struct):
    """Percentiles in milliseconds of so many things."""

    count: int
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


class KindReport(Struct):
    """One kind of message. ``delivered`` counts receivers: a chat has as many as the room has people."""

    sent: int
    delivered: int
    per_second: float
    ms: Spread


class Tester(Struct):
    """How busy the tester was: its share of one CPU, and how late its event loop was.

    ``held_back`` are messages that it was too slow to send at the rate.
    """

    cpu: float
    lag_ms_p99: float
    held_back: int
    is_limit: bool


class StormReport(Struct):
    """So many people were cut off at once; after so many seconds all were back."""

    people: int
    seconds: float
    latency_before_ms: Spread
    latency_ms: Spread


class Report(Struct):
    """All that was measured. Its fields are the keys of ``--json``: see ``docs/loadtest.md``."""

    version: str
    url: str
    verdict: Verdict
    interrupted: bool
    rooms: int
    people: int
    rate: float
    scenarios: tuple[str, ...]
    churners: int
    resumable: bool
    seconds: float
    connections_asked: int
    connections: Spread
    joins_asked: int
    joins: Spread
    late_joins: Spread
    resumes_asked: int
    resumes: Spread
    sent: int
    delivered: int
    per_second: float
    kinds: dict[str, KindReport]
    latency_ms: Spread
    latency_beside_slow_readers_ms: Spread
    slow_readers: dict[str, int]
    slow_readers_cut_off_ms: Spread
    storm: StormReport | None
    refusals: dict[str, int]
    closes: dict[str, int]
    unconnected: dict[str, int]
    failures: dict[str, int]
    tester: Tester

    @property
    def exit_code(self) -> int:
        """0 passed, 1 not, 130 interrupted (as a shell tells it)."""
        if self.interrupted:
            return 128 + signal.SIGINT
        return 0 if self.verdict == "passed" else 1


def report(plan: Plan, url: str, score: Score, busyness: Busyness, *, is_interrupted: bool) -> Report:
    """Draw up what was counted."""
    seconds = score.sending_seconds
    per_second = 1 / seconds if seconds else 0.0
    kinds = {
        kind: KindReport(
            score.sent[kind],
            score.delivered[kind],
            round(score.delivered[kind] * per_second, 1),
            _spread(score.latency[kind]),
        )
        for kind in KINDS
        if score.sent[kind]
    }
    return Report(
        version=__version__,
        url=url,
        verdict=_verdict(score),
        interrupted=is_interrupted,
        rooms=plan.rooms,
        people=plan.people,
        rate=plan.rate,
        scenarios=plan.scenarios,
        churners=plan.churners,
        resumable=plan.is_resumable,
        seconds=round(seconds, 3),
        connections_asked=score.connections_asked,
        connections=_spread(score.connecting),
        joins_asked=score.joins_asked,
        joins=_spread(score.joining),
        late_joins=_spread(score.joining_late),
        resumes_asked=score.resumes_asked,
        resumes=_spread(score.resuming),
        sent=sum(score.sent.values()),
        delivered=score.all_delivered,
        per_second=round(score.all_delivered * per_second, 1),
        kinds=kinds,
        latency_ms=_spread(Histogram.of(score.latency.values())),
        latency_beside_slow_readers_ms=_spread(score.latency_beside_slow),
        slow_readers=dict(score.slow_readers),
        slow_readers_cut_off_ms=_spread(score.cutting_off),
        storm=_storm(score.storm),
        refusals=dict(score.refusals),
        closes={str(code): count for code, count in score.closes.items()},
        unconnected=dict(score.unconnected),
        failures={failure.value: score.failures[failure] for failure in Failure},
        tester=Tester(
            round(busyness.cpu, 3),
            round(busyness.lag.percentile(0.99), 3),
            score.held_back,
            busyness.is_limit or score.held_back > 0,
        ),
    )


def table(told: Report) -> str:
    """The report for people: no line longer than a terminal is wide, as far as that can be."""
    return "\n".join(
        [
            f"Load test of {told.url}",
            _setting(told),
            "",
            *_arrivals(told),
            "",
            *_messages(told),
            "",
            *_remarks(told),
            "",
            _judgement(told),
        ]
    )


def draw(told: Report) -> str:
    """The latencies and the throughput as a chart (SVG)."""
    names = ("p50", "p90", "p99", "max")
    spreads = [(kind, one.ms) for kind, one in told.kinds.items()]
    if told.latency_beside_slow_readers_ms.count:
        spreads.append(("all, beside slow readers", told.latency_beside_slow_readers_ms))
    spreads.append(("join", told.joins))
    rows = [(name, (s.p50, s.p90, s.p99, s.max)) for name, s in spreads if s.count]
    delivered = [(kind, one.per_second) for kind, one in told.kinds.items()]
    if told.delivered:
        delivered.append(("all", told.per_second))
    return chart.page(
        [
            chart.spread_panel(f"Latency: {_setting(told)}", names, rows, "ms"),
            chart.bar_panel("Messages delivered per second", delivered, "/s"),
        ]
    )


def _spread(histogram: Histogram) -> Spread:
    p50, p90, p95, p99 = (round(histogram.percentile(share), 3) for share in (0.5, 0.9, 0.95, 0.99))
    return Spread(histogram.count, p50, p90, p95, p99, round(histogram.highest, 3))


def _storm(score: StormScore | None) -> StormReport | None:
    if score is None or not score.seconds:
        return None
    return StormReport(
        score.people, round(score.seconds, 3), _spread(score.latency_before), _spread(score.latency)
    )


def _verdict(score: Score) -> Verdict:
    if score.failures.total():
        return "failed"
    return "passed" if score.joining.count else "nothing measured"


def _setting(told: Report) -> str:
    rate = f"{told.rate:g} messages/s each" if told.rate else "as fast as the answers come"
    if not told.sent:
        rate = "who send nothing"
    return f"{told.rooms} rooms of {told.people} people, {rate}, for {told.seconds:.1f} s"


def _arrivals(told: Report) -> Iterator[str]:
    yield f"{'':<16}{'asked':>9}{'done':>9}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}  ms"
    rows = (
        ("connections", told.connections_asked, told.connections),
        ("joins", told.joins_asked, told.joins),
    )
    for name, asked, spread in rows:
        yield f"{name:<16}{asked:>9,}{spread.count:>9,}{_row(spread.p50, spread.p95, spread.p99, spread.max)}"
    if told.late_joins.count:
        name, spread = "latecomers", told.late_joins
        yield f"{name:<16}{'':>9}{spread.count:>9,}{_row(spread.p50, spread.p95, spread.p99, spread.max)}"
    if told.resumes_asked:
        name, asked, spread = "resumes", told.resumes_asked, told.resumes
        yield f"{name:<16}{asked:>9,}{spread.count:>9,}{_row(spread.p50, spread.p95, spread.p99, spread.max)}"


def _messages(told: Report) -> Iterator[str]:
    if not told.kinds:
        yield "No messages were sent."
        return
    yield (f"{'':<16}{'sent':>9}{'arrived':>9}{'per s':>9}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}  ms")
    for kind, one in told.kinds.items():
        numbers = f"{one.sent:>9,}{one.delivered:>9,}{one.per_second:>9,.0f}"
        yield f"{kind:<16}{numbers}{_row(one.ms.p50, one.ms.p90, one.ms.p99, one.ms.max)}"
    if len(told.kinds) > 1:
        ms = told.latency_ms
        numbers = f"{told.sent:>9,}{told.delivered:>9,}{told.per_second:>9,.0f}"
        yield f"{'all':<16}{numbers}{_row(ms.p50, ms.p90, ms.p99, ms.max)}"
    beside = told.latency_beside_slow_readers_ms
    if beside.count:
        name = "in a room with a slow reader"
        yield f"{name:<34}{beside.count:>9,}{_row(beside.p50, beside.p90, beside.p99, beside.max)}"
    if told.storm is not None:
        for name, ms in (
            ("before the storm", told.storm.latency_before_ms),
            ("during the storm", told.storm.latency_ms),
        ):
            yield f"{name:<34}{ms.count:>9,}{_row(ms.p50, ms.p90, ms.p99, ms.max)}"


def _row(*figures: float) -> str:
    return "".join(f"{figure:>9.2f}" if figure < 100 else f"{figure:>9,.0f}" for figure in figures)


def _remarks(told: Report) -> Iterator[str]:
    if told.slow_readers:
        after = told.slow_readers_cut_off_ms
        ended = _counted(told.slow_readers, {"1006": "cut off without a word"}, "closed with {}")
        when = f", after {after.p50 / 1000:.1f} s (longest {after.max / 1000:.1f} s)" if after.count else ""
        yield f"{'slow readers':<16}{ended}{when}"
    if told.storm is not None:
        storm = told.storm
        yield f"{'storm':<16}{storm.people:,} people cut off at once, all back after {storm.seconds:.2f} s"
    if told.refusals:
        yield f"{'refusals':<16}{_counted(told.refusals)}"
        yield from (f"{'':<16}{kind}: {hint}" for kind, hint in _HINTS.items() if kind in told.refusals)
    if told.unconnected:
        yield f"{'no connection':<16}{_counted(told.unconnected)}"
    if told.closes:
        yield f"{'closed with':<16}{_counted(told.closes)}"
    tester = told.tester
    busy = f"{tester.cpu:.0%} of one CPU, its event loop {tester.lag_ms_p99:.1f} ms late (p99)"
    yield f"{'this tester':<16}{busy}"
    if tester.held_back:
        yield f"{'':<16}{tester.held_back:,} messages were not sent: it was too slow for this rate"
    if tester.is_limit:
        why = f"was busy (over {MUCH_CPU:.0%})" if tester.cpu > MUCH_CPU else "was late"
        yield f"{'':<16}WARNING: the tester {why}: it may be the limit, not the server"


def _counted(counts: Mapping[str, int], words: Mapping[str, str] | None = None, form: str = "{}") -> str:
    def told(name: str) -> str:
        return (words or {}).get(name) or (form.format(name) if name.isdigit() else name)

    return ", ".join(f"{told(name)}: {count:,}" for name, count in counts.items())


def _judgement(told: Report) -> str:
    interrupted = " (interrupted)" if told.interrupted else ""
    wrong = [f"{told.failures[kind]:,} {text}" for kind, text in _FAILURES.items() if told.failures[kind]]
    if wrong:
        return f"FAILED{interrupted}: {'; '.join(wrong)}"
    if told.verdict == "nothing measured":
        return f"NOTHING MEASURED{interrupted}: nobody could join"
    what = f"{told.delivered:,} messages arrived, each once, in order and at the right person"
    if not told.delivered:
        what = f"{told.joins.count:,} people joined, and all saw each other"
    refused = "; what was refused was not measured" if told.refusals else ""
    return f"PASSED{interrupted}: {what}{refused}"
