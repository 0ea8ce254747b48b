"""A meeting in a terminal, as one who reads it sees it."""

from typing import Any

import pytest

from mikroroom.client import QueueFullError, Rejoined, Resumed, Suspended
from mikroroom.protocol import events
from mikroroom.terminal import Attendance, _do, _print, attend


class Ada:
    """Stands in for a client: notes what it was asked for."""

    id = "ada-id"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        async def ask(*arguments: Any, **options: Any) -> None:
            self.asked.append((name, *arguments, *([options] if options else [])))

        return ask


@pytest.fixture
def ada() -> Ada:
    return Ada()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def attendance(ada: Ada, said: list[str]) -> Attendance:
    return Attendance(ada, said.append)  # type: ignore[arg-type]  # a stand-in


async def test_what_is_typed_is_chat(attendance: Attendance, ada: Ada) -> None:
    assert await attendance.understand("  hello there \n")
    assert await attendance.understand("\n")
    assert ada.asked == [("chat", "hello there")]


async def test_a_person_is_named_by_name(attendance: Attendance, ada: Ada) -> None:
    attendance.hear(events.WaitingRoom("ABC123", "bob-id", "Bob B"))
    await attendance.understand("/admit Bob B")
    await attendance.understand("/kick Bob B")
    assert ada.asked == [("admit", "bob-id"), ("moderate", "bob-id", "kick")]


async def test_a_private_message_is_for_whoever_is_named(
    attendance: Attendance, said: list[str], ada: Ada
) -> None:
    attendance.hear(events.ParticipantJoined("ABC123", "bob-id", name="Bob"))
    attendance.hear(events.ParticipantJoined("ABC123", "bob-b-id", name="Bob B"))
    said.clear()
    await attendance.understand("/to Bob psst")
    await attendance.understand("/to Bob B psst")
    for nothing in ("/to Bob", "/to Eve psst", "/to"):
        await attendance.understand(nothing)
    assert ada.asked == [
        ("chat", "psst", {"target_id": "bob-id"}),
        ("chat", "psst", {"target_id": "bob-b-id"}),
    ]
    assert len(said) == 3, "help"


async def test_the_last_message_of_ones_own_is_taken_back(attendance: Attendance, ada: Ada) -> None:
    await attendance.understand("/delete")
    attendance.hear(events.Chat("ABC123", "ada-id", "one", "1-ada-id"))
    attendance.hear(events.Chat("ABC123", "ada-id", "two", "2-ada-id"))
    attendance.hear(events.Chat("ABC123", "bob-id", "three", "3-bob-id"))
    await attendance.understand("/delete")
    attendance.hear(events.MessageDeleted("ABC123", "ada-id", "2-ada-id", "ada-id"))
    await attendance.understand("/delete")
    assert ada.asked == [("delete_message", "2-ada-id"), ("delete_message", "1-ada-id")]


def test_chat_says_whom_it_was_for_and_when_and_is_told_once(attendance: Attendance, said: list[str]) -> None:
    attendance.hear(events.ParticipantJoined("ABC123", "ada-id", name="Ada"))
    attendance.hear(events.ParticipantJoined("ABC123", "bob-id", name="Bob"))
    said.clear()
    old = events.Chat("ABC123", "gone-id", "hello", "1-gone-id", is_history=True, name="Cleo")
    for event in (
        old,
        events.Chat("ABC123", "bob-id", "psst", "2-bob-id", target_id="ada-id"),
        events.Chat("ABC123", "ada-id", "what?", "3-ada-id", target_id="bob-id"),
        old,
        events.MessageDeleted("ABC123", "bob-id", "2-bob-id", "bob-id"),
        events.MessageDeleted("ABC123", "bob-id", "never-heard", "bob-id"),
    ):
        attendance.hear(event)
    assert said == [
        "Cleo, before you came: hello",
        "Bob, to you alone: psst",
        "Ada, to Bob alone: what?",
        "* a message of Bob was deleted",
    ]


async def test_the_hand_goes_up_and_down(attendance: Attendance, ada: Ada) -> None:
    await attendance.understand("/hand")
    await attendance.understand("/hand")
    assert ada.asked == [("raise_hand",), ("lower_hand",)]


async def test_an_unknown_command_gets_help_and_leave_ends(
    attendance: Attendance, ada: Ada, said: list[str]
) -> None:
    assert await attendance.understand("/frobnicate")
    assert "/admit" in said[0]
    assert not await attendance.understand("/leave")
    assert ada.asked == []


