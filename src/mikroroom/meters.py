"""What is counted and timed, as plain numbers: cheap enough for every message.

Whoever wants to know reads them here; what they are called elsewhere is for ``transport.metrics`` to say.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from itertools import islice

# In a second with more messages than this, only one in sixteen is timed: a clock is slow beside a counter.
MANY = 500
ONE_IN_SIXTEEN = 0b1111
# Offers that wait for their answer, and answers for a candidate: those that never come must not pile up.
MOST_PENDING = 10_000

# Seconds.
SHORT = (0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
MIDDLING = (0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LONG = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """How often something took how long. ``counts`` has one place more than ``bounds``: what took longer."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """It took so long once more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class Setup:
    """How two people come to a connection: an offer, its answer, and the answering side's first candidate.

    All of it is seen where the one who answers is: the offer as it is handed over, the rest as it is said.
    ``offers`` and ``answers`` are what has not been followed by the next step, and since when, by who offered
    and who is to answer: while there are none, nobody need tell of the next.
    """

    __slots__ = ("answer", "answers", "candidate", "offers")

    def __init__(self) -> None:
        self.answer = Histogram(LONG)
        self.candidate = Histogram(LONG)
        self.offers: dict[tuple[str, str], float] = {}
        self.answers: dict[tuple[str, str], float] = {}

    def offered(self, offerer: str, answerer: str, now: float) -> None:
        """An offer was handed over."""
        self.offers[offerer, answerer] = now

    def forget(self, offerer: str, answerer: str) -> None:
        """Another offer takes the place of what was noted."""
        self.offers.pop((offerer, answerer), None)

    def answered(self, offerer: str, answerer: str, now: float) -> None:
        """An offer was answered."""
        since = self.offers.pop((offerer, answerer), None)
        if since is not None:
            self.answer.observe(now - since)
            self.answers[offerer, answerer] = now

    def found(self, offerer: str, answerer: str, now: float) -> None:
        """The one who answered has a candidate; the first is what counts."""
        since = self.answers.pop((offerer, answerer), None)
        if since is not None:
            self.candidate.observe(now - since)

    def prune(self) -> None:
        """Forget the oldest of those that are many by now: of some nothing will ever follow."""
        for pending in (self.offers, self.answers):
            for pair in list(islice(pending, max(0, len(pending) - MOST_PENDING))):
                del pending[pair]


class Meters:
    """Everything that one process counts. Keys say what of: a code, a kind, a name."""

    def __init__(self) -> None:
        self.connections_opened = 0
        self.connections_ended = 0
        self.closes: Counter[int] = Counter()
        self.joins = 0
        self.waits = 0
        self.leaves = 0
        self.suspensions = 0
        self.resumes: Counter[str] = Counter()
        # By the class of the request: what it is called is not known here.
        self.messages: defaultdict[type, int] = defaultdict(int)
        # What is timed is a message whose number has none of these bits.
        self.mask = 0
        self._counted = 0
        self.refusals: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        """By the event that the log names, where it passes some over."""
        self.relay = Histogram(SHORT)
        self.setup = Setup()
        self.loop_lag = Histogram(MIDDLING)
        self.loop_blocks = 0
        self.loop_blocked = 0.0
        """Seconds."""
        self.store: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(MIDDLING))
        self.inbox = Histogram(MIDDLING)
        self.webhooks_delivered = 0
        self.webhooks_dropped = 0
        self.webhook_failures = 0
        self.webhooks_waiting = 0
        self.webhooks_age = 0.0
        """How long the oldest one has waited, in seconds."""
        self.hook_failures: Counter[str] = Counter()

    def tidy(self) -> None:
        """Once a second: see how much there is to be timed, and forget what will never be followed."""
        counted = sum(self.messages.values())
        self.mask = ONE_IN_SIXTEEN if counted - self._counted > MANY else 0
        self._counted = counted
        self.setup.prune()
