"""The limits that are counted per client address (R30)."""

from mikroroom.core.ratelimit import Window
from mikroroom.settings import Settings

MINUTE = 60_000


class Limits:
    """Three windows of a minute: connections, room creations, failed guesses."""

    def __init__(self, settings: Settings) -> None:
        self.connections = Window(settings.connections_per_minute, MINUTE)
        self.rooms = Window(settings.rooms_per_minute, MINUTE)
        self.guesses = Window(settings.guesses_per_minute, MINUTE)

    def prune(self, now: int) -> None:
        """Forget the addresses that have nothing counted any more."""
        for window in (self.connections, self.rooms, self.guesses):
            window.prune(now)
