"""Those whose connection is lost and who may come back: there still, but out of reach (R41)."""

import pytest

from .conftest import StageWith
from .people import Person, eventually, ids, make_moderator
from .stage import Stage

# All are losses: only `leave` is a word.
each_loss = pytest.mark.parametrize("way", ["vanishes", "falls_silent", "goes_away", "hangs_up"])


async def is_lost(person: Person, *others: Person) -> None:
    """Someone's connection is cut, and the others hear so."""
    await person.vanishes()
    for other in others:
        await other.hears("participant-updated", participantId=person.id, isConnected=False)


# What the others hear and see


@each_loss
async def test_lost_connection_leaves_a_suspended_participant(stage: Stage, way: str) -> None:
    """R41: reset, ended without a word, or closed in good order; the others hear its whole state, once."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl", resume=True)
    await make_moderator(ada, bob, carl)
    await bob.says("participant-updated", isMuted=True, isVideoOff=True)
    for other in (ada, carl):
        await other.hears("participant-updated", isMuted=True)
    await getattr(bob, way)()
    state = {"isMuted": True, "isVideoOff": True, "isHandRaised": False, "isModerator": True, "isHost": False}
    for other in (ada, carl):
        await other.hears("participant-updated", participantId=bob.id, isConnected=False, **state)
        await other.hears_nothing()


async def test_latecomer_sees_who_is_suspended(stage: Stage) -> None:
    """R12, R41: with all that is true of it."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    carl = await stage.arrives("Carl")
    await carl.joins(bob.room)
    await carl.hears("participant-joined", participantId=ada.id, isHost=True, isConnected=False)
    await carl.hears("participant-joined", participantId=bob.id, isHost=False, isConnected=True)
    await carl.hears_nothing()


async def test_suspended_participant_keeps_its_seat(stage: Stage) -> None:
    """R41: it counts for the capacity."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True, maxParticipants=2)
    await is_lost(bob, ada)
    carl = await stage.arrives("Carl")
    await carl.asks_to_join(ada.room)
    await carl.is_refused("ROOM_FULL", "join")
    await ada.hears_nothing()


async def test_suspended_host_stays_host(stage: Stage) -> None:
    """R41: nobody takes its place for a blink; R19: what only moderators may do waits for it."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(ada, bob)
    await bob.says("room-locked")
    await bob.is_refused("UNAUTHORIZED", "room-locked")
    await bob.hears_nothing()
    back = await stage.comes_back(ada, bob)
    await back.says("room-locked")
    await bob.hears("room-locked", lockedBy=ada.id)


async def test_room_of_suspended_people_is_as_they_left_it(stage: Stage) -> None:
    """R41: it is alive, and locked: whoever comes meanwhile waits, and is no host."""
    ada, bob = await stage.locked_meeting("Ada", "Bob", resume=True)
    await is_lost(bob, ada)
    await ada.vanishes()
    carl = await stage.arrives("Carl")
    await carl.knocks(ada.room)
    back = await stage.comes_back(ada)
    await back.hears("waiting-room", participantId=carl.id, name="Carl")
    await back.says("admit-user", targetId=carl.id)
    joined = await carl.is_let_in()
    assert not joined["isHost"]


async def test_recording_of_a_suspended_participant_goes_on(stage: Stage) -> None:
    """R18, R41: it is the client that records, and that is there still; latecomers are told."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await ada.says("recording-started")
    await bob.hears("recording-started")
    await is_lost(ada, bob)
    carl = await stage.arrives("Carl")
    await carl.joins(bob.room)
    assert ids(await carl.hears_everything(), "recording-started") == [ada.id]


async def test_person_who_does_not_read_is_suspended(stage: Stage) -> None:
    """R33, R28, R41: it is cut off (4001) like anyone else, and may come back to what there is now."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    bob.connection.transport.pause_reading()
    chunk = "x" * 200_000
    for index in range(80):  # far more than sockets and the server hold for one reader
        await ada.says("file-chunk", targetId=bob.id, chunk=chunk, index=index, total=80)
    await ada.hears("participant-updated", participantId=bob.id, isConnected=False)
    await ada.hears_nothing()
    back = await stage.arrives("Bob")
    assert (await back.resumes(bob))["replayed"] is False
    await back.hears("participant-joined", participantId=ada.id)
    if len(stage.site.workers) == 1:  # else the last chunks may be on their way still, and follow
        await back.hears_nothing()


# What others do to it


