"""What participants say to each other (R14 to R18), and that it stays in the room (R10)."""

import json
import uuid

import pytest

from .people import Message, Person, new_code
from .stage import Stage

CANDIDATE = {
    "candidate": "candidate:1 1 UDP 2122252543 192.0.2.1 54321 typ host",
    "sdpMid": "0",
    "sdpMLineIndex": 0,
}

RELAYS: dict[str, dict[str, object]] = {
    "offer": {"sdp": "v=0\r\no=- 46117 2 IN IP4 127.0.0.1\r\n"},
    "answer": {"sdp": "v=0\r\no=- 46117 2 IN IP4 127.0.0.1\r\n"},
    "ice-candidate": {"candidate": CANDIDATE},
    "file-offer": {"fileName": "holiday.jpg", "fileSize": 123456, "fileType": "image/jpeg"},
    "file-answer": {"accepted": True},
    "file-chunk": {"chunk": "aGVsbG8=", "index": 0, "total": 1},
    "quality-change": {"quality": "low"},
}
each_relay = pytest.mark.parametrize(("kind", "payload"), RELAYS.items(), ids=RELAYS)


# One to one


@each_relay
async def test_relay_reaches_its_target_alone(stage: Stage, kind: str, payload: dict[str, object]) -> None:
    """R14: with the sender's true id."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await ada.says(kind, targetId=bob.id, **payload)
    await bob.hears(kind, participantId=ada.id, roomId=ada.room, **payload)
    await bob.hears_nothing()
    await carl.hears_nothing(after=ada)
    await ada.hears_nothing()


@each_relay
async def test_relay_to_nobody_in_the_room_is_refused(
    stage: Stage, kind: str, payload: dict[str, object]
) -> None:
    """R14: someone unknown, someone of another room, someone gone, someone who only waits."""
    ada, bob = await stage.meeting("Ada", "Bob")
    (zoe,) = await stage.meeting("Zoe")
    gone = bob.id
    await bob.leaves()
    await ada.hears("participant-left", participantId=gone)
    await ada.says("room-locked")
    await ada.hears("room-locked")
    waiting = await stage.waiting("Carl", ada)
    for target in (str(uuid.uuid4()), "", zoe.id, gone, waiting.id):
        await ada.says(kind, targetId=target, **payload)
        await ada.is_refused("TARGET_NOT_FOUND", kind)
    for other in (bob, zoe, waiting):
        await other.hears_nothing()


@each_relay
async def test_relay_without_a_proper_target_is_malformed(
    stage: Stage, kind: str, payload: dict[str, object]
) -> None:
    """R27: absent or of the wrong type."""
    ada, bob = await stage.meeting("Ada", "Bob")
    wrong: list[dict[str, object]] = [{}, {"targetId": None}, {"targetId": 5}, {"targetId": [bob.id]}]
    for fields in wrong:
        await ada.says(kind, **payload, **fields)
        await ada.is_refused("INVALID_MESSAGE", kind)
    await bob.hears_nothing()


PAYLOADS_AS_TEXT = {
    "escapes": ("offer", "sdp", r'"v=0\r\n\u00e9\/\u0041 \ud83d\ude00"'),
    "no escapes": ("answer", "sdp", '"é😀\u2028<script>"'),
    "numbers as written": ("ice-candidate", "candidate", '{"a": 1.0, "b": 1e2, "c": 12345678901234567890}'),
    "order and spaces": ("ice-candidate", "candidate", '{ "z" : [ ], "a":{"type":"offer","targetId":"x"} }'),
    "an empty object": ("ice-candidate", "candidate", "{}"),
    "the end of candidates": ("ice-candidate", "candidate", "null"),
    "an empty text": ("offer", "sdp", '""'),
}


@pytest.mark.parametrize(("kind", "field", "payload"), PAYLOADS_AS_TEXT.values(), ids=PAYLOADS_AS_TEXT)
async def test_relay_payload_goes_through_byte_by_byte(
    stage: Stage, kind: str, field: str, payload: str
) -> None:
    """R14: byte-exact, whatever it is."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.sends(f'{{"type": "{kind}", "targetId": "{bob.id}", "{field}":{payload}, "timestamp": 1}}')
    await bob.hears(kind, participantId=ada.id)
    assert payload in bob.text


