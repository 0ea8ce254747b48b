"""The reference's examples as they are printed there, and the habits of the original browser client.

Such a client knows nothing of what the rules add, and must keep working unchanged for ever.
"""

import asyncio
import json
from typing import Any

import pytest

from .people import Message, Person, new_code
from .stage import Stage

# Client to server, as printed; the code, the ids and the token are put in their places below.
SAID = {
    "leave": '{ "type": "leave", "roomId": "ABC123", "participantId": "your-uuid", "timestamp": 1234567890 }',
    "offer": """{ "type": "offer", "roomId": "ABC123", "participantId": "your-uuid",
        "targetId": "peer-uuid",
        "sdp": "v=0\\r\\no=- ...", "timestamp": 1234567890 }""",
    "answer": """{ "type": "answer", "roomId": "ABC123", "participantId": "your-uuid",
        "targetId": "peer-uuid",
        "sdp": "v=0\\r\\no=- ...", "timestamp": 1234567890 }""",
    "ice-candidate": """{ "type": "ice-candidate", "roomId": "ABC123", "participantId": "your-uuid",
        "targetId": "peer-uuid",
        "candidate": { "candidate": "candidate:...", "sdpMid": "0", "sdpMLineIndex": 0 },
        "timestamp": 1234567890 }""",
    "chat": """{ "type": "chat", "roomId": "ABC123", "participantId": "your-uuid",
        "text": "Hello everyone!", "replyTo": "message-id", "timestamp": 1234567890 }""",
    "participant-updated": """{ "type": "participant-updated", "roomId": "ABC123",
        "participantId": "your-uuid",
        "isMuted": true, "isVideoOff": false, "isHandRaised": false, "timestamp": 1234567890 }""",
    "raise-hand": """{ "type": "raise-hand", "roomId": "ABC123", "participantId": "your-uuid",
        "timestamp": 1234567890 }""",
    "lower-hand": """{ "type": "lower-hand", "roomId": "ABC123", "participantId": "your-uuid",
        "timestamp": 1234567890 }""",
    "moderator-action": """{ "type": "moderator-action", "roomId": "ABC123", "participantId": "your-uuid",
        "targetId": "target-uuid", "action": "mute", "timestamp": 1234567890 }""",
    "room-locked": """{ "type": "room-locked", "roomId": "ABC123", "participantId": "your-uuid",
        "timestamp": 1234567890 }""",
    "room-unlocked": """{ "type": "room-unlocked", "roomId": "ABC123", "participantId": "your-uuid",
        "timestamp": 1234567890 }""",
    "admit-user": """{ "type": "admit-user", "roomId": "ABC123", "participantId": "your-uuid",
        "targetId": "waiting-user-uuid", "timestamp": 1234567890 }""",
    "reject-user": """{ "type": "reject-user", "roomId": "ABC123", "participantId": "your-uuid",
        "targetId": "waiting-user-uuid", "reason": "Room is full", "timestamp": 1234567890 }""",
}
JOIN = """{ "type": "join", "roomId": "ABC123", "participantId": "", "name": "John Doe", "password": "secret",
    "isHost": false, "creatorToken": "550e8400-e29b-41d4-a716-446655440000", "timestamp": 1234567890 }"""
JOIN_OF_THE_EXAMPLE_CLIENT = """{ "type": "join", "roomId": "ABC123", "participantId": "", "name": "John Doe",
    "timestamp": 1234567890 }"""

# The field names of each message of the server in the reference.
HEARD = {
    "participant-joined": "type roomId participantId name isModerator isMuted isVideoOff timestamp",
    "participant-left": "type roomId participantId timestamp",
    "participant-updated": "type roomId participantId isMuted isVideoOff isHandRaised timestamp",
    "waiting-room": "type roomId participantId name timestamp",
    "error": "type roomId participantId message code timestamp",
}


async def says_as_printed(person: Person, kind: str, target: str = "") -> None:
    """The reference's own example, from this person in its room."""
    example = SAID[kind].replace("ABC123", person.room).replace("your-uuid", person.id)
    for placeholder in ("peer-uuid", "target-uuid", "waiting-user-uuid"):
        example = example.replace(placeholder, target)
    await person.sends(example)


def assert_as_printed(*messages: Message) -> None:
    """All the fields of the reference are there; there may be more."""
    for message in messages:
        assert set(HEARD[message["type"]].split()) <= message.keys()


# The examples


async def test_room_of_the_example_is_made_and_joined(stage: Stage) -> None:
    """Create Room and Join Room: code, password, seats; with the token its holder is moderator."""
    code = new_code()
    body = json.loads(
        '{ "roomId": "ABC123", "password": "secret", "maxParticipants": 8}'.replace("ABC123", code)
    )
    room = await stage.room(**body)
    assert set(room) >= {"roomId", "creatorToken"}
    assert room["roomId"] == code

    john = await stage.arrives("John Doe")
    example = JOIN.replace("ABC123", code)
    await john.sends(example.replace("550e8400-e29b-41d4-a716-446655440000", room["creatorToken"]))
    joined = await john.is_let_in()
    assert joined["isModerator"]
    assert_as_printed(joined)


