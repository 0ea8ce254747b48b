"""Join tokens: what a site grants somebody, as a signed text that it hands out and the server reads.

A JSON Web Token (RFC 7519). Each key is for one algorithm, whatever a token says of itself (RFC 8725, 3.1);
the header's ``kid`` says which key it was signed with, so that keys can be replaced one after the other.
Time is passed in, in seconds since the epoch.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import jwt
import msgspec
from msgspec import Meta, Struct

from mikroroom.core.grants import Grant, GrantedRole, fitting

ANY_ROOM = "*"
SECRET_BYTES = 32

_CODE = re.compile("[A-Za-z0-9]{6}")
# For each kind of key (RFC 7517, RFC 7518, RFC 8037) the algorithms it may be for, the first one by default.
_ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "oct": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
# All other claims are looked at here, by the time that is passed in.
_ONLY_SIGNATURE_AND_AUDIENCE: Any = {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "iss", "sub", "jti")
}
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class TokenRefused(Exception):
    """A join token that grants nothing, and why. It is a guess unless it was signed with a key of ours."""

    def __init__(self, reason: str, *, is_guess: bool = False) -> None:
        super().__init__(reason)
        self.is_guess = is_guess


class Key(Struct, frozen=True):
    """A key to read tokens with, and to sign them if it ``signs``; for one algorithm (RFC 7518, 3.1)."""

    id: str | None
    algorithm: str
    key: Any
    signs: bool = True

    def __repr__(self) -> str:
        return f"Key({self.id!r}, {self.algorithm!r})"


class _JsonKey(Struct):
    """As much of a JSON Web Key (RFC 7517, 4) as tells what it is for."""

    kty: Literal["oct", "RSA", "EC", "OKP"]
    kid: str | None = None
    alg: str | None = None
    use: str | None = None
    crv: str | None = None
    k: str | None = None
    d: str | None = None


class _JsonKeys(Struct):
    """A JSON Web Key Set (RFC 7517, 5)."""

    keys: list[dict[str, Any]]


# Seconds since the epoch (RFC 7519, 2).
_Date = Annotated[float, Meta(ge=0, le=2.0**53)]


class _Claims(Struct):
    """What a token says (RFC 7519, 4)."""

    exp: _Date
    room: str
    nbf: _Date | None = None
    iat: _Date | None = None
    name: str | None = None
    role: GrantedRole | None = None
    sub: str | None = None


def key_of(secret: str) -> Key:
    """The key that a secret is: HS256, without an id."""
    return Key(None, "HS256", secret.encode())


def keys_in(text: str | bytes) -> list[Key]:
    """The keys of a JSON Web Key Set; those that are for encryption are passed over.

    Raises:
        ValueError: it is none, or a key cannot be used. Says which, and why.
    """
    try:
        found = msgspec.json.decode(text, type=_JsonKeys).keys
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"not a JSON Web Key Set: {error}") from None
    keys = [key for number, entry in enumerate(found, 1) if (key := _key(entry, number)) is not None]
    if not keys:
        raise ValueError("there is no key in it")
    ids = [key.id for key in keys]
    for key in keys:
        if key.id is None and len(keys) > 1:
            raise ValueError("where there are several keys, each needs a `kid`")
        if ids.count(key.id) > 1:
            raise ValueError(f"two keys have the `kid` {key.id!r}")
    return keys


class KeyRing:
    """The keys by which tokens for an ``audience`` are read; clocks may differ by ``leeway`` seconds."""

    def __init__(self, keys: Iterable[Key], audience: str, leeway: float) -> None:
        self._keys = {key.id: key for key in keys}
        self._audience = audience
        self._leeway = leeway

    def read(self, token: str, code: str, now: float) -> Grant:
        """What a token grants in the room ``code``.

        Raises:
            TokenRefused: nothing.
        """
        claims = self._claims(token)
        if claims.room != ANY_ROOM and claims.room.upper() != code:
            raise TokenRefused("The token is for another meeting")
        if claims.exp <= now - self._leeway:
            raise TokenRefused("The token has expired")
        if max(claims.nbf or 0, claims.iat or 0) > now + self._leeway:
            raise TokenRefused("The token is not valid yet")
        try:
            return fitting(Grant(name=claims.name, role=claims.role or "participant", subject=claims.sub))
        except ValueError as error:
            raise TokenRefused(f"A claim of the token is wrong: {error}") from None

    def _claims(self, token: str) -> _Claims:
        """What is said under a signature of ours. PyJWT would take the time from a clock of its own."""
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise TokenRefused("The token was signed with a key that is not known here", is_guess=True)
            said = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._audience,
                options=_ONLY_SIGNATURE_AND_AUDIENCE,
            )
            return msgspec.convert(said, _Claims)
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError):
            needed = f"its `aud` must be {self._audience!r}, and it must have `exp` and `room`"
            raise TokenRefused(f"The token is not for this service: {needed}") from None
        except msgspec.ValidationError as error:
            raise TokenRefused(f"A claim of the token is wrong: {error}") from None
        # What is signed by nobody may have any form, and fail anywhere.
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise TokenRefused("The token is none, or its signature is wrong", is_guess=True) from None


def mint(
    key: Key,
    *,
    audience: str,
    code: str,
    now: int,
    ttl: int,
    name: str | None = None,
    role: GrantedRole = "participant",
    subject: str | None = None,
) -> str:
    """A token for the room ``code`` (or for any, ``ANY_ROOM``) that holds for ``ttl`` seconds.

    Raises:
        ValueError: the code is none, or the key can only read.
    """
    if not key.signs:
        raise ValueError(f"the key {key.id!r} is a public one: it can read tokens, and sign none")
    if code != ANY_ROOM and not _CODE.fullmatch(code):
        raise ValueError("the room must be six letters or digits, or * for any")
    claims = {
        "aud": audience,
        "iat": now,
        "exp": now + ttl,
        "room": code.upper(),
        "name": name,
        "role": role,
        "sub": subject,
    }
    present = {claim: value for claim, value in claims.items() if value is not None}
    return jwt.encode(present, key.key, key.algorithm, {"kid": key.id} if key.id is not None else None)


def _key(entry: dict[str, Any], number: int) -> Key | None:
    try:
        about = msgspec.convert(entry, _JsonKey)
        if about.use == "enc":
            return None
        algorithm = about.alg or _CURVES.get(about.crv or "") or _ALGORITHMS[about.kty][0]
        if algorithm not in _ALGORITHMS[about.kty]:
            allowed = ", ".join(_ALGORITHMS[about.kty])
            raise ValueError(f"`alg` is {algorithm!r}; allowed for {about.kty} is {allowed}")
        key = jwt.PyJWK(entry, algorithm).key
        if about.kty == "oct" and len(key) < SECRET_BYTES:
            raise ValueError(f"the secret has {len(key)} bytes, and needs {SECRET_BYTES}")
    except jwt.exceptions.MissingCryptographyError:
        raise ValueError(f"key {number}: it needs the extra `tokens`") from None
    except (msgspec.ValidationError, jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"key {number}: {error}") from None
    return Key(about.kid, algorithm, key, signs=about.kty == "oct" or about.d is not None)
