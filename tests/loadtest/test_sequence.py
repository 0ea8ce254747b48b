"""Numbers that arrive: once and in order, or what is wrong."""

import pytest

from mikroroom.loadtest.sequence import Arrival, Sequence

ORDER, LATE, AGAIN, NEVER = Arrival.IN_ORDER, Arrival.LATE, Arrival.AGAIN, Arrival.NEVER_SENT


@pytest.mark.parametrize(
    ("numbers", "arrivals", "owed"),
    [
        ([1, 2, 3, 4], [ORDER] * 4, 0),
        ([1, 2], [ORDER] * 2, 2),
        ([], [], 4),
        ([1, 3, 4], [ORDER] * 3, 1),
        ([2, 1, 3, 4], [ORDER, LATE, ORDER, ORDER], 0),
        ([4, 3, 2, 1], [ORDER, LATE, LATE, LATE], 0),
        ([1, 1, 2, 3, 4], [ORDER, AGAIN, ORDER, ORDER, ORDER], 0),
        ([2, 1, 1, 4], [ORDER, LATE, AGAIN, ORDER], 1),
        ([0, 5, 1], [NEVER, NEVER, ORDER], 3),
    ],
)
def test_each_number_is_judged_and_what_is_missing_is_owed(
    numbers: list[int], arrivals: list[Arrival], owed: int
) -> None:
    heard = Sequence()
    assert [heard.take(number, 4) for number in numbers] == arrivals
    assert heard.owed(4) == owed


def test_a_latecomer_is_owed_only_what_follows() -> None:
    heard = Sequence(3)
    assert [heard.take(number, 5) for number in (3, 5)] == [ORDER, ORDER]
    assert heard.owed(5) == 1
    assert heard.take(2, 5) is AGAIN
