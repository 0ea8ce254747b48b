"""What is done to a room from outside, and what its people hear of it."""

import pytest

from mikroroom.core.administration import Change, change_room, end_meeting, remove, set_moderator
from mikroroom.core.bans import MAX_BANS, Banishment, lift_ban, valid_bans
from mikroroom.core.grants import Grant
from mikroroom.core.room import Ban
from mikroroom.core.secrets import digest_token
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode

from .stage import KICK_WAIT, TOKEN, Stage, locked_meeting, meeting, sealed

HOUR = 3_600_000


def banished(stage: Stage, name: str, ban_id: str = "ban") -> None:
    stage.is_done(remove(stage.room, name, stage.now, stage.policy, Banishment(ban_id, HOUR)))


# Password, size, lock


def test_a_new_password_is_for_newcomers_and_nobody_hears_of_it() -> None:
    stage = meeting("ada")
    stage.is_done(change_room(stage.room, Change(password=sealed("sesame"))))
    assert stage.heard() == {}
    with stage.refuses(ErrorCode.INVALID_PASSWORD):
        stage.joins("bob")
    stage.joins("bob", password="sesame")
    stage.is_done(change_room(stage.room, Change(password=None)))
    stage.joins("cleo")
    assert list(stage.seated) == ["ada", "bob", "cleo"]


def test_a_larger_room_lets_those_in_who_had_only_missed_a_seat() -> None:
    """R23; and who is there already may say more at once (R31)."""
    stage = locked_meeting("ada", waiting=("bob", "cleo"), seats=1)
    stage.unlocks("ada")
    assert list(stage.seated) == ["ada"]
    stage.is_done(change_room(stage.room, Change(max_participants=2)))
    assert stage.seated == {"ada": 2, "bob": 2}
    assert stage.held == {"cleo"}


def test_a_larger_room_that_is_locked_lets_nobody_in() -> None:
    stage = locked_meeting("ada", waiting=("bob",), seats=1)
    stage.is_done(change_room(stage.room, Change(max_participants=2)))
    assert stage.held == {"bob"}


def test_a_room_made_smaller_throws_nobody_out_and_lets_nobody_in() -> None:
    stage = meeting("ada", "bob", "cleo", seats=3)
    stage.locks("ada")
    stage.joins("dora")
    stage.joins("emil")
    stage.unlocks("ada")
    stage.heard()
    stage.is_done(change_room(stage.room, Change(max_participants=1)))
    assert stage.heard() == {}
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.joins("fred")
    stage.leaves("cleo")
    stage.leaves("bob")
    assert list(stage.seated) == ["ada"] and stage.held == {"dora", "emil"}
    stage.leaves("ada")
    assert stage.room.max_participants == 1


def test_a_lock_from_outside_is_the_servers() -> None:
    """R20, R23."""
    stage = meeting("ada", "bob")
    stage.is_done(change_room(stage.room, Change(is_locked=True)))
    assert stage.heard() == {"ada": ["room-locked server"], "bob": ["room-locked server"]}
    stage.joins("cleo")
    assert stage.held == {"cleo"}
    stage.heard()
    stage.is_done(change_room(stage.room, Change(is_locked=False)))
    assert stage.hears("ada") == ["room-unlocked server", "participant-joined cleo"]
    assert "cleo" in stage.seated


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_lock_as_it_is_changes_nothing(is_locked: bool) -> None:
    stage = locked_meeting("ada") if is_locked else meeting("ada")
    stage.is_done(change_room(stage.room, Change(is_locked=is_locked)))
    assert stage.heard() == {}
    assert stage.room.locked_by == ("ada" if is_locked else None)


def test_everything_may_change_at_once() -> None:
    stage = locked_meeting("ada", waiting=("bob", "cleo"), seats=1)
    stage.is_done(change_room(stage.room, Change(sealed("sesame"), 3, is_locked=False)))
    assert list(stage.seated) == ["ada", "bob", "cleo"]
    assert stage.room.password == sealed("sesame")


