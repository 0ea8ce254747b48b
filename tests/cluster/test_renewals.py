"""Workers that stop in good order: nothing is lost or comes twice, and all hear what they missed."""

import asyncio
from pathlib import Path

from .renewals import hangups, restarts, rolls


async def test_nothing_is_lost_by_restarts_one_by_one_or_all_at_once_or_by_a_renewal(tmp_path: Path) -> None:
    # All at a time: that many processes start and stop at once makes it no easier for any of them.
    scores = await asyncio.gather(
        rolls(tmp_path / "rolls", faults=1, seed=1),
        restarts(tmp_path / "restarts", faults=2, seed=2),
        hangups(tmp_path / "hangups", faults=1, seed=3),
    )
    for score in scores:
        print(f"\n{score}")
        assert score.wrongs == []
        assert score.due > 0
        assert (score.lost, score.double, score.disordered) == (0, 0, 0)
        assert (score.strays, score.ghosts, score.splits) == (0, 0, 0)
        assert score.resumes == score.replayed > 0
