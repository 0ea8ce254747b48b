"""Rooms as people read them."""

import msgspec
import pytest

from mikroroom.protocol.administration import BanDetail, InviteDetail, ParticipantDetail, Person, RoomDetail
from mikroroom.rooms.tables import invites_table, room_page, rooms_table, table, when

NOON = 1_800_000_000_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def person(name: str, *, is_connected: bool = True, is_moderator: bool = False) -> ParticipantDetail:
    return ParticipantDetail(
        id=f"{name.lower()}'s id",
        name=name,
        is_connected=is_connected,
        address="192.0.2.7",
        is_host=False,
        is_moderator=is_moderator,
        is_creator=False,
        is_muted=False,
        is_video_off=False,
        is_hand_raised=False,
    )


def room(*people: ParticipantDetail, expires_at: int | None = None) -> RoomDetail:
    return RoomDetail(
        room_id="ABC234",
        state="active" if people else "latent",
        participant_count=len(people),
        connected_count=sum(person.is_connected for person in people),
        waiting_count=0,
        max_participants=8,
        is_locked=False,
        has_password=True,
        is_precreated=True,
        expires_at=expires_at,
        participants=list(people),
        waiting=[],
        bans=[],
        invites=[],
    )


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (None, ""),
        (NOON, "now"),
        (NOON + 400, "now"),
        (NOON + SECOND, "in 1 second"),
        (NOON - 90 * SECOND, "90 seconds ago"),
        (NOON + 10 * MINUTE, "in 10 minutes"),
        (NOON + 90 * MINUTE, "in 90 minutes"),
        (NOON + DAY - SECOND, "in 24 hours"),
        (NOON + 2 * DAY - SECOND, "in 2 days"),
        (NOON - 30 * DAY, "30 days ago"),
        (10**400, "in 11574074 days"),
    ],
)
def test_times_are_in_words(time: int | None, words: str) -> None:
    assert when(time, NOON) == words


def test_columns_are_aligned_whatever_the_alphabet_and_none_is_empty() -> None:
    rows = [("会議", "", "1"), ("e\u0301te", "", "22"), ("ab", "", "3")]
    assert table(("NAME", "ROLE", "N"), rows).splitlines() == [
        "NAME  N",
        "会議  1",
        "e\u0301te   22",
        "ab    3",
    ]


def test_nothing_that_others_wrote_drives_the_terminal() -> None:
    text = room_page(room(person("Ada\x1b[2J\x9b31m\u202e\n")), NOON)
    assert "Ada�[2J�31m��" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_all_rooms_are_a_line_each() -> None:
    rooms = [room(person("Ada"), person("Bob", is_connected=False)), room(expires_at=NOON + 3 * HOUR)]
    assert rooms_table(rooms, NOON).splitlines() == [
        "ROOM    STATE   PEOPLE          PASSWORD  REMOVED",
        "ABC234  active  2 of 8, 1 away  yes",
        "ABC234  latent  0 of 8          yes       in 3 hours",
    ]
    assert rooms_table([], NOON) == "There are no rooms."


def test_a_room_is_shown_whole() -> None:
    shown = room(person("Ada", is_moderator=True), person("Bob", is_connected=False), expires_at=NOON + HOUR)
    shown.waiting = [Person(id="cleo's id", name="Cleo", is_connected=True)]
    shown.bans = [BanDetail(id="ban", name="Mob", created_at=NOON, expires_at=NOON + DAY, subject="user 7")]
    shown.invites = [
        InviteDetail(
            id="bus", role="participant", label="", skips_waiting=True, created_at=NOON, expires_at=None
        )
    ]
    assert room_page(shown, NOON).splitlines() == [
        "Room ABC234",
        "  state     active, removed in 60 minutes",
        "  people    2 of 8, 1 away",
        "  locked    no",
        "  password  yes",
        "",
        "NAME  ROLE       CONNECTED  ADDRESS    ID",
        "Ada   moderator  yes        192.0.2.7  ada's id",
        "Bob              away       192.0.2.7  bob's id",
        "",
        "WAITING  CONNECTED  ID",
        "Cleo     yes        cleo's id",
        "",
        "BANNED  ENDS         SUBJECT  ID",
        "Mob     in 24 hours  user 7   ban",
        "",
        "ROLE         SKIPS WAITING  MADE  ENDS           ID",
        "participant  yes            now   with the room  bus",
    ]
    assert invites_table([], NOON) == "There are no invites."


def test_no_code_drives_the_terminal() -> None:
    assert "\x1b" not in room_page(msgspec.structs.replace(room(), room_id="\x1b[2J"), NOON)
