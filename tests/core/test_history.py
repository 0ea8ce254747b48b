"""What a room keeps of its chat, and how it is told again."""

from itertools import pairwise

import pytest

from mikroroom.core.history import HISTORY_BYTES, ChatLine, add_line, live, recalled, remove_line, shorten
from mikroroom.protocol.codec import encode


def said(number: int, size: int = 10) -> ChatLine:
    """A line of that many bytes."""
    return ChatLine(f"{number}-ada", "ada", "Ada", "x" * size, None, number, size)


def times(lines: list[ChatLine]) -> list[int]:
    return [line.timestamp for line in lines]


def test_line_beyond_the_number_forgets_the_oldest() -> None:
    lines: list[ChatLine] = []
    for number in range(5):
        add_line(lines, said(number), 3)
    assert times(lines) == [2, 3, 4]


def test_line_beyond_the_bytes_forgets_as_many_as_need_be() -> None:
    lines: list[ChatLine] = []
    for number in range(4):
        add_line(lines, said(number, HISTORY_BYTES // 4), 1_000)
    assert times(lines) == [0, 1, 2, 3]
    add_line(lines, said(4, HISTORY_BYTES // 2), 1_000)
    assert times(lines) == [2, 3, 4]


def test_one_line_that_is_as_large_as_all_may_be_stays_alone() -> None:
    lines = [said(1), said(2)]
    add_line(lines, said(3, HISTORY_BYTES), 1_000)
    assert times(lines) == [3]


@pytest.mark.parametrize(("most", "left"), [(0, []), (1, [3]), (3, [1, 2, 3]), (9, [1, 2, 3])])
def test_lower_bound_forgets_what_is_beyond_it(most: int, left: list[int]) -> None:
    lines = [said(1), said(2), said(3)]
    shorten(lines, most)
    assert times(lines) == left


def test_line_that_is_removed_is_the_only_one_that_goes() -> None:
    lines = [said(1), said(2), said(3)]
    remove_line(lines, "2-ada")
    remove_line(lines, "9-ada")
    assert times(lines) == [1, 3]


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


def test_lines_keep_their_order_whatever_is_forgotten() -> None:
    lines: list[ChatLine] = []
    for number in range(200):
        add_line(lines, said(number, 100 + number * 31 % 4_000), 50)
        assert all(former < later for former, later in pairwise(times(lines)))
        assert len(lines) <= 50
        assert sum(line.size for line in lines) <= HISTORY_BYTES
