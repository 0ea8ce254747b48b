"""The chronicle that workers share: two streams, written by the script of a commit.

``chronicle`` has the last events for who asks, ``outbox`` those that the site is still to be told, under
the same ids. One of the workers tells it: whose name stands in ``courier``, as long as it renews that.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import structs

from mikroroom.core.chronicle import RoomEvent, place
from mikroroom.core.effects import Happened
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.chronicle import BEGINNING, Retention, is_whole
from mikroroom.stores.port import Excerpt, Owed
from mikroroom.stores.redis.record import Entry, Step
from mikroroom.stores.redis.wire import OutOfReach, Refused, Reply

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RoomEvent).decode

# How many are taken out of the outbox by one command, and how many of a long one are read: Redis does nothing
# else meanwhile.
_TOGETHER = 500


class RedisChronicle:
    """See ``port.Chronicle``. ``run`` has a script run; ``name`` is of this worker, ``lease`` in ms."""

    def __init__(
        self,
        run: "Callable[..., Awaitable[Reply]]",
        name: Callable[[], str],
        retention: Retention,
        lease: int,
    ) -> None:
        self._run = run
        self._name = name
        self._retention = retention
        self._lease = lease

    async def excerpt(self, after: str | None, limit: int) -> Excerpt:
        """See ``port.Chronicle``."""
        since = BEGINNING if after is None else place(after)
        began, forgotten, entries = await self._ask(
            "chronicle", "chronicle", f"{since[0]}-{since[1] + 1}", limit
        )
        is_complete = is_whole(since, place(began.decode()), place(forgotten.decode()))
        return Excerpt(_events(entries), is_complete and bool(self._retention.kept))

    async def owed(self, limit: int) -> Owed:
        """See ``port.Chronicle``."""
        total, entries = await self._ask("chronicle", "outbox", "-", limit)
        return Owed(_events(entries), total)

    async def all_owed(self) -> list[RoomEvent]:
        """See ``port.Chronicle``."""
        waiting: list[RoomEvent] = []
        since = "-"
        while events := _events((await self._ask("chronicle", "outbox", since, _TOGETHER))[1]):
            waiting += events
            milliseconds, number = place(events[-1].id)
            since = f"{milliseconds}-{number + 1}"
        return waiting

    async def settle(self, ids: Sequence[str]) -> None:
        """See ``port.Chronicle``."""
        for at in range(0, len(ids), _TOGETHER):
            await self._ask("settle", *ids[at : at + _TOGETHER])

    async def is_courier(self) -> bool:
        """See ``port.Chronicle``."""
        return bool(await self._ask("courier", self._name(), self._lease))

    async def resign(self) -> None:
        """See ``port.Chronicle``."""
        await self._ask("courier", self._name(), 0)

    async def _ask(self, script: str, *arguments: str | int) -> Any:
        try:
            return await self._run(script, *arguments)
        except (OutOfReach, Refused) as error:
            raise Refusal(ErrorCode.SERVER_ERROR, f"The chronicle is out of reach: {error}") from error


def to_tell(steps: Iterable[Step], retention: Retention) -> list[tuple[str, bool]]:
    """What the script of a commit writes: each event in JSON, and whether the site is owed it."""
    if not retention.is_wanted:
        return []
    return [
        (_encode(effect.event).decode(), effect.event.type in retention.owed)
        for step in steps
        for effect in step.effects
        if isinstance(effect, Happened)
    ]


def without_events(entry: Entry) -> Entry:
    """An entry as other workers are to read it: whoever commits tells those outside."""
    steps = [
        structs.replace(step, effects=[effect for effect in step.effects if not isinstance(effect, Happened)])
        for step in entry.steps
    ]
    return structs.replace(entry, steps=steps)


def _events(entries: Iterable[tuple[bytes, list[bytes]]]) -> list[RoomEvent]:
    """Room events as they stand in a stream; one that cannot be read is none of ours."""
    events = []
    for name, fields in entries:
        event_id = name.decode()
        events.append(structs.replace(_decode(fields[1]), id=event_id, timestamp=place(event_id)[0]))
    return events
