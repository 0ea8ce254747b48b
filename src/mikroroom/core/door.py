"""The door of a room: who opens it, who enters or waits, and what follows when somebody goes (R4 to R26).

Whether somebody may is decided here, and nowhere else, once it has come so far.
"""

from msgspec import Struct, structs

from mikroroom.core import happenings
from mikroroom.core.announcements import NO_KEYS, Keys, announce, joined, overview, show_waiting, waits
from mikroroom.core.bans import check_ban
from mikroroom.core.chronicle import Reason
from mikroroom.core.effects import Close, Effects, Gone, Held, Lapsed, Seated, Send, WrongToken, send
from mikroroom.core.grants import NO_GRANT, Grant
from mikroroom.core.history import History
from mikroroom.core.invites import find_invite
from mikroroom.core.room import Participant, Policy, Resumption, Room, WaitingParticipant
from mikroroom.core.secrets import Password, digest_token, is_same, is_token
from mikroroom.protocol import events
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal


class Newcomer(Struct):
    """What someone brings to the door. ``proof`` is the password, sealed with the salt of the room.

    ``resume_token`` is what it will come back with if its connection is lost, if it wants to (R40);
    ``grant`` what it was granted before, ``invite`` the token of one to this room.
    """

    id: str
    name: str
    address: str
    password: str | None = None
    proof: Password | None = None
    creator_token: str | None = None
    resume_token: str | None = None
    grant: Grant = NO_GRANT
    invite: str | None = None


MEETING_ENDED = "Meeting ended"


class ProofNeeded(Exception):
    """Not a refusal: seal the password with ``salt``, and try again. Nothing has changed."""

    def __init__(self, salt: bytes) -> None:
        super().__init__("seal the password with this salt")
        self.salt = salt


def open_room(room: Room, maker: Newcomer, creator_token: str, policy: Policy) -> Effects:
    """Let the maker of a new ad-hoc room in, and hand over its creator token (R4, R12)."""
    keys = structs.replace(_keys(maker, policy), creator_token=creator_token)
    return happenings.started(room.code) + _enter(
        room, _participant(maker, maker.grant, is_creator=True), keys
    )


def join(room: Room, newcomer: Newcomer, now: int, policy: Policy) -> Effects:
    """Let a newcomer in, or have it wait (R7, R9, R20).

    Raises:
        ProofNeeded: the room has a password, and the newcomer's is not sealed with its salt yet.
        Refusal: BANNED, INVALID_TOKEN, INVALID_PASSWORD, WAITING_ROOM_FULL or ROOM_FULL.
    """
    check_ban(room, newcomer.address, newcomer.grant.subject, now)
    grant = _granted(room, newcomer, now)
    _check_password(room, newcomer, grant)
    is_creator = newcomer.creator_token is not None and is_token(newcomer.creator_token, room.creator_digest)
    must_wait = not (is_creator or grant.enters) and _must_wait(room, newcomer.address, now)
    if must_wait and len(room.waiting) >= policy.max_waiting:
        raise Refusal(ErrorCode.WAITING_ROOM_FULL, "The waiting room is full")
    if not must_wait:
        check_seat(room)

    effects: Effects = []
    if newcomer.creator_token and not is_creator:
        effects.append(WrongToken(newcomer.id))
    keys = _keys(newcomer, policy)
    if must_wait:
        return effects + _hold(room, newcomer, grant, keys)
    if not room.participants:
        effects += happenings.started(room.code)
    return effects + _enter(room, _participant(newcomer, grant, is_creator=is_creator), keys)


def leave(room: Room, participant_id: str, now: int, policy: Policy, *, by_word: bool) -> Effects:
    """Someone goes, from the room or the waiting room: ``by_word``, or because the connection was lost.

    Raises:
        Refusal: NOT_IN_ROOM.
    """
    reason: Reason = "left" if by_word else "lost"
    if participant_id in room.waiting:
        return [Gone(participant_id), *stop_waiting(room, participant_id, reason)]
    if participant_id not in room.participants:
        raise Refusal(ErrorCode.NOT_IN_ROOM, "You are not in this room")
    if not by_word:
        room.lost_until = now + policy.resume_window
    lingers_until = now if by_word else room.lost_until
    return [Gone(participant_id), *depart(room, participant_id, now, policy, lingers_until, reason)]


