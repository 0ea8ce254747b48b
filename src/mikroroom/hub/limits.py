"""The limits that are counted per client address (R30), and what those who come back may beyond them.

Also how often the log speaks of such things.
"""

import logging
from collections import Counter

from mikroroom.core.ratelimit import Sampler, Window
from mikroroom.logs import Line
from mikroroom.settings import Settings

log = logging.getLogger(__name__)

MINUTE = 60_000
# So often may a participant come back without that being a new connection.
RETURNS_PER_MINUTE = 5
# What comes from many addresses at once must not fill the disk.
LOG_EVERY = 1_000


class Limits:
    """Windows of a minute: connections, room creations, failed guesses; for each participant its returns."""

    def __init__(self, settings: Settings) -> None:
        self.connections = Window(settings.connections_per_minute, MINUTE)
        self.rooms = Window(settings.rooms_per_minute, MINUTE)
        self.guesses = Window(settings.guesses_per_minute, MINUTE)
        self.returns = Window(RETURNS_PER_MINUTE, MINUTE)
        self.tokens_forgiven_until = 0
        # How many are suspended from an address: they may come back together.
        self._expected: Counter[str] = Counter()
        self._logged: dict[str, Sampler] = {}

    def forgive_tokens(self, until: int) -> None:
        """A crash has made us forget the newest tokens: to bring one is no guess."""
        self.tokens_forgiven_until = until

    def take_connection(self, address: str, now: int) -> int:
        """Count a new connection. Returns 0, or the milliseconds to wait if there are too many."""
        return self.connections.take(address, now, extra=self._expected[address])

    def allow_one_more(self, address: str) -> None:
        """Someone was suspended from this address: it may open one connection more."""
        self._expected[address] += 1

    def allow_one_less(self, address: str) -> None:
        """Someone who was is not any more."""
        self._expected[address] -= 1
        if not self._expected[address]:
            del self._expected[address]

    def tell(self, what: str, now: int, **fields: str) -> None:
        """Warn of something that may come in masses: once a second each, with the number of the others."""
        passed_over = self._logged.setdefault(what, Sampler(LOG_EVERY)).due(now)
        if passed_over is not None:
            log.warning(Line(what, **fields, more_before=passed_over or None))

    def prune(self, now: int) -> None:
        """Forget those of whom nothing is counted any more."""
        for window in (self.connections, self.rooms, self.guesses, self.returns):
            window.prune(now)
