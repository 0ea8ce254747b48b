"""Percentiles out of buckets: close to the true ones, and exact at the ends."""

import random

import pytest

from mikroroom.loadtest.histogram import MILLISECOND, Histogram


def filled(*durations: int) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


def test_an_empty_histogram_tells_zero() -> None:
    empty = Histogram()
    assert (empty.count, empty.percentile(0.5), empty.highest) == (0, 0.0, 0.0)


def test_one_duration_is_every_percentile_exactly() -> None:
    one = filled(1_234_567)
    assert {one.percentile(share) for share in (0, 0.5, 0.99, 1)} == {1.234567}
    assert one.highest == 1.234567


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_percentiles_are_within_two_percent_of_the_true_ones(share: float) -> None:
    chance = random.Random(7)
    durations = sorted(int(chance.lognormvariate(13, 2)) for _ in range(20_000))
    true = durations[max(round(share * len(durations)) - 1, 0)] / MILLISECOND
    assert filled(*durations).percentile(share) == pytest.approx(true, rel=0.02)


def test_small_durations_are_told_apart_exactly() -> None:
    histogram = filled(*range(1, 65))
    assert histogram.percentile(0.5) * MILLISECOND == pytest.approx(32)
    assert histogram.percentile(1) * MILLISECOND == pytest.approx(64)


def test_what_is_too_short_or_too_long_is_counted_at_the_end_of_the_scale() -> None:
    histogram = filled(-5, 10**30)
    assert histogram.percentile(0) == 0
    assert histogram.highest == 86_400_000


def test_memory_does_not_grow_with_what_is_added() -> None:
    size = len(Histogram().counts)
    histogram = filled(*(2**power for power in range(46)))
    assert len(histogram.counts) == size < 2_000


def test_several_in_one_are_as_if_all_had_been_added_there() -> None:
    first, second = filled(1_000, 2_000_000), filled(5, 7_000_000)
    whole, same = Histogram.of([first, second, Histogram()]), filled(1_000, 2_000_000, 5, 7_000_000)
    assert (whole.counts, whole.count, whole.lowest_ns, whole.highest_ns) == (
        same.counts,
        4,
        5,
        7_000_000,
    )
