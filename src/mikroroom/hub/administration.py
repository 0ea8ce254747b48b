"""Administering rooms from outside: who may, and what becomes of it, up to the verb that the store commits.

Two kinds of token do: the site's own for all rooms, and a room's creator token for that room.
"""

import logging
from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple, TypeVar

from msgspec import UNSET, structs

from mikroroom.core import administration as verbs
from mikroroom.core import secrets
from mikroroom.core.bans import Banishment, lift_ban
from mikroroom.core.door import MEETING_ENDED
from mikroroom.core.effects import Effects
from mikroroom.core.invites import add_invite, new_invite_token, revoke_invite, valid_invites
from mikroroom.core.moderation import admit_waiting
from mikroroom.core.room import Invite, Policy, Room
from mikroroom.hub.lobby import Lobby
from mikroroom.hub.steps import settled
from mikroroom.hub.views import View, invite_detail
from mikroroom.logs import Line
from mikroroom.protocol import administration as protocol
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.settings import Settings
from mikroroom.stores.port import Counts, Store, Verb

log = logging.getLogger(__name__)

T = TypeVar("T")


class Forbidden(Refusal):
    """This token does not do that; whether there is such a room is not said."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAUTHORIZED, "This token does not allow that")


class Throttled(Refusal):
    """An address asks for too much (R30), and gets nothing of it for ``wait`` milliseconds.

    ``told`` is how the log calls that: wrong tokens, unless it is something else.
    """

    def __init__(self, wait: int, told: str = "guesses-limited") -> None:
        super().__init__(ErrorCode.RATE_LIMITED, "Too many requests; try again in a minute")
        self.wait = wait
        self.told = told


class Authority(NamedTuple):
    """Someone who may administer: every room, or as ``creator`` those whose creator token it holds."""

    by: Literal["admin", "creator"]
    token: str
    address: str

    @property
    def view(self) -> View:
        """What it may see."""
        return View(is_whole=self.by == "admin")

    def check(self, room: Room) -> None:
        """Raises Forbidden: this is not its room."""
        if self.by == "creator" and not secrets.is_token(self.token, room.creator_digest):
            raise Forbidden


class Administration:
    """See the module. All of it raises Refusal: ROOM_NOT_FOUND, SERVER_ERROR; and Forbidden."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        lobby: Lobby,
        counts: Counts,
        policy: Policy,
        random: Random,
    ) -> None:
        self._digest = secrets.digest_token(settings.admin_token) if settings.admin_token else None
        self._store = store
        self._lobby = lobby
        self._counts = counts
        self._policy = policy
        self._random = random

    async def check_guesses(self, address: str) -> None:
        """Raises Throttled."""
        wait = await self._counts.guess_wait(address)
        if wait:
            raise Throttled(wait)

    async def authorize(self, token: str, address: str, code: str | None) -> Authority:
        """Who it is that brings this token: for a room, or for what is about all of them.

        Raises:
            Forbidden: nobody who may. It counts as a wrong guess.
            Throttled: there were too many of those.
        """
        if self._digest is not None and secrets.is_token(token, self._digest):
            return Authority("admin", token, address)
        creator = Authority("creator", token, address)
        try:
            if code is not None:
                await self._look(creator, code, lambda room, now: None)
                return creator
        except Refusal as refusal:
            if refusal.code is ErrorCode.SERVER_ERROR:
                raise
        wait = await self._counts.take_guess(address)
        raise Throttled(wait) if wait else Forbidden

    async def list_rooms(self, by: Authority, asked: protocol.ListRooms) -> protocol.RoomList:
        """Some of all rooms, at a glance."""
        page = await self._store.page(asked.after.upper(), asked.limit)
        rooms = [by.view.summary(room) for room in page.rooms]
        return protocol.RoomList(rooms=rooms, next=page.next or UNSET)

    async def show_room(self, by: Authority, code: str) -> protocol.RoomDetail:
        """A room with its people."""
        return await self._look(by, code, by.view.detail)

    async def change_room(self, by: Authority, code: str, asked: protocol.ChangeRoom) -> protocol.RoomDetail:
        """Change password, size or lock. Returns the room as it is then.

        Raises:
            Throttled: a creator sets one password after the other.
            Refusal: INVALID_MESSAGE for a ``maxParticipants`` over the ceiling; SERVER_ERROR when too many
                passwords are being hashed.
        """
        self._lobby.check_size(asked.max_participants or None)
        password = None
        if asked.password:
            await self._check_pace(by)
            password = await self._lobby.seal(asked.password, by.address)
        change = verbs.Change(
            UNSET if asked.password is UNSET else password, asked.max_participants, asked.is_locked
        )
        room = await self._do(by, code, lambda room, now: verbs.change_room(room, change), by.view.detail)
        changed = [field for field, value in structs.asdict(asked).items() if value is not UNSET]
        _tell(by, code, "change", changed=",".join(changed))
        return room

    async def end_meeting(self, by: Authority, code: str, asked: protocol.EndMeeting) -> None:
        """End the meeting, and remove the room."""
        reason = asked.reason or MEETING_ENDED
        await self._do(by, code, lambda room, now: verbs.end_meeting(room, reason, now), _nothing)
        _tell(by, code, "end")

    async def change_participant(
        self, by: Authority, code: str, target: str, asked: protocol.ChangeParticipant
    ) -> protocol.ParticipantDetail:
        """Make someone a moderator, or none any more. Raises Refusal: as ``core.administration``."""
        person = await self._do(
            by,
            code,
            lambda room, now: verbs.set_moderator(room, target, is_moderator=asked.is_moderator),
            lambda room, now: by.view.participant(room, room.participants[target]),
        )
        _tell(by, code, "make-moderator" if asked.is_moderator else "unmake-moderator", target)
        return person

    async def remove(
        self, by: Authority, code: str, target: str, asked: protocol.RemoveParticipant
    ) -> protocol.Removal:
        """Remove someone from a room or its waiting room. Raises Refusal: as ``core.administration``."""
        banishment = Banishment(secrets.new_id(self._random), asked.ban * 1_000) if asked.ban else None

        def show(room: Room, now: int) -> protocol.Removal:
            return protocol.Removal(ban=by.view.ban(room.bans[banishment.ban_id]) if banishment else None)

        removal = await self._do(
            by,
            code,
            lambda room, now: verbs.remove(room, target, now, self._policy, banishment),
            show,
        )
        _tell(by, code, "ban" if banishment else "remove", target)
        return removal

    async def admit(self, by: Authority, code: str, target: str) -> protocol.ParticipantDetail:
        """Let someone in who waits. Raises Refusal: TARGET_NOT_FOUND or ROOM_FULL."""
        person = await self._do(
            by,
            code,
            lambda room, now: admit_waiting(room, verbs.SERVER, target),
            lambda room, now: by.view.participant(room, room.participants[target]),
        )
        _tell(by, code, "admit", target)
        return person

    async def lift_ban(self, by: Authority, code: str, ban_id: str) -> None:
        """Let someone join again. Raises Refusal: TARGET_NOT_FOUND."""
        await self._do(by, code, lambda room, now: lift_ban(room, ban_id), _nothing)
        _tell(by, code, "lift-ban", ban_id)

    async def list_invites(self, by: Authority, code: str) -> protocol.InviteList:
        """The invites of a room that somebody can come in by."""
        return await self._look(
            by,
            code,
            lambda room, now: protocol.InviteList(
                invites=[invite_detail(invite) for invite in valid_invites(room, now)]
            ),
        )

    async def invite(self, by: Authority, code: str, asked: protocol.NewInvite) -> protocol.CreatedInvite:
        """Make an invite. Raises Refusal: ROOM_LIMIT, the room has too many."""
        invite_id, token = secrets.new_id(self._random), new_invite_token(self._random)
        digest = secrets.digest_token(token)

        def add(room: Room, now: int) -> Effects:
            expires_at = None if asked.expires_in is None else now + asked.expires_in * 1_000
            invite = Invite(invite_id, digest, now, asked.role, expires_at, asked.skips_waiting, asked.label)
            return add_invite(room, invite, now)

        made = await self._do(by, code, add, lambda room, now: invite_detail(room.invites[invite_id]))
        _tell(by, code, "invite", invite_id)
        return protocol.CreatedInvite(**structs.asdict(made), token=token)

    async def revoke_invite(self, by: Authority, code: str, invite_id: str) -> None:
        """Nobody can come in by an invite any more. Raises Refusal: TARGET_NOT_FOUND."""
        await self._do(by, code, lambda room, now: revoke_invite(room, invite_id), _nothing)
        _tell(by, code, "revoke", invite_id)

    async def _check_pace(self, by: Authority) -> None:
        """A hash costs as much here as where a room is made, and anybody can be a creator."""
        wait = await self._counts.take_room(by.address) if by.by == "creator" else 0
        if wait:
            raise Throttled(wait, "rooms-limited")

    async def _look(self, by: Authority, code: str, show: Callable[[Room, int], T]) -> T:
        return await self._do(by, code, lambda room, now: [], show)

    async def _do(self, by: Authority, code: str, verb: Verb, show: Callable[[Room, int], T]) -> T:
        """Have a verb done. Returns what is to be shown of the room after it.

        Whose room it is is looked at together with what is done: it may be another by now.
        """
        shown: list[T] = []

        def checked(room: Room, now: int) -> Effects:
            by.check(room)
            effects = verb(room, now)
            shown.append(show(room, now))
            return effects

        await settled(self._store.transact(code, checked))
        # It may have been done to more than one version of the room; the last of them it is.
        return shown[-1]


def _nothing(room: Room, now: int) -> None:
    """There is nothing to show."""


def _tell(
    by: Authority, code: str, action: str, target: str | None = None, changed: str | None = None
) -> None:
    log.info(
        Line(
            "administered",
            room=code,
            action=action,
            by=by.by,
            target=target,
            changed=changed,
            address=by.address,
        )
    )
