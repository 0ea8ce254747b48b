"""The conformance suite holds all that it hears to the AsyncAPI document, and would notice what is not so."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.conformance.frames import Wire
from tests.conformance.people import Person
from tests.conftest import is_listened_to
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from mikroroom.contracts.told import told
from mikroroom.protocol.codec import EVENTS

from .listening import Breach, hold_answer_to_contract, hold_to_contract, listen_in

CHAT = {
    "type": "chat",
    "roomId": "ABC234",
    "participantId": "x",
    "text": "hello",
    "messageId": "1-x",
    "timestamp": 1,
}
ERROR = {"type": "error", "roomId": "", "participantId": "", "message": "No", "code": "", "timestamp": 1}


@pytest.mark.parametrize("kind", EVENTS)
def test_what_is_as_told_passes(kind: str) -> None:
    for example in told(EVENTS[kind]).examples:
        hold_to_contract(json.dumps(example))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({**CHAT, "type": "chatter"}, "no message 'chatter'"),
        ({name: value for name, value in CHAT.items() if name != "messageId"}, "'messageId' is a required"),
        ({**CHAT, "text": 5}, r"\$\.text: 5 is not of type 'string'"),
        ({**CHAT, "mood": "good"}, "'mood' was unexpected"),
        ({**CHAT, "replyTo": None}, r"\$\.replyTo: None is not of type 'string'"),
        ({**ERROR, "code": "UNAUTHORIZED", "requestType": "chat"}, "does not refuse so"),
    ],
    ids=["type", "missing", "wrong", "unknown", "null", "refusal"],
)
def test_what_is_not_as_told_is_a_breach(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(Breach, match=words):
        hold_to_contract(json.dumps(wrong))


@pytest.mark.parametrize("status", [418, 200])
def test_an_answer_that_is_not_as_told_is_a_breach(status: int) -> None:
    request = httpx.Request("GET", "http://meet.example/meet/health")
    with pytest.raises(Breach):
        hold_answer_to_contract(httpx.Response(status, json={"status": "ok"}, request=request))


@pytest.mark.parametrize("path", ["/health", "/meet/health", "/nowhere"])
def test_an_answer_that_is_as_told_passes(path: str) -> None:
    health = {"status": "ok", "totalRooms": 0, "totalParticipants": 0, "peakParticipants": 0}
    request = httpx.Request("GET", f"http://meet.example{path}")
    whole = {**health, "uptime": 1, "version": "1"}
    hold_answer_to_contract(httpx.Response(200, json=whole, request=request))


# In the suite


@pytest.fixture
async def liar() -> AsyncIterator[str]:
    """A server that greets everybody by what no document has."""

    async def lie(connection: ServerConnection) -> None:
        await connection.send(json.dumps({**CHAT, "mood": "good"}))
        await connection.wait_closed()

    async with serve(lie, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_person_of_the_suite_notices_a_lie(liar: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listen_in(monkeypatch)
    async with connect(f"ws://{liar}/ws", proxy=None) as connection:
        with pytest.raises(Breach, match="mood"):
            await Person("Ada", connection).hears_something()


async def test_a_wire_of_the_suite_notices_a_lie(liar: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listen_in(monkeypatch)
    host, _, port = liar.partition(":")
    wire = await Wire.to(host, int(port), None, None, 10.0)
    assert await wire.becomes_websocket("/ws") == 101
    with pytest.raises(Breach, match="mood"):
        await wire.next()
    wire.cut()


async def test_nobody_listens_elsewhere(liar: str) -> None:
    async with connect(f"ws://{liar}/ws", proxy=None) as connection:
        assert "mood" in await Person("Ada", connection).hears_something()


def test_the_suite_is_listened_to() -> None:
    folder = Path(__file__).parents[1]
    assert is_listened_to(folder / "conformance" / "test_talking.py", [])
    assert not is_listened_to(folder / "conformance" / "test_talking.py", ["https://meet.example"])
    assert not is_listened_to(folder / "hub" / "test_talk.py", [])