WRONG_PAYLOADS: list[tuple[str, dict[str, object]]] = [
    ("offer", {}),
    ("offer", {"sdp": None}),
    ("offer", {"sdp": 5}),
    ("answer", {"sdp": {"type": "answer"}}),
    ("ice-candidate", {"candidate": "candidate:1"}),
    ("ice-candidate", {"candidate": [CANDIDATE]}),
    ("ice-candidate", {"candidate": 5}),
    ("file-answer", {"accepted": "yes"}),
]


@pytest.mark.parametrize(("kind", "payload"), WRONG_PAYLOADS, ids=str)
async def test_relay_of_a_wrong_payload_is_malformed(
    stage: Stage, kind: str, payload: dict[str, object]
) -> None:
    """R14, R27: nothing reaches the target."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says(kind, targetId=bob.id, **payload)
    await ada.is_refused("INVALID_MESSAGE", kind)
    await bob.hears_nothing()


async def test_relays_arrive_in_the_order_sent(stage: Stage) -> None:
    """R14: of all types together."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for number in range(100):
        await ada.says("offer", targetId=bob.id, sdp=str(number))
        await ada.says("ice-candidate", targetId=bob.id, candidate={"number": number})
    for number in range(100):
        await bob.hears("offer", sdp=str(number))
        await bob.hears("ice-candidate", candidate={"number": number})


@pytest.mark.parametrize("timestamp", [1234567890, 0, 1718000000000.25, -1])
async def test_relay_keeps_the_senders_timestamp(stage: Stage, timestamp: float) -> None:
    """R10: a relayed message keeps it, fractional or not."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("offer", targetId=bob.id, sdp="x", timestamp=timestamp)
    await bob.hears("offer", timestamp=timestamp)


async def test_relay_cannot_pretend(stage: Stage) -> None:
    """R10: to be someone else, or in another room; unknown fields are not passed on."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    (zoe,) = await stage.meeting("Zoe")
    claims = {"participantId": carl.id, "roomId": zoe.room, "senderId": carl.id, "isModerator": True}
    await bob.says("offer", targetId=ada.id, sdp="x", **claims)
    heard = await ada.hears("offer", participantId=bob.id, roomId=ada.room)
    assert not {"senderId", "isModerator"} & heard.keys()
    await zoe.hears_nothing()


async def test_largest_file_chunk_passes(stage: Stage) -> None:
    """R32: a message of 256 KiB, to the byte."""
    ada, bob = await stage.meeting("Ada", "Bob")
    start = f'{{"type":"file-chunk","targetId":"{bob.id}","index":0,"total":1,"timestamp":1,"chunk":"'
    chunk = "x" * (256 * 1024 - len(start) - 2)
    await ada.sends(start + chunk + '"}')
    await bob.hears("file-chunk", participantId=ada.id, chunk=chunk)


# To everyone


async def test_chat_is_heard_by_everyone(stage: Stage) -> None:
    """R15: the sender included, and all the same."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await bob.says("chat", text="Hello everyone!")
    heard = [
        await person.hears("chat", text="Hello everyone!", participantId=bob.id)
        for person in (ada, bob, carl)
    ]
    assert heard[0] == heard[1] == heard[2]
    assert heard[0]["messageId"] == f"{heard[0]['timestamp']}-{bob.id}"


async def test_chat_is_stamped_by_the_server(stage: Stage) -> None:
    """R10: not with the time, the id, the room or the message id that a client claims."""
    ada, bob = await stage.meeting("Ada", "Bob")
    (zoe,) = await stage.meeting("Zoe")
    claims = {"participantId": bob.id, "roomId": zoe.room, "messageId": "x", "timestamp": 1, "evil": True}
    await ada.says("chat", text="hi", **claims)
    heard = await bob.hears("chat", participantId=ada.id, roomId=ada.room)
    assert heard["timestamp"] > 1_600_000_000_000
    assert heard["messageId"] == f"{heard['timestamp']}-{ada.id}"
    assert "evil" not in heard
    await zoe.hears_nothing(after=ada)


async def test_chats_of_one_sender_have_growing_timestamps(stage: Stage) -> None:
    """R15: strictly, however fast they come, so that no two share a message id."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for number in range(50):
        await ada.says("chat", text=str(number))
    timestamps = [(await bob.hears("chat", text=str(number)))["timestamp"] for number in range(50)]
    assert timestamps == sorted(set(timestamps))


