"""Structs as schemas, and schemas in words."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from mikroroom.contracts.schemas import Schemas
from mikroroom.contracts.shapes import kind_of


class Colour(StrEnum):
    RED = "red"


class Inner(Struct):
    x: int


Side = Literal["left", "right"]


@pytest.mark.parametrize(
    ("kind", "schema", "words"),
    [
        (int, {"type": "integer"}, "whole number"),
        (int | float, {"type": "number"}, "number"),
        (bool | None, {"type": ["boolean", "null"]}, "true or false, or null"),
        (
            Annotated[int, Meta(ge=1, le=1_000)] | None,
            {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000},
            "whole number from 1 to 1,000, or null",
        ),
        (Annotated[int, Meta(ge=-(2**53), le=2**53)], None, "whole number"),
        (Annotated[int, Meta(ge=0, le=2**53)], None, "whole number from 0"),
        (Annotated[float, Meta(le=2.0)], {"type": "number", "maximum": 2}, "number up to 2"),
        (
            Annotated[str, Meta(min_length=1, max_length=8)],
            {"type": "string", "minLength": 1, "maxLength": 8},
            "string of 1 to 8 characters",
        ),
        (Annotated[str, Meta(min_length=2)], None, "string of at least 2 characters"),
        (Side, {"type": "string", "enum": ["left", "right"]}, '"left" | "right"'),
        (
            Side | None,
            {"type": ["string", "null"], "enum": ["left", "right", None]},
            '"left" | "right", or null',
        ),
        (Colour, {"type": "string", "enum": ["red"]}, '"red"'),
        (datetime, {"type": "string", "format": "date-time"}, "date and time"),
        (Raw, {}, "anything"),
        (Any, {}, "anything"),
        (Inner, {"$ref": "#/components/schemas/Inner"}, "Inner"),
        (
            Inner | None,
            {"anyOf": [{"$ref": "#/components/schemas/Inner"}, {"type": "null"}]},
            "Inner or null",
        ),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "whole number or string"),
        (
            list[Inner],
            {"type": "array", "items": {"$ref": "#/components/schemas/Inner"}},
            "list of Inner",
        ),
        (
            dict[str, int],
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "object of whole number",
        ),
    ],
    ids=str,
)
def test_a_type_is_told_to_machines_and_people(kind: Any, schema: dict[str, Any] | None, words: str) -> None:
    struct = msgspec.defstruct("Thing", [("field", kind)])
    told = Schemas({}).whole(struct, is_sent=False)["properties"]["field"]
    assert schema is None or told == schema
    assert kind_of(told) == words


class Sent(Struct, rename="camel"):
    always: int
    with_default: int = 3
    perhaps: int | UnsetType = UNSET


def test_what_is_sent_has_all_but_what_is_not_set() -> None:
    assert Schemas({}).whole(Sent, is_sent=True)["required"] == ["always", "withDefault"]


def test_what_is_asked_for_may_lack_what_has_a_default() -> None:
    asked = Schemas({}).whole(Sent, is_sent=False)
    assert asked["required"] == ["always"]
    assert asked["properties"]["withDefault"] == {"type": "integer", "default": 3}
    assert kind_of(asked["properties"]["withDefault"]) == "whole number; 3 without it"


class Terse(Struct, omit_defaults=True):
    place: str = ""
    inner: Inner | None = None
    side: Side | None = None


def test_null_that_is_left_out_is_not_told() -> None:
    told = Schemas({}).whole(Terse, is_sent=True)
    assert told["required"] == ["place"]
    assert told["properties"]["inner"] == {"$ref": "#/components/schemas/Inner"}
    assert told["properties"]["side"] == {"type": "string", "enum": ["left", "right"]}


class Strict(Struct, forbid_unknown_fields=True, tag="strict", tag_field="type"):
    pass


def test_tag_and_strictness_are_told() -> None:
    assert Schemas({}).whole(Strict, is_sent=False) == {
        "type": "object",
        "properties": {"type": {"const": "strict", "type": "string"}},
        "required": ["type"],
        "additionalProperties": False,
    }


def test_a_ceiling_of_the_settings_bounds_what_is_asked_for_and_not_what_is_sent() -> None:
    schemas = Schemas({"always": 7})
    assert schemas.whole(Sent, is_sent=False)["properties"]["always"]["maximum"] == 7
    assert "maximum" not in schemas.whole(Sent, is_sent=True)["properties"]["always"]


def test_two_structs_of_one_name_are_a_mistake() -> None:
    schemas = Schemas({})
    schemas.refer(Inner, is_sent=True)
    with pytest.raises(TypeError, match="two structs are called Inner"):
        schemas.refer(msgspec.defstruct("Inner", [("y", int)]), is_sent=True)


def test_a_type_that_nobody_thought_of_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no JSON schema"):
        Schemas({}).whole(msgspec.defstruct("Thing", [("field", Decimal)]), is_sent=True)
    with pytest.raises(TypeError, match="no struct"):
        Schemas({}).whole(int, is_sent=True)
