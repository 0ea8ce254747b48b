"""What follows from a verb, as data."""

import msgspec

from mikroroom.core.effects import Close, Effects, Gone, Held, Seated, Send, WrongToken, send
from mikroroom.protocol import events
from mikroroom.protocol.codes import CloseCode

EVENT = events.ParticipantLeft("STAGE2", "ada")


def test_send_to_several_is_one_effect_in_their_order() -> None:
    """So that an event is encoded once, however many hear it."""
    assert send((name for name in ("zoe", "ada")), EVENT) == [Send(("zoe", "ada"), EVENT)]


def test_send_to_nobody_is_nothing() -> None:
    assert send({}, EVENT) == []


def test_effects_can_be_written_down() -> None:
    """They name people by id and hold no socket, so they can be carried to where those people are."""
    effects: Effects = [
        *send(("ada",), EVENT),
        Seated("ada", 8),
        Held("bob"),
        Gone("bob"),
        Close("ada", CloseCode.KICKED, "kicked"),
        WrongToken("ada"),
    ]
    for effect in effects:
        assert msgspec.msgpack.encode(effect)
