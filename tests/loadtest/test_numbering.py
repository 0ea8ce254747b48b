"""The numbers in what a resumable person hears: which of them are right."""

import pytest

from mikroroom.loadtest.numbering import BEHIND, Number, Numbering
from mikroroom.protocol import events
from mikroroom.protocol.codec import decode_event, encode

HEARD = 6


def joined(**fields: object) -> str:
    own = events.ParticipantJoined("ABC123", "ada", name="Ada", **fields)  # type: ignore[arg-type]
    return encode(own).decode()


def chat(seq: int, said: str = "") -> str:
    return encode(events.Chat("ABC123", "bob", said or f"message {seq}", seq=seq)).decode()


def take(numbering: Numbering, text: str) -> Number:
    return numbering.take(decode_event(text), text)


@pytest.fixture
def numbering() -> Numbering:
    """Someone who has joined, and heard some messages."""
    numbering = Numbering()
    assert take(numbering, joined(resume_token="first", seq=1)) is Number.NEXT
    assert [take(numbering, chat(seq)) for seq in range(2, HEARD + 1)] == [Number.NEXT] * (HEARD - 1)
    return numbering


def test_each_message_has_the_next_number(numbering: Numbering) -> None:
    assert take(numbering, chat(HEARD + 1)) is Number.NEXT
    assert take(numbering, chat(HEARD + 1)) is Number.WRONG
    assert take(numbering, chat(HEARD + 3)) is Number.WRONG
    assert take(numbering, chat(HEARD + 4)) is Number.NEXT


def test_a_message_without_a_number_is_wrong(numbering: Numbering) -> None:
    assert take(numbering, encode(events.Chat("ABC123", "bob", "hello")).decode()) is Number.WRONG
    assert take(numbering, chat(HEARD + 1)) is Number.NEXT


def test_a_message_of_a_type_that_is_not_known_is_counted(numbering: Numbering) -> None:
    assert take(numbering, '{"type":"of-another-version","seq":7}') is Number.NEXT
    assert take(numbering, chat(8)) is Number.NEXT


def test_whoever_is_not_let_in_again_is_told_without_a_number(numbering: Numbering) -> None:
    numbering.go_back()
    assert take(numbering, encode(events.Error("", "", code="RESUME_FAILED")).decode()) is Number.NEXT


def test_a_server_that_gives_no_token_numbers_nothing() -> None:
    assert take(Numbering(), joined()) is Number.NONE


def test_who_comes_back_hears_the_last_messages_again_and_then_what_was_missed(numbering: Numbering) -> None:
    assert numbering.go_back() == ("first", HEARD - BEHIND)
    back = joined(resume_token="second", seq=HEARD - BEHIND, resumed=True, replayed=True)
    assert take(numbering, back) is Number.BACK
    for seq in range(HEARD - BEHIND + 1, HEARD + 1):
        assert numbering.is_behind
        assert take(numbering, chat(seq)) is Number.REPLAYED
    assert not numbering.is_behind
    assert take(numbering, chat(HEARD + 1)) is Number.NEXT
    assert numbering.go_back()[0] == "second"


def test_what_comes_again_must_be_the_same(numbering: Numbering) -> None:
    _, last = numbering.go_back()
    take(numbering, joined(resume_token="second", seq=last, resumed=True, replayed=True))
    assert take(numbering, chat(last + 1, "another")) is Number.ALTERED
    assert take(numbering, chat(last + 2)) is Number.REPLAYED
    assert take(numbering, chat(last + 4)) is Number.WRONG


@pytest.mark.parametrize(
    "own",
    [
        joined(resume_token="second", seq=HEARD, resumed=True, replayed=True),  # and not the number given
        joined(resume_token="second", resumed=True, replayed=True),
        joined(seq=HEARD - BEHIND, resumed=True, replayed=True),
        joined(resume_token="second", seq=1),  # somebody new
        chat(HEARD - BEHIND + 1),
    ],
)
def test_who_comes_back_must_be_let_in_as_the_same(numbering: Numbering, own: str) -> None:
    numbering.go_back()
    assert take(numbering, own) is Number.WRONG


def test_what_is_told_anew_goes_on_from_its_own_number(numbering: Numbering) -> None:
    numbering.go_back()
    assert take(numbering, joined(resume_token="second", seq=9, resumed=True, replayed=False)) is Number.ANEW
    assert not numbering.is_behind
    assert take(numbering, chat(10)) is Number.NEXT
