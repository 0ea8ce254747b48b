"""Clients of an ASGI app that need no server: ``visit`` for HTTP, ``Caller`` for WebSockets."""

import asyncio
import json
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from mikroroom.transport.headers import CORS_HEADERS, SECURITY_HEADERS

PATIENCE = 60.0
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"

__all__ = ["CORS_HEADERS", "ELSEWHERE", "HERE", "PATIENCE", "SECURITY_HEADERS", "Caller", "visit"]


def visit(app: ASGIApp, peer: str = HERE, *, root_path: str = "") -> httpx.AsyncClient:
    """An HTTP client of ``app``, as a test of an integrating site would make it; no lifespan is run."""
    transport = httpx.ASGITransport(app, client=(peer, 50_000), root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://meet.example")


class Caller:
    """The server's side of one WebSocket, and a client who uses it: what ASGI says, and nothing more."""

    def __init__(
        self,
        app: ASGIApp,
        path: str = "/ws",
        peer: str = HERE,
        *,
        query: str = "",
        can_deny: bool = True,
        **headers: str,
    ) -> None:
        self.scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": (peer, 50_000),
            "server": ("meet.example", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}} if can_deny else {},
        }
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        # Without it, whatever the app sends is not taken.
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self._run(app))

    async def _run(self, app: ASGIApp) -> None:
        await app(self.scope, self._incoming.get, self._take)

    async def _take(self, message: Message) -> None:
        await self.is_reading.wait()
        self.sent.put_nowait(dict(message))

    async def hears(self) -> Message:
        """The next thing that the app sends."""
        async with asyncio.timeout(PATIENCE):
            return await self.sent.get()

    async def hears_text(self) -> dict[str, Any]:
        """The next message, which must be text."""
        heard = await self.hears()
        assert heard["type"] == "websocket.send", heard
        message: dict[str, Any] = json.loads(heard["text"])
        return message

    async def is_accepted(self) -> "Caller":
        """The handshake went well."""
        assert (await self.hears())["type"] == "websocket.accept"
        return self

    async def is_denied(self) -> httpx.Response:
        """The handshake was answered with an HTTP response: this one."""
        start, body = await self.hears(), await self.hears()
        assert (start["type"], body["type"]) == (
            "websocket.http.response.start",
            "websocket.http.response.body",
        )
        return httpx.Response(start["status"], headers=start["headers"], content=body["body"])

    async def is_closed(self) -> int:
        """The next thing that the app sends is a close: its code."""
        heard = await self.hears()
        assert heard["type"] == "websocket.close", heard
        code: int = heard["code"]
        return code

    def sends(self, text: str | bytes) -> None:
        """Send a message."""
        kind = "text" if isinstance(text, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", kind: text})

    def says(self, kind: str, /, **fields: object) -> None:
        """Send a message with these fields."""
        self.sends(json.dumps({"type": kind, **fields}))

    def hangs_up(self, code: int = 1005) -> None:
        """The connection is gone."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": code})

    async def ends(self) -> None:
        """The app is done with this WebSocket, without an error."""
        async with asyncio.timeout(PATIENCE):
            await self.task
