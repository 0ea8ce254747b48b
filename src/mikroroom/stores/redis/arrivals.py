"""People whose place is on this worker now, and whose mailbox is still on its way from the one where it was.

The former worker sends it as soon as it hears. Where that one is gone, Redis may have what it left; and where
nobody has anything, all that is known is how much had come from them.

Whoever moves on before its mailbox has come is followed by it in two parcels: the former mailbox, and what
was told since.
"""

import asyncio
from collections.abc import Callable

import msgspec

from mikroroom.protocol.codec import HEADROOM, numbered, to_frame, unnumbered
from mikroroom.stores.port import Kept
from mikroroom.stores.redis.desk import Request
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.post import Parcel
from mikroroom.stores.redis.wire import OutOfReach, Refused

# Seconds within which a worker that lives sends what it has.
PATIENCE = 1.0
# Who is told to have sent what was found in Redis.
LEFT = "left"


class Arrival:
    """One of them, from the worker ``origin``. ``request`` is done when all is there.

    What was said to it from here, when it was still thought to be elsewhere, has come if it ``is_clear``. Of
    two parcels, ``earlier`` and ``later`` are those that are here.
    """

    def __init__(self, code: str, origin: str, request: Request | None) -> None:
        self.code = code
        self.origin = origin
        self.request = request
        self.is_clear = False
        self.is_looked_up = False
        self.kept: Kept | None = None
        self.earlier: Parcel | None = None
        self.later: Parcel | None = None
        self.timer: asyncio.TimerHandle | None = None

    def take(self, parcel: Parcel) -> None:
        """This has come."""
        if parcel.follows:
            self.later = parcel
        elif parcel.sender in ("", self.origin):  # workers of the version before do not tell
            self.kept = parcel.unwrapped()
        else:
            self.earlier = parcel
        if self.kept is None and self.earlier is not None and self.later is not None:
            self.kept = _joined(self.earlier, self.later)

    def make_do(self, left: Kept) -> None:
        """Nothing more will come; this is what was ``left`` in Redis."""
        if self.later is not None:
            self.kept = _joined(left, self.later)
        else:
            self.kept = left if self.earlier is None else self.earlier.unwrapped()
            # What was told since is missing.
            self.kept.is_whole = self.kept.is_whole and self.earlier is None


class Arrivals:
    """All of them, by id. ``take_over`` is called once for each, when all is there that will be.

    ``send_on`` is called with what comes of someone who has gone on by then, and its room's code.
    """

    def __init__(
        self,
        link: Link,
        take_over: Callable[[str, Kept | None], None],
        send_on: Callable[[str, str, Parcel | None], None],
    ) -> None:
        self._link = link
        self._take_over = take_over
        self._send_on = send_on
        self._arrivals: dict[str, Arrival] = {}
        self._looking: set[asyncio.Task[None]] = set()
        # Who has gone on while it was looked up in Redis, where nobody else will find it now.
        self._gone_on: set[Arrival] = set()

    def any(self) -> bool:
        """Whether somebody's mailbox is on its way here."""
        return bool(self._arrivals or self._gone_on)

    def expect(self, participant_id: str, arrival: Arrival, *, is_alive: bool) -> None:
        """Someone was on another worker, which lives as far as we know."""
        self._finish(participant_id)
        self._arrivals[participant_id] = arrival
        if is_alive:
            loop = asyncio.get_running_loop()
            arrival.timer = loop.call_later(PATIENCE, self._look_up, participant_id, arrival)
        else:
            self._look_up(participant_id, arrival)

    def wait_for(self, participant_id: str, request: Request) -> bool:
        """Whether this request of somebody who comes back is done only when its mailbox is here."""
        arrival = self._arrivals.get(participant_id)
        if arrival is None:
            return False
        arrival.request = request
        return True

    def take(self, participant_id: str, parcel: Parcel) -> None:
        """A former worker has sent what it has."""
        arrival = self._arrivals.get(participant_id)
        if arrival is not None:
            arrival.take(parcel)
            self._finish_if_there(participant_id, arrival)

    def clear(self, participant_id: str) -> None:
        """All has come now that was sent to this one before it was known to be here."""
        arrival = self._arrivals.get(participant_id)
        if arrival is not None:
            arrival.is_clear = True
            self._finish_if_there(participant_id, arrival)

    def forget(self, participant_id: str) -> Arrival | None:
        """Someone has gone on to another worker, or away. Returns it, if its mailbox had not come."""
        arrival = self._arrivals.pop(participant_id, None)
        if arrival is not None:
            _end(arrival)
            if arrival.is_looked_up and arrival.kept is None:
                self._gone_on.add(arrival)
        return arrival

    def _finish_if_there(self, participant_id: str, arrival: Arrival) -> None:
        if arrival.kept is not None and arrival.is_clear:
            self._finish(participant_id)

    def _finish(self, participant_id: str) -> None:
        arrival = self._arrivals.pop(participant_id, None)
        if arrival is not None:
            self._take_over(participant_id, arrival.kept)
            _end(arrival)

    def _look_up(self, participant_id: str, arrival: Arrival) -> None:
        arrival.is_looked_up = True
        looking = asyncio.create_task(self._ask(participant_id, arrival))
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    async def _ask(self, participant_id: str, arrival: Arrival) -> None:
        """What was left in Redis."""
        kept, count = None, None
        try:
            kept = await self._link.call(b"GETDEL", self._link.key("kept", participant_id))
            room = self._link.key("room", arrival.code)
            count = await self._link.call(b"HGET", room, f"c:{participant_id}")
        except (Refused, OutOfReach):
            pass  # then nobody knows
        if self._arrivals.get(participant_id) is arrival:
            if arrival.kept is None:
                arrival.make_do(_kept_from(kept, count))
            self._finish(participant_id)
        elif arrival in self._gone_on:
            self._gone_on.discard(arrival)
            found = None if kept is None else Parcel.of(_kept_from(kept, count), LEFT)
            self._send_on(arrival.code, participant_id, found)


def _joined(earlier: Kept, later: Parcel) -> Kept:
    """One mailbox of two parcels."""
    messages = list(earlier.messages)
    for seq, message in enumerate(later.messages, earlier.count + 1):
        messages.append(bytes(memoryview(numbered(unnumbered(to_frame(message)), seq))[HEADROOM:]))
    is_counted = earlier.is_whole or earlier.count > 0
    return Kept(
        earlier.count + len(later.messages) if is_counted else 0,
        max(earlier.last_client_seq, later.last_client_seq),
        max(earlier.last_stamp, later.last_stamp),
        messages,
        is_whole=earlier.is_whole and not later.has_gap,
    )


def _kept_from(kept: bytes | None, count: bytes | None) -> Kept:
    taken = int(count or 0)
    if kept is not None:
        try:
            left = msgspec.msgpack.decode(kept, type=Kept)
        except msgspec.MsgspecError:
            pass  # of another version
        else:
            left.last_client_seq = max(left.last_client_seq, taken)
            return left
    return Kept(0, taken, 0, [], is_whole=False)


def _end(arrival: Arrival) -> None:
    if arrival.timer is not None:
        arrival.timer.cancel()
    if arrival.request is not None:
        arrival.request.succeed()
