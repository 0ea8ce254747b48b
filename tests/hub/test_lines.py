"""What the hub writes for its operator: one line per thing that happened, and nothing of what was said."""

import json
import logging

import pytest

from mikroroom.logs import JsonFormatter, Line, TextFormatter

from .cast import CODE, House, Person
from .conftest import HouseWith


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    """Look at every record, however unimportant."""
    caplog.set_level(logging.DEBUG)


def lines(caplog: pytest.LogCaptureFixture, *events: str) -> list[dict[str, object]]:
    """The lines about these events, in order, as their fields."""
    told = [record.msg for record in caplog.records if isinstance(record.msg, Line)]
    return [{"event": line.event, **line.fields} for line in told if line.event in events]


async def test_coming_and_going_is_a_line_each(house: House, caplog: pytest.LogCaptureFixture) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    bob.says("leave")
    ada.is_lost()
    assert lines(caplog, "joined", "left", "waiting") == [
        {"event": "joined", "room": CODE, "participant": ada.id, "address": "192.0.2.1"},
        {"event": "joined", "room": CODE, "participant": bob.id, "address": "192.0.2.2"},
        {"event": "left", "room": CODE, "participant": bob.id, "address": "192.0.2.2"},
        {"event": "left", "room": CODE, "participant": ada.id, "address": "192.0.2.1"},
    ]