async def test_join_of_the_example_with_somebody_elses_token_is_a_guests(stage: Stage) -> None:
    """Join Room, to the letter: its token belongs to no room here."""
    (ada,) = await stage.meeting("Ada", password="secret")
    john = await stage.arrives("John Doe")
    await john.sends(JOIN.replace("ABC123", ada.room))
    assert not (await john.is_let_in())["isModerator"]
    assert_as_printed(await ada.hears("participant-joined", participantId=john.id, isModerator=False))


async def test_example_client_joins_and_chats(stage: Stage) -> None:
    """Example Client Implementation: a join of five fields, then a chat."""
    (ada,) = await stage.meeting("Ada")
    john = await stage.arrives("John Doe")
    await john.sends(JOIN_OF_THE_EXAMPLE_CLIENT.replace("ABC123", ada.room))
    await john.is_let_in()
    await john.sends(
        json.dumps(
            {
                "type": "chat",
                "roomId": ada.room,
                "participantId": "your-uuid",
                "text": "Hello!",
                "timestamp": 1,
            }
        )
    )
    await ada.hears("participant-joined", name="John Doe")
    await ada.hears("chat", participantId=john.id, text="Hello!")


@pytest.mark.parametrize("kind", ["offer", "answer", "ice-candidate"])
async def test_relay_of_the_example_is_heard(stage: Stage, kind: str) -> None:
    """WebRTC Offer, WebRTC Answer, ICE Candidate."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await says_as_printed(ada, kind, target=bob.id)
    said: dict[str, Any] = json.loads(SAID[kind])
    payload = {name: said[name] for name in ("sdp", "candidate") if name in said}
    await bob.hears(kind, participantId=ada.id, roomId=ada.room, timestamp=1234567890, **payload)


async def test_chat_of_the_example_is_heard(stage: Stage) -> None:
    """Chat Message."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await says_as_printed(ada, "chat")
    for person in (ada, bob):
        await person.hears("chat", participantId=ada.id, text="Hello everyone!", replyTo="message-id")


async def test_states_of_the_examples_are_heard(stage: Stage) -> None:
    """Update Participant State, Raise Hand, Lower Hand."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await says_as_printed(bob, "participant-updated")
    updated = await ada.hears(
        "participant-updated", participantId=bob.id, isMuted=True, isVideoOff=False, isHandRaised=False
    )
    assert_as_printed(updated)
    for kind in ("raise-hand", "lower-hand"):
        await says_as_printed(bob, kind)
        await ada.hears(kind, participantId=bob.id)
        await ada.hears("participant-updated", participantId=bob.id, isHandRaised=kind == "raise-hand")


async def test_moderation_of_the_examples_works(stage: Stage) -> None:
    """Moderator Actions, Lock Room, Admit User, Reject User, Unlock Room, Leave Room."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await says_as_printed(ada, "moderator-action", target=bob.id)
    await ada.hears("participant-updated", participantId=bob.id, isMuted=True)
    await says_as_printed(ada, "room-locked")
    await ada.hears("room-locked")

    carl, dan = await stage.arrives("Carl"), await stage.arrives("Dan")
    for person in (carl, dan):
        assert_as_printed(await person.knocks(ada.room))
        assert_as_printed(await ada.hears("waiting-room", participantId=person.id, name=person.name))
    await says_as_printed(ada, "admit-user", target=carl.id)
    await carl.is_let_in()
    await ada.hears("participant-joined", participantId=carl.id)
    await says_as_printed(ada, "reject-user", target=dan.id)
    await dan.hears("reject-user", reason="Room is full")
    await dan.is_closed_with(4502)
    await ada.hears("participant-left", participantId=dan.id)
    await says_as_printed(ada, "room-unlocked")
    await ada.hears("room-unlocked")

    await says_as_printed(carl, "leave")
    assert_as_printed(await ada.hears("participant-left", participantId=carl.id))


async def test_four_error_codes_of_the_reference(stage: Stage) -> None:
    """Error Codes: ROOM_FULL, INVALID_PASSWORD, ROOM_NOT_FOUND, UNAUTHORIZED."""
    ada, bob = await stage.meeting("Ada", "Bob", password="secret", maxParticipants=2)
    eve = await stage.arrives("Eve")
    await eve.asks_to_join(new_code())
    assert_as_printed(await eve.is_refused("ROOM_NOT_FOUND"))
    await eve.asks_to_join(ada.room, password="wrong")
    assert_as_printed(await eve.is_refused("INVALID_PASSWORD"))
    await eve.asks_to_join(ada.room, password="secret")
    assert_as_printed(await eve.is_refused("ROOM_FULL"))
    await says_as_printed(bob, "room-locked")
    assert_as_printed(await bob.is_refused("UNAUTHORIZED"))


# The original browser client


async def browser_joins(
    person: Person, code: str, *, is_host: bool = False, password: str | None = None
) -> None:
    """Its join: no ``participantId`` yet, ``isHost`` always, and what is undefined left out."""
    fields = {"password": password} if password else {}
    await person.asks_to_join(code, participantId="", isHost=is_host, **fields)


