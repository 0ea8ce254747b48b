"""Which client a request comes from (R30), and whether the page it comes from may use the service."""

from collections.abc import Sequence

from starlette.requests import HTTPConnection
from starlette.responses import Response

from mikroroom.core.addresses import Network, client_address, client_key
from mikroroom.hub.hub import Hub
from mikroroom.transport.answers import error
from mikroroom.transport.headers import is_allowed


def client_of(request: HTTPConnection, trusted: Sequence[Network]) -> str:
    """What is counted as one client: the address behind the trusted proxies, an IPv6 one by its /64."""
    peer = request.client.host if request.client else None
    return client_key(client_address(peer, request.headers.getlist("x-forwarded-for"), trusted))


def origin_refusal(request: HTTPConnection, hub: Hub, client: str) -> Response | None:
    """The 403 for a page of an origin that is not allowed. What comes from no page has none, and passes."""
    origin = request.headers.get("origin")
    if origin is None or is_allowed(origin, hub.settings.allowed_origins):
        return None
    hub.limits.tell("origin-refused", hub.clock(), address=client, origin=origin)
    return error(403, "This origin is not allowed")