async def test_waiting_and_being_admitted_is_a_line_each(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    (ada,) = house.meeting("Ada")
    ada.says("room-locked")
    bob = house.arrives("Bob")
    bob.joins()
    bob_id = str(bob.session.id)
    ada.says("admit-user", targetId=bob_id)
    told = [(line["event"], line["participant"]) for line in lines(caplog, "joined", "left", "waiting")]
    assert told == [("joined", ada.id), ("waiting", bob_id), ("joined", bob_id)]


async def test_a_kick_is_a_close_and_a_leave(house: House, caplog: pytest.LogCaptureFixture) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    ada.says("moderator-action", targetId=bob.id, action="kick")
    told = [
        (line["event"], line.get("code"), line["participant"]) for line in lines(caplog, "closed", "left")
    ]
    assert told == [("closed", 4501, bob.id), ("left", None, bob.id)]


async def test_a_refusal_is_a_line_with_its_code(house: House, caplog: pytest.LogCaptureFixture) -> None:
    bob = house.arrives("Bob")
    bob.joins("ZZZZZZ")
    house.clock.passes(1_000)
    bob.sends("nonsense")
    refused, address = {"event": "refused"}, {"address": "192.0.2.1"}
    assert lines(caplog, "refused") == [
        {**refused, "code": "ROOM_NOT_FOUND", "request": "join", "room": "ZZZZZZ", **address},
        {**refused, "code": "INVALID_MESSAGE", **address},
    ]


async def test_a_join_that_is_refused_after_a_wait_names_its_room(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = house.arrives("Ada"), house.arrives("Bob")
    ada.joins(isHost=True, password="secret")
    await house.settles()
    bob.joins(password="wrong")
    await house.settles()
    told = [(line["code"], line["room"]) for line in lines(caplog, "refused")]
    assert told == [("INVALID_PASSWORD", CODE)]


async def test_what_a_moderator_does_is_a_line_with_who_and_whom(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    ada.says("room-locked")
    eve, mallory = house.arrives("Eve"), house.arrives("Mallory")
    for waiting in (eve, mallory):
        waiting.joins()
        waiting.id = str(waiting.session.id)
    ada.says("admit-user", targetId=eve.id)
    ada.says("reject-user", targetId=mallory.id, reason="no")
    for action in ("mute", "unmute", "make-moderator", "kick"):
        ada.says("moderator-action", targetId=bob.id, action=action)
    ada.says("recording-started")
    ada.says("recording-stopped")
    ada.says("room-unlocked")
    ada.says("delete-message", messageId=f"1-{bob.id}")
    told = lines(caplog, "moderated")
    assert {(line["room"], line["participant"]) for line in told} == {(CODE, ada.id)}
    assert [(line["action"], line.get("target")) for line in told] == [
        ("room-locked", None),
        ("admit-user", eve.id),
        ("reject-user", mallory.id),
        ("mute", bob.id),
        ("unmute", bob.id),
        ("make-moderator", bob.id),
        ("kick", bob.id),
        ("recording-started", None),
        ("recording-stopped", None),
        ("room-unlocked", None),
        ("delete-message", bob.id),
    ]


async def test_what_was_not_done_is_no_moderation(house: House, caplog: pytest.LogCaptureFixture) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    bob.says("room-locked")
    bob.says("raise-hand")
    bob.says("delete-message", messageId=f"1-{bob.id}")
    ada.says("moderator-action", targetId=ada.id, action="kick")
    assert lines(caplog, "moderated") == []
    assert [line["participant"] for line in lines(caplog, "refused")] == [bob.id, ada.id]


async def test_one_person_is_followed_through_by_its_id(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """As an operator does: all lines of the room in which the id stands, as one who did or as a target."""
    (ada,) = house.meeting("Ada")
    ada.says("room-locked")
    bob = house.arrives("Bob")
    bob.joins(resume=True)
    bob.id = str(bob.session.id)
    bob.hears()
    ada.says("admit-user", targetId=bob.id)
    bob.hears()
    bob.is_lost()
    again = house.comes_back(bob)
    again.says("room-locked")
    again.tape.is_full = True
    ada.says("chat", text="x")
    await house.settles()
    ada.says("moderator-action", targetId=bob.id, action="kick")
    written = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    his = [line for line in written if bob.id in (line.get("participant"), line.get("target"))]
    assert {line["room"] for line in his} == {CODE}
    assert [line["event"] for line in his] == [
        "waiting",
        "joined",
        "moderated",
        "suspended",
        "resumed",
        "refused",
        "slow-reader",
        "closed",
        "suspended",
        "left",
        "moderated",
    ]


async def test_refusals_are_one_line_a_second_that_counts_the_rest(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    bob = house.arrives("Bob")
    for _ in range(100):
        bob.sends("nonsense")
    house.clock.passes(1_000)
    bob.sends("nonsense")
    house.clock.passes(1_000)
    bob.sends("nonsense")
    assert [line.get("more_before") for line in lines(caplog, "refused")] == [None, 99, None]


async def test_a_slow_reader_is_a_warning(house: House, caplog: pytest.LogCaptureFixture) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    bob.tape.is_full = True
    ada.says("chat", text="x")
    ada.says("chat", text="y")
    await house.settles()
    assert [line["participant"] for line in lines(caplog, "slow-reader")] == [bob.id]


# What is never in a log

SECRETS = {
    "name": "Ada Lovelace-King",
    "another name": "Bartholomäus",
    "password": "correct horse battery staple",
    "wrong password": "hunter22",
    "wrong token": "5eced5ec-ed5e-4ced-8ece-d5eced5eced5",
    "text": "the launch is on tuesday",
    "sdp": "v=0 o=- 46117317 2 IN IP4 10.77.66.55",
    "candidate": "candidate:842163049 1 udp 10.77.66.55",
    "file name": "salaries-2026.xlsx",
    "reason": "we are talking about you",
    "garbage": "unspeakable-type",
}


async def play(house: House) -> None:
    """A meeting in which everything secret is said, in right ways and in wrong ones."""
    ada, bob = house.arrives(SECRETS["name"]), house.arrives(SECRETS["another name"])
    ada.joins(isHost=True, password=SECRETS["password"])
    await house.settles()
    joined = ada.hears()[0]
    ada.id = joined["participantId"]
    SECRETS["token"] = joined["creatorToken"]
    for fields in (
        {"password": SECRETS["wrong password"]},
        {"password": SECRETS["password"], "name": SECRETS["another name"] + "\x00"},
        {"password": [SECRETS["password"]]},
        {"password": SECRETS["password"], "creatorToken": SECRETS["wrong token"]},
    ):
        bob.joins(**fields)
        await house.settles()
    bob.id = str(bob.session.id)
    talk(ada, bob)
    talk(house.arrives("Stranger"), ada)
    moderate(house, ada, bob)
    await house.settles()
    creator = house.arrives(SECRETS["another name"])
    creator.joins(password=SECRETS["password"], creatorToken=SECRETS["token"])
    await house.settles()
    creator.tape.is_full = True
    talk(ada, creator)
    await house.settles()
    ada.says("leave")


def talk(speaker: Person, target: Person) -> None:
    for to in (target.id, "nobody", SECRETS["token"]):
        speaker.says("offer", targetId=to, sdp=SECRETS["sdp"])
        speaker.says("answer", targetId=to, sdp=SECRETS["sdp"])
        speaker.says("ice-candidate", targetId=to, candidate={"candidate": SECRETS["candidate"]})
        speaker.says("file-offer", targetId=to, fileName=SECRETS["file name"], fileSize=1, fileType="x")
        speaker.says("file-chunk", targetId=to, chunk=SECRETS["text"], index=0, total=1)
    speaker.says("chat", text=SECRETS["text"])
    speaker.says("chat", text={"text": SECRETS["text"]})
    speaker.says(SECRETS["garbage"], text=SECRETS["text"])
    speaker.sends(SECRETS["text"])
    speaker.sends(json.dumps([SECRETS["sdp"]]))


def moderate(house: House, ada: Person, bob: Person) -> None:
    ada.says("room-locked")
    waiting = house.arrives(SECRETS["name"])
    waiting.joins(password=SECRETS["password"])
    bob.says("reject-user", targetId="x", reason=SECRETS["reason"])
    ada.says("reject-user", targetId=str(waiting.session.id), reason=SECRETS["reason"])
    ada.says("moderator-action", targetId=bob.id, action=SECRETS["text"])
    ada.says("room-unlocked")
    ada.says("moderator-action", targetId=bob.id, action="kick")


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_that_was_said_is_in_any_line(
    house_with: HouseWith, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    house = house_with(guesses_per_minute=0)
    if fails:
        # Every relay and chat ends in a fault of ours, with the message in the hands of who failed.
        def fault(*_: object) -> bytes:
            raise ZeroDivisionError

        monkeypatch.setattr("mikroroom.hub.hub.to_event", fault)
    # One line a second is all that is written of refusals: let every refusal have its second.
    monkeypatch.setattr("mikroroom.hub.session.LOG_REFUSALS_EVERY", 0)
    await play(house)
    await house.everyone_goes()

    written = ""
    for record in caplog.records:
        written += TextFormatter().format(record) + JsonFormatter().format(record) + repr(record.__dict__)
    assert "refused" in written and "joined" in written and "closed" in written
    leaked = [what for what, secret in SECRETS.items() if secret in written or json.dumps(secret) in written]
    assert leaked == []
    assert ("failed" in written) is fails
