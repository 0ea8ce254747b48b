"""People in a test, on paper: what they make of what they hear."""

import asyncio

import pytest

from mikroroom.loadtest import payload
from mikroroom.loadtest.people import BURST, NOT_RESUMABLE, Book, Gone, JoinRefused, Room, Visit
from mikroroom.loadtest.score import Failure, Score
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import decode_request, encode, to_event


class Paper:
    """A line that keeps what is sent."""

    def __init__(self) -> None:
        self.is_paused = False
        self.sent: list[requests.Request] = []

    def send(self, message: bytes) -> None:
        self.sent.append(decode_request(message.decode()))


class Scene:
    """A room with people in it, and the score."""

    def __init__(self) -> None:
        self.score = Score()
        self.book = Book(self.score)
        self.room = Room("ABC123", 4)

    def person(
        self, name: str, *, is_late: bool = False, room: Room | None = None, is_resumable: bool = False
    ) -> tuple[Visit, Paper]:
        paper = Paper()
        visit = self.book.visit(room or self.room, paper, is_late=is_late, is_resumable=is_resumable)
        visit.id = name
        return visit, paper

    def failures(self) -> dict[str, int]:
        return {failure.value: count for failure, count in self.score.failures.items() if count}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def relay(paper: Paper, sender: Visit, receiver: Visit, *, room: str = "ABC123", sender_id: str = "") -> None:
    """Deliver the oldest message that was sent, as a server would."""
    request = paper.sent.pop(0)
    if isinstance(request, requests.Chat):
        event: events.Message = events.Chat(room, sender_id or sender.id, request.text)
    else:
        assert isinstance(request, requests.Relay)
        request.timestamp = 0
        event = to_event(request, room, sender_id or sender.id)
    receiver.hear(encode(event).decode())


async def test_an_offer_is_answered_and_both_are_counted(scene: Scene) -> None:
    (ada, from_ada), (bob, from_bob) = scene.person("ada"), scene.person("bob")
    ada.offer(bob)
    relay(from_ada, ada, bob)
    relay(from_bob, bob, ada)
    assert scene.score.delivered == {"offer": 1, "answer": 1, "ice-candidate": 0, "chat": 0}
    assert scene.score.latency["answer"].count == 1
    assert (ada.owed(bob), bob.owed(ada), scene.failures()) == (0, 0, {})


async def test_what_has_not_come_is_owed(scene: Scene) -> None:
    (ada, from_ada), (bob, _) = scene.person("ada"), scene.person("bob")
    ada.trickle(bob)
    ada.chat()
    assert ada.owed(bob) == BURST + 1
    from_ada.sent.pop(3)
    for _ in range(BURST):
        relay(from_ada, ada, bob)
    assert ada.owed(bob) == 1
    assert scene.failures() == {}


async def test_what_comes_again_or_out_of_order_is_counted(scene: Scene) -> None:
    (ada, from_ada), (bob, _) = scene.person("ada"), scene.person("bob")
    ada.trickle(bob)
    first, second = from_ada.sent[:2]
    from_ada.sent[:2] = [second, first, first]
    while from_ada.sent:
        relay(from_ada, ada, bob)
    assert scene.failures() == {"out_of_order": 1, "duplicated": 1}
    assert scene.score.delivered["ice-candidate"] == BURST


async def test_what_is_not_for_the_hearer_is_misrouted(scene: Scene) -> None:
    (ada, from_ada), (bob, _), (eve, _) = scene.person("ada"), scene.person("bob"), scene.person("eve")
    stranger, _ = scene.person("sam", room=Room("ZZZ999", 4))
    ada.trickle(bob)
    ada.chat()
    relay(from_ada, ada, eve)
    relay(from_ada, ada, bob, sender_id="eve")
    relay(from_ada, ada, bob, room="ZZZ999")
    from_ada.sent[:] = from_ada.sent[-1:]
    relay(from_ada, ada, stranger)
    assert scene.failures() == {"misrouted": 4}
    assert scene.score.all_delivered == 0


async def test_what_is_no_message_or_has_another_payload_is_counted(scene: Scene) -> None:
    bob, _ = scene.person("bob")
    bob.hear("{")
    bob.hear(encode(events.Chat("ABC123", "ada", "Hello everyone!")).decode())
    bob.hear(encode(events.Offer("ABC123", "ada", "bob")).decode())
    bob.hear('{"type":"of-another-version"}')
    assert scene.failures() == {"unreadable": 1, "altered": 2}


