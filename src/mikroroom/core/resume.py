"""Lost connections, and coming back (R41 to R46).

Whoever may come back is *suspended* meanwhile: still there with role, state and seat, but out of reach. What
is said to them is kept by whoever sends it; here is only who they are, and until when they may return.
"""

from collections.abc import Collection, Iterable
from hmac import compare_digest
from itertools import chain

from msgspec import Struct

from mikroroom.core import happenings
from mikroroom.core.announcements import Keys, joined, overview, updated, waits
from mikroroom.core.bans import restored
from mikroroom.core.door import depart, leave, stop_waiting
from mikroroom.core.effects import Close, Effects, Gone, Held, Resumed, Seated, Suspended, send
from mikroroom.core.history import shorten
from mikroroom.core.room import Participant, Policy, Resumption, Room, WaitingParticipant
from mikroroom.core.secrets import digest_token
from mikroroom.protocol import events
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal


class Returner(Struct, frozen=True):
    """Someone who comes back on a new connection: with which token, and the one to give it in exchange.

    ``is_restart``: it has forgotten all it knew, and its media are dead.
    """

    connection_id: str
    address: str
    token: str
    next_token: str
    is_restart: bool = False


def lose(room: Room, participant_id: str, connection_id: str, now: int, policy: Policy) -> Effects:
    """A connection is gone without a word: who was on it is suspended, or gone if it cannot come back (R41).

    Raises:
        Refusal: NOT_IN_ROOM.
    """
    person = room.participants.get(participant_id) or room.waiting.get(participant_id)
    if person is None or person.resumption is None:
        return leave(room, participant_id, now, policy, by_word=False)
    if person.resumption.connection_id != connection_id or person.id in room.suspended:
        return []  # it has come back on another already, or this loss was told before
    effects = _suspend(room, person, now, policy)
    if isinstance(person, Participant):
        effects += _tell_state(room, person)
    return effects


def resume(room: Room, returner: Returner, now: int, policy: Policy) -> Effects:
    """Someone takes the place again that was kept, or replaces a connection that is half dead (R42, R43).

    Neither password nor lock nor capacity stands in the way.

    Raises:
        Refusal: RESUME_FAILED.
    """
    person = _holder(room, digest_token(returner.token))
    if person is None or room.suspended.get(person.id, now + 1) <= now:
        raise Refusal(ErrorCode.RESUME_FAILED, "Nobody can come back with this `resumeToken`")
    person.address = returner.address
    person.resumption = Resumption(
        digest_token(returner.next_token), returner.connection_id, digest_token(returner.token)
    )
    room.suspended.pop(person.id, None)
    keys = Keys(resume_token=returner.next_token, resume_window=policy.resume_seconds)
    if isinstance(person, WaitingParticipant):
        own = waits(room, person, keys)
        return [Resumed(person.id, returner.connection_id, own, (), returner.is_restart), Held(person.id)]
    # In this order: a restart may end a recording.
    told = _tell_restart(room, person) if returner.is_restart else _tell_state(room, person)
    everything = overview(room, person)
    return [
        Resumed(
            person.id, returner.connection_id, joined(room, person, keys), everything, returner.is_restart
        ),
        Seated(person.id, room.max_participants),
        *told,
    ]


def lapse(room: Room, now: int, policy: Policy) -> Effects:
    """Those whose window has ended are gone (R41)."""
    late = [participant_id for participant_id, until in room.suspended.items() if until <= now]
    effects: Effects = []
    for participant_id in _in_order_of_going(room, late):
        effects += _part(room, participant_id, now, policy)
    return effects


