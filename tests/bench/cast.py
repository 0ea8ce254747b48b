"""Who does what while delays are measured: offers go round in circles, chats to rooms with a deaf person."""

import itertools
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .crowd import CrowdError, Person, chats, circle
from .machine import unsent_bytes
from .pump import Pump
from .variants import Server

# Bytes of text. What is heard of chats is shorter than OFFER, and is not measured.
CHAT, LONG_CHAT, OFFER = 1_000, 4_000, 1_500
CHATS_PER_SECOND = 20
# What the system may keep for someone who does not read: little, so that the server soon feels it.
DEAF_BUFFER = 4_096
# To fill what the server's system keeps for them, some megabytes.
FILLING_RATE, FILLING_STEP, FILLING_STEPS = 5_000.0, 0.05, 200


@dataclass(frozen=True)
class Cast:
    """Groups of people: those of a circle speak to the next one in it; each who chats has one of the deaf."""

    circles: Sequence[Sequence[Person]]
    chatting: Sequence[Person] = ()
    listening: Sequence[Person] = ()
    deaf: Sequence[Person] = ()

    def order(self, rate: float) -> list[int]:
        """Everyone's turn to speak, by place, at so many offers a second in all."""
        offering = self._offering()
        if not self.chatting:
            return list(range(offering))
        offers = itertools.cycle(range(offering))
        between = round(rate / CHATS_PER_SECOND / len(self.chatting))
        order: list[int] = []
        for place in range(len(self.chatting)):
            order += [*itertools.islice(offers, between), offering + place]
        return order

    def speakers(self) -> list[int]:
        """Whose offers each one hears, by place; nobody's if in no circle."""
        found: list[int] = []
        for people in self.circles:
            start = len(found)
            found += [start + (place - 1) % len(people) for place in range(len(people))]
        return found + [0] * (len(self.chatting) + len(self.listening))

    def pump(self, tools: Path) -> Pump:
        """All who hear, with what they say."""
        offers = [frame for people in self.circles for frame in circle(people)]
        silence = [b""] * len(self.listening)
        return Pump(tools, self._hearing(), [*offers, *chats(self.chatting, CHAT), *silence], OFFER)

    def fill_the_deaf(self, server: Server, tools: Path) -> None:
        """Chat until the system takes no more for those who never read, and the server has to keep it."""
        frames = [b""] * self._offering() + chats(self.chatting, LONG_CHAT) + [b""] * len(self.listening)
        order = [self._offering() + place for place in range(len(self.chatting))]
        kept = -1
        with Pump(tools, self._hearing(), frames) as pump:
            for _ in range(FILLING_STEPS):
                pump.by_clock(FILLING_STEP, order=order, rate=FILLING_RATE, speakers=self.speakers())
                while pump.in_turns(FILLING_STEP, every=0):
                    pass  # the others hear it all first
                last, kept = kept, min(unsent_bytes(server.port, person.port) for person in self.deaf)
                if kept == last:
                    return
        raise CrowdError("those who never read took everything")

    def _offering(self) -> int:
        return sum(map(len, self.circles))

    def _hearing(self) -> list[Person]:
        return [*itertools.chain(*self.circles), *self.chatting, *self.listening]


def with_deaf(rooms: Sequence[Sequence[Person]], more: Sequence[Sequence[Person]]) -> Cast:
    """In the first room and in those added the last one never reads, and the last but one chats."""
    first, *others = rooms
    noisy = [first, *more]
    for *_, deaf in noisy:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEAF_BUFFER)
    return Cast(
        circles=[first[:-2], *others],
        chatting=[room[-2] for room in noisy],
        listening=[person for room in more for person in room[:-2]],
        deaf=[room[-1] for room in noisy],
    )
