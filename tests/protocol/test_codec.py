"""The way between structs and JSON: what cannot be read, what is said of it, what goes through untouched."""

import json
import sys
from threading import Thread
from typing import get_args

import pytest

from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import (
    EVENTS,
    HEADROOM,
    RELAYS,
    REQUESTS,
    TYPE_OF,
    InvalidMessage,
    decode_body,
    decode_event,
    decode_request,
    encode,
    frame,
    is_talk,
    numbered,
    to_event,
    type_of,
    unnumbered,
)
from mikroroom.protocol.codes import ErrorCode

from .examples import EXAMPLES, TEXTS

DEPTH = 100_000

# What is no JSON at all, and no part of it can be trusted.
UNREADABLE = {
    "nothing": "",
    "space": "  ",
    "word": "hello",
    "cut short": '{"type":"leave"',
    "trailing data": '{"type":"leave"} {"type":"leave"}',
    "trailing comma": '{"type":"leave",}',
    "single quotes": "{'type':'leave'}",
    "comment": '{"type":"leave"/* now */}',
    "byte order mark": '\ufeff{"type":"leave"}',
    "NaN": '{"type":"leave","timestamp":NaN}',
    "Infinity": '{"type":"leave","timestamp":-Infinity}',
    "leading zero": '{"type":"leave","timestamp":01}',
    "hexadecimal": '{"type":"leave","timestamp":0x1}',
    "surrogate escape": r'{"type":"chat","text":"\ud800"}',
    "half a pair": r'{"type":"chat","text":"\ud83d x"}',
    "second half": r'{"type":"chat","text":"\ude00"}',
    "bad escape": r'{"type":"chat","text":"\x41"}',
    "bad unicode escape": r'{"type":"chat","text":"\u00zz"}',
    "raw newline": '{"type":"chat","text":"a\nb"}',
    "raw NUL": '{"type":"chat","text":"a\0b"}',
    "unknown field is bad": r'{"type":"leave","x":"\q"}',
    "unread string is bad": r'{"type":"offer","targetId":"x","sdp":"\q"}',
    "unread string has half a pair": r'{"type":"offer","targetId":"x","sdp":"\ud800"}',
    "unread string has a raw newline": '{"type":"offer","targetId":"x","sdp":"a\nb"}',
    "unread object is bad": '{"type":"ice-candidate","targetId":"x","candidate":{"a":tru}}',
    "unread object has NaN": '{"type":"ice-candidate","targetId":"x","candidate":{"a":NaN}}',
    "unread null is not whole": '{"type":"ice-candidate","targetId":"x","candidate":nul}',
}

# Also with its end cut off, so that nobody counts the brackets first.
BOTTOMLESS = {
    "arrays": "[" * DEPTH + "]" * DEPTH,
    "arrays without end": "[" * DEPTH,
    "objects": '{"x":' * DEPTH + "0" + "}" * DEPTH,
    "objects without end": '{"x":' * DEPTH,
    "in an unknown field": '{"type":"leave","x":' + "[" * DEPTH + "]" * DEPTH + "}",
    "in a known field": '{"type":"chat","text":' + "[" * DEPTH + "]" * DEPTH + "}",
    "in the type": '{"type":' + "[" * DEPTH + "]" * DEPTH + "}",
    "in an unread object": (
        '{"type":"ice-candidate","targetId":"x","candidate":{"x":' + "[" * DEPTH + "]" * DEPTH + "}}"
    ),
}

NO_MESSAGE = {
    "null": "null",
    "true": "true",
    "number": "5",
    "string": '"leave"',
    "array": "[]",
    "array of messages": '[{"type":"leave"}]',
    "no type": "{}",
    "null type": '{"type":null}',
    "number type": '{"type":5}',
    "array type": '{"type":["leave"]}',
    "type in another case": '{"Type":"leave"}',
}


def refusal(text: str) -> InvalidMessage:
    """How a text is refused."""
    with pytest.raises(InvalidMessage) as refused:
        decode_request(text)
    assert refused.value.code is ErrorCode.INVALID_MESSAGE
    return refused.value


# What cannot be read


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_json_is_refused(name: str) -> None:
    """R7, R27."""
    refused = refusal(UNREADABLE[name])
    assert refused.request_type is None
    assert refused.message.startswith("Not valid JSON: ")


