"""Rooms as they are shown to whoever administers them."""

from msgspec import UNSET, UnsetType

from mikroroom.core.bans import valid_bans
from mikroroom.core.invites import valid_invites
from mikroroom.core.room import Ban, Invite, Participant, Room, WaitingParticipant
from mikroroom.protocol.administration import (
    BanDetail,
    InviteDetail,
    ParticipantDetail,
    Person,
    RoomDetail,
    RoomSummary,
    State,
)


class View:
    """What one may see of rooms: ``is_whole`` for whoever may know where people are, and who."""

    def __init__(self, *, is_whole: bool) -> None:
        self._is_whole = is_whole

    def summary(self, room: Room) -> RoomSummary:
        """A room at a glance."""
        return RoomSummary(
            room_id=room.code,
            state=_state(room),
            participant_count=len(room.participants),
            connected_count=sum(who not in room.suspended for who in room.participants),
            waiting_count=len(room.waiting),
            max_participants=room.max_participants,
            is_locked=room.locked_by is not None,
            has_password=room.password is not None,
            is_precreated=room.is_precreated,
            expires_at=room.expires_at,
        )

    def detail(self, room: Room, now: int) -> RoomDetail:
        """A room with its people, and the bans and invites that hold."""
        glance = self.summary(room)
        return RoomDetail(
            **{field: getattr(glance, field) for field in glance.__struct_fields__},
            participants=[self.participant(room, person) for person in room.participants.values()],
            waiting=[self._waiting(room, person) for person in room.waiting.values()],
            bans=[self.ban(ban) for ban in valid_bans(room, now)],
            invites=[invite_detail(invite) for invite in valid_invites(room, now)],
        )

    def participant(self, room: Room, person: Participant) -> ParticipantDetail:
        """Someone in a room."""
        return ParticipantDetail(
            id=person.id,
            name=person.name,
            is_connected=person.id not in room.suspended,
            address=self._private(person.address),
            subject=self._private(person.subject),
            is_host=person.is_host,
            is_moderator=person.is_moderator,
            is_creator=person.is_creator,
            is_muted=person.is_muted,
            is_video_off=person.is_video_off,
            is_hand_raised=person.is_hand_raised,
        )

    def ban(self, ban: Ban) -> BanDetail:
        """Someone who may not join."""
        return BanDetail(
            id=ban.id,
            name=ban.name,
            created_at=ban.created_at,
            expires_at=ban.expires_at,
            address=self._private(ban.address),
            subject=self._private(ban.subject),
        )

    def _waiting(self, room: Room, person: WaitingParticipant) -> Person:
        return Person(
            id=person.id,
            name=person.name,
            is_connected=person.id not in room.suspended,
            address=self._private(person.address),
            subject=self._private(person.subject),
        )

    def _private(self, what: str | None) -> str | UnsetType:
        return what if self._is_whole and what is not None else UNSET


def invite_detail(invite: Invite) -> InviteDetail:
    """An invite, without its token."""
    return InviteDetail(
        id=invite.id,
        role=invite.role,
        label=invite.label,
        skips_waiting=invite.skips_waiting,
        created_at=invite.created_at,
        expires_at=invite.expires_at,
    )


def _state(room: Room) -> State:
    if room.participants:
        return "active"
    return "latent" if room.is_precreated else "lingering"
