"""Lost connections, and coming back (R40 to R46)."""

import msgspec
import pytest

from mikroroom.core.door import Newcomer, open_room
from mikroroom.core.effects import Resumed, Send
from mikroroom.core.room import Policy, Room
from mikroroom.core.secrets import digest_token
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode

from .stage import (
    CODE,
    KICK_WAIT,
    LATENT_AGE,
    RESUME_WINDOW,
    TOKEN,
    Stage,
    line,
    locked_meeting,
    meeting,
)


def overview(stage: Stage, name: str) -> list[str]:
    """What someone who has just come back would hear if what it missed is not held any more, a line each."""
    (answer,) = [heard for heard in stage.overhears(name) if isinstance(heard, Resumed)]
    return [line(answer.own), *(line(event) for event in answer.overview)]


# Who may come back


def test_whoever_asks_is_told_how_to_come_back_and_for_how_long() -> None:
    """R40: and nobody else hears of it."""
    stage = Stage()
    stage.opens("ada", may_resume=True)
    stage.joins("bob", may_resume=True)
    stage.joins("cleo")
    assert stage.heard() == {
        "ada": [
            f"participant-joined ada moderator host {TOKEN} ada#1",
            "participant-joined bob",
            "participant-joined cleo",
        ],
        "bob": [
            "participant-joined bob bob#1",
            "participant-joined ada moderator host",
            "participant-joined cleo",
        ],
        "cleo": [
            "participant-joined cleo",
            "participant-joined ada moderator host",
            "participant-joined bob",
        ],
    }


@pytest.mark.parametrize(("milliseconds", "seconds"), [(30_000, 30), (500, 0.5), (1_001, 1.001)])
def test_window_is_told_in_seconds(milliseconds: int, seconds: float) -> None:
    """R40."""
    policy = Policy(LATENT_AGE, milliseconds, KICK_WAIT, 50)
    room = Room(code=CODE, max_participants=8, creator_digest=b"")
    effects = open_room(room, Newcomer("ada", "Ada", "a", resume_token="t"), TOKEN, policy)
    (own,) = [effect.event for effect in effects if isinstance(effect, Send)]
    assert f'"resumeWindow":{seconds}'.encode() in msgspec.json.encode(own)


def test_one_who_waits_is_told_in_its_own_message_alone() -> None:
    """R41."""
    stage = locked_meeting("ada")
    stage.joins("bob", may_resume=True)
    assert stage.heard() == {"ada": ["waiting-room bob"], "bob": ["waiting-room bob bob#1"]}


def test_resume_token_is_not_kept() -> None:
    """R46: only its digest is, in a room that goes to a disk."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), may_resume=True)
    stage.is_lost("bob")
    stage.resumes("bob")
    written = msgspec.msgpack.encode(stage.room)
    assert not any(token.encode() in written for token in ("ada#1", "bob#1", "bob#2", "cleo#1"))
    assert digest_token("bob#1") in written


# Lost


def test_lost_one_is_suspended_and_the_others_hear_that_it_is_not_connected() -> None:
    """R41: it keeps its role, state and seat."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.does("bob", requests.UpdateState(is_muted=True))
    stage.acts_on("ada", "bob", "make-moderator")
    stage.heard()
    before = stage.room.participants["bob"]
    stage.is_lost("bob")
    told = ["participant-updated bob moderator muted disconnected"]
    assert stage.heard() == {"ada": told, "cleo": told}
    assert stage.room.participants["bob"] is before
    assert stage.room.suspended == {"bob": stage.now + RESUME_WINDOW}
    assert stage.suspended == {"bob": "bob's"}
    stage.joins("dora")
    assert stage.hears("dora")[2] == told[0].replace("updated", "joined")


def test_seat_of_a_suspended_one_is_taken() -> None:
    """R41: it counts for capacity."""
    stage = meeting("ada", "bob", seats=2, may_resume=True)
    stage.is_lost("bob")
    with stage.refuses(ErrorCode.ROOM_FULL):
        stage.joins("cleo")