def test_text_that_no_socket_could_have_carried_is_refused() -> None:
    """A lone surrogate is not escaped, and not in UTF-8 either."""
    assert refusal('{"type":"chat","text":"\ud800"}').message == "Text is not valid Unicode"
    assert refusal('{"type":"offer","targetId":"x","sdp":"\udfff"}').message == "Text is not valid Unicode"


@pytest.mark.parametrize("name", BOTTOMLESS)
def test_what_is_nested_without_end_is_refused(name: str) -> None:
    """R27: at once, and the process lives."""
    assert refusal(BOTTOMLESS[name]).message.startswith(("JSON is nested too deeply", "A message must be"))


@pytest.mark.parametrize("name", NO_MESSAGE)
def test_what_is_no_message_is_refused(name: str) -> None:
    """R27: says what a message is."""
    refused = refusal(NO_MESSAGE[name])
    assert refused.request_type is None
    assert refused.message == "A message must be a JSON object with a `type` that is a string"


@pytest.mark.parametrize(
    "name", ["", "Leave", "leave ", "participant-joined", "error", "__init__", "x" * 10_000]
)
def test_unknown_type_is_refused_with_those_that_are_known(name: str) -> None:
    """R27: and not with ten thousand characters of the client's own."""
    refused = refusal(json.dumps({"type": name}))
    assert refused.request_type is None
    assert refused.message.startswith(f"Unknown message type {name[:64]!r}; known are: join, leave, offer, ")
    assert len(refused.message) < 500


@pytest.mark.parametrize("name", REQUESTS)
def test_wrong_message_of_a_known_type_is_refused_under_its_type(name: str) -> None:
    """R27."""
    fields = EXAMPLES[name]
    refused = refusal(json.dumps({**fields, "timestamp": "now"}))
    assert refused.request_type == name
    assert refused.message == "Expected `int | float | null`, got `str` - at `$.timestamp`"


def test_type_may_stand_anywhere() -> None:
    chat = decode_request('{"text":"hello","type":"chat"}')
    assert chat == requests.Chat("hello")
    assert refusal('{"text":"","type":"chat"}').request_type == "chat"


def test_type_that_is_said_twice_is_refused() -> None:
    """Readers disagree on which of them counts."""
    assert refusal('{"type":"leave","type":"chat","text":"x"}').request_type == "chat"
    assert refusal('{"type":"chat","text":"x","type":"leave"}').request_type == "leave"


def test_field_that_is_said_twice_is_what_it_is_last() -> None:
    """As in a browser. What is unread is checked as well."""
    assert decode_request('{"type":"chat","text":"a","text":"b"}') == requests.Chat("b")
    assert refusal('{"type":"offer","targetId":"x","sdp":"a","sdp":5}').request_type == "offer"


@pytest.mark.parametrize(
    "number", ["9" * 4_000, "9" * 100_000, "1e400", "-1e400", "1e-400", "0." + "1" * 10_000]
)
def test_number_of_any_length_in_an_unknown_field_is_passed_over(number: str) -> None:
    assert decode_request(f'{{"type":"leave","x":{number}}}') == requests.Leave()


@pytest.mark.parametrize("number", ["9" * 4_000, "9" * 100_000, "1e400", "-1e400"])
def test_number_without_end_in_a_known_field_is_refused(number: str) -> None:
    assert refusal(f'{{"type":"leave","timestamp":{number}}}').request_type == "leave"
    text = f'{{"type":"file-chunk","targetId":"x","chunk":"","index":{number},"total":1}}'
    assert refusal(text).request_type == "file-chunk"


def test_error_says_nothing_of_the_code_behind_it() -> None:
    for text in (*UNREADABLE.values(), *NO_MESSAGE.values()):
        assert "msgspec" not in refusal(text).message
        assert "Error" not in refusal(text).message


# The body of POST /api/rooms


@pytest.mark.parametrize("body", [b"", b"{}", b' {"roomId":null,"password":null,"maxParticipants":null} '])
def test_body_may_say_nothing(body: bytes) -> None:
    """R3."""
    assert decode_body(body, requests.CreateRoom) == requests.CreateRoom()