# Moderators


def test_a_moderator_made_from_outside_is_the_servers_and_hears_who_waits() -> None:
    """R20, R24."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.is_done(set_moderator(stage.room, "bob", is_moderator=True))
    assert stage.heard() == {
        "ada": ["participant-updated bob moderator"],
        "bob": [
            "moderator-action server bob make-moderator",
            "participant-updated bob moderator",
            "waiting-room cleo",
        ],
    }


def test_who_is_no_moderator_any_more_is_known_to_all() -> None:
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.heard()
    stage.is_done(set_moderator(stage.room, "bob", is_moderator=False))
    assert stage.heard() == {"ada": ["participant-updated bob"], "bob": ["participant-updated bob"]}
    with stage.refuses(ErrorCode.UNAUTHORIZED):
        stage.locks("bob")


def test_who_is_no_moderator_any_more_can_end_what_it_records() -> None:
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.does("bob", requests.StartRecording())
    stage.is_done(set_moderator(stage.room, "bob", is_moderator=False))
    stage.heard()
    stage.does("bob", requests.StopRecording())
    assert stage.hears("ada") == ["recording-stopped bob by bob"]
    for request in (requests.StopRecording(), requests.StartRecording()):
        with stage.refuses(ErrorCode.UNAUTHORIZED):
            stage.does("bob", request)


def test_who_was_granted_to_moderate_and_is_no_moderator_any_more_is_the_last_to_be_host() -> None:
    stage = meeting("ada", "bob", "cleo")
    stage.room.participants["bob"].is_moderator = True
    stage.room.participants["bob"].role = "moderator"
    stage.is_done(set_moderator(stage.room, "bob", is_moderator=False))
    assert [person.role for person in stage.room.participants.values()] == [None, "participant", None]
    stage.leaves("ada")
    assert stage.room.participants["cleo"].is_host


@pytest.mark.parametrize(("name", "is_moderator"), [("ada", True), ("bob", False)])
def test_a_role_as_it_is_changes_nothing(name: str, is_moderator: bool) -> None:
    stage = meeting("ada", "bob")
    stage.is_done(set_moderator(stage.room, name, is_moderator=is_moderator))
    assert stage.heard() == {}


def test_who_is_host_for_want_of_others_and_is_made_a_moderator_stays_one() -> None:
    stage = Stage(is_precreated=True)
    stage.joins("bob", grant=Grant(role="participant"))
    stage.is_done(set_moderator(stage.room, "bob", is_moderator=True))
    stage.joins("tom", grant=Grant(role="moderator"))
    assert [
        (person.id, person.is_host) for person in stage.room.participants.values() if person.is_moderator
    ] == [
        ("bob", True),
        ("tom", False),
    ]


def test_a_moderator_made_from_outside_relieves_who_is_host_for_want_of_others() -> None:
    stage = Stage(is_precreated=True)
    stage.joins("bob", grant=Grant(role="participant"))
    stage.joins("cleo", grant=Grant(role="participant"))
    stage.heard()
    stage.is_done(set_moderator(stage.room, "cleo", is_moderator=True))
    assert stage.hears("bob") == ["participant-updated bob", "participant-updated cleo moderator host"]
    assert stage.hears("cleo") == [
        "participant-updated bob",
        "moderator-action server cleo make-moderator",
        "participant-updated cleo moderator host",
    ]


def test_a_ban_is_for_all_places_of_a_person() -> None:
    stage = Stage(is_precreated=True, seats=3)
    stage.joins("ada")
    for name in ("eve", "eva"):
        stage.joins(name, grant=Grant(subject="u-7"))
    stage.locks("ada")
    stage.joins("evi", grant=Grant(subject="u-7"))
    stage.unlocks("ada")
    assert stage.held == {"evi"}, "there is no seat"
    stage.is_done(remove(stage.room, "eve", stage.now, stage.policy, Banishment("ban", 1_000)))
    assert (set(stage.seated), stage.held) == ({"ada"}, set())
    assert [message for message in stage.hears("evi") if message.startswith("closed")] == ["closed 4501"]


def test_a_ban_of_a_person_without_a_name_for_it_is_for_one_place() -> None:
    stage = Stage(is_precreated=True)
    for name in ("ada", "eve", "eva"):
        stage.joins(name)
    stage.is_done(remove(stage.room, "eve", stage.now, stage.policy, Banishment("ban", 1_000)))
    assert set(stage.seated) == {"ada", "eva"}


def test_the_host_stays_a_moderator() -> None:
    stage = meeting("ada", "bob")
    with stage.refuses(ErrorCode.UNAUTHORIZED):
        set_moderator(stage.room, "ada", is_moderator=False)


def test_of_whoever_is_not_in_the_room_no_moderator_can_be_made() -> None:
    stage = locked_meeting("ada", waiting=("bob",))
    for name in ("bob", "nobody"):
        with stage.refuses(ErrorCode.TARGET_NOT_FOUND):
            set_moderator(stage.room, name, is_moderator=True)


# Removing


def test_who_is_removed_is_told_and_closed_and_waits_when_it_comes_back() -> None:
    """R24."""
    stage = meeting("ada", "bob", "cleo")
    stage.is_done(remove(stage.room, "bob", stage.now, stage.policy))
    assert stage.heard() == {
        "ada": ["participant-left bob"],
        "bob": ["moderator-action server bob kick", "closed 4501"],
        "cleo": ["participant-left bob"],
    }
    stage.joins("bob")
    assert stage.held == {"bob"}
    stage.passes(KICK_WAIT)
    stage.joins("bob again", address="bob's")
    assert "bob again" in stage.seated


def test_the_creator_can_be_removed_and_another_is_host() -> None:
    stage = meeting("ada", "bob")
    stage.is_done(remove(stage.room, "ada", stage.now, stage.policy))
    assert stage.room.participants["bob"].is_host


def test_who_waits_can_be_removed() -> None:
    """R22: from the moderators' lists, too."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.is_done(remove(stage.room, "cleo", stage.now, stage.policy))
    assert stage.heard() == {
        "ada": ["participant-left cleo"],
        "cleo": ["moderator-action server cleo kick", "closed 4501"],
    }


