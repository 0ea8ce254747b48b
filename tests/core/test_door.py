"""How people come and go (R4 to R12, R20, R23, R25, R26)."""

import msgspec
import pytest

from mikroroom.core.door import Newcomer, ProofNeeded, join
from mikroroom.core.room import Room
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode

from .stage import (
    CODE,
    KICK_WAIT,
    LATENT_AGE,
    RESUME_WINDOW,
    SALT,
    TOKEN,
    Stage,
    locked_meeting,
    meeting,
    sealed,
)

# Entering


def test_newcomer_hears_itself_then_everyone_there_in_order_and_the_others_hear_it_once() -> None:
    """R9."""
    stage = meeting("zoe", "bob", "ada")
    stage.joins("cleo")
    assert stage.heard() == {
        "zoe": ["participant-joined cleo"],
        "bob": ["participant-joined cleo"],
        "ada": ["participant-joined cleo"],
        "cleo": [
            "participant-joined cleo",
            "participant-joined zoe moderator host",
            "participant-joined bob",
            "participant-joined ada",
        ],
    }


def test_newcomer_to_a_locked_room_hears_the_lock_then_the_recordings_then_who_waits() -> None:
    """R9, R18, R20: what holds in the room comes after who is in it, and who waits after everything."""
    stage = locked_meeting("ada", "bob", waiting=("dora", "emil"))
    stage.does("ada", requests.StartRecording())
    stage.heard()
    stage.joins("cleo", token=TOKEN)
    assert stage.hears("cleo") == [
        "participant-joined cleo moderator host",
        "participant-joined ada moderator",
        "participant-joined bob",
        "room-locked ada by ada",
        "recording-started ada by ada",
        "waiting-room dora",
        "waiting-room emil",
    ]
    assert stage.hears("bob") == [
        "participant-joined cleo moderator host",
        "participant-updated ada moderator",
    ]


def test_newcomer_hears_the_true_state_of_everyone() -> None:
    """R12: late joiners see what is, not what was at the door."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.does("ada", requests.UpdateState(is_muted=True, is_hand_raised=True))
    stage.does("bob", requests.UpdateState(is_video_off=True))
    stage.is_lost("bob")
    stage.joins("cleo")
    _, ada, bob = stage.overhears("cleo")
    assert ada == events.ParticipantJoined(
        CODE,
        "ada",
        name="Ada",
        is_moderator=True,
        is_host=True,
        is_muted=True,
        is_hand_raised=True,
        is_connected=True,
    )
    assert bob == events.ParticipantJoined(CODE, "bob", name="Bob", is_video_off=True, is_connected=False)


def test_maker_of_an_ad_hoc_room_alone_finds_its_creator_token_and_once() -> None:
    """R12."""
    stage = Stage()
    stage.opens("ada")
    stage.joins("bob")
    stage.joins("cleo", token=TOKEN)
    assert stage.heard() == {
        "ada": [
            f"participant-joined ada moderator host {TOKEN}",
            "participant-joined bob",
            "participant-joined cleo moderator host",
            "participant-updated ada moderator",
        ],
        "bob": [
            "participant-joined bob",
            "participant-joined ada moderator host",
            "participant-joined cleo moderator host",
            "participant-updated ada moderator",
        ],
        "cleo": [
            "participant-joined cleo moderator host",
            "participant-joined ada moderator",
            "participant-joined bob",
        ],
    }


def test_creator_token_is_not_kept() -> None:
    """R12: only its digest is."""
    stage = meeting("ada")
    stage.joins("bob", token=TOKEN)
    assert TOKEN.encode() not in msgspec.msgpack.encode(stage.room)


def test_seats_of_the_room_are_told_with_every_seat_taken() -> None:
    """R31: they widen the burst of whoever sits down."""
    stage = locked_meeting("ada", waiting=("bob",), seats=3)
    stage.admits("ada", "bob")
    stage.joins("cleo", token=TOKEN)
    assert stage.seated == {"ada": 3, "bob": 3, "cleo": 3}


def test_first_one_in_a_precreated_room_is_host() -> None:
    """R11."""
    stage = Stage(is_precreated=True)
    stage.joins("ada")
    stage.joins("bob")
    assert stage.hears("ada") == ["participant-joined ada moderator host", "participant-joined bob"]
    assert stage.hears("bob") == ["participant-joined bob", "participant-joined ada moderator host"]


def test_ids_of_others_and_of_moderators_stand_in_order_of_joining() -> None:
    stage = meeting("zoe", "bob", "ada", "cleo")
    stage.acts_on("zoe", "ada", "make-moderator")
    assert stage.room.others("bob") == ("zoe", "ada", "cleo")
    assert stage.room.moderators() == ("zoe", "ada")


# Creators


def test_creator_takes_over_as_host_and_the_former_one_stays_moderator() -> None:
    """R11, R12."""
    stage = meeting("ada", "bob")
    stage.joins("cleo", token=TOKEN)
    assert stage.heard() == {
        "ada": ["participant-joined cleo moderator host", "participant-updated ada moderator"],
        "bob": ["participant-joined cleo moderator host", "participant-updated ada moderator"],
        "cleo": [
            "participant-joined cleo moderator host",
            "participant-joined ada moderator",
            "participant-joined bob",
        ],
    }


def test_newest_of_several_creators_is_host() -> None:
    """R12."""
    stage = Stage(is_precreated=True)
    for name in ("ada", "bob", "cleo"):
        stage.joins(name, token=TOKEN)
    assert [person.id for person in stage.room.participants.values() if person.is_host] == ["cleo"]
    assert stage.room.moderators() == ("ada", "bob", "cleo")


def test_creator_who_is_first_is_host_and_nobody_is_updated() -> None:
    """R11."""
    stage = Stage(is_precreated=True)
    stage.joins("ada", token=TOKEN)
    assert stage.heard() == {"ada": ["participant-joined ada moderator host"]}


def test_creator_passes_by_the_waiting_room_even_a_full_one() -> None:
    """R11."""
    stage = locked_meeting("ada", waiting=("bob",), max_waiting=1)
    stage.joins("cleo", token=TOKEN)
    assert "cleo" in stage.seated


def test_creator_passes_by_the_waiting_room_from_a_kicked_address() -> None:
    """R11, R24."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "kick")
    stage.joins("cleo", token=TOKEN, address="bob's")
    assert "cleo" in stage.seated


