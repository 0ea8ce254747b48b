"""What moderators do (R18 to R24)."""

import pytest

from mikroroom.core.moderation import REJECTED
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode

from .stage import CODE, KICK_WAIT, TOKEN, locked_meeting, meeting

# Locking and unlocking


def test_lock_is_announced_to_all_the_sender_included() -> None:
    """R20."""
    stage = meeting("ada", "bob")
    stage.locks("ada")
    assert stage.heard() == {"ada": ["room-locked ada by ada"], "bob": ["room-locked ada by ada"]}


def test_lock_of_a_locked_room_is_announced_again_with_who_locked_last() -> None:
    """R20."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.acts_on("ada", "bob", "make-moderator")
    stage.heard()
    stage.locks("bob")
    assert stage.heard() == {"ada": ["room-locked bob by bob"], "bob": ["room-locked bob by bob"]}
    stage.admits("ada", "cleo")
    assert stage.hears("cleo")[-1] == "room-locked bob by bob"


def test_lock_outlives_whoever_locked() -> None:
    """R20."""
    stage = locked_meeting("ada", "bob")
    stage.leaves("ada")
    stage.joins("cleo")
    assert stage.held == {"cleo"}


def test_unlock_admits_everyone_who_waits_in_order() -> None:
    """R23: newcomers enter again."""
    stage = locked_meeting("ada", "bob", waiting=("dora", "cleo"))
    stage.unlocks("ada")
    assert stage.heard() == {
        "ada": ["room-unlocked ada by ada", "participant-joined dora", "participant-joined cleo"],
        "bob": ["room-unlocked ada by ada", "participant-joined dora", "participant-joined cleo"],
        "dora": [
            "participant-joined dora",
            "participant-joined ada moderator host",
            "participant-joined bob",
            "participant-joined cleo",
        ],
        "cleo": [
            "participant-joined cleo",
            "participant-joined ada moderator host",
            "participant-joined bob",
            "participant-joined dora",
        ],
    }
    stage.joins("emil")
    assert "emil" in stage.seated


def test_unlock_with_too_few_seats_has_the_rest_wait_on() -> None:
    """R23."""
    stage = locked_meeting("ada", waiting=("bob", "cleo", "dora"), seats=2)
    stage.unlocks("ada")
    assert list(stage.seated) == ["ada", "bob"]
    assert stage.held == {"cleo", "dora"}
    assert stage.hears("cleo") == []


def test_unlock_of_an_unlocked_room_is_announced_and_lets_a_kicked_one_in() -> None:
    """R23, R24: whoever waits, waits for a moderator, and this is one's word."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "kick")
    stage.joins("bob")
    stage.heard()
    stage.unlocks("ada")
    assert stage.heard() == {
        "ada": ["room-unlocked ada by ada", "participant-joined bob"],
        "bob": ["participant-joined bob", "participant-joined ada moderator host"],
    }


def test_lock_has_those_wait_for_a_moderator_who_only_missed_a_seat() -> None:
    """R20, R23."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2)
    stage.unlocks("ada")
    stage.locks("ada")
    stage.leaves("bob")
    assert stage.held == {"cleo"}
    stage.admits("ada", "cleo")
    assert "cleo" in stage.seated


# Admitting and rejecting


def test_admitted_person_enters_under_the_same_id_and_the_others_hear_it() -> None:
    """R21, R9."""
    stage = locked_meeting("ada", "bob", waiting=("cleo", "dora"))
    stage.admits("ada", "dora")
    assert stage.heard() == {
        "ada": ["participant-joined dora"],
        "bob": ["participant-joined dora"],
        "dora": [
            "participant-joined dora",
            "participant-joined ada moderator host",
            "participant-joined bob",
            "room-locked ada by ada",
        ],
    }
    assert stage.held == {"cleo"}


def test_admitting_to_a_full_room_is_refused_and_the_person_goes_on_waiting() -> None:
    """R21."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2)
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.admits("ada", "cleo")
    stage.leaves("bob")
    assert stage.held == {"cleo"}, "the seat alone is no admission"
    stage.admits("ada", "cleo")
    assert "cleo" in stage.seated