def test_who_is_removed_while_away_cannot_come_back() -> None:
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    stage.is_done(remove(stage.room, "bob", stage.now, stage.policy))
    assert stage.late == [digest_token("bob#1")]
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob")


def test_nobody_is_removed_who_is_not_there() -> None:
    stage = meeting("ada")
    with stage.refuses(ErrorCode.TARGET_NOT_FOUND):
        remove(stage.room, "bob", stage.now, stage.policy, Banishment("ban", HOUR))


# Bans


def test_who_is_banned_may_not_join_whatever_it_knows() -> None:
    stage = Stage(password="sesame")
    stage.joins("ada", password="sesame")
    stage.joins("bob", password="sesame")
    banished(stage, "bob")
    for password, token in ((None, None), ("wrong", None), ("sesame", None), ("sesame", TOKEN)):
        with stage.refuses(ErrorCode.BANNED):
            stage.joins("bob", password=password, token=token)
    stage.joins("cleo", password="sesame")
    stage.passes(HOUR - 1)
    with stage.refuses(ErrorCode.BANNED):
        stage.joins("bob", password="sesame")
    stage.passes(1)
    stage.joins("bob", password="sesame")
    assert list(valid_bans(stage.room, stage.now)) == []


def test_a_ban_holds_for_the_person_wherever_it_is() -> None:
    stage = meeting("ada")
    stage.joins("bob", grant=Grant(subject="user 7"))
    banished(stage, "bob")
    for address, subject in (("a train", "user 7"), ("bob's", "user 8"), ("bob's", None)):
        with stage.refuses(ErrorCode.BANNED):
            stage.joins("bob", address=address, grant=Grant(subject=subject))
    stage.joins("cleo", grant=Grant(subject="user 9"))
    stage.joins("dora")