def test_suspended_ones_keep_the_room_alive_with_host_and_lock() -> None:
    """R41."""
    stage = locked_meeting("ada", may_resume=True)
    stage.is_lost("ada")
    assert stage.heard() == {}
    assert stage.room.expires_at is None
    stage.joins("bob")
    assert stage.held == {"bob"}
    stage.resumes("ada")
    assert overview(stage, "ada") == [
        "participant-joined ada moderator host ada#2",
        "room-locked ada by ada",
        "waiting-room bob",
    ]


def test_what_is_said_to_a_suspended_one_is_sent_to_it_all_the_same() -> None:
    """R44: a sender need not care."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    stage.locks("ada")
    stage.acts_on("ada", "bob", "mute")
    stage.joins("cleo", token=TOKEN)
    assert stage.hears("bob") == [
        "room-locked ada by ada",
        "moderator-action ada bob mute",
        "participant-updated bob muted",
        "participant-joined cleo moderator host",
        "participant-updated ada moderator",
    ]


def test_whoever_did_not_ask_is_gone_when_its_connection_is() -> None:
    """R41."""
    stage = meeting("ada", "bob")
    stage.is_lost("bob")
    assert stage.heard() == {"ada": ["participant-left bob"]}
    assert stage.room.suspended == {}


def test_one_who_leaves_by_word_does_not_come_back() -> None:
    """R41."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.leaves("bob")
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob")


def test_one_who_waits_is_suspended_and_keeps_its_place() -> None:
    """R41: moderators' lists stay as they are."""
    stage = locked_meeting("ada", waiting=("bob", "cleo"), may_resume=True)
    stage.is_lost("bob")
    assert stage.heard() == {}
    assert list(stage.room.waiting) == ["bob", "cleo"]
    stage.resumes("bob")
    assert stage.heard() == {"bob": ["back: waiting-room bob bob#2"]}
    assert stage.room.suspended == {}


def test_waiting_room_is_full_with_suspended_ones() -> None:
    """R20, R41."""
    stage = locked_meeting("ada", waiting=("bob",), max_waiting=1, may_resume=True)
    stage.is_lost("bob")
    with stage.refuses(ErrorCode.WAITING_ROOM_FULL):
        stage.joins("cleo")


def test_loss_of_someone_who_is_gone_is_refused() -> None:
    stage = meeting("ada", "bob", may_resume=True)
    stage.leaves("bob")
    with stage.refuses(ErrorCode.NOT_IN_ROOM):
        stage.is_lost("bob")


def test_loss_that_is_told_twice_is_one() -> None:
    """Over a store that is far away, a connection can be closed and gone before either has arrived."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.is_lost("bob")
    stage.passes(1)
    stage.is_lost("cleo")
    stage.heard()
    before = stage.picture()
    stage.passes(1)
    stage.is_lost("bob", connection="bob")
    assert stage.picture() == before


# Coming back


def test_back_one_takes_its_place_and_the_others_hear_that_it_is_connected() -> None:
    """R42: it hears its own message, and nothing that the others hear."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.is_lost("bob")
    stage.heard()
    stage.resumes("bob")
    assert stage.heard() == {
        "ada": ["participant-updated bob"],
        "bob": ["back: participant-joined bob bob#2"],
        "cleo": ["participant-updated bob"],
    }
    assert stage.room.suspended == {}
    assert stage.connections["bob"] == "bob~1"
    assert list(stage.room.participants) == ["ada", "bob", "cleo"], "in order of joining"


