"""Limits per address, per connection, and for those who are refused too much (R30, R31)."""

from mikroroom.core.ratelimit import Bucket, Sampler, Tally, Window

MINUTE = 60_000


def taken(window: Window, key: str, now: int, times: int) -> list[int]:
    """What a key is told when it asks so many times at once."""
    return [window.take(key, now) for _ in range(times)]


# Window: at most so many within any minute


def test_window_lets_as_many_in_as_its_limit_and_tells_the_next_how_long_to_wait() -> None:
    """R30."""
    window = Window(3, MINUTE)
    assert [window.take("a", now) for now in (0, 100, 200, 300)] == [0, 0, 0, MINUTE - 300]


def test_window_lets_in_whoever_waits_as_long_as_told() -> None:
    """R30: to the millisecond, and what was refused meanwhile does not count."""
    window = Window(2, MINUTE)
    taken(window, "a", 0, 2)
    assert taken(window, "a", 1, 50) == [MINUTE - 1] * 50
    assert window.take("a", MINUTE - 1) == 1
    assert taken(window, "a", MINUTE, 3) == [0, 0, MINUTE]


def test_window_slides_so_that_no_minute_has_more_than_the_limit() -> None:
    """R30: no doubling where two minutes meet."""
    window = Window(10, MINUTE)
    accepted = [now for now in range(0, 4 * MINUTE, 500) if window.take("a", now) == 0]
    for start in accepted:
        assert sum(start <= now < start + MINUTE for now in accepted) <= 10
    assert len(accepted) == 40


def test_window_counts_each_key_apart() -> None:
    """R30."""
    window = Window(1, MINUTE)
    assert (window.take("a", 0), window.take("b", 0), window.take("a", 0)) == (0, 0, MINUTE)


def test_window_without_a_limit_refuses_nobody_and_remembers_nothing() -> None:
    window = Window(0, MINUTE)
    assert taken(window, "a", 0, 1_000) == [0] * 1_000
    assert window.wait("a", 0) == 0
    assert window._taken == {}


def test_wait_tells_without_taking() -> None:
    window = Window(1, MINUTE)
    assert [window.wait("a", 0) for _ in range(3)] == [0, 0, 0]
    assert window._taken == {}
    window.take("a", 0)
    assert [window.wait("a", now) for now in (0, 1, MINUTE - 1, MINUTE)] == [MINUTE, MINUTE - 1, 1, 0]


def test_limit_is_exceeded_only_by_who_had_extra_places() -> None:
    window = Window(2, MINUTE)
    assert taken(window, "a", 0, 3) == [0, 0, MINUTE]
    assert not window.is_exceeded("a", 0)
    assert window.take("a", 0, extra=1) == 0
    assert [window.is_exceeded("a", now) for now in (0, MINUTE - 1, MINUTE)] == [True, True, False]
    assert not window.is_exceeded("b", 0)


def test_place_given_back_is_free_again() -> None:
    """R13."""
    window = Window(2, MINUTE)
    taken(window, "a", 0, 2)
    window.give_back("a", 0)
    assert taken(window, "a", 1, 2) == [0, MINUTE - 1]


def test_place_given_back_by_one_who_has_none_frees_nothing() -> None:
    window = Window(1, MINUTE)
    window.give_back("a", 0)
    window.take("a", 0)
    window.give_back("a", 0)
    window.give_back("a", 0)
    assert taken(window, "a", 0, 2) == [0, MINUTE]


def test_place_given_back_when_it_counts_no_longer_is_not_another_ones() -> None:
    """R13: with a long time to join, the place has been free again for a while."""
    window = Window(1, MINUTE)
    window.take("a", 0)
    window.take("a", MINUTE)
    window.give_back("a", 0)
    assert window.take("a", MINUTE + 1) == MINUTE - 1


def test_prune_forgets_the_keys_whose_places_are_free_again() -> None:
    window = Window(2, MINUTE)
    window.take("a", 0)
    window.take("b", 1)
    window.take("a", 2)
    window.take("c", 3)
    window.prune(MINUTE)
    assert list(window._taken) == ["b", "a", "c"]
    window.prune(MINUTE + 1)
    assert list(window._taken) == ["a", "c"]
    window.prune(MINUTE + 3)
    assert window._taken == {}
    window.prune(MINUTE + 4)


def test_prune_forgets_a_key_that_gave_its_only_place_back() -> None:
    window = Window(2, MINUTE)
    window.take("a", 0)
    window.give_back("a", 0)
    window.prune(0)
    assert window._taken == {}


