"""Who may ask for what: the one table that joins a request to the role it needs and the verb it becomes.

Joining and leaving change who is in a room and stand in ``door``; talk (offers, answers, ICE candidates,
chat) changes nothing in it and never comes here. A chat that is kept stands in ``chat``.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from mikroroom.core import chat, moderation
from mikroroom.core.announcements import updated
from mikroroom.core.effects import Effects, send
from mikroroom.core.room import Participant, Policy, Room
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode, Refusal


class Role(IntEnum):
    """What someone is to a room. Each role may do what those before it may."""

    PARTICIPANT = 1
    MODERATOR = 2


# Each verb takes the request of its own row: the table is what ties the two types together.
Verb = Callable[[Room, Participant, Any, int, Policy], Effects]


def act(room: Room, actor_id: str, request: requests.Message, now: int, policy: Policy) -> Effects:
    """Do what a participant asks for.

    Raises:
        Refusal: NOT_IN_ROOM, UNAUTHORIZED (R19), or what the verb itself refuses. Nothing has changed.
    """
    role, verb = RULES[type(request)]
    actor = room.participants.get(actor_id)
    if actor is None:
        raise Refusal(ErrorCode.NOT_IN_ROOM, "Join a room first")
    if role is Role.MODERATOR and not actor.is_moderator:
        raise Refusal(ErrorCode.UNAUTHORIZED, "Only moderators may do this")
    return verb(room, actor, request, now, policy)


def moderates(request: requests.Message, actor_id: str) -> bool:
    """Whether only moderators may ask for this."""
    if isinstance(request, requests.DeleteMessage):
        return request.author_id != actor_id
    return RULES[type(request)][0] is Role.MODERATOR


def update_state(
    room: Room, actor: Participant, request: requests.UpdateState, now: int, policy: Policy
) -> Effects:
    """One's own audio, video and hand; what is absent stays (R16)."""
    if request.is_muted is not None:
        actor.is_muted = request.is_muted
    if request.is_video_off is not None:
        actor.is_video_off = request.is_video_off
    if request.is_hand_raised is not None:
        actor.is_hand_raised = request.is_hand_raised
    return send(room.others(actor.id), updated(room, actor))


def raise_hand(
    room: Room, actor: Participant, request: requests.RaiseHand, now: int, policy: Policy
) -> Effects:
    """The others hear it twice: as an event, and in the state (R16)."""
    actor.is_hand_raised = True
    others = room.others(actor.id)
    return send(others, events.RaiseHand(room.code, actor.id)) + send(others, updated(room, actor))


def lower_hand(
    room: Room, actor: Participant, request: requests.LowerHand, now: int, policy: Policy
) -> Effects:
    """Likewise (R16)."""
    actor.is_hand_raised = False
    others = room.others(actor.id)
    return send(others, events.LowerHand(room.code, actor.id)) + send(others, updated(room, actor))


RULES: dict[type[requests.Message], tuple[Role, Verb]] = {
    requests.UpdateState: (Role.PARTICIPANT, update_state),
    requests.RaiseHand: (Role.PARTICIPANT, raise_hand),
    requests.LowerHand: (Role.PARTICIPANT, lower_hand),
    # Its own condition depends on whose message it is.
    requests.DeleteMessage: (Role.PARTICIPANT, chat.delete_message),
    requests.StartRecording: (Role.MODERATOR, moderation.start_recording),
    requests.StopRecording: (Role.MODERATOR, moderation.stop_recording),
    requests.ModeratorAction: (Role.MODERATOR, moderation.moderate),
    requests.LockRoom: (Role.MODERATOR, moderation.lock),
    requests.UnlockRoom: (Role.MODERATOR, moderation.unlock),
    requests.AdmitUser: (Role.MODERATOR, moderation.admit_user),
    requests.RejectUser: (Role.MODERATOR, moderation.reject_user),
}
