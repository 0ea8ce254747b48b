"""The schemas as types for TypeScript: a declaration file, and JSDoc for the JavaScript client.

Everything is made from the JSON schemas of the two documents, so that all three say the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.codes import close_codes, error_codes
from mikroroom.contracts.openapi import openapi
from mikroroom.contracts.schemas import Schema, name_of
from mikroroom.protocol.codec import EVENTS, REQUESTS
from mikroroom.settings import Settings

MAKE = "make contracts"
WIDTH = 110

_CANDIDATE = "IceCandidateInit"
_CANDIDATE_FIELDS: Schema = {
    "properties": {
        "candidate": {"type": "string"},
        "sdpMid": {"type": ["string", "null"]},
        "sdpMLineIndex": {"type": ["integer", "null"]},
        "usernameFragment": {"type": ["string", "null"]},
    }
}
_CANDIDATE_ABOUT = "An ICE candidate, as browsers have it (RTCIceCandidateInit). May have more fields."

_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def declarations() -> str:
    """``messages.d.ts``: an interface for each message, and for each body of the REST routes."""
    return "\n".join([*_HEADER, *_interfaces(), "", *_types()])


def typedefs() -> str:
    """``client/messages.js``: the messages of the WebSocket as JSDoc types, and nothing that runs."""
    return "\n".join([*_HEADER, "", *_typedefs(), "export {};", ""])


_HEADER = (
    "// What client and server say to each other (docs/protocol.md), as types only: nothing here runs.",
    f"// Made by `{MAKE}` from the server's own messages, and changed there.",
)


def _messages() -> Mapping[str, tuple[Schema, str]]:
    """Each schema of the WebSocket, and what is said of it."""
    document = asyncapi(Settings())
    summaries = {name: each["summary"] for name, each in document["components"]["messages"].items()}
    schemas: dict[str, Schema] = document["components"]["schemas"]
    return {
        _CANDIDATE: (_CANDIDATE_FIELDS, _CANDIDATE_ABOUT),
        **{name: (schema, summaries.get(name, "")) for name, schema in schemas.items()},
    }


def _bodies() -> Mapping[str, tuple[Schema, str]]:
    """Each schema of the REST routes."""
    schemas: dict[str, Schema] = openapi(Settings())["components"]["schemas"]
    return {name: (schema, "") for name, schema in schemas.items()}


def _interfaces() -> Iterator[str]:
    for name, (schema, about) in {**_messages(), **_bodies()}.items():
        yield ""
        yield from _comment(about, "")
        yield f"export interface {name} {{"
        for field, each in schema["properties"].items():
            yield from _comment(each.get("description", ""), "  ")
            yield f"  {_key(field, schema)}: {_type(field, each)};"
        yield "}"


def _types() -> Iterator[str]:
    for name, lines in _unions():
        yield f"export type {name} ="
        yield from (f"  {line}" for line in lines[:-1])
        yield f"  {lines[-1]};"
        yield ""


def _typedefs() -> Iterator[str]:
    """Without what each field is: whoever reads the client finds that in the documents."""
    for name, (schema, about) in _messages().items():
        properties: Schema = schema["properties"]
        fields = [f"{_key(field, schema)}: {_type(field, each)}" for field, each in properties.items()]
        yield "/**"
        yield from (f" * {line}" for line in wrap(about, WIDTH))
        first, *rest = _packed(fields, ", ", WIDTH - len("@typedef {{}} ") - len(name))
        lines = [f" * @typedef {{{{{first}", *(f" *   {line}" for line in rest)]
        yield from (*lines[:-1], f"{lines[-1]}}}}} {name}")
        yield " */"
        yield ""
    for name, (first, *rest) in _unions():
        yield "/**"
        *most, last = [f" * @typedef {{{first}", *(f" *   {line}" for line in rest)]
        yield from (*most, f"{last}}} {name}")
        yield " */"
        yield ""


def _packed(pieces: Sequence[str], between: str, width: int) -> list[str]:
    """The pieces on as few lines as they take, each line whole pieces."""
    lines = [""]
    for piece in (*(f"{each}{between}" for each in pieces[:-1]), pieces[-1]):
        if len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _unions() -> Iterator[tuple[str, list[str]]]:
    """What one of several is: its name, and lines with all that it may be."""
    unions = {
        "ErrorCode": [f'"{code}"' for code in error_codes()],
        "CloseCode": [str(code) for code in close_codes()],
        "Request": [name_of(request) for request in REQUESTS.values()],
        "Message": [name_of(event) for event in EVENTS.values()],
    }
    for name, choices in unions.items():
        yield name, _packed(choices, " | ", WIDTH - 25)


def _comment(text: str, indent: str) -> Iterator[str]:
    lines = wrap(text, WIDTH - len(indent) - 7)
    if len(lines) == 1:
        yield f"{indent}/** {lines[0]} */"
    elif lines:
        yield f"{indent}/**"
        yield from (f"{indent} * {line}" for line in lines)
        yield f"{indent} */"


def _key(field: str, schema: Schema) -> str:
    return field if field in schema.get("required", ()) else f"{field}?"


def _type(field: str, schema: Schema) -> str:
    if field == "candidate" and schema["type"] == ["object", "null"]:
        return f"{_CANDIDATE} | null"
    if "x-extensible-enum" in schema:
        return "ErrorCode | (string & {})"
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    match schema:
        case {"$ref": reference}:
            return str(reference).rpartition("/")[2]
        case {"allOf": [only]}:
            return _plain_type(only)
        case {"anyOf": choices}:
            return " | ".join(map(_plain_type, choices))
        case {"const": value}:
            return json.dumps(value)
        case {"enum": values}:
            return " | ".join(map(json.dumps, values))
        case {"type": "array", "items": item}:
            inner = _plain_type(item)
            return f"({inner})[]" if " " in inner else f"{inner}[]"
        case {"type": "object", "additionalProperties": dict(value)}:
            return f"Record<string, {_plain_type(value)}>"
        case {"type": list(kinds)}:
            return " | ".join(_plain_type({**schema, "type": kind}) for kind in kinds)
        case {"type": str(kind)} if kind in _PLAIN:
            return _PLAIN[kind]
    return "unknown"
