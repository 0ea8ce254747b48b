"""Answers of Redis that are lost: what was done is not done again."""

from pathlib import Path

from .mishaps import lost_answers


async def test_what_redis_did_without_answering_is_done_once(tmp_path: Path) -> None:
    score = await lost_answers(tmp_path, faults=25, seed=1)
    print(f"\n{score}")
    assert score.wrongs == []
    assert score.due > 0
    assert (score.lost, score.double, score.disordered) == (0, 0, 0)
    assert (score.strays, score.ghosts, score.splits) == (0, 0, 0)
