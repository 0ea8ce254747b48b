"""What one hears who may come back: numbered, kept, told again or told anew (R40 to R47)."""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable

import pytest

from mikroroom.core.effects import Effects
from mikroroom.core.resume import lapse
from mikroroom.core.room import Policy, Room
from mikroroom.hub.limits import RETURNS_PER_MINUTE
from mikroroom.hub.mailbox import Capacity, Mailbox
from mikroroom.protocol import events
from mikroroom.protocol.codec import frame
from mikroroom.protocol.codes import CloseCode
from mikroroom.stores import memory
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Kept, Step, Verb

from .cast import CODE, POLICY, Clock, House, Message, Person
from .conftest import HouseWith

WINDOW = 30_000
RESUMING = {"resumeToken", "resumeWindow", "resumed", "replayed", "lastClientSeq", "seq"}


def seqs(messages: list[Message]) -> list[int]:
    return [message["seq"] for message in messages]


def types(messages: list[Message]) -> list[str]:
    return [str(message.get("code", message["type"])) for message in messages]


def texts(messages: Iterable[Message]) -> list[str]:
    return [message["text"] for message in messages if message["type"] == "chat"]


def bare(messages: list[Message]) -> list[Message]:
    """The same without what is different for each who hears it, or changes with the time."""
    return [
        {name: value for name, value in message.items() if name not in {"seq", "timestamp"}}
        for message in messages
    ]


async def lost(house: House, person: Person) -> None:
    person.is_lost()
    await house.settles()


async def waiting(house: House, name: str = "Wanda", **fields: object) -> Person:
    person = house.arrives(name)
    person.joins(resume=True, **fields)
    assert person.session.id
    person.id = person.session.id
    return person


