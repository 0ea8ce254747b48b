"""A room whose people are on several workers: what they are told here, and how they come and go with it.

The store is played by the test.
"""

from collections.abc import AsyncIterator

import pytest

from mikroroom.core.effects import Close, Effects, Gone, Resumed, Seated, send
from mikroroom.core.resume import Returner, resume
from mikroroom.protocol.codec import Frame, frame
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal
from mikroroom.protocol.events import Chat, ModeratorAction, Offer, ParticipantLeft, Relay
from mikroroom.settings import Settings
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Kept

from .cast import CODE, POLICY, House, Person


class Elsewhere:
    """Those on other workers, and what they are told."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.told: list[object] = []
        self.is_full = False

    def __contains__(self, participant_id: object) -> bool:
        return participant_id in self.ids

    def relay(self, event: Relay | Chat, target_id: str) -> None:
        """Keep it, if there is room."""
        assert event.target_id == target_id
        self._take(event)

    def tell(self, frame: Frame) -> None:
        """Likewise."""
        self._take(frame)

    def _take(self, what: object) -> None:
        if self.is_full:
            raise Refusal(ErrorCode.SERVER_ERROR, "Too much is waiting")
        self.told.append(what)


class Move:
    """Ada comes back, from the worker ``north`` to the worker ``south``, which has her new connection."""

    def __init__(self, north: House, south: House, ada: Person) -> None:
        self.north, self.south, self.id = north, south, ada.id
        self.back = south.arrives("Ada")
        south.hub.roster.expect_back(self.back.session, "again", CODE, ada.last_seq)
        store = north.hub._store
        assert isinstance(store, MemoryStore)
        returner = Returner("again", "192.0.2.9", ada.token, "next")
        effects = resume(store._rooms[CODE], returner, north.clock(), POLICY)
        self.effects: Effects = [effect for effect in effects if isinstance(effect, Resumed | Seated)]

    def is_committed(self) -> Kept | None:
        """Both workers hear of it. Returns what the north has told her."""
        kept = self.north.hub.part_with(self.id, CloseCode.REPLACED)
        self.south.hub.expect_kept(self.id)
        self.south.hub.deliver(self.effects, CODE)
        return kept

    def says(self, text: str) -> None:
        """Somebody on the south's own says something to the room."""
        self.south.hub.roster._audiences[CODE][self.id].send(chat(text))

    def brings(self, text: str) -> None:
        """Somebody elsewhere has said something, and the store brings it."""
        self.south.hub.hear([self.id], chat(text))

    def hears(self) -> list[str]:
        """What Ada heard: texts, and types of what has none."""
        return [str(message.get("text", message["type"])) for message in self.back.hears()]


def chat(text: str) -> Frame:
    """Something that is said to a room."""
    return frame(Chat(CODE, "somebody", text))


@pytest.fixture
async def houses() -> AsyncIterator[tuple[House, House]]:
    """Two workers. What becomes of their rooms is of no interest: the store is not really shared."""
    houses = House(Settings()), House(Settings(), seed=8)
    yield houses
    for house in houses:
        await house.hub.stop()
        assert house.faults == []


@pytest.fixture
def north(houses: tuple[House, House]) -> House:
    """The one where Ada and Bob are."""
    return houses[0]


@pytest.fixture
def south(houses: tuple[House, House]) -> House:
    """The other one."""
    return houses[1]


def ada_of(north: House) -> Person:
    """Ada, in a room with Bob, who both may come back; she has heard all of it."""
    ada, _ = [north.arrives(name) for name in ("Ada", "Bob")]
    for person in north.people:
        person.joins(isHost=person is ada, resume=True)
        person.id = person.session.id or ""
    ada.hears()
    return ada


# Talk


async def test_talk_to_somebody_elsewhere_goes_there_under_the_speakers_own_id(north: House) -> None:
    ada = ada_of(north)
    far = Elsewhere("cleo")
    north.hub.meet(CODE, far)
    ada.says("offer", targetId="cleo", sdp="v=0")
    [offer] = far.told
    assert isinstance(offer, Offer)
    assert (offer.participant_id, offer.target_id, offer.text) == (ada.id, "cleo", "v=0")


