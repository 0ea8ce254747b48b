"""How long things took, in bounded memory: counts in buckets that grow with what they hold.

Like an HdrHistogram with 32 buckets for each power of two: a percentile is exact to 1.6 %, the lowest and the
highest figure are exact, and a histogram takes a few kilobytes however much is added.
"""

from collections.abc import Iterable
from typing import Self

_BITS = 5
# Twenty-four hours in nanoseconds: whatever takes longer is counted as that long.
_MOST = 86_400 * 10**9
MILLISECOND = 1_000_000


def _bucket(value: int) -> int:
    shift = max(value.bit_length() - _BITS - 1, 0)
    return (shift << _BITS) + (value >> shift)


def _middle(bucket: int) -> float:
    shift = max((bucket >> _BITS) - 1, 0)
    return ((bucket - (shift << _BITS)) << shift) + ((1 << shift) - 1) / 2


class Histogram:
    """Counts of durations in nanoseconds; what it tells is in milliseconds."""

    __slots__ = ("count", "counts", "highest_ns", "lowest_ns")

    def __init__(self) -> None:
        self.counts = [0] * (_bucket(_MOST) + 1)
        self.lowest_ns = _MOST
        self.highest_ns = 0
        self.count = 0

    def add(self, value: int) -> None:
        """Count one duration. Below 0 is 0."""
        value = min(max(value, 0), _MOST)
        self.counts[_bucket(value)] += 1
        self.count += 1
        self.highest_ns = max(self.highest_ns, value)
        self.lowest_ns = min(self.lowest_ns, value)

    def percentile(self, share: float) -> float:
        """The milliseconds within which this share (0 to 1) of all lies; 0 if there is nothing."""
        if not self.count:
            return 0.0
        wanted = max(share * self.count, 1)
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                value = min(max(_middle(bucket), self.lowest_ns), self.highest_ns)
                return value / MILLISECOND
        return self.highest

    @property
    def highest(self) -> float:
        """The longest, in milliseconds; 0 if there is nothing."""
        return self.highest_ns / MILLISECOND

    @classmethod
    def of(cls, histograms: Iterable["Histogram"]) -> Self:
        """All of them in one."""
        whole = cls()
        for histogram in histograms:
            whole.counts = [a + b for a, b in zip(whole.counts, histogram.counts, strict=True)]
            whole.lowest_ns = min(whole.lowest_ns, histogram.lowest_ns)
            whole.highest_ns = max(whole.highest_ns, histogram.highest_ns)
            whole.count += histogram.count
        return whole
