"""Locks and the waiting room, to the end of the meeting (R20 to R23, R26)."""

import uuid

import pytest

from .conftest import StageWith
from .people import ids, make_moderator
from .stage import Stage

# Locking


async def test_lock_and_unlock_are_announced_to_all(stage: Stage) -> None:
    """R20: the sender included, whoever the client says it was."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for kind, who in (("room-locked", "lockedBy"), ("room-unlocked", "unlockedBy")):
        await ada.says(kind, **{who: bob.id})
        for person in (ada, bob):
            await person.hears(kind, **{who: ada.id})


async def test_newcomer_to_a_locked_room_waits(stage: Stage) -> None:
    """R20: it and every moderator hear so; guests do not."""
    ada, bob, carl = await stage.locked_meeting("Ada", "Bob", "Carl")
    await make_moderator(ada, bob, carl)
    dan = await stage.waiting("Dan", ada, bob)
    assert uuid.UUID(dan.id).version == 4
    await dan.hears_nothing()
    await carl.hears_nothing()


async def test_unlocked_room_lets_a_newcomer_in_again(stage: Stage) -> None:
    """R20."""
    (ada,) = await stage.locked_meeting("Ada")
    await ada.says("room-unlocked")
    await ada.hears("room-unlocked")
    bob = await stage.newcomer("Bob", ada)
    await bob.hears_nothing()


async def test_waiting_person_hears_nothing_of_the_room(stage: Stage) -> None:
    """R20: only participants do."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    carl = await stage.waiting("Carl", ada)
    await ada.says("chat", text="private")
    await ada.says("raise-hand")
    await ada.says("participant-updated", isMuted=True)
    await bob.leaves()
    await carl.hears_nothing(after=ada)


@pytest.mark.house
async def test_waiting_person_may_only_leave(stage: Stage) -> None:
    """R20: whoever waits is not in the room yet; a second join is one join too many."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    carl = await stage.waiting("Carl", ada)
    said: list[tuple[str, dict[str, object]]] = [
        ("chat", {"text": "hi"}), ("offer", {"targetId": ada.id, "sdp": "x"}), ("raise-hand", {}),
        ("participant-updated", {"isMuted": True}), ("recording-started", {}), ("room-unlocked", {}),
        ("admit-user", {"targetId": carl.id}), ("moderator-action", {"targetId": ada.id, "action": "kick"}),
    ]  # fmt: skip
    for kind, fields in said:
        await carl.says(kind, **fields)
        await carl.is_refused("NOT_IN_ROOM", kind)
    await carl.asks_to_join(ada.room)
    await carl.is_refused("ALREADY_JOINED", "join")
    for person in (ada, bob):
        await person.hears_nothing()


async def test_later_moderator_hears_who_waits(stage: Stage) -> None:
    """R20: one ``waiting-room`` per person, after its own ``make-moderator``."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    carl, dan = await stage.waiting("Carl", ada), await stage.waiting("Dan", ada)
    await ada.says("moderator-action", targetId=bob.id, action="make-moderator")
    await ada.is_done()
    heard = await bob.hears_everything()
    assert ids(heard, "waiting-room") == [carl.id, dan.id]
    kinds = [message["type"] for message in heard]
    assert kinds.index("moderator-action") < kinds.index("waiting-room")
    assert sorted(kinds) == ["moderator-action", "participant-updated", "waiting-room", "waiting-room"]


async def test_creator_hears_who_waits(stage: Stage) -> None:
    """R20: after its own ``participant-joined``."""
    room = await stage.room()
    ada = await stage.arrives("Ada")
    await ada.joins(room["roomId"])
    await ada.says("room-locked")
    await ada.hears("room-locked")
    carl, dan = await stage.waiting("Carl", ada), await stage.waiting("Dan", ada)
    bob = await stage.arrives("Bob")
    await bob.joins(room["roomId"], creatorToken=room["creatorToken"])
    assert ids(await bob.hears_everything(), "waiting-room") == [carl.id, dan.id]


