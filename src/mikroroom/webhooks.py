"""Signing webhooks, and for who receives them in Python, verifying them.

As the Standard Webhooks specification has it: HMAC-SHA256 over the message's id, its time and its body. Needs
nothing but the standard library::

    from mikroroom.webhooks import InvalidWebhook, verify

    try:
        event_id = verify(secret, request.headers, await request.body())
    except InvalidWebhook:
        ...  # answer 401, and do nothing
"""

import base64
import hmac
import time
from collections.abc import Iterable, Mapping

# Seconds by which the time of a message may differ from ours.
TOLERANCE = 300
PREFIX = "whsec_"


class InvalidWebhook(Exception):
    """It is not from whom it says, was changed on the way, or is too old."""


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature for each secret, where there are several.

    ``secret`` is ``whsec_`` and Base64; several have commas between them. ``timestamp`` is in seconds.

    Raises:
        ValueError: a secret is none.
    """
    return " ".join(f"v1,{_signature(key, message_id, timestamp, body)}" for key in _keys(secret))


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance: float = TOLERANCE,
) -> str:
    """Make sure that a webhook is genuine, and of this moment. Returns its id: a repeated one has the same.

    ``secret`` is one, or several with commas between them, any of which will do. ``body`` is what came, byte
    by byte: it must not be parsed and written again before. ``now`` is in seconds since the epoch, and the
    time of day if None.

    Raises:
        InvalidWebhook: it is not. Says why.
        ValueError: a secret is none.
    """
    keys = _keys(secret)
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, when, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise InvalidWebhook(f"it has no {error.args[0]}") from None
    if not (when.isascii() and when.isdigit() and len(when) < 16):
        raise InvalidWebhook("its time is none")
    if abs((time.time() if now is None else now) - int(when)) > tolerance:
        raise InvalidWebhook("it is too old, or from the future")
    expected = [_signature(key, message_id, int(when), body).encode() for key in keys]
    # Every one is compared with every other, whichever fits: nothing can be learnt from how long that takes.
    matches = [
        hmac.compare_digest(signature, ours) for signature in _of_version_1(signatures) for ours in expected
    ]
    if not any(matches):
        raise InvalidWebhook("no signature fits")
    return message_id


def _of_version_1(header: str) -> Iterable[bytes]:
    for one in header.split():
        version, _, signature = one.partition(",")
        if version == "v1":
            yield signature.encode()


def _signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _keys(secret: str) -> list[bytes]:
    return [base64.b64decode(one.strip().removeprefix(PREFIX), validate=True) for one in secret.split(",")]
