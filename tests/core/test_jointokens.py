"""Join tokens: what is granted for a good one, and that nothing is for any other."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from mikroroom.core.grants import Grant
from mikroroom.core.jointokens import ANY_ROOM, Key, KeyRing, TokenRefused, key_of, keys_in, mint

CODE = "ABC234"
AUDIENCE = "mikroroom"
NOW = 1_800_000_000
LEEWAY = 30
SECRET = "a secret that is long enough, ok"
KEY = key_of(SECRET)
RING = KeyRing([KEY], AUDIENCE, LEEWAY)


def minted(key: Key = KEY, **how: Any) -> str:
    """A token, of Ada's unless told otherwise."""
    return mint(key, **{"audience": AUDIENCE, "code": CODE, "now": NOW, "ttl": 60, **how})


def signed(header: dict[str, Any] | None = None, secret: str = SECRET, **claims: Any) -> str:
    """A token with these claims, whatever they are; None takes one away."""
    whole = {"aud": AUDIENCE, "exp": NOW + 60, "room": CODE, **claims}
    present = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(present, secret, "HS256", header)


def refusal(token: str, ring: KeyRing = RING, now: float = NOW) -> TokenRefused:
    """Why it is refused."""
    with pytest.raises(TokenRefused) as refused:
        ring.read(token, CODE, now)
    assert str(refused.value)
    return refused.value


def test_a_good_token_grants_what_it_says() -> None:
    token = minted(name="Ada", role="moderator", subject="u-1")
    assert RING.read(token, CODE, NOW) == Grant(name="Ada", role="moderator", subject="u-1")
    assert RING.read(minted(), CODE, NOW) == Grant(role="participant")
    assert RING.read(signed(), CODE, NOW) == Grant(role="participant")


def test_a_name_is_made_to_fit() -> None:
    assert RING.read(minted(name="Ada\u202e" + "x" * 80), CODE, NOW).name == "Ada" + "x" * 61
    assert RING.read(minted(name="\t"), CODE, NOW).name is None


def test_half_a_character_is_left_out_of_a_name_and_refused_in_a_subject() -> None:
    assert RING.read(signed(name="Ada\ud83d"), CODE, NOW).name == "Ada"
    for subject in ("u-\ud83d", "u" * 257):
        assert not refusal(signed(sub=subject)).is_guess
    assert RING.read(signed(sub="u" * 256), CODE, NOW).subject


def test_an_empty_subject_is_nobody_in_particular() -> None:
    assert RING.read(signed(sub=""), CODE, NOW).subject is None


def test_the_room_is_one_or_any_and_letters_are_letters() -> None:
    assert RING.read(minted(code="abc234"), CODE, NOW).role
    assert RING.read(signed(room="abc234"), CODE, NOW).role
    assert RING.read(minted(code=ANY_ROOM), CODE, NOW).role
    assert not refusal(minted(code="ZZZZZZ")).is_guess


def test_time_counts_with_leeway_for_clocks() -> None:
    token = minted(ttl=60)
    assert RING.read(token, CODE, NOW + 60 + LEEWAY - 1).role
    assert not refusal(token, now=NOW + 60 + LEEWAY).is_guess
    assert RING.read(token, CODE, NOW - LEEWAY).role
    assert "not valid yet" in str(refusal(token, now=NOW - LEEWAY - 1))
    assert "not valid yet" in str(refusal(signed(nbf=NOW + LEEWAY + 1)))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": 7},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": -1},
        {"room": None},
        {"room": 7},
        {"role": "admin"},
        {"role": ["host"]},
        {"name": 7},
        {"sub": 7},
        {"nbf": "then"},
        {"iat": []},
    ],
)
def test_what_is_signed_and_wrong_is_refused_and_no_guess(claims: dict[str, Any]) -> None:
    assert not refusal(signed(**claims)).is_guess


def test_one_audience_of_several_will_do() -> None:
    assert RING.read(signed(aud=["another", AUDIENCE]), CODE, NOW).role


def encoded(part: str) -> str:
    return base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"none"}',
        '{"alg":"HS512"}',
        '{"alg":["HS256"]}',
        '{"alg":null}',
        "{}",
        "[]",
        '"HS256"',
        '{"alg":"HS256","kid":"another"}',
        '{"alg":"HS256","kid":7}',
        '{"alg":"HS256","kid":["x"]}',
        '{"alg":"HS256","kid":{}}',
        '{"alg":"HS256","b64":false,"crit":["b64"]}',
        "[" * 2_000,
        "\x00",
    ],
)
def test_another_header_over_what_was_signed_is_a_guess(header: str) -> None:
    _, claims, signature = minted().split(".")
    assert refusal(f"{encoded(header)}.{claims}.{signature}").is_guess
    assert refusal(f"{encoded(header)}.{claims}.").is_guess


def test_an_unsigned_token_is_a_guess() -> None:
    unsigned = jwt.encode({"aud": AUDIENCE, "exp": NOW + 60, "room": CODE}, "", "none")
    assert refusal(unsigned).is_guess