def test_who_waits_can_be_banned_by_its_subject() -> None:
    stage = locked_meeting("ada")
    stage.joins("bob", grant=Grant(subject="user 7"))
    banished(stage, "bob")
    (ban,) = stage.room.bans.values()
    assert ban == Ban("ban", "Bob", "bob's", "user 7", stage.now, stage.now + HOUR)
    with stage.refuses(ErrorCode.BANNED):
        stage.joins("bob", address="a train", grant=Grant(subject="user 7"))


def test_who_was_admitted_is_the_same_person() -> None:
    stage = locked_meeting("ada")
    stage.joins("bob", grant=Grant(subject="user 7"))
    stage.admits("ada", "bob")
    banished(stage, "bob")
    assert [ban.subject for ban in stage.room.bans.values()] == ["user 7"]


def test_a_lifted_ban_is_none() -> None:
    stage = meeting("ada", "bob")
    banished(stage, "bob")
    stage.is_done(lift_ban(stage.room, "ban"))
    stage.joins("bob")
    assert stage.held == {"bob"}, "it was kicked all the same"
    with stage.refuses(ErrorCode.TARGET_NOT_FOUND):
        lift_ban(stage.room, "ban")


def test_too_many_bans_are_refused_and_nobody_is_removed() -> None:
    stage = meeting("ada", "bob", "cleo")
    for number in range(MAX_BANS):
        until = stage.now + (2 if number else 1) * HOUR
        stage.room.bans[f"{number}"] = Ban(f"{number}", "Mob", f"mob {number}", None, stage.now, until)
    with stage.refuses(ErrorCode.ROOM_LIMIT):
        remove(stage.room, "bob", stage.now, stage.policy, Banishment("ban", HOUR))
    stage.passes(HOUR)
    banished(stage, "bob")
    assert len(stage.room.bans) == MAX_BANS and "0" not in stage.room.bans


@pytest.mark.parametrize("clock_is_moved_by", [0, HOUR, -HOUR, -100 * HOUR])
def test_no_ban_is_longer_after_a_restart_whatever_the_clock_says(clock_is_moved_by: int) -> None:
    stage = meeting("ada", "bob", may_resume=True)
    banished(stage, "bob")
    stage.passes(clock_is_moved_by)
    for _ in range(2):
        stage.restarts()
    bans = list(valid_bans(stage.room, stage.now))
    assert all(ban.expires_at <= stage.now + HOUR for ban in bans)
    assert len(bans) == (clock_is_moved_by < HOUR)


# The end


def test_the_end_of_a_meeting_is_everyones() -> None:
    """R28: they are told why before they are closed."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.is_done(end_meeting(stage.room, "The building closes", stage.now))
    assert stage.heard() == {
        name: [f"reject-user server {name} The building closes", "closed 4504"]
        for name in ("ada", "bob", "cleo")
    }
    assert stage.seated == {} and stage.held == set()
    assert stage.room.expires_at == stage.now


def test_nobody_comes_back_to_a_meeting_that_was_ended_and_to_try_is_no_guess() -> None:
    """R45."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    stage.is_done(end_meeting(stage.room, "Meeting ended", stage.now))
    assert set(stage.late) == {digest_token("ada#1"), digest_token("bob#1")}
    for name in ("ada", "bob"):
        with stage.refuses(ErrorCode.RESUME_FAILED):
            stage.resumes(name)


def test_a_room_that_nobody_is_in_can_be_ended() -> None:
    stage = Stage(is_precreated=True)
    stage.is_done(end_meeting(stage.room, "Meeting ended", stage.now))
    assert stage.heard() == {} and stage.room.expires_at == stage.now


def test_a_recording_ends_with_the_meeting() -> None:
    stage = meeting("ada")
    stage.room.recorders.append("ada")
    effects = end_meeting(stage.room, "Meeting ended", stage.now)
    stage.is_done(effects)
    assert stage.room.recorders == []
    assert not [event for event in effects if isinstance(event, events.RecordingStopped)]
