"""Chat that is kept for those who come later, and what is taken back."""

import pytest

from mikroroom.core.effects import Resumed
from mikroroom.core.history import HISTORY_BYTES, History
from mikroroom.protocol import events
from mikroroom.protocol.codes import ErrorCode

from .stage import Stage, locked_meeting, meeting

KEPT = 100


def texts(stage: Stage, name: str) -> list[str]:
    """The chat that someone has heard since last asked; what was said before it came in brackets."""
    heard: list[events.Message] = []
    for message in stage.overhears(name):
        if isinstance(message, events.Message):
            heard.append(message)
        elif isinstance(message, Resumed):
            heard += message.overview
    return [
        f"[{event.name}: {event.text}]" if event.is_history is True else event.text
        for event in heard
        if isinstance(event, events.Chat)
    ]


# Saying


def test_chat_goes_to_all_the_sender_included() -> None:
    """R15."""
    stage = meeting("ada", "bob", chat_history=KEPT)
    stage.says("ada", "hello", at=5, reply_to="3-bob")
    assert stage.heard() == {"ada": ["chat ada hello 5-ada 3-bob"], "bob": ["chat ada hello 5-ada 3-bob"]}


def test_chat_of_one_who_is_away_or_waits_or_was_never_there_is_refused() -> None:
    stage = locked_meeting("ada", waiting=("wanda",))
    for name in ("wanda", "nobody"):
        with stage.refuses(ErrorCode.NOT_IN_ROOM):
            stage.says(name, "hello")


def test_stamps_of_one_sender_increase_also_where_the_clock_is_behind() -> None:
    """R15."""
    stage = meeting("ada", "bob", chat_history=KEPT)
    for at in (10, 10, 4):
        stage.says("ada", "x", at=at)
    stage.says("bob", "my own count", at=10)
    ids = [event.message_id for event in stage.overhears("bob") if isinstance(event, events.Chat)]
    assert ids == ["10-ada", "11-ada", "12-ada", "10-bob"]


# Coming later


def test_late_joiner_hears_what_was_said_after_all_else() -> None:
    """R9: then, live, what follows."""
    stage = meeting("ada", "bob", chat_history=KEPT)
    stage.says("bob", "one", at=5)
    stage.says("ada", "two", at=6)
    stage.leaves("bob")
    stage.joins("cleo")
    stage.says("ada", "three", at=7)
    assert stage.hears("cleo") == [
        "participant-joined cleo",
        "participant-joined ada moderator host",
        "chat bob one 5-bob history",
        "chat ada two 6-ada history",
        "chat ada three 7-ada",
    ]


def test_only_the_last_messages_are_kept() -> None:
    stage = meeting("ada", chat_history=2)
    for text in ("one", "two", "three"):
        stage.says("ada", text)
    stage.joins("bob")
    assert texts(stage, "bob") == ["[Ada: two]", "[Ada: three]"]


def test_bytes_are_bounded_as_well() -> None:
    stage = meeting("ada", chat_history=1_000)
    for _ in range(100):
        stage.says("ada", "é" * 4_000)
    assert sum(len(line.text.encode()) for line in stage.room.chat.lines) <= HISTORY_BYTES
    assert len(stage.room.chat.lines) == HISTORY_BYTES // 8_003


def test_moderator_hears_who_waits_and_one_who_waits_hears_no_chat() -> None:
    """R20: not before it is admitted; then all of it, once."""
    stage = locked_meeting("ada", waiting=("wanda",), chat_history=KEPT)
    stage.says("ada", "before")
    assert stage.hears("wanda") == []
    stage.deletes("ada", "1-ada")
    assert stage.hears("wanda") == []
    stage.admits("ada", "wanda")
    stage.says("ada", "after")
    assert texts(stage, "wanda") == ["[Ada: before]", "after"]


def test_one_who_comes_back_is_offered_all_that_is_kept() -> None:
    """R42: for the case that its mailbox does not hold what it missed."""
    stage = meeting("ada", "bob", may_resume=True, chat_history=KEPT)
    stage.says("ada", "one")
    stage.is_lost("bob")
    stage.says("ada", "two")
    stage.hears("bob")
    stage.resumes("bob")
    assert texts(stage, "bob") == ["[Ada: one]", "[Ada: two]"]


# Forgetting


@pytest.mark.parametrize("is_precreated", [True, False])
def test_empty_room_forgets_its_chat(is_precreated: bool) -> None:
    """R2, R4: also where it is pre-created, or lingers for whoever was lost."""
    stage = Stage(is_precreated=is_precreated, chat_history=KEPT)
    stage.joins("ada")
    stage.says("ada", "for our ears")
    stage.is_lost("ada")
    assert stage.room.chat == History()
    stage.joins("bob")
    assert texts(stage, "bob") == []


def test_room_with_somebody_suspended_is_not_empty() -> None:
    """R41."""
    stage = meeting("ada", may_resume=True, chat_history=KEPT)
    stage.says("ada", "one")
    stage.is_lost("ada")
    stage.joins("bob")
    assert texts(stage, "bob") == ["[Ada: one]"]


def test_restart_keeps_the_chat_as_far_as_it_may_be_kept_now() -> None:
    """R46."""
    stage = meeting("ada", may_resume=True, chat_history=KEPT)
    stage.says("ada", "one")
    stage.says("ada", "two")
    stage.restarts()
    assert [line.text for line in stage.room.chat.lines] == ["one", "two"]
    stage.policy = type(stage.policy)(1, 1_000, 1, 1, chat_history=1)
    stage.restarts()
    assert [line.text for line in stage.room.chat.lines] == ["two"]


# Taking back


def test_own_message_is_taken_back_and_all_hear_it() -> None:
    stage = meeting("ada", "bob", chat_history=KEPT)
    stage.says("bob", "oops", at=5)
    stage.says("bob", "hello", at=6)
    stage.heard()
    stage.deletes("bob", "5-bob")
    assert stage.heard() == {
        "ada": ["message-deleted bob 5-bob by bob"],
        "bob": ["message-deleted bob 5-bob by bob"],
    }
    stage.joins("cleo")
    assert texts(stage, "cleo") == ["[Bob: hello]"]


def test_moderator_takes_back_what_others_have_written() -> None:
    stage = meeting("ada", "bob", chat_history=KEPT)
    stage.says("bob", "rude", at=5)
    stage.deletes("ada", "5-bob")
    assert stage.room.chat == History()


def test_message_of_another_is_not_for_a_guest_to_take_back() -> None:
    stage = meeting("ada", "bob", chat_history=KEPT)
    stage.says("ada", "hello", at=5)
    stage.heard()
    for message_id in ("5-ada", "5-bobby", "5-", "5", "bob"):
        with stage.refuses(ErrorCode.UNAUTHORIZED):
            stage.deletes("bob", message_id)


def test_message_that_is_not_kept_is_taken_back_all_the_same() -> None:
    """It may be older than what is kept, or nothing is."""
    stage = meeting("ada", "bob")
    stage.deletes("bob", "5-bob")
    stage.deletes("ada", "7-gone")
    assert stage.hears("ada") == ["message-deleted bob 5-bob by bob", "message-deleted ada 7-gone by ada"]