def test_every_changed_character_spoils_it() -> None:
    token = minted(name="Ada", role="participant")
    for at in range(len(token) - 1):  # the last one has bits that mean nothing
        other = "A" if token[at] != "A" else "B"
        assert refusal(token[:at] + other + token[at + 1 :]).is_guess


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=200))
def test_any_other_text_is_a_guess(text: str) -> None:
    assert refusal(text).is_guess


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """The old confusion (RFC 8725, 2.1): a token signed by HMAC with the text of the public key."""
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key())
    ring = KeyRing(keys_in(json.dumps({"keys": [json.loads(public)]})), AUDIENCE, LEEWAY)
    header = encoded('{"alg":"HS256"}')
    signed_part = f"{header}.{minted().split('.')[1]}"
    code = hmac.digest(public.encode(), signed_part.encode(), "sha256")
    forged = f"{signed_part}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}"
    assert refusal(forged, ring).is_guess
    token = jwt.encode({"aud": AUDIENCE, "exp": NOW + 60, "room": CODE}, private, "RS256")
    assert ring.read(token, CODE, NOW).role


# Keys


def octet(secret: str = SECRET, **more: str) -> dict[str, str]:
    return {"kty": "oct", "k": encoded(secret), **more}


def key_set(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def test_keys_are_replaced_one_after_the_other() -> None:
    old, new = octet(kid="old"), octet("another secret, which is as long", kid="new")
    former, both, latter = (keys_in(key_set(*keys)) for keys in ([old], [old, new], [new]))
    token = minted(former[0])
    assert KeyRing(both, AUDIENCE, LEEWAY).read(token, CODE, NOW).role
    assert KeyRing(both, AUDIENCE, LEEWAY).read(minted(latter[0]), CODE, NOW).role
    assert "not known" in str(refusal(token, KeyRing(latter, AUDIENCE, LEEWAY)))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_one_key_signs_and_another_reads(algorithm: str) -> None:
    writing: Any
    match algorithm[:2]:
        case "ES":
            curve = ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1()
            pair = ec.generate_private_key(curve)
            writing = jwt.algorithms.ECAlgorithm.to_jwk
        case "Ed":
            pair = ed25519.Ed25519PrivateKey.generate()  # type: ignore[assignment]  # any pair will do
            writing = jwt.algorithms.OKPAlgorithm.to_jwk
        case _:
            pair = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)  # type: ignore[assignment]
            writing = jwt.algorithms.RSAAlgorithm.to_jwk
    named = {"kid": "k1", "alg": algorithm}
    private, public = json.loads(writing(pair)) | named, json.loads(writing(pair.public_key())) | named
    (signing,), (reading,) = keys_in(key_set(private)), keys_in(key_set(public))
    assert KeyRing([reading], AUDIENCE, LEEWAY).read(minted(signing), CODE, NOW).role
    with pytest.raises(ValueError, match="public"):
        minted(reading)


def test_the_algorithm_follows_from_the_key_where_it_is_not_said() -> None:
    pair = ec.generate_private_key(ec.SECP384R1())
    text = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(pair))
    assert [key.algorithm for key in keys_in(key_set(octet(kid="a"), text | {"kid": "b"}))] == [
        "HS256",
        "ES384",
    ]


def test_a_key_for_encryption_is_passed_over() -> None:
    assert [key.id for key in keys_in(key_set(octet(kid="a"), octet(kid="b", use="enc")))] == ["a"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a JSON Web Key Set"),
        ("[" * 5_000, "not a JSON Web Key Set"),
        ("{}", "not a JSON Web Key Set"),
        (b"\xff", "not a JSON Web Key Set"),
        (key_set(), "there is no key"),
        (key_set({"kty": "new"}), "key 1: .*kty"),
        (key_set({"kty": "oct"}), "key 1: "),
        (key_set(octet(), octet(kid="b")), "each needs a `kid`"),
        (key_set(octet(kid="a"), octet(kid="a")), "two keys have the `kid` 'a'"),
        (key_set(octet(alg="RS256")), "allowed for oct is HS256"),
        (key_set(octet("short")), "the secret has 5 bytes, and needs 32"),
        (key_set({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "key 1: "),
        (key_set({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), "key 1: "),
    ],
)
def test_keys_that_cannot_be_used_are_named(text: str | bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        keys_in(text)


def test_without_the_extra_a_key_of_a_pair_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt.algorithms, "has_crypto", False)
    monkeypatch.setattr(jwt.api_jwk, "has_crypto", False, raising=False)
    monkeypatch.setattr(
        jwt, "PyJWK", lambda *_: (_ for _ in ()).throw(jwt.exceptions.MissingCryptographyError("no"))
    )
    with pytest.raises(ValueError, match="it needs the extra `tokens`"):
        keys_in(key_set({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}))


def test_a_token_is_not_minted_for_what_is_no_room() -> None:
    for code in ("ABC23", "ABC2345", "ABC 23", "", "**"):
        with pytest.raises(ValueError, match="six letters or digits"):
            minted(code=code)


def test_a_key_shows_no_secret() -> None:
    assert repr(KEY) == "Key(None, 'HS256')"
    assert SECRET not in repr(KEY)
