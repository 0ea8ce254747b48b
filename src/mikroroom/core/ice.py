"""ICE servers for browsers, with TURN credentials made from a shared secret where there is one."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType


class IceServer(Struct):
    """An entry of ``iceServers``, as ``RTCPeerConnection`` takes it (W3C WebRTC, RTCIceServer)."""

    urls: str
    username: str | UnsetType = UNSET
    credential: str | UnsetType = UNSET


class TurnLogin(Struct, frozen=True):
    """A user name and its credential, for every TURN server alike."""

    username: str
    credential: str


def short_lived_login(secret: str, expires: int, user: str) -> TurnLogin:
    """Credentials as a TURN server with the same shared secret checks them (draft-uberti-behave-turn-rest).

    ``expires`` is in seconds since the epoch. coturn calls the secret ``static-auth-secret``.
    """
    username = f"{expires}:{user}"
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return TurnLogin(username, base64.b64encode(digest).decode())


def ice_servers(stun: Sequence[str], turn: Sequence[str], login: TurnLogin | None) -> list[IceServer]:
    """The list for a browser; TURN servers only with a login, since no browser takes them without."""
    servers = [IceServer(url) for url in stun]
    if login:
        servers += [IceServer(url, login.username, login.credential) for url in turn]
    return servers
