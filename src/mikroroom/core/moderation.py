"""What moderators do: lock and unlock, admit and reject, mute, kick, make moderators (R18 to R24).

Whether the actor may is asked before, in ``rules``.
"""

from typing import assert_never

from mikroroom.core.announcements import announce, show_waiting
from mikroroom.core.door import admit, check_seat, depart, fill_seats, stop_waiting
from mikroroom.core.effects import Close, Effects, send
from mikroroom.core.happenings import in_room, in_waiting_room, moderated
from mikroroom.core.room import Participant, Policy, Room, WaitingParticipant
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal

REJECTED = "Your request to join was declined"


def lock(room: Room, actor: Participant, request: requests.LockRoom, now: int, policy: Policy) -> Effects:
    """See ``lock_by``."""
    return lock_by(room, actor.id)


def unlock(room: Room, actor: Participant, request: requests.UnlockRoom, now: int, policy: Policy) -> Effects:
    """See ``unlock_by``."""
    return unlock_by(room, actor.id)


def admit_user(
    room: Room, actor: Participant, request: requests.AdmitUser, now: int, policy: Policy
) -> Effects:
    """See ``admit_waiting``."""
    return admit_waiting(room, actor.id, request.target_id)


def reject_user(
    room: Room, actor: Participant, request: requests.RejectUser, now: int, policy: Policy
) -> Effects:
    """One who waits is told why not, and its connection is closed (R22).

    Raises:
        Refusal: TARGET_NOT_FOUND.
    """
    _check_waiting(room, request.target_id)
    target = in_waiting_room(room.waiting[request.target_id])
    farewell = events.RejectUser(room.code, actor.id, request.target_id, request.reason or REJECTED)
    return [
        *moderated(room.code, "rejected", actor.id, target),
        *send((request.target_id,), farewell),
        Close(request.target_id, CloseCode.REJECTED, "rejected from the waiting room"),
        *stop_waiting(room, request.target_id, "rejected"),
    ]


def moderate(
    room: Room, actor: Participant, request: requests.ModeratorAction, now: int, policy: Policy
) -> Effects:
    """Act on one participant (R24).

    Raises:
        Refusal: TARGET_NOT_FOUND, or UNAUTHORIZED for kicking oneself or a creator (R11), and for making
            moderators where the actor moderates for want of others.
    """
    target = room.participants.get(request.target_id)
    if target is None:
        raise Refusal(ErrorCode.TARGET_NOT_FOUND, "`targetId` is nobody in this room")
    match request.action:
        case "kick":
            _check_kick(actor, target)
            return kick_by(room, actor.id, target, now, policy)
        case "make-moderator":
            _check_may_grant(actor)
            return make_moderator_by(room, actor.id, target)
        case "mute" | "unmute":
            return _mute(room, actor.id, target, is_muted=request.action == "mute")
        case _:
            assert_never(request.action)


def start_recording(
    room: Room, actor: Participant, request: requests.StartRecording, now: int, policy: Policy
) -> Effects:
    """Everyone hears that the actor records; who comes later hears it too (R18)."""
    told: Effects = []
    if actor.id not in room.recorders:
        room.recorders.append(actor.id)
        told = moderated(room.code, "recording-started", actor.id)
    return told + send(room.participants, events.RecordingStarted(room.code, actor.id, actor.id))


def stop_recording(
    room: Room, actor: Participant, request: requests.StopRecording, now: int, policy: Policy
) -> Effects:
    """Everyone hears that the actor records no longer (R18).

    Recordings are made by the clients: nobody else can end one, and the end of one must not hide another.
    """
    told: Effects = []
    if actor.id in room.recorders:
        room.recorders.remove(actor.id)
        told = moderated(room.code, "recording-stopped", actor.id)
    return told + send(room.participants, events.RecordingStopped(room.code, actor.id, actor.id))


