"""What stands in Redis: a room with where its people are, and what a commit tells the workers.

Keys, each after the prefix, and each with an end:

- ``room:CODE``, a hash: the version ``v``, the record ``b``, the state ``s``, the workers with participants
  ``w``; for each person its worker ``h:ID``, and how much has come of it ``c:ID`` (R47).
- ``ended:CODE``, the last version of a room that has ended; ``kept:ID``, what somebody was told who awaits a
  worker.
- ``inbox:WORKER``, a stream; ``worker:WORKER``, a hash; ``at:WORKER``, the codes of the rooms it has people
  in; ``heir:WORKER``, who sees to them.
- ``workers``, all of them by the end of their lease; ``clock``, how their time differs from Redis' own.
- ``active``, ``latent``, ``lingering``, the codes of such rooms; ``due``, of those with a deadline;
  ``people``, how many are connected in each; ``totals``.
- ``chronicle`` and ``outbox``, streams of room events, kept and owed; ``began``, since when all are kept but
  those up to ``forgotten``; ``courier``, the worker that tells the site.
- For each client address ``connections``, ``rooms``, ``guesses``, and those ``away`` from it; ``returns`` of
  each participant; ``late``, tokens whose window has ended.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from mikroroom.core.effects import Effect
from mikroroom.core.room import Room

Homes = dict[str, str]
"""On which worker somebody is, by participant."""


class Record(Struct, array_like=True):
    """A room as it is kept. ``done`` has the number of the last request of each worker that took effect.

    ``moved`` has the last moves of people, in order: from which worker, and by which version.
    """

    room: Raw
    seated: Homes
    held: Homes
    done: dict[str, int]
    moved: dict[str, list[tuple[str, int]]] = {}

    def home_at(self, participant_id: str, version: int) -> str | None:
        """On which worker a participant was as of that version, if it was in the room."""
        for origin, by in self.moved.get(participant_id, ()):
            if by > version:
                return origin
        return self.seated.get(participant_id)

    @property
    def homes(self) -> Homes:
        """Of participants and waiting participants."""
        return self.seated | self.held


class Step(Struct, array_like=True):
    """One verb that took effect: the request's number with its worker, its effects, and who moved by it.

    ``moves`` tells from which worker to which; who comes, comes from "", and who goes, goes to "".
    """

    number: int
    effects: list[Effect]
    moves: dict[str, tuple[str, str]]


class Entry(Struct, array_like=True):
    """A commit, as inboxes tell of it: from version ``base`` to ``version``, by ``origin``, at ``stamp``."""

    code: str
    base: int
    version: int
    origin: str
    stamp: int
    steps: list[Step]
    record: Raw


class _Head(Struct, array_like=True):
    """As much of an ``Entry`` as every version of this program understands."""

    code: str


class How(Struct):
    """What the script of a commit is told; see ``lua/commit.lua``. Versions are decimal; times are ms."""

    version: str
    base: str
    state: str
    people: int
    due: int
    ttl: int
    talkers: str
    homes: Homes
    gone: list[str]
    came: list[str]
    went: list[str]
    to: list[str]
    away: list[tuple[str, str, int]] = []
    back: list[tuple[str, str]] = []
    late: list[str] = []
    deadline: int = 0
    max_rooms: int = 0
    max_latent_rooms: int = 0
    is_restore: bool = False
    events: list[tuple[str, bool]] = []
    events_kept: int = 0


_encoder = msgspec.msgpack.Encoder()
_rooms = msgspec.msgpack.Decoder(Room)
_records = msgspec.msgpack.Decoder(Record)
_entries = msgspec.msgpack.Decoder(Entry)
_heads = msgspec.msgpack.Decoder(_Head)

encode = _encoder.encode
decode_record = _records.decode
decode_entry = _entries.decode
decode_room = _rooms.decode


def code_in(entry: bytes) -> str:
    """Which room an entry is about, whatever else it says."""
    return _heads.decode(entry).code


def without_old(done: dict[str, int], workers: Iterable[str], origin: str, number: int) -> dict[str, int]:
    """``done`` after a request of ``origin``: of workers that have left the room, the last few stay."""
    there = set(workers)
    kept = {worker: last for worker, last in done.items() if worker != origin}
    others = [worker for worker in kept if worker not in there]
    for worker in others[:-_OTHERS_KEPT]:
        del kept[worker]
    kept[origin] = number
    return kept


# A repeated request may come from a worker whose last person has left meanwhile.
_OTHERS_KEPT = 8