def admit(room: Room, participant_id: str) -> Effects:
    """Someone who waits gets a seat, under the same id (R21). There must be one free."""
    waiting = room.waiting.pop(participant_id)
    newcomer = Participant(
        waiting.id,
        waiting.name,
        waiting.address,
        resumption=waiting.resumption,
        role=waiting.role,
        subject=waiting.subject,
    )
    return _enter(room, newcomer)


def stop_waiting(room: Room, participant_id: str, reason: Reason) -> Effects:
    """Take someone out of the waiting room, and off the moderators' lists (R22)."""
    person = room.waiting.pop(participant_id)
    effects = _forget_suspension(room, person) + happenings.went(room.code, person, reason)
    return effects + send(room.moderators(), events.ParticipantLeft(room.code, participant_id))


def check_seat(room: Room) -> None:
    """Raises Refusal: ROOM_FULL."""
    if len(room.participants) >= room.max_participants:
        raise Refusal(ErrorCode.ROOM_FULL, f"The room is full; it seats {room.max_participants}")


def depart(
    room: Room, participant_id: str, now: int, policy: Policy, lingers_until: int, reason: Reason
) -> Effects:
    """Take someone out of the room and tell the others; pass on what they held: host, recording, seat.

    If it was the last one, an ad-hoc room goes on for a while without anybody.
    """
    leaver = room.participants.pop(participant_id)
    effects = _forget_suspension(room, leaver) + happenings.left(room.code, leaver, reason)
    effects += send(room.participants, events.ParticipantLeft(room.code, leaver.id))
    if leaver.is_host and room.participants:
        effects += _make_host(room, _successor(room))
    if leaver.id in room.recorders:
        room.recorders.remove(leaver.id)
        effects += happenings.moderated(room.code, "recording-stopped", leaver.id)
        effects += send(room.participants, events.RecordingStopped(room.code, leaver.id, leaver.id))
    effects += fill_seats(room)
    if not room.participants:
        effects += send_away(room, room.waiting, MEETING_ENDED) + happenings.ended(room.code)
        room.locked_by = None
        room.chat = History()  # the next meeting reads nothing of this
        room.expires_at = now + policy.latent_age if room.is_precreated else lingers_until
    return effects


def send_away(
    room: Room, people: dict[str, Participant] | dict[str, WaitingParticipant], reason: str
) -> Effects:
    """For all of these the meeting is over (R26): they are told why, and none of them can come back."""
    effects: Effects = []
    for person in people.values():
        effects += _forget_suspension(room, person)
        if isinstance(person, Participant):
            effects += happenings.left(room.code, person, "ended")
        else:
            effects += happenings.went(room.code, person, "ended")
        effects += send((person.id,), events.RejectUser(room.code, "", person.id, reason))
        effects.append(Close(person.id, CloseCode.MEETING_ENDED, "meeting ended"))
    people.clear()
    return effects


def fill_seats(room: Room) -> Effects:
    """Give the free seats to those who are cleared to enter, in order (R23)."""
    free = max(0, room.max_participants - len(room.participants))  # it may have been made smaller
    cleared = [person.id for person in room.waiting.values() if person.is_cleared]
    return [effect for waiting_id in cleared[:free] for effect in admit(room, waiting_id)]


def _granted(room: Room, newcomer: Newcomer, now: int) -> Grant:
    """What somebody was granted; or is, by an invite, which stands for the password."""
    if newcomer.invite is None:
        return newcomer.grant
    invite = find_invite(room, newcomer.invite, now)
    if invite is None:
        raise Refusal(ErrorCode.INVALID_TOKEN, "The invite is none, has been revoked, or is over")
    return Grant(role=invite.role, skips_password=True, skips_waiting=invite.skips_waiting)


def _check_password(room: Room, newcomer: Newcomer, grant: Grant) -> None:
    if room.password is None or grant.skips_password:
        return
    if not newcomer.password:
        raise Refusal(ErrorCode.INVALID_PASSWORD, "This room needs a password")
    if newcomer.proof is None or newcomer.proof.salt != room.password.salt:
        raise ProofNeeded(room.password.salt)
    if not is_same(newcomer.proof, room.password):
        raise Refusal(ErrorCode.INVALID_PASSWORD, "The password is wrong")


