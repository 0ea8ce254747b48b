"""Which client a request comes from (R30)."""

from collections.abc import Sequence

from starlette.requests import HTTPConnection

from mikroroom.core.addresses import Network, client_address, client_key


def client_of(request: HTTPConnection, trusted: Sequence[Network]) -> str:
    """What is counted as one client: the address behind the trusted proxies, an IPv6 one by its /64."""
    peer = request.client.host if request.client else None
    return client_key(client_address(peer, request.headers.getlist("x-forwarded-for"), trusted))
