"""``python -m tests.reliability``: faults by the dozen, counted, as the tables of ``docs/reliability.md``."""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TypeVar

from .crashes import crashes
from .cuts import cuts
from .damage import damages
from .restarts import restarts
from .score import Score

T = TypeVar("T")
Scenario = Callable[[Path, int, int], Coroutine[object, object, Score]]

# What is played, how often unless told otherwise, and what the figures call it.
SCENARIOS: Mapping[str, tuple[Scenario, int, str]] = {
    "restarts": (restarts, 50, "planned restart (SIGTERM)"),
    "crashes": (crashes, 100, "kill -9"),
    "cuts": (cuts, 300, "connection cut"),
}
DAMAGES = 2_000
HEAD = (
    "| fault | faults | resumes | replayed | messages due | lost | said while away | double | out of order "
    "| back after, median s | at most |"
)
RULE = "| --- |" + " --: |" * 10


def main() -> int:
    """Play, and print the table. Returns the exit code: 1 if something was against the rules."""
    parser = argparse.ArgumentParser(prog="reliability", description="Count what faults cost. Takes minutes.")
    names = [*SCENARIOS, "damages"]
    parser.add_argument("--only", choices=names, action="append", help="may be given more than once")
    parser.add_argument("--faults", type=int, metavar="N", help="of each kind")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    arguments = parser.parse_args()
    wrongs: list[str] = []
    print(HEAD, RULE, sep="\n")
    for name in arguments.only or names:
        if name in SCENARIOS:
            scenario, faults, told = SCENARIOS[name]
            score = _play(scenario, arguments.faults or faults, arguments.seed)
            wrongs += score.wrongs
            print(_row(told, score), flush=True)
        else:
            faults = arguments.faults or DAMAGES
            wrong = _play(damages, faults, arguments.seed)
            wrongs += wrong
            print(
                f"\nStarts with damaged files: {faults:,}. In {len(wrong):,} something was wrong.", flush=True
            )
    print("\n".join(wrongs), file=sys.stderr)
    return 1 if wrongs else 0


def _play(scenario: Callable[[Path, int, int], Coroutine[object, object, T]], faults: int, seed: int) -> T:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(scenario(Path(folder), faults, seed))


def _row(told: str, score: Score) -> str:
    counts = (score.faults, score.resumes, score.replayed, score.due, score.lost, score.missed, score.double)
    cells = [f"{count:,}" for count in (*counts, score.disordered)]
    times = [f"{statistics.median(score.seconds):.2f}", f"{max(score.seconds):.2f}"]
    return f"| {' | '.join([told, *cells, *times])} |"


if __name__ == "__main__":
    sys.exit(main())
