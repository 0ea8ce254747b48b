"""Whose address a connection comes from, and how much of it counts as one client (R30)."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# A subscriber of IPv6 has a /64 at the least, and any address in it at will.
_IPV6_PREFIX = 64


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks in text, ``127.0.0.1`` or ``10.0.0.0/8``.

    Raises:
        ValueError: one of them is neither.
    """
    return tuple(ip_network(text, strict=False) for text in texts)


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client behind a connection from ``peer``: the rightmost address that is no trusted proxy's (R30).

    ``forwarded`` holds the values of ``X-Forwarded-For``, in order. Without a peer (a UNIX socket) whoever
    connects is taken for a proxy, because only this machine can. What cannot be read as an address ends the
    walk: what stands to its left was written by nobody we know.
    """
    found = _parse(peer or "")
    if not forwarded:  # nearly always, where no proxy stands before us
        return str(found) if found else peer or "local"
    if peer and (found is None or not _is_trusted(found, trusted)):
        return peer
    for text in reversed(",".join(forwarded).split(",")):
        address = _parse(text)
        if address is None:
            break
        found = address
        if not _is_trusted(address, trusted):
            break
    return str(found) if found else "local"


def client_key(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 of an IPv6 one."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed) if parsed else address


@lru_cache(maxsize=1_024)
def _parse(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, IPv4Address) else address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
