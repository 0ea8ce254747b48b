"""What is counted for each client address over all workers (R30); while Redis is away, by each for itself."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from mikroroom.settings import Settings
from mikroroom.stores.port import Admission, Counts
from mikroroom.stores.redis.wire import OutOfReach, Refused

MINUTE = 60_000
# So often may a participant come back without that being a new connection.
RETURNS_PER_MINUTE = 5


class SharedCounts:
    """See ``stores.port.Counts``. ``run`` has a script run, or raises ``OutOfReach``."""

    def __init__(self, run: Callable[..., Awaitable[Any]], settings: Settings, local: Counts) -> None:
        self._run = run
        self._settings = settings
        self._local = local

    async def take_connection(self, address: str) -> Admission:
        """See ``stores.port.Counts``."""
        limit = self._settings.connections_per_minute
        try:
            wait, taken_at, is_extra = await self._run("connect", address, limit, MINUTE)
        except (Refused, OutOfReach):
            return await self._local.take_connection(address)
        return Admission(wait, taken_at, bool(is_extra))

    async def is_crowded(self, address: str) -> bool:
        """See ``stores.port.Counts``."""
        limit = self._settings.connections_per_minute
        try:
            return bool(await self._run("count", "connections", address, limit, MINUTE, 1, 0))
        except (Refused, OutOfReach):
            return await self._local.is_crowded(address)

    def give_back(self, address: str, taken_at: int) -> None:
        """See ``stores.port.Counts``."""
        self._local.give_back(address, taken_at)
        self._send("giveback", address, taken_at, "", 0, 0)

    def give_back_return(self, participant_id: str, address: str, taken_at: int) -> None:
        """See ``stores.port.Counts``."""
        self._local.give_back_return(participant_id, address, taken_at)
        self._send("giveback", address, taken_at, participant_id, RETURNS_PER_MINUTE, MINUTE)

    async def take_room(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        try:
            return int(await self._count("rooms", address, self._settings.rooms_per_minute, take=True))
        except (Refused, OutOfReach):
            return await self._local.take_room(address)

    async def room_wait(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        try:
            return int(await self._count("rooms", address, self._settings.rooms_per_minute, take=False))
        except (Refused, OutOfReach):
            return await self._local.room_wait(address)

    async def take_config(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        try:
            return int(await self._count("configs", address, self._settings.configs_per_minute, take=True))
        except (Refused, OutOfReach):
            return await self._local.take_config(address)

    async def guess_wait(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        try:
            return int(await self._count("guesses", address, self._settings.guesses_per_minute, take=False))
        except (Refused, OutOfReach):
            return await self._local.guess_wait(address)

    async def take_guess(self, address: str) -> int:
        """See ``stores.port.Counts``."""
        self._local.add_guess(address)
        try:
            return int(await self._count("guesses", address, self._settings.guesses_per_minute, take=True))
        except (Refused, OutOfReach):
            return 0

    def add_guess(self, address: str) -> None:
        """See ``stores.port.Counts``."""
        self._local.add_guess(address)
        self._send("count", "guesses", address, self._settings.guesses_per_minute, MINUTE, 0, 1)

    async def is_lapsed(self, token: bytes) -> bool:
        """See ``stores.port.Counts``."""
        if await self._local.is_lapsed(token):
            return True
        try:
            return bool(await self._run("lapsed", token.hex()))
        except (Refused, OutOfReach):
            return True  # whether it is a guess nobody can tell now

    def _send(self, name: str, *arguments: str | int) -> None:
        with suppress(OutOfReach):
            self._run(name, *arguments)

    def _count(self, what: str, address: str, limit: int, *, take: bool) -> Awaitable[Any]:
        return self._run("count", what, address, limit, MINUTE, 0, int(take))