async def test_a_latecomer_is_not_owed_what_was_said_before(scene: Scene) -> None:
    (ada, from_ada), (bob, _) = scene.person("ada"), scene.person("bob", is_late=True)
    for _ in range(4):
        ada.chat()
    del from_ada.sent[:2]
    relay(from_ada, ada, bob)
    relay(from_ada, ada, bob)
    assert (ada.owed(bob), scene.failures()) == (0, {})


async def test_a_turn_is_over_when_what_was_done_has_arrived(scene: Scene) -> None:
    (ada, from_ada), (bob, from_bob) = scene.person("ada"), scene.person("bob")
    turns: list[Visit] = []
    ada.next_turn = turns.append
    ada.chat()
    relay(from_ada, ada, ada)
    ada.offer(bob)
    relay(from_ada, ada, bob)
    relay(from_bob, bob, ada)
    assert turns == [ada, ada]
    ada.trickle(bob)
    for _ in range(BURST - 1):
        relay(from_ada, ada, bob)
    assert turns == [ada, ada]
    relay(from_ada, ada, bob)
    assert turns == [ada, ada, ada]


async def test_a_turn_is_over_when_the_peer_cannot_answer(scene: Scene) -> None:
    (ada, from_ada), (bob, from_bob) = scene.person("ada"), scene.person("bob")
    turns: list[Visit] = []
    ada.next_turn = turns.append
    bob.line.is_paused = True
    ada.offer(bob)
    relay(from_ada, ada, bob)
    assert (turns, from_bob.sent, scene.failures()) == ([ada], [], {})


async def test_what_comes_after_it_was_given_up_makes_no_second_turn(scene: Scene) -> None:
    ada, from_ada = scene.person("ada")
    turns: list[Visit] = []
    ada.next_turn = turns.append
    ada.chat()
    ada.chat()
    relay(from_ada, ada, ada)
    assert turns == []
    relay(from_ada, ada, ada)
    assert turns == [ada]


# Joining


async def joining(scene: Scene) -> tuple[Visit, asyncio.Task[int]]:
    ada, _ = scene.person("")
    task = asyncio.create_task(ada.join())
    await asyncio.sleep(0)
    return ada, task


async def test_the_first_to_be_shown_under_ones_own_name_is_oneself(scene: Scene) -> None:
    ada, task = await joining(scene)
    ada.hear(encode(events.ParticipantJoined("ABC123", "b", name="of the room before")).decode())
    ada.hear(encode(events.ParticipantJoined("ABC123", "a", name=ada.name)).decode())
    ada.hear(encode(events.ParticipantJoined("ABC123", "b", name="Bob")).decode())
    ada.hear(encode(events.ParticipantJoined("ABC123", "c", name="Cem")).decode())
    ada.hear(encode(events.ParticipantLeft("ABC123", "b")).decode())
    assert await task >= 0
    assert (ada.id, ada.roster) == ("a", {"a", "c"})


async def test_a_join_may_be_refused(scene: Scene) -> None:
    ada, task = await joining(scene)
    ada.hear(encode(events.Error("", "", code="ROOM_FULL", request_type="join")).decode())
    with pytest.raises(JoinRefused, match="ROOM_FULL"):
        await task
    assert scene.score.refusals == {"ROOM_FULL": 1}
    assert scene.failures() == {}


async def test_a_connection_that_is_closed_is_a_failure_unless_the_visit_is_over(scene: Scene) -> None:
    ada, task = await joining(scene)
    ada.lose(1011)
    with pytest.raises(Gone, match="1011"):
        await task
    bob, _ = scene.person("bob")
    bob.leave()
    bob.lose(1006)
    assert (scene.score.closes, scene.failures()) == ({1011: 1}, {"closed": 1})


async def test_a_connection_that_is_closed_for_its_rate_is_refused(scene: Scene) -> None:
    ada, _ = scene.person("ada")
    ada.hear(encode(events.Error("", "", code="RATE_LIMITED")).decode())
    ada.lose(4003)
    assert scene.score.refusals == {"RATE_LIMITED": 1, "closed for the message rate": 1}
    assert (scene.score.closes, scene.failures()) == ({4003: 1}, {})


