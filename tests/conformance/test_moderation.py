"""What moderators may do to others, and who is host next (R19, R24, R25)."""

import uuid

import pytest

from .conftest import StageWith
from .people import Message, eventually, ids, make_moderator
from .stage import Stage

MODERATOR_VERBS: list[tuple[str, dict[str, object]]] = [
    ("moderator-action", {"action": "mute"}),
    ("moderator-action", {"action": "unmute"}),
    ("moderator-action", {"action": "kick"}),
    ("moderator-action", {"action": "make-moderator"}),
    ("room-locked", {}),
    ("room-unlocked", {}),
    ("admit-user", {}),
    ("reject-user", {"reason": "No"}),
]


# Who may


@pytest.mark.parametrize(("kind", "fields"), MODERATOR_VERBS, ids=str)
async def test_guest_may_not_moderate(stage: Stage, kind: str, fields: dict[str, object]) -> None:
    """R19: nobody but the guest hears of it, and nothing changes."""
    ada, bob, carl = await stage.locked_meeting("Ada", "Bob", "Carl")
    dan = await stage.waiting("Dan", ada)
    for target in (carl.id, ada.id, bob.id, dan.id, str(uuid.uuid4())):
        await bob.says(kind, targetId=target, isModerator=True, isHost=True, **fields)
        await bob.is_refused("UNAUTHORIZED", kind)
    for person in (ada, bob, carl, dan):
        await person.hears_nothing()


@pytest.mark.parametrize(("kind", "fields"), MODERATOR_VERBS, ids=str)
async def test_moderating_in_no_room_is_refused(stage: Stage, kind: str, fields: dict[str, object]) -> None:
    """R27: NOT_IN_ROOM, with another room's code in it or not."""
    (ada,) = await stage.meeting("Ada")
    eve = await stage.arrives("Eve")
    await eve.says(kind, targetId=ada.id, roomId=ada.room, participantId=ada.id, **fields)
    await eve.is_refused("NOT_IN_ROOM", kind)
    await ada.hears_nothing()


async def test_moderator_made_by_another_may_moderate(stage: Stage) -> None:
    """R24: the role is the server's to know, not the client's to say."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await make_moderator(ada, bob, carl)
    await bob.says("moderator-action", targetId=carl.id, action="mute")
    await ada.hears("participant-updated", participantId=carl.id, isMuted=True)


# Muting, promoting, kicking


async def test_mute_and_unmute_are_told_to_everyone_and_to_the_target(stage: Stage) -> None:
    """R24: the state to all, the action to the target alone."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    for action, muted in (("mute", True), ("unmute", False)):
        await ada.says("moderator-action", targetId=bob.id, action=action)
        for other in (ada, carl):
            await other.hears("participant-updated", participantId=bob.id, isMuted=muted)
        heard = {message["type"]: message for message in [await bob.hears_something() for _ in range(2)]}
        assert sorted(heard) == ["moderator-action", "participant-updated"]
        assert fields_of(heard["moderator-action"]) == (ada.id, bob.id, action)
        assert heard["participant-updated"]["isMuted"] is muted
    for person in (ada, bob, carl):
        await person.hears_nothing()


@pytest.mark.house
async def test_target_hears_the_action_before_the_state(stage: Stage) -> None:
    """R24 leaves the order open; here the cause comes first."""
    ada, bob = await stage.meeting("Ada", "Bob")
    for action in ("mute", "unmute", "make-moderator"):
        await ada.says("moderator-action", targetId=bob.id, action=action)
        await bob.hears("moderator-action", action=action)
        await bob.hears("participant-updated", participantId=bob.id)


async def test_new_moderator_is_told_to_everyone(stage: Stage) -> None:
    """R24: likewise, with ``isModerator: true``; the host stays who it was."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await ada.says("moderator-action", targetId=bob.id, action="make-moderator")
    for other in (ada, carl):
        await other.hears("participant-updated", participantId=bob.id, isModerator=True, isHost=False)
    heard = {message["type"]: message for message in [await bob.hears_something() for _ in range(2)]}
    assert fields_of(heard["moderator-action"]) == (ada.id, bob.id, "make-moderator")
    assert heard["participant-updated"]["isModerator"] is True


async def test_kicked_person_is_told_and_closed(stage: Stage) -> None:
    """R24, R28: 4501; the others hear exactly one ``participant-left``."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    action = await bob.hears("moderator-action")
    assert fields_of(action) == (ada.id, bob.id, "kick")
    await bob.is_closed_with(4501)
    for other in (ada, carl):
        await other.hears("participant-left", participantId=bob.id)
        await other.hears_nothing(after=ada)


