"""What was said over several workers, and what became of it and of those who said it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.reliability.people import Person
from tests.reliability.score import Score

from .cluster import Cluster
from .people import Guest, are_one, ghosts, soon, told


@dataclass
class Count(Score):
    """A ``Score`` of all who talk, and ``near`` of those only whom the fault did not touch.

    ``strays`` are people who could come back, and did not as who they were. ``ghosts`` are in somebody's list
    though they are gone; and ``splits`` are rooms in which not all knew the same in the end.
    """

    near: Score = field(default_factory=Score)
    strays: int = 0
    ghosts: int = 0
    splits: int = 0

    @property
    def delivered(self) -> int:
        """How much was heard of what was due."""
        return self.due - self.lost

    async def ends(self, cluster: Cluster, *rooms: Sequence[Guest]) -> None:
        """All that is to come back has done so: everyone in a room agrees, and the workers count alike."""
        for people in rooms:
            if not await soon(partial(are_one, people)):
                self.splits += 1
                self.wrongs.append(f"these do not agree: {told(people)}")
            self.ghosts += ghosts(people)
            self.strays += sum(len(person.ids) - 1 for person in people if person.is_resumable)
        counted = len(rooms), sum(map(len, rooms))
        self.wrongs += [
            f"the worker on port {worker.port} counts {await cluster.health(worker)}, and not {counted}"
            for worker in await cluster.miscounting(*counted)
        ]
        self.wrongs += cluster.faults()

    def add_all(self, *rooms: Sequence[Person]) -> None:
        """As ``add``, for the people of each room."""
        for people in rooms:
            self.add(people)
