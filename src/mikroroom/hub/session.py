"""One connection's state: who it is and where, the order of its messages, and its own limits."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import UNSET

from mikroroom.core.ratelimit import Bucket, Sampler, Tally
from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.protocol import events
from mikroroom.protocol.codec import TYPE_OF, Frame, InvalidMessage, decode_request, frame
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal
from mikroroom.protocol.requests import Join, Request
from mikroroom.settings import Settings
from mikroroom.stores.port import Far, Step

log = logging.getLogger(__name__)

# How much may wait behind a request that is still being decided (R7).
DEFERRED_CHARACTERS = 1_048_576
# Requests refused within this time are counted together (R31).
REFUSED_PERIOD = 10_000
# How often a client is told that it is over the message rate.
TELL_LIMIT_EVERY = 1_000
LOG_REFUSALS_EVERY = 1_000


class Connection(Protocol):
    """The way to one client. None of its methods blocks."""

    def send(self, frame: Frame) -> bool:
        """Hand over a message; False if too much is waiting for this client already (R33).

        The same frame may be handed to others too, and be written over afterwards.
        """

    def send_all(self, frames: Sequence[Frame]) -> bool:
        """Hand over several at once; False, and none of them sent, if that is too much."""

    @property
    def waiting(self) -> int:
        """Bytes that were handed over, and that the client has not taken yet."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection after what was handed over before; what cannot be sent soon is dropped."""


class Switchboard(Protocol):
    """What a session needs of its hub."""

    settings: Settings
    meters: Meters
    clock: Callable[[], int]
    ticks: Callable[[], float]
    wall: Callable[[], int]

    def act(self, session: "Session", request: Request) -> Step:
        """Do what the client asks for. Raises ``Refusal``."""

    def time(self, session: "Session", request: Request, came_at: float) -> None:
        """A request was done, which had come at that time, by ``ticks``."""

    def lose(self, session: "Session") -> None:
        """The connection is gone: so is the participant, if there is one, unless it may come back."""


class Listener(Protocol):
    """Someone in a room, to be told things: connected now, or to be connected again."""

    def send(self, frame: Frame) -> None:
        """Tell it something that others hear too. ``frame`` must not change any more."""

    def relay(self, event: events.Relay, scratch: Frame) -> None:
        """Tell it something that nobody else hears, encoded in ``scratch``."""


class Audience(dict[str, Listener]):
    """Everyone of one room who can be reached here, by id; and the way to the others, if there are any."""

    __slots__ = ("far",)

    def __init__(self) -> None:
        super().__init__()
        self.far: Far | None = None


class Numbered(Listener, Protocol):
    """What a session needs of the mailbox of its participant. ``connection_id`` is its own in the store."""

    connection_id: str

    def is_repeat(self, client_seq: int) -> bool:
        """Whether the client has sent this before; if not, it has now (R47)."""