async def test_suspended_participant_is_spoken_to_like_any_other(stage: Stage) -> None:
    """R44: a sender need not care; it hears its own words, and no error."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(bob, ada)
    await ada.says("offer", targetId=bob.id, sdp="v=0")
    await ada.says("chat", text="are you there?")
    await ada.hears("chat")
    await ada.says("moderator-action", targetId=bob.id, action="mute")
    await ada.hears("participant-updated", participantId=bob.id, isMuted=True, isConnected=False)
    await ada.hears_nothing()


async def test_suspended_participant_who_is_kicked_is_gone(stage: Stage) -> None:
    """R24: one ``participant-left``, a free seat, and no way back."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True, maxParticipants=2)
    await is_lost(bob, ada)
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    await ada.hears("participant-left", participantId=bob.id)
    await stage.newcomer("Carl", ada)
    back = await stage.arrives("Bob")
    await back.asks_to_resume(bob)
    await back.is_refused("RESUME_FAILED", "join")
    await ada.hears_nothing()


async def test_host_is_chosen_from_those_who_are_connected(stage: Stage) -> None:
    """R25: connected before suspended, among moderators and among the others."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl", resume=True)
    await is_lost(bob, ada, carl)
    await ada.leaves()
    await carl.hears("participant-left")
    await carl.hears("moderator-action", action="make-moderator", targetId=carl.id)
    await carl.hears("participant-updated", participantId=carl.id, isHost=True)
    await carl.hears_nothing()


async def test_suspended_participant_may_become_host(stage: Stage) -> None:
    """R25: where nobody else is; it finds out when it is back."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(bob, ada)
    await ada.leaves()
    back = await stage.arrives("Bob")
    assert (await back.resumes(bob))["isHost"] is True
    heard = [message["type"] for message in await back.hears_everything()]
    assert heard == ["participant-left", "moderator-action", "participant-updated"]


# Waiting


@each_loss
async def test_suspended_waiting_person_keeps_its_place(stage: Stage, way: str) -> None:
    """R41: the moderators hear nothing, neither when it goes nor when it is back."""
    ada, bob = await stage.locked_meeting("Ada", "Bob", resume=True)
    carl = await stage.waiting("Carl", ada, resume=True)
    assert carl.seq == 1
    await getattr(carl, way)()
    await ada.hears_nothing()
    back = await stage.arrives("Carl")
    own = await back.resumes(carl)
    assert (own["type"], own["replayed"]) == ("waiting-room", True)
    for person in (ada, bob, back):
        await person.hears_nothing()
    await ada.says("admit-user", targetId=carl.id)
    await back.is_let_in()
    await back.hears_until("room-locked")


async def test_waiting_person_may_start_again(stage: Stage) -> None:
    """R41, R42: a reloaded page waits on in its place."""
    (ada,) = await stage.locked_meeting("Ada", resume=True)
    carl = await stage.waiting("Carl", ada, resume=True)
    back = await stage.arrives("Carl")
    own = await back.resumes(carl, restart=True)
    assert (own["type"], own["replayed"]) == ("waiting-room", False)
    await carl.is_closed_with(4503)
    await back.hears_nothing()
    await ada.hears_nothing()


async def test_waiting_person_who_is_admitted_comes_back_with_the_token_it_has(stage: Stage) -> None:
    """R40, R41: its own ``participant-joined`` carries no other one."""
    (ada,) = await stage.locked_meeting("Ada", resume=True)
    carl = await stage.waiting("Carl", ada, resume=True)
    await ada.says("admit-user", targetId=carl.id)
    await ada.hears("participant-joined", participantId=carl.id)
    await carl.is_let_in()
    await carl.hears_until("room-locked")
    await is_lost(carl, ada)
    back = await stage.comes_back(carl, ada)
    await back.hears_nothing()


async def test_person_admitted_while_away_is_a_suspended_participant(stage: Stage) -> None:
    """R41: the others see so, and it hears all of it when it is back."""
    ada, bob = await stage.locked_meeting("Ada", "Bob", resume=True)
    carl = await stage.waiting("Carl", ada, resume=True)
    await carl.vanishes()
    await is_missed(stage, carl, ada)
    await ada.says("admit-user", targetId=carl.id)
    for other in (ada, bob):
        await other.hears("participant-joined", participantId=carl.id, isConnected=False)
    back = await stage.arrives("Carl")
    own = await back.resumes(carl)
    assert (own["type"], own["replayed"], own["isConnected"]) == ("participant-joined", True, True)
    heard = await back.hears_everything()
    assert ids(heard, "participant-joined") == [carl.id, ada.id, bob.id]
    assert ids(heard, "room-locked") == [ada.id]
    for other in (ada, bob):
        await other.hears("participant-updated", participantId=carl.id, isConnected=True)