async def test_kicked_person_who_comes_back_waits(stage: Stage) -> None:
    """R24: from the same address, as if the room were locked; others enter as ever, as it does elsewhere."""
    (ada,) = await stage.meeting("Ada")
    address = stage.address()
    bob = await stage.arrives("Bob", address=address)
    await stage.enters(bob, [ada])
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    await ada.hears("participant-left", participantId=bob.id)

    again = await stage.arrives("Bob", address=address)
    await again.knocks(ada.room)
    await ada.hears("waiting-room", participantId=again.id)
    carl = await stage.newcomer("Carl", ada)
    (zoe,) = await stage.meeting("Zoe")
    await stage.enters(await stage.arrives("Bob", address=address), [zoe])
    await carl.hears_nothing()

    await ada.says("admit-user", targetId=again.id)
    await again.is_let_in()
    await carl.hears("participant-joined", participantId=again.id)


async def test_kicked_person_enters_again_when_the_wait_is_over(stage_with: StageWith) -> None:
    """R24: ten minutes, here half a second."""
    stage = stage_with(KICK_WAIT="0.5")
    (ada,) = await stage.meeting("Ada")
    address = stage.address()
    bob = await stage.arrives("Bob", address=address)
    await stage.enters(bob, [ada])
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    await bob.hears("moderator-action")
    await bob.is_closed_with(4501)
    again = await stage.arrives("Bob", address=address)

    async def it_enters() -> bool:
        await again.asks_to_join(ada.room)
        if (await again.hears_something())["type"] == "participant-joined":
            return True
        await again.leaves()
        return False

    await eventually(it_enters)


@pytest.mark.house
async def test_kicked_person_enters_a_room_where_nobody_is(stage: Stage) -> None:
    """R24 has it wait, R4 makes it host; here nobody waits where nobody could admit."""
    code = (await stage.room())["roomId"]
    ada, address = await stage.arrives("Ada"), stage.address()
    bob = await stage.arrives("Bob", address=address)
    await ada.joins(code)
    await stage.enters(bob, [ada])
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    await ada.leaves()
    again = await stage.arrives("Bob", address=address)
    assert (await again.joins(code))["isHost"]


async def test_kicked_host_is_succeeded(stage: Stage) -> None:
    """R24, R25: a host who is no creator may be kicked by another moderator; there is a new one then."""
    room = await stage.room()
    ada, bob, carl = [await stage.arrives(name) for name in ("Ada", "Bob", "Carl")]
    await ada.joins(room["roomId"])
    await stage.enters(bob, [ada])
    await stage.enters(carl, [ada, bob])
    await make_moderator(ada, carl, bob)
    await carl.says("moderator-action", targetId=ada.id, action="kick")
    await ada.hears("moderator-action", action="kick")
    await ada.is_closed_with(4501)
    for person in (bob, carl):
        await person.hears("participant-left", participantId=ada.id)
        await person.hears("participant-updated", participantId=carl.id, isHost=True, isModerator=True)
        await person.hears_nothing()


async def test_creator_cannot_be_kicked(stage: Stage) -> None:
    """R11: not even by a moderator; the answer's code is left open."""
    room = await stage.room()
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(room["roomId"])
    await bob.joins(room["roomId"], creatorToken=room["creatorToken"])
    await ada.hears_everything()
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    await ada.hears("error", requestType="moderator-action")
    await bob.hears_until("participant-joined", participantId=ada.id)
    await bob.hears_everything()
    await bob.says("chat", text="still here")
    await ada.hears("chat", participantId=bob.id)


