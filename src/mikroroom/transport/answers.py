"""HTTP answers in JSON."""

from typing import Any

import msgspec
from starlette.responses import Response

from mikroroom.hub.hub import Hub
from mikroroom.protocol.answers import Problem

_encoder = msgspec.json.Encoder()


def answer(content: Any, status: int = 200, **headers: str) -> Response:
    """``content`` as JSON; header names with underscores for hyphens."""
    return Response(
        _encoder.encode(content),
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        media_type="application/json",
    )


def error(status: int, message: str, **headers: str) -> Response:
    """``{"error": message}`` (R29)."""
    return answer(Problem(message), status, **headers)


def too_many(wait: int) -> Response:
    """The 429 of the reference. ``wait``: milliseconds after which it is worth trying again (R30)."""
    seconds = -(-wait // 1_000)
    return error(429, "Too many requests. Please try again later.", Retry_After=str(seconds))


def stopping(hub: Hub) -> Response | None:
    """The 503 of a server that is about to stop; None if it is not."""
    return unavailable("The server is stopping") if hub.is_stopping else None


def unavailable(why: str) -> Response:
    """A 503: not here, or not now."""
    return error(503, why, Retry_After="1", Cache_Control="no-store")
