"""Workers that stop in good order: nothing is lost or comes twice, and all hear what they missed."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from .count import Count
from .renewals import hangups, restarts, rolls


# One after the other: a machine on which many processes start at once cannot move everybody in time.
@pytest.mark.parametrize("renew", [rolls, restarts, hangups])
async def test_nothing_is_lost_by_a_restart(renew: Callable[..., Awaitable[Count]], tmp_path: Path) -> None:
    score = await renew(tmp_path, faults=1, seed=1)
    print(f"\n{score}")
    assert score.wrongs == []
    assert score.due > 0
    assert (score.lost, score.double, score.disordered) == (0, 0, 0)
    assert (score.strays, score.ghosts, score.splits) == (0, 0, 0)
    assert score.resumes == score.replayed > 0