@pytest.mark.parametrize("token", ["wrong", TOKEN.upper(), f"{TOKEN} ", "é"])
def test_wrong_creator_token_grants_nothing_and_is_a_failed_guess(token: str) -> None:
    """R11."""
    stage = meeting("ada")
    stage.joins("bob", token=token)
    assert stage.heard() == {
        "ada": ["participant-joined bob"],
        "bob": ["participant-joined bob", "participant-joined ada moderator host"],
    }
    assert stage.guesses == ["bob"]


def test_wrong_creator_token_waits_like_anyone_and_is_a_failed_guess() -> None:
    """R11, R20."""
    stage = locked_meeting("ada")
    stage.joins("bob", token="wrong")
    assert (stage.held, stage.guesses) == ({"bob"}, ["bob"])


def test_right_creator_token_and_none_are_no_guesses() -> None:
    """R11."""
    stage = meeting("ada")
    stage.joins("bob", token=TOKEN)
    stage.joins("cleo", token="")
    stage.joins("dora")
    assert stage.guesses == []


# The order of the checks


def test_wrong_password_is_refused_before_lock_and_capacity_are_looked_at() -> None:
    """R7."""
    stage = Stage(seats=1, password="sesame", max_waiting=0)
    stage.opens("ada")
    with stage.refuses(ErrorCode.INVALID_PASSWORD):
        stage.joins("bob", password="simsim")
    stage.locks("ada")
    with stage.refuses(ErrorCode.INVALID_PASSWORD):
        stage.joins("bob", password="simsim")


def test_creators_need_the_password_too() -> None:
    """R7."""
    stage = Stage(password="sesame", is_precreated=True)
    with stage.refuses(ErrorCode.INVALID_PASSWORD):
        stage.joins("ada", password="simsim", token=TOKEN)
    stage.joins("ada", password="sesame", token=TOKEN)
    assert stage.hears("ada") == ["participant-joined ada moderator host"]


@pytest.mark.parametrize("password", [None, ""])
def test_no_password_is_refused_without_any_hashing(password: str | None) -> None:
    """R7."""
    stage = Stage(password="sesame", is_precreated=True)
    with stage.refuses(ErrorCode.INVALID_PASSWORD):
        stage.joins("ada", password=password)