def test_back_one_can_be_told_all_there_is() -> None:
    """R42, R9: everyone in order, the lock, recordings, and to a moderator who waits."""
    stage = locked_meeting("ada", "bob", "cleo", waiting=("dora", "emil"), may_resume=True)
    stage.acts_on("ada", "bob", "make-moderator")
    stage.does("ada", requests.StartRecording())
    stage.does("bob", requests.StartRecording())
    stage.does("bob", requests.RaiseHand())
    for name in ("bob", "cleo"):
        stage.is_lost(name)
    stage.heard()
    stage.resumes("bob")
    assert overview(stage, "bob") == [
        "participant-joined bob moderator hand_raised bob#2",
        "participant-joined ada moderator host",
        "participant-joined cleo disconnected",
        "room-locked ada by ada",
        "recording-started ada by ada",
        "recording-started bob by bob",
        "waiting-room dora",
        "waiting-room emil",
    ]
    stage.resumes("cleo")
    assert overview(stage, "cleo") == [
        "participant-joined cleo cleo#3",
        "participant-joined ada moderator host",
        "participant-joined bob moderator hand_raised",
        "room-locked ada by ada",
        "recording-started ada by ada",
        "recording-started bob by bob",
    ]


def test_neither_password_nor_lock_nor_capacity_nor_a_kick_from_there_stands_in_the_way() -> None:
    """R42."""
    stage = Stage(seats=2, password="sesame", is_precreated=True)
    stage.joins("ada", password="sesame")
    stage.joins("bob", password="sesame", may_resume=True)
    stage.locks("ada")
    stage.is_lost("bob")
    stage.room.kicked["bob's"] = stage.now + KICK_WAIT
    stage.resumes("bob")
    assert stage.suspended == {}


def test_back_one_may_be_at_another_address() -> None:
    """R30: it is counted, and kicked, where it is now."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    stage.resumes("bob", address="a train")
    stage.is_lost("bob")
    assert stage.suspended == {"bob": "a train"}
    stage.acts_on("ada", "bob", "kick")
    assert stage.room.kicked.keys() == {"a train"}


def test_connection_that_is_still_open_is_replaced() -> None:
    """R43."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.resumes("bob")
    assert stage.connections["bob"] == "bob~1"
    assert stage.hears("bob") == ["back: participant-joined bob bob#2"]


def test_loss_of_the_old_connection_after_that_is_nothing() -> None:
    """R43."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.resumes("bob")
    stage.heard()
    before = stage.picture()
    stage.is_lost("bob", connection="bob")
    stage.is_lost("bob", connection="another")
    assert stage.picture() == before
    stage.is_lost("bob", connection="bob~1")
    assert stage.hears("ada") == ["participant-updated bob disconnected"]


def test_reloaded_page_is_a_new_one_of_the_same_person_to_the_others() -> None:
    """R42: same id, dead media; its recording has ended, and a snapshot follows."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.acts_on("ada", "bob", "make-moderator")
    stage.does("ada", requests.StartRecording())
    stage.does("bob", requests.StartRecording())
    stage.is_lost("bob")
    stage.heard()
    stage.resumes("bob", restart=True)
    told = [
        "recording-stopped bob by bob",
        "participant-left bob",
        "participant-joined bob moderator",
    ]
    assert stage.heard() == {
        "ada": told,
        "bob": [
            "back: participant-joined bob moderator bob#2",
            "participant-joined ada moderator host",
            "participant-joined cleo",
            "recording-started ada by ada",
        ],
        "cleo": told,
    }


def test_host_that_reloads_is_still_host() -> None:
    """R42: it has not left."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.resumes("ada", restart=True)
    assert stage.heard() == {
        "ada": ["back: participant-joined ada moderator host ada#2", "participant-joined bob"],
        "bob": ["participant-left ada", "participant-joined ada moderator host"],
    }


def test_one_who_waits_and_reloads_waits_on() -> None:
    """R42: the moderators have nothing to hear."""
    stage = locked_meeting("ada", waiting=("bob",), may_resume=True)
    stage.resumes("bob", restart=True)
    assert stage.heard() == {"bob": ["back: waiting-room bob bob#2"]}


# Tokens


def test_presented_token_is_valid_until_its_successor_has_been_used() -> None:
    """R42: the answer may have been lost."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.resumes("bob")  # bob#2 for bob#1
    stage.resumes("bob", token="bob#1")  # bob#3 for bob#1
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob", token="bob#2")
    stage.resumes("bob", token="bob#1")
    stage.resumes("bob", token=stage.tokens["bob"])
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob", token="bob#1")


