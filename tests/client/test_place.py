"""A place: its tokens, and its count."""

import pytest

from mikroroom.client.errors import GapError
from mikroroom.client.outbox import Limit, Outbox
from mikroroom.client.place import Entry, Place
from mikroroom.protocol import events
from mikroroom.protocol.requests import Join

ENTRY = Join(room_id="ABC234", name="Ada", password="sesame", is_host=True, resume=True)


def own(token: str, seq: int, **fields: str) -> events.ParticipantJoined:
    return events.ParticipantJoined("ABC234", "ada", name="Ada", resume_token=token, seq=seq, **fields)  # type: ignore[arg-type]


def place(*, rejoins: bool = True, **fields: str) -> Place:
    return Place(Entry(ENTRY, rejoins), own("one", 1, **fields), Outbox(Limit()))


def test_it_is_asked_for_with_the_newest_token_and_what_was_heard_last() -> None:
    here = place()
    here.take(own("two", 1))
    assert here.hear(2)
    assert here.request() == Join(room_id="ABC234", resume_token="two", last_seq=2)


def test_what_was_heard_before_is_not_new() -> None:
    here = place()
    assert [here.hear(seq) for seq in (2, 2, 1, 3)] == [True, False, False, True]


def test_a_message_left_out_is_told() -> None:
    with pytest.raises(GapError, match="After message 1 the server sent 3"):
        place().hear(3)


def test_after_a_snapshot_it_counts_on_from_there() -> None:
    here = place()
    here.take(own("two", 40))
    assert here.hear(41)


def test_the_token_before_is_tried_too_then_it_is_entered_afresh() -> None:
    here = place()
    here.take(own("two", 1))
    here.take(own("three", 1))
    tried = []
    while here.request() != ENTRY:
        tried.append(here.request().resume_token)
        here.discard_token()
    assert tried == ["three", "two"]


def test_whoever_made_the_room_comes_back_as_its_creator() -> None:
    here = place(creator_token="mine")
    here.discard_token()
    request = here.request()
    assert (request.creator_token, request.password, request.is_host) == ("mine", "sesame", True)


def test_without_rejoining_it_is_lost_with_its_last_token() -> None:
    here = place(rejoins=False)
    assert not here.is_lost
    here.discard_token()
    assert here.is_lost