def test_everyone_is_told_of_by_name(attendance: Attendance, said: list[str]) -> None:
    for event in (
        events.ParticipantJoined("ABC123", "ada-id", name="Ada", is_host=True),
        events.ParticipantJoined("ABC123", "bob-id", name="Bob"),
        events.Chat("ABC123", "bob-id", "hi", "1-bob-id"),
        events.RaiseHand("ABC123", "bob-id"),
        events.RoomLocked("ABC123", "ada-id", "ada-id"),
        events.WaitingRoom("ABC123", "eve-id", "Eve"),
        events.ParticipantLeft("ABC123", "bob-id"),
        events.RoomUnlocked("ABC123", "ada-id", "ada-id"),
        events.ModeratorAction("ABC123", "", "ada-id", "make-moderator"),
        events.RejectUser("ABC123", "", "ada-id", "Meeting ended"),
        events.Error("", "", "Join a room first", "NOT_IN_ROOM"),
        events.LowerHand("ABC123", "bob-id"),
    ):
        attendance.hear(event)
    assert said == [
        "* you are in as host",
        "* Bob is here",
        "Bob: hi",
        "* Bob raises a hand",
        "* the room is locked",
        "* Eve waits: /admit or /reject",
        "* Bob has left",
        "* the room is unlocked",
        "* make-moderator: that is you",
        "* not let in: Meeting ended",
        "! Join a room first",
    ]


def test_a_lost_connection_is_told_of_and_so_is_coming_back(
    attendance: Attendance, said: list[str], ada: Ada
) -> None:
    me = events.ParticipantJoined("ABC123", "ada-id", name="Ada", is_host=True)
    attendance.hear(events.ParticipantJoined("ABC123", "bob-id", name="Bob"))
    said.clear()
    attendance.hear(Suspended(1012, "restarting"))
    attendance.hear(Resumed(me, replayed=True))
    attendance.hear(events.Chat("ABC123", "bob-id", "hi", "1-bob-id"))
    assert said == ["* connection lost, coming back…", "* you are back", "Bob: hi"]


async def test_who_is_here_now_is_told_anew_when_something_was_missed(
    attendance: Attendance, ada: Ada, said: list[str]
) -> None:
    me = events.ParticipantJoined("ABC123", "ada-id", name="Ada", is_host=True)
    attendance.hear(events.ParticipantJoined("ABC123", "bob-id", name="Bob"))
    said.clear()
    for back in (
        Resumed(me, replayed=False),
        Rejoined(me),
        Rejoined(events.WaitingRoom("ABC123", "ada-id", "Ada")),
    ):
        attendance.hear(back)
    attendance.hear(events.ParticipantJoined("ABC123", "cleo-id", name="Cleo"))
    await attendance.understand("/kick Bob")
    assert said == [
        "* you are back",
        "* you are back, as a newcomer",
        "* you are back, as a newcomer; wait to be let in",
        "* Cleo is here",
    ]
    assert ada.asked == [("moderate", "Bob", "kick")], "Bob is forgotten"


def test_others_are_told_of_when_they_lose_the_connection(attendance: Attendance, said: list[str]) -> None:
    attendance.hear(events.ParticipantJoined("ABC123", "bob-id", name="Bob"))
    said.clear()
    for is_connected in (True, False, False, True):
        attendance.hear(events.ParticipantUpdated("ABC123", "bob-id", is_connected=is_connected))
    assert said == ["* Bob lost the connection", "* Bob is back"]


async def test_what_cannot_be_kept_is_told_and_ends_nothing(
    attendance: Attendance, ada: Ada, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(text: str) -> None:
        raise QueueFullError("at most 256")

    monkeypatch.setattr(ada, "chat", refuse, raising=False)
    assert await _do(attendance, "hello")
    assert capsys.readouterr().out == "! at most 256\n"


def test_what_others_write_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _print("Eve: \x1b[2J\u202egone\x07")
    assert capsys.readouterr().out == "Eve: �[2J�gone�\n"


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1/ws", "http:/nowhere", "ws://[::1", "ws://127.0.0.1:70000/ws"]
)
async def test_a_server_that_is_none_is_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await attend(url, "ABC123", "Ada", password=None, is_host=False) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("! ")