@pytest.mark.house
async def test_kicking_a_creator_or_oneself_is_unauthorized(stage: Stage) -> None:
    """R11 says that it must not work; here the code is the one for what a moderator may not do."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await make_moderator(ada, bob)
    for moderator, target in ((bob, ada), (bob, bob)):
        await moderator.says("moderator-action", targetId=target.id, action="kick")
        await moderator.is_refused("UNAUTHORIZED", "moderator-action")
    await ada.hears_nothing()


@pytest.mark.parametrize("action", ["mute", "unmute", "kick", "make-moderator"])
async def test_action_on_nobody_in_the_room_is_refused(stage: Stage, action: str) -> None:
    """R14, R27: TARGET_NOT_FOUND; someone unknown, elsewhere, gone, or only waiting."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    (zoe,) = await stage.meeting("Zoe")
    gone = bob.id
    await bob.leaves()
    await ada.hears("participant-left")
    carl = await stage.waiting("Carl", ada)
    for target in (str(uuid.uuid4()), "", zoe.id, gone, carl.id):
        await ada.says("moderator-action", targetId=target, action=action)
        await ada.is_refused("TARGET_NOT_FOUND", "moderator-action")
    for person in (zoe, carl):
        await person.hears_nothing()


@pytest.mark.parametrize("action", ["ban", "", None, 5, "MUTE", ["mute"]], ids=repr)
async def test_unknown_action_is_malformed(stage: Stage, action: object) -> None:
    """R27."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("moderator-action", targetId=bob.id, action=action)
    await ada.is_refused("INVALID_MESSAGE", "moderator-action")
    await bob.hears_nothing()


# The next host


@pytest.mark.parametrize("way", ["leaves", "hangs_up", "vanishes"])
async def test_longest_present_participant_becomes_host(stage: Stage, way: str) -> None:
    """R25: gone, made moderator, updated; in this order."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    was = ada.id
    await getattr(ada, way)()
    await bob.hears("participant-left", participantId=was)
    await bob.hears("moderator-action", action="make-moderator", targetId=bob.id)
    await carl.hears("participant-left", participantId=was)
    for person in (bob, carl):
        await person.hears("participant-updated", participantId=bob.id, isHost=True, isModerator=True)
        await person.hears_nothing()
    await bob.says("room-locked")
    await carl.hears("room-locked", lockedBy=bob.id)


@pytest.mark.house
async def test_automatic_promotion_is_nobodys_doing(stage: Stage) -> None:
    """R25 leaves open whose action it is; here the server's, who has no id."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.leaves()
    await bob.hears("participant-left")
    await bob.hears("moderator-action", participantId="")


async def test_moderator_becomes_host_before_whoever_is_there_longer(stage: Stage) -> None:
    """R25: and needs no ``make-moderator``."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await make_moderator(ada, carl, bob)
    was = ada.id
    await ada.leaves()
    for person in (bob, carl):
        await person.hears("participant-left", participantId=was)
        await person.hears("participant-updated", participantId=carl.id, isHost=True, isModerator=True)
        await person.hears_nothing()


async def test_guest_who_leaves_changes_no_host(stage: Stage) -> None:
    """R25: only when the host leaves."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl")
    await bob.leaves()
    for person in (ada, carl):
        await person.hears("participant-left")
        await person.hears_nothing()


async def test_new_host_hears_who_waits(stage: Stage) -> None:
    """R20, R25: after its ``make-moderator``; nobody is forgotten."""
    ada, bob = await stage.locked_meeting("Ada", "Bob")
    carl, dan = await stage.waiting("Carl", ada), await stage.waiting("Dan", ada)
    await ada.leaves()
    heard = await bob.hears_until("waiting-room", participantId=dan.id)
    heard += await bob.hears_everything()
    kinds = [message["type"] for message in heard]
    assert ids(heard, "waiting-room") == [carl.id, dan.id]
    assert kinds.index("moderator-action") < kinds.index("waiting-room")
    await bob.says("admit-user", targetId=dan.id)
    await dan.is_let_in()


async def test_host_after_host_there_is_always_exactly_one(stage: Stage) -> None:
    """R25: one after the other goes."""
    people = await stage.meeting("Ada", "Bob", "Carl", "Dan")
    while len(people) > 1:
        await people.pop(0).leaves()
        newcomer = await stage.arrives("Newcomer")
        await newcomer.joins(people[0].room)
        heard = await newcomer.hears_everything()
        assert [message["participantId"] for message in heard if message["isHost"]] == [people[0].id]
        await newcomer.leaves()


def fields_of(action: Message) -> tuple[str, str, str]:
    """Who did what to whom."""
    return action["participantId"], action["targetId"], action["action"]
