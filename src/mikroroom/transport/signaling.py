"""``/ws``: the signaling endpoint. It lets a client in, and hands what it says to its session."""

import asyncio
from typing import Any

from starlette.endpoints import WebSocketEndpoint
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from mikroroom.hub.hub import Hub
from mikroroom.hub.session import Connection, Session
from mikroroom.protocol.codes import CloseCode
from mikroroom.transport.answers import error, stopping, too_many
from mikroroom.transport.clients import client_of, origin_refusal, token_refusal
from mikroroom.transport.connection import AsgiConnection
from mikroroom.transport.direct import offer_in
from mikroroom.transport.frames import SERVER_ERROR

# Policy violation (RFC 6455, 7.4.1): for servers that cannot refuse a handshake with an HTTP status.
REFUSED = 1008


class SignalingEndpoint(WebSocketEndpoint):
    """One client's WebSocket, from handshake to end."""

    encoding = None
    _hub: Hub
    _address: str
    _opened_at: int
    _is_extra: bool
    _connection: AsgiConnection | None = None
    _session: Session

    async def dispatch(self) -> None:
        """Refuse the handshake (R30), or serve the connection."""
        state = self.scope["app"].state
        self._hub = state.hub
        self._hub.start()
        websocket = WebSocket(self.scope, self.receive, self.send)
        self._address = client_of(websocket, state.trusted)
        refusal = (
            origin_refusal(websocket, self._hub, self._address)
            or token_refusal(websocket)
            or stopping(self._hub)
            or await self._over_limit()
        )
        if refusal is not None:
            await _deny(websocket, refusal)
            return
        offer = offer_in(self.scope)
        if offer is not None:
            await self._serve_directly(websocket, offer)
            return
        try:
            await super().dispatch()
        except asyncio.CancelledError:
            if self._connection is None or not self._connection.is_abandoned:
                raise

    async def on_connect(self, websocket: WebSocket) -> None:
        """The handshake is accepted."""
        await websocket.accept()
        self._connection = AsgiConnection(websocket, self._hub.settings.max_outbox_bytes)
        self._open_session(self._connection)

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        """A message. Never waits: a reader that is held up would miss the pings (R34)."""
        if not isinstance(data, str):
            self._session.receive_bytes(data)
        elif _is_longer(data, self._hub.settings.max_message_bytes):
            self._session.close(CloseCode.MESSAGE_TOO_BIG, "the message is too big")
        else:
            self._session.receive(data)

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        """The connection is gone, however that came about."""
        if self._connection is not None:
            self._connection.end()
            self._session.end()

    def _open_session(self, connection: Connection) -> Session:
        self._session = self._hub.connect(
            connection,
            self._address,
            self._opened_at,
            is_extra=self._is_extra,
            handshake=HTTPConnection(self.scope) if self._hub.doorkeeper.is_asked else None,
        )
        return self._session

    async def _serve_directly(self, websocket: WebSocket, offer: dict[str, Any]) -> None:
        """Give the connection to its session, without ASGI between them."""
        settings = self._hub.settings
        offer["limit"](settings.max_message_bytes)
        await websocket.accept()
        offer["hand_over"](self._open_session, settings.max_outbox_bytes)
        if offer["app"] is not self.scope["app"]:
            # Whoever called us may want to know when the connection ends, or end it.
            try:
                await websocket.receive()
            except asyncio.CancelledError:
                self._session.connection.close(SERVER_ERROR, "")
                self._session.end()
                raise

    async def _over_limit(self) -> Response | None:
        wait, self._opened_at, self._is_extra = await self._hub.counts.take_connection(self._address)
        if not wait:
            return None
        self._hub.limits.tell("connections-limited", self._hub.clock(), address=self._address)
        return too_many(wait)


async def nowhere(websocket: WebSocket) -> None:
    """A WebSocket handshake anywhere else: 404, as for any other request (R29)."""
    await _deny(websocket, error(404, "Not Found"))


async def _deny(websocket: WebSocket, refusal: Response) -> None:
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(refusal)
    else:
        await websocket.close(REFUSED)


def _is_longer(text: str, limit: int) -> bool:
    """Whether ``text`` is longer in UTF-8. Most are so short that they need not be encoded to know."""
    return len(text) * 4 > limit and len(text.encode()) > limit