def test_presented_token_is_no_longer_valid_than_its_window() -> None:
    """R41, R45."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.resumes("bob")
    stage.is_lost("bob")
    stage.passes(RESUME_WINDOW)
    for token in ("bob#1", stage.tokens["bob"]):
        with stage.refuses(ErrorCode.RESUME_FAILED):
            stage.resumes("bob", token=token)


def test_token_is_valid_until_exactly_the_end_of_the_window() -> None:
    """R41, R45: whether or not the store has tidied by then."""
    for late in (0, 1):
        stage = meeting("ada", "bob", may_resume=True)
        stage.is_lost("bob")
        stage.passes(RESUME_WINDOW - 1 + late)
        if late:
            with stage.refuses(ErrorCode.RESUME_FAILED):
                stage.resumes("bob")
            stage.tidies()
            assert "bob" not in stage.seated
        else:
            stage.tidies()
            stage.resumes("bob")


def test_window_starts_anew_with_every_loss() -> None:
    """R41."""
    stage = meeting("ada", "bob", may_resume=True)
    for _ in range(3):
        stage.is_lost("bob")
        stage.passes(RESUME_WINDOW - 1)
        stage.resumes("bob")
    stage.passes(10 * RESUME_WINDOW)
    stage.tidies()
    stage.is_lost("bob")
    assert stage.room.suspended == {"bob": stage.now + RESUME_WINDOW}


@pytest.mark.parametrize(
    "token", ["", "bob#2", "cob#1", "bob#1 ", "BOB#1", "bob#", "é", digest_token("bob#1").hex()]
)
def test_wrong_token_is_refused(token: str) -> None:
    """R45: one bit is enough."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob", token=token)


def test_token_of_another_room_is_wrong_here() -> None:
    """R45."""
    elsewhere = meeting("zoe", "bob", may_resume=True)
    here = meeting("ada", "cleo", may_resume=True)
    with here.refuses(ErrorCode.RESUME_FAILED):
        here.resumes("bob", token=elsewhere.tokens["bob"])


def test_creator_token_is_no_token_to_resume_by() -> None:
    stage = meeting("ada", may_resume=True)
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("ada", token=TOKEN)


def test_nobody_comes_back_to_a_place_that_was_not_kept() -> None:
    """R40: only those who ask have a token; no digest is that of nothing."""
    stage = meeting("ada", "bob")
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob", token="")


# The window ends


def test_one_whose_window_ends_has_left() -> None:
    """R41: its tokens are late from now on, not wrong (R45)."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.resumes("bob")
    stage.is_lost("bob")
    stage.heard()
    stage.passes(RESUME_WINDOW - 1)
    stage.tidies()
    assert stage.heard() == {}
    stage.passes(1)
    stage.tidies()
    assert stage.heard() == {"ada": ["participant-left bob"], "cleo": ["participant-left bob"]}
    assert stage.late == [digest_token("bob#2"), digest_token("bob#1")]
    assert stage.room.suspended == {}


def test_each_goes_at_its_own_time() -> None:
    """R41: and those who are connected stay."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.is_lost("cleo")
    stage.passes(10)
    stage.is_lost("bob")
    stage.passes(RESUME_WINDOW - 10)
    stage.tidies()
    assert list(stage.room.participants) == ["ada", "bob"]
    stage.passes(10)
    stage.tidies()
    assert list(stage.room.participants) == ["ada"]


@pytest.mark.parametrize("lost", [("ada", "bob", "cleo"), ("cleo", "ada", "bob"), ("bob", "cleo", "ada")])
def test_host_goes_last_of_those_who_go_together(lost: tuple[str, ...]) -> None:
    """R25, R41: nobody is host for a moment."""
    stage = meeting("ada", "bob", "cleo", "dora", may_resume=True)
    for name in lost:
        stage.is_lost(name)
    stage.heard()
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    others = [f"participant-left {name}" for name in lost if name != "ada"]
    assert stage.hears("dora") == [
        *others,
        "participant-left ada",
        "moderator-action server dora make-moderator",
        "participant-updated dora moderator host",
    ]


