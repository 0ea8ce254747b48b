"""Whatever is thrown at the decoders, they read it or say why not; and what they read, they do not change."""

import json

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mikroroom.protocol import requests
from mikroroom.protocol.codec import (
    EVENTS,
    REQUESTS,
    InvalidMessage,
    decode_body,
    decode_event,
    decode_request,
    encode,
    to_event,
)
from mikroroom.protocol.codes import ErrorCode

from .examples import EXAMPLES, TEXTS

bounded = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow],  # of a busy machine
)

any_text = st.text(st.characters())  # lone surrogates too
whole_text = st.text()

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | whole_text
    | st.sampled_from(["ABC123", "mute", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(whole_text, inner, max_size=3),
    max_leaves=5,
)
names = {field.encode_name for kind in REQUESTS.values() for field in msgspec.structs.fields(kind)}
keys = st.sampled_from([*sorted(names), "participantId", "isModerator", "__proto__"])
types = st.sampled_from([*REQUESTS, *EVENTS, "", "nope"])

# From nothing, and from what is right but for some fields.
invented = st.builds(
    lambda name, fields: {"type": name, **fields}, types | values, st.dictionaries(keys | whole_text, values)
)
spoiled = st.builds(
    lambda name, fields: {**EXAMPLES[name], **fields},
    st.sampled_from(list(EXAMPLES)),
    st.dictionaries(keys, values, max_size=2),
)
json_texts = st.builds(json.dumps, invented | spoiled | values, ensure_ascii=st.booleans())


def readings(text: str) -> requests.Request | InvalidMessage:
    """A text read, or why it is not."""
    try:
        return decode_request(text)
    except InvalidMessage as refused:
        return refused


@bounded
@given(any_text | json_texts)
@example("\ud800")
def test_any_text_is_read_or_refused_with_words(text: str) -> None:
    """R27."""
    read = readings(text)
    if isinstance(read, InvalidMessage):
        assert read.code is ErrorCode.INVALID_MESSAGE
        assert read.message
        assert read.request_type is None or read.request_type in REQUESTS
        assert msgspec.json.encode(read.message), "the words must be fit to be sent"
    else:
        assert type(read) in REQUESTS.values()


@bounded
@given(st.sampled_from(list(TEXTS.values())), st.data())
def test_any_damage_to_a_message_is_read_or_refused(text: str, data: st.DataObject) -> None:
    """R27: cut out, put in, turned round."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 8)))
    readings(text[:start] + data.draw(any_text) + text[end:])
    readings(text[:start])
    readings(text[end:] + text[:start])


@bounded
@given(json_texts)
def test_what_was_read_is_written_and_read_again_the_same(text: str) -> None:
    read = readings(text)
    if not isinstance(read, InvalidMessage):
        written = encode(read)
        assert encode(decode_request(written.decode())) == written
        assert json.loads(written)["type"] in REQUESTS


@bounded
@given(json_texts)
def test_what_was_read_has_nothing_that_is_not_in_the_protocol(text: str) -> None:
    """R10: unknown fields are never passed on."""
    read = readings(text)
    if not isinstance(read, InvalidMessage):
        known = {field.encode_name for field in msgspec.structs.fields(type(read))}
        assert json.loads(encode(read)).keys() <= known | {"type"}


@bounded
@given(any_text | json_texts)
def test_any_text_is_an_event_or_none_or_refused(text: str) -> None:
    try:
        event = decode_event(text)
    except InvalidMessage:
        return
    assert event is None or type(event) in EVENTS.values()


@bounded
@given(st.binary() | json_texts.map(str.encode))
def test_any_body_is_a_room_or_refused(body: bytes) -> None:
    """R3."""
    try:
        room = decode_body(body, requests.CreateRoom)
    except InvalidMessage:
        return
    assert room.max_participants is None or 1 <= room.max_participants <= 1_000
    assert room.room_id is None or (len(room.room_id) == 6 and room.room_id.isascii())


# What goes through unread: JSON in whichever of its many spellings

spaces = st.text(" \t\r\n", max_size=3)
letters = st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF)


def spelled(letter: str, escape: bool) -> str:
    """A character within a JSON string, escaped where it must be, or where somebody likes it so."""
    must = letter < " " or letter in '"\\'
    return f"\\u{ord(letter):04x}" if must or escape else letter


strings = st.builds(json.dumps, whole_text, ensure_ascii=st.booleans()) | st.lists(
    st.builds(spelled, letters, st.booleans())
).map(lambda spellings: '"' + "".join(spellings) + '"')
numbers = st.integers().map(str) | st.sampled_from(["-0", "1.0", "1E+2", "0.10", "1e400", "9" * 40])
objects = st.recursive(
    strings | numbers | st.sampled_from(["null", "true", "{}", "[]"]),
    lambda inner: (
        st.builds("[{0}{1}{0},{1}]".format, spaces, inner)
        | st.builds("{{{0}{1}{0}:{2},{1}:{2}{0}}}".format, spaces, strings, inner)
    ),
    max_leaves=6,
).map('{{"candidate" : {0} }}'.format)


@bounded
@given(strings, spaces)
@example(r'"\ud83d\ude00\/"', "")
def test_any_string_goes_through_a_relay_byte_for_byte(payload: str, space: str) -> None:
    """R14."""
    for name, field, rest in (("offer", "sdp", ""), ("answer", "sdp", ""), ("file-chunk", "chunk", TOTALS)):
        frame = relayed(
            f'{{"type":"{name}","targetId":"bob",{space}"{field}"{space}:{space}{payload}{space}{rest}}}'
        )
        assert f',"{field}":{payload},'.encode() in frame
        assert json.loads(frame)[field] == json.loads(payload)


@bounded
@given(objects | st.just("null"), spaces)
def test_any_candidate_goes_through_a_relay_byte_for_byte(payload: str, space: str) -> None:
    """R14."""
    frame = relayed(f'{{"type":"ice-candidate","targetId":"bob","candidate":{space}{payload}{space}}}')
    assert f',"candidate":{payload},'.encode() in frame
    assert json.loads(frame)["candidate"] == json.loads(payload)


TOTALS = ',"index":0,"total":1'


def relayed(text: str) -> bytes:
    """What the target of a relay gets."""
    request = decode_request(text)
    assert isinstance(request, requests.Relay)
    return encode(to_event(request, "ABC123", "ada"))
