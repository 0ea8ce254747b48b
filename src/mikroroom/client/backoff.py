"""How long to wait before each try to come back. Chance and waiting can be replaced."""

import asyncio
from collections.abc import Awaitable, Callable
from secrets import SystemRandom

_chance = SystemRandom()


class Backoff:
    """Waits that double from ``first`` seconds to ``most``, of each a random part (full jitter).

    So that those whom a restart has cut off do not all come back at once, nor again and again together.
    ``chance`` gives numbers from 0 to 1, ``sleep`` waits for so many seconds.
    """

    def __init__(
        self,
        first: float = 0.5,
        most: float = 5.0,
        *,
        chance: Callable[[], float] = _chance.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._first = first
        self.most = most
        self._chance = chance
        self._sleep = sleep
        self._next = first

    async def wait(self, at_least: float = 0.0) -> None:
        """Wait before the next try, and ``at_least`` so many seconds."""
        ceiling, self._next = self._next, min(self._next * 2, self.most)
        await self._sleep(at_least + self._chance() * ceiling)

    def reset(self) -> None:
        """It has worked: the next time begins anew."""
        self._next = self._first