def test_password_is_to_be_sealed_with_the_salt_of_this_room() -> None:
    """R7: what was sealed for another room of that name proves nothing."""
    stage = Stage(password="sesame", is_precreated=True)
    before = msgspec.msgpack.encode(stage.room)
    for proof in (None, sealed("sesame", salt=b"of one before")):
        with pytest.raises(ProofNeeded) as needed:
            join(stage.room, Newcomer("ada", "Ada", "a", "sesame", proof), stage.now, stage.policy)
        assert needed.value.salt == SALT
        assert msgspec.msgpack.encode(stage.room) == before


def test_password_for_a_room_without_one_is_ignored() -> None:
    """R7."""
    stage = meeting("ada")
    stage.joins("bob", password="sesame")
    assert "bob" in stage.seated


def test_locked_and_full_room_has_the_newcomer_wait() -> None:
    """R7: the lock is looked at before the seats."""
    stage = locked_meeting("ada", seats=1)
    stage.joins("bob")
    assert stage.held == {"bob"}


def test_full_room_refuses_anyone_and_creators_too() -> None:
    """R7."""
    stage = meeting("ada", "bob", seats=2)
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.joins("cleo")
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.joins("cleo", token=TOKEN)


def test_last_seat_goes_to_exactly_one() -> None:
    """R7."""
    stage = meeting("ada", seats=2)
    stage.joins("bob")
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.joins("cleo")
    stage.leaves("bob")
    stage.joins("cleo")
    assert list(stage.room.participants) == ["ada", "cleo"]


# Waiting


def test_newcomer_to_a_locked_room_waits_and_every_moderator_hears_of_it() -> None:
    """R20: and nobody else does."""
    stage = meeting("ada", "bob", "cleo")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.locks("ada")
    stage.heard()
    stage.joins("dora")
    assert stage.heard() == {
        "ada": ["waiting-room dora"],
        "bob": ["waiting-room dora"],
        "dora": ["waiting-room dora"],
    }


def test_full_waiting_room_refuses() -> None:
    """R20."""
    stage = locked_meeting("ada", waiting=("bob", "cleo"), max_waiting=2)
    with stage.refuses(ErrorCode.WAITING_ROOM_FULL):
        stage.joins("dora")
    stage.leaves("bob")
    stage.joins("dora")
    assert stage.held == {"cleo", "dora"}


def test_one_who_waits_hears_nothing_of_the_room() -> None:
    """R20."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.does("bob", requests.UpdateState(is_muted=True))
    stage.does("ada", requests.StartRecording())
    stage.acts_on("ada", "bob", "make-moderator")
    stage.joins("dora")
    stage.locks("ada")
    stage.leaves("ada")
    assert stage.hears("cleo") == []


@pytest.mark.parametrize("by_word", [True, False])
def test_one_who_waits_may_go_and_only_moderators_hear_of_it(by_word: bool) -> None:
    """R22: so that every moderator's list is right."""
    stage = locked_meeting("ada", "bob", waiting=("cleo", "dora"))
    if by_word:
        stage.leaves("cleo")
    else:
        stage.is_lost("cleo")
    assert stage.heard() == {"ada": ["participant-left cleo"]}
    assert stage.held == {"dora"}


# Leaving


@pytest.mark.parametrize("by_word", [True, False])
def test_leaving_is_announced_once_to_the_others(by_word: bool) -> None:
    """R17."""
    stage = meeting("ada", "bob", "cleo")
    if by_word:
        stage.leaves("bob")
    else:
        stage.is_lost("bob")
    assert stage.heard() == {"ada": ["participant-left bob"], "cleo": ["participant-left bob"]}
    assert stage.room.expires_at is None


def test_one_who_is_not_there_cannot_leave() -> None:
    stage = meeting("ada", "bob")
    with stage.refuses(ErrorCode.NOT_IN_ROOM):
        stage.leaves("cleo")
    stage.leaves("bob")
    with stage.refuses(ErrorCode.NOT_IN_ROOM):
        stage.is_lost("bob")