@pytest.mark.parametrize("target", ["nobody", "bob", "ada", "cleo", ""])
def test_admitting_or_rejecting_one_who_does_not_wait_any_more_is_refused(target: str) -> None:
    """R21: also where the room is full."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2)
    stage.leaves("cleo")
    with stage.refuses(ErrorCode.TARGET_NOT_FOUND):
        stage.admits("ada", target)
    with stage.refuses(ErrorCode.TARGET_NOT_FOUND):
        stage.does("ada", requests.RejectUser(target))


def test_rejected_person_is_told_why_and_closed_and_only_moderators_hear_of_it() -> None:
    """R22."""
    stage = meeting("ada", "bob", "cleo")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.locks("ada")
    stage.joins("dora")
    stage.heard()
    stage.does("bob", requests.RejectUser("dora", "Room is full"))
    assert stage.heard() == {
        "ada": ["participant-left dora"],
        "bob": ["participant-left dora"],
        "dora": ["reject-user bob dora Room is full", "closed 4502"],
    }


@pytest.mark.parametrize("reason", [None, ""])
def test_rejected_person_hears_some_reason_where_none_is_given(reason: str | None) -> None:
    """R22."""
    stage = locked_meeting("ada", waiting=("bob",))
    stage.does("ada", requests.RejectUser("bob", reason))
    assert stage.hears("bob") == [f"reject-user ada bob {REJECTED}", "closed 4502"]


def test_rejected_person_may_come_and_wait_again() -> None:
    """R22: to be rejected is not to be kicked."""
    stage = locked_meeting("ada", waiting=("bob",))
    stage.does("ada", requests.RejectUser("bob"))
    stage.unlocks("ada")
    stage.joins("bob")
    assert "bob" in stage.seated


# Muting and making moderators


def test_mute_and_unmute_are_heard_by_all_and_the_target_hears_the_action_first() -> None:
    """R24."""
    stage = meeting("ada", "bob", "cleo")
    stage.acts_on("ada", "bob", "mute")
    assert stage.heard() == {
        "ada": ["participant-updated bob muted"],
        "bob": ["moderator-action ada bob mute", "participant-updated bob muted"],
        "cleo": ["participant-updated bob muted"],
    }
    stage.acts_on("ada", "bob", "unmute")
    assert stage.heard() == {
        "ada": ["participant-updated bob"],
        "bob": ["moderator-action ada bob unmute", "participant-updated bob"],
        "cleo": ["participant-updated bob"],
    }


def test_mute_leaves_the_rest_of_the_state_alone() -> None:
    """R24, R12: and it is told whole."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.does("bob", requests.UpdateState(is_video_off=True, is_hand_raised=True))
    stage.is_lost("bob")
    stage.heard()
    stage.acts_on("ada", "bob", "mute")
    assert stage.overhears("ada") == [
        events.ParticipantUpdated(
            CODE, "bob", is_muted=True, is_video_off=True, is_hand_raised=True, is_connected=False
        )
    ]


def test_muted_one_may_unmute_itself() -> None:
    """R16, R24."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "mute")
    stage.heard()
    stage.does("bob", requests.UpdateState(is_muted=False))
    assert stage.heard() == {"ada": ["participant-updated bob"]}


def test_moderators_may_mute_the_host_and_themselves() -> None:
    """R24: roles have no further ranks."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.heard()
    stage.acts_on("bob", "ada", "mute")
    stage.acts_on("bob", "bob", "mute")
    assert stage.hears("ada") == [
        "moderator-action bob ada mute",
        "participant-updated ada moderator host muted",
        "participant-updated bob moderator muted",
    ]


def test_new_moderator_hears_the_action_its_state_and_then_who_waits() -> None:
    """R20, R24: nobody else hears the list."""
    stage = locked_meeting("ada", "bob", "cleo", waiting=("dora", "emil"))
    stage.acts_on("ada", "bob", "make-moderator")
    assert stage.heard() == {
        "ada": ["participant-updated bob moderator"],
        "bob": [
            "moderator-action ada bob make-moderator",
            "participant-updated bob moderator",
            "waiting-room dora",
            "waiting-room emil",
        ],
        "cleo": ["participant-updated bob moderator"],
    }


def test_moderator_made_one_again_does_not_hear_again_who_waits() -> None:
    """R20."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.acts_on("ada", "bob", "make-moderator")
    stage.heard()
    stage.acts_on("ada", "bob", "make-moderator")
    assert stage.hears("bob") == [
        "moderator-action ada bob make-moderator",
        "participant-updated bob moderator",
    ]


def test_new_moderator_may_moderate() -> None:
    """R19, R24."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.locks("bob")
    assert stage.room.locked_by == "bob"


# Kicking


def test_kicked_one_hears_why_and_is_closed_and_the_others_hear_exactly_one_leave() -> None:
    """R24."""
    stage = meeting("ada", "bob", "cleo")
    stage.acts_on("ada", "bob", "kick")
    assert stage.heard() == {
        "ada": ["participant-left bob"],
        "bob": ["moderator-action ada bob kick", "closed 4501"],
        "cleo": ["participant-left bob"],
    }
    assert "bob" not in stage.seated