def test_host_is_kept_during_its_window_and_succeeded_after_it() -> None:
    """R25, R41."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("ada")
    assert stage.hears("bob") == ["participant-updated ada moderator host disconnected"]
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert stage.hears("bob") == [
        "participant-left ada",
        "moderator-action server bob make-moderator",
        "participant-updated bob moderator host",
    ]


def test_room_ends_with_the_last_window() -> None:
    """R4, R41: it has waited already, and need not linger as long again."""
    stage = meeting("ada", "bob", may_resume=True)
    for name in ("ada", "bob"):
        stage.is_lost(name)
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert stage.room.expires_at == stage.now


def test_precreated_room_is_latent_after_the_last_window() -> None:
    """R2, R41."""
    stage = Stage(is_precreated=True)
    stage.joins("ada", may_resume=True)
    stage.locks("ada")
    stage.is_lost("ada")
    assert not stage.room.is_latent
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert (stage.room.is_latent, stage.room.locked_by) == (True, None)
    assert stage.room.expires_at == stage.now + LATENT_AGE


def test_one_who_waits_and_whose_window_ends_is_off_the_list() -> None:
    """R22, R41."""
    stage = locked_meeting("ada", waiting=("bob",), may_resume=True)
    stage.is_lost("bob")
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert stage.heard() == {"ada": ["participant-left bob"]}
    assert stage.late == [digest_token("bob#1")]


def test_one_who_waits_is_not_let_in_for_the_moment_of_going() -> None:
    """R23, R41: those who wait go before those whose seats they would get."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2, may_resume=True)
    stage.unlocks("ada")
    stage.is_lost("bob")
    stage.is_lost("cleo")
    stage.heard()
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert stage.heard() == {"ada": ["participant-left cleo", "participant-left bob"]}


def test_seat_of_one_whose_window_ends_goes_to_whoever_was_let_in() -> None:
    """R23, R41."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2, may_resume=True)
    stage.unlocks("ada")
    stage.is_lost("bob")
    stage.heard()
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert stage.hears("ada") == ["participant-left bob", "participant-joined cleo"]


def test_those_who_wait_are_sent_away_with_the_last_window_whether_connected_or_not() -> None:
    """R26, R41: those of them whose window ends as well are gone before."""
    stage = locked_meeting("ada", waiting=("bob", "cleo", "dora"), may_resume=True)
    stage.is_lost("ada")
    stage.is_lost("bob")
    stage.passes(1)
    stage.is_lost("cleo")
    stage.heard()
    stage.passes(RESUME_WINDOW - 1)
    stage.tidies()
    away = ["reject-user server {} Meeting ended", "closed 4504"]
    assert stage.heard() == {
        "ada": ["participant-left bob"],
        "cleo": [line.format("cleo") for line in away],
        "dora": [line.format("dora") for line in away],
    }
    assert (stage.room.suspended, stage.room.waiting) == ({}, {})


# What others do meanwhile


def test_suspended_one_follows_the_host_only_where_nobody_is_connected() -> None:
    """R25."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.is_lost("bob")
    stage.heard()
    stage.leaves("ada")
    assert stage.hears("cleo")[-1] == "participant-updated cleo moderator host"
    stage.leaves("cleo")
    assert stage.hears("bob")[-2:] == [
        "moderator-action server bob make-moderator",
        "participant-updated bob moderator host",
    ]
    assert stage.room.expires_at is None


def test_connected_moderator_follows_before_a_suspended_one_that_came_first() -> None:
    """R25."""
    stage = meeting("ada", "bob", "cleo", "dora", may_resume=True)
    for name in ("bob", "cleo"):
        stage.acts_on("ada", name, "make-moderator")
    stage.is_lost("bob")
    stage.heard()
    stage.leaves("ada")
    assert stage.hears("dora") == ["participant-left ada", "participant-updated cleo moderator host"]