def test_one_who_left_may_join_again_as_anyone() -> None:
    """R17: without the role and the state of before."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.does("bob", requests.RaiseHand())
    stage.leaves("bob")
    stage.heard()
    stage.joins("bob")
    assert stage.hears("bob") == ["participant-joined bob", "participant-joined ada moderator host"]


def test_recording_ends_with_its_recorder() -> None:
    """R18: those who stay hear it, and a newcomer hears only of what goes on."""
    stage = meeting("ada", "bob", "cleo")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.does("ada", requests.StartRecording())
    stage.does("bob", requests.StartRecording())
    stage.heard()
    stage.leaves("bob")
    assert stage.hears("cleo") == ["participant-left bob", "recording-stopped bob by bob"]
    stage.joins("dora")
    assert stage.hears("dora")[-1] == "recording-started ada by ada"


# The next host


def test_longest_present_moderator_follows_the_host() -> None:
    """R25: being one already, it is not made one."""
    stage = meeting("ada", "bob", "cleo", "dora")
    stage.acts_on("ada", "dora", "make-moderator")
    stage.acts_on("ada", "cleo", "make-moderator")
    stage.heard()
    stage.leaves("ada")
    told = ["participant-left ada", "participant-updated cleo moderator host"]
    assert stage.heard() == {"bob": told, "cleo": told, "dora": told}


def test_longest_present_participant_follows_where_there_is_no_moderator() -> None:
    """R25: in this order."""
    stage = meeting("ada", "zoe", "bob")
    stage.is_lost("ada")
    assert stage.heard() == {
        "zoe": [
            "participant-left ada",
            "moderator-action server zoe make-moderator",
            "participant-updated zoe moderator host",
        ],
        "bob": ["participant-left ada", "participant-updated zoe moderator host"],
    }


def test_connected_follows_before_suspended() -> None:
    """R25."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.is_lost("bob")
    stage.leaves("ada")
    assert "participant-updated cleo moderator host" in stage.hears("cleo")


def test_new_host_hears_who_waits_once_it_is_moderator() -> None:
    """R20, R25."""
    stage = locked_meeting("ada", "bob", waiting=("cleo", "dora"))
    stage.leaves("ada")
    assert stage.heard() == {
        "bob": [
            "participant-left ada",
            "moderator-action server bob make-moderator",
            "participant-updated bob moderator host",
            "waiting-room cleo",
            "waiting-room dora",
        ]
    }


def test_new_host_who_was_moderator_does_not_hear_again_who_waits() -> None:
    """R20, R25."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "make-moderator")
    stage.locks("ada")
    stage.joins("cleo")
    stage.heard()
    stage.leaves("ada")
    assert stage.heard() == {"bob": ["participant-left ada", "participant-updated bob moderator host"]}


def test_nobody_follows_one_who_was_not_host() -> None:
    """R25."""
    stage = meeting("ada", "bob")
    stage.joins("cleo", token=TOKEN)
    stage.heard()
    stage.leaves("ada")
    assert stage.heard() == {"bob": ["participant-left ada"], "cleo": ["participant-left ada"]}


# Seats that free


def test_free_seat_goes_to_whoever_was_let_in_first_before_newcomers() -> None:
    """R23."""
    stage = locked_meeting("ada", "bob", waiting=("cleo", "dora"), seats=2)
    stage.unlocks("ada")
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.joins("emil")
    stage.heard()
    stage.leaves("bob")
    assert stage.heard() == {
        "ada": ["participant-left bob", "participant-joined cleo"],
        "cleo": ["participant-joined cleo", "participant-joined ada moderator host"],
    }
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.joins("emil")
    stage.is_lost("cleo")
    assert stage.hears("dora") == ["participant-joined dora", "participant-joined ada moderator host"]


def test_seat_of_a_kicked_one_goes_to_whoever_was_let_in() -> None:
    """R23, R24."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2)
    stage.unlocks("ada")
    stage.heard()
    stage.acts_on("ada", "bob", "kick")
    assert stage.heard() == {
        "ada": ["participant-left bob", "participant-joined cleo"],
        "bob": ["moderator-action ada bob kick", "closed 4501"],
        "cleo": ["participant-joined cleo", "participant-joined ada moderator host"],
    }


def test_last_one_out_leaves_the_seat_to_whoever_was_let_in() -> None:
    """R23, R26: the meeting goes on, with a new host who hears who still waits."""
    stage = locked_meeting("ada", waiting=("bob", "cleo"), seats=1)
    stage.unlocks("ada")
    stage.heard()
    stage.leaves("ada")
    assert stage.heard() == {"bob": ["participant-joined bob moderator host", "waiting-room cleo"]}
    assert stage.room.expires_at is None


