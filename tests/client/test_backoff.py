"""The waits before each try."""

from mikroroom.client import Backoff


async def waits(backoff: Backoff, *at_least: float) -> None:
    for seconds in at_least:
        await backoff.wait(seconds)


async def test_waits_double_up_to_the_most_and_begin_anew_after_success() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    backoff = Backoff(0.5, 5.0, chance=lambda: 1.0, sleep=sleep)
    await waits(backoff, 0, 0, 0, 0, 0, 0)
    backoff.reset()
    await waits(backoff, 0)
    assert slept == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 0.5]


async def test_any_part_of_a_wait_may_come_by_chance_on_top_of_what_is_asked_for() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    chances = iter([0.0, 0.25])
    await waits(Backoff(1.0, 8.0, chance=lambda: next(chances), sleep=sleep), 0, 7)
    assert slept == [0.0, 7.5]
