"""A connection over plain ASGI, for any server: a bounded outbox, and a writer while it holds something."""

import asyncio
from collections import deque
from collections.abc import Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from mikroroom.protocol.codec import HEADROOM, Frame

# How long a client may take to read what was sent before it was closed, and to answer the close frame.
CLOSE_PATIENCE = 10.0


class AsgiConnection:
    """The way to one client. ``send`` and ``close`` never block; see ``hub.session.Connection``."""

    __slots__ = (
        "_abandoning",
        "_closing",
        "_limit",
        "_outbox",
        "_reader",
        "_waiting",
        "_websocket",
        "_writer",
        "is_abandoned",
    )

    def __init__(self, websocket: WebSocket, max_outbox_bytes: int) -> None:
        self._websocket = websocket
        self._limit = max_outbox_bytes
        self._outbox: deque[bytearray] = deque()
        self._waiting = 0
        self._closing: tuple[int, str] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._reader = asyncio.current_task()
        self._abandoning: asyncio.TimerHandle | None = None
        self.is_abandoned = False

    def send(self, frame: Frame) -> bool:
        """Put a text message into the outbox; False, and nothing put there, if that makes it too full.

        A single message always fits, however low the limit.
        """
        if self._closing is not None:
            return True
        if self._waiting and self._waiting + len(frame) - HEADROOM > self._limit:
            self._outbox.clear()
            self._waiting = 0
            return False
        message = frame[HEADROOM:]
        self._outbox.append(message)
        self._waiting += len(message)
        self._write_soon()
        return True

    def send_all(self, frames: Sequence[Frame]) -> bool:
        """Put several there, likewise."""
        return all(map(self.send, frames))

    @property
    def waiting(self) -> int:
        """See ``hub.session.Connection``. What the server below holds is not known."""
        return self._waiting

    def close(self, code: int, reason: str) -> None:
        """Close after what is in the outbox. A client that does not take it in time is abandoned."""
        if self._closing is not None:
            return
        self._closing = (code, reason)
        self._abandoning = asyncio.get_running_loop().call_later(CLOSE_PATIENCE, self._abandon)
        self._write_soon()

    def end(self) -> None:
        """The connection is gone: let go of everything."""
        self._closing = self._closing or (1006, "")
        self._outbox.clear()
        if self._abandoning is not None:
            self._abandoning.cancel()
        if self._writer is not None:
            self._writer.cancel()

    def _write_soon(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._outbox:
                message = self._outbox.popleft()
                await self._websocket.send_text(message.decode())
                self._waiting -= len(message)
            if self._closing is not None:
                code, reason = self._closing
                # Some servers take a plain number only.
                await self._websocket.close(int(code), reason)
        except (WebSocketDisconnect, OSError, RuntimeError):
            # Gone while we wrote (each server says so in its own way); the reader is told by the server.
            self._outbox.clear()
            self._waiting = 0
        finally:
            self._writer = None

    def _abandon(self) -> None:
        """ASGI cannot drop a connection: this ends our part in it, the server's own time-outs do the rest."""
        self.is_abandoned = True
        if self._reader is not None:
            self._reader.cancel()
