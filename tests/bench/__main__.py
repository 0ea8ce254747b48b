"""``python -m tests.bench``: from arguments to measurements to tables."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from .arrivals import join
from .crowd import CrowdError
from .deeds import deeds
from .idle import idle, memory
from .keeping import keeping
from .latency import latency
from .machine import MachineError, allow_files, alone, cores, description, workshop
from .report import MOST_TAKEN, Findings
from .resuming import kept, resuming
from .run import Run
from .scale import scale
from .site import check_redis
from .storm import storm
from .talk import chat, echo, relay
from .variants import VARIANTS
from .workers import workers

MEASUREMENTS: Mapping[str, Callable[[Run, Findings], None]] = {
    "relay": relay,
    "chat": chat,
    "echo": echo,
    "join": join,
    "memory": memory,
    "idle": idle,
    "latency": latency,
    "scale": scale,
    "resuming": resuming,
    "kept": kept,
    "storm": storm,
    "workers": workers,
    "deeds": deeds,
    "keeping": keeping,
}

# Those of several workers.
SHARED = {"workers", "deeds", "keeping"}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and show or write what was found. Returns the exit code: 1 if that was not possible."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.write and (arguments.variants or len(arguments.only) < len(MEASUREMENTS)):
        parser.error("--write replaces all figures, so all have to be measured")
    findings = Findings()
    try:
        _say(description())
        if SHARED & set(arguments.only):
            check_redis()
        allow_files()
        os.sched_setaffinity(0, {cores()[1]})
        with alone(), workshop() as tools:
            run = Run(
                tools=tools,
                rounds=arguments.rounds or (6 if arguments.quick else 24),
                seconds=arguments.seconds,
                is_quick=arguments.quick,
                chosen=arguments.variants,
                say=_say,
            )
            for name in arguments.only:
                MEASUREMENTS[name](run, findings)
    except (CrowdError, MachineError) as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1
    _say("")
    print(findings.text())
    if arguments.write and not arguments.anyway and (disturbed := findings.disturbed()):
        print(
            f"\nbench: not written, because others took more than {MOST_TAKEN:.0%} of the server's core "
            f"({disturbed}).\nMeasure again on a quiet machine, or add --anyway.",
            file=sys.stderr,
        )
        return 1
    if arguments.write:
        for path in findings.write():
            print(f"written: {path}")
    return 0


def _say(what: str) -> None:
    """Tell on one line what goes on, where somebody sees it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)
    elif what:
        print(what, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    told = "\n".join(f"  {variant.name:<22}{variant.told}" for variant in VARIANTS.values())
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Measure the server against what bounds it, on two cores. Takes about ten minutes.",
        epilog=f"servers:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        type=_some_of(MEASUREMENTS),
        default=list(MEASUREMENTS),
        metavar="NAMES",
        help=f"some of {','.join(MEASUREMENTS)}",
    )
    parser.add_argument(
        "--variants",
        type=_some_of(VARIANTS),
        default=[],
        metavar="NAMES",
        help="only these servers, and what they are compared with only if named",
    )
    parser.add_argument("--quick", action="store_true", help="less than three minutes, and rougher")
    parser.add_argument("--rounds", type=int, metavar="N", help="times that each server has its turn")
    parser.add_argument("--seconds", type=float, default=0.25, metavar="S", help="length of one sample")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md and its chart")
    parser.add_argument("--anyway", action="store_true", help="write what others disturbed, too")
    return parser


def _some_of(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(",")]
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return chosen

    return names


if __name__ == "__main__":
    sys.exit(main())
