"""People of a cluster: they come back by whichever door is open, and remember what they heard when."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.reliability.people import CODE, Message, Person
from tests.reliability.servers import PATIENCE, Server

# Of these, all who hear them hear them in one order, wherever they are.
ORDERED = frozenset(
    {"participant-joined", "participant-left", "room-locked", "room-unlocked", "raise-hand", "lower-hand"}
)


class Guest(Person):
    """A ``Person`` who comes by the first of ``doors``, and back by any of them.

    Where the server cannot do now what it was asked for, that is among ``refusals``, and not ``errors``; who
    is not let in for that tries again. ``history`` is what it heard of coming, going and locks, in order;
    ``ids`` are all it ever had.
    """

    def __init__(
        self,
        name: str,
        doors: Sequence[Server],
        *,
        code: str = CODE,
        is_resumable: bool = True,
        repeats: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(name, doors[0], code=code, is_resumable=is_resumable, repeats=repeats, seed=seed)
        self.doors = list(doors)
        self.refusals: list[Message] = []
        self.history: list[tuple[object, ...]] = []
        self.ids: list[str] = []

    def moves_to(self, *doors: Server) -> None:
        """Break the connection, and come back by one of these."""
        self.doors = list(doors)
        self.hangs_up()

    async def goes(self) -> None:
        """Leave by word: who is about to come back does so first, for nobody else can leave in its place."""
        if self.may_return.is_set() and self._living is not None and not self._living.done():
            await self.is_back()
        await super().goes()

    async def _attend(self) -> int | None:
        code = await super()._attend()
        self.url = self._random.choice(self.doors).socket_url
        return code

    def _arrives(self, own: Message) -> None:
        super()._arrives(own)
        if self.id not in self.ids:
            self.ids.append(self.id)

    def _learns(self, kind: str, message: Message) -> None:
        super()._learns(kind, message)
        who = message["participantId"]
        if kind in ORDERED and who != self.id:
            # Of a snapshot the time is its own; but nobody comes or goes twice.
            when = () if kind in {"participant-joined", "participant-left"} else (message["timestamp"],)
            self.history.append((kind, who, *when))

    def _is_refused(self, error: Message) -> None:
        if error["code"] == "SERVER_ERROR":
            self.refusals.append(error)
            if self._is_new_here:
                self.hangs_up()
        else:
            super()._is_refused(error)


async def soon(is_so: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait for it, so long at most. Returns whether it came about."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def all_see(
    people: Sequence[Person], is_so: Callable[[Person], bool], seconds: float = PATIENCE
) -> None:
    """Wait until it is so for each of them."""
    assert await soon(lambda: all(map(is_so, people)), seconds), told(people)


def are_one(people: Sequence[Person]) -> bool:
    """Whether they all know the same of the room: these are there, and nobody else, one of them its host."""
    view = people[0].view()
    there: dict[str, dict[str, Any]] = view["people"]
    return (
        all(person.is_here.is_set() and person.view() == view for person in people)
        and there.keys() == {person.id for person in people}
        and all(state["isConnected"] for state in there.values())
        and [state["isHost"] for state in there.values()].count(True) == 1
    )


def ghosts(people: Iterable[Person]) -> int:
    """How many are in the lists of these people who are none of them."""
    everyone = list(people)
    return len({who for person in everyone for who in person.people} - {person.id for person in everyone})


def told(people: Sequence[Person]) -> str:
    """What each of these knows of the room, for whoever reads why a test failed."""
    return "\n".join(_told(person, people) for person in people)


def _told(person: Person, people: Sequence[Person]) -> str:
    names = {other.id: other.name for other in people}
    flags = {"isHost": "host", "isMuted": "muted", "isVideoOff": "dark", "isHandRaised": "hand"}
    there = [
        f"{names.get(who, who[:8])}{'' if state['isConnected'] else '?'}"
        f"({' '.join(short for flag, short in flags.items() if state[flag])})"
        for who, state in person.people.items()
    ]
    return f"{person.name} here={person.is_here.is_set()} locked={names.get(person.locked_by or '')} {there}"
