"""A small asynchronous client, for bots and integration tests.

    async with Client.connect("ws://127.0.0.1:3000/ws") as ada:
        me = await ada.join("ABC123", "Ada", is_host=True)
        await ada.chat("hello")
        async for event in ada:
            match event:
                case events.Chat(text=text):
                    print(text)

Stands on the protocol alone, and on websockets.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import decode_event, encode
from mikroroom.protocol.events import Event
from mikroroom.protocol.requests import Action

# What the server relays at most (R32), and room for what it adds.
MAX_MESSAGE_BYTES = 524_288


class RefusedError(Exception):
    """The server refused to let the client in. ``code`` is one of ``protocol.codes.ErrorCode``."""

    def __init__(self, error: events.Error) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.code = error.code
        self.message = error.message


class DisconnectedError(Exception):
    """The connection is closed, with a code of ``protocol.codes.CloseCode`` or of RFC 6455, 7.4.1."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class Client:
    """One connection to the server, and what it may say there.

    ``id`` is the own participant id, ``room_id`` the room's code, once joined or waiting; ``creator_token``
    that of the room if this client made it. What is sent is answered by events, refusals included: an
    ``events.Error`` whose ``request_type`` tells what was refused.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.id = ""
        self.room_id = ""
        self.creator_token: str | None = None

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, **options: Any) -> AsyncIterator[Self]:
        """Connect to ``url``, as in ``wss://example.org/ws``, and close at the end of the block.

        ``options`` go to ``websockets.asyncio.client.connect``.

        Raises:
            websockets.exceptions.InvalidStatus: the handshake was refused: 403 origin, 429 too many.
            OSError: nobody listens there.
        """
        # Whoever goes with a lot unread cannot hear the server's goodbye behind it: do not wait long.
        options = {"compression": None, "max_size": MAX_MESSAGE_BYTES, "close_timeout": 2, **options}
        async with connect_websocket(url, **options) as connection:
            yield cls(connection)

    async def join(
        self,
        room_id: str,
        name: str,
        *,
        password: str | None = None,
        is_host: bool = False,
        creator_token: str | None = None,
        max_participants: int | None = None,
    ) -> events.ParticipantJoined | events.WaitingRoom:
        """Enter a room, or make it with ``is_host``. Gives one's ``participant-joined`` or ``waiting-room``.

        Raises:
            ValueError: the name or the code is none.
            RefusedError: the server said no.
            DisconnectedError: the connection was closed.
        """
        await self.send(
            requests.Join(
                room_id=room_id,
                name=name,
                password=password,
                is_host=is_host,
                creator_token=creator_token,
                max_participants=max_participants,
            )
        )
        # What is heard of a room that was left before is not about this one.
        code, name = room_id.upper(), name.strip()
        while True:
            match await self.receive():
                case events.ParticipantJoined(room_id=where, name=who) as joined if (where, who) == (
                    code,
                    name,
                ):
                    self.id, self.room_id = joined.participant_id, joined.room_id
                    self.creator_token = joined.creator_token or None
                    return joined
                case events.WaitingRoom(room_id=where, name=who) as waiting if (where, who) == (code, name):
                    self.id, self.room_id = waiting.participant_id, waiting.room_id
                    return waiting
                case events.Error(request_type="join") as error:
                    raise RefusedError(error)

    async def leave(self) -> None:
        """Leave the room; the connection stays open."""
        await self.send(requests.Leave())

    async def offer(self, target_id: str, sdp: str) -> None:
        """Send a WebRTC offer to one participant."""
        await self.send(requests.Offer(target_id=target_id, sdp=_raw(sdp)))

    async def answer(self, target_id: str, sdp: str) -> None:
        """Send a WebRTC answer to one participant."""
        await self.send(requests.Answer(target_id=target_id, sdp=_raw(sdp)))

    async def ice_candidate(self, target_id: str, candidate: dict[str, Any] | None) -> None:
        """Send an ICE candidate to one participant; None is the end of candidates."""
        await self.send(requests.IceCandidate(target_id=target_id, candidate=_raw(candidate)))

    async def chat(self, text: str, *, reply_to: str | None = None) -> None:
        """Say something to the room; ``reply_to`` is a ``message_id``."""
        await self.send(requests.Chat(text=text, reply_to=reply_to))

    async def update(
        self,
        *,
        is_muted: bool | None = None,
        is_video_off: bool | None = None,
        is_hand_raised: bool | None = None,
    ) -> None:
        """Change the own state; what is None stays as it is."""
        await self.send(
            requests.UpdateState(is_muted=is_muted, is_video_off=is_video_off, is_hand_raised=is_hand_raised)
        )

    async def raise_hand(self) -> None:
        """Ask for attention."""
        await self.send(requests.RaiseHand())

    async def lower_hand(self) -> None:
        """Take the hand down."""
        await self.send(requests.LowerHand())

    async def start_recording(self) -> None:
        """Tell the room that this client records (moderators)."""
        await self.send(requests.StartRecording())

    async def stop_recording(self) -> None:
        """Tell the room that this client records no longer (moderators)."""
        await self.send(requests.StopRecording())

    async def moderate(self, target_id: str, action: Action) -> None:
        """Mute, unmute, kick or make a moderator (moderators)."""
        await self.send(requests.ModeratorAction(target_id=target_id, action=action))

    async def lock(self) -> None:
        """Have newcomers wait (moderators)."""
        await self.send(requests.LockRoom())

    async def unlock(self) -> None:
        """Let everyone enter (moderators)."""
        await self.send(requests.UnlockRoom())

    async def admit(self, target_id: str) -> None:
        """Let someone in who waits (moderators)."""
        await self.send(requests.AdmitUser(target_id=target_id))

    async def reject(self, target_id: str, reason: str | None = None) -> None:
        """Send someone away who waits (moderators)."""
        await self.send(requests.RejectUser(target_id=target_id, reason=reason))

    async def send(self, request: requests.Message) -> None:
        """Send any request.

        Raises:
            DisconnectedError: the connection is closed.
        """
        try:
            await self._connection.send(encode(request), text=True)
        except ConnectionClosed as closed:
            raise _disconnected(closed) from None

    async def receive(self) -> Event:
        """The next event. Types that this version does not know are passed over.

        Raises:
            DisconnectedError: the connection is closed.
        """
        while True:
            try:
                text = await self._connection.recv(decode=True)
            except ConnectionClosed as closed:
                raise _disconnected(closed) from None
            event = decode_event(text)
            if event is not None:
                return event

    async def __aiter__(self) -> AsyncIterator[Event]:
        """All events until the connection is closed."""
        while True:
            try:
                event = await self.receive()
            except DisconnectedError:
                return
            yield event


def _raw(payload: str | dict[str, Any] | None) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(payload))


def _disconnected(closed: ConnectionClosed) -> DisconnectedError:
    if closed.rcvd is None:
        return DisconnectedError(1006, "")
    return DisconnectedError(closed.rcvd.code, closed.rcvd.reason)
