"""What a client of the protocol makes of a room, from nothing but what it hears."""

import msgspec

from mikroroom.core.effects import Close
from mikroroom.core.room import Participant
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import CloseCode

from .stage import line

# What is said just before a connection is closed (R28).
FAREWELLS = {
    CloseCode.KICKED: events.ModeratorAction,
    CloseCode.REJECTED: events.RejectUser,
    CloseCode.MEETING_ENDED: events.RejectUser,
}


class Face(msgspec.Struct, frozen=True):
    """What everyone may know of a participant (R12)."""

    name: str
    is_moderator: bool
    is_host: bool
    is_muted: bool
    is_video_off: bool
    is_hand_raised: bool
    is_connected: bool


def face_of(person: Participant, *, is_connected: bool) -> Face:
    """The face that a participant has."""
    return _face(person, person.name, is_connected=is_connected)


def face_in(event: events.ParticipantState, name: str) -> Face:
    """The face that a participant shows in an event."""
    return _face(event, name, is_connected=event.is_connected)


def _face(source: Participant | events.ParticipantState, name: str, *, is_connected: bool) -> Face:
    return Face(
        name,
        source.is_moderator,
        source.is_host,
        source.is_muted,
        source.is_video_off,
        source.is_hand_raised,
        is_connected,
    )


class Client:
    """What a client makes of what it hears, by the rules of the protocol and nothing else."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.people: dict[str, Face] = {}
        self.waiting: dict[str, str] = {}
        self.recorders: list[str] = []
        self.is_locked = False
        self.waits_as: str | None = None
        self.last_event: events.Message | None = None
        self.closed_with: CloseCode | None = None

    @property
    def is_host(self) -> bool:
        """Whether it takes itself for the host."""
        return self.id is not None and self.people[self.id].is_host

    def says(self, request: requests.Message) -> None:
        """One's own state is changed by oneself: the server tells it only to the others (R16)."""
        if self.id is None:
            return
        me = self.people[self.id]
        match request:
            case requests.UpdateState(is_muted, is_video_off, is_hand_raised):
                changes = {
                    "is_muted": is_muted,
                    "is_video_off": is_video_off,
                    "is_hand_raised": is_hand_raised,
                }
                told = {flag: value for flag, value in changes.items() if value is not None}
                self.people[self.id] = msgspec.structs.replace(me, **told)
            case requests.RaiseHand():
                self.people[self.id] = msgspec.structs.replace(me, is_hand_raised=True)
            case requests.LowerHand():
                self.people[self.id] = msgspec.structs.replace(me, is_hand_raised=False)

    def hears(self, message: events.Message | Close) -> None:
        """Take in one message."""
        assert self.closed_with is None, "nothing is heard on a closed connection"
        if isinstance(message, Close):
            self.closed_with = message.code
            assert isinstance(self.last_event, FAREWELLS[message.code])
            return
        if self.id is None:
            self._hears_at_the_door(message)
        else:
            self._hears_in_the_room(self.id, message)
        self.last_event = message

    def _hears_at_the_door(self, message: events.Message) -> None:
        match message:
            case events.ParticipantJoined(_, own_id, name=name):
                assert self.waits_as in (None, own_id), "whoever waited enters under the same id (R21)"
                self.id = own_id
                self.people = {own_id: face_in(message, name)}
            case events.WaitingRoom(_, waiting_id):
                assert self.waits_as is None
                self.waits_as = waiting_id
            case events.RejectUser(target_id=target_id):
                assert target_id == self.waits_as
            case events.ModeratorAction(target_id=target_id, action="kick"):
                assert target_id == self.waits_as
            case _:
                raise AssertionError(f"heard at the door: {line(message)}")

    def _hears_in_the_room(self, own_id: str, message: events.Message) -> None:
        someone = message.participant_id
        match message:
            case events.ParticipantJoined(name=name):
                assert someone not in self.people
                assert self.waiting.pop(someone, name) == name
                self.people[someone] = face_in(message, name)
            case events.ParticipantUpdated():
                self.people[someone] = face_in(message, self.people[someone].name)
                if not self.people[own_id].is_moderator:
                    self.waiting.clear()
            case events.ParticipantLeft():
                del (self.people if someone in self.people else self.waiting)[someone]
            case events.WaitingRoom(name=name):
                assert self.people[own_id].is_moderator, "who waits concerns moderators alone"
                assert someone not in self.people
                assert someone not in self.waiting
                self.waiting[someone] = name
            case events.RoomLocked(locked_by=moderator) | events.RoomUnlocked(unlocked_by=moderator):
                assert someone == moderator
                self.is_locked = isinstance(message, events.RoomLocked)
            case events.RecordingStarted() | events.RecordingStopped():
                self._hears_of_a_recording(message)
            case events.ModeratorAction() | events.RejectUser():
                self._hears_what_is_done_to_it(own_id, message)
            case events.RaiseHand() | events.LowerHand():
                assert someone in self.people
            case _:
                raise AssertionError(f"heard in the room: {line(message)}")

    def _hears_of_a_recording(self, message: events.RecordingStarted | events.RecordingStopped) -> None:
        someone = message.participant_id
        if isinstance(message, events.RecordingStarted):
            assert message.started_by == someone
            self.recorders += [] if someone in self.recorders else [someone]
            return
        assert message.stopped_by == someone
        if someone in self.recorders:
            self.recorders.remove(someone)

    def _hears_what_is_done_to_it(
        self, own_id: str, message: events.ModeratorAction | events.RejectUser
    ) -> None:
        assert message.target_id == own_id, "what is done to somebody is told to that one alone"
        if isinstance(message, events.RejectUser):
            assert message.participant_id == "", "the meeting has ended, by nobody in it"
        elif message.action == "make-moderator":
            self._changes(own_id, is_moderator=True)

    def _changes(self, someone: str, **flags: bool) -> None:
        self.people[someone] = msgspec.structs.replace(self.people[someone], **flags)