def _must_wait(room: Room, address: str, now: int) -> bool:
    """Locked, or a kicked address comes back (R20, R24). Where nobody is, nobody could admit: enter."""
    if not room.participants:
        return False
    return room.locked_by is not None or room.kicked.get(address, 0) > now


def _keys(newcomer: Newcomer, policy: Policy) -> Keys:
    if newcomer.resume_token is None:
        return NO_KEYS
    return Keys(resume_token=newcomer.resume_token, resume_window=policy.resume_seconds)


def _participant(newcomer: Newcomer, grant: Grant, *, is_creator: bool) -> Participant:
    return Participant(
        newcomer.id,
        newcomer.name,
        newcomer.address,
        is_creator=is_creator or grant.role == "host",
        is_moderator=grant.role == "moderator",
        resumption=_resumption(newcomer),
        # The creator token says more than a grant to take part.
        role=None if is_creator and grant.role == "participant" else grant.role,
        subject=grant.subject,
    )


def _resumption(newcomer: Newcomer) -> Resumption | None:
    if newcomer.resume_token is None:
        return None
    return Resumption(digest_token(newcomer.resume_token), newcomer.id)


def _hold(room: Room, newcomer: Newcomer, grant: Grant, keys: Keys) -> Effects:
    person = WaitingParticipant(
        newcomer.id,
        newcomer.name,
        newcomer.address,
        resumption=_resumption(newcomer),
        role=grant.role,
        subject=grant.subject,
    )
    room.waiting[person.id] = person
    return [
        Held(person.id),
        *happenings.waited(room.code, person),
        Send((person.id,), waits(room, person, keys)),
        *send(room.moderators(), waits(room, person)),
    ]


def _enter(room: Room, newcomer: Participant, keys: Keys = NO_KEYS) -> Effects:
    """R9: the newcomer hears itself, everyone there, what holds in the room; the others hear the newcomer."""
    former_host = _host(room)
    if former_host is None or newcomer.is_creator or (_is_stopgap(former_host) and newcomer.is_moderator):
        newcomer.is_host = newcomer.is_moderator = True
        if former_host:
            former_host.is_host = False
            former_host.is_moderator = not _is_stopgap(former_host)
    others = tuple(room.participants)
    room.participants[newcomer.id] = newcomer
    room.expires_at = None

    own = joined(room, newcomer, keys)
    own.is_connected = True  # or it is again when it hears this: admitted while it was away
    effects: Effects = [Seated(newcomer.id, room.max_participants), Send((newcomer.id,), own)]
    effects += happenings.entered(room.code, newcomer)
    effects += [Send((newcomer.id,), event) for event in overview(room, newcomer)]
    effects += send(others, joined(room, newcomer))
    if former_host and newcomer.is_host:
        effects += announce(room, former_host, others)
    return effects


def _is_stopgap(host: Participant) -> bool:
    """Whether it is host only because there is nobody else who may be."""
    return host.role == "participant"


def _host(room: Room) -> Participant | None:
    return next((person for person in room.participants.values() if person.is_host), None)


def _successor(room: Room) -> Participant:
    """The longest-present moderator, else the longest-present at all; connected before suspended (R25).

    Only where there is nobody else, one that was granted no more than to take part.
    """
    return min(
        room.participants.values(),
        key=lambda person: (not person.is_moderator, _is_stopgap(person), person.id in room.suspended),
    )


def _make_host(room: Room, person: Participant) -> Effects:
    was_moderator = person.is_moderator
    person.is_host = person.is_moderator = True
    effects: Effects = []
    if not was_moderator:
        effects += happenings.moderated(room.code, "moderator-made", "", happenings.in_room(person))
        effects += send((person.id,), events.ModeratorAction(room.code, "", person.id, "make-moderator"))
    effects += announce(room, person)
    if not was_moderator:
        effects += show_waiting(room, person.id)
    return effects


def _forget_suspension(room: Room, person: Participant | WaitingParticipant) -> Effects:
    """Nobody can come back to it any more: who still tries with its token is late, and does not guess."""
    if room.suspended.pop(person.id, None) is None or person.resumption is None:
        return []
    return [Lapsed(person.resumption.tokens())]
