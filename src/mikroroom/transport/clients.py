"""Which client a request comes from (R30), and whether the page it comes from may use the service."""

import re
from collections.abc import Sequence

from starlette.requests import HTTPConnection
from starlette.responses import Response

from mikroroom.core.addresses import Network, client_address, client_key
from mikroroom.hub.hub import Hub
from mikroroom.transport.answers import error
from mikroroom.transport.headers import is_allowed

# How tokens are called, here and elsewhere; and what a JSON Web Token or an invite looks like.
_TOKEN_NAMES = frozenset({"token", "accesstoken", "jointoken", "creatortoken", "resumetoken", "jwt"})
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.|inv_")


def client_of(request: HTTPConnection, trusted: Sequence[Network]) -> str:
    """What is counted as one client: the address behind the trusted proxies, an IPv6 one by its /64."""
    peer = request.client.host if request.client else None
    return client_key(client_address(peer, request.headers.getlist("x-forwarded-for"), trusted))


def token_refusal(request: HTTPConnection) -> Response | None:
    """The 400 for a token in the query string, where logs and histories would keep it."""
    if not any(_is_token(name, value) for name, value in request.query_params.multi_items()):
        return None
    return error(400, "A token does not belong in a query string; send it as `token` in `join`")


def _is_token(name: str, value: str) -> bool:
    return name.replace("_", "").replace("-", "").lower() in _TOKEN_NAMES or bool(_TOKEN.match(value))


def origin_refusal(request: HTTPConnection, hub: Hub, client: str) -> Response | None:
    """The 403 for a page of an origin that is not allowed. What comes from no page has none, and passes."""
    origin = request.headers.get("origin")
    if origin is None or is_allowed(origin, hub.settings.allowed_origins):
        return None
    hub.limits.tell("origin-refused", hub.clock(), address=client, origin=origin)
    return error(403, "This origin is not allowed")
