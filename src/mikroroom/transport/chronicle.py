"""``/api/events``: what has happened in rooms, for the site around them."""

import hmac

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from mikroroom.core.chronicle import RoomEvent, place
from mikroroom.hub.hub import Hub
from mikroroom.protocol.codes import Refusal
from mikroroom.settings import Settings
from mikroroom.transport.answers import answer, error, unavailable

MOST = 1_000
DEFAULT = 100
BAD_AFTER = "`after` must be the id of a room event, such as 1767225600000-0"
BAD_LIMIT = f"`limit` must be a whole number from 1 to {MOST}"


class RoomEvents(Struct, rename="camel"):
    """The answer: room events in order, and the ``after`` with which to ask for those that follow.

    It is not complete where some that came after the one asked for are not kept any more.
    """

    events: list[RoomEvent]
    next: str | None
    is_complete: bool


async def room_events(request: Request) -> Response:
    """``GET /api/events``: room events that are kept, from the first one after ``after``."""
    hub: Hub = request.app.state.hub
    hub.start()
    refusal = admin_refusal(request)
    if refusal is not None:
        return refusal
    after = request.query_params.get("after") or None
    if after is not None and not _is_id(after):
        return error(400, BAD_AFTER)
    limit = _limit(request.query_params.get("limit") or str(DEFAULT))
    if limit is None:
        return error(400, BAD_LIMIT)
    try:
        page = await hub.chronicle.page(after, limit)
    except Refusal as trouble:
        return unavailable(trouble.message)
    following = page.events[-1].id if page.events else after
    return answer(RoomEvents(page.events, following, page.is_complete), Cache_Control="no-store")


def admin_refusal(request: Request) -> Response | None:
    """The refusal for who does not bring the ``admin_token``."""
    settings: Settings = request.app.state.settings
    if not settings.admin_token:
        return error(404, "Not Found")
    scheme, _, brought = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(
        brought.strip().encode(), settings.admin_token.encode()
    ):
        return None
    return error(401, "The administration needs its token", WWW_Authenticate="Bearer")


def _is_id(text: str) -> bool:
    try:
        place(text)
    except ValueError:
        return False
    return True


def _limit(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        return None
    return int(text) if 1 <= int(text) <= MOST else None