async def test_chat_may_answer_another(stage: Stage) -> None:
    """R15: ``replyTo`` names a message id."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("chat", text="first")
    first = await bob.hears("chat", text="first")
    await bob.says("chat", text="second", replyTo=first["messageId"])
    for person in (bob, ada):
        heard = await person.hears_until("chat", text="second")
        assert heard[-1]["replyTo"] == first["messageId"]


async def test_chat_with_null_where_a_field_is_optional_is_heard(stage: Stage) -> None:
    """R10."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("chat", text="hi", replyTo=None, participantId=None, timestamp=None)
    await bob.hears("chat", text="hi")


async def test_chat_with_the_fewest_fields_is_heard(stage: Stage) -> None:
    """R10: not even the base structure is needed."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.sends(json.dumps({"type": "chat", "text": "hi"}))
    await bob.hears("chat", text="hi", participantId=ada.id)


TEXTS = ["x", "x" * 4000, "two\nlines\t", "<b>&amp;</b>", "😀 é ß 中 \u2028 \u202e", '"\\', "\0", " "]


async def test_chat_text_is_heard_as_it_was_said(stage: Stage) -> None:
    """R15: 1 to 4,000 characters of anything."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for said in TEXTS:
        await ada.says("chat", text=said)
        await bob.hears("chat", text=said)


@pytest.mark.parametrize(
    "text", ["", "x" * 4001, None, 5, ["hi"], {"a": 1}], ids=lambda text: repr(text)[:10]
)
async def test_chat_without_proper_text_is_refused(stage: Stage, text: object) -> None:
    """R15."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("chat", text=text)
    await ada.is_refused("INVALID_MESSAGE", "chat")
    await bob.hears_nothing()


async def test_nothing_crosses_rooms(stage: Stage) -> None:
    """R14: two rooms at once, everything that can be said."""
    ada, bob = await stage.meeting("Ada", "Bob")
    zoe, yves = await stage.meeting("Zoe", "Yves")
    await ada.says("chat", text="ours")
    await ada.says("participant-updated", isMuted=True)
    await ada.says("raise-hand")
    await ada.says("recording-started")
    await ada.says("moderator-action", targetId=zoe.id, action="mute")
    await ada.says("moderator-action", targetId=yves.id, action="kick")
    await ada.says("offer", targetId=yves.id, sdp="x")
    await ada.says("room-locked", roomId=zoe.room)
    await ada.leaves()
    for stranger in (zoe, yves):
        await stranger.hears_nothing()
    await bob.hears("chat", text="ours")
    await stage.newcomer("Xenia", zoe, yves)


# One's own state


async def test_state_change_is_told_whole_to_the_others(stage: Stage) -> None:
    """R16: absent fields stay as they were, and so do null ones (R10)."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    changes: list[tuple[dict[str, object], dict[str, bool]]] = [
        ({"isMuted": True}, {"isMuted": True, "isVideoOff": False, "isHandRaised": False}),
        ({"isVideoOff": True}, {"isMuted": True, "isVideoOff": True, "isHandRaised": False}),
        (
            {"isHandRaised": True, "isMuted": None},
            {"isMuted": True, "isVideoOff": True, "isHandRaised": True},
        ),
        (
            {"isMuted": False, "isVideoOff": False},
            {"isMuted": False, "isVideoOff": False, "isHandRaised": True},
        ),
    ]
    for said, state in changes:
        await bob.says("participant-updated", **said)
        for other in (ada, carl):
            await other.hears(
                "participant-updated",
                participantId=bob.id,
                isModerator=False,
                isHost=False,
                isConnected=True,
                **state,
            )
    await bob.hears_nothing()


async def test_state_change_cannot_claim_a_role(stage: Stage) -> None:
    """R10: ``isModerator`` is never believed, nor is the id of another."""
    ada, bob = await stage.meeting("Ada", "Bob")
    claims = {
        "isModerator": True,
        "isHost": True,
        "isConnected": False,
        "participantId": ada.id,
        "mood": "fine",
    }
    await bob.says("participant-updated", isMuted=True, **claims)
    heard = await ada.hears(
        "participant-updated",
        participantId=bob.id,
        isMuted=True,
        isModerator=False,
        isHost=False,
        isConnected=True,
    )
    assert "mood" not in heard
    await bob.says("room-locked")
    await bob.is_refused("UNAUTHORIZED")


