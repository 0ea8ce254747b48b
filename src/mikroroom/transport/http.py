"""The REST routes: index, health, ICE configuration, room creation."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mikroroom import __version__
from mikroroom.hub.hub import Hub
from mikroroom.protocol.answers import Health, Index, Ready
from mikroroom.protocol.codec import InvalidMessage, decode_body
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.protocol.requests import CreateRoom
from mikroroom.settings import Settings
from mikroroom.stores.port import CodeTaken
from mikroroom.transport.answers import answer, error, too_many, unavailable
from mikroroom.transport.clients import client_of, origin_refusal
from mikroroom.transport.web import WebFiles, page_for

INVALID_BODY = "Invalid request body"
NO_ROOM_MADE = "Cannot create room. Limit reached or room ID already exists."


async def index(request: Request) -> Response:
    """``GET /``: the room page where a page is asked for, otherwise what this is, and where to go on."""
    web: WebFiles = request.app.state.web
    page = page_for(request)
    if page is not None:
        return page
    root = request.scope.get("root_path", "")
    endpoints = {
        "health": f"{root}/health",
        "ready": f"{root}/ready",
        "config": f"{root}/config",
        "rooms": f"{root}/api/rooms",
        "websocket": f"{root}/ws",
        **web.endpoints(root),
        **request.app.state.contracts.endpoints(root),
    }
    response = answer(Index("MikroRoom", __version__, endpoints))
    if web.page is not None:
        response.headers["Vary"] = "Accept"  # no cache may give a browser this one
    return response


async def health(request: Request) -> Response:
    """``GET /health``: that it works, and how much goes on."""
    hub: Hub = request.app.state.hub
    hub.start()
    census = await hub.census()
    uptime = hub.clock() - hub.started_at
    told = Health("ok", census.rooms, census.participants, census.peak, uptime, __version__)
    return answer(told, Cache_Control="no-store")


async def ready(request: Request) -> Response:
    """``GET /ready``: whether to send people here; 503 when stopping, or while the rooms are out of reach."""
    hub: Hub = request.app.state.hub
    if not hub.is_stopping:
        hub.start()
    trouble = hub.trouble()
    return unavailable(trouble) if trouble else answer(Ready(), Cache_Control="no-store")


async def config(request: Request) -> Response:
    """``GET /config``: the ICE servers, with credentials of the moment where TURN has a shared secret."""
    hub: Hub = request.app.state.hub
    hub.start()
    address = client_of(request, request.app.state.trusted)
    wait = await hub.counts.take_config(address)
    if wait:
        hub.limits.tell("configs-limited", hub.clock(), address=address)
        return too_many(wait)
    return answer(hub.ice_configuration(), Cache_Control="no-store")


async def create_room(request: Request) -> Response:
    """``POST /api/rooms``: a pre-created room and its creator token (R2, R3)."""
    hub: Hub = request.app.state.hub
    hub.start()
    settings: Settings = request.app.state.settings
    address = client_of(request, request.app.state.trusted)
    forbidden = origin_refusal(request, hub, address)
    if forbidden is not None:
        return forbidden
    wait = await hub.counts.take_room(address)
    if wait:
        hub.limits.tell("rooms-limited", hub.clock(), address=address)
        return too_many(wait)
    body = await read_body(request, settings.max_body_bytes)
    if body is None:
        return error(413, f"Request body too large; at most {settings.max_body_bytes} bytes")
    try:
        created = await hub.lobby.create_room(decode_body(body, CreateRoom), address)
    except CodeTaken:
        return error(429, NO_ROOM_MADE)
    except InvalidMessage:
        return error(400, INVALID_BODY)
    except Refusal as refusal:
        hub.meters.refusals[refusal.code] += 1
        return _refused(refusal)
    return answer(created, 201, Cache_Control="no-store")


async def upgrade_required(request: Request) -> Response:
    """``GET /ws`` by something that does not speak WebSocket (RFC 9110, 15.5.22)."""
    return error(426, "This is a WebSocket endpoint", Upgrade="websocket")


async def http_error(request: Request, exception: HTTPException) -> Response:
    """404, 405 and their like as JSON (R29)."""
    return error(exception.status_code, exception.detail, **dict(exception.headers or {}))


async def read_body(request: Request, limit: int) -> bytes | None:
    """The body, or None as soon as it is known to be longer than ``limit``."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _refused(refusal: Refusal) -> Response:
    match refusal.code:
        case ErrorCode.INVALID_MESSAGE:
            return error(400, INVALID_BODY)
        case ErrorCode.ROOM_LIMIT:
            return error(429, NO_ROOM_MADE)
        case _:
            return error(503, refusal.message, Retry_After="1")
