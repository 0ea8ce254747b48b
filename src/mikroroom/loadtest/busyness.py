"""How busy the tester itself was: if it was, what it measured is itself."""

import asyncio
from time import perf_counter, perf_counter_ns, process_time
from types import TracebackType
from typing import Self

from mikroroom.loadtest.histogram import Histogram

_TICK = 0.01
# Above these the tester may be what limits.
MUCH_CPU = 0.8
MUCH_LAG = 20.0


class Busyness:
    """While the block lasts: the share of one CPU that this process used, and how late its event loop was."""

    def __init__(self) -> None:
        self.lag = Histogram()
        self.cpu = 0.0
        self._ticking: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._began, self._used = perf_counter(), process_time()
        self._ticking = asyncio.get_running_loop().create_task(self._tick())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        self.cpu = (process_time() - self._used) / max(perf_counter() - self._began, 1e-9)

    @property
    def is_limit(self) -> bool:
        """Whether figures would likely be better with a faster tester."""
        return self.cpu > MUCH_CPU or self.lag.percentile(0.99) > MUCH_LAG

    async def _tick(self) -> None:
        while True:
            due = perf_counter_ns() + int(_TICK * 1e9)
            await asyncio.sleep(_TICK)
            self.lag.add(perf_counter_ns() - due)
