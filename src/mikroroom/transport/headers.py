"""The headers that every answer carries (R29), as plain ASGI: errors and refused handshakes included."""

import logging
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mikroroom.logs import Line
from mikroroom.transport.answers import error

log = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
CORS_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
}
# What a page asks for that administers rooms, or hears of them.
MORE_CORS_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
}
_STARTS = ("http.response.start", "websocket.http.response.start")


def is_allowed(origin: str, allowed: Sequence[str]) -> bool:
    """Whether pages of this origin may use the service; scheme and host know no case (RFC 6454, 4)."""
    return any(text == "*" or text.lower() == origin.lower() for text in allowed)


class AnswerHeaders:
    """Adds the security and CORS headers, answers OPTIONS anywhere, and turns what fails into a JSON error.

    ``root_path`` is a prefix under which a proxy shows the service; requests may come with or without it.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str], root_path: str) -> None:
        self._app = app
        self._allowed_origins = allowed_origins
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket handshake."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self._set_prefix(scope)
        cors = self._cors(Headers(scope=scope).get("origin"))
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] in _STARTS:
                started = True
                headers = MutableHeaders(scope=message)
                headers.update({**SECURITY_HEADERS, **cors})
                if "*" not in self._allowed_origins:
                    headers.add_vary_header("Origin")
            await send(message)

        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            if asks_for_more(scope):
                cors |= MORE_CORS_HEADERS
            await Response(status_code=204)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # gone before all was said: nobody is there to be answered, and nothing of ours has failed
        except Exception:
            if started or scope["type"] != "http":
                raise
            log.exception(Line("failed", request=f"{scope['method']} {scope['path']}"))
            await error(500, "Internal server error")(scope, receive, send_with_headers)

    def _set_prefix(self, scope: Scope) -> None:
        """Tell the app where it stands; its routes know no path without a slash."""
        prefix = scope.get("root_path") or self._root_path
        if prefix:
            scope["root_path"] = prefix
            if scope["path"] == prefix:
                scope["path"] += "/"

    def _cors(self, origin: str | None) -> dict[str, str]:
        if "*" in self._allowed_origins:
            return {"Access-Control-Allow-Origin": "*", **CORS_HEADERS}
        if origin is not None and is_allowed(origin, self._allowed_origins):
            return {"Access-Control-Allow-Origin": origin, **CORS_HEADERS}
        return dict(CORS_HEADERS)


def asks_for_more(scope: Scope) -> bool:
    """Whether this is a preflight for what the reference does not know: other methods, or a token."""
    headers = Headers(scope=scope)
    method = headers.get("access-control-request-method", "")
    fields = headers.get("access-control-request-headers", "").lower()
    is_more = method in {"PATCH", "DELETE"} or "authorization" in fields
    return is_more and scope["path"].removeprefix(scope.get("root_path", "")).startswith("/api/")