async def test_a_chat_goes_to_those_here_and_once_to_those_elsewhere(north: House) -> None:
    ada, bob = ada_of(north), north.people[1]
    bob.hears()
    far = Elsewhere("cleo", "dora")
    north.hub.meet(CODE, far)
    ada.says("chat", text="hello")
    assert len(far.told) == 1
    assert ada.hears_types() == bob.hears_types() == ["chat"]


async def test_talk_that_cannot_go_elsewhere_is_refused_and_nobody_hears_it(north: House) -> None:
    ada, bob = ada_of(north), north.people[1]
    bob.hears()
    far = Elsewhere("cleo")
    far.is_full = True
    north.hub.meet(CODE, far)
    ada.says("chat", text="hello")
    ada.says("offer", targetId="cleo", sdp="v=0")
    assert ada.hears_types() == ["SERVER_ERROR", "SERVER_ERROR"]
    assert bob.hears_types() == []
    ada.says("offer", targetId=bob.id, sdp="v=0")
    assert bob.hears_types() == ["offer"], "who is here is reached as ever"


async def test_who_is_elsewhere_no_more_is_not_found(north: House) -> None:
    ada = ada_of(north)
    north.hub.meet(CODE, Elsewhere("cleo"))
    north.hub.meet(CODE, None)
    ada.says("offer", targetId="cleo", sdp="v=0")
    assert ada.hears_types() == ["TARGET_NOT_FOUND"]


# Moving


async def test_who_comes_back_elsewhere_hears_what_it_missed_where_it_was(north: House, south: House) -> None:
    ada = ada_of(north)
    ada.is_lost()
    north.people[1].says("chat", text="missed")
    move = Move(north, south, ada)
    move.south.hub.take_over(move.id, move.is_committed())
    own, *missed = move.back.hears()
    assert (own["type"], own["replayed"], own["seq"]) == ("participant-joined", True, ada.last_seq)
    assert [(message.get("text"), message["seq"]) for message in missed][-1] == ("missed", ada.last_seq + 1)
    assert (north.hub.roster.participants, south.hub.roster.participants) == (1, 1)
    assert north.hub.roster.get(move.id) is None


async def test_a_connection_that_is_replaced_elsewhere_is_closed(north: House, south: House) -> None:
    """R43."""
    ada = ada_of(north)
    move = Move(north, south, ada)
    move.south.hub.take_over(move.id, move.is_committed())
    await north.settles()
    assert ada.closed == 4503
    assert move.hears() == ["participant-joined"]


async def test_what_comes_meanwhile_is_heard_after_what_was_missed_and_what_is_said_here_last(
    north: House, south: House
) -> None:
    """Whoever speaks here may have spoken before to where she was: that is among what the store brings."""
    ada = ada_of(north)
    ada.is_lost()
    north.people[1].says("chat", text="missed")
    move = Move(north, south, ada)
    kept = move.is_committed()
    move.says("said here")
    move.brings("brought")
    move.south.hub.deliver([], CODE)
    assert move.hears() == []
    move.south.hub.take_over(move.id, kept)
    assert move.hears()[-3:] == ["missed", "brought", "said here"]
    move.says("and so on")
    assert move.hears() == ["and so on"]


async def test_where_nobody_has_the_mailbox_all_is_told_anew_and_then_what_came_meanwhile(
    north: House, south: House
) -> None:
    ada = ada_of(north)
    ada.is_lost()
    move = Move(north, south, ada)
    move.is_committed()
    move.brings("brought")
    move.south.hub.take_over(move.id, Kept(0, 4, 0, [], is_whole=False))
    own, *rest = move.back.hears()
    assert (own["replayed"], own["lastClientSeq"]) == (False, 4)
    assert own["seq"] > ada.last_seq
    assert [message.get("text", message["type"]) for message in rest] == ["participant-joined", "brought"]


async def test_too_much_meanwhile_is_no_replay(houses: tuple[House, House]) -> None:
    north, _ = houses
    south = House(Settings(resume_messages=8), seed=9)
    ada = ada_of(north)
    move = Move(north, south, ada)
    kept = move.is_committed()
    for number in range(20):
        move.says(str(number))
    move.south.hub.take_over(move.id, kept)
    assert move.back.hears()[0]["replayed"] is False
    await south.hub.stop()