def restore(room: Room, now: int, policy: Policy) -> Effects:
    """After a restart nobody is connected: whoever may come back is suspended anew, others are gone (R46).

    Nobody is told that the others are suspended: they were told before, or will hear all anew.
    """
    room.suspended.clear()
    shorten(room.chat, policy.chat_history)  # it may be a lower one now
    # The clock may be another one.
    room.kicked = {address: min(until, now + policy.kick_wait) for address, until in room.kicked.items()}
    room.bans = restored(room.bans, now)
    if not room.participants:
        room.expires_at = _end_of_empty(room, now, policy)
    people: list[Participant | WaitingParticipant] = [*room.participants.values(), *room.waiting.values()]
    effects: Effects = []
    for person in people:
        if person.resumption is not None:
            effects += _suspend(room, person, now, policy)
            if isinstance(person, Participant):
                effects.append(Seated(person.id, room.max_participants))
            else:
                effects.append(Held(person.id))
    others = [person.id for person in people if person.resumption is None]
    for participant_id in _in_order_of_going(room, others):
        effects += leave(room, participant_id, now, policy, by_word=False)
    return effects


def forsake(room: Room, ids: Collection[str], now: int, policy: Policy) -> Effects:
    """The worker that these were connected to is gone, or goes: each place is kept elsewhere, or given up.

    Whoever cannot come back, and is connected after all, is to connect again.
    """
    people: list[Participant | WaitingParticipant] = [*room.participants.values(), *room.waiting.values()]
    effects: Effects = []
    for person in people:
        if person.id not in ids or person.resumption is None:
            continue
        was_away = room.suspended.pop(person.id, None) is not None
        effects += _suspend(room, person, now, policy)
        if isinstance(person, WaitingParticipant):
            effects.append(Held(person.id))
            continue
        effects.append(Seated(person.id, room.max_participants))
        if not was_away:
            effects += _tell_state(room, person)
    others = [person.id for person in people if person.id in ids and person.resumption is None]
    for participant_id in _in_order_of_going(room, others):
        effects.append(Close(participant_id, CloseCode.RESTARTING, "the server lost its connection"))
        effects += leave(room, participant_id, now, policy, by_word=False)
    return effects


def _in_order_of_going(room: Room, ids: Iterable[str]) -> list[str]:
    """Those who wait first, the host last: else each might have a seat, or be host, for a moment."""

    def rank(participant_id: str) -> int:
        person = room.participants.get(participant_id)
        return 0 if person is None else 1 + person.is_host

    return sorted(ids, key=rank)


def _end_of_empty(room: Room, now: int, policy: Policy) -> int:
    """When a room ends that was empty at the restart: it lingers anew, or is latent as long as it may be."""
    if not room.is_precreated:
        return now + policy.resume_window
    latest = now + policy.latent_age
    return min(room.expires_at or latest, latest)


def _suspend(room: Room, person: Participant | WaitingParticipant, now: int, policy: Policy) -> Effects:
    room.suspended[person.id] = now + policy.resume_window
    return [Suspended(person.id, room.code, person.address)]


def _holder(room: Room, token: bytes) -> Participant | WaitingParticipant | None:
    """Whose token this is: the newest, or until that is used the one before it (R42)."""
    people: Iterable[Participant | WaitingParticipant] = chain(
        room.participants.values(), room.waiting.values()
    )
    for person in people:
        valid = person.resumption.tokens() if person.resumption else ()
        if any(compare_digest(token, digest) for digest in valid):
            return person
    return None


def _tell_state(room: Room, person: Participant) -> Effects:
    return send(room.others(person.id), updated(room, person))


def _tell_restart(room: Room, person: Participant) -> Effects:
    """The same person with new media; what it recorded has ended."""
    others = room.others(person.id)
    effects: Effects = []
    if person.id in room.recorders:
        room.recorders.remove(person.id)
        effects += happenings.moderated(room.code, "recording-stopped", person.id)
        effects += send(others, events.RecordingStopped(room.code, person.id, person.id))
    effects += send(others, events.ParticipantLeft(room.code, person.id))
    return effects + send(others, joined(room, person))


def _part(room: Room, participant_id: str, now: int, policy: Policy) -> Effects:
    if participant_id in room.waiting:
        return [Gone(participant_id), *stop_waiting(room, participant_id, "lost")]
    # The room has lingered for this one already.
    lingers_until = max(now, room.lost_until)
    return [Gone(participant_id), *depart(room, participant_id, now, policy, lingers_until, "lost")]