def test_prune_frees_nothing_that_still_counts() -> None:
    window = Window(1, MINUTE)
    window.take("a", 0)
    window.prune(MINUTE - 1)
    assert window.take("a", MINUTE - 1) == 1


def test_window_remembers_a_bounded_number_of_keys_and_forgets_the_longest_unseen() -> None:
    """R30: a flood of addresses cannot fill the memory."""
    window = Window(1, MINUTE, max_keys=3)
    for now, key in enumerate("abcd"):
        assert window.take(key, now) == 0
    assert list(window._taken) == ["b", "c", "d"]
    assert window.take("d", 4) > 0
    assert window.take("a", 4) == 0


def test_key_seen_again_is_not_the_longest_unseen() -> None:
    window = Window(2, MINUTE, max_keys=2)
    for key in "abac":
        window.take(key, 0)
    assert list(window._taken) == ["a", "c"]


# Bucket: at once so many, and so many a second


def test_bucket_gives_its_capacity_at_once_and_then_its_rate() -> None:
    """R31."""
    bucket = Bucket(300, 100, 0)
    assert [bucket.take(0) for _ in range(301)] == [True] * 300 + [False]
    assert [bucket.take(0.01) for _ in range(2)] == [True, False]
    assert [bucket.take(1.01) for _ in range(101)] == [True] * 100 + [False]


def test_bucket_gathers_fractions() -> None:
    """R31: asking often does not cost what was gained between."""
    bucket = Bucket(1, 1, 0)
    assert bucket.take(0)
    assert [bucket.take(now) for now in (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1)] == [False] * 7 + [
        True
    ]


def test_bucket_never_holds_more_than_its_capacity() -> None:
    """R31."""
    bucket = Bucket(5, 100, 0)
    assert [bucket.take(3_600) for _ in range(6)] == [True] * 5 + [False]


def test_bucket_widened_has_the_difference_at_once() -> None:
    """R31: the larger of 300 and 40 for each seat."""
    bucket = Bucket(300, 100, 0)
    for _ in range(300):
        bucket.take(0)
    bucket.widen(320)
    assert [bucket.take(0) for _ in range(21)] == [True] * 20 + [False]


def test_bucket_is_never_narrowed_and_widening_again_gives_nothing() -> None:
    """R31: leaving and joining fills no bucket."""
    bucket = Bucket(300, 100, 0)
    bucket.widen(400)
    for _ in range(400):
        assert bucket.take(0)
    for capacity in (0, 300, 400):
        bucket.widen(capacity)
        assert not bucket.take(0)
    assert [bucket.take(10) for _ in range(401)] == [True] * 400 + [False]


def test_bucket_without_a_rate_is_no_limit() -> None:
    """R31: 0 turns a limit off."""
    bucket = Bucket(1, 0, 0)
    assert all(bucket.take(0) for _ in range(1_000))


# Sampler: the first of many, then one in so long


def test_sampler_speaks_of_the_first_and_then_once_per_period_with_how_many_it_passed_over() -> None:
    """So that a flood of refusals is no flood of lines."""
    sampler = Sampler(1_000)
    spoken = [sampler.due(now) for now in (0, 0, 1, 999, 1_000, 1_001, 2_000)]
    assert spoken == [0, None, None, None, 3, None, 1]


def test_sampler_speaks_of_each_that_comes_alone() -> None:
    sampler = Sampler(1_000)
    assert [sampler.due(now) for now in (5, 1_005, 9_000)] == [0, 0, 0]


# Tally: so many within so long


def test_tally_tells_when_the_limit_is_reached_within_the_period() -> None:
    """R31."""
    tally = Tally(3, 10_000)
    assert [tally.add(now) for now in (0, 5_000, 9_999)] == [False, False, True]


def test_tally_forgets_what_is_older_than_the_period() -> None:
    """R31: the third of these comes just too late, and each after it is counted anew."""
    tally = Tally(3, 10_000)
    assert [tally.add(now) for now in (0, 5_000, 10_000, 15_000, 15_001, 15_002)] == [
        False,
        False,
        False,
        False,
        True,
        True,
    ]


def test_tally_of_one_tells_at_once() -> None:
    assert Tally(1, 10_000).add(0)


def test_tally_without_a_limit_never_tells() -> None:
    """R31: 0 turns a limit off."""
    tally = Tally(0, 10_000)
    assert not any(tally.add(0) for _ in range(2_000))


def test_what_happens_often_is_told_once_a_period_with_the_number_of_the_others() -> None:
    sampler = Sampler(1_000)
    assert [sampler.due(now) for now in (0, 1, 999)] == [0, None, None]
    assert [sampler.due(now) for now in (1_000, 1_500, 2_600, 3_700)] == [2, None, 1, 0]