def test_new_host_with_a_free_seat_hears_who_takes_it_last() -> None:
    """R23, R25: the order of things when a host leaves a full room that others may enter."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2)
    stage.unlocks("ada")
    stage.heard()
    stage.leaves("ada")
    assert stage.hears("bob") == [
        "participant-left ada",
        "moderator-action server bob make-moderator",
        "participant-updated bob moderator host",
        "waiting-room cleo",
        "participant-joined cleo",
    ]


# The end


def test_those_who_wait_are_sent_away_when_the_last_participant_leaves() -> None:
    """R26."""
    stage = locked_meeting("ada", waiting=("bob", "cleo"))
    stage.leaves("ada")
    assert stage.heard() == {
        "bob": ["reject-user server bob Meeting ended", "closed 4504"],
        "cleo": ["reject-user server cleo Meeting ended", "closed 4504"],
    }
    assert stage.room.waiting == {}


def test_ad_hoc_room_is_gone_when_the_last_one_leaves_by_word() -> None:
    """R4."""
    stage = meeting("ada")
    stage.leaves("ada")
    assert stage.room.expires_at == stage.now
    assert not stage.room.is_latent


def test_ad_hoc_room_lingers_when_the_last_one_is_lost() -> None:
    """R4: unlocked, and whoever enters is its host."""
    stage = locked_meeting("ada")
    stage.is_lost("ada")
    assert stage.room.expires_at == stage.now + RESUME_WINDOW
    assert stage.room.locked_by is None
    stage.joins("bob")
    assert stage.heard() == {"bob": ["participant-joined bob moderator host"]}
    assert stage.room.expires_at is None


@pytest.mark.parametrize("by_word", [True, False])
def test_precreated_room_outlives_its_last_participant_and_is_unlocked(by_word: bool) -> None:
    """R2, R26."""
    stage = Stage(is_precreated=True)
    stage.joins("ada")
    stage.locks("ada")
    stage.passes(5_000)
    if by_word:
        stage.leaves("ada")
    else:
        stage.is_lost("ada")
    assert stage.room.locked_by is None
    assert stage.room.expires_at == stage.now + LATENT_AGE


def test_precreated_room_is_latent_while_nobody_is_in_it() -> None:
    """R2."""
    stage = Stage(is_precreated=True)
    was_latent = [stage.room.is_latent]
    stage.joins("ada")
    was_latent.append(stage.room.is_latent)
    assert stage.room.expires_at is None
    stage.leaves("ada")
    was_latent.append(stage.room.is_latent)
    assert was_latent == [True, False, True]


def test_creator_token_of_a_precreated_room_outlives_its_meetings() -> None:
    """R2, R11."""
    stage = Stage(is_precreated=True)
    stage.joins("ada", token=TOKEN)
    stage.leaves("ada")
    stage.joins("bob")
    stage.joins("cleo", token=TOKEN)
    assert stage.room.participants["cleo"].is_host
    assert not stage.room.participants["bob"].is_host


def test_password_of_a_precreated_room_outlives_its_meetings() -> None:
    """R2."""
    stage = Stage(password="sesame", is_precreated=True)
    stage.joins("ada", password="sesame")
    stage.leaves("ada")
    with stage.refuses(ErrorCode.INVALID_PASSWORD):
        stage.joins("bob")


def test_recording_does_not_outlive_the_meeting() -> None:
    """R18."""
    stage = Stage(is_precreated=True)
    stage.joins("ada")
    stage.does("ada", requests.StartRecording())
    stage.is_lost("ada")
    stage.joins("bob")
    assert stage.hears("bob") == ["participant-joined bob moderator host"]


def test_kicked_address_finds_an_empty_room_open() -> None:
    """R4, R24: nobody is there who could admit it."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "kick")
    stage.is_lost("ada")
    stage.joins("bob")
    assert stage.room.participants["bob"].is_host


def test_kicked_address_waits_until_its_time_is_over() -> None:
    """R24."""
    stage = meeting("ada", "bob")
    stage.acts_on("ada", "bob", "kick")
    stage.passes(KICK_WAIT - 1)
    stage.joins("bob")
    assert stage.held == {"bob"}
    stage.leaves("bob")
    stage.passes(1)
    stage.joins("bob")
    assert stage.held == set()


def test_room_can_be_written_down_and_read_again() -> None:
    """Plain facts only, so that it fits on a disk or on a wire."""
    stage = Stage(password="sesame", is_precreated=True)
    stage.joins("ada", password="sesame", token=TOKEN)
    stage.joins("bob", password="sesame")
    stage.acts_on("ada", "bob", "kick")
    stage.does("ada", requests.StartRecording())
    stage.joins("bob", password="sesame")
    stage.locks("ada")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(stage.room), type=Room) == stage.room
