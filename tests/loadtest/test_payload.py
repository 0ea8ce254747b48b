"""What people in a test say is what the protocol allows, and its mark survives the way."""

from collections.abc import Callable

import pytest

from mikroroom.loadtest import payload
from mikroroom.loadtest.payload import Mark
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import decode_event, decode_request, encode, to_event

MARK = Mark(3, 0xFFFFFFFF, 12_345, 2**63)


def relayed(request: requests.Relay) -> events.Offer | events.Answer | events.IceCandidate:
    """What the target hears of it, having gone through both decoders."""
    understood = decode_request(encode(request).decode())
    assert isinstance(understood, requests.Relay)
    understood.timestamp = 0
    event = decode_event(encode(to_event(understood, "ABC123", "ada")).decode())
    assert isinstance(event, events.Offer | events.Answer | events.IceCandidate)
    return event


@pytest.mark.parametrize("say", [payload.offer, payload.answer, payload.candidate])
@pytest.mark.parametrize("number", range(1, 10))
def test_a_relayed_message_keeps_its_mark(say: Callable[..., requests.Relay], number: int) -> None:
    mark = MARK._replace(number=number)
    assert payload.read(relayed(say("bob", *mark))) == mark


def test_a_chat_keeps_its_mark() -> None:
    request = decode_request(encode(payload.chat(3, 12_345, 99)).decode())
    assert isinstance(request, requests.Chat)
    assert payload.read(events.Chat("ABC123", "ada", request.text)) == Mark(3, 0, 12_345, 99)


def test_descriptions_are_as_long_as_those_of_browsers() -> None:
    lengths = [len(relayed(payload.offer("bob", *MARK._replace(number=n))).text) for n in range(3)]  # type: ignore[union-attr]
    assert 1_600 <= min(lengths) < max(lengths) <= 2_500


@pytest.mark.parametrize("at", [0, 12, 30, 60, -2])
def test_a_byte_that_was_altered_is_noticed(at: int) -> None:
    event = relayed(payload.offer("bob", *MARK))
    assert isinstance(event, events.Offer)
    altered = bytearray(event.sdp)
    altered[at] = ord("x")
    event.sdp = type(event.sdp)(bytes(altered))
    assert payload.read(event) is None


def test_a_chat_of_somebody_else_has_no_mark() -> None:
    assert payload.read(events.Chat("ABC123", "ada", "Hello everyone!")) is None


def test_a_chunk_is_one_that_the_server_takes() -> None:
    chunk = encode(payload.chunk("bob", 5))
    assert payload.CHUNK_BYTES < len(chunk) < 262_144
    assert isinstance(decode_request(chunk.decode()), requests.FileChunk)