def test_suspended_one_can_be_kicked_and_may_not_come_back() -> None:
    """R24."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    stage.heard()
    stage.acts_on("ada", "bob", "kick")
    assert stage.heard() == {
        "ada": ["participant-left bob"],
        "bob": ["moderator-action ada bob kick", "closed 4501"],
    }
    assert stage.room.suspended == {}
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob")


def test_suspended_one_who_waits_can_be_rejected_and_may_not_come_back() -> None:
    """R22."""
    stage = locked_meeting("ada", waiting=("bob",), may_resume=True)
    stage.is_lost("bob")
    stage.does("ada", requests.RejectUser("bob"))
    assert stage.hears("ada") == ["participant-left bob"]
    assert stage.hears("bob")[-1] == "closed 4502"
    assert stage.room.suspended == {}
    with stage.refuses(ErrorCode.RESUME_FAILED):
        stage.resumes("bob")


def test_suspended_one_who_waits_can_be_admitted_and_is_a_suspended_participant() -> None:
    """R41: its window goes on."""
    stage = locked_meeting("ada", waiting=("bob",), may_resume=True)
    stage.is_lost("bob")
    until = dict(stage.room.suspended)
    stage.passes(1_000)
    stage.admits("ada", "bob")
    assert stage.hears("ada") == ["participant-joined bob disconnected"]
    assert stage.room.suspended == until
    assert stage.hears("bob")[0] == "participant-joined bob", "it is connected when it hears this"
    stage.resumes("bob")
    assert overview(stage, "bob") == [
        "participant-joined bob bob#2",
        "participant-joined ada moderator host",
        "room-locked ada by ada",
    ]
    assert stage.hears("ada") == ["participant-updated bob"]


def test_suspended_one_who_waits_for_a_seat_gets_it_in_its_turn() -> None:
    """R23, R41."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2, may_resume=True)
    stage.is_lost("cleo")
    stage.unlocks("ada")
    stage.leaves("bob")
    assert stage.hears("ada")[-1] == "participant-joined cleo disconnected"
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert stage.hears("ada") == ["participant-left cleo"]


def test_recording_goes_on_while_its_recorder_is_suspended() -> None:
    """R18, R41: and ends with its window."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.does("ada", requests.StartRecording())
    stage.is_lost("ada")
    stage.joins("cleo")
    assert stage.hears("cleo")[-1] == "recording-started ada by ada"
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert "recording-stopped ada by ada" in stage.hears("cleo")


# Restarts


def test_after_a_restart_whoever_may_come_back_is_suspended_anew_and_nobody_hears_of_it() -> None:
    """R46: with role, lock, waiting room and tokens; every window starts anew."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), may_resume=True)
    stage.acts_on("ada", "bob", "make-moderator")
    stage.is_lost("bob")
    stage.heard()
    stage.passes(RESUME_WINDOW - 1)
    stage.restarts()
    assert stage.heard() == {}
    assert stage.room.suspended == dict.fromkeys(("ada", "bob", "cleo"), stage.now + RESUME_WINDOW)
    assert (set(stage.seated), stage.held) == ({"ada", "bob"}, {"cleo"})
    stage.passes(RESUME_WINDOW - 1)
    for name in ("ada", "bob", "cleo"):
        stage.resumes(name)
    assert overview(stage, "ada") == [
        "participant-joined ada moderator host ada#2",
        "participant-joined bob moderator disconnected",
        "room-locked ada by ada",
        "waiting-room cleo",
    ]
    assert stage.room.suspended == {}


def test_after_a_restart_a_presented_token_is_valid_as_before() -> None:
    """R42, R46."""
    stage = meeting("ada", may_resume=True)
    stage.resumes("ada")
    stage.restarts()
    stage.resumes("ada", token="ada#1")


