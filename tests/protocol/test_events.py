"""What the server sends (R12, R27, R28)."""

import json

import msgspec
import pytest

from mikroroom.protocol import events
from mikroroom.protocol.codec import EVENTS, decode_event, encode

BASE = {"type", "roomId", "participantId", "timestamp"}


def fields(event: events.Message) -> dict[str, object]:
    """What a client finds in an event."""
    found = json.loads(encode(event))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_the_base_structure_and_its_type(name: str) -> None:
    found = fields(EVENTS[name]("ABC123", "ada"))
    assert found.keys() >= BASE
    assert (found["type"], found["roomId"], found["participantId"]) == (name, "ABC123", "ada")


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_read_back_by_a_client(name: str) -> None:
    frame = encode(EVENTS[name]("ABC123", "ada", timestamp=1_234_567_890))
    event = decode_event(frame.decode())
    assert event is not None
    assert type(event) is EVENTS[name]
    assert encode(event) == frame


@pytest.mark.parametrize("event", [events.ParticipantJoined, events.ParticipantUpdated])
def test_state_of_a_participant_is_always_told_whole(event: type[events.ParticipantState]) -> None:
    """R12: also where nothing is out of the ordinary."""
    flags = {"isMuted", "isVideoOff", "isHandRaised", "isModerator", "isHost", "isConnected"}
    found = fields(event("ABC123", "ada"))
    assert found.keys() - {"name"} == BASE | flags
    assert {flag for flag in flags if found[flag]} == {"isConnected"}


def test_what_is_not_there_is_left_out() -> None:
    """What the reference does not know, a client written for it alone does not find."""
    assert (
        fields(events.ParticipantJoined("ABC123", "ada", name="Ada")).get("creatorToken", "absent")
        == "absent"
    )
    of_resuming = {"resumeToken", "resumeWindow", "resumed", "replayed", "lastClientSeq", "seq"}
    for event in (events.ParticipantJoined, events.WaitingRoom):
        assert fields(event("ABC123", "ada", name="Ada")).keys().isdisjoint(of_resuming)
    assert fields(events.Chat("ABC123", "ada", "hello", "1-ada")).get("replyTo", "absent") == "absent"
    assert (
        fields(events.Error("", "", message="No", code="ROOM_FULL")).get("requestType", "absent") == "absent"
    )


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            events.ParticipantJoined("ABC123", "ada", name="Jane Doe", is_muted=True, creator_token="t"),
            {
                "name": "Jane Doe",
                "isMuted": True,
                "isVideoOff": False,
                "isModerator": False,
                "creatorToken": "t",
            },
        ),
        (events.WaitingRoom("ABC123", "ada", name="Waiting User"), {"name": "Waiting User"}),
        (
            events.ParticipantJoined(
                "ABC123",
                "ada",
                resume_token="t",
                resume_window=30,
                resumed=True,
                replayed=False,
                last_client_seq=0,
                seq=7,
            ),
            {
                "resumeToken": "t",
                "resumeWindow": 30,
                "resumed": True,
                "replayed": False,
                "lastClientSeq": 0,
                "seq": 7,
            },
        ),
        (
            events.WaitingRoom(
                "ABC123", "ada", resume_token="t", resume_window=0.5, resumed=True, last_client_seq=3
            ),
            {"resumeToken": "t", "resumeWindow": 0.5, "resumed": True, "lastClientSeq": 3},
        ),
        (events.RoomLocked("ABC123", "ada", "ada"), {"lockedBy": "ada"}),
        (events.RoomUnlocked("ABC123", "ada", "ada"), {"unlockedBy": "ada"}),
        (events.RecordingStarted("ABC123", "ada", "ada"), {"startedBy": "ada"}),
        (events.RecordingStopped("ABC123", "ada", "ada"), {"stoppedBy": "ada"}),
        (events.RejectUser("ABC123", "ada", "bob", "Full"), {"targetId": "bob", "reason": "Full"}),
        (events.ModeratorAction("ABC123", "ada", "bob", "kick"), {"targetId": "bob", "action": "kick"}),
        (
            events.Chat("ABC123", "ada", "hello", "5-ada", "4-bob", timestamp=5),
            {"text": "hello", "messageId": "5-ada", "replyTo": "4-bob", "timestamp": 5},
        ),
        (
            events.Error("", "", message="Room is full", code="ROOM_FULL", request_type="join"),
            {
                "roomId": "",
                "participantId": "",
                "message": "Room is full",
                "code": "ROOM_FULL",
                "requestType": "join",
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fields_are_named_as_the_reference_and_the_rules_name_them(
    event: events.Message, expected: dict[str, object]
) -> None:
    """R12, R15, R18, R20, R22, R24, R27, R40, R42."""
    assert fields(event).items() >= expected.items()


def test_event_of_a_type_that_is_not_known_yet_is_passed_over() -> None:
    """What is added to the protocol, a client of this version can ignore."""
    assert decode_event('{"type":"weather","roomId":"ABC123","participantId":"","sky":"blue"}') is None


def test_field_that_is_not_known_yet_is_passed_over() -> None:
    event = decode_event('{"type":"participant-left","roomId":"ABC123","participantId":"ada","mood":"fine"}')
    assert event == events.ParticipantLeft("ABC123", "ada")


@pytest.mark.parametrize("event", [events.Offer, events.Answer])
def test_description_is_read_as_text(event: type[events.Offer | events.Answer]) -> None:
    """R14: it travels as the bytes that came, and is unescaped by whoever wants to read it."""
    offer = event("ABC123", "ada", "bob", msgspec.Raw(rb'"v=0\r\n\u0061\ud83d\ude00"'))
    assert offer.text == "v=0\r\na😀"


def test_candidate_is_read_as_its_fields() -> None:
    """R14: null is the end of candidates."""
    raw = msgspec.Raw(b'{"candidate":"candidate:1", "sdpMid":null, "sdpMLineIndex":0}')
    candidate = events.IceCandidate("ABC123", "ada", "bob", raw)
    assert candidate.fields == {"candidate": "candidate:1", "sdpMid": None, "sdpMLineIndex": 0}
    assert events.IceCandidate("ABC123", "ada", "bob").fields is None
