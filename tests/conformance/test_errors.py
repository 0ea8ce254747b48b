"""What cannot be understood or is out of place gets an ``error``, and changes nothing (R27)."""

import json

import pytest

from .people import Person, new_code
from .stage import Stage

# Each is one text message. {me} is the sender, {you} a peer.
HORRORS = {
    "empty": "",
    "blank": "  \n ",
    "null": "null",
    "true": "true",
    "a number": "42",
    "a string": '"chat"',
    "an empty array": "[]",
    "an array of a message": '[{"type": "chat", "text": "x"}]',
    "an empty object": "{}",
    "no type": '{"text": "x"}',
    "a null type": '{"type": null, "text": "x"}',
    "a number for a type": '{"type": 1, "text": "x"}',
    "an array for a type": '{"type": ["chat"], "text": "x"}',
    "an empty type": '{"type": "", "text": "x"}',
    "an unknown type": '{"type": "shutdown"}',
    "a type in capitals": '{"type": "CHAT", "text": "x"}',
    "a type with a space": '{"type": "chat ", "text": "x"}',
    "a type of the server's": '{"type": "error", "message": "x", "code": "y"}',
    "another type of the server's": '{"type": "participant-left", "participantId": "{you}"}',
    "a type of JavaScript": '{"type": "__proto__"}',
    "a type of Python": '{"type": "__class__"}',
    "a very long type": f'{{"type": "{"x" * 10_000}"}}',
    "a type with a zero": r'{"type": "chat\u0000", "text": "x"}',
    "not JSON": "hello",
    "truncated": '{"type": "chat", "text": "x',
    "trailing data": '{"type": "chat", "text": "x"} {}',
    "trailing rubbish": '{"type": "chat", "text": "x"}x',
    "two messages": '{"type": "chat", "text": "x"}\n{"type": "chat", "text": "x"}',
    "a trailing comma": '{"type": "chat", "text": "x",}',
    "single quotes": "{'type': 'chat', 'text': 'x'}",
    "a raw control character": '{"type": "chat", "text": "a\nb"}',
    "NaN": '{"type": "chat", "text": "x", "timestamp": NaN}',
    "Infinity": '{"type": "chat", "text": "x", "timestamp": -Infinity}',
    "too large a number": '{"type": "chat", "text": "x", "timestamp": 1e400}',
    "a huge integer": f'{{"type": "chat", "text": "x", "timestamp": {"9" * 4000}}}',
    "a huge integer beyond Python's limit": f'{{"type": "chat", "text": "x", "timestamp": {"9" * 5000}}}',
    "a huge integer for a count": (
        f'{{"type": "file-chunk", "targetId": "{{you}}", "chunk": "x", "total": 1, "index": {"9" * 4000}}}'
    ),
    "a lone surrogate": r'{"type": "chat", "text": "\ud800"}',
    "a lone low surrogate": r'{"type": "chat", "text": "x\udfffx"}',
    "a bad escape": r'{"type": "chat", "text": "\x41"}',
    "a deep array": "[" * 100_000,
    "a deep array that ends": "[" * 100_000 + "]" * 100_000,
    "a deep object": '{"a":' * 40_000,
    "a deep object that ends": '{"a":' * 40_000 + "1" + "}" * 40_000,
    "a deep type": '{"type": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a deep text": '{"type": "chat", "text": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a deep candidate": (
        '{"type": "ice-candidate", "targetId": "{you}", "candidate": '
        + '{"a":' * 40_000 + "1" + "}" * 40_000 + "}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("horror", HORRORS.values(), ids=HORRORS)
async def test_horror_is_refused_and_the_meeting_goes_on(stage: Stage, horror: str) -> None:
    """R27 and the base of every rule: an error to the sender, nothing to anybody else."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.sends(horror.replace("{you}", bob.id))
    await ada.is_refused("INVALID_MESSAGE")
    await still_works(ada, bob)


@pytest.mark.parametrize("horror", HORRORS.values(), ids=HORRORS)
async def test_horror_before_joining_is_refused_and_joining_still_works(stage: Stage, horror: str) -> None:
    """R27: a connection that is nobody yet is treated no worse."""
    ada = await stage.arrives("Ada")
    await ada.sends(horror)
    await ada.hears("error")
    await ada.joins(new_code(), isHost=True)


async def test_deep_unknown_field_does_no_harm(stage: Stage) -> None:
    """R10 and R27: ignored like any unknown field, or refused; either way it goes no further."""
    ada, bob = await stage.meeting("Ada", "Bob")
    deep = "[" * 100_000 + "]" * 100_000
    await ada.sends(f'{{"type": "raise-hand", "more": {deep}}}')
    await ada.says("chat", text="still here")
    for person in (ada, bob):
        heard = await person.hears_until("chat", text="still here")
        assert not [message for message in heard if "more" in message]


async def test_error_names_what_was_refused(stage: Stage) -> None:
    """R27: ``requestType``, where known; a message for people and a code for programs."""
    ada = await stage.arrives("Ada")
    await ada.says("chat", text="hi")
    error = await ada.is_refused("NOT_IN_ROOM", "chat")
    assert (error["roomId"], error["participantId"]) == ("", "")
    assert error["message"]
    assert error["timestamp"] > 1_600_000_000_000
    await ada.says("chat", text=5)
    await ada.is_refused("INVALID_MESSAGE", "chat")


EVERYTHING_SAID_IN_A_ROOM: list[tuple[str, dict[str, object]]] = [
    ("leave", {}),
    ("offer", {"sdp": "x"}),
    ("answer", {"sdp": "x"}),
    ("ice-candidate", {"candidate": {}}),
    ("file-offer", {"fileName": "x", "fileSize": 1, "fileType": "y"}),
    ("file-answer", {"accepted": False}),
    ("file-chunk", {"chunk": "x", "index": 0, "total": 1}),
    ("quality-change", {"quality": "high"}),
    ("chat", {"text": "hi"}),
    ("participant-updated", {"isMuted": True}),
    ("raise-hand", {}),
    ("lower-hand", {}),
    ("recording-started", {}),
    ("recording-stopped", {}),
]


@pytest.mark.parametrize(("kind", "fields"), EVERYTHING_SAID_IN_A_ROOM, ids=str)
async def test_speaking_before_joining_is_refused(stage: Stage, kind: str, fields: dict[str, object]) -> None:
    """R27: NOT_IN_ROOM; naming a room and a target that exist does not help."""
    ada, bob = await stage.meeting("Ada", "Bob")
    eve = await stage.arrives("Eve")
    await eve.says(kind, roomId=ada.room, participantId=ada.id, targetId=bob.id, **fields)
    await eve.is_refused("NOT_IN_ROOM", kind)
    for person in (ada, bob):
        await person.hears_nothing()


@pytest.mark.house
@pytest.mark.parametrize("timestamp", ["now", "1", [], {}, True], ids=repr)
async def test_timestamp_of_a_wrong_type_is_malformed(stage: Stage, timestamp: object) -> None:
    """R10 says what a timestamp may be; here anything else is refused, though its value would not be used."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("chat", text="hi", timestamp=timestamp)
    await ada.is_refused("INVALID_MESSAGE", "chat")
    await bob.hears_nothing()


async def test_many_horrors_are_each_told(stage: Stage) -> None:
    """R27: one error for each, in order, as long as no limit is reached."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for _ in range(50):
        await ada.sends("{")
        await ada.sends(json.dumps({"type": "offer", "targetId": "nobody", "sdp": "x"}))
    for _ in range(50):
        await ada.is_refused("INVALID_MESSAGE")
        await ada.is_refused("TARGET_NOT_FOUND", "offer")
    await still_works(ada, bob)


async def still_works(ada: Person, bob: Person) -> None:
    """Both hear what the other says, and have heard nothing else."""
    for speaker, listener in ((ada, bob), (bob, ada)):
        await speaker.says("offer", targetId=listener.id, sdp="still here")
        await listener.hears("offer", participantId=speaker.id, sdp="still here")
