"""What people say to those on other workers: collected, and sent on in the order in which it was said.

What comes while an earlier batch is under way goes with the next one: under load a batch is large, and costs
little for each message; otherwise it goes at once.
"""

import asyncio
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from mikroroom.protocol.codec import Frame, frame
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.protocol.events import Relay
from mikroroom.stores.port import Kept
from mikroroom.stores.redis.link import Link, OutOfReach

# Bytes that may wait while Redis is slow or away. Then who speaks to other workers is refused.
MOST_WAITING = 16_777_216
# Batches under way at a time, and the most of a batch: Lua can unpack so many values.
UNDER_WAY = 2
BATCH_MESSAGES = 512
BATCH_BYTES = 1_048_576

Item = tuple[str, str, str, bytes | bytearray]


class Post:
    """The way to all other workers."""

    def __init__(self, link: Link, worker: str) -> None:
        self._link = link
        self._worker = worker
        self._items: list[Item] = []
        self._size = 0
        self._under_way: set[asyncio.Future[object]] = set()
        self._batches = 0
        self._is_due = False
        self.missed = asyncio.Event()
        """Set when a room or an inbox was not there."""

    @property
    def is_quiet(self) -> bool:
        """Whether all that was said has been sent on."""
        return not self._items and not self._under_way

    def relay(self, code: str, event: Relay) -> None:
        """To one participant, wherever it is. Raises ``Refusal``: SERVER_ERROR."""
        self._check()
        self._add("r", code, event.target_id, frame(event))

    def tell(self, code: str, version: int, said: Frame) -> None:
        """To all in the room but those here as of that version, who have heard it. Raises as ``relay``."""
        self._check()
        self._add("c", code, str(version), said)

    def hand_over(self, code: str, participant_id: str, kept: Kept) -> None:
        """What somebody was told here, to the worker on which it is now."""
        self._add("h", code, participant_id, msgspec.msgpack.encode(kept))

    def write(self, worker: str, letter: bytes) -> None:
        """To another worker, or to this one: it comes back after all that was sent on before."""
        self._add("w", "", worker, letter)

    async def drained(self) -> None:
        """All that was said has been sent on."""
        while not self.is_quiet:
            self.flush()
            await asyncio.gather(*self._under_way)

    def flush(self) -> None:
        """Send on what there is, before what comes next on the link."""
        while self._items:
            self._send()

    def _check(self) -> None:
        if self._size > MOST_WAITING:
            raise Refusal(
                ErrorCode.SERVER_ERROR, "Who is connected elsewhere cannot be reached now; try again"
            )

    def _add(self, kind: str, code: str, what: str, payload: bytes | bytearray) -> None:
        self._items.append((kind, code, what, payload))
        self._size += len(payload)
        if not self._is_due and len(self._under_way) < UNDER_WAY:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send_soon)

    def _send_soon(self) -> None:
        self._is_due = False
        while self._items and len(self._under_way) < UNDER_WAY:
            self._send()

    def _send(self) -> None:
        items, size = self._batch()
        self._batches += 1
        arguments: list[bytes | str] = []
        for kind, code, what, payload in items:
            arguments += (kind, code, what, bytes(payload))
        done = self._link.run("post", self._worker, self._batches, *arguments, is_repeatable=True)
        self._under_way.add(done)
        done.add_done_callback(lambda done: self._sent(done, size))

    def _batch(self) -> "_Batch":
        """The next items: as many as fit."""
        count = size = 0
        for item in self._items[:BATCH_MESSAGES]:
            if count and size + len(item[3]) > BATCH_BYTES:
                break
            count += 1
            size += len(item[3])
        batch = self._items[:count]
        del self._items[:count]
        return _Batch(batch, size)

    def _sent(self, done: "asyncio.Future[object]", size: int) -> None:
        self._size -= size
        self._under_way.discard(done)
        if done.cancelled() or isinstance(done.exception(), OutOfReach):
            return
        if done.exception() is not None or done.result():
            self.missed.set()
        if self._items:
            self._send_soon()


class _Batch(NamedTuple):
    items: list[Item]
    size: int


class FarSide:
    """Those of one room who are on other workers. See ``stores.port.Far``."""

    __slots__ = ("_code", "_ids", "_post", "_version")

    def __init__(self, post: Post, code: str, version: int, ids: Collection[str]) -> None:
        self._post = post
        self._code = code
        self._version = version
        self._ids = frozenset(ids)

    def __contains__(self, participant_id: object) -> bool:
        return participant_id in self._ids

    def relay(self, event: Relay) -> None:
        """See ``stores.port.Far``."""
        self._post.relay(self._code, event)

    def tell(self, frame: Frame) -> None:
        """See ``stores.port.Far``."""
        self._post.tell(self._code, self._version, frame)