class Far(MemoryStore):
    """A store whose every answer has to be waited for, for so many turns of the loop."""

    def __init__(self, turns: int = 3) -> None:
        super().__init__(max_rooms=100, max_latent_rooms=10, policy=POLICY, clock=Clock())
        self.turns = turns

    def create(self, room: Room, effects: Effects) -> Step:
        return self._later(lambda: super(Far, self).create(room, effects), self.turns)

    def transact(self, code: str, verb: Verb) -> Step:
        return self._later(lambda: super(Far, self).transact(code, verb), self.turns)

    async def _later(self, act: Callable[[], object], turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        act()


def far_house(house_with: HouseWith) -> tuple[House, Far]:
    store = Far()
    house = house_with(store)
    store._clock = house.clock
    return house, store


async def far_meeting(house: House, *names: str) -> list[Person]:
    people = [house.arrives(name) for name in names]
    for person in people:
        person.joins(isHost=True, resume=True)
        await house.settles()
        person.id = str(person.session.id)
    house.nobody_listens()
    return people


# Numbers of the server (R40)


async def test_everything_that_a_resumable_one_hears_is_numbered_errors_included(house: House) -> None:
    ada, bob = house.arrives("Ada"), house.arrives("Bob")
    ada.joins(isHost=True, resume=True)
    bob.joins()
    ada.says("room-locked")
    ada.sends("nonsense")
    ada.says("chat", text="hello")
    ada.says("offer", targetId="nobody", sdp="v=0")
    bob.says("offer", targetId=str(ada.session.id), sdp="v=0")
    heard = ada.hears()
    assert seqs(heard) == list(range(1, len(heard) + 1))
    assert types(heard) == [
        "participant-joined",
        "participant-joined",
        "room-locked",
        "INVALID_MESSAGE",
        "chat",
        "TARGET_NOT_FOUND",
        "offer",
    ]
    assert (heard[0]["resumeWindow"], heard[0].keys() & {"resumed", "replayed", "lastClientSeq"}) == (
        30,
        set(),
    )
    assert len(heard[0]["resumeToken"]) >= 32
    assert all(message.keys().isdisjoint(RESUMING) for message in bob.hears())


async def test_a_newcomers_own_message_is_number_one_whatever_was_refused_before(
    house_with: HouseWith,
) -> None:
    """What is refused before one is in concerns nobody who could come back."""
    house = house_with(message_burst=3, messages_per_second=1)
    host = house.arrives("Host")
    host.joins(isHost=True, password="sesame")
    await house.settles()
    ada = house.arrives("Ada")
    ada.joins("ZZZZZZ", resume=True)
    house.hashing.stops()
    ada.joins(password="sesame", resume=True)
    for _ in range(3):
        ada.says("raise-hand")
    assert [(message["code"], "seq" in message) for message in ada.hears()] == [
        ("ROOM_NOT_FOUND", False),
        ("RATE_LIMITED", False),
    ]
    house.hashing.goes_on()
    await house.settles()
    assert [(message["type"], message["seq"]) for message in ada.hears()] == [
        ("participant-joined", 1),
        ("participant-joined", 2),
    ]


async def test_a_join_that_is_refused_leaves_no_numbers_behind(house: House) -> None:
    house.meeting("Host")
    ada = house.arrives("Ada")
    ada.joins("ZZZZZZ", resume=True)
    ada.says("chat", text="hello?")
    assert types(ada.hears()) == ["ROOM_NOT_FOUND", "NOT_IN_ROOM"]
    assert "seq" not in ada.tape.frames[-1].decode()
    ada.joins(resume=True)
    assert seqs(ada.hears()) == [1, 2]


async def test_whoever_has_left_is_told_without_numbers_and_may_begin_anew(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.says("leave")
    bob.says("leave")
    (refusal,) = bob.hears()
    assert "seq" not in refusal
    bob.joins()
    assert all(message.keys().isdisjoint(RESUMING) for message in bob.hears())
    bob.says("leave")
    bob.joins(resume=True, clientSeq=9)
    assert seqs(bob.hears()) == [1, 2]
    bob.says("chat", text="nine again", clientSeq=9)
    bob.says("chat", text="ten", clientSeq=10)
    assert texts(ada.hears()) == ["ten"]


async def test_whoever_does_not_ask_sees_what_it_always_saw(house: House) -> None:
    """Among others who may come back, go and come: no new field anywhere."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    cleo = house.arrives("Cleo")
    cleo.joins(resume=None, clientSeq=1, lastSeq=5, restart=True)
    cleo.says("chat", text="one", clientSeq=2)
    cleo.says("chat", text="two", clientSeq=2)
    await lost(house, bob)
    bob = house.comes_back(bob)
    house.comes_back(bob, restart=True)
    cleo.sends("nonsense")
    heard = cleo.hears()
    assert types(heard) == [
        *["participant-joined"] * 3,
        *["chat"] * 2,
        *["participant-updated"] * 2,
        *["participant-left", "participant-joined"],
        "INVALID_MESSAGE",
    ]
    assert all(message.keys().isdisjoint(RESUMING) for message in heard)
    assert ada.session.mailbox and cleo.session.mailbox is None


async def test_a_window_of_zero_turns_it_off(house_with: HouseWith) -> None:
    house = house_with(resume_window=0)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.says("chat", text="hello")
    assert all(message.keys().isdisjoint(RESUMING) for message in ada.hears())
    await lost(house, bob)
    assert ada.hears_types() == ["participant-left"]
    again = house.comes_back(bob, resumeToken="any")
    assert again.hears_types() == ["RESUME_FAILED"]


# What was missed (R41, R42, R44)


async def test_what_was_said_meanwhile_follows_with_its_numbers(house: House) -> None:
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo", resume=True)
    last, undisturbed = bob.last_seq, cleo.last_seq
    await lost(house, bob)
    assert ada.hears_types() == ["participant-updated"]
    sdp = '"v=0\\r\\n\\u00e9 é"'
    ada.says("chat", text="one")
    ada.sends(f'{{"type":"offer","targetId":"{bob.id}","sdp":{sdp},"timestamp":7.5}}')
    ada.says("room-locked")
    cleo.says("raise-hand")
    ada.says("moderator-action", targetId=bob.id, action="mute")
    assert "TARGET_NOT_FOUND" not in ada.hears_types()

    again = house.comes_back(bob)
    own, *missed = again.hears()
    assert (own["type"], own["participantId"], own["seq"]) == ("participant-joined", bob.id, last)
    assert (own["resumed"], own["replayed"], own["lastClientSeq"]) == (True, True, 0)
    assert own["resumeToken"] != bob.token and own["resumeWindow"] == 30
    assert (own["isConnected"], own["isMuted"]) == (True, True)
    assert types(missed) == [
        "chat",
        "offer",
        "room-locked",
        "raise-hand",
        "participant-updated",
        "moderator-action",
        "participant-updated",
    ]
    assert seqs(missed) == list(range(last + 1, last + 8))
    assert f'"sdp":{sdp}'.encode() in again.tape.frames[2]
    assert missed[1]["timestamp"] == 7.5
    everyone = [message for message in bare(cleo.hears()) if message.get("isConnected", True)]
    assert [message for message in bare(missed) if message["type"] in {"chat", "room-locked"}] == [
        message for message in everyone if message["type"] in {"chat", "room-locked"}
    ]
    assert undisturbed < cleo.last_seq

    ada.says("chat", text="two")
    assert [(message["text"], message["seq"]) for message in again.hears()] == [("two", last + 8)]


async def test_nothing_missed_is_nothing_told_again(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    ada.hears()
    again = house.comes_back(bob)
    (own,) = again.hears()
    assert (own["replayed"], own["seq"]) == (True, bob.last_seq)
    assert [(m["type"], m["participantId"], m["isConnected"]) for m in ada.hears()] == [
        ("participant-updated", bob.id, True)
    ]


async def test_what_was_lost_in_flight_before_the_loss_follows_too(house: House) -> None:
    """R44: what is sent is kept, connected or not."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    for text in ("one", "two", "three"):
        ada.says("chat", text=text)
    assert texts(json.loads(frame) for frame in bob.tape.frames[-3:]) == ["one", "two", "three"]
    await lost(house, bob)  # and none of it has arrived
    assert texts(house.comes_back(bob).hears()) == ["one", "two", "three"]


async def test_errors_that_were_lost_in_flight_follow_too(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.sends("nonsense")
    bob.says("room-locked")
    await lost(house, bob)
    assert types(house.comes_back(bob).hears()[1:]) == ["INVALID_MESSAGE", "UNAUTHORIZED"]
    assert ada.hears_types() == ["participant-updated"] * 2


async def test_one_may_come_back_from_any_number_that_is_held(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    for number in range(5):
        ada.says("chat", text=f"{number}")
    bob.hears()
    for back in range(6):
        heard = house.comes_back(bob, lastSeq=bob.last_seq - back).hears()
        assert heard[0]["replayed"] and heard[0]["seq"] == bob.last_seq - back
        assert texts(heard) == [f"{number}" for number in range(5 - back, 5)]


@pytest.mark.parametrize("beyond", [0, 1])
async def test_as_many_messages_are_kept_as_may_be(house_with: HouseWith, beyond: int) -> None:
    """R44: one more than that, and there is a gap, which is told."""
    house = house_with(resume_messages=10)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    last = bob.last_seq
    await lost(house, bob)
    for number in range(10 + beyond):
        ada.says("chat", text=f"{number}")
    again = house.comes_back(bob)
    own, *rest = again.hears()
    assert own["replayed"] is not bool(beyond)
    if beyond:
        assert (own["seq"], types(rest), seqs(rest)) == (last + 12, ["participant-joined"], [last + 13])
    else:
        assert (own["seq"], texts(rest)) == (last, [f"{number}" for number in range(10)])


@pytest.mark.parametrize("beyond", [0, 1])
async def test_as_many_bytes_are_kept_as_may_be(house_with: HouseWith, beyond: int) -> None:
    """R44: of JSON, whatever the number is in it."""
    sizes = house_with()
    ada, bob = sizes.meeting("Ada", "Bob")
    ada.says("chat", text="x" * 100)
    size = len(bob.tape.frames[-1])
    house = house_with(resume_bytes=5 * size)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    for number in range(5):
        ada.says("chat", text="x" * (100 + (beyond if number == 4 else 0)))
    own, *rest = house.comes_back(bob).hears()
    assert own["replayed"] is not bool(beyond)
    assert len(texts(rest)) == (0 if beyond else 5)


async def test_a_message_larger_than_all_that_is_kept_is_a_gap(house_with: HouseWith) -> None:
    house = house_with(resume_bytes=1_000)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    ada.says("chat", text="x" * 2_000)
    own, *_ = house.comes_back(bob).hears()
    assert own["replayed"] is False
    mailbox = house.hub.roster._people[bob.id]
    assert getattr(mailbox, "_size") <= 1_000  # noqa: B009 - it is known to be a mailbox


async def test_nothing_kept_at_all_is_a_snapshot_or_nothing_missed(house_with: HouseWith) -> None:
    house = house_with(resume_messages=0)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    again = house.comes_back(bob)
    assert again.hears()[0]["replayed"] is True
    ada.says("chat", text="one")
    assert house.comes_back(bob).hears()[0]["replayed"] is False


async def test_a_gap_is_told_and_all_there_is_follows(house_with: HouseWith) -> None:
    """R42: lock, recordings and the waiting room included, and what is said after it has the next numbers."""
    house = house_with(resume_messages=4)
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo", resume=True)
    ada.says("moderator-action", targetId=bob.id, action="make-moderator")
    bob.hears()
    last = bob.last_seq
    await lost(house, bob)
    ada.says("room-locked")
    ada.says("recording-started")
    cleo.says("participant-updated", isMuted=True)
    wanda = house.arrives("Wanda")
    wanda.joins()
    await lost(house, cleo)
    again = house.comes_back(bob)
    own, *rest = again.hears()
    assert (own["resumed"], own["replayed"], own["isModerator"]) == (True, False, True)
    assert types(rest) == [
        "participant-joined",
        "participant-joined",
        "room-locked",
        "recording-started",
        "waiting-room",
    ]
    assert [(m["participantId"], m["isConnected"], m["isMuted"]) for m in rest[:2]] == [
        (ada.id, True, False),
        (cleo.id, False, True),
    ]
    assert rest[-1]["participantId"] == wanda.session.id
    assert own["seq"] > last + 4
    assert seqs(rest) == [own["seq"] + 1 + place for place in range(5)]
    assert len({message["timestamp"] for message in (own, *rest)}) == 1 and own["timestamp"]
    ada.says("chat", text="welcome")
    assert seqs(again.hears()) == [own["seq"] + 6]
    await lost(house, again)
    assert house.comes_back(again).hears()[0]["replayed"] is True


@pytest.mark.parametrize("last_seq", [None, 2**52, -0])
async def test_a_number_that_was_never_reached_is_a_gap_and_counting_goes_on_from_it(
    house: House, last_seq: int | None
) -> None:
    """R42: no number is ever given twice, to a client that knows better either."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    again = house.comes_back(bob, lastSeq=last_seq)
    own, *rest = again.hears()
    assert own["replayed"] is not bool(last_seq)
    assert own["seq"] == (last_seq + 1 if last_seq else 0)
    assert seqs(rest) == [own["seq"] + 1 + place for place in range(len(rest))]
    assert types(rest) == ["participant-joined"] * (1 if last_seq else 2)
    assert rest[-1]["participantId"] == ada.id


# Connections that are half open (R43)


async def test_a_connection_that_is_half_dead_is_replaced(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.says("chat", text="one")  # never arrives
    again = house.comes_back(bob)
    assert bob.closed == CloseCode.REPLACED
    assert texts(again.hears()) == ["one"]
    assert [(m["type"], m.get("isConnected")) for m in ada.hears()] == [
        ("chat", None),
        ("participant-updated", True),
    ]
    bob.says("chat", text="from the dead")
    await lost(house, bob)
    ada.says("chat", text="two")
    assert texts(ada.hears()) == texts(again.hears()) == ["two"]
    assert house.hub.roster.participants == 2
    assert bob.session.id is None and bob.session.mailbox is None


async def test_a_slow_reader_that_may_come_back_is_suspended(house: House) -> None:
    """R33, R41."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.tape.is_full = True
    ada.says("chat", text="one")
    ada.says("chat", text="two")
    assert bob.closed == CloseCode.SLOW_READER
    await house.settles()
    assert ada.hears_types() == ["chat", "chat", "participant-updated"]
    assert texts(house.comes_back(bob).hears()) == ["one", "two"]


async def test_one_that_cannot_take_in_what_it_missed_is_suspended_again(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    ada.says("chat", text="one")
    again = house.arrives("Bob")
    again.tape.is_full = True
    again.joins(name=None, resumeToken=bob.token, lastSeq=bob.last_seq)
    await house.settles()
    assert again.closed == CloseCode.SLOW_READER
    assert [m.get("isConnected") for m in ada.hears()] == [False, None, True, False]
    assert texts(house.comes_back(bob).hears()) == ["one"]
    assert house.hub.roster.participants == 2


async def test_a_kicked_one_cannot_come_back(house: House) -> None:
    """R24: whether it was connected or not."""
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo", resume=True)
    await lost(house, bob)
    ada.hears()
    for person in (bob, cleo):
        ada.says("moderator-action", targetId=person.id, action="kick")
    assert cleo.closed == CloseCode.KICKED
    assert ada.hears_types() == ["participant-left", "participant-left"]
    for person in (bob, cleo):
        assert house.comes_back(person).hears_types() == ["RESUME_FAILED"]


# Numbers of the client (R47)


async def test_what_a_client_sends_again_takes_effect_once(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="one", clientSeq=1)
    bob.says("raise-hand", clientSeq=2)
    bob.says("offer", targetId=ada.id, sdp="v=0", clientSeq=3)
    bob.says("room-locked", clientSeq=4)
    await lost(house, bob)
    ada.hears()
    again = house.comes_back(bob)
    own = again.hears()[0]
    assert own["lastClientSeq"] == 4, "what was refused has arrived as well"
    again.says("raise-hand", clientSeq=2)
    again.says("offer", targetId=ada.id, sdp="v=0", clientSeq=3)
    again.says("room-locked", clientSeq=4)
    again.says("chat", text="two", clientSeq=5)
    again.says("chat", text="two", clientSeq=5)
    again.says("chat", text="unnumbered")
    again.says("chat", text="unnumbered")
    assert texts(again.hears()) == texts(ada.hears()) == ["two", "unnumbered", "unnumbered"]


async def test_numbers_may_be_passed_over(house: House) -> None:
    """What a client drops when too much has waited has a number too."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="one", clientSeq=1)
    bob.says("chat", text="nine", clientSeq=9)
    bob.says("chat", text="five", clientSeq=5)
    assert texts(ada.hears()) == ["one", "nine"]
    assert house.comes_back(bob).hears()[0]["lastClientSeq"] == 9


async def test_the_join_itself_may_be_numbered(house: House) -> None:
    (ada,) = house.meeting("Ada", resume=True)
    bob = house.arrives("Bob")
    bob.joins(resume=True, clientSeq=1)
    bob.joins(resume=True, clientSeq=1)
    bob.says("chat", text="two", clientSeq=2)
    assert types(bob.hears()) == ["participant-joined", "participant-joined", "chat"]
    assert texts(ada.hears()) == ["two"]


async def test_what_waited_behind_a_decision_when_the_connection_was_lost_has_arrived(
    house_with: HouseWith,
) -> None:
    """R7, R47: it is dealt with, and once."""
    house, _ = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.says("raise-hand", clientSeq=1)
    bob.says("chat", text="two", clientSeq=2)
    bob.is_lost()
    await house.settles()
    again = house.comes_back(bob)
    await house.settles()
    assert again.hears()[0]["lastClientSeq"] == 2
    again.says("raise-hand", clientSeq=1)
    again.says("chat", text="two", clientSeq=2)
    await house.settles()
    assert ada.hears_types() == [
        "raise-hand",
        "participant-updated",
        "chat",
        "participant-updated",
        "participant-updated",
    ]


async def test_who_leaves_and_hangs_up_while_something_is_being_decided_has_left(
    house_with: HouseWith,
) -> None:
    """As a page does that is closed: nobody is to wait for its return."""
    house, _ = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.says("raise-hand")
    bob.says("leave")
    bob.is_lost()
    await house.settles()
    assert ada.hears_types() == ["raise-hand", "participant-updated", "participant-left"]
    assert house.hub.roster.get(bob.id) is None


async def test_nobody_enters_whose_connection_ended_before_its_turn(house_with: HouseWith) -> None:
    house, _ = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.says("leave")
    bob.joins()
    bob.is_lost()
    await house.settles()
    assert ada.hears_types() == ["participant-left"]


async def test_chat_stamps_go_on_increasing(house: House) -> None:
    """R15: they name messages, over connections and restarts."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    for _ in range(3):
        bob.says("chat", text="now")
    stamps = [message["timestamp"] for message in ada.hears()]
    house.wall.passes(-1_000)
    await lost(house, bob)
    again = house.comes_back(bob)
    again.says("chat", text="earlier")
    stamps += [message["timestamp"] for message in ada.hears() if message["type"] == "chat"]
    house = await house.restarts()
    house.wall.passes(-2_000)
    again = house.comes_back(again)
    again.hears()
    again.says("chat", text="earlier still")
    stamps += [message["timestamp"] for message in again.hears()]
    assert len(stamps) == 5
    assert all(earlier < later for earlier, later in itertools.pairwise(stamps))


# Lost answers (R42)


async def test_an_answer_that_was_lost_is_given_again(house: House) -> None:
    """With the old token and the old number; and again the same follows."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    ada.says("chat", text="one")
    replies = []
    for number in range(3):
        again = house.comes_back(bob)
        replies.append(again.hears())
        assert replies[-1][0]["replayed"] is True
        assert texts(replies[-1]) == ["one", "two", "three"][: number + 1]
        await lost(house, again)
        ada.says("chat", text=["two", "three", ""][number] or "-")
    assert len({reply[0]["resumeToken"] for reply in replies}) == 3


async def test_a_snapshot_that_was_lost_is_not_hidden_by_the_next_answer(house_with: HouseWith) -> None:
    """Nothing may be told to follow what the client has never seen."""
    house = house_with(resume_messages=3)
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo", resume=True)
    last = bob.last_seq
    await lost(house, bob)
    for number in range(4):
        ada.says("chat", text=f"{number}")
    for _ in range(2):
        again = house.comes_back(bob)
        own, *rest = again.hears()
        assert (own["replayed"], types(rest)) == (False, ["participant-joined"] * 2)
        await lost(house, again)
    # Its beginning has arrived, and the rest not: that can be told to follow.
    bob.token, bob.last_seq = own["resumeToken"], own["seq"]
    again = house.comes_back(bob)
    own, *rest = again.hears()
    assert (own["replayed"], own["seq"]) == (True, bob.last_seq)
    assert [message["participantId"] for message in rest] == [ada.id, cleo.id]
    assert bob.last_seq > last + 4


async def test_a_snapshot_for_one_who_reloads_is_not_hidden_either(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    house.comes_back(bob, restart=True, lastSeq=None)
    own, *rest = house.comes_back(bob).hears()
    assert (own["replayed"], types(rest)) == (False, ["participant-joined"])
    assert own["seq"] > bob.last_seq
    assert rest[0]["participantId"] == ada.id


# A reloaded page (R42)


async def test_a_reloaded_page_hears_all_there_is_and_is_new_to_the_others(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.says("chat", text="one")
    bob.says("chat", text="two", clientSeq=7)
    bob.hears()
    last = bob.last_seq
    ada.hears()
    again = house.comes_back(bob, restart=True, lastSeq=None)
    assert bob.closed == CloseCode.REPLACED
    own, *rest = again.hears()
    assert (own["participantId"], own["resumed"], own["replayed"]) == (bob.id, True, False)
    assert own["seq"] == last + 1, "the count goes on"
    assert own["lastClientSeq"] == 7
    assert [(message["type"], message["participantId"]) for message in rest] == [
        ("participant-joined", ada.id)
    ]
    assert [(message["type"], message["participantId"]) for message in ada.hears()] == [
        ("participant-left", bob.id),
        ("participant-joined", bob.id),
    ]


# In the waiting room (R41)


async def test_one_who_waits_comes_back_to_its_place(house: House) -> None:
    (ada,) = house.meeting("Ada", resume=True)
    ada.says("room-locked")
    wanda = await waiting(house)
    (own,) = wanda.hears()
    assert (own["type"], own["seq"], own["resumeWindow"]) == ("waiting-room", 1, 30)
    ada.hears()
    await lost(house, wanda)
    again = house.comes_back(wanda)
    (own,) = again.hears()
    assert (own["type"], own["resumed"], own["replayed"], own["seq"]) == ("waiting-room", True, True, 1)
    assert ada.hears() == []
    ada.says("admit-user", targetId=wanda.id)
    assert [(message["type"], message["seq"]) for message in again.hears()] == [
        ("participant-joined", 2),
        ("participant-joined", 3),
        ("room-locked", 4),
    ]
    assert again.session.audience is not None
    assert again.session._join_timer is None


async def test_one_who_was_admitted_meanwhile_comes_back_as_a_participant(house: House) -> None:
    (ada,) = house.meeting("Ada", resume=True)
    ada.says("room-locked")
    wanda = await waiting(house)
    wanda.hears()
    await lost(house, wanda)
    ada.says("admit-user", targetId=wanda.id)
    assert ada.hears()[-1]["isConnected"] is False
    assert house.hub.roster.participants == 1
    ada.says("chat", text="are you there?")
    again = house.comes_back(wanda)
    own, *missed = again.hears()
    assert (own["type"], own["replayed"], own["seq"]) == ("participant-joined", True, 1)
    assert types(missed) == ["participant-joined", "participant-joined", "room-locked", "chat"]
    again.says("chat", text="yes")
    assert texts(ada.hears()) == ["are you there?", "yes"]
    assert house.hub.roster.participants == 2


@pytest.mark.parametrize("is_admitted", [False, True])
async def test_one_who_waits_and_has_missed_too_much_hears_where_it_is(
    house_with: HouseWith, is_admitted: bool
) -> None:
    house = house_with(resume_messages=0)
    (ada,) = house.meeting("Ada", resume=True)
    ada.says("room-locked")
    wanda = await waiting(house)
    wanda.hears()
    wanda.sends("nonsense")
    await lost(house, wanda)
    if is_admitted:
        ada.says("admit-user", targetId=wanda.id)
    heard = house.comes_back(wanda).hears()
    assert heard[0]["replayed"] is False
    expected = (
        ["participant-joined", "participant-joined", "room-locked"] if is_admitted else ["waiting-room"]
    )
    assert types(heard) == expected
    assert heard[0]["seq"] >= 3


async def test_one_who_is_rejected_meanwhile_does_not_come_back(house: House) -> None:
    (ada,) = house.meeting("Ada", resume=True)
    ada.says("room-locked")
    wanda = await waiting(house)
    wanda.hears()
    await lost(house, wanda)
    ada.says("reject-user", targetId=wanda.id)
    assert ada.hears_types()[-1] == "participant-left"
    assert house.comes_back(wanda).hears_types() == ["RESUME_FAILED"]


# Tokens that are no good (R45)


async def test_a_wrong_token_is_refused_and_a_failed_guess(house_with: HouseWith) -> None:
    house = house_with(guesses_per_minute=2)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    eve = house.arrives("Eve", "198.51.100.9")
    for code, token in ((CODE, bob.token[:-1] + "x"), ("ZZZZZZ", bob.token)):
        eve.joins(code, resumeToken=token, lastSeq=1)
        (refusal,) = eve.hears()
        assert (refusal["code"], refusal["requestType"]) == ("RESUME_FAILED", "join")
        assert eve.session.id is None
    eve.joins(resumeToken=bob.token, lastSeq=1)
    assert eve.hears_types() == ["RATE_LIMITED"], "not even the right one is looked at"
    assert bob.closed is None and ada.hears() == []
    house.clock.passes(60_000)
    eve.joins(resumeToken="wrong")
    eve.joins()
    assert eve.hears_types() == ["RESUME_FAILED", *["participant-joined"] * 3], "and may join afresh"


@pytest.mark.parametrize("is_tidied", [False, True])
async def test_a_late_token_is_refused_and_no_guess(house_with: HouseWith, is_tidied: bool) -> None:
    house = house_with(guesses_per_minute=1)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    house.clock.passes(WINDOW)
    if is_tidied:
        house.store.tidy()
    for _ in range(3):
        assert house.comes_back(bob).hears_types() == ["RESUME_FAILED"]
    again = house.arrives("Bob", bob.session.address)
    again.joins()
    assert again.hears_types() == ["participant-joined"] * 2
    assert ada.hears_types() == ["participant-updated", "participant-left", "participant-joined"]


async def test_whoever_is_in_a_room_cannot_take_another_place(house: House) -> None:
    """R7."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.joins(resumeToken=bob.token, lastSeq=bob.last_seq)
    ada.joins(resumeToken=ada.token, lastSeq=ada.last_seq)
    assert ada.hears_types() == ["ALREADY_JOINED"] * 2
    assert (ada.closed, bob.closed) == (None, None)


async def test_a_session_that_was_refused_is_given_up_like_any_other(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    eve = house.comes_back(bob, resumeToken="wrong")
    assert eve.session._join_timer is not None
    again = house.comes_back(bob)
    assert again.session._join_timer is None
    assert ada.closed is None


# Over a store that is far away (R7, R42, R43)


async def test_losses_and_returns_over_a_store_that_is_far_away(house_with: HouseWith) -> None:
    house, _ = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.is_lost()
    ada.says("chat", text="one")
    await house.settles()
    ada.says("chat", text="two")
    again = house.comes_back(bob)
    again.says("chat", text="I am back")
    ada.says("chat", text="three")
    await house.settles()
    assert texts(again.hears()) == ["one", "two", "three", "I am back"]
    assert [m["isConnected"] for m in ada.hears() if m["type"] == "participant-updated"] == [False, True]


async def test_a_loss_that_the_store_hears_of_after_the_return_is_none(house_with: HouseWith) -> None:
    house, store = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    store.turns = 20
    bob.is_lost()
    store.turns = 0
    again = house.comes_back(bob)
    await house.settles()
    assert again.hears_types() == ["participant-joined"]
    for _ in range(30):
        await asyncio.sleep(0)
    ada.says("chat", text="still there?")
    assert texts(again.hears()) == ["still there?"]
    assert [m["isConnected"] for m in ada.hears() if m["type"] == "participant-updated"] == [True]
    assert house.hub.roster.participants == 2


async def test_a_loss_that_is_told_twice_is_told_to_others_once(house_with: HouseWith) -> None:
    """Closed by us, and then gone, before the store has answered."""
    house, store = far_house(house_with)
    store.turns = 10
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.session.close(CloseCode.TOO_MANY_REFUSED, "enough")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bob.is_lost()
    await house.settles()
    assert [m["isConnected"] for m in ada.hears()] == [False]


async def test_of_two_who_come_back_at_once_one_is_there(house_with: HouseWith) -> None:
    """With the same token: it is valid until its successor has been used."""
    house, _ = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.is_lost()
    await house.settles()
    first, second = house.comes_back(bob), house.comes_back(bob)
    await house.settles()
    assert (first.closed, second.closed) == (CloseCode.REPLACED, None)
    assert first.hears()[0]["resumed"] and second.hears()[0]["resumed"]
    ada.says("chat", text="hello")
    assert (texts(first.hears()), texts(second.hears())) == ([], ["hello"])
    first.is_lost()
    await house.settles()
    assert house.hub.roster.participants == 2
    assert house.hub.roster._returning == {}


async def test_one_who_comes_back_while_its_old_connection_is_deciding(house_with: HouseWith) -> None:
    house, store = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    store.turns = 20
    bob.says("raise-hand", clientSeq=1)
    bob.says("chat", text="behind it", clientSeq=2)
    store.turns = 0
    again = house.comes_back(bob)
    await house.settles()
    assert bob.closed == CloseCode.REPLACED
    assert again.hears()[0]["lastClientSeq"] == 1
    assert texts(ada.hears()) == [], "what waited behind it was lost with it, and can be sent again"
    again.says("chat", text="behind it", clientSeq=2)
    assert texts(ada.hears()) == ["behind it"]
    assert house.hub.roster.participants == 2


async def test_a_refusal_that_is_decided_after_the_loss_is_told_to_who_comes_back(
    house_with: HouseWith,
) -> None:
    """R40, R47: its request has arrived, so its answer is kept as well."""
    house, _ = far_house(house_with)
    _, bob = await far_meeting(house, "Ada", "Bob")
    bob.says("room-locked", clientSeq=1)
    bob.is_lost()
    await house.settles()
    again = house.comes_back(bob)
    await house.settles()
    heard = again.hears()
    assert heard[0]["lastClientSeq"] == 1
    assert types(heard[1:]) == ["UNAUTHORIZED"]


async def test_one_who_is_lost_while_it_comes_back_is_suspended_again(house_with: HouseWith) -> None:
    house, _ = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.is_lost()
    await house.settles()
    again = house.comes_back(bob)
    again.is_lost()
    await house.settles()
    assert house.hub.roster.participants == 1
    assert house.hub.roster._returning == {}
    assert [m["isConnected"] for m in ada.hears()] == [False, True, False]
    third = house.comes_back(bob)
    await house.settles()
    assert third.hears()[0]["replayed"] is True


async def test_a_return_that_fails_leaves_its_client_outside_and_the_place_kept(
    house_with: HouseWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, _ = far_house(house_with)
    ada, bob = await far_meeting(house, "Ada", "Bob")
    bob.is_lost()
    await house.settles()
    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "transact", lambda *_: 1 / 0)
        again = house.comes_back(bob)
        await house.settles()
    assert again.hears_types() == ["SERVER_ERROR"]
    assert again.session.id is None and house.hub.roster._returning == {}
    third = house.comes_back(bob)
    await house.settles()
    assert third.hears()[0]["replayed"] is True
    assert [m["isConnected"] for m in ada.hears()] == [False, True]


@pytest.mark.parametrize("comes_back_first", [False, True])
async def test_a_loss_that_the_store_cannot_take_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, comes_back_first: bool
) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "transact", lambda *_: 1 / 0)
        await lost(house, bob)
    assert house.hub.roster.participants == 1
    ada.says("chat", text="one")
    if comes_back_first:
        again = house.comes_back(bob)
        house.hub._tidy()
    else:
        house.hub._tidy()
        again = house.comes_back(bob)
    await house.settles()
    assert texts(again.hears()) == ["one"]
    assert house.hub._losses.owed == 0
    states = [m["isConnected"] for m in ada.hears() if m["type"] == "participant-updated"]
    assert states == ([True] if comes_back_first else [False, True])
    assert house.hub.roster.participants == 2


# When the server stops, restarts or crashes (R46)


async def test_everyone_is_closed_a_few_at_a_time_and_suspended_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.hub.hub.DRAIN_TOGETHER", 2)
    pauses: list[list[int | None]] = []
    people = house.meeting("Ada", "Bob", "Cleo", "Dora", "Egon", resume=True)

    async def pause(seconds: float) -> None:
        pauses.append([person.closed for person in people])

    with monkeypatch.context() as patch:
        patch.setattr("mikroroom.hub.hub.asyncio.sleep", pause)
        await house.hub.drain(1.0)
    restarting = int(CloseCode.RESTARTING)
    assert pauses == [[restarting] * 2 + [None] * 3, [restarting] * 4 + [None]]
    assert [person.closed for person in people] == [restarting] * 5
    assert house.hub.roster.participants == 0
    assert types(people[-1].hears()) == ["participant-updated"] * 4, (
        "whoever is still here hears of the others"
    )
    assert house.hub.is_stopping


async def test_those_still_here_go_on_while_others_are_closed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.hub.hub.DRAIN_TOGETHER", 1)
    monkeypatch.setattr("mikroroom.hub.hub.DRAIN_EVERY", 0.001)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    draining = asyncio.create_task(house.hub.drain(0.002))
    await asyncio.sleep(0)
    assert (ada.closed, bob.closed) == (CloseCode.RESTARTING, None)
    bob.says("chat", text="anyone?")
    await draining
    assert bob.closed == CloseCode.RESTARTING
    house = await house.restarts()
    assert texts(house.comes_back(ada).hears()) == ["anyone?"]


async def test_a_stop_closes_connections_that_joined_nothing_or_wait_too(house: House) -> None:
    (ada,) = house.meeting("Ada", resume=True)
    ada.says("room-locked")
    wanda = await waiting(house)
    await house.hub.stop()
    assert (ada.closed, wanda.closed) == (CloseCode.RESTARTING, CloseCode.RESTARTING)
    assert wanda.hears_types() == ["waiting-room"], "the meeting has not ended"


async def test_after_a_planned_restart_everyone_finds_everything(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.says("room-locked")
    wanda = await waiting(house)
    wanda.hears()
    house.nobody_listens()
    last = {person.name: person.last_seq for person in (ada, bob, wanda)}
    bob.says("chat", text="lost in flight", clientSeq=3)
    house = await house.restarts()
    assert house.hub.roster.participants == 0
    assert house.active_rooms() == 1
    assert (ada.closed, bob.closed, wanda.closed) == (1012, 1012, 1012)

    ada = house.comes_back(ada)
    own, *missed = ada.hears()
    assert (own["participantId"], own["replayed"], own["isHost"]) == (ada.id, True, True)
    assert seqs(missed) == list(range(last["Ada"] + 1, last["Ada"] + 1 + len(missed)))
    assert texts(missed) == ["lost in flight"]
    ada.says("chat", text="new")
    bob = house.comes_back(bob)
    heard = bob.hears()
    assert (heard[0]["lastClientSeq"], texts(heard)) == (3, ["lost in flight", "new"])
    assert seqs(heard) == list(range(last["Bob"], last["Bob"] + len(heard)))
    bob.says("chat", text="again", clientSeq=3)
    wanda = house.comes_back(wanda)
    assert [(m["type"], m["replayed"], m["seq"]) for m in wanda.hears()] == [("waiting-room", True, 1)]
    ada.says("room-unlocked")
    assert wanda.hears_types() == ["participant-joined"] * 3
    assert texts(ada.hears()) == ["new"]
    assert house.hub.roster.participants == 3


async def test_what_was_kept_is_kept_over_two_restarts_for_one_who_slept_through_the_first(
    house: House,
) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    ada.says("chat", text="one")
    house = await house.restarts()
    ada = house.comes_back(ada)
    ada.says("chat", text="two")
    house = await house.restarts()
    assert texts(house.comes_back(bob).hears()) == ["one", "two"]


async def test_what_was_kept_is_used_once(house: House) -> None:
    """A crash after the restart finds nothing that is older than what has been said since."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    house = await house.restarts()
    ada = house.comes_back(ada)
    ada.says("chat", text="one")
    house = house.crashes()
    own, *rest = house.comes_back(bob).hears()
    assert (own["replayed"], texts(rest)) == (False, [])


async def test_after_a_crash_everyone_hears_all_anew_and_numbers_go_on(house: House) -> None:
    """R46: exactly what was said is not known any more, so it is a gap for everyone."""
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo", resume=True)
    ada.says("room-locked")
    house.nobody_listens()
    house = house.crashes()
    assert ada.closed is None
    ada_again = house.comes_back(ada)
    own, *rest = ada_again.hears()
    assert (own["replayed"], own["seq"], own["lastClientSeq"]) == (False, ada.last_seq + 1, 0)
    assert types(rest) == ["participant-joined", "participant-joined", "room-locked"]
    assert [m.get("isConnected") for m in rest] == [False, False, None]
    ada_again.says("chat", text="one")
    bob_again = house.comes_back(bob)
    own, *rest = bob_again.hears()
    assert (own["replayed"], own["seq"]) == (False, bob.last_seq + 1)
    assert texts(rest) == ["one"], "said since, and not known to be lost"
    assert types(rest) == ["participant-joined", "participant-joined", "room-locked", "chat"]
    assert seqs(rest) == [bob.last_seq + number for number in (2, 3, 4, 5)]
    ada_again.says("chat", text="two")
    assert seqs(bob_again.hears()) == [bob.last_seq + 6]
    await lost(house, bob_again)
    assert house.comes_back(bob_again).hears()[0]["replayed"] is True, "from here on it is known again"
    house.clock.passes(WINDOW)
    house.store.tidy()
    assert [m["participantId"] for m in ada_again.hears() if m["type"] == "participant-left"] == [cleo.id]


async def test_a_planned_restart_after_a_crash_does_not_make_up_what_it_does_not_know(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    house = house.crashes()
    ada_again = house.comes_back(ada)
    ada_again.says("chat", text="one")
    ada_again.says("offer", targetId=bob.id, sdp="v=0")
    house = await house.restarts()
    own, *rest = house.comes_back(bob).hears()
    assert own["replayed"] is False
    assert own["seq"] > bob.last_seq
    assert types(rest) == ["participant-joined", "chat", "offer"]
    assert seqs(rest) == [own["seq"] + number for number in (1, 2, 3)]
    assert rest[-1]["sdp"] == "v=0"


async def test_a_crash_is_a_gap_however_much_is_said_after_it(house: House) -> None:
    """The count since then may have come to where it was before."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    house = house.crashes()
    ada_again = house.comes_back(ada)
    for _ in range(bob.last_seq + 3):
        ada_again.says("chat", text="one")
    own, *rest = house.comes_back(bob).hears()
    assert (own["replayed"], texts(rest)) == (False, ["one"] * (bob.last_seq + 3))
    assert own["seq"] > bob.last_seq
    assert seqs(rest) == list(range(own["seq"] + 1, own["seq"] + 1 + len(rest)))


async def test_a_snapshot_after_a_crash_that_was_lost_is_not_hidden(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    house = house.crashes()
    for _ in range(3):
        own, *rest = house.comes_back(bob).hears()
        assert (own["replayed"], own["seq"] > bob.last_seq) == (False, True)
        assert [m["participantId"] for m in rest if m["type"] == "participant-joined"] == [ada.id]


async def test_windows_start_anew_with_a_restart_and_then_nothing_is_left(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    house.clock.passes(WINDOW - 1)
    house = await house.restarts()
    house.clock.passes(WINDOW - 1)
    house.store.tidy()
    ada = house.comes_back(ada)
    assert ada.hears()[0]["resumed"]
    house.clock.passes(1)
    house.store.tidy()
    assert [(m["type"], m["participantId"]) for m in ada.hears()] == [("participant-left", bob.id)]
    assert set(house.hub.roster._people) == {ada.id}


async def test_whoever_cannot_come_back_is_gone_after_a_restart_and_finds_the_room(house: House) -> None:
    """R4, R46: among others and alone."""
    ada, bob = house.meeting("Ada", "Bob")
    cleo = await waiting(house, "Cleo")
    cleo.hears()
    house.meeting("Eve", code="EVE666")
    house = await house.restarts()
    cleo = house.comes_back(cleo)
    heard = [(m["type"], m["participantId"]) for m in cleo.hears()]
    assert [who for kind, who in heard if kind == "participant-left"] == [ada.id, bob.id]
    assert heard[-1] == ("participant-updated", cleo.id)
    eve = house.arrives("Eve")
    eve.joins("EVE666")
    assert [(m["type"], m["isHost"]) for m in eve.hears()] == [("participant-joined", True)]


async def test_a_hub_that_is_started_again_has_everyone_who_may_come_back(house: House) -> None:
    """An app that is served, stopped and served again in one process."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="one")
    await house.hub.stop()
    assert house.disk.kept.keys() == {ada.id, bob.id}
    house.hub.start()
    assert texts(house.comes_back(ada).hears()) == ["one"]
    assert house.comes_back(bob).hears()[0]["replayed"] is True


# What is counted, and how (R30, R41)


async def test_suspended_ones_are_not_counted_as_participants(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    roster = house.hub.roster
    assert (roster.participants, house.active_rooms()) == (2, 1)
    await lost(house, bob)
    assert (roster.participants, house.active_rooms()) == (1, 1)
    await lost(house, ada)
    assert (roster.participants, house.active_rooms()) == (0, 1)
    bob = house.comes_back(bob)
    assert (roster.participants, roster.peak_participants) == (1, 2)
    house.comes_back(bob)
    assert roster.participants == 1
    house.clock.passes(WINDOW)
    house.store.tidy()
    assert (roster.participants, set(roster._people)) == (1, {bob.id})


async def test_an_address_may_open_one_more_connection_for_each_who_is_suspended_from_it(
    house_with: HouseWith,
) -> None:
    """R30: and not for ever."""
    house = house_with(connections_per_minute=2)
    limits, office = house.hub.limits, "192.0.2.77"
    ada = house.arrives("Ada", office)
    ada.joins(isHost=True, resume=True)
    bob = house.arrives("Bob", office)
    bob.joins(resume=True)
    house.nobody_listens()
    assert limits.take_connection(office, house.clock()) == 0
    assert limits.take_connection(office, house.clock()) == 0
    assert limits.take_connection(office, house.clock()) > 0
    for person in (ada, bob):
        await lost(house, person)
    assert limits._expected == {office: 2}
    for person in (ada, bob):
        assert limits.take_connection(office, house.clock()) == 0
        house.comes_back(person)
    assert limits._expected == {}
    assert limits.take_connection(office, house.clock()) > 0
    assert limits.take_connection("192.0.2.78", house.clock()) == 0
    assert "192.0.2.78" not in limits._expected


@pytest.mark.parametrize("how", ["back", "lapse", "kick", "reject", "meeting ends", "back elsewhere"])
async def test_nobody_is_expected_who_will_not_come(house: House, how: str) -> None:
    """R30: after every history the credit of an address is what it was."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.says("room-locked")
    wanda = await waiting(house)
    house.nobody_listens()
    for person in (bob, wanda):
        await lost(house, person)
    assert sorted(house.hub.limits._expected.values()) == [1, 1]
    if how == "back":
        house.comes_back(bob)
        house.comes_back(wanda)
    elif how == "back elsewhere":
        house.comes_back(bob, "198.51.100.1")
        house.comes_back(wanda, "198.51.100.1")
    elif how == "lapse":
        house.clock.passes(WINDOW)
        house.store.tidy()
    elif how in {"kick", "reject"}:
        ada.says("moderator-action", targetId=bob.id, action="kick")
        ada.says("reject-user", targetId=wanda.id)
    else:
        ada.says("moderator-action", targetId=bob.id, action="kick")
        ada.says("leave")
    assert house.hub.limits._expected == {}


async def test_after_a_restart_an_office_may_come_back_together(house_with: HouseWith) -> None:
    """R30, R46: from where everyone was last."""
    house = house_with(connections_per_minute=1)
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo", resume=True)
    bob = house.comes_back(bob, "192.0.2.77")
    cleo = house.comes_back(cleo, "192.0.2.77")
    house.nobody_listens()
    house = await house.restarts()
    limits = house.hub.limits
    assert limits._expected == {ada.session.address: 1, "192.0.2.77": 2}
    assert [limits.take_connection("192.0.2.77", house.clock()) > 0 for _ in range(4)] == [
        False,
        False,
        False,
        True,
    ]
    for person in (ada, bob, cleo):
        house.comes_back(person)
    assert limits._expected == {}


async def test_to_come_back_is_to_open_no_new_connection_some_times_a_minute(house: House) -> None:
    """R30: whoever comes back all the time is counted."""
    _, bob = house.meeting("Ada", "Bob", resume=True)
    limits, office = house.hub.limits, bob.session.address

    def counted_of(returns: int) -> int:
        nonlocal bob
        before = len(limits.connections._taken.get(office, []))
        for _ in range(returns):
            limits.take_connection(office, house.clock())
            bob = house.comes_back(bob)
            bob.hears()
            assert bob.session.id
        return len(limits.connections._taken[office]) - before

    assert counted_of(RETURNS_PER_MINUTE) == 0
    house.clock.passes(59_999)
    assert counted_of(2) == 2
    house.clock.passes(1)
    assert counted_of(RETURNS_PER_MINUTE) == 0
    assert counted_of(1) == 1


async def test_what_was_taken_before_a_crash_is_a_repeat_after_it(house: House) -> None:
    """R46, R47: how much had come is known, even where what was said is not."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="one", clientSeq=1)
    bob.says("chat", text="two", clientSeq=2)
    house = house.crashes()
    ada, bob = house.comes_back(ada), house.comes_back(bob)
    ada.hears()
    assert bob.hears()[0]["lastClientSeq"] == 2
    for number, text in enumerate(("one", "two", "three"), 1):
        bob.says("chat", text=text, clientSeq=number)
    assert texts(ada.hears()) == ["three"]


async def test_a_return_leaves_one_line_in_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    _, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    caplog.clear()
    house.comes_back(bob)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in lines] == ["resumed"]
    assert f"participant={bob.id}" in lines[0] and bob.token not in lines[0]


async def test_whoever_is_back_knows_that_it_is(house_with: HouseWith) -> None:
    """R12, R42: what was said of it while it was away ends with the truth, and the others heard theirs."""
    house = house_with()
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    ada.says("moderator-action", targetId=bob.id, action="mute")
    ada.says("moderator-action", targetId=bob.id, action="make-moderator")
    about = [message for message in ada.hears() if message["type"] == "participant-updated"]
    assert [message["isConnected"] for message in about] == [False, False, False]
    own, *missed = house.comes_back(bob).hears()
    about = [own, *(message for message in missed if message["type"] == "participant-updated")]
    assert [message["isConnected"] for message in about] == [True, True, True]
    assert about[-1]["isMuted"] and about[-1]["isModerator"]


async def test_what_is_kept_over_a_restart_holds_no_token(house_with: HouseWith) -> None:
    """It is written to a disk; and nobody who has a token needs to hear it again."""
    house = house_with()
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.says("chat", text="hello")
    await house.hub.stop()
    kept = [message for each in house.disk.kept.values() for message in each.messages]
    assert any(b"hello" in message for message in kept)
    assert not any(b"oken" in message for message in kept)
    house = house._succeeded()
    again = house.comes_back(bob)
    assert again.hears()[0]["replayed"]
    again = house.comes_back(again, lastSeq=0)
    assert not again.hears()[0]["replayed"]


async def test_the_number_of_the_join_outlives_a_crash(house: House) -> None:
    """R47: or the client would ask to join again."""
    ada = house.arrives("Ada")
    ada.joins(isHost=True, resume=True, clientSeq=1)
    ada.hears()
    house = house.crashes()
    assert house.comes_back(ada).hears()[0]["lastClientSeq"] == 1


def test_message_number_one_is_saved_where_it_holds_no_token() -> None:
    """After a crash the count begins anew until its owner is back, and number 1 is one like any other."""
    told = frame(events.Chat(CODE, "ada", "first"))
    for kept, count, saved in ((None, 0, 1), (Kept(0, 0, 0, []), 1, 0)):
        mailbox = Mailbox("bob", CODE, Capacity(256, 262_144), lambda *_: None)
        mailbox.restore(kept)
        mailbox.send(told)
        assert (mailbox.save().count, len(mailbox.save().messages)) == (count, saved)


@pytest.mark.parametrize("is_planned", [False, True])
async def test_an_unknown_token_is_a_guess_unless_a_crash_may_have_made_it_unknown(
    house_with: HouseWith, is_planned: bool
) -> None:
    house = house_with(guesses_per_minute=1)
    house.meeting("Ada", resume=True)
    house = await house.restarts() if is_planned else house.crashes()
    eve = house.arrives("Eve")
    for _ in range(3):
        eve.joins(name=None, resumeToken="unknown")
    guessed = ["RESUME_FAILED", *["RATE_LIMITED"] * 2]
    assert eve.hears_types() == (guessed if is_planned else ["RESUME_FAILED"] * 3)
    house.clock.passes(WINDOW)
    for _ in range(2):
        eve.joins(name=None, resumeToken="unknown")
    assert eve.hears_types()[-1] == "RATE_LIMITED"


async def test_one_address_may_not_open_any_number_by_losing_them(house: House) -> None:
    """R30: a connection beyond the limit is there to come back on, and for nothing else."""
    limits, address = house.hub.limits, "192.0.2.200"

    def connects() -> Person:
        is_extra = limits.connections.wait(address, house.clock()) > 0
        assert limits.take_connection(address, house.clock()) == 0
        person = house.arrives("Ada", address)
        person.session.is_extra = is_extra
        return person

    people = [connects() for _ in range(10)]
    for person in people:
        person.joins(**({"isHost": True} if person is people[0] else {}), resume=True, maxParticipants=20)
        person.hears()
    for person in people:
        await lost(house, person)
    again = connects()
    again.joins(resume=True)
    assert again.hears_types() == ["RATE_LIMITED"]
    again.joins(name=None, resumeToken=people[3].token, lastSeq=people[3].last_seq)
    assert again.hears()[0]["resumed"]
    house.clock.passes(60_000)
    late = connects()
    late.session.is_extra = True
    late.joins(isHost=True)
    assert late.hears_types()[0] == "participant-joined", "the limit has room again"


async def test_whoever_came_in_time_is_let_in_though_the_process_stood_still(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R41: a machine that was suspended hears of those who are back only after its own timers."""
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    await lost(house, bob)
    loop = asyncio.get_running_loop()
    stood_still = WINDOW + 1_000
    assert house.hub._tidying is not None
    late = house.hub._tidying.when() + stood_still / 1_000
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: late)
        house.clock.passes(stood_still)
        house.hub._tidy()
    assert house.comes_back(bob).hears()[0]["resumed"]
    await lost(house, ada)
    house.clock.passes(WINDOW)
    house.hub._tidy()
    assert house.comes_back(ada).hears_types() == ["RESUME_FAILED"]


async def test_many_rooms_whose_windows_end_together_end_by_and_by(house_with: HouseWith) -> None:
    """The event loop has other things to do as well."""
    house = house_with(max_rooms=1_000)
    for number in range(50):
        [ada] = house.meeting("Ada", code=f"AAAA{number:02}", resume=True)
        ada.is_lost()
    await house.settles()
    house.clock.passes(WINDOW)
    left = [50]
    while house.store.tidy():
        left.append(house.active_rooms())
    left.append(house.active_rooms())
    assert left == [50, 30, 10, 0]
    assert house.hub.roster._people == {}


async def test_a_fault_in_one_room_does_not_keep_the_others_from_ending(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And it is told once, not each second."""
    for code in ("AAAAAA", "BBBBBB"):
        [ada] = house.meeting("Ada", code=code, resume=True)
        await lost(house, ada)

    def fails(room: Room, now: int, policy: Policy) -> Effects:
        if room.code == "AAAAAA":
            raise KeyError("a fault of ours")
        return lapse(room, now, policy)

    with monkeypatch.context() as patch:
        patch.setattr(memory, "lapse", fails)
        house.clock.passes(WINDOW)
        for _ in range(3):
            house.store.tidy()
    assert house.active_rooms() == 1
    assert [record.getMessage().split()[0] for record in caplog.records].count("room-not-tidied") == 1
    house.comes_back(ada, roomId="AAAAAA")
    assert house.active_rooms() == 0