async def test_who_is_over_the_rate_is_known(scene: Scene) -> None:
    ada, _ = scene.person("ada")
    ada.hear(encode(events.Error("", "", code="RATE_LIMITED")).decode())
    assert ada.was_limited
    ada.hear(encode(events.Error("", "", code="SERVER_ERROR", request_type="chat")).decode())
    assert scene.score.failures == {Failure.SERVER_ERRORS: 1}


# Coming back


async def returning(
    scene: Scene, *, replayed: bool = True
) -> tuple[Visit, Visit, asyncio.Task[int], list[str]]:
    """Ada has heard of Bob and of a chat of his, is cut off, and is let in again."""
    (ada, _), (bob, _) = scene.person("", is_resumable=True), scene.person("b")
    bob.said = 1
    text = payload.chat(bob.number, 1, 0).text
    heard = [
        encode(events.ParticipantJoined("ABC123", "a", name=ada.name, resume_token="first", seq=1)).decode(),
        encode(events.ParticipantJoined("ABC123", "b", name="Bob", seq=2)).decode(),
        encode(events.Chat("ABC123", "b", text, seq=3)).decode(),
    ]
    joining = asyncio.create_task(ada.join())
    await asyncio.sleep(0)
    for message in heard:
        ada.hear(message)
    await joining
    line = Paper()
    task = asyncio.create_task(ada.resume(line))
    await asyncio.sleep(0)
    assert line.sent == [requests.Join(room_id="ABC123", resume_token="first", last_seq=0)]
    own = events.ParticipantJoined(
        "ABC123", "a", resume_token="second", seq=0 if replayed else 9, resumed=True, replayed=replayed
    )
    ada.hear(encode(own).decode())
    return ada, bob, task, heard


async def test_who_is_back_hears_again_what_was_heard_before_and_counts_it_once(scene: Scene) -> None:
    ada, _, task, heard = await returning(scene)
    for message in heard:
        await asyncio.sleep(0)
        assert not task.done()
        ada.hear(message)
    assert await task > 0
    assert (ada.roster, scene.score.delivered["chat"], scene.failures()) == ({"a", "b"}, 1, {})


async def test_what_comes_again_and_is_not_the_same_is_counted(scene: Scene) -> None:
    ada, _, task, heard = await returning(scene)
    ada.hear(heard[0])
    ada.hear(heard[1].replace("Bob", "Eve"))
    ada.hear(heard[2])
    await task
    assert scene.failures() == {"altered": 1}


async def test_who_is_told_all_anew_knows_nobody_of_before(scene: Scene) -> None:
    ada, _, task, _ = await returning(scene, replayed=False)
    assert await task > 0
    assert (ada.roster, scene.failures()) == ({"a"}, {"not_replayed": 1})
    ada.hear(encode(events.ParticipantJoined("ABC123", "c", name="Cem", seq=10)).decode())
    assert (ada.roster, scene.failures()) == ({"a", "c"}, {"not_replayed": 1})


async def test_a_message_that_is_left_out_or_comes_twice_is_misnumbered(scene: Scene) -> None:
    ada, _, task, heard = await returning(scene)
    for message in heard:
        ada.hear(message)
    await task
    left = encode(events.ParticipantLeft("ABC123", "b", seq=5)).decode()
    ada.hear(left)
    ada.hear(left)
    assert (ada.roster, scene.failures()) == ({"a"}, {"misnumbered": 2})


async def test_who_has_lost_its_connection_is_not_there_until_it_is_back(scene: Scene) -> None:
    ada, _ = scene.person("a")
    ada.roster = {"a", "b"}
    ada.hear(encode(events.ParticipantUpdated("ABC123", "b", is_connected=False)).decode())
    ada.hear(encode(events.ParticipantJoined("ABC123", "c", name="Cem", is_connected=False)).decode())
    assert ada.roster == {"a"}
    ada.hear(encode(events.ParticipantUpdated("ABC123", "b")).decode())
    assert ada.roster == {"a", "b"}


async def test_a_server_that_gives_no_token_is_told_of_and_nothing_else_changes(scene: Scene) -> None:
    ada, _ = scene.person("", is_resumable=True)
    task = asyncio.create_task(ada.join())
    await asyncio.sleep(0)
    ada.hear(encode(events.ParticipantJoined("ABC123", "a", name=ada.name)).decode())
    await task
    ada.hear(encode(events.ParticipantJoined("ABC123", "b", name="Bob")).decode())
    assert (ada.numbering, ada.roster, scene.failures()) == (None, {"a", "b"}, {})
    assert scene.score.refusals == {NOT_RESUMABLE: 1}
