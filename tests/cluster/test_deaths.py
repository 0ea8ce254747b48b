"""A worker that is gone, or seems to be: its people come back elsewhere, and nobody else loses anything."""

import asyncio
from pathlib import Path

from .count import Count
from .deaths import freezes, kills, partitions


async def test_people_of_a_worker_that_is_gone_come_back_and_others_lose_nothing(tmp_path: Path) -> None:
    # Most of it is waiting for leases and windows to end: all at a time, each with a cluster of its own.
    killed, frozen, cut_off = await asyncio.gather(
        kills(tmp_path / "killed", faults=1, seed=1),
        freezes(tmp_path / "frozen", faults=2, seed=2),
        partitions(tmp_path / "cut off", faults=2, seed=3),
    )
    check(killed, faults=1)
    check(frozen, faults=2)
    check(cut_off, faults=2)


def check(score: Count, *, faults: int) -> None:
    """What holds for each of these. (Two of its own people come back, who may lose what was in flight.)"""
    print(f"\n{score}")
    assert score.wrongs == score.near.wrongs == []
    assert score.near.due > 0
    assert (score.near.lost, score.near.double, score.near.disordered) == (0, 0, 0)
    assert (score.strays, score.ghosts, score.splits, score.disordered) == (0, 0, 0, 0)
    assert score.resumes >= faults * 2
