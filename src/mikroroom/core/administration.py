"""What whoever administers a site, or has made a room, does to it from outside: nobody in it has asked.

What people hear of it names nobody: its ``participantId`` is empty, which is the server (R25).
"""

from msgspec import UNSET, Struct, UnsetType

from mikroroom.core.announcements import announce
from mikroroom.core.bans import Banishment, ban, check_space
from mikroroom.core.door import fill_seats, send_away
from mikroroom.core.effects import Effects, Lapsed, Widened
from mikroroom.core.happenings import ended, in_room, moderated
from mikroroom.core.moderation import kick_by, lock_by, make_moderator_by, unlock_by
from mikroroom.core.room import Participant, Policy, Room, WaitingParticipant
from mikroroom.core.secrets import Password
from mikroroom.protocol.codes import ErrorCode, Refusal

SERVER = ""


class Change(Struct, frozen=True):
    """What is to be otherwise about a room; what is unset stays. A ``password`` of None is none."""

    password: Password | UnsetType | None = UNSET
    max_participants: int | UnsetType = UNSET
    is_locked: bool | UnsetType = UNSET


def change_room(room: Room, change: Change) -> Effects:
    """Change a room's password, size or lock.

    A password is for newcomers. Nobody has to go because a room is made smaller; where it is made larger,
    those who had only missed a seat enter (R23).
    """
    effects: Effects = []
    if not isinstance(change.password, UnsetType):
        room.password = change.password
        effects += moderated(room.code, "password-changed", SERVER)
    if not isinstance(change.max_participants, UnsetType):
        effects += moderated(room.code, "resized", SERVER)
        effects += _resize(room, change.max_participants)
    is_locked = room.locked_by is not None
    if not isinstance(change.is_locked, UnsetType) and change.is_locked is not is_locked:
        effects += lock_by(room, SERVER) if change.is_locked else unlock_by(room, SERVER)
    return effects + fill_seats(room)


def set_moderator(room: Room, target_id: str, *, is_moderator: bool) -> Effects:
    """Make someone a moderator, or none any more.

    Raises:
        Refusal: TARGET_NOT_FOUND, or UNAUTHORIZED for the host, who is a moderator.
    """
    target = room.participants.get(target_id)
    if target is None:
        raise _nobody()
    if is_moderator:
        # One that moderates for want of others is to stay one.
        is_one = target.is_moderator and target.role != "participant"
        return [] if is_one else _relieve(room, target) + make_moderator_by(room, SERVER, target)
    if not target.is_moderator:
        return []
    if target.is_host:
        raise Refusal(ErrorCode.UNAUTHORIZED, "The host of a room is always a moderator")
    target.is_moderator = False
    target.role = target.role and "participant"
    return moderated(room.code, "moderator-unmade", SERVER, in_room(target)) + announce(room, target)


def remove(
    room: Room, target_id: str, now: int, policy: Policy, banishment: Banishment | None = None
) -> Effects:
    """Someone has to go, from the room or the waiting room, the creator too; and with a ban stays out.

    Who is there a second time, as its site knows it, is banned as a whole.

    Raises:
        Refusal: TARGET_NOT_FOUND, or ROOM_LIMIT where there are too many bans.
    """
    people: dict[str, Participant | WaitingParticipant] = {**room.participants, **room.waiting}
    target = people.get(target_id)
    if target is None:
        raise _nobody()
    effects: Effects = []
    if banishment is not None:
        check_space(room, now)
        ban(room, target, banishment, now)
        for person in people.values():
            if person is not target and person.subject is not None and person.subject == target.subject:
                effects += _kick(room, person.id, now, policy)
    return effects + _kick(room, target.id, now, policy)


def end_meeting(room: Room, reason: str, now: int) -> Effects:
    """It is over for everyone, those who wait and those who are away included, and so is the room.

    Whoever still comes with a token to return is late, and does not guess (R45).
    """
    people: list[Participant | WaitingParticipant] = [*room.participants.values(), *room.waiting.values()]
    tokens = [
        token
        for person in people
        if person.resumption is not None and person.id not in room.suspended
        for token in person.resumption.tokens()
    ]
    effects: Effects = [Lapsed(tuple(tokens))] if tokens else []
    is_meeting = bool(room.participants)
    effects += send_away(room, room.waiting, reason) + send_away(room, room.participants, reason)
    effects += ended(room.code) if is_meeting else []
    room.recorders.clear()
    room.expires_at = now
    return effects


def _kick(room: Room, target_id: str, now: int, policy: Policy) -> Effects:
    """One of them may have been given a seat by what went before, or be without a meeting now."""
    target = room.participants.get(target_id) or room.waiting.get(target_id)
    return [] if target is None else kick_by(room, SERVER, target, now, policy)


def _relieve(room: Room, moderator: Participant) -> Effects:
    """Who is host only for want of others is it no longer, once there is a moderator to take over."""
    host = next(person for person in room.participants.values() if person.is_host)
    if host is moderator or host.role != "participant":
        return []
    host.is_host = host.is_moderator = False
    moderator.is_host = True
    return announce(room, host)


def _resize(room: Room, seats: int) -> Effects:
    """Where there are more seats, everyone here may say more at once (R31)."""
    is_larger = seats > room.max_participants
    room.max_participants = seats
    return [Widened(person, seats) for person in room.participants] if is_larger else []


def _nobody() -> Refusal:
    return Refusal(ErrorCode.TARGET_NOT_FOUND, "Nobody in this room has this id")
