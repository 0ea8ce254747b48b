"""What a run found: tables for the terminal and for ``docs/performance.md``, targets, and the chart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mikroroom.chart import bars

from .machine import ROOT, description

DOCUMENT = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
# What is written down is measured on a core that nobody else had for a larger part of the time.
MOST_TAKEN = 0.05
_BEGIN, _END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"


@dataclass(frozen=True)
class Table:
    """Rows of words under a header; the first column says what the row is about."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Target:
    """What a figure is to be: at most ``bound``, or with ``is_least`` at least."""

    what: str
    found: float
    bound: float
    unit: str = ""
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it is."""
        return self.found >= self.bound if self.is_least else self.found <= self.bound

    def row(self) -> tuple[str, ...]:
        """As a row of the table of targets."""
        sign = "≥" if self.is_least else "≤"
        unit = f" {self.unit}".rstrip()
        found = f"{self.found:.0f}" if self.found >= 100 else f"{self.found:.3g}"
        return self.what, f"{found}{unit}", f"{sign} {self.bound:g}{unit}", "yes" if self.is_met else "no"


@dataclass
class Findings:
    """What has been found so far. ``taken``: by measurement, the share of time that others had the core."""

    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    bars: list[tuple[str, float]] = field(default_factory=list)
    taken: dict[str, float] = field(default_factory=dict)

    def aim(
        self, what: str, found: float | None, bound: float, unit: str = "", *, is_least: bool = False
    ) -> None:
        """Hold a figure to a target, if there is one."""
        if found is not None:
            self.targets.append(Target(what, found, bound, unit, is_least))

    def disturbed(self) -> str:
        """Which measurements others disturbed too much to be written down, and how much; or nothing."""
        return ", ".join(f"{what} {share:.0%}" for what, share in self.taken.items() if share > MOST_TAKEN)

    def _all(self) -> Iterable[Table]:
        yield from (table for table in self.tables if table.rows)
        if self.targets:
            header = ("what", "found", "target", "met")
            yield Table("Targets", header, [target.row() for target in self.targets])

    def text(self) -> str:
        """For the terminal."""
        return "\n\n".join([description(), *map(_aligned, self._all())])

    def markdown(self) -> str:
        """For the document."""
        return "\n\n".join([f"Taken on: {description()}.", *map(_markdown, self._all())])

    def write(self) -> list[Path]:
        """Put the figures into the document, and draw the chart. Returns what was written."""
        before, _, rest = DOCUMENT.read_text("utf-8").partition(_BEGIN)
        _, _, after = rest.partition(_END)
        DOCUMENT.write_text(f"{before}{_BEGIN}\n\n{self.markdown()}\n\n{_END}{after}", "utf-8")
        if not self.bars:
            return [DOCUMENT]
        CHART.write_text(bars("Offers relayed by one core", self.bars, "/s"), "utf-8")
        return [DOCUMENT, CHART]


def number(value: float) -> str:
    """A figure in as many digits as it deserves."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(ratio: float | None) -> str:
    """A ratio, or nothing where there is none."""
    return "" if ratio is None else f"{ratio:.2f} ×"


def percent(share: float) -> str:
    """A share."""
    return f"{share:.0%}"


def _aligned(table: Table) -> str:
    rows = [table.header, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    lines = ["  ".join(_padded(row, widths)).rstrip() for row in rows]
    return "\n".join([table.title, *(f"  {line}" for line in lines)])


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    """The first column to the left, figures to the right."""
    for column, (word, width) in enumerate(zip(row, widths, strict=True)):
        yield word.rjust(width) if column else word.ljust(width)


def _markdown(table: Table) -> str:
    rule = ["---", *("--:" for _ in table.header[1:])]
    rows = [" | ".join(row) for row in (table.header, rule, *table.rows)]
    return "\n".join([f"### {table.title}", "", *(f"| {row} |" for row in rows)])