def test_kicked_host_is_followed_by_the_moderator_who_kicked() -> None:
    """R24, R25: without a creator token a host has no more rights than any moderator."""
    stage = meeting("maker", "ada", "bob")
    stage.leaves("maker")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.heard()
    stage.acts_on("bob", "ada", "kick")
    assert stage.heard() == {
        "ada": ["moderator-action bob ada kick", "closed 4501"],
        "bob": ["participant-left ada", "participant-updated bob moderator host"],
    }


def test_creator_cannot_be_kicked_host_or_not() -> None:
    """R11."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.joins("cleo", token=TOKEN)
    stage.heard()
    for creator in ("ada", "cleo"):
        with stage.refuses(ErrorCode.UNAUTHORIZED):
            stage.acts_on("bob", creator, "kick")


def test_moderator_cannot_kick_itself() -> None:
    """R24: there is `leave` for that."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.heard()
    with stage.refuses(ErrorCode.UNAUTHORIZED):
        stage.acts_on("bob", "bob", "kick")


def test_join_from_a_kicked_address_waits_under_any_name() -> None:
    """R24: as if the room were locked, which it is not for others."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "kick")
    stage.heard()
    stage.joins("robert", address="bob's")
    assert stage.heard() == {"ada": ["waiting-room robert"], "robert": ["waiting-room robert"]}
    stage.joins("cleo")
    assert "cleo" in stage.seated
    stage.admits("ada", "robert")
    assert stage.hears("robert") == [
        "participant-joined robert",
        "participant-joined ada moderator host",
        "participant-joined cleo",
    ]


def test_second_kick_from_an_address_starts_the_time_anew() -> None:
    """R24."""
    stage = meeting("ada", "bob", "cleo")
    stage.joins("robert", address="bob's")
    stage.acts_on("ada", "bob", "kick")
    stage.passes(KICK_WAIT - 1)
    stage.acts_on("ada", "robert", "kick")
    stage.passes(KICK_WAIT - 1)
    stage.joins("bob")
    assert stage.held == {"bob"}


def test_kicked_addresses_are_forgotten_when_their_time_is_over() -> None:
    """R24: so that a long meeting does not gather them."""
    stage = meeting("ada", "bob", "cleo", "dora")
    stage.acts_on("ada", "bob", "kick")
    stage.passes(1)
    stage.acts_on("ada", "cleo", "kick")
    stage.passes(KICK_WAIT - 1)
    stage.acts_on("ada", "dora", "kick")
    assert stage.room.kicked == {
        "cleo's": stage.now + 1,
        "dora's": stage.now + KICK_WAIT,
    }


@pytest.mark.parametrize("action", ["mute", "unmute", "kick", "make-moderator"])
@pytest.mark.parametrize("target", ["nobody", "waiter", "gone", ""])
def test_acting_on_one_who_is_not_in_the_room_is_refused(action: requests.Action, target: str) -> None:
    """R24."""
    stage = locked_meeting("ada", "gone", waiting=("waiter",))
    stage.leaves("gone")
    with stage.refuses(ErrorCode.TARGET_NOT_FOUND):
        stage.acts_on("ada", target, action)


# Recording


def test_recording_is_announced_to_all() -> None:
    """R18."""
    stage = meeting("ada", "bob")
    stage.does("ada", requests.StartRecording())
    assert stage.heard() == {"ada": ["recording-started ada by ada"], "bob": ["recording-started ada by ada"]}
    stage.does("ada", requests.StopRecording())
    assert stage.heard() == {"ada": ["recording-stopped ada by ada"], "bob": ["recording-stopped ada by ada"]}


def test_running_recordings_are_told_to_late_joiners() -> None:
    """R18: consent. One that was started twice is told once, one that ended not at all."""
    stage = meeting("ada", "bob", "cleo")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.acts_on("ada", "cleo", "make-moderator")
    for name in ("cleo", "ada", "bob", "cleo"):
        stage.does(name, requests.StartRecording())
    stage.does("ada", requests.StopRecording())
    stage.joins("dora")
    assert stage.hears("dora")[-2:] == ["recording-started cleo by cleo", "recording-started bob by bob"]


def test_recording_stopped_by_one_who_does_not_record_hides_none_that_runs() -> None:
    """R18."""
    stage = meeting("ada", "bob", "cleo")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.does("ada", requests.StartRecording())
    stage.heard()
    stage.does("bob", requests.StopRecording())
    assert stage.hears("cleo") == ["recording-stopped bob by bob"]
    stage.joins("dora")
    assert stage.hears("dora")[-1] == "recording-started ada by ada"
