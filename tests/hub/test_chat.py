"""Chat that rooms keep, that is for one person alone, and that is taken back."""

import pytest

from mikroroom.core.effects import Resumed, Seated, Suspended, send
from mikroroom.protocol import events
from mikroroom.protocol.codec import encode
from mikroroom.protocol.codes import CloseCode
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Step, Verb

from .cast import CODE, NOON, POLICY, Clock, House, Message, Person
from .conftest import HouseWith
from .test_elsewhere import Elsewhere
from .test_resume import Far


class Watched(MemoryStore):
    """A store that counts what is done to its rooms."""

    def __init__(self) -> None:
        super().__init__(max_rooms=100, max_latent_rooms=10, policy=POLICY, clock=Clock())
        self.changes = 0

    def transact(self, code: str, verb: Verb) -> Step:
        self.changes += 1
        return super().transact(code, verb)


@pytest.fixture
async def keeping(house_with: HouseWith) -> House:
    """A house whose rooms keep their chat."""
    return house_with(chat_history=100)


def chats(messages: list[Message]) -> list[str]:
    """The texts of chats; of what was said before in brackets."""
    return [
        f"[{message['name']}: {message['text']}]" if message.get("isHistory") else message["text"]
        for message in messages
        if message["type"] == "chat"
    ]


# Nothing is kept


async def test_chat_that_is_not_kept_touches_no_room(house_with: HouseWith) -> None:
    house = house_with(store := Watched())
    ada, bob = house.meeting("Ada", "Bob")
    changes = store.changes
    ada.says("chat", text="hello")
    ada.says("chat", text="psst", targetId=bob.id)
    assert store.changes == changes
    assert ada.session._deciding is None
    house.arrives("Cleo").joins()
    assert chats(house.people[-1].hears()) == []


async def test_chat_is_byte_for_byte_what_it_was(house_with: HouseWith) -> None:
    """Kept or not, for those who are there."""
    for kept in (0, 100):
        house = house_with(chat_history=kept)
        [ada] = house.meeting("Ada")
        ada.says("chat", text="hello", replyTo="7-x")
        assert ada.tape.frames[-1].decode() == (
            f'{{"type":"chat","roomId":"{CODE}","participantId":"{ada.id}","text":"hello",'
            f'"messageId":"{NOON}-{ada.id}","replyTo":"7-x","timestamp":{NOON}}}'
        )


# Coming later


async def test_late_joiner_hears_what_was_said_with_its_own_time_and_the_name(keeping: House) -> None:
    ada, bob = keeping.meeting("Ada", "Bob")
    bob.says("chat", text="one")
    keeping.wall.passes(5_000)
    bob.says("leave")
    cleo = keeping.arrives("Cleo")
    cleo.joins()
    ada.says("chat", text="two")
    own, _, history, live = cleo.hears()
    assert history == {
        "type": "chat",
        "roomId": CODE,
        "participantId": bob.id,
        "text": "one",
        "messageId": f"{NOON}-{bob.id}",
        "isHistory": True,
        "name": "Bob",
        "timestamp": NOON,
    }
    assert own["timestamp"] == NOON + 5_000
    assert live.keys().isdisjoint({"isHistory", "name"})


async def test_one_who_waits_hears_it_when_admitted_and_not_before(keeping: House) -> None:
    [ada] = keeping.meeting("Ada")
    ada.says("chat", text="before")
    ada.says("room-locked")
    wanda = keeping.arrives("Wanda")
    wanda.joins()
    ada.says("chat", text="meanwhile")
    assert wanda.hears_types() == ["waiting-room"]
    ada.says("admit-user", targetId=wanda.session.id)
    assert chats(wanda.hears()) == ["[Ada: before]", "[Ada: meanwhile]"]


async def test_chat_that_has_to_be_waited_for_keeps_its_order(house_with: HouseWith) -> None:
    store = Far()
    house = house_with(store, chat_history=100)
    store._clock = house.clock
    ada = house.arrives("Ada")
    ada.joins(isHost=True)
    await house.settles()
    for number in range(3):
        ada.says("chat", text=str(number))
    ada.says("chat", text="psst", targetId=ada.session.id)
    ada.says("leave")
    ada.says("chat", text="too late")
    await house.settles()
    assert ada.hears_types()[-5:] == ["chat", "chat", "chat", "chat", "NOT_IN_ROOM"]


async def test_one_senders_stamps_increase_over_all_that_it_says(keeping: House) -> None:
    """R15: to all, to one, and after it came back."""
    ada, bob = keeping.meeting("Ada", "Bob", resume=True)
    ada.says("chat", text="one")
    ada.says("chat", text="two", targetId=bob.id)
    ada.hears()
    ada.is_lost()
    keeping.wall.passes(-1_000)
    back = keeping.comes_back(ada)
    back.says("chat", text="three")
    stamps = [message["timestamp"] for message in bob.hears() if message["type"] == "chat"]
    assert stamps == [NOON, NOON + 1, NOON + 2]


