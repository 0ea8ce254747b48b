"""What is to be tried, as it was asked for: the arguments of ``mikroroom loadtest``, and their bounds."""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

# What can be tried, and what it is in a word. The first three are what people in a room send.
SCENARIOS = {
    "offers": "WebRTC offers of 1.8 to 2.5 kB between two people, each answered by one as long",
    "ice": "ICE candidates, eight in a row",
    "chat": "sentences to the whole room",
    "joins": "everyone joins at the same moment",
    "churn": "people who come and go all the time: by word, by closing, and without a word",
    "slow-readers": "people who are sent a file and never read; the server must cut them off",
}
MOST_CONNECTIONS = 50_000
_ROOMS_FOR_EACH_CHURNER = 4
# Those whom a storm hits are in full rooms of so many.
STORM_ROOM = 8
_DEFAULT_SLOW_READERS = 1


class Plan(Struct, frozen=True, kw_only=True):
    """One test. ``rate`` is messages per person and second, or 0 for the next as soon as the last arrived.

    ``patience`` is the seconds after which what has not arrived counts as lost; ``storm`` is how many are cut
    off at once, or 0.
    """

    url: str
    rooms: int
    people: int
    seconds: float
    rate: float
    scenarios: tuple[str, ...]
    churners: int
    slow_readers: int
    patience: float = 5.0
    is_resumable: bool = False
    storm: int = 0
    is_mine: bool = False
    is_insecure: bool = False
    is_json: bool = False
    chart: Path | None = None

    @property
    def residents(self) -> int:
        """Those who stay from the beginning to the end."""
        return self.rooms * self.people

    @property
    def connections(self) -> int:
        """Connections at one time, at most. A slow reader has a companion who sends it the file."""
        return self.residents + self.storm + self.churners + 2 * self.slow_readers


def plan(arguments: Sequence[str]) -> Plan:
    """Read the arguments. Raises ``SystemExit`` (2) after saying what was wrong and what is allowed."""
    parser = _parser()
    known = parser.parse_args(arguments)
    scenarios: tuple[str, ...] = known.only
    for option, scenario, amount in (
        ("--churners", "churn", known.churners),
        ("--slow-readers", "slow-readers", known.slow_readers),
    ):
        if amount and scenario not in scenarios:
            parser.error(f"{option} {amount}: --only leaves {scenario} out")
    churners = max(known.rooms // _ROOMS_FOR_EACH_CHURNER, 1) if known.churners is None else known.churners
    slow_readers = _DEFAULT_SLOW_READERS if known.slow_readers is None else known.slow_readers
    chosen = Plan(
        url=known.url,
        rooms=known.rooms,
        people=known.people,
        seconds=known.seconds,
        rate=known.rate,
        scenarios=scenarios,
        churners=churners if "churn" in scenarios else 0,
        slow_readers=slow_readers if "slow-readers" in scenarios else 0,
        patience=known.patience,
        is_resumable=known.resumable,
        storm=-(-known.storm // STORM_ROOM) * STORM_ROOM,
        is_mine=known.yes_this_is_my_server,
        is_insecure=known.insecure,
        is_json=known.json,
        chart=known.chart,
    )
    if chosen.connections > MOST_CONNECTIONS:
        storm = f" --storm {chosen.storm}" if chosen.storm else ""
        parser.error(
            f"--rooms {chosen.rooms} --people {chosen.people}{storm}: {chosen.connections:,} connections are "
            f"more than one process can drive; at most {MOST_CONNECTIONS:,} are allowed"
        )
    return chosen


def _parser() -> argparse.ArgumentParser:
    told = "Try what a server can take: rooms of people who send what browsers do, and check what arrives."
    kinds = "; ".join(f"{name}: {what}" for name, what in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="mikroroom loadtest",
        description=told,
        epilog=f"Kinds of load, all on unless --only names some: {kinds}. Exit codes: 0 passed, 1 failed or "
        "nothing could be measured, 2 not understood or refused, 130 interrupted.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("url", metavar="URL", help="such as ws://127.0.0.1:3000/ws or https://example.org/meet")
    add("--rooms", type=_whole(1, 10_000), default=20, metavar="N", help="(default: %(default)s)")
    add("--people", type=_whole(2, 1_000), default=4, metavar="N", help="in each room (default: %(default)s)")
    add(
        "--seconds",
        type=_number(0.1, 3_600),
        default=10.0,
        metavar="S",
        help="of sending (default: %(default)g)",
    )
    add(
        "--rate",
        type=_number(0, 10_000),
        default=5.0,
        metavar="R",
        help="messages per person and second; 0 is as fast as the answers come (default: %(default)g)",
    )
    add("--only", type=_scenarios, default=tuple(SCENARIOS), metavar="KINDS", help=", ".join(SCENARIOS))
    add(
        "--churners",
        type=_whole(0, 1_000),
        metavar="N",
        help=f"people who come and go (default: one for every {_ROOMS_FOR_EACH_CHURNER} rooms)",
    )
    add(
        "--slow-readers",
        type=_whole(0, 64),
        metavar="N",
        help=f"people who never read (default: {_DEFAULT_SLOW_READERS})",
    )
    add(
        "--resumable",
        action="store_true",
        help="everyone but the slow readers asks to be resumable; who goes without a word comes back first",
    )
    add(
        "--storm",
        type=_whole(0, 40_000),
        default=0,
        metavar="N",
        help="so many more, in rooms of 8, are cut off at once in the middle of the test, and all come back "
        "(default: none)",
    )
    add(
        "--patience",
        type=_number(0.1, 60),
        default=5.0,
        metavar="S",
        help="after which what has not arrived is lost (default: %(default)g)",
    )
    add("--json", action="store_true", help="print one JSON object instead of a table")
    add("--chart", type=Path, metavar="FILE", help="write the latencies and the throughput as SVG")
    add("--insecure", action="store_true", help="take any TLS certificate")
    add(
        "--yes-this-is-my-server",
        action="store_true",
        help="go on although the server is not on this machine",
    )
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 19 and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")

    return read


def _scenarios(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(SCENARIOS)}")
    return tuple(name for name in SCENARIOS if name in names)
