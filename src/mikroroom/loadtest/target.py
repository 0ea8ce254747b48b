"""Where the server is, and whether it may be loaded; and from which addresses to connect to it."""

import errno
import ipaddress
import random
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# The server allows ten a minute from each (R30).
CONNECTIONS_FROM_EACH = 8
_SCHEMES = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
_PORTS = {"ws": 80, "wss": 443}


class TargetError(ValueError):
    """There is no such server, or it may not be loaded."""


class Target(NamedTuple):
    """One server: ``address`` is what its name meant at the start, and all connections go there."""

    url: str
    host: str
    family: socket.AddressFamily
    address: tuple[Any, ...]
    is_loopback: bool

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("wss:")


def find(url: str, *, is_mine: bool) -> Target:
    """The server that a URL means: ``ws(s)://…`` as it is, ``http(s)://…`` as where the service stands.

    Raises:
        TargetError: the URL is none, its host has no address, or one that is not this machine's, and nobody
            said that it ``is_mine``.
    """
    try:
        parts = urlsplit(url)
        scheme, port = _SCHEMES.get(parts.scheme.lower(), ""), parts.port
    except ValueError as error:
        raise TargetError(f"{url}: is no URL: {error}") from None
    if not scheme or not parts.hostname:
        raise TargetError(f"{url}: must be a URL such as ws://127.0.0.1:3000/ws or http://127.0.0.1:3000")
    path = parts.path
    if parts.scheme.lower().startswith("http"):
        path = path.rstrip("/") + "/ws"
    family, address, others = _resolve(url, parts.hostname, port or _PORTS[scheme])
    is_loopback = all(_is_loopback(other) for other in (address, *others))
    if not is_loopback and not is_mine:
        raise TargetError(
            f"{parts.hostname} is not this machine, and a load test of somebody else's server is an attack; "
            "add --yes-this-is-my-server if it is yours"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = f"{host}:{port}" if port else host
    query = f"?{parts.query}" if parts.query else ""
    return Target(f"{scheme}://{authority}{path or '/'}{query}", parts.hostname, family, address, is_loopback)


class Sources:
    """The addresses to connect from: on loopback so many that nobody has to wait for a limit (R30)."""

    def __init__(self, target: Target, start: int | None = None) -> None:
        spread = target.is_loopback and target.family is socket.AF_INET and _is_whole_network_ours()
        # Somewhere at random: the run before this one must not have used the addresses up.
        self._start = random.randrange(2**24) if start is None else start  # noqa: S311
        self._taken = 0
        self.are_many = spread

    def next(self) -> str | None:
        """An address to bind to, or None for the system's choice."""
        if not self.are_many:
            return None
        block, self._taken = self._taken // CONNECTIONS_FROM_EACH, self._taken + 1
        host = (self._start + block) % (2**16 * 254)
        return f"127.{host // 254 >> 8}.{host // 254 & 255}.{host % 254 + 1}"


def _resolve(
    url: str, host: str, port: int
) -> tuple[socket.AddressFamily, tuple[Any, ...], list[tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a host name"
        raise TargetError(f"{url}: the host is not found: {why}") from None
    # IPv4 first: there, a machine has more than one loopback address.
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)
    return found[0][0], found[0][4], [entry[4] for entry in found[1:]]


def _is_loopback(address: tuple[Any, ...]) -> bool:
    ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _is_whole_network_ours() -> bool:
    """Whether any address of 127.0.0.0/8 can be bound to, as on Linux."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        try:
            trial.bind(("127.31.7.1", 0))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return False
            raise
    return True
