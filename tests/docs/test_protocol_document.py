"""``docs/protocol.md`` is the contract: what it shows must be what the structs are."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from mikroroom.protocol.codec import EVENTS, REQUESTS, decode_event, decode_request
from mikroroom.protocol.codes import CloseCode, ErrorCode

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
ALWAYS = {"type", "roomId", "participantId", "timestamp"}


def sections(chapter: str) -> dict[str, str]:
    """The text of each message's section in a chapter, by type."""
    text = DOCUMENT.split(f"\n### {chapter}\n")[1].split("\n### ")[0].split("\n## ")[0]
    parts = re.split(r"^#### `(.+)`$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def example(section: str) -> str:
    found = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


MESSAGES = [
    (chapter, name, message)
    for chapter, types in (("Client to server", REQUESTS), ("Server to client", EVENTS))
    for name, message in types.items()
]


@pytest.mark.parametrize(("chapter", "types"), [("Client to server", REQUESTS), ("Server to client", EVENTS)])
def test_every_message_type_has_its_section(chapter: str, types: dict[str, type[msgspec.Struct]]) -> None:
    assert set(sections(chapter)) == set(types)


@pytest.mark.parametrize(("chapter", "name", "message"), MESSAGES)
def test_every_example_is_the_message_whole(chapter: str, name: str, message: type[msgspec.Struct]) -> None:
    section = sections(chapter)[name]
    decoded = (decode_request if message in REQUESTS.values() else decode_event)(example(section))
    assert type(decoded) is message
    fields = {field.encode_name for field in msgspec.structs.fields(message)}
    shown = set(json.loads(example(section)))
    assert shown - ALWAYS == fields - ALWAYS


@pytest.mark.parametrize(("name", "message"), REQUESTS.items())
def test_every_field_of_a_request_is_explained(name: str, message: type[msgspec.Struct]) -> None:
    prose = re.sub(r"```.*?```", "", sections("Client to server")[name], flags=re.DOTALL)
    for field in msgspec.structs.fields(message):
        assert field.encode_name in ALWAYS or f"`{field.encode_name}`" in prose


def codes_in_table(heading: str) -> set[str]:
    text = DOCUMENT.split(f"\n### {heading}\n")[1].split("\n#")[0]
    first_cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return {code for cell in first_cells for code in re.findall(r"[A-Z_]{4,}|\d{4}", cell)}


def test_error_codes_are_those_of_the_code() -> None:
    assert codes_in_table("Error codes") == {code.value for code in ErrorCode}


def test_close_codes_include_all_that_the_server_gives() -> None:
    assert {str(code.value) for code in CloseCode} <= codes_in_table("Close codes")
