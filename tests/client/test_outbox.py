"""What was sent, and what of it is sent again."""

import json

import pytest

from mikroroom.client.errors import QueueFullError
from mikroroom.client.outbox import Limit, Outbox


def filled(*texts: str, limit: Limit | None = None) -> Outbox:
    outbox = Outbox(limit or Limit())
    for text in texts:
        put(outbox, text)
    return outbox


def put(outbox: Outbox, text: str, *, is_away: bool = False) -> None:
    outbox.put(json.dumps({"type": text}, separators=(",", ":")).encode(), is_away=is_away)


def taken(outbox: Outbox) -> list[tuple[str, int]]:
    """All that is to be sent now."""
    messages = []
    while (text := outbox.take()) is not None:
        message = json.loads(text)
        messages.append((message["type"], message["clientSeq"]))
    return messages


def test_all_is_sent_once_and_numbered_from_one() -> None:
    outbox = filled("a", "b")
    assert taken(outbox) == [("a", 1), ("b", 2)]
    put(outbox, "c")
    assert taken(outbox) == [("c", 3)]


def test_on_a_new_connection_is_sent_again_what_has_not_arrived_then_what_waits() -> None:
    outbox = filled("a", "b", "c")
    taken(outbox)
    put(outbox, "d", is_away=True)
    outbox.rewind(1)
    assert taken(outbox) == [("b", 2), ("c", 3), ("d", 4)]
    outbox.rewind(4)
    assert not outbox.is_unsure
    assert taken(outbox) == []


def test_what_has_arrived_is_never_sent_again_even_if_the_server_forgot() -> None:
    outbox = filled("a", "b", "c")
    taken(outbox)
    outbox.confirm(2)
    outbox.rewind(0)
    assert taken(outbox) == [("c", 3)]


def test_it_is_unsure_until_the_last_one_is_confirmed() -> None:
    outbox = filled("a", "b")
    unsure = [outbox.is_unsure]
    taken(outbox)
    for number in (0, 1, 2):
        outbox.confirm(number)
        unsure.append(outbox.is_unsure)
    assert unsure == [False, True, True, False]


def test_a_server_that_claims_too_much_takes_nothing_away() -> None:
    outbox = filled("a", "b")
    outbox.take()
    outbox.rewind(99)
    assert taken(outbox) == [("b", 2)]


@pytest.mark.parametrize("limit", [Limit(messages=2), Limit(bytes=2 * len('{"type":"a"}'))])
def test_away_no_more_is_taken_in_than_may_and_nothing_is_lost(limit: Limit) -> None:
    outbox = filled("a", "b", limit=limit)
    with pytest.raises(QueueFullError, match=rf"2 messages of 24 bytes .* at most {limit.messages} "):
        put(outbox, "c", is_away=True)
    assert taken(outbox) == [("a", 1), ("b", 2)]
    put(outbox, "d")
    outbox.confirm(1)
    with pytest.raises(QueueFullError):
        put(outbox, "e", is_away=True)
    outbox.confirm(2)
    put(outbox, "e", is_away=True)
    assert taken(outbox) == [("d", 3), ("e", 4)]


def test_somebody_new_sends_only_what_was_never_sent() -> None:
    outbox = filled("a", "b")
    taken(outbox)
    outbox.confirm(1)
    put(outbox, "c", is_away=True)
    anew = outbox.unsent()
    assert taken(anew) == [("c", 1)]
    anew.confirm(1)
    assert not anew.is_unsure
