"""What people say to those on other workers: collected, and sent on in the order in which it was said.

What comes while an earlier batch is under way goes with the next one: under load a batch is large, and costs
little for each message; otherwise it goes at once. A batch has one letter for each worker, which nobody looks
into on the way as long as everybody is where we think; what was said in a room that has changed meanwhile is
taken out by Redis, and sent to where its people are by then (``lua/post.lua``).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from mikroroom.protocol.codec import HEADROOM, Frame, encode
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.protocol.events import Chat, Relay
from mikroroom.stores.port import Kept
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.wire import Argument, OutOfReach, Piece

# Bytes that may wait while Redis is slow or away. Then who speaks to other workers is refused.
MOST_WAITING = 16_777_216
# Batches under way at a time, and the size from which on there is more than one.
UNDER_WAY = 2
LARGE = 1_048_576


class Parcel(Kept):
    """What somebody was told, as ``sender`` hands it over to the worker where it is now.

    Whoever moves on before its parcel has come leaves one that ``follows``: what it was told since. The other
    one is sent by Redis to where it is by then. ``has_gap`` is whether not even this is whole; to workers of
    the version before, all of it is something with a gap.
    """

    sender: str = ""
    follows: bool = False
    has_gap: bool = False

    @classmethod
    def of(cls, kept: Kept, sender: str, *, follows: bool = False) -> "Parcel":
        """Wrap it up."""
        return cls(
            kept.count,
            kept.last_client_seq,
            kept.last_stamp,
            kept.messages,
            is_whole=kept.is_whole and not follows,
            sender=sender,
            follows=follows,
            has_gap=follows and not kept.is_whole,
        )

    def unwrapped(self) -> Kept:
        """What is in it."""
        return Kept(self.count, self.last_client_seq, self.last_stamp, self.messages, is_whole=self.is_whole)


class Letter:
    """What goes to one worker with the next batch: ``pieces``, and the rooms it is about, at which versions.

    Each thing said is a line (kind, room, whom or what, place in the batch, length) and then itself; ``read``
    reads it.
    """

    __slots__ = ("pieces", "versions")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.versions: dict[str, int] = {}

    def add(self, kind: str, code: str, what: str, place: int, said: Piece) -> int:
        """Returns by how much it has grown."""
        head = b"%b %b %b %d %d\n" % (kind.encode(), code.encode(), what.encode(), place, len(said))
        self.pieces.append(head)
        self.pieces.append(said)
        return len(head) + len(said)


class Post:
    """The way to all other workers."""

    def __init__(self, link: Link, worker: str) -> None:
        self._link = link
        self._worker = worker
        self._letters: dict[str, Letter] = {}
        self._size = 0
        self._place = 0
        self.waiting = 0
        """Bytes that Redis has not confirmed yet."""
        self._under_way: set[asyncio.Future[object]] = set()
        self._batches = 0
        self._is_due = False
        self.missed = asyncio.Event()
        """Set when a room or an inbox was not there."""

    def relay(self, worker: str, code: str, version: int, event: Relay | Chat, target_id: str) -> None:
        """To one participant, who is on that worker as of that version. Raises ``Refusal``: SERVER_ERROR."""
        self._check()
        self._add(worker, "r", code, target_id, encode(event), version)

    def tell(self, workers: Iterable[str], code: str, version: int, said: Frame) -> None:
        """To everyone in the room elsewhere, as of that version. Raises as ``relay``.

        Those on this worker as of that version have heard it.
        """
        self._check()
        text = memoryview(said)[HEADROOM:]
        kind = "c"
        for worker in workers:
            self._add(worker, kind, code, f"{self._worker}:{version}", text, version)
            kind = "d"  # the same again: where the room has changed, one of them is sent to all who are there

    def hand_over(
        self, worker: str, code: str, version: int, participant_id: str, kept: Kept, *, follows: bool = False
    ) -> None:
        """What somebody was told here, to the worker on which it is now. See ``Parcel``."""
        parcel = Parcel.of(kept, self._worker, follows=follows)
        self.send_on(worker, code, version, participant_id, parcel)

    def send_on(self, worker: str, code: str, version: int, participant_id: str, parcel: Parcel) -> None:
        """What was handed over to this worker, to the one on which it is now."""
        self._add(worker, "h", code, participant_id, msgspec.msgpack.encode(parcel), version)

    def write(self, worker: str, content: bytes) -> None:
        """To a worker itself; to this one too: it comes back after all that was sent on before."""
        self._add(worker, "w", "", "", content, None)

    async def drained(self) -> None:
        """All that was said has been sent on."""
        while self._letters or self._under_way:
            self.flush()
            # Not by ``gather``: from Python 3.12 on it gives the loop no turn where all are done already, and
            # ``_sent``, which takes them away, would never have its own.
            done, _ = await asyncio.wait(self._under_way)
            for sent in done:
                sent.result()

    def flush(self) -> None:
        """Send on what there is: before what comes next on the link, and before a room is told anew."""
        if self._letters:
            self._send()

    def _check(self) -> None:
        if self.waiting > MOST_WAITING:
            raise Refusal(
                ErrorCode.SERVER_ERROR, "Who is connected elsewhere cannot be reached now; try again"
            )

    def _add(self, worker: str, kind: str, code: str, what: str, said: Piece, version: int | None) -> None:
        letter = self._letters.get(worker)
        if letter is None:
            letter = self._letters[worker] = Letter()
        if version is not None:
            letter.versions[code] = version
        self._place += 1
        size = letter.add(kind, code, what, self._place, said)
        self._size += size
        self.waiting += size
        if not self._is_due and (len(self._under_way) < UNDER_WAY or self._size > LARGE):
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send_soon)

    def _send_soon(self) -> None:
        self._is_due = False
        self.flush()

    def _send(self) -> None:
        letters, size = self._letters, self._size
        self._letters, self._size, self._place = {}, 0, 0
        self._batches += 1
        arguments: list[Argument] = [self._worker, self._batches]
        for worker, letter in letters.items():
            arguments += (worker, _versions(letter.versions), letter.pieces)
        done = self._link.run("post", *arguments, is_repeatable=True)
        self._under_way.add(done)
        done.add_done_callback(lambda done: self._sent(done, size))

    def _sent(self, done: "asyncio.Future[object]", size: int) -> None:
        self.waiting -= size
        self._under_way.discard(done)
        if done.cancelled() or isinstance(done.exception(), OutOfReach):
            return
        if done.exception() is not None or done.result():
            self.missed.set()
        self.flush()


class FarSide:
    """Those of one room who are on other workers, as of a version. See ``stores.port.Far``."""

    __slots__ = ("_code", "_homes", "_post", "_version", "_workers")

    def __init__(self, post: Post, code: str, version: int, homes: Mapping[str, str]) -> None:
        self._post = post
        self._code = code
        self._version = version
        self._homes = homes
        self._workers = tuple(dict.fromkeys(homes.values()))

    def __contains__(self, participant_id: object) -> bool:
        return participant_id in self._homes

    def relay(self, event: Relay | Chat, target_id: str) -> None:
        """See ``stores.port.Far``."""
        self._post.relay(self._homes[target_id], self._code, self._version, event, target_id)

    def tell(self, frame: Frame) -> None:
        """See ``stores.port.Far``."""
        self._post.tell(self._workers, self._code, self._version, frame)


def read(letter: bytes) -> Iterator[tuple[str, str, str, memoryview]]:
    """What is in a letter, one after the other: kind, room, whom or what, and what was said."""
    view = memoryview(letter)
    at = 0
    while at < len(letter):
        line = letter.index(b"\n", at)
        kind, code, what, _, length = letter[at:line].decode().split(" ")
        at = line + 1 + int(length)
        yield kind, code, what, view[line + 1 : at]


def _versions(versions: dict[str, int]) -> str:
    return " ".join(f"{code} {version}" for code, version in versions.items())
