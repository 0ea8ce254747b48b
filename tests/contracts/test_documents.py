"""The documents are valid by the rules of those who made up their kinds, and leave nothing unsaid."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from mikroroom import Settings
from mikroroom.contracts.asked import asked
from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.codes import close_codes, error_codes
from mikroroom.contracts.limits import limits
from mikroroom.contracts.openapi import openapi
from mikroroom.contracts.routes import ROUTES
from mikroroom.contracts.schemas import name_of
from mikroroom.contracts.told import told
from mikroroom.protocol.codec import EVENTS, REQUESTS, decode_event, decode_request

from .conftest import Document
from .listening import closed, validator

# How our own docstrings name rules and code; those who read the documents know neither.
INTERNAL = re.compile(r"``|\bR\d+\b|\b[a-z]+_[a-z_]+\b")
# The names of metrics begin so.
METRICS = "mikroroom_"


def test_openapi_is_valid(rest: Document) -> None:
    jsonschema.validate(rest, OPENAPI_31)


def test_asyncapi_is_valid(signaling: Document, modules: Path) -> None:
    schema = json.loads(
        Path(modules, "@asyncapi", "specs", "schemas", "3.0.0-without-$id.json").read_text("utf-8")
    )
    jsonschema.validate(signaling, schema)


@pytest.mark.parametrize("make", [openapi, asyncapi])
def test_every_reference_leads_somewhere(make: Any) -> None:
    document = make(Settings(), "/meet")
    references = [value for key, value in items(document) if key == "$ref"]
    assert references
    for reference in references:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


@pytest.mark.parametrize("make", [openapi, asyncapi])
def test_a_prefix_is_told(make: Any) -> None:
    text = json.dumps(make(Settings(), "/meet")["servers"])
    assert '"/meet"' in text


@pytest.mark.parametrize("make", [openapi, asyncapi])
def test_limits_are_those_of_the_server(make: Any) -> None:
    (rooms,) = (row for row in make(Settings(rooms_per_minute=7))["x-limits"] if "rooms made" in row["what"])
    assert (rooms["value"], rooms["unit"]) == (7, "a minute")
    (rooms,) = (row for row in make(Settings(rooms_per_minute=0))["x-limits"] if "rooms made" in row["what"])
    assert rooms["value"] is None


def test_no_limit_is_told_twice() -> None:
    told_limits = [limit.what for limit in limits(Settings())]
    assert len(told_limits) == len(set(told_limits))


# Words


@pytest.mark.parametrize("make", [openapi, asyncapi])
def test_every_field_is_explained(make: Any) -> None:
    for name, schema in make(Settings())["components"]["schemas"].items():
        for field, each in schema["properties"].items():
            explained = each.get("description") or "const" in each
            assert explained, f"say in contracts/fields.py what `{field}` of {name} is"


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_request_is_explained_and_shown(kind: str) -> None:
    text = asked(REQUESTS[kind])
    assert text.about and text.follows and text.examples, f"say in contracts/asked.py what `{kind}` is"


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_is_explained_and_shown(kind: str) -> None:
    text = told(EVENTS[kind])
    assert text.about and text.hearers and text.examples, f"say in contracts/told.py what `{kind}` is"


def test_every_code_is_explained() -> None:
    for code, meaning in [*error_codes().items(), *close_codes().items()]:
        assert meaning, f"say in contracts/codes.py what {code} means"


@pytest.mark.parametrize("make", [openapi, asyncapi])
def test_nothing_is_said_in_words_of_the_house(make: Any) -> None:
    document = make(Settings())
    for key, value in items(document):
        if key in ("description", "summary", "when", "why", "what", "over"):
            assert not INTERNAL.search(value.replace(METRICS, "")), value


# Examples


@pytest.mark.parametrize("kind", REQUESTS)
def test_examples_of_requests_are_read_and_valid(kind: str, signaling: Document) -> None:
    examples = asked(REQUESTS[kind]).examples
    schemas = closed(signaling["components"]["schemas"])
    for example in examples:
        assert type(decode_request(json.dumps(example))) is REQUESTS[kind]
        validator(name_of(REQUESTS[kind]), schemas).validate(example)
    shown = {field for example in examples for field in example}
    assert shown >= schemas[name_of(REQUESTS[kind])]["properties"].keys() - {"clientSeq"}


@pytest.mark.parametrize("kind", EVENTS)
def test_examples_of_events_are_read_and_valid(kind: str, signaling: Document) -> None:
    examples = told(EVENTS[kind]).examples
    schemas = closed(signaling["components"]["schemas"])
    for example in examples:
        assert type(decode_event(json.dumps(example))) is EVENTS[kind]
        validator(name_of(EVENTS[kind]), schemas).validate(example)
    shown = {field for example in examples for field in example}
    assert shown >= schemas[name_of(EVENTS[kind])]["properties"].keys() - {"seq"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_examples_of_routes_are_valid(route: Any, rest: Document) -> None:
    schemas = closed(rest["components"]["schemas"])
    pairs = [(route.body, route.example), *((answer.body, answer.example) for answer in route.answers)]
    for struct, example in pairs:
        assert (struct is None) == (example is None), "show what is told"
        if struct is not None:
            validator(name_of(struct), schemas).validate(example)


def items(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a document with its value, outside of examples."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if isinstance(value, str):
                yield key, value
            if key not in ("examples", "example"):
                yield from items(value)
    elif isinstance(tree, list):
        for each in tree:
            yield from items(each)
