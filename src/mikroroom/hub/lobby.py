"""How rooms are made and entered: passwords, guesses and ceilings, up to the verb that the store commits."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from mikroroom.core import door, secrets
from mikroroom.core.door import Newcomer, ProofNeeded
from mikroroom.core.grants import NO_GRANT
from mikroroom.core.invites import is_invite
from mikroroom.core.resume import Returner, resume
from mikroroom.core.room import Policy, Room
from mikroroom.hub.doorkeeper import Doorkeeper, NotGranted
from mikroroom.hub.hashing import Hasher
from mikroroom.hub.limits import Limits
from mikroroom.hub.steps import settled
from mikroroom.protocol.answers import CreatedRoom
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.protocol.requests import NAME_MISSING, CreateRoom, Join
from mikroroom.settings import Settings
from mikroroom.stores.port import CodeTaken, Counts, Store


class Visit(NamedTuple):
    """Someone at the door: who, with which wish, how it came, and whether it has gone meanwhile."""

    newcomer: Newcomer
    request: Join
    handshake: object
    is_gone: Callable[[], bool]


class Lobby:
    """Everything between a wish to enter and the commit."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        limits: Limits,
        counts: Counts,
        doorkeeper: Doorkeeper,
        policy: Policy,
        random: Random,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._store = store
        self._limits = limits
        self._counts = counts
        self._doorkeeper = doorkeeper
        self._policy = policy
        self._random = random
        self._clock = clock
        self._hasher = Hasher()

    def close(self) -> None:
        """Let the hashing threads end."""
        self._hasher.close()

    def visit(
        self, request: Join, address: str, is_gone: Callable[[], bool], handshake: object = None
    ) -> Visit:
        """Someone comes to the door, under an id of the server's making (R10).

        Raises:
            Refusal: INVALID_MESSAGE for a ``maxParticipants`` over the ceiling, and for no name where nobody
                else could bring one (R8).
        """
        self.check_size(request.max_participants)
        if not (request.name or request.token or self._doorkeeper.is_asked):
            raise Refusal(ErrorCode.INVALID_MESSAGE, NAME_MISSING)
        may_resume = request.resume and self._policy.resume_window
        newcomer = Newcomer(
            secrets.new_id(self._random),
            request.name or "",
            address,
            password=request.password or None,
            creator_token=request.creator_token or None,
            resume_token=secrets.new_token(self._random) if may_resume else None,
        )
        return Visit(newcomer, request, handshake, is_gone)

    async def join(self, visit: Visit) -> None:
        """Let someone into a room, or make it (R4 to R7).

        Waits for the site's word, a hash, or a store far away, if at all.

        Raises:
            Refusal: as ``core.door.join`` and ``Doorkeeper.grant``; ROOM_NOT_FOUND; RATE_LIMITED after too
                many failed guesses or room creations; ROOM_LIMIT.
        """
        await self._check_guesses(visit.newcomer.address)
        await self._grant(visit)
        attempt = self._enter
        while True:
            try:
                await attempt(visit)
            except ProofNeeded as needed:
                await self._prove(visit, needed.salt)
                attempt = self._enter
            except CodeTaken:  # someone was faster: enter as anyone else would (R5)
                attempt = self._enter
            except Refusal as refusal:
                if refusal.code is not ErrorCode.ROOM_NOT_FOUND or not _makes_room(visit):
                    if _is_failed_guess(refusal, visit.newcomer):
                        await self._take_guess(visit.newcomer.address)
                    raise
                attempt = self._make
            else:
                return

    async def resume(self, request: Join, token: str, address: str, connection_id: str) -> None:
        """Let someone take its place again, on the new connection of that id (R42).

        Raises:
            Refusal: RESUME_FAILED; RATE_LIMITED after too many failed guesses.
        """
        await self._check_guesses(address)
        returner = Returner(
            connection_id, address, token, secrets.new_token(self._random), is_restart=bool(request.restart)
        )
        try:
            await settled(
                self._store.transact(
                    request.room_id, lambda room, now: resume(room, returner, now, self._policy)
                )
            )
        except Refusal as refusal:
            raise await self._not_resumed(refusal, returner) from None

    async def create_room(self, request: CreateRoom, address: str) -> CreatedRoom:
        """Make a pre-created room (R2).

        Raises:
            CodeTaken: the code that was asked for is in use.
            Refusal: ROOM_LIMIT; INVALID_MESSAGE for a ``maxParticipants`` over the ceiling; SERVER_ERROR when
                too many passwords are being hashed.
        """
        self.check_size(request.max_participants)
        password = None
        if request.password:
            password = await self.seal(request.password, address)
        token = secrets.new_token(self._random)
        while True:
            room = Room(
                code=request.room_id or secrets.new_code(self._random),
                max_participants=request.max_participants or self._default_size(),
                creator_digest=secrets.digest_token(token),
                password=password,
                is_precreated=True,
            )
            try:
                await settled(self._store.create(room, []))
                return CreatedRoom(room.code, token)
            except CodeTaken:
                if request.room_id:
                    raise

    async def seal(self, password: str, address: str) -> secrets.Password:
        """Hash a new password that this address has chosen. Raises as ``Hasher.seal``."""
        return await self._hasher.seal(password, secrets.new_salt(self._random), address)

    @property
    def hashing(self) -> int:
        """How many wait for a password to be hashed."""
        return self._hasher.waiting

    def count_wrong_guess(self, address: str) -> None:
        """A wrong password, code or token came from this address (R30)."""
        self._counts.add_guess(address)

    async def _not_resumed(self, refusal: Refusal, returner: Returner) -> Refusal:
        """Whether it is the room or the person that is not there is nobody's business without the token."""
        if refusal.code not in {ErrorCode.RESUME_FAILED, ErrorCode.ROOM_NOT_FOUND}:
            return refusal
        is_late = await self._counts.is_lapsed(secrets.digest_token(returner.token))
        if not is_late and self._clock() >= self._limits.tokens_forgiven_until:
            await self._take_guess(returner.address)
        return Refusal(ErrorCode.RESUME_FAILED, "Nobody can come back with this `resumeToken`; join afresh")

    async def _grant(self, visit: Visit) -> None:
        """Find out what somebody is granted before it comes to the door. An invite is the room's to know."""
        newcomer, request = visit.newcomer, visit.request
        if request.token and is_invite(request.token):
            newcomer.invite = request.token
        else:
            try:
                newcomer.grant = await self._doorkeeper.grant(
                    visit.handshake, request.room_id, request.name, request.token
                )
            except NotGranted as refusal:
                if refusal.is_guess:
                    await self._take_guess(newcomer.address)
                raise
            newcomer.name = newcomer.grant.name or newcomer.name
        if not newcomer.name:
            raise Refusal(ErrorCode.INVALID_MESSAGE, NAME_MISSING)
        if visit.is_gone():
            raise Refusal(ErrorCode.NOT_IN_ROOM, "The connection was closed before this was decided")

    async def _enter(self, visit: Visit) -> None:
        await settled(
            self._store.transact(
                visit.request.room_id, lambda room, now: door.join(room, visit.newcomer, now, self._policy)
            )
        )

    async def _prove(self, visit: Visit, salt: bytes) -> None:
        """Hash. All is to be checked again after that: the room may have changed, or be another (R7)."""
        newcomer = visit.newcomer
        newcomer.proof = await self._hasher.seal(newcomer.password or "", salt, newcomer.address)
        if visit.is_gone():
            raise Refusal(ErrorCode.NOT_IN_ROOM, "The connection was closed before the password was checked")
        # Guesses that were hashed side by side must not get more answers than those one after the other.
        await self._check_guesses(newcomer.address)

    async def _make(self, visit: Visit) -> None:
        """Make an ad-hoc room with its maker in it (R4)."""
        newcomer, request = visit.newcomer, visit.request
        is_proven = newcomer.proof is not None or not newcomer.password
        look_or_take = self._counts.take_room if is_proven else self._counts.room_wait
        if await look_or_take(newcomer.address):
            # The answer tells that there is no such room: from whoever may make none, that is a failed guess;
            # but not from who was granted something, as with ROOM_NOT_FOUND.
            if newcomer.grant == NO_GRANT:
                await self._take_guess(newcomer.address)
            raise Refusal(ErrorCode.RATE_LIMITED, "Too many rooms were made from your address")
        if not is_proven:
            raise ProofNeeded(secrets.new_salt(self._random))
        token = secrets.new_token(self._random)
        room = Room(
            code=request.room_id,
            max_participants=request.max_participants or self._default_size(),
            creator_digest=secrets.digest_token(token),
            password=newcomer.proof,
        )
        await settled(self._store.create(room, door.open_room(room, newcomer, token, self._policy)))

    def _default_size(self) -> int:
        return min(self._settings.default_participants, self._settings.max_participants)

    def check_size(self, max_participants: int | None) -> None:
        """Raises Refusal: INVALID_MESSAGE for a ``maxParticipants`` over the ceiling."""
        ceiling = self._settings.max_participants
        if max_participants is not None and max_participants > ceiling:
            raise Refusal(ErrorCode.INVALID_MESSAGE, f"Expected `int` <= {ceiling} - at `$.maxParticipants`")

    async def _check_guesses(self, address: str) -> None:
        """An address with too many failed guesses gets no answer to any further one (R30)."""
        if await self._counts.guess_wait(address):
            raise _too_many_guesses()

    async def _take_guess(self, address: str) -> None:
        """A failed guess is about to be answered; unless too many others were, since this one was let in."""
        if await self._counts.take_guess(address):
            raise _too_many_guesses()


def _makes_room(visit: Visit) -> bool:
    """Whether a room is to begin with somebody: who asks for it and may, or was granted to be its host.

    An invite is to a room that there is.
    """
    newcomer = visit.newcomer
    if newcomer.invite is not None or not newcomer.grant.makes_rooms:
        return False
    return bool(visit.request.is_host) or newcomer.grant.role == "host"


def _too_many_guesses() -> Refusal:
    return Refusal(ErrorCode.RATE_LIMITED, "Too many wrong codes or passwords; try again in a minute")


def _is_failed_guess(refusal: Refusal, newcomer: Newcomer) -> bool:
    """A wrong code, or a password that was given and is wrong; to ask without one is no guess.

    Nor may a creator token be tried for nothing: a right one would not have had to wait. Who was granted
    something comes too early where there is no room, but does not guess codes.
    """
    if refusal.code is ErrorCode.INVALID_PASSWORD:
        return newcomer.password is not None
    if refusal.code is ErrorCode.WAITING_ROOM_FULL:
        return newcomer.creator_token is not None
    if refusal.code is ErrorCode.ROOM_NOT_FOUND:
        return newcomer.grant == NO_GRANT
    return refusal.code is ErrorCode.INVALID_TOKEN
