"""The way to the server: one connection, and when that is lost the next one.

Owns the connection, and the one task that reads it, comes back, and so decides what is heard in which order.
Knows nothing of what the messages are for.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from mikroroom.client.backoff import Backoff
from mikroroom.client.errors import DisconnectedError, RefusedError, disconnected
from mikroroom.client.inbox import Inbox
from mikroroom.client.notices import Heard, Rejoined, Resumed, Suspended
from mikroroom.client.outbox import Limit, Outbox
from mikroroom.client.place import Entry, Place
from mikroroom.protocol import events
from mikroroom.protocol.codec import InvalidMessage, decode_event, encode
from mikroroom.protocol.codes import ErrorCode
from mikroroom.protocol.events import Event
from mikroroom.protocol.requests import Join, Leave, Message

# Seconds. Where nobody answers, pings would notice too late: the place is not kept for long.
ANSWER_TIMEOUT = 10.0
# What a notice of ours counts in the inbox.
NOTICE_SIZE = 256
# For the last message, and again for the closing handshake, which cannot be heard behind much that is unread.
CLOSE_TIMEOUT = 2.0
# A proxy may ask for more than anyone would wait.
RETRY_AFTER_MOST = 60.0

_PASSING = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.SERVER_ERROR})
# Refused handshakes that may pass: timeout, too early, too many; and all that servers and proxies fail with.
_PASSING_STATUS = frozenset({408, 425, 429, *range(500, 600)})

Own = events.ParticipantJoined | events.WaitingRoom


class _Numbered(msgspec.Struct):
    """As much as counts of a message that this version does not know."""

    seq: int | None = None


class Line:
    """``inbox`` is what was heard, until it ends with the error that says why.

    ``dial`` opens another connection. Without an ``entry`` a lost connection is the end, as it is after
    ``leave``, and where the server gives no ``resumeToken``.
    """

    def __init__(
        self,
        connection: ClientConnection,
        dial: Callable[[], Awaitable[ClientConnection]],
        backoff: Backoff,
        limit: Limit,
    ) -> None:
        self.inbox: Inbox[Heard] = Inbox()
        self.entry: Entry | None = None
        self._connection = connection
        self._dial = dial
        self._backoff = backoff
        self._limit = limit
        self._place: Place | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._confirming: asyncio.Task[None] | None = None
        self._listening = self._spawn(self._listen())
        self._listening.add_done_callback(self._end)

    async def send(self, request: Message) -> None:
        """Send a request; or keep it, when the connection is lost and there is a place to come back to.

        Raises:
            DisconnectedError: the connection is closed for good.
            QueueFullError: too much is kept.
        """
        place = self._place
        if place is None or isinstance(request, Join):
            await self._write(encode(request))
        else:
            place.outbox.put(encode(request), is_away=self._is_away)
            await self._flush(place)

    async def leave(self) -> None:
        """Send ``leave``, and give the place up; also while the connection is lost, for good then.

        Raises:
            DisconnectedError: the connection is closed for good.
        """
        try:
            if self._place is None or not self._is_away:
                await self.send(Leave())
        finally:
            self._forget()

    async def close(self) -> None:
        """Leave a place that would be kept, and close the connection."""
        with contextlib.suppress(DisconnectedError, TimeoutError):
            if self._place is not None:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    @property
    def _is_away(self) -> bool:
        return self._connection.close_code is not None

    def _forget(self) -> None:
        self._place = self.entry = None
        if self._is_away:
            self._listening.cancel()

    # What is heard

    async def _listen(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            lost = await self._hear()
            place = self._place
            if place is None or lost.is_final:
                raise lost
            if clock() - began > self._backoff.most:
                # It has worked. One that is lost at once is no success: others would be tried without end.
                self._backoff.reset()
            self.inbox.put(Suspended(lost.code, lost.reason), NOTICE_SIZE)
            await self.inbox.room()
            self.inbox.put(await self._come_back(place, lost), NOTICE_SIZE)
            self._spawn(self._catch_up())

    async def _hear(self) -> DisconnectedError:
        """Take in what comes on this connection until it is lost."""
        try:
            while True:
                self._take(await self._connection.recv(decode=True))
                await self.inbox.room()
        except ConnectionClosed as closed:
            return disconnected(closed)

    def _take(self, text: str) -> None:
        event: Event | InvalidMessage | None
        try:
            event = decode_event(text)
        except InvalidMessage as invalid:
            event = invalid
        own = event if isinstance(event, Own) and event.resume_token else None
        if self._place is not None:
            seq = _seq(event, text)
            if seq is not None and not self._place.hear(seq):
                return
            if own is not None:
                self._place.take(own)
        elif own is not None and self.entry is not None:
            self._place = Place(self.entry, own, Outbox(self._limit))
        if event is not None:
            self.inbox.put(event, len(text))

    def _end(self, listening: asyncio.Task[None]) -> None:
        self._place = None
        if listening.cancelled():
            self.inbox.end(DisconnectedError(self._connection.close_code or 1000, ""))
            return
        error = listening.exception()
        self.inbox.end(error if isinstance(error, Exception) else DisconnectedError(1006, ""))
        if not isinstance(error, DisconnectedError):
            self._connection.transport.abort()

    # What is said

    async def _write(self, text: bytes) -> None:
        try:
            await self._connection.send(text, text=True)
        except ConnectionClosed as closed:
            raise disconnected(closed) from None

    async def _catch_up(self) -> None:
        with contextlib.suppress(DisconnectedError):  # whoever listens is told
            if self._place is not None:
                await self._flush(self._place)

    async def _flush(self, place: Place) -> None:
        """Send what was not sent yet. What a lost connection swallows is sent again on the next one."""
        # In order, however many do this at once: sending waits only after it has written.
        while not self._is_away and (text := place.outbox.take()) is not None:
            with contextlib.suppress(DisconnectedError):
                await self._write(text)
        if self._is_away:
            lost = disconnected(self._connection.protocol.close_exc)
            if lost.is_final:
                raise lost
        elif place.outbox.is_unsure and (self._confirming is None or self._confirming.done()):
            self._confirming = self._spawn(self._confirm(self._connection))

    async def _confirm(self, connection: ClientConnection) -> None:
        """Learn what has arrived: a pong says that all before its ping has. One at a time."""
        with contextlib.suppress(ConnectionClosed):
            while connection is self._connection and self._place is not None and self._place.outbox.is_unsure:
                outbox, sent = self._place.outbox, self._place.outbox.sent
                await (await connection.ping())
                outbox.confirm(sent)

    # Coming back

    async def _come_back(self, place: Place, lost: DisconnectedError) -> Resumed | Rejoined:
        """Try until the server has said yes or no.

        Raises:
            DisconnectedError: not this client, or not any more.
            RefusedError: no.
        """
        pause = 0.0
        while True:
            await self._backoff.wait(pause)
            pause = 0.0
            try:
                connection = await self._dial()
                own = await self._enter(connection, place)
            except InvalidStatus as refused:
                if refused.response.status_code not in _PASSING_STATUS:
                    raise DisconnectedError(lost.code, f"{lost.reason}; {refused}") from refused
                pause = _retry_after(refused)
            except ConnectionClosed as closed:
                if (again := disconnected(closed)).is_final:
                    raise again from None
            except (OSError, WebSocketException, InvalidMessage):
                continue
            else:
                return self._settle(connection, place, own)

    async def _enter(self, connection: ClientConnection, place: Place) -> Own:
        """Ask for the place until it is given; else the connection is no more."""
        is_in = False
        try:
            while True:
                request = place.request()
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await connection.send(encode(request), text=True)
                    answer = await _answer(connection)
                if not isinstance(answer, events.Error):
                    is_in = True
                    return answer
                if answer.code in _PASSING:
                    await self._backoff.wait()
                    continue
                place.discard_token()
                if request.resume_token is None or place.is_lost:
                    raise RefusedError(answer)
        finally:
            if not is_in:
                connection.transport.abort()

    def _settle(self, connection: ClientConnection, place: Place, own: Own) -> Resumed | Rejoined:
        self._connection = connection
        if own.resumed:
            place.take(own)
            place.outbox.rewind(own.last_client_seq or 0)
            return Resumed(own, replayed=bool(own.replayed))
        self._place = Place(place.entry, own, place.outbox.unsent())
        return Rejoined(own)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _answer(connection: ClientConnection) -> Own | events.Error:
    """What the server says to a ``join``."""
    while True:
        event = decode_event(await connection.recv(decode=True))
        if isinstance(event, Own) or (isinstance(event, events.Error) and event.request_type == "join"):
            return event


def _seq(event: Event | InvalidMessage | None, text: str) -> int | None:
    if event is not None and not isinstance(event, InvalidMessage):
        return event.seq or None
    try:
        return msgspec.json.decode(text, type=_Numbered).seq
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _retry_after(refused: InvalidStatus) -> float:
    """The seconds that the server asks for (RFC 9110, 10.2.3); a date, or nonsense, is none."""
    asked = refused.response.headers.get("Retry-After", "")
    return min(float(asked), RETRY_AFTER_MOST) if asked.isdecimal() and asked.isascii() else 0.0
