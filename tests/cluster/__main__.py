"""``python -m tests.cluster``: faults of a cluster by the dozen, counted, as a table for the documents."""

import argparse
import asyncio
import statistics
import sys
import tempfile
import traceback
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path

from .count import Count
from .deaths import freezes, kills, partitions
from .mishaps import lost_answers
from .outages import OUTAGES, outages
from .renewals import hangups, restarts, rolls
from .wanderings import histories, moves

Scenario = Callable[[Path, int, int], Coroutine[object, object, Count]]

# What is played, how often unless told otherwise, and what the table calls it.
SCENARIOS: Mapping[str, tuple[Scenario, int, str]] = {
    "kills": (kills, 6, "worker killed (SIGKILL)"),
    "freezes": (freezes, 6, "worker frozen for longer than its lease"),
    "partitions": (partitions, 6, "worker cut off from Redis for longer than its lease"),
    "rolls": (rolls, 4, "all workers restarted, one after the other"),
    "restarts": (restarts, 6, "all workers stopped at once, and started again"),
    "hangups": (hangups, 4, "three workers of one parent renewed (SIGHUP)"),
    **{
        name: (partial(outages, kind=name), 3 if outage.is_noticed else 6, outage.name)
        for name, outage in OUTAGES.items()
    },
    "lost-answers": (lost_answers, 150, "answer of Redis lost, connection reset"),
    "histories": (histories, 600, "visit to a busy room, by any worker"),
    "moves": (moves, 300, "connection cut, back on any worker"),
}
COLUMNS = (
    "fault",
    "faults",
    "resumes",
    "replayed",
    "due",
    "delivered",
    "lost",
    "double",
    "out of order",
    "untouched: due",
    "lost",
    "double",
    "out of order",
    "people lost",
    "ghosts",
    "seconds, median",
    "at most",
)


def main() -> int:
    """Play, and print the table. Returns the exit code: 1 if something was against the rules."""
    parser = argparse.ArgumentParser(prog="cluster", description="Count what faults cost. Takes minutes.")
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="may be given more than once")
    parser.add_argument("--faults", type=int, metavar="N", help="of each kind")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    arguments = parser.parse_args()
    wrongs: list[str] = []
    print(f"| {' | '.join(COLUMNS)} |", f"| --- |{' --: |' * (len(COLUMNS) - 1)}", sep="\n", flush=True)
    for name in arguments.only or SCENARIOS:
        scenario, faults, told = SCENARIOS[name]
        try:
            with tempfile.TemporaryDirectory() as folder:
                count = asyncio.run(scenario(Path(folder), arguments.faults or faults, arguments.seed))
        except Exception:  # noqa: BLE001 - the others are to be played all the same
            wrongs.append(f"{name}: {traceback.format_exc()}")
            print(f"| {told} | failed |", flush=True)
            continue
        wrongs += [f"{name}: {wrong}" for wrong in (*count.wrongs, *count.near.wrongs)]
        print(_row(told, count), flush=True)
    print("\n".join(wrongs), file=sys.stderr)
    return 1 if wrongs else 0


def _row(told: str, count: Count) -> str:
    near = count.near
    counts = (
        *(count.faults, count.resumes, count.replayed, count.due, count.delivered),
        *(count.lost, count.double, count.disordered),
        *(near.due, near.lost, near.double, near.disordered),
        *(count.strays, count.ghosts),
    )
    times = [f"{statistics.median(count.seconds):.2f}", f"{max(count.seconds):.2f}"]
    return f"| {' | '.join([told, *(f'{number:,}' for number in counts), *times])} |"


if __name__ == "__main__":
    sys.exit(main())
