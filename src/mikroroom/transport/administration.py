"""The REST routes by which rooms are administered, and the tokens that let one do so.

A client that brings no credentials is one of the reference, to which none of these routes exist. Only where
the site has a token of its own is it told that there is something, and what it takes.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from mikroroom.hub.administration import Administration, Authority, Forbidden, Throttled
from mikroroom.hub.hub import Hub
from mikroroom.protocol import administration as protocol
from mikroroom.protocol.codec import decode_body, decode_query
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.settings import Settings
from mikroroom.transport import http
from mikroroom.transport.answers import answer, error, too_many
from mikroroom.transport.clients import client_of, origin_refusal

# Longer than any token of ours.
LONGEST_TOKEN = 256

NO_STORE = "no-store"

_CODE = re.compile("[A-Za-z0-9]{6}")

# What each refusal is in HTTP. What is not here is a conflict with how things are in the room.
STATUS = {
    ErrorCode.INVALID_MESSAGE: 400,
    ErrorCode.ROOM_NOT_FOUND: 404,
    ErrorCode.TARGET_NOT_FOUND: 404,
    ErrorCode.SERVER_ERROR: 503,
}
CONFLICT = 409

S = TypeVar("S", bound=msgspec.Struct)


class Call:
    """One request that may be answered: by whom it is, and what it asks for.

    ``query`` and ``body`` raise InvalidMessage.
    """

    def __init__(self, request: Request, by: Authority, body: bytes) -> None:
        self.hub: Hub = request.app.state.hub
        self.administration: Administration = self.hub.administration
        self.by = by
        self.code = code_of(request) or ""
        self._request = request
        self._body = body

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self._request.path_params[name])

    def query(self, kind: type[S]) -> S:
        """What the query asks for."""
        return decode_query(dict(self._request.query_params), kind)

    def body(self, kind: type[S]) -> S:
        """What the body asks for; then there is no query."""
        self.query(protocol.Nothing)
        return decode_body(self._body, kind)


Endpoint = Callable[[Call], Awaitable[Response]]


class AdministrationRoute(Route):
    """A path of the administration, and what each method does there.

    ``is_shown`` also to a client that brings no credentials.
    """

    def __init__(self, path: str, *, is_shown: bool, **endpoints: Endpoint) -> None:
        async def endpoint(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            return await respond(request, endpoints[method])

        super().__init__(path, endpoint, methods=list(endpoints), name=f"administration:{path}")
        self._is_shown = is_shown

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See ``Route``."""
        brings = scope["type"] == "http" and any(name == b"authorization" for name, _ in scope["headers"])
        return super().matches(scope) if self._is_shown or brings else (Match.NONE, {})


def administration_routes(settings: Settings, lists: Mapping[str, Endpoint]) -> Sequence[Route]:
    """All of them; ``lists`` are what else the site may read, by path."""
    is_shown = bool(settings.admin_token)
    room = "/api/rooms/{code}"
    return [
        *(AdministrationRoute(path, is_shown=is_shown, GET=endpoint) for path, endpoint in lists.items()),
        AdministrationRoute("/api/rooms", is_shown=is_shown, GET=list_rooms),
        AdministrationRoute(room, is_shown=is_shown, GET=show_room, PATCH=change_room, DELETE=end_meeting),
        AdministrationRoute(
            f"{room}/participants/{{id}}",
            is_shown=is_shown,
            PATCH=change_participant,
            DELETE=remove_participant,
        ),
        AdministrationRoute(f"{room}/waiting/{{id}}", is_shown=is_shown, POST=admit_participant),
        AdministrationRoute(f"{room}/invites", is_shown=is_shown, GET=list_invites, POST=create_invite),
        AdministrationRoute(f"{room}/invites/{{id}}", is_shown=is_shown, DELETE=revoke_invite),
        AdministrationRoute(f"{room}/bans/{{id}}", is_shown=is_shown, DELETE=lift_ban),
    ]


async def create_room(request: Request) -> Response:
    """``POST /api/rooms`` where it is decided who may join: for the administrator alone.

    Whoever makes a room is its creator, and by that may administer it, and invite: past whoever decides.
    """
    hub: Hub = request.app.state.hub
    hub.start()
    address = client_of(request, request.app.state.trusted)
    refusal = origin_refusal(request, hub, address)
    if refusal is None:
        try:
            refusal = None if await _authority(request, address) else _unknown()
        except Refusal as refused:
            refusal = _refused(refused, hub, address)
    if refusal is None:
        return await http.create_room(request)
    refusal.headers["Cache-Control"] = NO_STORE
    return refusal


async def list_rooms(call: Call) -> Response:
    """``GET /api/rooms``."""
    asked = call.query(protocol.ListRooms)
    return answer(await call.administration.list_rooms(call.by, asked))


