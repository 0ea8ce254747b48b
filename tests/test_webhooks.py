"""Signatures, held to the reference implementation of Standard Webhooks."""

import base64
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from mikroroom.webhooks import InvalidWebhook, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLKMfKQ9r8GKYqrTw"
OTHER = "whsec_" + base64.b64encode(b"another key, of 24 bytes").decode()
BODY = b'{"type": "room.started", "roomId": "\xc3\xa4"}'
NOW = 1_800_000_000


def headers(
    secret: str = SECRET, message_id: str = "1-0", when: int = NOW, body: bytes = BODY
) -> dict[str, str]:
    signature = sign(secret, message_id, when, body)
    return {"Webhook-Id": message_id, "Webhook-Timestamp": str(when), "Webhook-Signature": signature}


def test_signature_is_that_of_the_specification() -> None:
    """The example that stands in it, and in its libraries."""
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signature == Webhook(SECRET).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1_614_265_330, UTC), '{"test": 2432232314}'
    )


@settings(derandomize=True, deadline=None)
@given(st.binary(min_size=24, max_size=64), st.text("0123456789-", min_size=1), st.text())
def test_reference_believes_what_we_sign_and_we_what_it_signs(key: bytes, message_id: str, text: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = int(time.time())
    ours = headers(secret, message_id, now, text.encode("utf-8", "replace"))
    reference = Webhook(secret)
    signature = reference.sign(
        message_id, datetime.fromtimestamp(now, UTC), text.encode("utf-8", "replace").decode()
    )
    assert ours["Webhook-Signature"] == signature
    assert (
        verify(secret, ours | {"Webhook-Signature": signature}, text.encode("utf-8", "replace")) == message_id
    )


def test_genuine_webhook_has_its_id() -> None:
    assert verify(SECRET, headers(), BODY, now=NOW) == "1-0"
    assert verify(SECRET, headers(), BODY, now=NOW + 300) == "1-0"
    assert verify(SECRET, headers(), BODY, now=NOW - 300) == "1-0"


def test_while_the_secret_is_being_changed_either_will_do() -> None:
    both = f"{OTHER}, {SECRET}"
    for sender in (SECRET, OTHER, both):
        assert verify(both, headers(sender), BODY, now=NOW) == "1-0"
        assert verify(sender, headers(both), BODY, now=NOW) == "1-0"
    Webhook(OTHER).verify(BODY, {name.lower(): v for name, v in headers(both, when=int(time.time())).items()})


@pytest.mark.parametrize(
    ("changed", "body", "now"),
    [
        ({}, BODY + b" ", NOW),
        ({}, BODY, NOW + 301),
        ({}, BODY, NOW - 301),
        ({"Webhook-Id": "2-0"}, BODY, NOW),
        ({"Webhook-Timestamp": str(NOW + 1)}, BODY, NOW),
        ({"Webhook-Timestamp": "soon"}, BODY, NOW),
        ({"Webhook-Timestamp": "9" * 30}, BODY, NOW),
        ({"Webhook-Timestamp": "²"}, BODY, NOW),
        ({"Webhook-Signature": ""}, BODY, NOW),
        ({"Webhook-Signature": "v1,"}, BODY, NOW),
        ({"Webhook-Signature": "v1,ü"}, BODY, NOW),
        ({"Webhook-Signature": headers()["Webhook-Signature"].replace("v1,", "v2,")}, BODY, NOW),
        ({"Webhook-Signature": headers(OTHER)["Webhook-Signature"]}, BODY, NOW),
    ],
)
def test_webhook_that_is_not_genuine_or_not_of_now_is_refused(
    changed: dict[str, str], body: bytes, now: int
) -> None:
    with pytest.raises(InvalidWebhook):
        verify(SECRET, headers() | changed, body, now=now)


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_webhook_that_lacks_something_is_refused(missing: str) -> None:
    given = headers()
    del given[missing]
    with pytest.raises(InvalidWebhook, match=missing.lower()):
        verify(SECRET, given, BODY, now=NOW)


def test_replayed_webhook_is_refused_by_the_clock_and_the_reference_agrees() -> None:
    given = headers(when=int(time.time()) - 400)
    with pytest.raises(InvalidWebhook, match="old"):
        verify(SECRET, given, BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, {name.lower(): value for name, value in given.items()})


def test_secret_that_is_none_is_no_reason_to_believe() -> None:
    with pytest.raises(ValueError, match=r"."):
        verify("whsec_!", headers(), BODY, now=NOW)
