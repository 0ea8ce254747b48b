"""What the script of a commit is told besides the record: which keys and counts change by it, and how."""

from msgspec import Raw

from mikroroom.core.effects import Lapsed
from mikroroom.core.room import Policy, Room
from mikroroom.stores.redis.copy import Copy, Draft, absences
from mikroroom.stores.redis.record import Entry, How, Step, decode_record, decode_room, encode

# Milliseconds for which a room is kept that nobody looks after; see ``store``.
KEPT = 86_400_000


def how_of(entry: Entry, copy: Copy | None, draft: Draft, now: int) -> How:
    """What an entry changes that leads from ``copy`` to ``draft``."""
    room, record = draft.room, decode_record(entry.record)
    before, after = {} if copy is None else copy.record.homes, record.homes
    workers_before, workers_after = set(before.values()), set(after.values())
    absent, absent_before = absences(room), draft.absent_before
    return How(
        version=str(entry.version),
        base=str(entry.base) if entry.base else "",
        state=_state(room),
        people=0 if room is None else sum(who not in room.suspended for who in room.participants),
        due=min(_deadlines(room), default=0),
        ttl=KEPT if room is None or room.expires_at is None else max(room.expires_at - now, 0) + KEPT,
        talkers=" ".join(sorted(set(record.seated.values()))),
        homes={who: worker for who, worker in after.items() if before.get(who) != worker},
        gone=[who for who in before if who not in after],
        came=sorted(workers_after - workers_before),
        went=sorted(workers_before - workers_after),
        to=sorted(workers_before | workers_after | {entry.origin}),
        away=[
            (address, who, until - now)
            for who, (address, until) in absent.items()
            if absent_before.get(who) != (address, until) and until > now
        ],
        back=[
            (address, who)
            for who, (address, _) in absent_before.items()
            if who not in absent or absent[who][0] != address
        ],
        late=_lapsed_tokens(draft.steps),
    )


def how_to_restore(copy: Copy, worker: str, now: int, policy: Policy) -> How:
    """What there is to be put back of a room that Redis has lost."""
    draft = Draft(None, worker, now, policy)
    draft.room = decode_room(copy.record.room)
    how = how_of(Entry(copy.code, 0, copy.version, worker, 0, [], Raw(encode(copy.record))), None, draft, now)
    how.is_restore = True
    # There is nothing to tell.
    how.to = []
    return how


def _state(room: Room | None) -> str:
    """By which name rooms of this kind are counted; empty for none."""
    if room is None:
        return ""
    if room.participants:
        return "active"
    return "latent" if room.is_precreated else "lingering"


def _deadlines(room: Room | None) -> list[int]:
    """When something is to happen in a room by itself: the next window ends, or the room."""
    if room is None:
        return []
    return [until for until in (next(iter(room.suspended.values()), None), room.expires_at) if until]


def _lapsed_tokens(steps: list[Step]) -> list[str]:
    """Tokens (digests, in hexadecimal) with which somebody can only be late (R45)."""
    return [
        token.hex()
        for step in steps
        for effect in step.effects
        if isinstance(effect, Lapsed)
        for token in effect.tokens
    ]
