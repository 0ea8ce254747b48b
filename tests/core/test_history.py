"""What a room keeps of its chat, and how it is told again."""

from itertools import pairwise

import pytest

from mikroroom.core.history import (
    HISTORY_BYTES,
    ChatLine,
    History,
    add_line,
    bounds,
    last_stamp,
    live,
    recalled,
    remove_line,
    shorten,
)
from mikroroom.protocol.codec import encode


def said(number: int, size: int = 10, who: str = "ada") -> ChatLine:
    """A line of that many bytes."""
    return ChatLine(f"{number}-{who}", who, who.capitalize(), "x" * size, None, number, size)


def history_of(*lines: ChatLine) -> History:
    """All of them are kept."""
    return History(list(lines), sum(line.size for line in lines))


def times(history: History) -> list[int]:
    """Which lines are kept, and that the size is theirs."""
    assert history.size == sum(line.size for line in history.lines)
    return [line.timestamp for line in history.lines]


def test_line_beyond_the_number_forgets_the_oldest() -> None:
    history = History()
    for number in range(5):
        add_line(history, said(number), 3)
    assert times(history) == [2, 3, 4]


def test_line_beyond_the_bytes_forgets_as_many_as_need_be() -> None:
    history = History()
    for number in range(4):
        add_line(history, said(number, HISTORY_BYTES // 4), 1_000)
    assert times(history) == [0, 1, 2, 3]
    add_line(history, said(4, HISTORY_BYTES // 2), 1_000)
    assert times(history) == [2, 3, 4]


def test_one_line_that_is_as_large_as_all_may_be_stays_alone() -> None:
    history = history_of(said(1), said(2))
    add_line(history, said(3, HISTORY_BYTES), 1_000)
    assert times(history) == [3]


@pytest.mark.parametrize("outbox", [1_024, 65_536, 262_144, 1_048_576])
@pytest.mark.parametrize("text", ["x", "\x01" * 4_000, "é" * 250])
def test_all_that_is_kept_can_be_told_to_one_client(outbox: int, text: str) -> None:
    history = History()
    most, most_bytes = bounds(1_000, outbox)
    for number in range(1_500):
        who = f"{number:036}"
        line = ChatLine(f"{10**12 + number}-{who}", who, "A", text, None, 10**12, len(text.encode()) + 1)
        add_line(history, line, most, most_bytes)
    told = sum(len(encode(recalled("ABC123", line))) for line in history.lines)
    assert told < outbox * 0.9


def test_where_much_may_wait_for_a_client_the_bounds_are_those_of_always() -> None:
    assert bounds(1_000, 1_048_576) == (1_000, HISTORY_BYTES)


@pytest.mark.parametrize(("most", "left"), [(0, []), (1, [3]), (3, [1, 2, 3]), (9, [1, 2, 3])])
def test_lower_bound_forgets_what_is_beyond_it(most: int, left: list[int]) -> None:
    history = history_of(said(1), said(2), said(3))
    shorten(history, most)
    assert times(history) == left


def test_line_that_is_removed_is_the_only_one_that_goes() -> None:
    history = history_of(said(1), said(2), said(3))
    remove_line(history, "2-ada")
    remove_line(history, "9-ada")
    assert times(history) == [1, 3]


def test_last_stamp_is_that_of_whom_it_is_asked_for() -> None:
    history = history_of(said(1, who="ada"), said(2, who="ada"), said(3, who="bob"))
    assert [last_stamp(history, who) for who in ("ada", "bob", "cleo")] == [2, 3, 0]


def test_lines_keep_their_order_whatever_is_forgotten() -> None:
    history = History()
    for number in range(200):
        add_line(history, said(number, 100 + number * 31 % 4_000), 50)
        assert all(former < later for former, later in pairwise(times(history)))
        assert len(history.lines) <= 50
        assert history.size <= HISTORY_BYTES


def test_line_is_told_live_as_if_nothing_were_kept() -> None:
    line = ChatLine("7-ada", "ada", "Ada", "hello", None, 7, 8)
    assert encode(live("ABC234", line)) == (
        b'{"type":"chat","roomId":"ABC234","participantId":"ada","text":"hello","messageId":"7-ada","timestamp":7}'
    )


def test_line_is_recalled_with_its_name_its_time_and_what_it_replies_to() -> None:
    line = ChatLine("7-ada", "ada", "Ada", "hello", "5-bob", 7, 13)
    event = recalled("ABC234", line)
    assert (event.timestamp, event.message_id, event.reply_to) == (7, "7-ada", "5-bob")
    assert (event.is_history, event.name) == (True, "Ada")
