"""A small asynchronous client, for bots and integration tests.

    async with Client.connect("ws://127.0.0.1:3000/ws") as ada:
        me = await ada.join("ABC123", "Ada", is_host=True)
        await ada.chat("hello")
        async for event in ada:
            match event:
                case events.Chat(text=text):
                    print(text)

It comes back by itself when its connection is lost. Stands on the protocol alone, and on websockets.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket

from mikroroom.client.backoff import Backoff
from mikroroom.client.errors import DisconnectedError, GapError, QueueFullError, RefusedError
from mikroroom.client.line import CLOSE_TIMEOUT, Line
from mikroroom.client.notices import Heard, Rejoined, Resumed, Suspended
from mikroroom.client.outbox import Limit
from mikroroom.client.place import Entry
from mikroroom.protocol import events, requests
from mikroroom.protocol.requests import Action

__all__ = [
    "Backoff",
    "Client",
    "DisconnectedError",
    "GapError",
    "Heard",
    "Limit",
    "QueueFullError",
    "RefusedError",
    "Rejoined",
    "Resumed",
    "Suspended",
]

# What the server relays at most (R32), and room for what it adds.
MAX_MESSAGE_BYTES = 524_288


class Client:
    """One participant, and what it may say to the server.

    ``id`` is the own participant id, ``room_id`` the room's code, once joined or waiting; ``creator_token``
    that of the room if this client made it. What is sent is answered by events, refusals included: an
    ``events.Error`` whose ``request_type`` tells what was refused.

    A client that has joined comes back when its connection is lost (R40 to R47), whatever was the reason
    (unless it was kicked, replaced or the like: close codes from 4500). A task of its own reads the
    connection and sees to that: an application that is busy with one event for longer than the server keeps
    its place, that asks for events with a timeout, or that only sends, comes back as well as one that always
    listens. Events say so: ``Suspended``, then ``Resumed`` or ``Rejoined``. Nothing is heard twice, and
    nothing is missed unless ``Resumed`` says so (then chat that the room keeps is told again, with the same
    ``message_id``). What is sent meanwhile waits, what may not have arrived is
    sent again, and nothing arrives twice (unless a crash has made the server forget that it had).
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self.id = ""
        self.room_id = ""
        self.creator_token: str | None = None

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str, *, backoff: Backoff | None = None, limit: Limit | None = None, **options: Any
    ) -> AsyncIterator[Self]:
        """Connect to ``url``, as in ``wss://example.org/ws``; leave and close at the end of the block.

        ``backoff`` is how long to wait before each try to come back, ``limit`` how much may wait to be sent
        until then. ``options`` go to ``websockets.asyncio.client.connect``.

        Raises:
            websockets.exceptions.InvalidStatus: the handshake was refused: 403 origin, 429 too many.
            OSError: nobody listens there.
        """
        # Whoever goes with a lot unread cannot hear the server's goodbye behind it: do not wait long.
        options = {
            "compression": None,
            "max_size": MAX_MESSAGE_BYTES,
            "close_timeout": CLOSE_TIMEOUT,
            **options,
        }

        async def dial() -> ClientConnection:
            return await connect_websocket(url, **options)

        line = Line(await dial(), dial, backoff or Backoff(), limit or Limit())
        try:
            yield cls(line)
        finally:
            await line.close()

    async def join(
        self,
        room_id: str,
        name: str | None = None,
        *,
        password: str | None = None,
        is_host: bool = False,
        creator_token: str | None = None,
        token: str | None = None,
        max_participants: int | None = None,
        resume: bool = True,
        rejoin: bool = True,
    ) -> events.ParticipantJoined | events.WaitingRoom:
        """Enter a room, or make it with ``is_host``. Gives one's ``participant-joined`` or ``waiting-room``.

        A ``token`` is a join token or an invite; it may bring the name with it.

        With ``resume`` the place is kept when the connection is lost, if the server keeps places, and taken
        again. When it is gone, with ``rejoin`` the client joins afresh, in the same way.

        Raises:
            ValueError: the name or the code is none.
            RefusedError: the server said no.
            DisconnectedError: the connection was closed.
        """
        request = requests.Join(
            room_id=room_id,
            name=name,
            password=password,
            is_host=is_host,
            creator_token=creator_token,
            max_participants=max_participants,
            resume=resume or None,
            token=token,
        )
        was_nowhere = not self.id
        self._line.entry = Entry(request, rejoin) if resume else None
        await self.send(request)

        def is_own(event: events.ParticipantJoined | events.WaitingRoom) -> bool:
            """What is heard of a room that was left before is not about this one; but a name may be given."""
            if event.room_id != request.room_id:
                return False
            return was_nowhere or event.name == request.name or bool(event.resume_token)

        while True:
            match await self.receive():
                case events.ParticipantJoined() as joined if is_own(joined):
                    self.creator_token = None
                    self._is(joined)
                    return joined
                case events.WaitingRoom() as waiting if is_own(waiting):
                    self._is(waiting)
                    return waiting
                case events.Error(request_type="join") as error:
                    raise RefusedError(error)

    async def leave(self) -> None:
        """Leave the room; the connection stays open.

        If it is lost at this moment, the client comes back no more, and the server lets the place go in time.
        """
        await self._line.leave()

    async def offer(self, target_id: str, sdp: str) -> None:
        """Send a WebRTC offer to one participant."""
        await self.send(requests.Offer(target_id=target_id, sdp=_raw(sdp)))

    async def answer(self, target_id: str, sdp: str) -> None:
        """Send a WebRTC answer to one participant."""
        await self.send(requests.Answer(target_id=target_id, sdp=_raw(sdp)))

    async def ice_candidate(self, target_id: str, candidate: dict[str, Any] | None) -> None:
        """Send an ICE candidate to one participant; None is the end of candidates."""
        await self.send(requests.IceCandidate(target_id=target_id, candidate=_raw(candidate)))

    async def chat(self, text: str, *, reply_to: str | None = None, target_id: str | None = None) -> None:
        """Say something to the room, or to one participant alone; ``reply_to`` is a ``message_id``."""
        await self.send(requests.Chat(text=text, reply_to=reply_to, target_id=target_id))

    async def delete_message(self, message_id: str) -> None:
        """Take a chat message back: an own one, or as a moderator anyone's."""
        await self.send(requests.DeleteMessage(message_id=message_id))

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
        """Send any request; while the client is on its way back, have it wait.

        Raises:
            DisconnectedError: the connection is closed for good.
            QueueFullError: as much waits as may. What waits already is not lost.
        """
        if isinstance(request, requests.Leave):
            await self._line.leave()
        else:
            await self._line.send(request)

    async def receive(self) -> Heard:
        """The next event. Types that this version does not know are passed over. Safe to cancel.

        Raises:
            DisconnectedError: the connection is closed for good.
            RefusedError: the place is gone, and the server refused to let the client in afresh.
            GapError: the server has left out a message.
        """
        heard = await self._line.inbox.get()
        if isinstance(heard, Rejoined):
            self._is(heard.own)
        return heard

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """All events until the connection is closed for good. Raises what else ``receive`` does."""
        while True:
            try:
                event = await self.receive()
            except DisconnectedError:
                return
            yield event

    def _is(self, own: events.ParticipantJoined | events.WaitingRoom) -> None:
        self.id, self.room_id = own.participant_id, own.room_id
        if isinstance(own, events.ParticipantJoined):
            self.creator_token = own.creator_token or self.creator_token


def _raw(payload: str | dict[str, Any] | None) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(payload))
