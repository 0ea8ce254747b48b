"""The limits that are counted per client address (R30), and what those who come back may beyond them.

Also how often the log speaks of such things.
"""

import logging
from collections import Counter
from collections.abc import Callable

from mikroroom.core.ratelimit import Sampler, Window
from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.settings import Settings
from mikroroom.stores.port import Admission

log = logging.getLogger(__name__)

MINUTE = 60_000
# So often may a participant come back without that being a new connection.
RETURNS_PER_MINUTE = 5
# Tokens whose window has ended: enough for a large site that was cut off as a whole.
LAPSED_REMEMBERED = 20_000
# What comes from many addresses at once must not fill the disk.
LOG_EVERY = 1_000


class Limits:
    """Windows of a minute: connections, rooms, configurations, guesses; for each participant its returns."""

    def __init__(self, settings: Settings, meters: Meters) -> None:
        self._meters = meters
        self.connections = Window(settings.connections_per_minute, MINUTE)
        self.rooms = Window(settings.rooms_per_minute, MINUTE)
        self.configs = Window(settings.configs_per_minute, MINUTE)
        self.guesses = Window(settings.guesses_per_minute, MINUTE)
        self.returns = Window(RETURNS_PER_MINUTE, MINUTE)
        self.tokens_forgiven_until = 0
        # How many are suspended from an address: they may come back together.
        self._expected: Counter[str] = Counter()
        self._lapsed: dict[bytes, None] = {}
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

    def remember_lapsed(self, tokens: tuple[bytes, ...]) -> None:
        """Whoever comes with these is late, but does not guess (R45)."""
        self._lapsed.update(dict.fromkeys(tokens))
        while len(self._lapsed) > LAPSED_REMEMBERED:
            del self._lapsed[next(iter(self._lapsed))]

    def is_lapsed(self, token: bytes) -> bool:
        """Whether this is one of them."""
        return token in self._lapsed

    def tell(self, what: str, now: int, **fields: str) -> None:
        """Warn of something that may come in masses: once a second each, with the number of the others."""
        self._meters.warnings[what] += 1
        passed_over = self._logged.setdefault(what, Sampler(LOG_EVERY)).due(now)
        if passed_over is not None:
            log.warning(Line(what, **fields, more_before=passed_over or None))

    def prune(self, now: int) -> None:
        """Forget those of whom nothing is counted any more."""
        for window in (self.connections, self.rooms, self.configs, self.guesses, self.returns):
            window.prune(now)


class LocalCounts:
    """The counts of a process that shares them with nobody. See ``stores.port.Counts``."""

    def __init__(self, limits: Limits, clock: Callable[[], int]) -> None:
        self._limits = limits
        self._clock = clock

    async def take_connection(self, address: str) -> Admission:
        """See ``stores.port.Counts``."""
        now = self._clock()
        is_extra = self._limits.connections.wait(address, now) > 0
        return Admission(self._limits.take_connection(address, now), now, is_extra)

    async def is_crowded(self, address: str) -> bool:
        """See ``stores.port.Counts``."""
        return self._limits.connections.is_exceeded(address, self._clock())

    def give_back(self, address: str, taken_at: int) -> None:
        """See ``stores.port.Counts``."""
        self._limits.connections.give_back(address, taken_at)

    def give_back_return(self, participant_id: str, address: str, taken_at: int) -> None:
        """See ``stores.port.Counts``."""
        if self._limits.returns.take(participant_id, self._clock()) == 0:
            self.give_back(address, taken_at)

    async def take_room(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        return self._limits.rooms.take(address, self._clock())

    async def room_wait(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        return self._limits.rooms.wait(address, self._clock())

    async def take_config(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        return self._limits.configs.take(address, self._clock())

    async def guess_wait(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        return self._limits.guesses.wait(address, self._clock())

    async def take_guess(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        return self._limits.guesses.take(address, self._clock())

    def add_guess(self, address: str) -> None:
        """See ``stores.port.Counts``."""
        self._limits.guesses.take(address, self._clock())

    async def is_lapsed(self, token: bytes) -> bool:
        """See ``stores.port.Counts``."""
        return self._limits.is_lapsed(token)
