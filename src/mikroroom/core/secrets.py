"""Codes, ids, tokens and passwords. The source of randomness is passed in, and must be a secure one."""

import hashlib
import hmac
import unicodedata
import uuid
from random import Random

from msgspec import Struct

# Without 0 O, 1 I L: a code is read out over the telephone (R1). 31 ** 6 is 887 million.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 6

# 16 MiB and some 50 ms per password (RFC 7914). Guessing over the wire is throttled before (R30); this slows
# whoever has stolen the database.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1


class Password(Struct, frozen=True):
    """A password as it may be kept: 16 bytes of salt, 32 of scrypt digest."""

    salt: bytes
    digest: bytes


def new_code(random: Random) -> str:
    """A room code (R1)."""
    return "".join(random.choices(ALPHABET, k=CODE_LENGTH))


def new_id(random: Random) -> str:
    """A participant's id: a random UUID (R10)."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def new_token(random: Random) -> str:
    """A creator token: 122 random bits as a UUID, which is the form the reference shows."""
    return new_id(random)


def new_salt(random: Random) -> bytes:
    """A salt for ``seal``."""
    return random.randbytes(16)


def digest_token(token: str) -> bytes:
    """A token as it may be kept. It is random and long, so one fast hash is enough."""
    return hashlib.sha256(token.encode()).digest()


def is_token(token: str, digest: bytes) -> bool:
    """Whether ``token`` is the one of ``digest``, compared in constant time."""
    return hmac.compare_digest(digest_token(token), digest)


def seal(password: str, salt: bytes) -> Password:
    """Hash a password. Takes some 50 ms of CPU without the GIL: never call it on an event loop.

    The password is normalised first (NFC, as RFC 8265 says), because keyboards differ in how they spell é.
    """
    text = unicodedata.normalize("NFC", password).encode()
    return Password(salt, hashlib.scrypt(text, salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, dklen=32))


def is_same(proof: Password, password: Password) -> bool:
    """Whether two sealed passwords are one, compared in constant time."""
    return hmac.compare_digest(proof.digest, password.digest)