async def test_who_moves_on_before_its_mailbox_came_takes_along_what_came_meanwhile(
    north: House, south: House
) -> None:
    ada = ada_of(north)
    move = Move(north, south, ada)
    move.is_committed()
    move.brings("brought")
    move.says("said here")
    kept = south.hub.part_with(move.id, CloseCode.REPLACED)
    await south.settles()
    assert kept is not None and kept.is_whole, "as far as it goes"
    assert [b"brought" in kept.messages[0], b"said here" in kept.messages[1]] == [True, True]
    assert move.back.closed == 4503
    assert south.hub.roster.get(move.id) is None and move.back.session.id is None
    south.hub.take_over(move.id, None)
    assert move.hears() == []


async def test_who_is_gone_before_its_mailbox_came_is_gone(north: House, south: House) -> None:
    ada = ada_of(north)
    move = Move(north, south, ada)
    move.is_committed()
    south.hub.deliver([Gone(move.id)], CODE)
    assert move.hears() == ["participant-joined", "participant-joined"], "it was there, for all it knows"
    south.hub.take_over(move.id, None)
    assert move.hears() == []
    assert south.hub.roster.get(move.id) is None and move.back.session.id is None


async def test_whoever_cannot_come_back_has_nothing_to_take_along(north: House) -> None:
    [cleo] = north.meeting("Cleo", code="OTHERS")
    assert north.hub.part_with(cleo.id, CloseCode.RESTARTING) is None
    assert north.hub.part_with("nobody", CloseCode.RESTARTING) is None


# Losing touch


async def test_people_of_a_room_of_which_something_was_not_heard_are_to_come_again(north: House) -> None:
    ada, bob = ada_of(north), north.people[1]
    [cleo] = north.meeting("Cleo", code="OTHERS")
    north.hub.cut_off(CODE)
    assert (ada.closed, bob.closed, cleo.closed) == (1012, 1012, None)
    await north.settles()
    back = north.comes_back(ada)
    assert back.hears()[0]["replayed"] is False


async def test_after_that_what_people_said_follows_if_it_was_not_heard_before(north: House) -> None:
    ada, bob = ada_of(north), north.people[1]
    bob.says("chat", text="heard")
    ada.hears()
    bob.says("chat", text="lost on the way")
    north.hub.cut_off(CODE)
    await north.settles()
    north.hub.hear([ada.id], chat("brought"))
    back = north.comes_back(ada)
    own, *rest = back.hears()
    assert own["replayed"] is False
    assert [message["text"] for message in rest if "text" in message] == ["lost on the way", "brought"]
    assert [message["seq"] for message in rest] == list(range(own["seq"] + 1, own["seq"] + 1 + len(rest)))


async def test_whoever_gave_up_before_its_joining_was_committed_is_taken_out_again(north: House) -> None:
    ada = ada_of(north)
    store = north.hub._store
    assert isinstance(store, MemoryStore)
    lost: list[str] = []
    north.hub._losses.tell = lambda *whom: lost.append(whom[0])  # type: ignore[method-assign]
    north.hub.deliver([Seated("ghost", 8)], CODE)
    await north.settles()
    assert lost == ["ghost"]
    north.hub.deliver([], CODE)
    assert ada.hears() == []


async def test_a_stamp_is_the_same_wherever_it_is_heard(houses: tuple[House, House]) -> None:
    heard = []
    for house in houses:
        ada = ada_of(house)
        house.hub.deliver(send((ada.id,), ParticipantLeft(CODE, "somebody")), CODE, 1_234)
        heard.append([m["timestamp"] for m in ada.hears() if m["type"] == "participant-left"])
    assert heard == [[1_234], [1_234]]


async def test_who_is_kicked_before_its_mailbox_came_hears_why(north: House, south: House) -> None:
    """R24, R28: and that it was there at all."""
    ada = ada_of(north)
    move = Move(north, south, ada)
    move.is_committed()
    told = ModeratorAction(CODE, "bob", move.id, "kick")
    south.hub.deliver(
        [*send((move.id,), told), Close(move.id, CloseCode.KICKED, "kicked by a moderator")], CODE
    )
    await south.settles()
    assert [message["type"] for message in move.back.hears()] == [
        "participant-joined", "participant-joined", "moderator-action",
    ]  # fmt: skip
    assert move.back.closed == 4501
    assert south.hub.roster.get(move.id) is None and south.hub.roster.participants == 0
