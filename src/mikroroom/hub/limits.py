"""The limits that are counted per client address (R30), and what the log says of them."""

import logging

from mikroroom.core.ratelimit import Sampler, Window
from mikroroom.logs import Line
from mikroroom.settings import Settings

log = logging.getLogger(__name__)

MINUTE = 60_000
# What comes from many addresses at once must not fill the disk.
LOG_EVERY = 1_000


class Limits:
    """Three windows of a minute: connections, room creations, failed guesses."""

    def __init__(self, settings: Settings) -> None:
        self.connections = Window(settings.connections_per_minute, MINUTE)
        self.rooms = Window(settings.rooms_per_minute, MINUTE)
        self.guesses = Window(settings.guesses_per_minute, MINUTE)
        self._logged: dict[str, Sampler] = {}

    def tell(self, what: str, now: int, **fields: str) -> None:
        """Warn of something that may come in masses: once a second each, with the number of the others."""
        passed_over = self._logged.setdefault(what, Sampler(LOG_EVERY)).due(now)
        if passed_over is not None:
            log.warning(Line(what, **fields, more_before=passed_over or None))

    def prune(self, now: int) -> None:
        """Forget the addresses that have nothing counted any more."""
        for window in (self.connections, self.rooms, self.guesses):
            window.prune(now)
