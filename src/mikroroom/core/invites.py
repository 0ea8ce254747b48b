"""Invites: tokens that let their holders into one room, made by whoever administers it.

What a join with one does stands with the joining; here is which there are, and whose a token is.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from random import Random

from mikroroom.core.effects import Effects
from mikroroom.core.room import Invite, Room
from mikroroom.core.secrets import is_token
from mikroroom.protocol.codes import ErrorCode, Refusal

MAX_INVITES = 100
PREFIX = "inv_"


def is_invite(token: str) -> bool:
    """Whether it has the form of an invite's token."""
    return token.startswith(PREFIX)


def new_invite_token(random: Random) -> str:
    """An invite's token: 192 random bits that may stand in a URL. The source must be a secure one."""
    return PREFIX + urlsafe_b64encode(random.randbytes(24)).decode()


def add_invite(room: Room, invite: Invite, now: int) -> Effects:
    """Take in a new invite; those that are over make way.

    Raises:
        Refusal: ROOM_LIMIT, there are too many.
    """
    valid = {each.id: each for each in valid_invites(room, now)}
    if len(valid) >= MAX_INVITES:
        raise Refusal(ErrorCode.ROOM_LIMIT, f"The room has {MAX_INVITES} invites; revoke one first")
    room.invites = valid | {invite.id: invite}
    return []


def revoke_invite(room: Room, invite_id: str) -> Effects:
    """Nobody can come in by it any more; whoever has, stays.

    Raises:
        Refusal: TARGET_NOT_FOUND.
    """
    if invite_id not in room.invites:
        raise Refusal(ErrorCode.TARGET_NOT_FOUND, "There is no invite with this id")
    del room.invites[invite_id]
    return []


def find_invite(room: Room, token: str, now: int) -> Invite | None:
    """The invite that this is the token of, if it is valid. How long it takes tells nothing of the others."""
    found = [invite for invite in valid_invites(room, now) if is_token(token, invite.digest)]
    return found[0] if found else None


def valid_invites(room: Room, now: int) -> Iterator[Invite]:
    """Those that somebody can come in by, in the order of their making."""
    return (each for each in room.invites.values() if each.expires_at is None or each.expires_at > now)