def test_body_of_the_reference_is_read() -> None:
    """R3: unknown fields are passed over."""
    body = b'{"roomId":"ABC123","password":"secret","maxParticipants":8,"color":"red"}'
    assert decode_body(body, requests.CreateRoom) == requests.CreateRoom(
        room_id="ABC123", password="secret", max_participants=8
    )
    assert decode_body(b'{"roomId":"abc123"}', requests.CreateRoom).room_id == "ABC123"


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"null",
        b"[]",
        b'"ABC123"',
        b"\xff\xfe",
        b'{"roomId":"\xff"}',
        b'{"roomId":"\xed\xa0\x80"}',
        b'{"roomId":"ABC12"}',
        b'{"roomId":"ABC123\\n"}',
        b'{"roomId":123456}',
        b'{"password":5}',
        b'{"password":"' + b"x" * 257 + b'"}',
        b'{"password":"\\ud800"}',
        b'{"maxParticipants":0}',
        b'{"maxParticipants":1001}',
        b'{"maxParticipants":2.5}',
        b'{"maxParticipants":"8"}',
        b'{"maxParticipants":true}',
        b'{"maxParticipants":' + b"9" * 5_000 + b"}",
        b'{"roomId":"ABC123"} {}',
        b'{"x":' * DEPTH,
    ],
)
def test_body_that_is_malformed_wrong_or_out_of_range_is_refused(body: bytes) -> None:
    """R3."""
    with pytest.raises(InvalidMessage):
        decode_body(body, requests.CreateRoom)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"maxParticipants":0}', "Expected `int` >= 1 - at `$.maxParticipants`"),
        (b'{"roomId":"ABC12"}', "`roomId` must be six letters or digits"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{", "Not valid JSON: Input data was truncated"),
        (b"\xff", "Text is not valid Unicode"),
        (b'{"x":' * DEPTH, "JSON is nested too deeply"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_body_that_is_refused_is_refused_with_words(body: bytes, problem: str) -> None:
    """R3: for the log; the client hears what the reference says."""
    with pytest.raises(InvalidMessage) as refused:
        decode_body(body, requests.CreateRoom)
    assert refused.value.message == problem


# What a client reads


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null {}",
        "[]",
        "[" * DEPTH,
        '{"roomId":"ABC123"}',
        '{"type":5}',
        '{"type":"chat"}',
        '{"type":"error","roomId":5,"participantId":""}',
        "\ud800",
    ],
)
def test_event_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage):
        decode_event(text)


# Tables


def test_types_on_the_wire_are_those_of_the_reference_and_the_rules() -> None:
    """R14, R18 beyond the reference."""
    assert REQUESTS.keys() == EXAMPLES.keys()
    assert EVENTS.keys() == (REQUESTS.keys() - {"join", "leave", "admit-user", "delete-message"}) | {
        "message-deleted",
        "participant-joined",
        "participant-left",
        "waiting-room",
        "ice-servers",
        "error",
    }


def test_every_message_class_has_its_name() -> None:
    assert len(TYPE_OF) == len(REQUESTS) + len(EVENTS)
    for message, name in TYPE_OF.items():
        assert type_of(message) == name
    assert type_of(requests.IceCandidate) == "ice-candidate"


# Relays


def test_relays_are_those_of_the_rule() -> None:
    """R14."""
    assert {TYPE_OF[request] for request in RELAYS} == {
        *("offer", "answer", "ice-candidate", "file-offer", "file-answer", "file-chunk", "quality-change")
    }


@pytest.mark.parametrize("request_", RELAYS)
def test_relay_has_every_field_of_its_request_and_the_true_sender(request_: type[requests.Relay]) -> None:
    """R10, R14: the sender's own timestamp, and nothing that was not asked for."""
    told = EXAMPLES[TYPE_OF[request_]]
    claims = {"participantId": "somebody-else", "roomId": "ZZZZZZ", "isModerator": True}
    request = decode_request(json.dumps({**told, **claims}))
    assert isinstance(request, requests.Relay)
    heard = json.loads(encode(to_event(request, "ABC123", "ada")))
    assert heard == {**told, "roomId": "ABC123", "participantId": "ada"}


def test_relay_keeps_a_fraction_in_the_timestamp() -> None:
    """R10, R14."""
    request = requests.QualityChange("bob", "low", timestamp=1_234_567_890.25)
    assert to_event(request, "ABC123", "ada").timestamp == 1_234_567_890.25