def test_after_a_restart_whoever_cannot_come_back_is_gone_and_the_others_hear_it() -> None:
    """R46: in the waiting room, too; and the host goes last, so that nobody is host for a moment."""
    stage = locked_meeting("ada", "bob")
    stage.joins("zoe", token=TOKEN)
    stage.unlocks("ada")
    for name, may_resume in (("cleo", True), ("dora", False)):
        stage.joins(name, may_resume=may_resume)
    stage.locks("ada")
    stage.joins("emil")
    stage.heard()
    stage.restarts()
    assert stage.heard() == {
        "cleo": [
            "participant-left ada",
            "participant-left bob",
            "participant-left dora",
            "participant-left zoe",
            "moderator-action server cleo make-moderator",
            "participant-updated cleo moderator host",
        ]
    }
    assert (set(stage.seated), stage.held) == ({"cleo"}, set())


def test_after_a_restart_no_seat_goes_to_one_who_waited_and_cannot_come_back() -> None:
    """R23, R46."""
    stage = Stage(seats=2)
    stage.opens("ada", may_resume=True)
    stage.joins("bob")
    stage.locks("ada")
    stage.joins("cleo")
    stage.joins("dora", may_resume=True)
    stage.unlocks("ada")
    stage.heard()
    stage.restarts()
    assert stage.heard()["ada"] == [
        "participant-left cleo",
        "participant-left bob",
        "participant-joined dora disconnected",
    ]


def test_after_a_restart_a_meeting_that_nobody_can_resume_lingers_from_then_on() -> None:
    """R4, R46: so that clients which simply reconnect find it."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.joins("dora", may_resume=True)
    stage.passes(10 * RESUME_WINDOW)
    stage.heard()
    stage.restarts()
    assert stage.room.expires_at == stage.now + RESUME_WINDOW
    assert stage.room.locked_by is None
    assert stage.heard() == {"dora": ["reject-user server dora Meeting ended", "closed 4504"]}, (
        "as ever (R26)"
    )
    stage.joins("ada")
    assert stage.hears("ada") == ["participant-joined ada moderator host"]


def test_after_a_restart_an_empty_room_lingers_anew() -> None:
    """R46."""
    stage = meeting("ada")
    stage.is_lost("ada")
    stage.passes(RESUME_WINDOW - 1)
    stage.restarts()
    assert stage.room.expires_at == stage.now + RESUME_WINDOW


@pytest.mark.parametrize(
    ("clock", "left"), [(0, 1_000), (500, 500), (-2 * LATENT_AGE, LATENT_AGE), (2_000, -1_000)]
)
def test_after_a_restart_a_latent_room_has_the_rest_of_its_time_and_no_more_than_all_of_it(
    clock: int, left: int
) -> None:
    """R2, R46: the clock may have been set while the server was down."""
    stage = Stage(is_precreated=True)
    stage.passes(LATENT_AGE - 1_000 + clock)
    stage.restarts()
    assert stage.room.expires_at == stage.now + left


def test_after_a_restart_a_latent_room_without_an_end_gets_one() -> None:
    """R2."""
    stage = Stage(is_precreated=True)
    stage.room.expires_at = None
    stage.restarts()
    assert stage.room.expires_at == stage.now + LATENT_AGE


def test_after_a_restart_nobody_is_kicked_for_longer_than_anybody_is() -> None:
    """R24, R46: likewise."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.acts_on("ada", "bob", "kick")
    until = stage.now + KICK_WAIT
    stage.passes(1_000)
    stage.restarts()
    assert stage.room.kicked == {"bob's": until}
    stage.passes(-3_600_000)
    stage.restarts()
    assert stage.room.kicked == {"bob's": stage.now + KICK_WAIT}


def test_windows_of_before_a_jump_of_the_clock_do_not_outlive_a_restart() -> None:
    """R46."""
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    stage.passes(-3_600_000)
    stage.restarts()
    assert set(stage.room.suspended.values()) == {stage.now + RESUME_WINDOW}


