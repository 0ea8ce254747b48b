"""Redis is away, slow, or has forgotten all: people talk on, and the rooms are the same afterwards."""

import asyncio
from pathlib import Path

import pytest

from .count import Count
from .outages import OUTAGES, outages

# Redis has nothing left of what was on its way from one worker to another.
LOSES_TALK = {"killed", "emptied"}


# Most of an outage is waiting: several are played at a time, each with a cluster of its own.
@pytest.mark.parametrize("kinds", [list(OUTAGES)[at::2] for at in range(2)], ids=" ".join)
async def test_a_meeting_outlives_an_outage(tmp_path: Path, kinds: list[str]) -> None:
    plays = (outages(tmp_path / kind, faults=1, seed=1, kind=kind) for kind in kinds)
    for kind, score in zip(kinds, await asyncio.gather(*plays), strict=True):
        print(f"\n{OUTAGES[kind].name}: {score}")
        check(kind, score)


def check(kind: str, score: Count) -> None:
    assert score.wrongs == score.near.wrongs == []
    assert score.near.due > 0
    assert (score.near.lost, score.near.double, score.near.disordered) == (0, 0, 0)
    assert (score.strays, score.ghosts, score.splits) == (0, 0, 0)
    assert (score.double, score.disordered) == (0, 0)
    if kind not in LOSES_TALK:
        assert score.lost == 0
    assert max(score.seconds) < 20, "it recovers by itself, and soon"
