"""uvicorn's WebSocket protocol with a guard before it: what one client sends cannot hold up the others.

uvicorn reads up to 256 KiB at once and takes it in whole: tens of thousands of tiny frames, each parsed, and
each ping answered, before anybody else's turn. Here input is taken in slices, with the event loop's other
work between them, and frames are counted. For ``uvicorn --ws mikroroom.transport.guard:GuardedProtocol`` and
``mikroroom serve``.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from mikroroom.core.ratelimit import Bucket
from mikroroom.protocol.codes import CloseCode

# A slice of the smallest frames there are takes some milliseconds; most messages are one slice.
SLICE = 4_096
# Pings, pongs, and frames without any content. A client has reason to send one every few seconds.
IDLE_FRAMES, IDLE_FRAMES_PER_SECOND = 200, 20
# Frames of any kind. More than the messages that a session takes at once from a room of 100 seats (R31).
FRAMES, FRAMES_PER_SECOND = 10_000, 1_000


class GuardedProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection under uvicorn. A client that floods is closed (4003) and dropped."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        now = time.monotonic()
        self._idle_frames = Bucket(IDLE_FRAMES, IDLE_FRAMES_PER_SECOND, now)
        self._frames = Bucket(FRAMES, FRAMES_PER_SECOND, now)
        self._untaken = bytearray()
        self._taking: asyncio.Handle | None = None
        self._is_flooded = False

    def data_received(self, data: bytes) -> None:
        """Take the data in, or what of it is more than a slice later."""
        if self._is_flooded:
            return
        if self._untaken or len(data) > SLICE:
            self._untaken += data
            self.transport.pause_reading()
            self._take_soon()
        else:
            super().data_received(data)

    async def receive(self) -> Any:
        """The next event for the app. Once it has taken all there was, the next slice has its turn."""
        event = await super().receive()
        if self._untaken:
            self.transport.pause_reading()
            self._take_soon()
        return event

    def connection_lost(self, exc: Exception | None) -> None:
        """The rest is of no interest any more."""
        self._untaken.clear()
        super().connection_lost(exc)

    def handle_ping(self) -> None:
        """Answer, unless there are too many."""
        if self._idle_frames.take(time.monotonic()):
            super().handle_ping()
        else:
            self._drop()

    def handle_pong(self, event: Frame) -> None:
        """Note it, unless there are too many."""
        if self._idle_frames.take(time.monotonic()):
            super().handle_pong(event)
        else:
            self._drop()

    def handle_cont(self, event: Frame) -> None:
        """Keep it, unless there are too many: without content they escape the limit on a message's size."""
        if event.data or self._idle_frames.take(time.monotonic()):
            super().handle_cont(event)
        else:
            self._drop()

    def handle_events(self) -> None:
        """Count what has come; answer a handshake that cannot be read, which uvicorn leaves hanging."""
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.close_sent = self.handshake_complete = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
            return
        now = time.monotonic()
        if all(self._frames.take(now) for _ in self.conn.events):
            super().handle_events()
        else:
            self._drop()

    def _take_soon(self) -> None:
        if self._taking is None:
            self._taking = self.loop.call_soon(self._take_slice)

    def _take_slice(self) -> None:
        self._taking = None
        if self.read_paused or self._is_flooded or self.transport.is_closing():
            return  # until the app has taken what it was given, or for ever
        data = bytes(self._untaken[:SLICE])
        del self._untaken[:SLICE]
        super().data_received(data)
        if self._untaken:
            self._take_soon()
        elif not self.read_paused:
            self.transport.resume_reading()

    def _drop(self) -> None:
        """Say why, and end the connection without waiting for anything."""
        if self._is_flooded:
            return
        self._is_flooded = True
        self._untaken.clear()
        if self.handshake_complete and not self.close_sent:
            code = CloseCode.TOO_MANY_REFUSED.value
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": "too many frames"})
            self.conn.send_close(code, "too many frames")
            self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()