def test_room_with_everything_of_resuming_in_it_can_be_written_down_and_read_again() -> None:
    """R46."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), may_resume=True)
    stage.resumes("bob")
    stage.is_lost("bob")
    stage.is_lost("cleo")
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(stage.room), type=Room)
    assert copy == stage.room
    assert list(copy.suspended) == ["bob", "cleo"]


def test_resumption_is_told_to_nobody() -> None:
    """R40: a token has a single holder."""
    stage = locked_meeting("ada", "bob", waiting=("cleo",), may_resume=True)
    stage.is_lost("bob")
    stage.resumes("bob")
    stage.resumes("cleo", restart=True)
    for name in ("ada", "bob", "cleo"):
        for heard in stage.overhears(name):
            told = heard.overview if isinstance(heard, Resumed) else (heard,)
            for event in told:
                assert not isinstance(event, events.ParticipantJoined) or not event.resume_token
                assert not isinstance(event, events.WaitingRoom) or not event.resume_token


def test_room_waits_for_whoever_was_lost_after_one_whose_window_ends_first() -> None:
    """R4, R41: the one that keeps no place has its time as well, and finds the room."""
    stage = meeting("ada", may_resume=True)
    stage.joins("bob")
    stage.is_lost("ada")
    stage.passes(RESUME_WINDOW - 1_000)
    stage.is_lost("bob")
    stage.passes(1_000)
    stage.tidies()
    assert not stage.room.participants
    assert stage.room.expires_at == stage.now + RESUME_WINDOW - 1_000
    stage.joins("cleo")
    assert stage.room.participants["cleo"].is_host


# A worker that is gone


def test_who_may_come_back_keeps_its_place_when_its_worker_is_gone_and_the_others_go_on() -> None:
    """R41, on another worker than the one that was lost."""
    stage = meeting("ada", "bob", "cleo", may_resume=True)
    stage.passes(1_000)
    stage.forsakes("bob")
    assert stage.heard() == {
        "ada": ["participant-updated bob disconnected"],
        "cleo": ["participant-updated bob disconnected"],
    }
    assert stage.room.suspended == {"bob": stage.now + RESUME_WINDOW}
    stage.resumes("bob")
    assert stage.room.suspended == {}


def test_who_was_away_when_its_worker_went_has_all_of_its_window_again_and_nobody_hears_so() -> None:
    stage = meeting("ada", "bob", may_resume=True)
    stage.is_lost("bob")
    stage.heard()
    stage.passes(RESUME_WINDOW - 1)
    stage.forsakes("bob")
    assert stage.heard() == {}
    assert stage.room.suspended == {"bob": stage.now + RESUME_WINDOW}


def test_who_cannot_come_back_is_gone_with_its_worker_and_is_to_connect_again() -> None:
    stage = meeting("ada", "bob")
    stage.joins("cleo", may_resume=True)
    stage.heard()
    stage.forsakes("ada", "bob")
    assert stage.heard() == {
        "ada": ["participant-left bob", "closed 1012"],
        "bob": ["closed 1012"],
        "cleo": [
            "participant-left bob",
            "participant-left ada",
            "moderator-action server cleo make-moderator",
            "participant-updated cleo moderator host",
        ],
    }


def test_waiting_people_of_a_worker_that_is_gone_wait_on_if_they_may_come_back() -> None:
    stage = locked_meeting("ada", "bob", waiting=("cleo",))
    stage.joins("dora", may_resume=True)
    stage.heard()
    stage.forsakes("cleo", "dora")
    assert stage.heard() == {"ada": ["participant-left cleo"], "cleo": ["closed 1012"]}
    assert (stage.held, set(stage.room.suspended)) == ({"dora"}, {"dora"})


def test_a_room_all_of_whose_people_are_forsaken_lingers() -> None:
    """R4."""
    stage = meeting("ada", "bob")
    stage.forsakes("ada", "bob")
    assert stage.room.expires_at == stage.now + RESUME_WINDOW