# Coming back


async def test_one_who_comes_back_misses_nothing_and_hears_nothing_twice(keeping: House) -> None:
    ada, bob = keeping.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="heard")
    ada.hears()
    ada.is_lost()
    bob.says("chat", text="missed")
    back = keeping.comes_back(ada)
    bob.says("chat", text="after")
    own, *rest = back.hears()
    assert own["replayed"] is True
    assert chats(rest) == ["missed", "after"]


async def test_one_who_comes_back_after_too_much_hears_what_is_kept(house_with: HouseWith) -> None:
    house = house_with(chat_history=3, resume_messages=4)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    ada.is_lost()
    for number in range(6):
        bob.says("chat", text=str(number))
    back = house.comes_back(ada)
    bob.says("chat", text="after")
    own, *rest = back.hears()
    assert own["replayed"] is False
    assert chats(rest) == ["[Bob: 3]", "[Bob: 4]", "[Bob: 5]", "after"]


async def test_page_that_was_reloaded_hears_what_is_kept(keeping: House) -> None:
    ada, bob = keeping.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="one")
    bob.says("chat", text="private", targetId=ada.id)
    ada.hears()
    back = keeping.comes_back(ada, restart=True)
    assert chats(back.hears()) == ["[Bob: one]"]


async def test_where_something_was_missed_what_is_kept_is_not_told_twice(keeping: House) -> None:
    """What people have said meanwhile follows; but of chat only what is not kept: it is private, say."""
    ada, bob = keeping.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="public")
    bob.says("chat", text="private", targetId=ada.id)
    bob.says("chat", text="taken back")
    bob.says("delete-message", messageId=f"{NOON + 2}-{bob.id}")
    bob.says("chat", text="public again")
    keeping.hub.cut_off(CODE)
    await keeping.settles()
    own, *rest = keeping.comes_back(ada).hears()
    assert own["replayed"] is False
    assert chats(rest) == ["[Bob: public]", "[Bob: public again]", "private", "taken back"]
    assert rest[-1]["type"] == "message-deleted"


async def test_what_came_before_the_comeback_elsewhere_is_not_told_twice(house_with: HouseWith) -> None:
    """Somebody's place was inherited, people chat, and only then it is back: nobody has its mailbox."""
    house = house_with(chat_history=100)
    ada, _ = house.meeting("Ada", "Bob", resume=True)
    hub, who = house.hub, ada.id
    ada.is_lost()
    hub.part_with(who, CloseCode.RESTARTING)
    hub.expect_kept(who)
    hub.deliver([Suspended(who, CODE, "192.0.2.1"), Seated(who, 8)], CODE)

    def said(text: str, stamp: int, **more: object) -> events.Chat:
        return events.Chat(CODE, "bob", text, f"{stamp}-bob", timestamp=stamp, **more)  # type: ignore[arg-type]

    hub.deliver(send((who,), said("one", 1)), CODE)
    back = house.arrives("Ada")
    hub.roster.expect_back(back.session, "again", CODE, ada.last_seq)
    own = events.ParticipantJoined(CODE, who, name="Ada")
    history = said("one", 1, is_history=True, name="Bob")
    hub.deliver([Resumed(who, "again", own, (history,), is_restart=False), Seated(who, 8)], CODE)
    hub.deliver(send((who,), said("two", 2)), CODE)
    hub.take_over(who, None)
    assert chats(back.hears()) == ["[Bob: one]", "two"]


@pytest.mark.parametrize("is_planned", [True, False])
async def test_chat_outlives_a_restart_with_the_meeting(house_with: HouseWith, *, is_planned: bool) -> None:
    """R46."""
    house = house_with(chat_history=100)
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.says("chat", text="before")
    ada.hears()
    house = await house.restarts() if is_planned else house.crashes()
    back = house.comes_back(ada)
    assert chats(back.hears()) == ([] if is_planned else ["[Bob: before]"])
    cleo = house.arrives("Cleo")
    cleo.joins()
    assert chats(cleo.hears()) == ["[Bob: before]"]


async def test_next_meeting_in_a_room_reads_nothing_of_the_last(keeping: House) -> None:
    [ada] = keeping.meeting("Ada")
    ada.says("chat", text="for our ears")
    ada.is_lost()
    await keeping.settles()
    bob = keeping.arrives("Bob")
    bob.joins()
    assert bob.hears_types() == ["participant-joined"]


# To one alone


async def test_private_message_goes_to_one_and_back_to_who_said_it(keeping: House) -> None:
    ada, bob, cleo = keeping.meeting("Ada", "Bob", "Cleo")
    ada.says("chat", text="psst", targetId=bob.id, replyTo="7-x")
    assert bob.tape.frames[-1] == ada.tape.frames[-1]
    [message] = bob.hears()
    assert message == {
        "type": "chat",
        "roomId": CODE,
        "participantId": ada.id,
        "text": "psst",
        "messageId": f"{NOON}-{ada.id}",
        "replyTo": "7-x",
        "targetId": bob.id,
        "timestamp": NOON,
    }
    assert cleo.hears() == []
    dora = keeping.arrives("Dora")
    dora.joins()
    assert chats(dora.hears()) == []


