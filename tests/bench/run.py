"""One run: which servers, how often, for how long; and the order that makes its figures comparable."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from .variants import VARIANTS, Variant

Sample = TypeVar("Sample")
Samples = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True)
class Run:
    """What all measurements of a run share. ``chosen``: the servers asked for, all if empty."""

    tools: Path
    rounds: int
    seconds: float
    is_quick: bool
    chosen: Sequence[str]
    say: Callable[[str], None]

    def variants(self, names: Iterable[str]) -> dict[str, Variant]:
        """Those of these servers that were asked for, by name."""
        return {name: VARIANTS[name] for name in names if not self.chosen or name in self.chosen}

    def compare(
        self,
        what: str,
        ready: Mapping[str, AbstractContextManager[Callable[[], Sample]]],
        rounds: int | None = None,
    ) -> dict[str, list[Sample]]:
        """Samples of several servers that stand side by side: one of each in each round, another one first.

        Whatever changes on the machine meanwhile, from second to second, changes for all of them.
        """
        with ExitStack() as stack:
            takes = {}
            for name, one in ready.items():
                self.say(f"{what}: {name} gets ready")
                takes[name] = stack.enter_context(one)
            self.say(f"{what}: measuring")
            samples: dict[str, list[Sample]] = {name: [] for name in takes}
            for name in _in_turns([*takes], self.rounds if rounds is None else rounds):
                samples[name].append(takes[name]())
        return samples


def _in_turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    for number in range(rounds if names else 0):
        first = number % len(names)
        yield from [*names[first:], *names[:first]]


def typical(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """The median of a value over the rounds."""
    return median(map(value, samples))


def ratio(
    samples: "Samples[Sample]", name: str, other: str, value: Callable[[Sample], float]
) -> float | None:
    """How many times as large a value is as another server's in the same round: the median over the rounds.

    None if either was not measured.
    """
    if name not in samples or other not in samples:
        return None
    pairs = zip(samples[name], samples[other], strict=True)
    return median(value(one) / value(two) for one, two in pairs)