async def test_person_admitted_by_unlocking_while_away(stage: Stage) -> None:
    """R23, R41: as if it had been there."""
    (ada,) = await stage.locked_meeting("Ada", resume=True)
    carl = await stage.waiting("Carl", ada, resume=True)
    await carl.vanishes()
    await is_missed(stage, carl, ada)
    await ada.says("room-unlocked")
    await ada.hears("room-unlocked")
    await ada.hears("participant-joined", participantId=carl.id, isConnected=False)
    await stage.comes_back(carl, ada)


async def test_person_rejected_while_away_cannot_come_back(stage: Stage) -> None:
    """R22: and its place is free."""
    (ada,) = await stage.locked_meeting("Ada", resume=True)
    carl = await stage.waiting("Carl", ada, resume=True)
    await carl.vanishes()
    await is_missed(stage, carl, ada)
    await ada.says("reject-user", targetId=carl.id)
    await ada.hears("participant-left", participantId=carl.id)
    back = await stage.arrives("Carl")
    await back.asks_to_resume(carl)
    await back.is_refused("RESUME_FAILED", "join")
    await ada.hears_nothing()


async def is_missed(stage: Stage, lost: Person, moderator: Person) -> None:
    """The loss of someone who waits has been dealt with, though nobody is told of it.

    Someone who waits without `resume` goes the same way after it, and that is heard.
    """
    other = await stage.arrives("Passer-by", beside=lost)
    await other.knocks(moderator.room)
    await moderator.hears("waiting-room", participantId=other.id)
    await other.vanishes()
    await moderator.hears("participant-left", participantId=other.id)


# The end of the window


async def test_window_ends(stage_with: StageWith) -> None:
    """R41, R25, R4, R45: who was away too long is gone, as if it had left by word."""
    stage = stage_with(RESUME_WINDOW="0.5")
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl", resume=True)
    (zoe,) = await stage.locked_meeting("Zoe", resume=True)
    walt = await stage.waiting("Walt", zoe)
    (yves,) = await stage.locked_meeting("Yves", resume=True)
    waiting = await stage.waiting("Xenia", yves, resume=True)
    assert await counted(stage) == (3, 5)

    await is_lost(carl, ada, bob)
    await ada.says("moderator-action", targetId=carl.id, action="kick")
    for person in (ada, bob):
        await person.hears("participant-left", participantId=carl.id)
    await waiting.vanishes()
    await zoe.vanishes()
    await is_lost(ada, bob)

    await bob.hears("participant-left", participantId=ada.id)
    await bob.hears("moderator-action", action="make-moderator", targetId=bob.id)
    await bob.hears("participant-updated", participantId=bob.id, isHost=True)
    await bob.hears_nothing()
    await yves.hears("participant-left", participantId=waiting.id)
    await yves.hears_nothing()

    async def two_rooms_are_left() -> bool:
        return await counted(stage) == (2, 2)

    await eventually(two_rooms_are_left)
    await walt.hears("reject-user", reason="Meeting ended")
    await walt.is_closed_with(4504)

    late = await stage.arrives("Late")
    for _ in range(15):  # R30: to be late is no guess
        for gone in (ada, zoe, waiting):
            await late.asks_to_resume(gone)
            await late.is_refused("RESUME_FAILED", "join")
    await late.asks_to_join(zoe.room)
    await late.is_refused("ROOM_NOT_FOUND")
    await stage.enters(late, [bob])


async def counted(stage: Stage) -> tuple[int, int]:
    """Rooms with somebody in them, and participants, as `/health` counts."""
    health = await stage.health()
    return health["totalRooms"], health["totalParticipants"]


async def test_suspended_people_are_not_counted(stage_with: StageWith) -> None:
    """R41: neither twice when they come back; their room has somebody in it."""
    stage = stage_with()
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    assert await counted(stage) == (1, 2)
    await is_lost(bob, ada)
    assert await counted(stage) == (1, 1)
    await ada.vanishes()

    async def nobody_is_counted() -> bool:
        return await counted(stage) == (1, 0)

    await eventually(nobody_is_counted)
    await stage.comes_back(bob)
    assert await counted(stage) == (1, 1)
    again = await stage.arrives("Bob")
    await again.resumes(bob)
    assert await counted(stage) == (1, 1), "one connection was replaced by another"
    assert (await stage.health())["peakParticipants"] == 2
