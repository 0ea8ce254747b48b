"""What was counted during a test. No judgement: that is ``report``'s."""

from collections import Counter
from enum import StrEnum

from mikroroom.loadtest.histogram import Histogram

# The kinds of message that are measured, by their type on the wire.
KINDS = ("offer", "answer", "ice-candidate", "chat")


class Failure(StrEnum):
    """A promise that the server did not keep."""

    UNCONNECTED = "unconnected"
    UNANSWERED_JOINS = "unanswered_joins"
    CLOSED = "closed"
    LOST = "lost"
    DUPLICATED = "duplicated"
    OUT_OF_ORDER = "out_of_order"
    MISROUTED = "misrouted"
    ALTERED = "altered"
    UNREADABLE = "unreadable"
    WRONG_ROSTERS = "wrong_rosters"
    SERVER_ERRORS = "server_errors"
    NOT_CUT_OFF = "not_cut_off"
    MISNUMBERED = "misnumbered"
    NOT_RESUMED = "not_resumed"
    NOT_REPLAYED = "not_replayed"


class StormScore:
    """What was counted of a storm: its length in ``seconds``, and how long what others said was under way.

    ``now`` is where that is counted at present: ``latency_before`` the storm, or ``latency`` during it.
    """

    def __init__(self, people: int) -> None:
        self.people = people
        self.seconds = 0.0
        self.latency_before = Histogram()
        self.latency = Histogram()
        self.now: Histogram | None = self.latency_before


class Score:
    """Counts and durations of one test.

    ``refusals`` are what the server said no to, by HTTP status or error code; ``closes`` are close codes of
    connections that ended though nobody here ended them; ``unconnected`` tells why there was no connection.
    """

    def __init__(self) -> None:
        self.sent = dict.fromkeys(KINDS, 0)
        self.delivered = dict.fromkeys(KINDS, 0)
        self.latency = {kind: Histogram() for kind in KINDS}
        self.latency_beside_slow = Histogram()
        self.connecting = Histogram()
        self.joining = Histogram()
        self.joining_late = Histogram()
        self.cutting_off = Histogram()
        self.resuming = Histogram()
        self.storm: StormScore | None = None
        self.connections_asked = 0
        self.joins_asked = 0
        self.resumes_asked = 0
        self.held_back = 0
        self.sending_seconds = 0.0
        self.slow_readers: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()
        self.unconnected: Counter[str] = Counter()
        self.failures: Counter[Failure] = Counter()

    def deliver(self, kind: str, nanoseconds: int, *, beside_slow: bool) -> None:
        """A message has arrived where it belongs."""
        self.delivered[kind] += 1
        self.latency[kind].add(nanoseconds)
        if beside_slow:
            self.latency_beside_slow.add(nanoseconds)
        if self.storm is not None and self.storm.now is not None:
            self.storm.now.add(nanoseconds)

    @property
    def all_delivered(self) -> int:
        """Deliveries of every kind."""
        return sum(self.delivered.values())
