"""ICE servers for browsers, with TURN credentials made from a shared secret where there is one.

The one place where they are made, whoever asks. When that is, and of whom the credentials are, is passed in.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from msgspec import Struct

from mikroroom.protocol.answers import IceConfiguration
from mikroroom.protocol.events import IceServer


class TurnLogin(Struct, frozen=True):
    """A user name and its credential, for every TURN server alike."""

    username: str
    credential: str


class IceSource(Struct, frozen=True, kw_only=True):
    """Where ICE configurations come from: the servers, and how to log in to those that are TURN servers.

    With a ``secret``, by credentials that hold for ``ttl`` seconds; else by ``login``, if there is one.
    """

    stun: Sequence[str] = ()
    turn: Sequence[str] = ()
    login: TurnLogin | None = None
    secret: str = ""
    ttl: int = 0

    @property
    def is_short_lived(self) -> bool:
        """Whether what is issued holds only for a time."""
        return bool(self.secret and self.turn)

    def issue(self, now: int, user: str) -> IceConfiguration:
        """For one browser, at a time in seconds since the epoch.

        ``user`` should be new each time: by it a TURN server counts what one person may have (coturn:
        ``user-quota``).
        """
        if self.is_short_lived:
            login = short_lived_login(self.secret, now + self.ttl, user)
            return IceConfiguration(ice_servers(self.stun, self.turn, login), self.ttl)
        return IceConfiguration(ice_servers(self.stun, self.turn, self.login))


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
