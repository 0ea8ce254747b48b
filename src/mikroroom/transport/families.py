"""What ``/metrics`` tells of one process: every family of metrics, its name and its meaning.

Numbers only; how they are written down is for ``metrics``. The names follow the conventions of Prometheus.
"""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Literal

from msgspec import Struct

from mikroroom import __version__
from mikroroom.hub.hub import Hub
from mikroroom.hub.roster import Presence
from mikroroom.meters import Histogram
from mikroroom.protocol.codec import REQUESTS
from mikroroom.protocol.codes import CloseCode, ErrorCode

PREFIX = "mikroroom_"
# Those of the log that begin at zero.
WARNINGS = ("configs-limited", "connections-limited", "guesses-limited", "origin-refused", "rooms-limited")

Kind = Literal["gauge", "counter", "histogram"]


class Sample(Struct, array_like=True):
    """A number: ``name`` is its family's, with what its kind puts behind it."""

    name: str
    labels: dict[str, str]
    value: float


class Family(Struct, array_like=True):
    """Numbers that mean the same, of different things. One that ``is_shared`` is the same on every worker."""

    name: str
    kind: Kind
    about: str
    samples: list[Sample]
    is_shared: bool = False


def gauge(
    name: str, about: str, value: float | Mapping[str, float], label: str = "", *, is_shared: bool = False
) -> Family:
    """A number that goes up and down; or, with a ``label``, one for each of its values."""
    return Family(PREFIX + name, "gauge", about, _samples(PREFIX + name, value, label), is_shared)


def counter(name: str, about: str, value: float | Mapping[str, float], label: str = "") -> Family:
    """Likewise, a number that only goes up."""
    return Family(PREFIX + name, "counter", about, _samples(f"{PREFIX}{name}_total", value, label))


def histogram(name: str, about: str, times: Histogram | Mapping[str, Histogram], label: str = "") -> Family:
    """Likewise, how long things took."""
    full = PREFIX + name
    samples: list[Sample] = []
    for value, one in {"": times}.items() if isinstance(times, Histogram) else times.items():
        labels = {label: value} if label else {}
        bounds = [f"{bound:g}" for bound in one.bounds]
        for bound, count in zip((*bounds, "+Inf"), accumulate(one.counts), strict=True):
            samples.append(Sample(f"{full}_bucket", {**labels, "le": bound}, count))
        samples.append(Sample(f"{full}_count", labels, sum(one.counts)))
        samples.append(Sample(f"{full}_sum", labels, one.sum))
    return Family(full, "histogram", about, samples)


async def families_of(hub: Hub) -> list[Family]:
    """Everything there is to tell of this process."""
    census = await hub.census()
    return [
        gauge("info", "1, for the version that serves", {__version__: 1}, "version"),
        gauge("rooms", "Rooms with somebody in them, on all workers", census.rooms, is_shared=True),
        *_gauges(hub, hub.roster.presence()),
        *_counters(hub),
        *_histograms(hub),
    ]


def _gauges(hub: Hub, there: Presence) -> Iterable[Family]:
    meters = hub.meters
    is_ready = float(hub.trouble() is None)
    open_now = meters.connections_opened - meters.connections_ended
    started = hub.started_at / 1_000
    yield gauge("process_start_time_seconds", "When the process began, in seconds since the epoch", started)
    yield gauge("ready", "1 if people may be sent here, as /ready says", is_ready)
    yield gauge(
        "rooms_kept", "1 if changes in rooms are kept: on the disk, in Redis", float(hub.keeps_rooms())
    )
    yield gauge("connections", "WebSocket connections", open_now)
    yield gauge("participants", "Participants connected here", there.participants)
    yield gauge("waiting_participants", "People in waiting rooms here", there.waiting)
    yield gauge(
        "suspended_participants", "People whose connection is lost, and may come back", there.suspended
    )
    yield gauge("outbox_bytes", "Bytes that clients have not taken yet", there.outbox_bytes)
    yield gauge("outbox_largest_bytes", "Bytes that one client has not taken yet", there.outbox_largest)
    yield gauge(
        "webhooks_waiting", "Room events that wait to be sent, by whoever sends them", meters.webhooks_waiting
    )
    yield gauge("webhooks_oldest_seconds", "For how long the oldest of them has waited", meters.webhooks_age)
    queues = {**hub.queues()}
    yield gauge("queue_size", "What waits inside the server, by queue", queues, "queue")


def _counters(hub: Hub) -> Iterable[Family]:
    meters = hub.meters
    # All that can be, from the start: of what appears for the first time nobody sees how much it has grown.
    closes = {str(code.value): meters.closes[code] for code in CloseCode}
    refusals = {code.value: meters.refusals[code] for code in ErrorCode}
    resumes = {how: meters.resumes[how] for how in ("replay", "snapshot")}
    warnings = dict.fromkeys(WARNINGS, 0) | meters.warnings
    messages = {name: meters.messages.get(request, 0) for name, request in REQUESTS.items()}
    yield counter("connections_opened", "WebSocket connections accepted", meters.connections_opened)
    yield counter("connections_closed", "WebSocket connections that the server closed", closes, "code")
    yield counter("joins", "Participants that entered a room", meters.joins)
    yield counter("waits", "People that were put into a waiting room", meters.waits)
    yield counter("leaves", "People that left for good, from a room or a waiting room", meters.leaves)
    yield counter("suspensions", "Connections lost by people who may come back", meters.suspensions)
    yield counter("resumes", "People that came back: all replayed, or by a snapshot", resumes, "how")
    yield counter("messages", "Messages of clients that were understood", messages, "type")
    yield counter("refusals", "What clients asked for that was refused", refusals, "code")
    yield counter("warnings", "What the log warns of at most once a second", warnings, "event")
    hooks = {how: meters.hook_failures[how] for how in ("exception", "overflow", "timeout")}
    yield counter("webhooks_delivered", "Room events that the site has taken", meters.webhooks_delivered)
    yield counter("webhooks_failed", "Attempts to send a room event that failed", meters.webhook_failures)
    yield counter(
        "webhooks_dropped", "Room events not sent, because too many waited", meters.webhooks_dropped
    )
    yield counter(
        "hooks_failed", "Room events that the site's function was not told, or failed at", hooks, "how"
    )
    yield counter("loop_blocks", "How often the event loop was blocked", meters.loop_blocks)
    yield counter("loop_blocked_seconds", "For how long the event loop was blocked", meters.loop_blocked)


def _histograms(hub: Hub) -> Iterable[Family]:
    meters = hub.meters
    yield histogram(
        "relay_seconds",
        "From a relay's arrival until it was handed on; of one in 16 where there are many",
        meters.relay,
    )
    yield histogram("setup_answer_seconds", "From an offer to its answer", meters.setup.answer)
    yield histogram(
        "setup_candidate_seconds",
        "From an answer to the first ICE candidate after it",
        meters.setup.candidate,
    )
    yield histogram("loop_lag_seconds", "By how much a timer of the event loop was late", meters.loop_lag)
    yield histogram("store_seconds", "How long it took to keep or to fetch rooms", meters.store, "operation")
    yield histogram("inbox_delay_seconds", "How long what other workers sent was under way", meters.inbox)


def _samples(name: str, value: float | Mapping[str, float], label: str) -> list[Sample]:
    if isinstance(value, int | float):
        return [Sample(name, {}, value)]
    return [Sample(name, {label: str(key)}, one) for key, one in value.items()]