class Session:
    """A client from its handshake to its end.

    ``id`` and ``code`` are set while it is a participant or a waiting participant, ``audience`` while it is
    a participant: everyone of its room who can be reached here. One that may come back has a ``mailbox``, and
    is spoken to through that. ``handshake`` is kept for the site, if that wants to see it.
    """

    __slots__ = (
        "_deciding",
        "_deferred",
        "_deferred_characters",
        "_give_up",
        "_hub",
        "_is_overdue",
        "_join_timer",
        "_logged",
        "_meters",
        "_refused",
        "_told",
        "address",
        "allowance",
        "audience",
        "code",
        "connection",
        "handshake",
        "id",
        "is_closed",
        "is_ended",
        "is_extra",
        "last_stamp",
        "mailbox",
        "opened_at",
    )

    def __init__(self, hub: Switchboard, connection: Connection, address: str, opened_at: int) -> None:
        settings = hub.settings
        self._hub = hub
        self._meters = hub.meters
        self.connection = connection
        self.address = address
        self.opened_at = opened_at
        self.id: str | None = None
        self.code: str | None = None
        self.audience: Audience | None = None
        self.mailbox: Numbered | None = None
        self.is_closed = False
        self.is_ended = False
        self.is_extra = False
        self.handshake: object = None
        self.last_stamp = 0
        self.allowance = Bucket(settings.message_burst, settings.messages_per_second, hub.ticks())
        self._refused = Tally(settings.refused_messages, REFUSED_PERIOD)
        self._told = Sampler(TELL_LIMIT_EVERY)
        self._logged = Sampler(LOG_REFUSALS_EVERY)
        self._deciding: asyncio.Task[None] | None = None
        # Made for those that need it: nearly nobody, and an empty one takes more room than the rest of us.
        self._deferred: deque[str] | None = None
        self._deferred_characters = 0
        self._join_timer: asyncio.TimerHandle | None = None
        self._is_overdue = False

    def expect_join(self, seconds: float, give_up: Callable[["Session"], None]) -> None:
        """Call ``give_up`` unless the client has joined or waits to be admitted by then (R13)."""
        self._give_up = give_up
        self._join_timer = asyncio.get_running_loop().call_later(seconds, self._check_joined)

    def joined(self) -> None:
        """The client is in a room or a waiting room: nothing more is expected of it."""
        self._is_overdue = False
        if self._join_timer is not None:
            self._join_timer.cancel()
            self._join_timer = None

    @property
    def has_joined(self) -> bool:
        """Whether nothing is expected of it any more: it is in a room or a waiting room, or was in one."""
        return self._join_timer is None

    def receive(self, text: str) -> None:
        """Take a message from the client: act upon it, or keep it until what came before is decided (R7)."""
        if self.is_closed:
            return
        now = self._hub.ticks()
        if not self.allowance.take(now):
            self._refuse_for_rate()
        elif self._deciding is None:
            self._act(text, now)
        elif self._deferred_characters + len(text) > DEFERRED_CHARACTERS:
            self.refuse(
                Refusal(ErrorCode.RATE_LIMITED, "Too much was sent before the last request was decided")
            )
        else:
            if self._deferred is None:
                self._deferred = deque()
            self._deferred.append(text)
            self._deferred_characters += len(text)

    def receive_bytes(self, data: bytes) -> None:
        """A message that is no text: nothing here is said in bytes."""
        self.close(CloseCode.UNSUPPORTED_DATA, "only text is understood here")

    @property
    def session(self) -> "Session":
        """The connection to speak to: itself. (That of a mailbox may be another one tomorrow, or none.)"""
        return self

    def unseat(self) -> None:
        """It is nobody any more, and in no room."""
        self.id = self.code = self.audience = self.mailbox = None

    def send(self, frame: Frame) -> None:
        """Send a message to the client; one that does not read is closed instead (R33)."""
        if not self.is_closed and not self.connection.send(frame):
            self.drop()

    def relay(self, event: events.Relay, scratch: Frame) -> None:
        """Likewise, with a message for nobody else. See ``Listener``."""
        self.send(frame(event, scratch))

    def send_all(self, frames: Sequence[Frame]) -> None:
        """Likewise, with several messages."""
        if not self.is_closed and not self.connection.send_all(frames):
            self.drop()

    def drop(self) -> None:
        """Close a client that reads too slowly (R33)."""
        log.warning(Line("slow-reader", room=self.code, participant=self.id, address=self.address))
        self.close(CloseCode.SLOW_READER, "reads too slowly")

    def refuse(
        self, refusal: Refusal, request_type: str | None = None, wanted_room: str | None = None
    ) -> None:
        """Tell the client that a request was refused (R27). Too many of them end the connection (R31).

        ``wanted_room`` is for the log: the one that somebody who is in none wanted to join.
        """
        self._meters.refusals[refusal.code] += 1
        self._log_refusal(refusal, request_type, self.code or wanted_room)
        error = events.Error(
            "",
            "",
            timestamp=self._hub.wall(),
            message=refusal.message,
            code=refusal.code.value,
            request_type=request_type or UNSET,
        )
        (self.mailbox or self).send(frame(error))
        self._count_refused()

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection from this side. The room hears of it after what is being done now."""
        if self.is_closed:
            return
        self.is_closed = True
        self.joined()
        self._meters.closes[code] += 1
        log.info(
            Line(
                "closed",
                code=code.value,
                reason=reason,
                room=self.code,
                participant=self.id,
                address=self.address,
            )
        )
        self._deferred = None
        self.connection.close(code, reason)
        asyncio.get_running_loop().call_soon(self.part)

    def end(self) -> None:
        """The connection is gone. What had come before is still done: a client says ``leave``, and goes."""
        if not self.is_ended:
            self._meters.connections_ended += 1
        self.is_closed = self.is_ended = True
        self.joined()
        self.part()

    def part(self) -> None:
        """Leave the room, if no request is being decided that may still change whether there is one."""
        if self._deciding is None:
            self._hub.lose(self)

    def _act(self, text: str, came_at: float) -> None:
        request: Request | None = None
        try:
            request = decode_request(text)
            kind = type(request)
            messages = self._meters.messages
            number = messages[kind] = messages[kind] + 1
            if (
                request.client_seq is not None
                and self.mailbox is not None
                and self.mailbox.is_repeat(request.client_seq)
            ):
                return
            step = self._hub.act(self, request)
        except InvalidMessage as refusal:
            self.refuse(refusal, refusal.request_type)
        except Refusal as refusal:
            self.refuse(refusal, TYPE_OF.get(type(request)), _wanted_room(request))
        except Exception as error:  # noqa: BLE001 - a fault in one request must not end the meeting
            self._fail(TYPE_OF.get(type(request)), error)
        else:
            if step is not None:
                self._deciding = asyncio.create_task(self._decide(step, request))
            elif not number & self._meters.mask:
                self._hub.time(self, request, came_at)

    async def _decide(self, step: Awaitable[None], request: Request) -> None:
        """See a request through that could not be decided at once, and then what came after it."""
        name = TYPE_OF[type(request)]
        try:
            await step
        except Refusal as refusal:
            # Who may come back finds the answer then.
            if self.mailbox is not None or not self.is_closed:
                self.refuse(refusal, name, _wanted_room(request))
        except Exception as error:  # noqa: BLE001 - likewise
            self._fail(name, error)
        finally:
            self._deciding = None
        if self._is_overdue:
            self._give_up(self)
        self._catch_up()

    def _catch_up(self) -> None:
        while self._deferred and self._deciding is None:
            text = self._deferred.popleft()
            self._deferred_characters -= len(text)
            self._act(text, self._hub.ticks())
        if self.is_closed and self._deciding is None:
            self._hub.lose(self)

    def _fail(self, name: str | None, error: Exception) -> None:
        """A fault of ours: the client is told, everyone else is not concerned."""
        log.error(Line("failed", request=name, room=self.code, participant=self.id), exc_info=error)
        self.refuse(Refusal(ErrorCode.SERVER_ERROR, "The server failed to do this"), name)

    def _refuse_for_rate(self) -> None:
        if self._told.due(self._hub.clock()) is not None:
            self.refuse(Refusal(ErrorCode.RATE_LIMITED, "Too many messages; the last ones were dropped"))
        else:
            self._meters.refusals[ErrorCode.RATE_LIMITED] += 1
            self._count_refused()

    def _log_refusal(self, refusal: Refusal, request_type: str | None, room: str | None) -> None:
        """One line a second at the most: what a client does wrong must not fill the disk."""
        passed_over = self._logged.due(self._hub.clock())
        if passed_over is None:
            return
        log.info(
            Line(
                "refused",
                code=refusal.code.value,
                request=request_type,
                room=room,
                participant=self.id,
                address=self.address,
                more_before=passed_over or None,
            )
        )

    def _count_refused(self) -> None:
        if self._refused.add(self._hub.clock()):
            self.close(CloseCode.TOO_MANY_REFUSED, "too many refused messages")

    def _check_joined(self) -> None:
        self._join_timer = None
        if self._deciding is not None:
            self._is_overdue = True  # this one join may still succeed, and none after it
        else:
            self._give_up(self)


def _wanted_room(request: Request | None) -> str | None:
    return request.room_id if isinstance(request, Join) else None
