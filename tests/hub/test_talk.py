"""Talk: to one (R14), to all (R15), stamped (R10) and encoded once."""

import json
from collections import Counter

import pytest

from mikroroom.hub import chat as chats
from mikroroom.hub import hub as hubs
from mikroroom.protocol import codec, events

from .cast import NOON, House
from .conftest import HouseWith


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often which type of message was encoded by the hub."""
    counts: Counter[str] = Counter()

    frame = codec.frame

    def count(message: events.Message) -> codec.Frame:
        counts[codec.TYPE_OF[type(message)]] += 1
        return frame(message)

    for module in (codec, hubs, chats):
        monkeypatch.setattr(module, "frame", count)
    return counts


async def test_a_message_to_many_is_encoded_once(house: House, encoded: Counter[str]) -> None:
    people = house.meeting("Ada", "Bob", "Cleo", "Dora", "Egon", "Fay")
    encoded.clear()
    people[0].says("chat", text="hello")
    people[0].says("room-locked")
    people[0].says("raise-hand")
    assert encoded == {"chat": 1, "room-locked": 1, "raise-hand": 1, "participant-updated": 1}
    assert len({person.tape.frames[-1] for person in people[1:]}) == 1


async def test_a_newcomer_costs_no_more_encodings_than_there_are_people(
    house: House, encoded: Counter[str]
) -> None:
    house.meeting("Ada", "Bob", "Cleo", "Dora")
    encoded.clear()
    egon = house.arrives("Egon")
    egon.joins()
    # Its own, one for each of the four there, and one that they share.
    assert encoded == {"participant-joined": 6}


async def test_one_senders_chat_stamps_strictly_increase(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    ada.says("chat", text="now")
    ada.says("chat", text="in the same millisecond")
    house.wall.passes(-3_600_000)
    ada.says("chat", text="somebody set the clock back")
    house.wall.passes(3_600_000 + 50)
    ada.says("chat", text="and forward again")
    bob.says("chat", text="my own count")
    heard = bob.hears()
    assert [message["timestamp"] for message in heard] == [NOON, NOON + 1, NOON + 2, NOON + 50, NOON + 50]
    for message in heard:
        assert message["messageId"] == f"{message['timestamp']}-{message['participantId']}"
    assert ada.hears() == heard


async def test_a_relay_keeps_its_senders_timestamp(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    house.wall.passes(5)
    ada.says("offer", targetId=bob.id, sdp="v=0", timestamp=12)
    ada.says("answer", targetId=bob.id, sdp="v=0", timestamp=12.5)
    ada.says("ice-candidate", targetId=bob.id, candidate=None)
    ada.says("ice-candidate", targetId=bob.id, candidate={}, timestamp=None)
    assert [message["timestamp"] for message in bob.hears()] == [12, 12.5, NOON + 5, NOON + 5]


async def test_anything_else_carries_the_servers_time(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    house.wall.passes(77)
    ada.says("raise-hand", timestamp=1)
    ada.says("nonsense", timestamp=1)
    assert {message["timestamp"] for message in ada.hears() + bob.hears()} == {NOON + 77}


async def test_a_relay_is_byte_exact_and_from_who_sent_it(house: House) -> None:
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo")
    sdp = '"v=0\\r\\n\\u00e9 é \\/ \\ud83d\\ude00 😀"'
    ada.sends(
        f'{{"type": "offer", "targetId": "{bob.id}", "sdp": {sdp}, "participantId": "{cleo.id}", "mood": 1}}'
    )
    frame = bob.tape.frames[-1].decode()
    assert f'"sdp":{sdp}' in frame
    message = json.loads(frame)
    assert (message["participantId"], message["targetId"]) == (ada.id, bob.id)
    assert "mood" not in message
    assert cleo.hears() == []


async def test_talk_reaches_nobody_outside_the_room(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    eve, mallory = house.meeting("Eve", "Mallory", code="EVE666")
    waiting = house.arrives("Wanda")
    ada.says("room-locked")
    waiting.joins()
    house.nobody_listens()
    waiting_id = waiting.session.id

    eve.says("offer", targetId=ada.id, sdp="v=0", roomId="ABC234")
    ada.says("offer", targetId=str(waiting_id), sdp="v=0")
    ada.says("offer", targetId=eve.id, sdp="v=0")
    assert eve.hears_types() == ["TARGET_NOT_FOUND"]
    assert ada.hears_types() == ["TARGET_NOT_FOUND", "TARGET_NOT_FOUND"]
    eve.says("chat", text="hello", roomId="ABC234")
    ada.says("chat", text="hello")
    assert (len(eve.hears()), len(mallory.hears()), len(ada.hears()), len(bob.hears())) == (1, 1, 1, 1)
    assert waiting.hears() == []


async def test_talk_after_leaving_is_refused(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    bob.says("leave")
    ada.says("offer", targetId=bob.id, sdp="v=0")
    bob.says("chat", text="hello?")
    bob.says("offer", targetId=ada.id, sdp="v=0")
    bob.says("leave")
    assert bob.hears_types() == ["NOT_IN_ROOM"] * 3
    assert ada.hears_types() == ["participant-left", "TARGET_NOT_FOUND"]


async def test_whoever_comes_back_on_the_same_connection_is_someone_new(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    bob.says("leave")
    bob.joins()
    assert bob.session.id not in {None, bob.id}
    house.nobody_listens()
    bob.says("chat", text="back again")
    assert [message["participantId"] for message in ada.hears()] == [bob.session.id]


async def test_peak_and_count_follow_who_is_in_a_room(house_with: HouseWith) -> None:
    house = house_with()
    ada, bob = house.meeting("Ada", "Bob")
    house.meeting("Eve", code="EVE666")
    ada.says("room-locked")
    waiting = house.arrives("Wanda")
    waiting.joins()
    assert (house.hub.roster.participants, house.hub.roster.peak_participants, house.active_rooms()) == (
        3,
        3,
        2,
    )
    bob.says("leave")
    ada.is_lost()
    await house.settles()
    assert (house.hub.roster.participants, house.hub.roster.peak_participants, house.active_rooms()) == (
        1,
        3,
        1,
    )
