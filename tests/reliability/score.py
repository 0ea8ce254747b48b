"""What was said, and what of it was heard."""

from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .people import Person

# What was said so shortly before a connection was lost, in seconds, was in flight.
IN_FLIGHT = 0.5


@dataclass
class Score:
    """Counts of one scenario: ``due`` are messages times their hearers.

    Of those that are ``lost``, ``missed`` were said while their hearer was away. ``inexplicable`` is what was
    lost though its hearer was there all the time, or came more often than it was sent.
    """

    faults: int = 0
    said: int = 0
    due: int = 0
    lost: int = 0
    missed: int = 0
    double: int = 0
    inexplicable: int = 0
    disordered: int = 0
    resumes: int = 0
    replayed: int = 0
    wrongs: list[str] = field(default_factory=list)
    # Of each fault: from its first sign to everyone, or the server, being there again.
    seconds: list[float] = field(default_factory=list)

    def add(self, people: Sequence[Person]) -> None:
        """Count what these people, who were there all the time, said to each other."""
        for person in people:
            self.said += len(person.said)
            self.resumes += len(person.resumes)
            self.replayed += sum(own["replayed"] for own in person.resumes)
            self.wrongs += person.wrongs
            self.wrongs += [f"{person!r} was refused: {error}" for error in person.errors]
            for hearer in people:
                self._compare(person, hearer)

    def _compare(self, speaker: Person, hearer: Person) -> None:
        due = [number for target, number in speaker.said if target in {"", hearer.id}]
        heard = [number for who, _, number in hearer.heard if who == speaker.id]
        times = Counter(heard)
        self.due += len(due)
        self.double += sum(count - 1 for count in times.values())
        self.disordered += sum(after < before for before, after in pairwise(dict.fromkeys(heard)))
        for number in due:
            sent = speaker.sent_at[number]
            if number not in times:
                self.lost += 1
                self.missed += any(_is_away(hearer, moment) for moment in sent)
                self.inexplicable += not any(_may_miss(hearer, moment) for moment in sent)
            elif times[number] > len(sent):
                self.inexplicable += 1
        if strangers := times.keys() - set(due):
            self.wrongs.append(f"{hearer!r} heard {strangers}, which {speaker!r} did not say to it")


def _is_away(person: Person, moment: float) -> bool:
    """Whether it had no connection then."""
    losses = [at for at, _ in person.closes]
    number = bisect(losses, moment)
    if number == 0:
        return False
    # It came once before its first loss.
    return number >= len(person.returns) or moment < person.returns[number]


def _may_miss(person: Person, moment: float) -> bool:
    """Whether what was sent then may have been lost with its connection."""
    return _is_away(person, moment) or any(moment <= at <= moment + IN_FLIGHT for at, _ in person.closes)
