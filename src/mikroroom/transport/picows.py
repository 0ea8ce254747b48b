"""A WebSocket protocol for uvicorn, on picows: ``uvicorn --ws mikroroom.transport.picows:PicowsProtocol``.

For any ASGI app. uvicorn hands over the transport and the handshake request, and the app is run. When it
accepts, the transport goes to a ``Channel``; the app talks to that through ASGI or, where it knows the
extension in ``direct``, by plain call.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from starlette.types import ASGIApp, Message, Scope
from uvicorn import Config
from uvicorn._types import WebSocketScope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)
from uvicorn.server import ServerState

from mikroroom.transport import direct, handshake
from mikroroom.transport.channel import Channel
from mikroroom.transport.direct import Receiver
from mikroroom.transport.frames import ABNORMAL, NORMAL, SERVER_ERROR, may_be_sent
from mikroroom.transport.handshake import BadHandshake, Header
from mikroroom.transport.heartbeat import Heartbeat
from mikroroom.transport.inbox import Inbox

# Where uvicorn's own protocols log.
log = logging.getLogger("uvicorn.error")

# What may come before the app has accepted: it has no business to, but some clients do not wait.
EARLY_BYTES = 65_536

# One for each server.
_heartbeats: WeakKeyDictionary[ServerState, Heartbeat] = WeakKeyDictionary()


class PicowsProtocol(asyncio.Protocol):
    """One WebSocket from its handshake on, as ASGI (spec version 2.4)."""

    # Whether data may come before the app has accepted: see ``bounded``.
    takes_early = True

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._server = server_state
        self._connections: set[Any] = server_state.connections
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._request: handshake.Request | None = None
        self._early = b""
        self._max_message = config.ws_max_size
        self._label = ""
        self._denial: tuple[int, list[Header]] | None = None
        self._denial_body = b""
        self._is_answered = False
        self._inbox = Inbox(config.ws_max_queue, self._loop)
        self._channel: Channel | None = None
        self._is_handed_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Uvicorn has a connection on which a handshake request came."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        with contextlib.suppress(OSError):  # a UNIX socket has no such option
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """First the request, all at once; then what a client says before it was accepted."""
        if self._request is None:
            try:
                self._request = handshake.read(data)
            except BadHandshake as refusal:
                self._answer(refusal.answer)
            else:
                self._start(self._request)
        elif not self._is_answered:
            self._early += data
            if len(self._early) > EARLY_BYTES:
                self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone before it was accepted, or after it was refused."""
        self._is_answered = True
        self._inbox.put_end(ABNORMAL, "")
        self._connections.discard(self)

    def shutdown(self) -> None:
        """The server stops before the handshake is over."""
        if not self._is_answered:
            self._refuse(503, b"The server is stopping")
        self._transport.close()

    async def send(self, message: Message) -> None:
        """Do what the app says (ASGI).

        Raises:
            ClientDisconnected: the client is gone.
            RuntimeError: it is not the time for such a message.
            ValueError: a header or a close code that cannot be sent.
        """
        kind = message["type"]
        channel = self._channel
        if channel is not None:
            # The one that comes all the time, without another await.
            text = message.get("text") if kind == "websocket.send" else None
            if text is None or not channel.say(text):
                await self._talk(channel, kind, message)
        elif self._is_answered:
            if self._transport.is_closing() and kind != "websocket.http.response.body":
                raise ClientDisconnected
        elif self._denial is not None:
            self._deny(kind, message)
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._tell("403")
            self._refuse(403, b"")
        elif kind == "websocket.http.response.start":
            status = message["status"]
            if not 200 <= status < 600:
                raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
            self._tell(status)
            self._denial = status, list(message.get("headers", []))
        else:
            raise RuntimeError(
                "Expected ASGI message 'websocket.accept', 'websocket.close' "
                f"or 'websocket.http.response.start' but got '{kind}'."
            )

    def limit(self, max_message: int) -> None:
        """See ``direct.Offer``."""
        self._max_message = min(self._max_message, max_message)

    def hand_over(self, connect: Callable[[Channel], Receiver], max_outbox: int) -> None:
        """See ``direct.HandOver``.

        Raises:
            RuntimeError: the handshake has not been accepted, or this has been done.
        """
        if self._channel is None or self._is_handed_over:
            raise RuntimeError("A WebSocket must be accepted before it is handed over, and that but once.")
        self._is_handed_over = True
        receiver = connect(self._channel)
        self._channel.witness = self._inbox
        self._channel.hand_over(receiver, max_outbox)
        for event in self._inbox.take_all():
            if "text" in event:
                receiver.receive(event["text"])
            else:
                receiver.receive_bytes(event["bytes"])

    def _start(self, request: handshake.Request) -> None:
        path, _, query = request.target.partition(b"?")
        root = self._config.root_path
        app = cast("ASGIApp", self._config.loaded_app)
        scope: Scope = {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": root,
            "path": root + unquote(path.decode("ascii")),
            "raw_path": root.encode("ascii") + path,
            "query_string": query,
            "headers": request.headers,
            "subprotocols": request.subprotocols,
            "state": self._app_state.copy(),
            "extensions": {
                "websocket.http.response": {},
                direct.EXTENSION: direct.Offer(
                    _innermost(app), self._inbox.get, self.send, self.hand_over, self.limit
                )._asdict(),
            },
        }
        if log.isEnabledFor(logging.INFO):
            seen = cast("WebSocketScope", scope)
            self._label = f'{get_client_addr(seen)} - "WebSocket {get_path_with_query_string(seen)}"'
        self._inbox.put({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(app, scope))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            result: object = await app(scope, self._inbox.get, self.send)  # type: ignore[func-returns-value]
        except ClientDisconnected:
            self._finish(SERVER_ERROR)
        except asyncio.CancelledError:  # the server has waited for the app long enough
            self._transport.abort()
            raise
        except Exception:
            log.exception("Exception in ASGI application\n")
            self._finish(SERVER_ERROR)
        else:
            if not self._is_answered:
                log.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                log.error("ASGI callable should return None, but returned '%s'.", result)
            if not self._is_handed_over:
                self._finish(NORMAL)
            elif self._channel is not None:
                self._channel.witness = None

    def _finish(self, code: int) -> None:
        """The app is done: so is the connection."""
        if not self._is_answered:
            self._refuse(500, b"Internal Server Error")
        elif self._channel is not None:
            self._channel.close(code, "")

    def _accept(self, message: Message) -> None:
        if self._request is None or self._transport.is_closing():
            raise ClientDisconnected
        headers = [*self._server.default_headers, *message.get("headers", [])]
        answer = handshake.switch(self._request, headers, message.get("subprotocol"))
        self._tell("[accepted]")
        self._is_answered = True
        self._transport.write(answer)
        self._channel = self._inbox.source = Channel(
            self._transport, self._inbox, self._heartbeat(), self._max_message, self._connections.discard
        )
        self._connections.discard(self)
        self._connections.add(self._channel)
        if len(self._early) > EARLY_BYTES:
            self._channel.resume()
        self._channel.feed(self._early)
        self._early = b""

    def _heartbeat(self) -> Heartbeat:
        heartbeat = _heartbeats.get(self._server)
        if heartbeat is None:
            heartbeat = Heartbeat(self._config.ws_ping_interval, self._config.ws_ping_timeout, self._loop)
            _heartbeats[self._server] = heartbeat
        return heartbeat

    async def _talk(self, channel: Channel, kind: str, message: Message) -> None:
        if kind not in {"websocket.send", "websocket.close"}:
            raise RuntimeError(
                f"Expected ASGI message 'websocket.send' or 'websocket.close', but got '{kind}'."
            )
        if channel.is_choked:
            await channel.drain()
        if not channel.is_open:
            if channel.is_over:
                raise ClientDisconnected
            raise RuntimeError(f"Unexpected ASGI message '{kind}', after sending 'websocket.close'.")
        if kind == "websocket.close":
            code, reason = message.get("code", NORMAL), message.get("reason") or ""
            if not may_be_sent(code):
                raise ValueError(f"{code} is no close code that can be sent")
            channel.close(code, reason)
            self._inbox.put_end(code, reason)
        else:
            data = message.get("bytes")
            channel.say(message["text"] if data is None else data)

    def _deny(self, kind: str, message: Message) -> None:
        """A refusal with an answer of the app's own (the extension ``websocket.http.response``)."""
        if kind != "websocket.http.response.body" or self._denial is None:
            raise RuntimeError(f"Expected ASGI message 'websocket.http.response.body' but got '{kind}'.")
        self._denial_body += message.get("body", b"")
        if not message.get("more_body", False):
            status, headers = self._denial
            self._refuse(status, self._denial_body, headers)

    def _refuse(self, status: int, body: bytes, headers: Sequence[Header] = ()) -> None:
        given = {name.lower() for name, _ in headers}
        defaults = [
            *self._server.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"connection", b"close"),
        ]
        missing = [(name, value) for name, value in defaults if name not in given]
        self._answer(handshake.response(status, [*missing, *headers], body))

    def _answer(self, answer: bytes) -> None:
        self._is_answered = True
        self._inbox.put_end(ABNORMAL, "")
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()

    def _tell(self, outcome: object) -> None:
        if self._label:
            log.info("%s %s", self._label, outcome)


def _innermost(app: ASGIApp) -> ASGIApp:
    """The app, without what uvicorn itself puts around it."""
    return cast("ASGIApp", app.app) if isinstance(app, ProxyHeadersMiddleware) else app