async def test_browser_takes_the_first_joined_as_its_own(stage: Stage) -> None:
    """R9: also where others are there already, and after it has waited."""
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await browser_joins(ada, new_code(), is_host=True)
    await ada.is_let_in()
    await browser_joins(bob, ada.room)
    assert (await bob.hears("participant-joined"))["name"] == "Bob"


async def test_browser_asks_for_the_password_only_when_told_to(stage: Stage) -> None:
    """Told INVALID_PASSWORD, it asks its user, and joins again on the same connection."""
    (ada,) = await stage.meeting("Ada", password="secret")
    bob = await stage.arrives("Bob")
    await browser_joins(bob, ada.room)
    await bob.is_refused("INVALID_PASSWORD")
    await browser_joins(bob, ada.room, password="secret")
    await bob.is_let_in()
    await ada.hears("participant-joined", participantId=bob.id)


async def test_browser_says_who_locked_the_room(stage: Stage) -> None:
    """It adds ``lockedBy`` and ``unlockedBy``, and sends its whole id with everything."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for kind, who in (("room-locked", "lockedBy"), ("room-unlocked", "unlockedBy")):
        await ada.says(kind, **{who: ada.id})
        for person in (ada, bob):
            await person.hears(kind, **{who: ada.id})


async def test_browser_negotiates_with_everyone_who_was_there(stage: Stage) -> None:
    """A meeting of three: the newcomer hears of the others and is called by each."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    for caller in (ada, bob):
        await caller.says("offer", targetId=carl.id, sdp=f"offer of {caller.name}")
        await carl.hears("offer", participantId=caller.id, sdp=f"offer of {caller.name}")
        await carl.says("answer", targetId=caller.id, sdp=f"answer to {caller.name}")
        await caller.hears("answer", participantId=carl.id, sdp=f"answer to {caller.name}")
        for number in range(3):
            await caller.says(
                "ice-candidate", targetId=carl.id, candidate={"candidate": f"candidate:{number}"}
            )
            await carl.hears("ice-candidate", candidate={"candidate": f"candidate:{number}"})
    for person in (ada, bob, carl):
        await person.hears_nothing()


async def test_browser_sends_a_file_and_changes_quality(stage: Stage) -> None:
    """R14: what it says besides the reference."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("file-offer", targetId=bob.id, fileName="a.txt", fileSize=5, fileType="text/plain")
    await bob.hears("file-offer", participantId=ada.id, fileName="a.txt", fileSize=5, fileType="text/plain")
    await bob.says("file-answer", targetId=ada.id, accepted=True)
    await ada.hears("file-answer", participantId=bob.id, accepted=True)
    for index in range(3):
        await ada.says("file-chunk", targetId=bob.id, chunk="aGVsbG8=", index=index, total=3)
        await bob.hears("file-chunk", participantId=ada.id, chunk="aGVsbG8=", index=index, total=3)
    for quality in ("high", "medium", "low"):
        await bob.says("quality-change", targetId=ada.id, quality=quality)
        await ada.hears("quality-change", participantId=bob.id, quality=quality)


async def test_browser_that_was_kicked_comes_back_to_wait(stage: Stage) -> None:
    """R24: it reconnects at once with the same join, because it knows nothing of close codes."""
    (ada,) = await stage.meeting("Ada")
    address = stage.address()
    bob = await stage.arrives("Bob", address=address)
    await browser_joins(bob, ada.room)
    await bob.is_let_in()
    await ada.hears("participant-joined", participantId=bob.id)
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    await ada.hears("participant-left", participantId=bob.id)

    again = await stage.arrives("Bob", address=address)
    await browser_joins(again, ada.room)
    await again.hears("waiting-room", name="Bob")
    await ada.hears("waiting-room", name="Bob")


async def test_browser_whose_connection_was_lost_comes_back(stage: Stage) -> None:
    """Its join says again that it is host, of a room that is still there."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.vanishes()
    await bob.hears("participant-left", participantId=ada.id)
    again = await stage.arrives("Ada")
    await browser_joins(again, bob.room, is_host=True)
    assert not (await again.is_let_in())["isHost"]
    await again.hears("participant-joined", participantId=bob.id, isHost=True)


async def test_browser_alone_whose_connection_was_lost_comes_back_as_host(stage: Stage) -> None:
    """R4: its room lingered."""
    (ada,) = await stage.meeting("Ada", password="secret")
    await ada.vanishes()
    await stage.successor("Ada", ada, isHost=True, password="secret")


async def test_ten_meetings_at_once_go_their_own_ways(stage: Stage) -> None:
    """Ten rooms of three, all talking at the same time."""

    async def meeting(number: int) -> None:
        people = await stage.meeting("Ada", "Bob", "Carl")
        for person in people:
            await person.says("chat", text=f"{person.name} in {number}")
            for listener in people:
                await listener.hears("chat", participantId=person.id, text=f"{person.name} in {number}")

    await asyncio.gather(*(meeting(number) for number in range(10)))
