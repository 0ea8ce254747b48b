"""Structs as JSON schemas (2020-12, and kept to what draft-07 has as well), one component for each.

msgspec has such schemas too. They say nothing of raw JSON, though, tell of what is *sent* that any field with
a default may be absent, and name two structs of one name after their modules.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, get_args

import msgspec
from msgspec import UnsetType, inspect

from mikroroom.contracts.fields import about
from mikroroom.core import chronicle
from mikroroom.protocol.codec import EVENTS, REQUESTS

Schema = dict[str, Any]

_BOUNDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}
_ITEMS = {"min_length": "minItems", "max_length": "maxItems"}

_KINDS: Mapping[type, Schema] = {
    inspect.AnyType: {},
    inspect.RawType: {},
    inspect.NoneType: {"type": "null"},
    inspect.BoolType: {"type": "boolean"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.StrType: {"type": "string"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
}


# Of two structs with one name, the one that is called otherwise in the documents.
_NAMES: Mapping[type, str] = {chronicle.Person: "EventPerson"}


def name_of(struct: type) -> str:
    """What a struct is called in the documents: requests and events of one name are kept apart."""
    if struct in _NAMES:
        return _NAMES[struct]
    if struct in REQUESTS.values():
        return f"{struct.__name__}Request"
    if struct in EVENTS.values():
        return f"{struct.__name__}Message"
    return struct.__name__


class Schemas:
    """The components that a document needs, collected as they are referred to.

    ``ceilings`` are the most that a field of a request may be by the server's settings, by the field's name.
    Raises TypeError if a type cannot be told, or if two structs would have one name.
    """

    def __init__(self, ceilings: Mapping[str, int]) -> None:
        self._ceilings = ceilings
        self.components: dict[str, Schema] = {}
        self._owners: dict[str, type] = {}

    def refer(self, struct: type, *, is_sent: bool) -> Schema:
        """A reference to a struct. What ``is_sent`` by the server has all fields but the ``UNSET`` ones."""
        name = name_of(struct)
        if self._owners.setdefault(name, struct) is not struct:
            raise TypeError(f"two structs are called {name}")
        if name not in self.components:
            self.components[name] = {}  # it may be about to refer to itself
            self.components[name] = self.whole(struct, is_sent=is_sent)
        return {"$ref": f"#/components/schemas/{name}"}

    def whole(self, struct: type, *, is_sent: bool) -> Schema:
        """A struct, with what it refers to among the components."""
        name = name_of(struct)
        info = inspect.type_info(struct)
        if not isinstance(info, inspect.StructType):
            raise TypeError(f"{struct} is no struct")
        properties: dict[str, Schema] = {}
        required: list[str] = []
        if info.tag is not None and info.tag_field is not None:
            properties[info.tag_field] = {"const": info.tag, "type": "string"}
            required.append(info.tag_field)
        absent = _left_out(struct) if is_sent else frozenset()
        for field in info.fields:
            schema = self._of(field.type, is_sent)
            if field.name in absent and field.default is None:
                schema = _without_null(schema)
            if not is_sent and field.encode_name in self._ceilings:
                schema["maximum"] = self._ceilings[field.encode_name]
            properties[field.encode_name] = _described(schema, about(name, field.encode_name))
            if not is_sent and isinstance(field.default, bool | int | float | str) and field.default != "":
                properties[field.encode_name]["default"] = field.default
            if field.required or (is_sent and field.name not in absent):
                required.append(field.encode_name)
        whole: Schema = {"type": "object", "properties": properties}
        if info.forbid_unknown_fields:
            whole["additionalProperties"] = False
        if required:
            whole["required"] = required
        return whole

    def _of(self, info: inspect.Type, is_sent: bool) -> Schema:
        match info:
            case inspect.Metadata(type=inner, extra_json_schema=extra):
                return self._of(inner, is_sent) | dict(extra or {})
            case inspect.StructType(cls=struct):
                return self.refer(struct, is_sent=is_sent)
            case inspect.UnionType(types=types):
                return _either([self._of(each, is_sent) for each in types])
            case inspect.LiteralType(values=values):
                return {"type": "string", "enum": list(values)}
            case inspect.EnumType(cls=enum):
                return {"type": "string", "enum": [_value(each) for each in enum]}
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                return {"type": "array", "items": self._of(item, is_sent), **_bounds(info, _ITEMS)}
            case inspect.DictType(value_type=value):
                return {"type": "object", "additionalProperties": self._of(value, is_sent)}
        if type(info) not in _KINDS:
            raise TypeError(f"no JSON schema for {info}")
        return _KINDS[type(info)] | _bounds(info, _BOUNDS)


def _left_out(struct: type) -> frozenset[str]:
    """The fields that may be left out of what is sent: what is not set, and null where defaults are omitted.

    Other defaults never go out: they stand for what is yet to be filled in.
    """
    config: Any = struct.__struct_config__  # type: ignore[attr-defined]  # only structs have one
    return frozenset(
        field.name
        for field in msgspec.structs.fields(struct)
        if UnsetType in get_args(field.type) or (config.omit_defaults and field.default is None)
    )


def _without_null(schema: Schema) -> Schema:
    match schema:
        case {"type": [kind, "null"]}:
            rest = {**schema, "type": kind}
            return (
                rest | {"enum": [each for each in schema["enum"] if each is not None]}
                if "enum" in schema
                else rest
            )
        case {"anyOf": [only, {"type": "null"}]}:
            return dict(only)
    return schema


def _value(member: Enum) -> Any:
    return member.value


def _bounds(info: inspect.Type, names: Mapping[str, str]) -> Schema:
    told = {word: getattr(info, name, None) for name, word in names.items()}
    return {word: _whole_if_whole(value) for word, value in told.items() if value is not None}


def _whole_if_whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _either(schemas: Sequence[Schema]) -> Schema:
    """One of these: null as a second type where that will do, and a whole number within any number."""
    others = [schema for schema in schemas if schema.get("type") != "null"]
    has_null = len(others) < len(schemas)
    if any(schema.get("type") == "number" for schema in others):
        others = [schema for schema in others if schema.get("type") != "integer"]
    if len(others) > 1:
        return {"anyOf": [*others, *([{"type": "null"}] if has_null else [])]}
    only = others[0]
    if not has_null:
        return only
    if not isinstance(only.get("type"), str):
        return {"anyOf": [only, {"type": "null"}]}
    nullable = only | {"type": [only["type"], "null"]}
    return nullable | {"enum": [*only["enum"], None]} if "enum" in only else nullable


def _described(schema: Schema, text: str) -> Schema:
    if not text:
        return schema
    if "$ref" in schema:  # beside which draft-07 reads nothing
        return {"allOf": [schema], "description": text}
    return {**schema, "description": text}
