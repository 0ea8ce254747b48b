"""What is asked here is done: requests go to the store as verbs, effects come back and go out to people.

One door in (``act``), one door out (``deliver``). Talk between people who can be reached here goes straight
from one to the other: it changes no room.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import ceil
from random import Random

from msgspec import structs

from mikroroom.clock import steady_ms, wall_ms
from mikroroom.core import door
from mikroroom.core.effects import Effects, Happened, Lapsed, Send, WrongToken
from mikroroom.core.ice import IceSource, TurnLogin
from mikroroom.core.room import Policy
from mikroroom.core.rules import act, moderates
from mikroroom.core.secrets import new_id
from mikroroom.hub.administration import Administration
from mikroroom.hub.chat import Chats, unseated
from mikroroom.hub.doorkeeper import Doorkeeper, Hook
from mikroroom.hub.limits import Limits, LocalCounts
from mikroroom.hub.lobby import Lobby
from mikroroom.hub.losses import Losses
from mikroroom.hub.outside import Outside
from mikroroom.hub.renewals import TOGETHER, Renewals
from mikroroom.hub.roster import Roster
from mikroroom.hub.session import Connection, Session
from mikroroom.hub.steps import at_once, settled
from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.protocol import events, requests
from mikroroom.protocol.answers import IceConfiguration
from mikroroom.protocol.codec import HEADROOM, TYPE_OF, Frame, frame, offerer_of, stamped, to_event
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal
from mikroroom.protocol.requests import Request
from mikroroom.settings import Settings
from mikroroom.stores.port import Census, Chronicle, Far, Kept, Step, Store

log = logging.getLogger(__name__)

TIDY_EVERY = 1.0
# Where there was more to do than is good at once.
TIDY_SOON = 0.01
# A timer that is so late, in seconds: the process, or the machine, was stopped.
STOOD_STILL = 3.0
# While everyone is sent away: seconds from one batch to the next.
DRAIN_EVERY = 0.05
# Seconds that a stop gives to a store that is far away to hear of those who were closed.
PARTING_PATIENCE = 2.0
# A batch is no smaller than this.
DRAIN_TOGETHER = 20


class Hub:
    """The sessions of one process. Starts by itself on first use: a mounted app may never be told to."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        policy: Policy,
        random: Random,
        *,
        authorize_join: Hook | None = None,
        meters: Meters | None = None,
        outside: Outside | None = None,
        clock: Callable[[], int] = steady_ms,
        ticks: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = wall_ms,
    ) -> None:
        self.settings = settings
        self.clock = clock
        # For what is asked with every message: seconds of a clock that only has to go on.
        self.ticks = ticks
        self.wall = wall
        self.meters = meters or Meters()
        self._setup = self.meters.setup
        self.limits = Limits(settings, self.meters)
        self.started_at = clock()
        self.is_stopping = False
        # Each relay is encoded here, and has gone out before the next one comes.
        self._scratch: Frame = bytearray(HEADROOM)
        self._policy = policy
        self._store = store
        self._chats = Chats(store, policy, wall)
        self._outside = outside or Outside()
        self.counts = store.counts(LocalCounts(self.limits, clock))
        self.doorkeeper = Doorkeeper(settings, authorize_join, limits=self.limits, clock=clock, wall=wall)
        self.lobby = Lobby(
            settings,
            store,
            limits=self.limits,
            counts=self.counts,
            doorkeeper=self.doorkeeper,
            policy=policy,
            random=random,
            clock=clock,
        )
        self.administration = Administration(
            settings, store, lobby=self.lobby, counts=self.counts, policy=policy, random=random
        )
        self._ice = _ice_source(settings)
        # Half of their time is left then: enough for whoever is away, or asleep, when they come.
        self._renewals = Renewals(self._ice.ttl * 500 if self._ice.is_short_lived else 0, clock)
        self.roster = Roster(
            settings,
            store,
            limits=self.limits,
            counts=self.counts,
            renewals=self._renewals,
            meters=self.meters,
            clock=clock,
        )
        self._random = random
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_ending = False
        self._tidying: asyncio.TimerHandle | None = None
        self._losses = Losses(store, self.roster, limits=self.limits, policy=policy, clock=clock)

    def start(self) -> None:
        """Make ready what is not yet. Cheap when all is. While it is being stopped, it stays so."""
        loop = asyncio.get_running_loop()
        if self._loop is loop or self._is_ending:
            return
        if self._loop is None:
            self.is_stopping = False
            self._store.start(self)
        self._loop = loop
        self._tidying = loop.call_later(TIDY_EVERY, self._tidy)
        self._outside.start()

    async def drain(self, seconds: float) -> None:
        """Close everyone's connection, to be opened again elsewhere or later (1012): a few at a time.

        Nobody else can connect meanwhile, and those still here can go on.
        """
        self.is_stopping = True
        sessions = self.roster.sessions()
        rounds = max(1, int(seconds / DRAIN_EVERY))
        batch = max(DRAIN_TOGETHER, ceil(len(sessions) / rounds))
        while sessions:
            for session in sessions[:batch]:
                # What holds for a lost connection holds from now on, not from when the client has answered.
                session.close(CloseCode.RESTARTING, "the server restarts")
                session.part()
            del sessions[:batch]
            if sessions:
                await asyncio.sleep(DRAIN_EVERY)

    async def stop(self) -> None:
        """Keep what is to be kept, and let go of threads and files. What comes after starts the hub again."""
        self._is_ending = True
        try:
            await self._stop()
        finally:
            self._is_ending = False

    async def _stop(self) -> None:
        await self.drain(0)
        await self._losses.settle(PARTING_PATIENCE)
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        self._loop = None
        self.lobby.close()
        await self._outside.stop()
        await self._store.stop(self.roster.kept())

    async def census(self) -> Census:
        """How much goes on, here and wherever else people meet those who are here."""
        return await self._store.census(Census(0, self.roster.participants, self.roster.peak_participants))

    @property
    def chronicle(self) -> Chronicle:
        """What has happened in rooms."""
        return self._store.chronicle

    def queues(self) -> Mapping[str, int]:
        """How much waits inside the server, by the name of the queue."""
        return {"hashing": self.lobby.hashing, "losses": self._losses.owed, **self._store.queues()}

    def trouble(self) -> str | None:
        """Why nobody should be sent here now; None if all is well."""
        return "The server is stopping" if self.is_stopping else self._store.trouble()

    def ice_configuration(self) -> IceConfiguration:
        """ICE servers for one browser, with TURN credentials of its own where they are made by us."""
        return self._ice.issue(self.wall() // 1_000, new_id(self._random))

    def keeps_rooms(self) -> bool:
        """Whether what changes in rooms outlives this process, as far as it should."""
        return self._store.keeps()

    def connect(
        self,
        connection: Connection,
        address: str,
        opened_at: int,
        *,
        is_extra: bool = False,
        handshake: object = None,
    ) -> Session:
        """A client has connected, and was counted at that time (R30): ``is_extra`` if only to come back."""
        self.meters.connections_opened += 1
        session = Session(self, connection, address, opened_at)
        session.is_extra = is_extra
        session.handshake = handshake
        session.expect_join(self.settings.join_timeout, self._give_up)
        return session

    def act(self, session: Session, request: Request) -> Step:
        """Do what a client asks for, now, or as something to await.

        Raises:
            Refusal: as ``core.rules.act``, ``Lobby.join`` or ``core.door.leave``; for talk NOT_IN_ROOM or
                TARGET_NOT_FOUND. Nothing has changed.
        """
        match request:
            case requests.Relay():
                self._relay(session, request)
                return None
            case requests.Chat():
                return self._chats.say(session, request)
            case requests.Join():
                return at_once(self._join(session, request))
            case requests.Leave():
                return self._leave(session)
            case _:
                participant_id, code = session.id, session.code
                if session.audience is None or participant_id is None or code is None:
                    raise unseated(session)
                step = self._store.transact(
                    code, lambda room, now: act(room, participant_id, request, now, self._policy)
                )
                if not moderates(request, participant_id):
                    return step
                return at_once(_tell_of(request, participant_id, code, step))

    def time(self, session: Session, request: Request, came_at: float) -> None:
        """See ``Switchboard``. What is timed are relays, and how people come to a connection."""
        if isinstance(request, requests.Relay) and session.id is not None and session.audience is not None:
            now = self.ticks()
            self.meters.relay.observe(now - came_at)
            # Of one on another worker, that one takes the time.
            if type(request) is requests.Offer and request.target_id in session.audience:
                self._setup.offered(session.id, request.target_id, now)

    def lose(self, session: Session) -> None:
        """A connection is gone, or being closed: its participant is lost, not gone by word (R4, R41)."""
        if session.id is not None and session.code is not None:
            mailbox = session.mailbox
            self._losses.tell(
                session.id, session.code, session.id if mailbox is None else mailbox.connection_id
            )

    def deliver(self, effects: Effects, code: str, stamp: int | None = None) -> None:
        """Carry out what a store has committed, in order.

        An event is encoded once, however many hear it; and what one person hears goes out in one piece.
        """
        now = self.wall() if stamp is None else stamp
        heard: dict[str, list[Frame]] = {}
        for effect in effects:
            match effect:
                case Send(to, event):
                    encoded = stamped(event, now)
                    for participant_id in to:
                        heard.setdefault(participant_id, []).append(encoded)
                case WrongToken(participant_id):
                    self._count_wrong_token(participant_id)
                case Lapsed(tokens):
                    self.limits.remember_lapsed(tokens)
                case Happened(happened):
                    self._outside.tell(structs.replace(happened, timestamp=now))
                case _:
                    self.roster.tell(effect.id, heard.pop(effect.id, []))
                    stray = self.roster.carry_out(effect, now)
                    if stray is not None:
                        # Whoever it is gave up before this was committed.
                        asyncio.get_running_loop().call_soon(self._losses.tell, effect.id, code, stray)
        for participant_id, frames in heard.items():
            self.roster.tell(participant_id, frames)

    def hear(self, participant_ids: Iterable[str], frame: Frame) -> None:
        """These hear something that was said on another worker. See ``stores.port.Receiver``."""
        offerer = offerer_of(frame)
        for participant_id in participant_ids:
            self.roster.tell(participant_id, [frame])
            if offerer is not None:
                self._setup.offered(offerer, participant_id, self.ticks())

    def meet(self, code: str, far: Far | None) -> None:
        """See ``stores.port.Receiver``."""
        self.roster.meet(code, far)

    def expect_kept(self, participant_id: str) -> None:
        """See ``stores.port.Receiver``."""
        self.roster.expect_kept(participant_id)

    def take_over(self, participant_id: str, kept: Kept | None) -> None:
        """See ``stores.port.Receiver``."""
        self.roster.take_over(participant_id, kept, self.wall())

    def part_with(self, participant_id: str, reason: CloseCode) -> Kept | None:
        """See ``stores.port.Receiver``."""
        return self.roster.part_with(participant_id, reason)

    def knows(self, participant_id: str) -> bool:
        """See ``stores.port.Receiver``."""
        return self.roster.get(participant_id) is not None

    def cut_off(self, code: str) -> None:
        """See ``stores.port.Receiver``."""
        self.roster.cut_off(code)

    def _relay(self, session: Session, request: requests.Relay) -> None:
        """To one other participant, unread (R14)."""
        audience = session.audience
        if audience is None or session.code is None or session.id is None:
            raise unseated(session)
        if request.timestamp is None:
            request.timestamp = self.wall()
        target = audience.get(request.target_id)
        if target is not None:
            target.relay(to_event(request, session.code, session.id), self._scratch)
        elif audience.far is not None and request.target_id in audience.far:
            audience.far.relay(to_event(request, session.code, session.id), request.target_id)
        else:
            raise Refusal(ErrorCode.TARGET_NOT_FOUND, "`targetId` is nobody in this room")
        if self._setup.offers and type(request) is requests.Answer:
            self._setup.answered(request.target_id, session.id, self.ticks())
        elif self._setup.offers and type(request) is requests.Offer:
            # This may be one that is not timed, and the answer to it must not be taken for the former's.
            self._setup.forget(session.id, request.target_id)
        elif self._setup.answers and type(request) is requests.IceCandidate:
            self._setup.found(request.target_id, session.id, self.ticks())

    async def _join(self, session: Session, request: requests.Join) -> None:
        if session.is_closed:
            raise Refusal(ErrorCode.NOT_IN_ROOM, "The connection was closed before this was done")
        if request.resume_token is not None:
            await self._resume(session, request, request.resume_token)
            return
        visit = self.lobby.visit(request, session.address, lambda: session.is_closed, session.handshake)
        _check_absent(session)
        if session.is_extra and await self.counts.is_crowded(session.address):
            # Else whoever joins only to be lost could open any number.
            raise Refusal(ErrorCode.RATE_LIMITED, "Too many connections from your address; resume, or wait")
        # Known by its id before the commit, so that what the commit sends finds it.
        self.roster.expect(
            session,
            visit.newcomer.id,
            request.room_id,
            is_resumable=visit.newcomer.resume_token is not None,
            client_seq=request.client_seq or 0,
        )
        await self._enter(session, self.lobby.join(visit))

    async def _resume(self, session: Session, request: requests.Join, token: str) -> None:
        _check_absent(session)
        connection_id = new_id(self._random)
        self.roster.expect_back(session, connection_id, request.room_id, request.last_seq or 0)
        await self._enter(session, self.lobby.resume(request, token, session.address, connection_id))

    async def _enter(self, session: Session, attempt: Awaitable[None]) -> None:
        try:
            await attempt
        except BaseException:
            self.roster.withdraw(session)
            raise

    def _leave(self, session: Session) -> Step:
        participant_id, code = session.id, session.code
        if participant_id is None or code is None:
            raise Refusal(ErrorCode.NOT_IN_ROOM, "You are in no room")
        return self._store.transact(
            code, lambda room, now: door.leave(room, participant_id, now, self._policy, by_word=True)
        )

    def _count_wrong_token(self, participant_id: str) -> None:
        person = self.roster.get(participant_id)
        if person is not None and person.session is not None:
            self.lobby.count_wrong_guess(person.session.address)

    def _give_up(self, session: Session) -> None:
        """The client never joined: close it, and give its place in the count back (R13)."""
        if session.id is None and not session.is_closed:
            self.counts.give_back(session.address, session.opened_at)
            session.close(CloseCode.NEVER_JOINED, "never joined a room")

    def _tidy(self) -> None:
        # First of all: a fault in what follows must not be the end of it.
        late = self._tidy_later(TIDY_EVERY)
        self.meters.loop_lag.observe(late)
        if late > STOOD_STILL:
            # Whoever wanted to come back meanwhile could not, and is only about to be heard.
            self._store.make_up_for(int(late * 1_000))
        elif self._store.tidy():
            self._tidy_later(TIDY_SOON)
        if self._renew():
            self._tidy_later(TIDY_SOON)
        self.limits.prune(self.clock())
        self.meters.tidy()
        self._losses.tell_again()

    def _renew(self) -> bool:
        """Give fresh TURN credentials to whose turn it is; whether it may be somebody else's already."""
        due = self._renewals.due()
        for participant_id in due:
            person = self.roster.get(participant_id)
            if person is not None and person.code is not None:
                fresh = self.ice_configuration()
                event = events.IceServers(
                    person.code, participant_id, fresh.ice_servers, self._ice.ttl, timestamp=self.wall()
                )
                person.send(frame(event))
        return len(due) == TOGETHER

    def _tidy_later(self, seconds: float) -> float:
        """Tidy in so many seconds, and not before. Returns by how many this time was late."""
        if self._loop is None or self._tidying is None:
            return 0.0
        late = self._loop.time() - self._tidying.when()
        self._tidying.cancel()
        self._tidying = self._loop.call_later(seconds, self._tidy)
        return late


def _check_absent(session: Session) -> None:
    if session.id is not None:
        raise Refusal(ErrorCode.ALREADY_JOINED, "This connection is in a room; send `leave` first")


def _ice_source(settings: Settings) -> IceSource:
    login = TurnLogin(settings.turn_username, settings.turn_credential) if settings.turn_username else None
    return IceSource(
        stun=settings.stun_servers,
        turn=settings.turn_servers,
        login=login,
        secret=settings.turn_secret,
        ttl=settings.turn_credential_ttl,
    )


async def _tell_of(request: Request, participant_id: str, code: str, step: Step) -> None:
    """What a moderator has done, once it is done: a verb may be applied twice, and cannot tell of itself."""
    await settled(step)
    action = request.action if isinstance(request, requests.ModeratorAction) else TYPE_OF[type(request)]
    log.info(
        Line(
            "moderated",
            room=code,
            participant=participant_id,
            action=action,
            target=getattr(request, "target_id", None) or getattr(request, "author_id", None),
        )
    )
