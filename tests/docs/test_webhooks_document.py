"""webhooks.md, held to the code."""

import json
import re
import time
from pathlib import Path
from typing import Any, get_args

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from mikroroom.core.chronicle import TYPES, Person, Reason, RoomEvent
from mikroroom.core.happenings import Deed
from mikroroom.settings import RoomEventType
from mikroroom.webhooks import sign

DOCUMENT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
EXAMPLES = [json.loads(example) for example in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]


def python_block(containing: str) -> str:
    (block,) = (
        block for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL) if containing in block
    )
    return str(block)


def test_every_type_is_explained_and_has_an_example() -> None:
    assert {example["type"] for example in EXAMPLES} == set(TYPES)
    table = DOCUMENT.partition("| `type` | when |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([\w.-]+)` \|", table, re.MULTILINE)) == set(TYPES)


def test_setting_has_the_types_that_there_are() -> None:
    assert get_args(RoomEventType) == TYPES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_examples_are_room_events_whole(example: dict[str, Any]) -> None:
    event = msgspec.convert(example, RoomEvent)
    assert msgspec.json.decode(msgspec.json.encode(event)) == example
    assert event.timestamp == int(event.id.partition("-")[0])


def test_every_field_reason_and_action_is_explained() -> None:
    table = DOCUMENT.partition("| field | what it says |")[2].partition("\n\n")[0]
    fields = {field.encode_name for field in msgspec.structs.fields(RoomEvent)}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == fields - {"type"}
    for word in (
        *get_args(Reason),
        *get_args(Deed),
        *(f.encode_name for f in msgspec.structs.fields(Person)),
    ):
        assert f"`{word}`" in table


async def test_receiver_that_is_shown_works() -> None:
    names: dict[str, Any] = {}
    exec(python_block("async def meetings"), names)
    site = Starlette(routes=[Route("/", names["meetings"], methods=["POST"])])
    body, now = b'{"type": "room.started"}', int(time.time())
    headers = {
        "webhook-id": "1-0",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(names["SECRET"], "1-0", now, body),
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://site") as http:
        for _ in range(2):
            assert (await http.post("/", content=body, headers=headers)).status_code == 204
        assert (await http.post("/", content=body + b" ", headers=headers)).status_code == 401
    assert names["seen"] == {"1-0"}


def test_function_that_is_shown_is_one() -> None:
    exec(python_block("on_event=on_event"), {})
