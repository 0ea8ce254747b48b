"""A storm: many people are cut off in the same moment, and all come back at once, while others talk."""

import asyncio
from time import perf_counter

from mikroroom.loadtest.people import Visit
from mikroroom.loadtest.score import StormScore
from mikroroom.loadtest.stage import Stage
from mikroroom.loadtest.wire import Wire

# As many handshakes as a listener commonly keeps waiting.
_RETURNING_AT_ONCE = 1_024
# So many are cut off or start to come back in one go: those who talk must be heard in between.
_IN_ONE_GO = 16


class Storm:
    """Those whom it hits, each with its connection."""

    def __init__(self, stage: Stage, people: list[tuple[Visit, Wire]]) -> None:
        self._stage = stage
        self._people = people
        self._turns = asyncio.Semaphore(_RETURNING_AT_ONCE)
        self._score = stage.score.storm = StormScore(len(people))

    async def break_out(self, at: float) -> None:
        """Wait until then (``perf_counter``), cut everyone off, and bring them back."""
        await asyncio.sleep(at - perf_counter())
        score = self._score
        score.now, began = score.latency, perf_counter()
        for place, (_, wire) in enumerate(self._people):
            self._stage.cut(wire)
            await _let_others_speak(place)
        async with asyncio.TaskGroup() as returning:
            for place, (visit, wire) in enumerate(self._people):
                returning.create_task(self._return(visit, wire.source))
                await _let_others_speak(place)
        score.seconds, score.now = perf_counter() - began, None

    async def _return(self, visit: Visit, source: str | None) -> None:
        async with self._turns:
            if await self._stage.resume(visit, source) is None:
                visit.is_over = True


async def _let_others_speak(place: int) -> None:
    if place % _IN_ONE_GO == 0:
        await asyncio.sleep(0)
