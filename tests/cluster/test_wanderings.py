"""One room over three workers is one room: everyone hears its history in one order, wherever they are."""

from pathlib import Path

from .count import Count
from .wanderings import histories, moves


def check(score: Count) -> None:
    print(f"\n{score}")
    assert score.wrongs == []
    assert score.due > 0
    assert (score.lost, score.double, score.disordered) == (0, 0, 0)
    assert (score.strays, score.ghosts, score.splits) == (0, 0, 0)


async def test_everyone_hears_the_history_of_a_room_in_one_order(tmp_path: Path) -> None:
    score = await histories(tmp_path, faults=160, seed=1)
    check(score)
    assert score.faults == 160


async def test_people_who_change_workers_lose_nothing(tmp_path: Path) -> None:
    score = await moves(tmp_path, faults=40, seed=2)
    check(score)
    assert score.resumes == score.replayed > 0