async def test_full_waiting_room_turns_a_newcomer_away(stage_with: StageWith) -> None:
    """R20: the ceiling, here 2."""
    stage = stage_with(MAX_WAITING="2")
    (ada,) = await stage.locked_meeting("Ada")
    bob = await stage.waiting("Bob", ada)
    await stage.waiting("Carl", ada)
    dan = await stage.arrives("Dan")
    await dan.asks_to_join(ada.room)
    await dan.is_refused("WAITING_ROOM_FULL", "join")
    await ada.hears_nothing()

    await bob.leaves()
    await ada.hears("participant-left")
    await dan.knocks(ada.room)


# Admitting


async def test_admitted_person_enters_under_the_same_id(stage: Stage) -> None:
    """R21: as any newcomer would (R9)."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    carl = await stage.waiting("Carl", ada)
    await ada.says("admit-user", targetId=carl.id)
    await carl.is_let_in()
    for other in (ada, bob):
        await carl.hears("participant-joined", participantId=other.id, name=other.name)
        await other.hears("participant-joined", participantId=carl.id, name="Carl", isModerator=False)
    await carl.hears("room-locked", lockedBy=ada.id)
    for person in (ada, bob, carl):
        await person.hears_nothing(after=ada)
    await carl.says("chat", text="thank you")
    await bob.hears("chat", participantId=carl.id)


async def test_admitting_into_a_full_room_is_refused(stage: Stage) -> None:
    """R21: ROOM_FULL to the moderator; the person goes on waiting, and may enter later."""
    ada, bob = await stage.locked_meeting("Ada", "Bob", maxParticipants=2)
    carl = await stage.waiting("Carl", ada)
    await ada.says("admit-user", targetId=carl.id)
    await ada.is_refused("ROOM_FULL", "admit-user")
    await carl.hears_nothing()

    await bob.leaves()
    await ada.hears("participant-left")
    await ada.says("admit-user", targetId=carl.id)
    await carl.is_let_in()


@pytest.mark.parametrize("kind", ["admit-user", "reject-user"])
async def test_deciding_on_someone_who_does_not_wait_is_refused(stage: Stage, kind: str) -> None:
    """R21: never did, waits elsewhere, waits no more, or is in already."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    (zoe,) = await stage.locked_meeting("Zoe")
    elsewhere = await stage.waiting("Yves", zoe)
    gone = await stage.waiting("Carl", ada)
    await gone.hangs_up()
    await ada.hears("participant-left", participantId=gone.id)
    for target in (str(uuid.uuid4()), "", elsewhere.id, gone.id, bob.id, ada.id):
        await ada.says(kind, targetId=target)
        await ada.is_refused("TARGET_NOT_FOUND", kind)
    for person in (bob, zoe, elsewhere):
        await person.hears_nothing()


# Rejecting


async def test_rejected_person_is_told_why_and_closed(stage: Stage) -> None:
    """R22, R28: 4502; every moderator hears ``participant-left``, the guests nothing."""
    ada, bob, carl = await stage.locked_meeting("Ada", "Bob", "Carl")
    await make_moderator(ada, bob, carl)
    dan = await stage.waiting("Dan", ada, bob)
    await bob.says("reject-user", targetId=dan.id, reason="Another time")
    await dan.hears("reject-user", reason="Another time")
    await dan.is_closed_with(4502)
    for moderator in (ada, bob):
        await moderator.hears("participant-left", participantId=dan.id)
        await moderator.hears_nothing()
    await carl.hears_nothing()


@pytest.mark.parametrize("fields", [{}, {"reason": None}], ids=["absent", "null"])
async def test_rejecting_needs_no_reason(stage: Stage, fields: dict[str, object]) -> None:
    """R22, R10: it is optional."""
    (ada,) = await stage.locked_meeting("Ada")
    bob = await stage.waiting("Bob", ada)
    await ada.says("reject-user", targetId=bob.id, **fields)
    await bob.hears("reject-user")
    await bob.is_closed_with(4502)


