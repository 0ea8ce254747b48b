"""What follows from a verb, as data."""

import msgspec

from mikroroom.core.chronicle import Person, RoomEvent
from mikroroom.core.effects import (
    Close,
    Effects,
    Gone,
    Happened,
    Held,
    Lapsed,
    Resumed,
    Seated,
    Send,
    Suspended,
    WrongToken,
    send,
)
from mikroroom.protocol import events
from mikroroom.protocol.codes import CloseCode

EVENT = events.ParticipantLeft("STAGE2", "ada")


def test_send_to_several_is_one_effect_in_their_order() -> None:
    """So that an event is encoded once, however many hear it."""
    assert send((name for name in ("zoe", "ada")), EVENT) == [Send(("zoe", "ada"), EVENT)]


def test_send_to_nobody_is_nothing() -> None:
    assert send({}, EVENT) == []


def test_effects_are_carried_elsewhere_as_they_are() -> None:
    """They name people by id and hold no socket: another process can read them back."""
    effects: Effects = [
        Seated("ada", 8),
        Send(("ada", "bob"), events.ParticipantJoined("ABC123", "ada", name="Ada", creator_token="secret")),
        Send(("bob",), events.ParticipantLeft("ABC123", "cleo")),
        Held("dora"),
        Gone("cleo"),
        Close("eve", CloseCode.KICKED, "kicked"),
        WrongToken("dora"),
        Suspended("bob", "ABC123", "192.0.2.1"),
        Resumed(
            "bob",
            "a connection",
            events.ParticipantJoined("ABC123", "bob", name="Bob", resume_token="secret", resume_window=0.5),
            (
                events.ParticipantJoined("ABC123", "ada", name="Ada"),
                events.RoomLocked("ABC123", "ada", "ada"),
            ),
            is_restart=True,
        ),
        Resumed("dora", "another", events.WaitingRoom("ABC123", "dora", name="Dora"), (), is_restart=False),
        Lapsed((b"digest", b"another")),
        Happened(RoomEvent(type="participant.left", room_id="ABC123", participant=Person("bob", "Bob"))),
    ]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(effects), type=Effects) == effects
