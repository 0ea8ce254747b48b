"""``docs/protocol.md`` is the contract: what it shows must be what the structs are."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from starlette.routing import Route

from mikroroom import create_app
from mikroroom.protocol.codec import EVENTS, REQUESTS, decode_event, decode_request
from mikroroom.protocol.codes import CloseCode, ErrorCode

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
ALWAYS = {"type", "roomId", "participantId", "timestamp"}
# Of any message too, but only where a client may come back (R40, R47).
NUMBERS = {"clientSeq", "seq"}


def sections(title: str) -> dict[str, str]:
    """The text of each message's section in a chapter, by type."""
    parts = re.split(r"^#### `(.+)`$", chapter(title), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def examples(section: str) -> list[str]:
    found = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    assert found
    return [str(example) for example in found]


def chapter(title: str) -> str:
    """What stands under a heading, up to the next of its kind."""
    return DOCUMENT.split(f"\n### {title}\n")[1].split("\n### ")[0].split("\n## ")[0]


MESSAGES = [
    (title, name, message)
    for title, types in (("Client to server", REQUESTS), ("Server to client", EVENTS))
    for name, message in types.items()
]


@pytest.mark.parametrize(("title", "types"), [("Client to server", REQUESTS), ("Server to client", EVENTS)])
def test_every_message_type_has_its_section(title: str, types: dict[str, type[msgspec.Struct]]) -> None:
    assert set(sections(title)) == set(types)


@pytest.mark.parametrize(("title", "name", "message"), MESSAGES)
def test_the_examples_are_the_message_whole(title: str, name: str, message: type[msgspec.Struct]) -> None:
    shown: set[str] = set()
    for example in examples(sections(title)[name]):
        decoded = (decode_request if message in REQUESTS.values() else decode_event)(example)
        assert type(decoded) is message
        shown |= set(json.loads(example))
    fields = {field.encode_name for field in msgspec.structs.fields(message)}
    assert shown - ALWAYS - NUMBERS == fields - ALWAYS - NUMBERS


@pytest.mark.parametrize(("name", "message"), REQUESTS.items())
def test_every_field_of_a_request_is_explained(name: str, message: type[msgspec.Struct]) -> None:
    prose = re.sub(r"```.*?```", "", sections("Client to server")[name], flags=re.DOTALL)
    for field in msgspec.structs.fields(message):
        assert field.encode_name in ALWAYS | NUMBERS or f"`{field.encode_name}`" in prose


def test_what_any_message_may_carry_is_explained() -> None:
    table = DOCUMENT.split("\nAll messages may carry\n")[1].split("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == ALWAYS | NUMBERS


def test_the_way_back_is_shown_with_messages_that_are_some() -> None:
    said = re.findall(r"^\w+ (→|←) (\{.*?\})$", chapter("On the wire"), re.MULTILINE | re.DOTALL)
    assert {arrow for arrow, _ in said} == {"→", "←"}
    for arrow, text in said:
        message = (decode_request if arrow == "→" else decode_event)(text)
        assert message is not None
        fields = {field.encode_name for field in msgspec.structs.fields(type(message))}
        assert set(json.loads(text)) <= fields | {"type"}


def test_every_route_has_its_section() -> None:
    routes = [route for route in create_app().routes if isinstance(route, Route) and route.path != "/ws"]
    for route in routes:
        for method in (route.methods or set()) - {"HEAD"}:
            assert f"\n### `{method} {route.path_format}`\n" in DOCUMENT


def codes_in_table(heading: str) -> set[str]:
    first_cells = re.findall(r"^\| ([^|]+) \|", chapter(heading), re.MULTILINE)
    return {code for cell in first_cells for code in re.findall(r"[A-Z_]{4,}|\d{4}", cell)}


def test_error_codes_are_those_of_the_code() -> None:
    assert codes_in_table("Error codes") == {code.value for code in ErrorCode}


def test_close_codes_include_all_that_the_server_gives() -> None:
    assert {str(code.value) for code in CloseCode} <= codes_in_table("Close codes")
