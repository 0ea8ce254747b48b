"""The rooms of all workers, in the order of their codes, some at a time: for whoever administers the site."""

import asyncio
from heapq import nsmallest

from mikroroom.core.room import Room
from mikroroom.stores.port import Page
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.record import decode_record, decode_room

STATES = ("active", "latent", "lingering")


async def page(link: Link, after: str, limit: int, now: int) -> Page:
    """See ``stores.port.Store``. ``now`` is the time of all workers.

    Raises as ``link.call``.
    """
    told = await asyncio.gather(
        *(link.call(b"SMEMBERS", link.key(state), is_repeatable=True) for state in STATES)
    )
    there = {code.decode() for codes in told for code in codes}
    codes = nsmallest(limit + 1, (code for code in there if code > after))
    wanted = codes[:limit]
    records = await asyncio.gather(
        *(link.call(b"HGET", link.key("room", code), b"b", is_repeatable=True) for code in wanted)
    )
    # Some may have ended meanwhile.
    rooms = [decode_room(decode_record(record).room) for record in records if record is not None]
    return Page([room for room in rooms if _is_there(room, now)], wanted[-1] if len(codes) > limit else None)


def _is_there(room: Room, now: int) -> bool:
    """Whether it is more than a room whose time has come, and which nobody has removed yet."""
    return bool(room.participants) or room.expires_at is None or room.expires_at > now
