"""JSON schemas in words: what a field may be, for people to read."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

# Bounds from here on only say that every client can read the number.
_HUGE = 2**52


class Field(NamedTuple):
    """One field of an object: ``kind`` is its type and bounds in words."""

    name: str
    kind: str
    about: str
    is_required: bool


def fields_of(schema: Schema, schemas: Schema) -> Iterator[Field]:
    """The fields of an object, which may be referred to."""
    whole = schemas[_name(schema)] if "$ref" in schema else schema
    required = whole.get("required", ())
    for name, field in whole.get("properties", {}).items():
        yield Field(name, kind_of(field), _about(field), name in required)


def inner_names(schemas: Schema) -> list[str]:
    """Which of these are parts of others."""
    named = {name for schema in schemas.values() for name in _names_in(schema)}
    return [name for name in schemas if name in named]


def kind_of(schema: Schema) -> str:
    """Type and bounds in words, such as ``whole number from 1 to 8, or null; 5 without it``."""
    kind = _kind(schema)
    return f"{kind}; {json.dumps(schema['default'])} without it" if "default" in schema else kind


def _kind(schema: Schema) -> str:
    match schema:
        case {"$ref": _}:
            return _name(schema)
        case {"allOf": [only]}:
            return kind_of(only)
        case {"anyOf": choices}:
            return " or ".join(map(kind_of, choices))
        case {"const": value}:
            return f'"{value}"'
        case {"type": "array", "items": item}:
            return f"list of {kind_of(item)}{_size(schema, 'Items', '')}"
        case {"type": list(kinds)}:
            inner = {**schema, "type": kinds[0]}
            return f"{_kind(_without_null(inner))}, or null"
        case {"enum": values}:
            return " | ".join(f'"{value}"' for value in values)
        case {"type": "object", "additionalProperties": dict(value)}:
            return f"object of {kind_of(value)}"
        case {"type": str(kind)}:
            return _bounded(kind, schema)
    return "anything"


def _without_null(schema: Schema) -> Schema:
    if "enum" in schema:
        return {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    return schema


def _about(field: Schema) -> str:
    return str(field.get("description", ""))


def _bounded(kind: str, schema: Schema) -> str:
    match kind:
        case "string":
            form = {"date-time": "date and time", "uuid": "UUID"}.get(schema.get("format", ""), "string")
            return form + _size(schema, "Length", " characters")
        case "integer" | "number":
            return ("whole number" if kind == "integer" else "number") + _range(schema)
        case _:
            return {"boolean": "true or false"}.get(kind, kind)


def _size(schema: Schema, of: str, unit: str) -> str:
    least, most = schema.get(f"min{of}"), schema.get(f"max{of}")
    if least is not None and most is not None:
        return f" of {least} to {most:,}{unit}" if least != most else f" of {most}{unit}"
    if most is not None:
        return f" of up to {most:,}{unit}"
    return f" of at least {least}{unit}" if least is not None else ""


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    least = None if least is None or least <= -_HUGE else least
    most = None if most is None or most >= _HUGE else most
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    if least is not None:
        return f" from {least:,}"
    return f" up to {most:,}" if most is not None else ""


def _names_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _name(schema)
        for value in schema.values():
            yield from _names_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _names_in(value)


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]