async def test_private_message_to_oneself_comes_once(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    ada.says("chat", text="note", targetId=ada.id)
    assert (chats(ada.hears()), bob.hears()) == (["note"], [])


@pytest.mark.parametrize("target", ["nobody", ""])
async def test_private_message_to_nobody_is_refused_and_not_told_to_all(house: House, target: str) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    [eve] = house.meeting("Eve", code="EVE666")
    for target_id in (target, eve.id):
        ada.says("chat", text="psst", targetId=target_id)
        assert (ada.hears_types(), bob.hears(), eve.hears()) == (["TARGET_NOT_FOUND"], [], [])


async def test_private_message_waits_for_who_is_away(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob", resume=True)
    bob.is_lost()
    ada.says("chat", text="psst", targetId=bob.id)
    back = house.comes_back(bob)
    assert [message["text"] for message in back.hears() if "targetId" in message] == ["psst"]
    seqs = [message["seq"] for message in ada.hears()]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_private_message_reaches_who_is_elsewhere(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    house.hub.meet(CODE, far := Elsewhere("cleo"))
    ada.says("chat", text="psst", targetId="cleo")
    [event] = far.told
    assert isinstance(event, events.Chat)
    assert encode(event) == ada.tape.frames[-1]
    assert (chats(ada.hears()), bob.hears()) == (["psst"], [])
    far.is_full = True
    ada.says("chat", text="psst", targetId="cleo")
    ada.says("chat", text="psst", targetId="nobody")
    assert ada.hears_types() == ["SERVER_ERROR", "TARGET_NOT_FOUND"]


async def test_one_who_is_no_participant_says_nothing_to_anybody(house: House) -> None:
    ada, bob = house.meeting("Ada", "Bob")
    ada.says("room-locked")
    wanda = house.arrives("Wanda")
    wanda.joins()
    house.nobody_listens()
    wanda.says("chat", text="psst", targetId=ada.id)
    ada.says("chat", text="psst", targetId=wanda.session.id)
    bob.says("leave")
    bob.says("chat", text="psst", targetId=ada.id)
    assert (wanda.hears_types(), bob.hears_types()) == (["NOT_IN_ROOM"], ["NOT_IN_ROOM"])
    assert ada.hears_types() == ["TARGET_NOT_FOUND", "participant-left"]


# Taking back


@pytest.mark.parametrize("kept", [0, 100])
async def test_message_is_taken_back_by_its_author_or_a_moderator(house_with: HouseWith, kept: int) -> None:
    house = house_with(chat_history=kept)
    ada, bob, cleo = house.meeting("Ada", "Bob", "Cleo")
    for text in ("one", "two"):
        bob.says("chat", text=text)
    first, second = [message["messageId"] for message in bob.hears()]
    house.nobody_listens()
    bob.says("delete-message", messageId=first)
    ada.says("delete-message", messageId=second)
    [by_bob, by_ada] = cleo.hears()
    assert by_bob == {
        "type": "message-deleted",
        "roomId": CODE,
        "participantId": bob.id,
        "messageId": first,
        "deletedBy": bob.id,
        "timestamp": NOON,
    }
    assert (by_ada["messageId"], by_ada["deletedBy"]) == (second, ada.id)
    assert (bob.hears(), ada.hears()) == ([by_bob, by_ada], [by_bob, by_ada])
    dora = house.arrives("Dora")
    dora.joins()
    assert chats(dora.hears()) == []


async def test_message_of_another_or_of_no_form_is_not_taken_back(keeping: House) -> None:
    ada, bob = keeping.meeting("Ada", "Bob")
    ada.says("chat", text="hello")
    keeping.nobody_listens()
    bob.says("delete-message", messageId=f"{NOON}-{ada.id}")
    for message_id in (
        "",
        bob.id,
        f"x-{bob.id}",
        f"-{bob.id}",
        f"1-{bob.id}\n",
        "1" * 17 + "-b",
        f"1-{'b' * 65}",
    ):
        bob.says("delete-message", messageId=message_id)
    bob.says("delete-message")
    assert bob.hears_types() == ["UNAUTHORIZED", *["INVALID_MESSAGE"] * 8]
    assert ada.hears() == []


async def test_person_says_and_takes_back_only_in_its_own_room(keeping: House) -> None:
    [ada], [eve] = keeping.meeting("Ada"), keeping.meeting("Eve", code="EVE666")
    ada.says("chat", text="hello")
    ada.hears()
    eve.says("delete-message", messageId=f"{NOON}-{ada.id}", roomId=CODE)
    assert (ada.hears(), eve.hears_types()) == ([], ["message-deleted"])
    bob: Person = keeping.arrives("Bob")
    bob.joins()
    assert chats(bob.hears()) == ["[Ada: hello]"]