@pytest.mark.parametrize("way", ["leaves", "hangs_up", "vanishes"])
async def test_moderators_hear_when_a_waiting_person_goes(stage: Stage, way: str) -> None:
    """R22: by word or not; guests hear nothing."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    carl = await stage.waiting("Carl", ada)
    was = carl.id
    await getattr(carl, way)()
    await ada.hears("participant-left", participantId=was)
    await ada.hears_nothing()
    await bob.hears_nothing()


async def test_waiting_person_who_left_may_join_again(stage: Stage) -> None:
    """R17, R22: its connection stays open."""
    (ada,) = await stage.locked_meeting("Ada")
    carl = await stage.waiting("Carl", ada)
    await carl.leaves()
    await ada.hears("participant-left")
    await carl.knocks(ada.room)
    await ada.hears("waiting-room", participantId=carl.id)


# Unlocking


async def test_unlocking_admits_everyone_waiting_in_order(stage: Stage) -> None:
    """R23."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    waiting = [await stage.waiting(name, ada) for name in ("Carl", "Dan", "Eve")]
    await ada.says("room-unlocked")
    await ada.is_done()
    for present in (ada, bob):
        heard = await present.hears_everything()
        assert ids(heard, "participant-joined") == [person.id for person in waiting]
        assert len(ids(heard, "room-unlocked")) == 1
    for number, person in enumerate(waiting):
        await person.is_let_in()
        heard = await person.hears_everything()
        others = [other.id for other in (ada, bob, *waiting) if other is not person]
        assert ids(heard, "participant-joined") == others, "those before it, then those after it"
        assert not ids(heard, "room-locked"), number


async def test_who_finds_no_seat_at_unlocking_enters_when_one_is_free(stage: Stage) -> None:
    """R23: in order, and before newcomers; by word, by a lost connection, by a kick."""
    ada, bob, carl = await stage.locked_meeting("Ada", "Bob", "Carl", maxParticipants=4)
    dan, eve, fay, gil = [await stage.waiting(name, ada) for name in ("Dan", "Eve", "Fay", "Gil")]
    await ada.says("room-unlocked")
    await dan.is_let_in()
    for person in (eve, fay, gil):
        await person.hears_nothing(after=ada)
    newcomer = await stage.arrives("Newcomer")
    await newcomer.asks_to_join(ada.room)
    await newcomer.is_refused("ROOM_FULL")

    await bob.leaves()
    await eve.is_let_in()
    await fay.hears_nothing(after=eve)
    await carl.hangs_up()
    await fay.is_let_in()
    await newcomer.asks_to_join(ada.room)
    await newcomer.is_refused("ROOM_FULL")
    await gil.hears_nothing(after=fay)
    await ada.says("moderator-action", targetId=eve.id, action="kick")
    await gil.is_let_in()


# The end


@pytest.mark.parametrize("way", ["leaves", "hangs_up", "vanishes"])
async def test_waiting_people_are_sent_away_when_the_meeting_ends(stage: Stage, way: str) -> None:
    """R26, R28: ``reject-user`` ("Meeting ended"), then 4504."""
    (ada,) = await stage.locked_meeting("Ada")
    waiting = [await stage.waiting(name, ada) for name in ("Bob", "Carl")]
    await getattr(ada, way)()
    for person in waiting:
        await person.hears("reject-user", reason="Meeting ended")
        await person.is_closed_with(4504)


async def test_pre_created_room_is_unlocked_when_it_empties(stage: Stage) -> None:
    """R26: who waited is sent away; who comes next walks in, as host."""
    room = await stage.room()
    ada = await stage.arrives("Ada")
    await ada.joins(room["roomId"])
    await ada.says("room-locked")
    await ada.hears("room-locked")
    bob = await stage.waiting("Bob", ada)
    await ada.leaves()
    await bob.hears("reject-user", reason="Meeting ended")
    await bob.is_closed_with(4504)

    carl = await stage.arrives("Carl")
    assert (await carl.joins(room["roomId"]))["isHost"]
    await carl.hears_nothing()
