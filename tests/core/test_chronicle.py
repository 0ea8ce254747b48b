"""Room events as data: their ids, and what is dropped of too many."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mikroroom.core.chronicle import TYPES, Person, Reason, RoomEvent, RoomEventType, place, to_drop

from .outsider import Outsider


def event(number: int, kind: RoomEventType, who: str = "", reason: Reason | None = None) -> RoomEvent:
    """One of the room ROOM23."""
    person = Person(who, who.capitalize()) if who else None
    action = "locked" if kind == "room.moderated" else None
    return RoomEvent(
        type=kind,
        id=f"1000-{number}",
        room_id="ROOM23",
        participant=person,
        reason=reason,
        action=action,
        by="" if action else None,
    )


def story(*lines: str) -> list[RoomEvent]:
    """What happened, a line each: type, who, reason."""
    told = []
    for number, words in enumerate(map(str.split, lines)):
        kind = next(kind for kind in TYPES if kind == words[0])
        who = words[1] if len(words) > 1 else ""
        told.append(event(number, kind, who, "left" if kind.endswith("left") else None))
    return told


def kept(told: list[RoomEvent], most: int) -> list[str]:
    dropped = set(to_drop(told, most))
    return [
        f"{one.type} {one.participant.id if one.participant else ''}".strip()
        for one in told
        if one.id not in dropped
    ]


WHOLE = story(
    "room.started",
    "participant.joined ada",
    "room.moderated",
    "participant.waiting bob",
    "participant.joined bob",
    "participant.waiting cleo",
    "participant.waiting-left cleo",
    "participant.waiting dora",
    "participant.left bob",
    "participant.left ada",
)


@pytest.mark.parametrize(
    ("most", "left"),
    [
        (10, 10),
        (9, 9),  # not what was moderated
        (8, 8),  # nor that Bob waited
        (7, 6),  # nor that Cleo did, and went
        (5, 4),  # nor Bob's visit, which ended first
        (3, 2),  # nor Ada's
        (0, 2),  # the meeting goes on, and Dora waits
    ],
)
def test_of_too_many_the_least_goes_first_and_pairs_stay_pairs(most: int, left: int) -> None:
    assert len(kept(WHOLE, most)) == left
    assert kept(WHOLE, 0) == ["room.started", "participant.waiting dora"]


def test_meeting_that_is_over_goes_whole() -> None:
    told = story(
        "room.started", "participant.joined ada", "participant.left ada", "room.ended", "room.started"
    )
    assert kept(told, 1) == ["room.started"]
    assert kept(told, 3) == ["room.started", "room.ended", "room.started"]


def test_what_began_before_stays() -> None:
    told = story("participant.waiting-left cleo", "participant.left ada", "room.ended")
    assert to_drop(told, 0) == []


def test_ids_are_compared_as_numbers() -> None:
    assert place("9-10") < place("10-2") < place("10-11")
    assert place("10") == (10, 0)


@pytest.mark.parametrize("text", ["", "-", "a-1", "1-", "1-2-3", "-1", "1.5", "²", "1" * 20])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        place(text)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(
    deeds=st.lists(st.tuples(st.sampled_from(["enter", "go", "wait", "give_up", "lock"]), st.integers(0, 3))),
    told=st.integers(0, 30),
    most=st.integers(0, 20),
)
def test_whatever_is_dropped_those_outside_see_a_history_that_can_be(
    deeds: list[tuple[str, int]], told: int, most: int
) -> None:
    """Some of it was told before; of the rest no more than that is dropped which leaves pairs."""
    history = list(numbered(deeds))
    outsider = Outsider()
    outsider.hears_all(history[:told])
    waiting = history[told:]
    dropped = to_drop(waiting, most)
    assert len(set(dropped)) == len(dropped)
    assert not dropped or len(waiting) > most
    outsider.hears_all(one for one in waiting if one.id not in dropped)
    everything = Outsider()
    everything.hears_all(history)
    assert (outsider.rooms, outsider.waiting.get("ROOM23", set())) == (
        everything.rooms,
        everything.waiting.get("ROOM23", set()),
    )


class Meeting:
    """What people would do, as it is told: everyone who comes is somebody new."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.before: list[str] = []
        self.told: list[RoomEvent] = []

    def tells(self, kind: RoomEventType, who: str = "") -> None:
        """It has happened."""
        self.told.append(event(len(self.told), kind, who, "left" if kind.endswith("left") else None))

    def enter(self, who: str, which: int) -> None:
        """Somebody comes, or one of those who wait."""
        if self.before and which:
            who = self.before.pop(which % len(self.before))
        if not self.inside:
            self.tells("room.started")
        self.tells("participant.joined", who)
        self.inside.append(who)

    def go(self, who: str, which: int) -> None:
        """Somebody goes: the last one, for all who wait."""
        self.tells("participant.left", self.inside.pop(which % len(self.inside)))
        if not self.inside:
            while self.before:
                self.give_up(who, 0)
            self.tells("room.ended")

    def wait(self, who: str, which: int) -> None:
        """Somebody waits."""
        self.before.append(who)
        self.tells("participant.waiting", who)

    def give_up(self, who: str, which: int) -> None:
        """Somebody waits no longer."""
        if self.before:
            self.tells("participant.waiting-left", self.before.pop(which % len(self.before)))

    def lock(self, who: str, which: int) -> None:
        """Something is done to the room."""
        self.tells("room.moderated")


def numbered(deeds: list[tuple[str, int]]) -> list[RoomEvent]:
    """A history that can be, out of what people would do."""
    meeting = Meeting()
    for number, (deed, which) in enumerate(deeds):
        if deed == "enter" or meeting.inside:
            getattr(meeting, deed)(f"p{number}", which)
    return meeting.told
