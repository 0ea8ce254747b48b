"""What the schemas of requests take is what the server's decoder takes."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.protocol.examples import EXAMPLES
from tests.protocol.test_codec_properties import spoiled

from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.schemas import name_of
from mikroroom.protocol.codec import REQUESTS, InvalidMessage, decode_request
from mikroroom.settings import Settings

from .listening import validator

SCHEMAS = asyncapi(Settings(max_participants=1_000))["components"]["schemas"]
VALIDATORS = {kind: validator(name_of(request), SCHEMAS) for kind, request in REQUESTS.items()}

# What no schema can say: which characters a name must not have, and which of them show something; and that
# a text must be JSON in the first place.
UNSAID = ("`name` must", "Not valid JSON", "Text is not")


def is_told(fields: dict[str, Any]) -> bool:
    """Whether a request is valid by its schema."""
    return bool(VALIDATORS[fields["type"]].is_valid(fields))


def is_whole_float(value: object) -> bool:
    """1.0, which to JSON schemas is a whole number and to the server is none."""
    return isinstance(value, float) and value.is_integer()


def refusal(fields: dict[str, Any]) -> str | None:
    """Why the server does not read a request; None if it does."""
    try:
        decode_request(json.dumps(fields))
    except InvalidMessage as refused:
        return refused.message
    return None


@settings(
    derandomize=True,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow],  # of a busy machine
)
@given(spoiled)
@example({**EXAMPLES["join"], "name": " " * 80 + "x" * 64})
@example({**EXAMPLES["join"], "name": "x" * 65})
@example({**EXAMPLES["join"], "roomId": "ABC12"})
@example({**EXAMPLES["join"], "maxParticipants": 1_001})
@example({**EXAMPLES["offer"], "sdp": None})
@example({**EXAMPLES["ice-candidate"], "candidate": []})
@example({**EXAMPLES["ice-candidate"], "candidate": None})
@example({**EXAMPLES["chat"], "text": "x" * 4_001})
@example({"type": "join", "roomId": "ABC123", "name": None, "resumeToken": None})
@example({"type": "join", "roomId": "ABC123", "resumeToken": "token"})
def test_a_request_is_valid_where_the_server_reads_it(fields: dict[str, Any]) -> None:
    why = refusal(fields)
    if why is None:
        assert is_told(fields)
    elif not why.startswith(UNSAID) and not any(map(is_whole_float, fields.values())):
        assert not is_told(fields), why


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_lacks_nothing_that_is_required(kind: str) -> None:
    for field in SCHEMAS[name_of(REQUESTS[kind])]["required"]:
        fields = {name: value for name, value in EXAMPLES[kind].items() if name != field}
        if field != "type":
            assert refusal(fields)
            assert not is_told(fields)


@given(st.sampled_from(list(EXAMPLES)), st.text(), st.none() | st.integers() | st.text())
@settings(derandomize=True, deadline=None, max_examples=50)
def test_unknown_fields_are_valid(kind: str, name: str, value: object) -> None:
    assert is_told({name: value, **EXAMPLES[kind]})
