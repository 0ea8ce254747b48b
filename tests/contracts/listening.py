"""Holds what a server says to its own AsyncAPI document."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs

from mikroroom import Settings
from mikroroom.contracts.asked import refusals
from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.schemas import name_of
from mikroroom.protocol.codec import EVENTS, REQUESTS

Schema = dict[str, Any]


class Breach(AssertionError):
    """The server said something that its document does not have."""


def validator(name: str, schemas: Mapping[str, Schema]) -> Any:
    """The ``jsonschema`` validator of one of a document's schemas."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    return jsonschema.Draft202012Validator(whole)


def closed(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """These schemas without room for fields that they do not name."""
    return {
        name: {"additionalProperties": False, **schema} if "properties" in schema else schema
        for name, schema in schemas.items()
    }


def hold_to_contract(text: str) -> None:
    """A message as it came from a server of ours.

    Raises:
        Breach: it is of no known type, lacks a field, has one too many or a wrong one; or a request was
            refused with a code that the document does not name for it.
    """
    message = json.loads(text)
    told = _events().get(message["type"])
    if told is None:
        raise Breach(f"the AsyncAPI document has no message {message['type']!r}: {text[:500]}")
    for error in told.iter_errors(message):
        raise Breach(f"not as in the AsyncAPI document: {error.json_path}: {error.message}: {text[:500]}")
    request = REQUESTS.get(message.get("requestType", ""))
    if request is not None and message["code"] not in refusals(request):
        raise Breach(f"the AsyncAPI document does not refuse so: {text[:500]}")


@cache
def _events() -> dict[str, Any]:
    schemas = closed(asyncapi(Settings())["components"]["schemas"])
    return {kind: validator(name_of(event), schemas) for kind, event in EVENTS.items()}
