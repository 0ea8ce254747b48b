"""Codes, ids, tokens and passwords (R1, R7, R10, R12)."""

import hashlib
import unicodedata
import uuid
from collections.abc import Callable
from random import Random

import pytest

from mikroroom.core import secrets
from mikroroom.core.secrets import Password


@pytest.fixture
def dice() -> Random:
    """The real ones are cast by the operating system; what is tested here is their use."""
    return Random(1)


def test_codes_are_six_of_an_alphabet_without_look_alikes(dice: Random) -> None:
    """R1."""
    codes = {secrets.new_code(dice) for _ in range(1_000)}
    letters = set("".join(codes))
    assert {len(code) for code in codes} == {6}
    assert letters == set(secrets.ALPHABET)
    assert letters <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert letters.isdisjoint("0O1IL")
    assert len(secrets.ALPHABET) == len(letters) == 31
    assert len(codes) == 1_000


@pytest.mark.parametrize("new", [secrets.new_id, secrets.new_token])
def test_ids_and_tokens_are_random_uuids_in_their_usual_form(
    new: Callable[[Random], str], dice: Random
) -> None:
    """R10: in their usual form; the reference shows a token as one."""
    texts = {new(dice) for _ in range(1_000)}
    assert len(texts) == 1_000
    for text in texts:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_ids_use_all_the_randomness_a_uuid_has_room_for(dice: Random) -> None:
    """R10: each of the 122 bits is sometimes set and sometimes not."""
    numbers = [uuid.UUID(secrets.new_id(dice)).int for _ in range(200)]
    ever = never = 0
    for number in numbers:
        ever |= number
        never |= ~number & (2**128 - 1)
    assert (ever & never).bit_count() == 122


def test_salts_are_sixteen_random_bytes(dice: Random) -> None:
    salts = {secrets.new_salt(dice) for _ in range(100)}
    assert {len(salt) for salt in salts} == {16}
    assert len(salts) == 100


def test_token_is_known_by_its_digest_alone() -> None:
    """R12: it is stored hashed."""
    token = "550e8400-e29b-41d4-a716-446655440000"
    digest = secrets.digest_token(token)
    assert digest.hex() == "a3a9e1ed9732cab28868127be00f1ce921acaefdd5c3b23a6e9e0072bd9c1a34"
    assert secrets.is_token(token, digest)


def test_token_with_one_bit_changed_is_none() -> None:
    """R11."""
    token = "550e8400-e29b-41d4-a716-446655440000"
    digest = secrets.digest_token(token)
    for place in range(len(token)):
        changed = token[:place] + chr(ord(token[place]) ^ 1) + token[place + 1 :]
        assert not secrets.is_token(changed, digest)
    assert not secrets.is_token("", digest)


def test_password_is_sealed_with_scrypt_and_told_from_others() -> None:
    """R7: 16 MiB and some 50 ms for each guess of whoever steals the file (RFC 7914)."""
    sealed = secrets.seal("sesame", b"0123456789abcdef")
    expected = hashlib.scrypt(b"sesame", salt=b"0123456789abcdef", n=16_384, r=8, p=1, dklen=32)
    assert sealed == Password(b"0123456789abcdef", expected)
    assert secrets.is_same(secrets.seal("sesame", b"0123456789abcdef"), sealed)
    assert not secrets.is_same(secrets.seal("Sesame", b"0123456789abcdef"), sealed)
    assert not secrets.is_same(secrets.seal("sesame", b"fedcba9876543210"), sealed)


def test_password_is_the_same_however_its_letters_are_composed() -> None:
    """NFC, as RFC 8265 says: one keyboard sends é, another e and an accent."""
    composed, decomposed = (unicodedata.normalize(form, "Crème brûlée 각") for form in ("NFC", "NFD"))
    assert composed != decomposed
    salt = b"0123456789abcdef"
    assert secrets.is_same(secrets.seal(composed, salt), secrets.seal(decomposed, salt))


def test_password_keeps_what_only_looks_alike_apart() -> None:
    """NFC, and not NFKC: a ligature is no two letters, and a space at the end is a space."""
    salt = b"0123456789abcdef"
    sealed = secrets.seal("fine", salt)
    for other in ("ﬁne", "fine ", "FINE"):
        assert not secrets.is_same(secrets.seal(other, salt), sealed)