async def test_state_of_a_wrong_type_changes_nothing(stage: Stage) -> None:
    """R27."""
    ada, bob = await stage.meeting("Ada", "Bob")
    values: list[object] = ["yes", 1, [], {}]
    for wrong in values:
        await bob.says("participant-updated", isMuted=wrong, isVideoOff=True)
        await bob.is_refused("INVALID_MESSAGE", "participant-updated")
    await ada.hears_nothing()
    await bob.says("participant-updated", isHandRaised=True)
    await ada.hears("participant-updated", isMuted=False, isVideoOff=False, isHandRaised=True)


async def test_hand_goes_up_and_down(stage: Stage) -> None:
    """R16: the others hear that message, then the state."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    for kind, raised in (("raise-hand", True), ("lower-hand", False)):
        await bob.says(kind, colour="red")
        for other in (ada, carl):
            heard = await other.hears(kind, participantId=bob.id)
            assert "colour" not in heard
            await other.hears("participant-updated", participantId=bob.id, isHandRaised=raised)
    await bob.hears_nothing()


# Leaving


async def test_leaving_is_announced_and_the_connection_stays(stage: Stage) -> None:
    """R17: it may join again, this room or another."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    gone, code = bob.id, bob.room
    await bob.leaves()
    for other in (ada, carl):
        await other.hears("participant-left", participantId=gone)
        await other.hears_nothing()
    await ada.says("chat", text="he is gone")
    await bob.hears_nothing(after=ada)

    await bob.joins(code)
    await bob.leaves()
    await bob.joins(new_code(), isHost=True)


async def test_lost_connection_is_announced_once(stage: Stage) -> None:
    """R17 and the reference: Participant Left; in good order, and without a word."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await bob.hangs_up()
    await ada.hears("participant-left", participantId=bob.id)
    await carl.vanishes()
    await ada.hears("participant-left", participantId=carl.id)
    await ada.hears_nothing()


async def test_who_left_is_in_no_room(stage: Stage) -> None:
    """R27: NOT_IN_ROOM, and the room does not hear it."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await bob.leaves()
    await ada.hears("participant-left")
    await bob.says("chat", text="anyone?", roomId=ada.room)
    await bob.is_refused("NOT_IN_ROOM", "chat")
    await bob.says("leave")
    await bob.is_refused("NOT_IN_ROOM", "leave")
    await ada.hears_nothing()


async def test_everyone_sees_who_comes_and_goes_in_the_same_order(stage: Stage) -> None:
    """R9, R17: joins and leaves pair up."""
    (ada,) = await stage.meeting("Ada")
    guests: list[Person] = []
    for name in ("Bob", "Carl", "Dan"):
        guests.append(await stage.newcomer(name, ada, *guests))
    ids = [guest.id for guest in guests]
    for guest in guests:
        await guest.leaves()
    heard: list[Message] = await ada.hears_until("participant-left", participantId=ids[-1])
    heard += await ada.hears_everything()
    assert [(message["type"], message["participantId"]) for message in heard] == [
        ("participant-left", participant) for participant in ids
    ]


# Recording


async def test_recording_is_announced_to_everyone(stage: Stage) -> None:
    """R18: with who started and who stopped it."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for kind, who in (("recording-started", "startedBy"), ("recording-stopped", "stoppedBy")):
        await ada.says(kind)
        for person in (ada, bob):
            await person.hears(kind, **{who: ada.id})


async def test_running_recording_is_told_to_a_newcomer(stage: Stage) -> None:
    """R18: consent needs to know. A stopped one is not told."""
    (ada,) = await stage.meeting("Ada")
    await ada.says("recording-started")
    await ada.hears("recording-started")
    bob = await stage.newcomer("Bob", ada)
    await bob.hears("recording-started", startedBy=ada.id)
    await bob.hears_nothing()

    await ada.says("recording-stopped")
    for person in (ada, bob):
        await person.hears("recording-stopped", stoppedBy=ada.id)
    carl = await stage.newcomer("Carl", ada, bob)
    await carl.hears_nothing()


@pytest.mark.parametrize("kind", ["recording-started", "recording-stopped"])
async def test_recording_of_a_guest_is_refused(stage: Stage, kind: str) -> None:
    """R18: from a moderator; and what it claims changes nothing."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await bob.says(kind, startedBy=ada.id, stoppedBy=ada.id)
    await bob.is_refused("UNAUTHORIZED", kind)
    await ada.hears_nothing()
