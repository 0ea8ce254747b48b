"""What those outside are told, verb by verb."""

from mikroroom.core.chronicle import Person
from mikroroom.core.door import Newcomer, admit, join, open_room
from mikroroom.core.grants import Grant
from mikroroom.core.room import Policy, Room
from mikroroom.core.secrets import digest_token
from mikroroom.protocol import requests

from .stage import CODE, RESUME_WINDOW, Stage, locked_meeting, meeting


def test_first_who_enters_starts_the_meeting_and_last_who_goes_ends_it() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.joins("bob")
    assert stage.happens() == ["room.started", "participant.joined ada", "participant.joined bob"]
    stage.leaves("bob")
    stage.is_lost("ada")
    assert stage.happens() == ["participant.left bob left", "participant.left ada lost", "room.ended"]


def test_meeting_in_a_precreated_room_starts_each_time_that_somebody_comes() -> None:
    stage = Stage(is_precreated=True)
    for name in ("ada", "bob"):
        stage.joins(name)
        stage.leaves(name)
    assert stage.happens() == [
        "room.started",
        "participant.joined ada",
        "participant.left ada left",
        "room.ended",
        "room.started",
        "participant.joined bob",
        "participant.left bob left",
        "room.ended",
    ]


def test_who_is_suspended_is_still_in() -> None:
    stage = meeting("ada", "bob", may_resume=True)
    stage.happens()
    stage.is_lost("bob")
    stage.resumes("bob")
    stage.resumes("bob", restart=True)
    assert stage.happens() == []
    stage.is_lost("bob")
    stage.passes(RESUME_WINDOW)
    stage.tidies()
    assert stage.happens() == ["participant.left bob lost"]


def test_waiting_ends_by_entering_going_or_being_rejected() -> None:
    stage = locked_meeting("ada", waiting=("bob", "cleo", "dora"))
    assert stage.happens()[-3:] == [
        "participant.waiting bob",
        "participant.waiting cleo",
        "participant.waiting dora",
    ]
    stage.admits("ada", "bob")
    stage.leaves("cleo")
    stage.does("ada", requests.RejectUser("dora"))
    assert stage.happens() == [
        "room.moderated admitted bob by ada",
        "participant.joined bob",
        "participant.waiting-left cleo left",
        "room.moderated rejected dora by ada",
        "participant.waiting-left dora rejected",
    ]


def test_whoever_waits_when_the_meeting_ends_is_told_of_before_the_end() -> None:
    stage = locked_meeting("ada", waiting=("bob",))
    stage.happens()
    stage.leaves("ada")
    assert stage.happens() == [
        "participant.left ada left",
        "participant.waiting-left bob ended",
        "room.ended",
    ]


def test_meeting_goes_on_that_one_who_waits_enters_as_the_last_one_goes() -> None:
    stage = locked_meeting("ada", "bob", waiting=("cleo",), seats=2)
    stage.unlocks("ada")
    stage.leaves("bob")
    stage.happens()
    stage.leaves("ada")
    stage.leaves("cleo")
    assert stage.happens() == [
        "participant.left ada left",
        "room.moderated moderator-made cleo by the server",
        "participant.left cleo left",
        "room.ended",
    ]


def test_moderation_is_told_once_it_changes_something() -> None:
    stage = meeting("ada", "bob", "cleo")
    stage.happens()
    for _ in range(2):
        stage.acts_on("ada", "bob", "mute")
    stage.acts_on("ada", "bob", "unmute")
    for _ in range(2):
        stage.acts_on("ada", "bob", "make-moderator")
    stage.locks("ada")
    stage.locks("bob")
    stage.unlocks("ada")
    stage.unlocks("ada")
    stage.acts_on("ada", "cleo", "kick")
    assert stage.happens() == [
        "room.moderated muted bob by ada",
        "room.moderated unmuted bob by ada",
        "room.moderated moderator-made bob by ada",
        "room.moderated locked by ada",
        "room.moderated unlocked by ada",
        "room.moderated kicked cleo by ada",
        "participant.left cleo removed",
    ]


def test_recording_is_told_from_its_beginning_to_its_end() -> None:
    stage = meeting("ada", "bob", may_resume=True)
    stage.happens()
    for request in (requests.StartRecording, requests.StartRecording, requests.StopRecording):
        stage.does("ada", request())
    stage.does("ada", requests.StopRecording())
    stage.does("ada", requests.StartRecording())
    stage.resumes("ada", restart=True)
    stage.does("ada", requests.StartRecording())
    stage.leaves("ada")
    assert stage.happens() == [
        "room.moderated recording-started by ada",
        "room.moderated recording-stopped by ada",
        "room.moderated recording-started by ada",
        "room.moderated recording-stopped by ada",
        "room.moderated recording-started by ada",
        "participant.left ada left",
        "room.moderated moderator-made bob by the server",
        "room.moderated recording-stopped by ada",
    ]


def test_who_it_is_to_the_site_is_told_with_who_it_is_to_the_room() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.joins("bob")
    host, other = (event.participant for event in stage.happened if event.participant is not None)
    assert host == Person("ada", "Ada", None, is_host=True, is_moderator=True)
    assert other == Person("bob", "Bob")


def test_subject_stays_with_whom_it_belongs_to_through_the_waiting_room() -> None:
    policy = Policy(1, 1, 1, 1)
    room = Room(code=CODE, max_participants=8, creator_digest=digest_token("token"))
    open_room(room, Newcomer("ada", "Ada", "here", grant=Grant(subject="7")), "token", policy)
    room.locked_by = "ada"
    join(room, Newcomer("bob", "Bob", "there", grant=Grant(subject="8")), 0, policy)
    admit(room, "bob")
    assert [person.subject for person in room.participants.values()] == ["7", "8"]