@pytest.mark.parametrize(
    "payload",
    [
        '""',
        r'"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"',
        r'"\u0076\u003d0 \/ \" \\ \b\f\n\r\t"',
        r'"\ud83d\ude00 😀 é e' + "\u0301" + '"',
        '"\u2028\u2029\x7f\ufffd\uffff"',
        '"' + "x" * 200_000 + '"',
    ],
    ids=lambda payload: ascii(payload[:20]),
)
def test_string_goes_through_byte_for_byte(payload: str) -> None:
    """R14: however it is escaped, composed, or long."""
    request = decode_request(f'{{"type":"offer","targetId":"bob","sdp": {payload} ,"timestamp":5}}')
    assert isinstance(request, requests.Offer)
    assert (
        encode(to_event(request, "ABC123", "ada"))
        == (
            f'{{"type":"offer","roomId":"ABC123","participantId":"ada","targetId":"bob","sdp":{payload},"timestamp":5}}'
        ).encode()
    )


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        "null",
        '{ "candidate" : "candidate:1 1 udp", "sdpMid":null,\n\t"sdpMLineIndex": 0 }',
        '{"a":1,"a":2}',
        '{"a":1.0,"b":1e2,"c":-0,"d":100000000000000000000000000000001,"e":1E+400}',
        '{"a":{"b":[[],{},[null,true,false]]}}',
    ],
)
def test_candidate_goes_through_byte_for_byte(payload: str) -> None:
    """R14: spaces, numbers and keys said twice included."""
    request = decode_request(
        f'{{"type":"ice-candidate","candidate":{payload},"targetId":"bob","timestamp":5}}'
    )
    assert isinstance(request, requests.IceCandidate)
    frame = encode(to_event(request, "ABC123", "ada"))
    assert f'"candidate":{payload},"timestamp":5}}'.encode() in frame


def test_frame_is_the_message_after_room_for_a_header_and_a_buffer_of_its_own() -> None:
    """A long one before and a short one after leave nothing in it."""
    chats = [events.Chat("ABC123", "ada", text) for text in ("x" * 4_000, "", "日本 😀" * 500, "y")]
    frames = [frame(chat) for chat in chats]
    assert [bytes(each[HEADROOM:]) for each in frames] == [encode(chat) for chat in chats]
    frames[0][:HEADROOM] = b"!" * HEADROOM
    assert frames[1][:HEADROOM] == bytes(HEADROOM)


@pytest.mark.parametrize("name", EVENTS)
def test_number_is_one_more_field_and_the_frame_without_it_is_as_it_was(name: str) -> None:
    """R40: others hear the same frame under another number, or under none."""
    plain = frame(EVENTS[name]("ABC123", "ada", timestamp=5))
    before = bytes(plain)
    for seq in (1, 2**53):
        told = numbered(plain, seq)
        assert len(told) > len(before)
        fields = json.loads(told[HEADROOM:])
        assert fields.pop("seq") == seq
        assert fields == json.loads(before[HEADROOM:])
        event = decode_event(told[HEADROOM:].decode())
        assert event is not None
        assert event.seq == seq
    assert bytes(plain) == before


def test_message_of_the_server_is_utf8_without_escapes() -> None:
    """Half as long as with them, and every client reads it."""
    assert '"text":"日本 😀"'.encode() in encode(events.Chat("ABC123", "ada", "日本 😀"))


def test_request_of_a_client_is_read_as_it_was_written() -> None:
    """The Python client writes requests with the same encoder."""
    for name, text in TEXTS.items():
        request = decode_request(text)
        assert json.loads(encode(request)).keys() <= EXAMPLES[name].keys()
        assert encode(decode_request(encode(request).decode())) == encode(request)


@pytest.mark.parametrize("event", get_args(events.Event))
def test_talk_is_what_people_say_to_each_other(event: type[events.Message]) -> None:
    """And nothing else: chat, that it is taken back, and relays, each under its own type."""
    is_said = issubclass(event, events.Chat | events.MessageDeleted | events.Relay)
    message = event("ABC234", "somebody")
    assert is_talk(frame(message)) is is_said
    message.seq = 7
    assert is_talk(bytes(frame(message))) is is_said


def test_a_number_comes_and_goes_again() -> None:
    """Whether it was put there afterwards or encoded with the rest, and whatever the text looks like."""
    chat = events.Chat("ABC234", "somebody", text='","seq":1}')
    plain = frame(chat)
    after = numbered(plain, 12)
    assert json.loads(after[HEADROOM:]) == {**json.loads(plain[HEADROOM:]), "seq": 12}
    assert unnumbered(after) == plain
    chat.seq = 12
    assert unnumbered(bytes(frame(chat))) == plain


def test_apps_in_two_threads_do_not_write_over_each_other() -> None:
    wrong: list[bytes] = []

    def encodes(name: str) -> None:
        chat = events.Chat("ABC234", name, text=name * 200)
        right = bytes(frame(chat))
        wrong.extend(now for _ in range(3_000) if (now := bytes(frame(chat))) != right)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=encodes, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong
