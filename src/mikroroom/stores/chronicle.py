"""The chronicle of a single process: what has happened in its rooms, and what the site is still to be told.

Where there is a journal, nothing is seen of an event before it is on the disk, in one transaction with the
room that it changed: else a crash might leave the site with someone who, as the rooms have it, never came.
While the journal cannot write, there is nothing to agree with, and events are seen at once.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from msgspec import Struct, structs

from mikroroom.core.chronicle import RoomEvent, RoomEventType, place
from mikroroom.core.effects import Effects, Happened
from mikroroom.settings import Settings
from mikroroom.stores.port import Excerpt, Owed

# While the journal cannot write, so many events wait for it at most; those before will not be on the disk.
MOST_UNWRITTEN = 20_000


class Retention(Struct, frozen=True):
    """How many room events are kept for who asks, and which the site is owed."""

    kept: int = 0
    owed: frozenset[RoomEventType] = frozenset()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self.kept or self.owed)


def retention_of(settings: Settings) -> Retention:
    """What these settings ask for: nobody reads a chronicle who is not let in, or has no webhook."""
    return Retention(
        kept=settings.events_kept if settings.admin_token else 0,
        owed=frozenset(settings.webhook_events) if settings.webhook_url else frozenset(),
    )


Place = tuple[int, int]

# Before all that ever happened.
BEGINNING: Place = (0, 0)


def is_whole(since: Place, began: Place, forgotten: Place) -> bool:
    """Whether all that came after ``since`` is still kept: ``forgotten`` is the newest that is not.

    What came before a chronicle ``began`` may have been lost with a former one. Who has never heard of
    anything (``BEGINNING``) misses nothing of that.
    """
    return since >= forgotten and (since == BEGINNING or since >= began)


class Row(Struct, array_like=True):
    """A room event as it stands in the file: its id as two numbers, its JSON, whether the site is owed it."""

    milliseconds: int
    number: int
    record: RoomEvent
    is_owed: bool


class Changes(Struct):
    """What there is to be written: new events, the ids of those that are owed no more.

    ``forgotten`` is the newest one that is not kept any more.
    """

    rows: list[Row]
    settled: list[str]
    forgotten: Place


class MemoryChronicle:
    """See ``port.Chronicle``, and the module. ``wall`` is the time that events are told to be of."""

    def __init__(self, retention: Retention, wall: Callable[[], int]) -> None:
        self._retention = retention
        self._wall = wall
        self._began: Place = (wall(), 0)
        # No event is older than the chronicle, wherever the clock is set.
        self._last: Place = (self._began[0], -1)
        self._forgotten = BEGINNING
        self._kept: deque[RoomEvent] = deque()
        self._owed: dict[str, RoomEvent] = {}
        self._changed: Callable[[], None] | None = None
        self._is_held = False
        self._is_loaded = False
        # What is not on the disk yet; the first few of it may be seen all the same.
        self._unwritten: list[RoomEvent] = []
        self._seen = 0
        self._settled: list[str] = []

    def note(self, effects: Effects) -> None:
        """Take in what has happened."""
        if not self._retention.is_wanted:
            return
        happened = [effect.event for effect in effects if isinstance(effect, Happened)]
        for event in happened:
            numbered = self._numbered(event)
            if self._changed is None:
                self._show(numbered)
            else:
                self._unwritten.append(numbered)
        if happened and self._changed is not None:
            self._show_unwritten()
            self._changed()

    async def excerpt(self, after: str | None, limit: int) -> Excerpt:
        """See ``port.Chronicle``."""
        since = BEGINNING if after is None else place(after)
        newer = bisect_right(self._kept, since, key=lambda event: place(event.id))
        events = list(islice(self._kept, newer, newer + limit))
        return Excerpt(events, is_whole(since, self._began, self._forgotten))

    async def owed(self, limit: int) -> Owed:
        """See ``port.Chronicle``."""
        return Owed(list(islice(self._owed.values(), limit)), len(self._owed))

    async def all_owed(self) -> list[RoomEvent]:
        """See ``port.Chronicle``."""
        return list(self._owed.values())

    async def settle(self, ids: Sequence[str]) -> None:
        """See ``port.Chronicle``."""
        settled = [event_id for event_id in ids if self._owed.pop(event_id, None) is not None]
        if settled and self._changed is not None:
            self._settled += settled
            self._changed()

    async def is_courier(self) -> bool:
        """See ``port.Chronicle``. There is nobody else."""
        return True

    async def resign(self) -> None:
        """See ``port.Chronicle``."""

    # With a journal

    def attach(self, changed: Callable[[], None] | None) -> None:
        """From now on there is a journal, or none: ``changed`` is called when there is something to write."""
        self._changed = changed
        self._is_held = changed is not None
        if changed is None:
            self._show_unwritten()
            self._unwritten.clear()
            self._settled.clear()
            self._seen = 0

    def hold(self, *, is_held: bool) -> None:
        """Whether events are to be on the disk before they are seen; not while nothing can be written."""
        self._is_held = is_held
        self._show_unwritten()

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._unwritten or self._settled)

    def load(self, rows: Sequence[Row]) -> None:
        """Take in what was in the file at the start. What has been noted since comes after it."""
        if self._is_loaded or not self._retention.is_wanted:
            return
        self._is_loaded = True
        # Of what the site is owed some may be kept for that alone, and others of their time not any more.
        first = next((row for row in rows if not row.is_owed), next(iter(rows), None))
        if first is not None:
            self._began = first.milliseconds, first.number
        newer, self._kept = self._kept, deque()
        owed, self._owed = self._owed, {}
        for row in rows:
            event_id = f"{row.milliseconds}-{row.number}"
            event = structs.replace(row.record, id=event_id, timestamp=row.milliseconds)
            self._keep(event)
            if row.is_owed:
                self._owed[event_id] = event
            self._last = max(self._last, (row.milliseconds, row.number))
        for event in newer:
            self._keep(event)
        self._owed |= owed
        # Whatever stands in the file is older than what was not written to it.
        unwritten = next(iter(self._unwritten), None)
        if unwritten is not None and not self._seen and place(unwritten.id) <= self._last:
            self._unwritten = [self._numbered(event) for event in self._unwritten]

    def rewrite(self) -> None:
        """What is in the file is unknown: all is to be written."""
        shown = {event.id: event for event in (*self._owed.values(), *self._kept)}
        unseen = self._unwritten[self._seen :]
        shown |= {event.id: event for event in self._unwritten[: self._seen]}
        self._unwritten = [*sorted(shown.values(), key=lambda event: place(event.id)), *unseen]
        self._seen = len(shown)
        self._settled.clear()

    def changes(self) -> Changes:
        """All that there is to be written now."""
        rows = [
            Row(*place(event.id), event, self._is_owed(event, is_seen=number < self._seen))
            for number, event in enumerate(self._unwritten)
        ]
        return Changes(rows, list(self._settled), self._forgotten)

    def written(self, changes: Changes) -> None:
        """It is on the disk."""
        newest = max(((row.milliseconds, row.number) for row in changes.rows), default=(0, 0))
        count = sum(place(event.id) <= newest for event in self._unwritten)
        for event in self._unwritten[self._seen : count]:
            self._show(event)
        del self._unwritten[:count]
        del self._settled[: len(changes.settled)]
        self._seen = max(0, self._seen - count)

    def _is_owed(self, event: RoomEvent, *, is_seen: bool) -> bool:
        return event.id in self._owed if is_seen else event.type in self._retention.owed

    def _numbered(self, event: RoomEvent) -> RoomEvent:
        """It gets a place behind all others, whatever the clock says."""
        milliseconds, number = self._last
        now = self._wall()
        self._last = (now, 0) if now > milliseconds else (milliseconds, number + 1)
        milliseconds, number = self._last
        return structs.replace(event, id=f"{milliseconds}-{number}", timestamp=milliseconds)

    def _show_unwritten(self) -> None:
        if self._is_held:
            return
        for event in self._unwritten[self._seen :]:
            self._show(event)
        del self._unwritten[:-MOST_UNWRITTEN]
        self._seen = len(self._unwritten)

    def _show(self, event: RoomEvent) -> None:
        self._keep(event)
        if event.type in self._retention.owed:
            self._owed[event.id] = event

    def _keep(self, event: RoomEvent) -> None:
        self._kept.append(event)
        if len(self._kept) > self._retention.kept:
            self._forgotten = place(self._kept.popleft().id)