async def show_room(call: Call) -> Response:
    """``GET /api/rooms/CODE``."""
    call.query(protocol.Nothing)
    return answer(await call.administration.show_room(call.by, call.code))


async def change_room(call: Call) -> Response:
    """``PATCH /api/rooms/CODE``."""
    asked = call.body(protocol.ChangeRoom)
    return answer(await call.administration.change_room(call.by, call.code, asked))


async def end_meeting(call: Call) -> Response:
    """``DELETE /api/rooms/CODE``."""
    await call.administration.end_meeting(call.by, call.code, call.query(protocol.EndMeeting))
    return Response(status_code=204)


async def change_participant(call: Call) -> Response:
    """``PATCH /api/rooms/CODE/participants/ID``."""
    asked = call.body(protocol.ChangeParticipant)
    return answer(await call.administration.change_participant(call.by, call.code, call.path("id"), asked))


async def remove_participant(call: Call) -> Response:
    """``DELETE /api/rooms/CODE/participants/ID``."""
    asked = call.query(protocol.RemoveParticipant)
    return answer(await call.administration.remove(call.by, call.code, call.path("id"), asked))


async def admit_participant(call: Call) -> Response:
    """``POST /api/rooms/CODE/waiting/ID``."""
    call.query(protocol.Nothing)
    return answer(await call.administration.admit(call.by, call.code, call.path("id")))


async def list_invites(call: Call) -> Response:
    """``GET /api/rooms/CODE/invites``."""
    call.query(protocol.Nothing)
    return answer(await call.administration.list_invites(call.by, call.code))


async def create_invite(call: Call) -> Response:
    """``POST /api/rooms/CODE/invites``."""
    asked = call.body(protocol.NewInvite)
    return answer(await call.administration.invite(call.by, call.code, asked), 201)


async def revoke_invite(call: Call) -> Response:
    """``DELETE /api/rooms/CODE/invites/ID``."""
    call.query(protocol.Nothing)
    await call.administration.revoke_invite(call.by, call.code, call.path("id"))
    return Response(status_code=204)


async def lift_ban(call: Call) -> Response:
    """``DELETE /api/rooms/CODE/bans/ID``."""
    call.query(protocol.Nothing)
    await call.administration.lift_ban(call.by, call.code, call.path("id"))
    return Response(status_code=204)


async def respond(request: Request, endpoint: Endpoint) -> Response:
    """Find out who asks, have it done, and answer; no answer is to be kept by anybody on the way."""
    hub: Hub = request.app.state.hub
    hub.start()
    address = client_of(request, request.app.state.trusted)
    response = origin_refusal(request, hub, address)
    if response is None:
        try:
            response = await _respond(request, endpoint, address)
        except Refusal as refusal:
            response = _refused(refusal, hub, address)
    response.headers["Cache-Control"] = NO_STORE
    return response


async def _respond(request: Request, endpoint: Endpoint, address: str) -> Response:
    settings: Settings = request.app.state.settings
    by = await _authority(request, address)
    if by is None:
        return _unknown()
    body = await http.read_body(request, settings.max_body_bytes)
    if body is None:
        return error(413, f"Request body too large; at most {settings.max_body_bytes} bytes")
    return await endpoint(Call(request, by, body))


async def _authority(request: Request, address: str) -> Authority | None:
    """Who asks; None for a request without a token. Raises Forbidden, Throttled."""
    hub: Hub = request.app.state.hub
    await hub.administration.check_guesses(address)
    token = token_of(request)
    if token is None:
        return None
    return await hub.administration.authorize(token, address, code_of(request))


def _unknown() -> Response:
    return error(401, "This needs a token: `Authorization: Bearer TOKEN`", WWW_Authenticate="Bearer")


def token_of(request: Request) -> str | None:
    """The token that a request brings, if it brings one that can be read."""
    brought = request.headers.getlist("authorization")
    scheme, _, token = (brought[0] if len(brought) == 1 else "").partition(" ")
    token = token.strip()
    is_one = scheme.lower() == "bearer" and 0 < len(token) <= LONGEST_TOKEN and token.isascii()
    return token if is_one and token.isprintable() else None


def code_of(request: Request) -> str | None:
    """The code of the room that a request is about: empty if it is none, and None where it is about all."""
    code = request.path_params.get("code")
    if code is None:
        return None
    return code.upper() if _CODE.fullmatch(code) else ""


def _refused(refusal: Refusal, hub: Hub, address: str) -> Response:
    hub.meters.refusals[refusal.code] += 1
    match refusal:
        case Throttled():
            hub.limits.tell(refusal.told, hub.clock(), address=address)
            return too_many(refusal.wait)
        case Forbidden():
            return error(403, refusal.message)
        case _:
            status = STATUS.get(refusal.code, CONFLICT)
            return error(status, refusal.message, **({"Retry_After": "1"} if status == 503 else {}))