def _check_waiting(room: Room, target_id: str) -> None:
    if target_id not in room.waiting:
        raise Refusal(ErrorCode.TARGET_NOT_FOUND, "`targetId` is nobody who is waiting")


def _check_kick(actor: Participant, target: Participant) -> None:
    if target.id == actor.id:
        raise Refusal(ErrorCode.UNAUTHORIZED, "You cannot kick yourself; send `leave`")
    if target.is_creator:
        raise Refusal(ErrorCode.UNAUTHORIZED, "The creator of a room cannot be kicked")


def _check_may_grant(actor: Participant) -> None:
    # Else it would make itself one that stays, or two of them each other.
    if actor.role == "participant":
        raise Refusal(ErrorCode.UNAUTHORIZED, "You moderate for want of others, and cannot make moderators")


def lock_by(room: Room, by: str) -> Effects:
    """Newcomers wait from now on (R20), and so do those who had only missed a seat.

    Here as below, ``by`` is a participant's id, or empty for the server.
    """
    told = [] if room.locked_by is not None else moderated(room.code, "locked", by)
    room.locked_by = by
    for person in room.waiting.values():
        person.is_cleared = False
    return told + send(room.participants, events.RoomLocked(room.code, by, by))


def unlock_by(room: Room, by: str) -> Effects:
    """Everyone waiting enters while there is room; the rest enter as seats free (R23)."""
    told = [] if room.locked_by is None else moderated(room.code, "unlocked", by)
    room.locked_by = None
    for person in room.waiting.values():
        person.is_cleared = True
    told += send(room.participants, events.RoomUnlocked(room.code, by, by))
    return told + fill_seats(room)


def admit_waiting(room: Room, by: str, target_id: str) -> Effects:
    """One who waits becomes a participant (R21).

    Raises:
        Refusal: TARGET_NOT_FOUND, or ROOM_FULL (the person goes on waiting).
    """
    _check_waiting(room, target_id)
    check_seat(room)
    target = in_waiting_room(room.waiting[target_id])
    return moderated(room.code, "admitted", by, target) + admit(room, target_id)


def kick_by(
    room: Room, by: str, target: Participant | WaitingParticipant, now: int, policy: Policy
) -> Effects:
    """One who is here, or waits, is told, and its connection closed; who comes back soon waits (R24)."""
    room.kicked = {address: until for address, until in room.kicked.items() if until > now}
    room.kicked[target.address] = now + policy.kick_wait
    told = _tell(room, by, target, "kick")
    if isinstance(target, WaitingParticipant):
        happened = moderated(room.code, "kicked", by, in_waiting_room(target))
        gone = stop_waiting(room, target.id, "removed")
    else:
        happened = moderated(room.code, "kicked", by, in_room(target))
        gone = depart(room, target.id, now, policy, now, "removed")
    return [*happened, *told, Close(target.id, CloseCode.KICKED, "kicked by a moderator"), *gone]


def make_moderator_by(room: Room, by: str, target: Participant) -> Effects:
    """One more moderator (R24), who hears who is waiting (R20)."""
    told = _tell(room, by, target, "make-moderator")
    if target.is_moderator and target.role != "participant":
        return told + announce(room, target)
    target.is_moderator = True
    target.role = target.role and "moderator"
    told += moderated(room.code, "moderator-made", by, in_room(target))
    return told + announce(room, target) + show_waiting(room, target.id)


def _mute(room: Room, by: str, target: Participant, *, is_muted: bool) -> Effects:
    is_news = target.is_muted is not is_muted
    target.is_muted = is_muted
    happened = moderated(room.code, "muted" if is_muted else "unmuted", by, in_room(target))
    told = _tell(room, by, target, "mute" if is_muted else "unmute") + announce(room, target)
    return happened + told if is_news else told


def _tell(room: Room, by: str, target: Participant | WaitingParticipant, action: requests.Action) -> Effects:
    return send((target.id,), events.ModeratorAction(room.code, by, target.id, action))
