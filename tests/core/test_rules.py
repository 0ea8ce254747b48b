"""Who may ask for what (R19), and what everyone may do to oneself (R16)."""

import pytest

from mikroroom.core.rules import RULES, Role, moderates
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import REQUESTS
from mikroroom.protocol.codes import ErrorCode

from .stage import CODE, locked_meeting, meeting

MODERATING: list[requests.Message] = [
    requests.LockRoom(),
    requests.UnlockRoom(),
    requests.AdmitUser("waiter"),
    requests.AdmitUser("nobody"),
    requests.RejectUser("waiter", "no"),
    requests.ModeratorAction("ada", "mute"),
    requests.ModeratorAction("guest", "unmute"),
    requests.ModeratorAction("guest", "make-moderator"),
    requests.ModeratorAction("nobody", "kick"),
    requests.ModeratorAction("ada", "kick"),
    requests.StartRecording(),
    requests.StopRecording(),
]
OF_ONESELF: list[requests.Message] = [
    requests.UpdateState(is_muted=True),
    requests.RaiseHand(),
    requests.LowerHand(),
]
EVERYONES: list[requests.Message] = [*OF_ONESELF, requests.DeleteMessage("1767225600000-guest")]


def test_table_has_every_request_that_is_neither_talk_nor_coming_nor_going() -> None:
    """A new request finds its place here, or in ``room``, or is talk."""
    elsewhere = {requests.Join, requests.Leave, requests.Chat}
    assert RULES.keys() == {
        request
        for request in REQUESTS.values()
        if request not in elsewhere and not issubclass(request, requests.Relay)
    }


def test_examples_of_this_page_are_the_whole_table() -> None:
    roles = {request: role for request, (role, _) in RULES.items()}
    assert roles == {
        **dict.fromkeys(map(type, MODERATING), Role.MODERATOR),
        **dict.fromkeys(map(type, EVERYONES), Role.PARTICIPANT),
    }


@pytest.mark.parametrize("request_", MODERATING, ids=repr)
def test_guest_may_not_moderate(request_: requests.Message) -> None:
    """R19: and learns nothing by trying, not even whether the target is there."""
    stage = locked_meeting("ada", "guest", waiting=("waiter",))
    with stage.refuses(ErrorCode.UNAUTHORIZED):
        stage.does("guest", request_)


@pytest.mark.parametrize("request_", MODERATING + EVERYONES, ids=repr)
@pytest.mark.parametrize("name", ["waiter", "gone", "kicked", "stranger", ""])
def test_one_who_is_not_in_the_room_may_do_nothing(request_: requests.Message, name: str) -> None:
    """R19, R20: also one who waits, has left, was a moderator, or never came."""
    stage = locked_meeting("ada", "guest", "gone", "kicked", waiting=("waiter",))
    for moderator in ("gone", "kicked"):
        stage.acts_on("ada", moderator, "make-moderator")
    stage.leaves("gone")
    stage.acts_on("ada", "kicked", "kick")
    with stage.refuses(ErrorCode.NOT_IN_ROOM):
        stage.does(name, request_)


def test_to_moderate_is_to_ask_for_what_guests_may_not_and_to_delete_what_others_said() -> None:
    assert all(moderates(request, "ada") for request in MODERATING)
    assert not any(moderates(request, "ada") for request in OF_ONESELF)
    deletion = requests.DeleteMessage("1767225600000-guest")
    assert moderates(deletion, "ada")
    assert not moderates(deletion, "guest")


def test_own_state_changes_where_told_and_the_others_hear_it_whole() -> None:
    """R16: what is absent stays, and who said it knows."""
    stage = meeting("ada", "bob", "cleo")
    stage.does("bob", requests.UpdateState(is_muted=True))
    stage.does("bob", requests.UpdateState(is_video_off=True, is_hand_raised=True))
    stage.does("bob", requests.UpdateState(is_muted=False))
    stage.does("bob", requests.UpdateState(is_video_off=False))
    stage.does("bob", requests.UpdateState(is_hand_raised=False))
    told = [
        "participant-updated bob muted",
        "participant-updated bob muted video_off hand_raised",
        "participant-updated bob video_off hand_raised",
        "participant-updated bob hand_raised",
        "participant-updated bob",
    ]
    assert stage.heard() == {"ada": told, "cleo": told}


def test_state_without_anything_is_told_as_it_is() -> None:
    """R16."""
    stage = meeting("ada", "bob")
    stage.does("ada", requests.UpdateState())
    assert stage.overhears("bob") == [
        events.ParticipantUpdated(CODE, "ada", is_moderator=True, is_host=True, is_connected=True)
    ]


def test_hands_go_up_and_down_as_an_event_and_then_in_the_state() -> None:
    """R16."""
    stage = meeting("ada", "bob", "cleo")
    stage.does("cleo", requests.RaiseHand())
    told = ["raise-hand cleo", "participant-updated cleo hand_raised"]
    assert stage.heard() == {"ada": told, "bob": told}
    stage.does("cleo", requests.LowerHand())
    told = ["lower-hand cleo", "participant-updated cleo"]
    assert stage.heard() == {"ada": told, "bob": told}


def test_one_who_is_alone_tells_nobody() -> None:
    """R16."""
    stage = meeting("ada")
    for request in OF_ONESELF:
        stage.does("ada", request)
    assert stage.heard() == {}
    assert stage.room.participants["ada"].is_muted
