"""A planned restart of a meeting that goes on: nothing is lost, nothing comes twice (R46)."""

from pathlib import Path

from .restarts import restarts


async def test_planned_restarts_lose_nothing_that_was_said(tmp_path: Path) -> None:
    score = await restarts(tmp_path, faults=3, seed=1)
    print(f"\nplanned restarts: {score}")
    assert score.wrongs == []
    assert (score.lost, score.double, score.disordered) == (0, 0, 0)
    assert score.due > 0
    assert score.resumes == score.replayed == 3 * 6
