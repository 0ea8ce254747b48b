"""Bans: who may not come into a room for a while, though it knows the password.

A ban holds for an address, and for the person too, where its site has said who it is.
"""

from collections.abc import Iterator

from msgspec import Struct, structs

from mikroroom.core.effects import Effects
from mikroroom.core.room import Ban, Participant, Room, WaitingParticipant
from mikroroom.protocol.codes import ErrorCode, Refusal

MAX_BANS = 500


class Banishment(Struct, frozen=True):
    """That somebody is to be banned: under which id, and for how many milliseconds."""

    ban_id: str
    lasts: int


def check_ban(room: Room, address: str, subject: str | None, now: int) -> None:
    """Raises Refusal: BANNED, who comes from this address, or is this one to its site."""
    for ban in valid_bans(room, now):
        if address == ban.address or (ban.subject is not None and subject == ban.subject):
            raise Refusal(ErrorCode.BANNED, "You may not join this meeting")


def check_space(room: Room, now: int) -> None:
    """Raises Refusal: ROOM_LIMIT, nobody else can be banned."""
    if sum(1 for _ in valid_bans(room, now)) >= MAX_BANS:
        raise Refusal(ErrorCode.ROOM_LIMIT, f"The room has {MAX_BANS} bans; lift one first")


def ban(room: Room, person: Participant | WaitingParticipant, banishment: Banishment, now: int) -> None:
    """From now on this one may not join; bans that are over are forgotten."""
    room.bans = {each.id: each for each in valid_bans(room, now)}
    room.bans[banishment.ban_id] = Ban(
        banishment.ban_id, person.name, person.address, person.subject, now, now + banishment.lasts
    )


def lift_ban(room: Room, ban_id: str) -> Effects:
    """Whoever it was may join again.

    Raises:
        Refusal: TARGET_NOT_FOUND.
    """
    if ban_id not in room.bans:
        raise Refusal(ErrorCode.TARGET_NOT_FOUND, "There is no ban with this id")
    del room.bans[ban_id]
    return []


def valid_bans(room: Room, now: int) -> Iterator[Ban]:
    """Those that are not over, in the order of their making."""
    return (each for each in room.bans.values() if each.expires_at > now)


def restored(bans: dict[str, Ban], now: int) -> dict[str, Ban]:
    """The same after a restart: none lasts longer by a clock that is another one."""
    moved = {}
    for each in bans.values():
        ahead = max(0, each.created_at - now)
        moved[each.id] = structs.replace(
            each, created_at=each.created_at - ahead, expires_at=each.expires_at - ahead
        )
    return moved
