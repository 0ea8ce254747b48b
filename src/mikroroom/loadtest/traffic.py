"""What the residents of all rooms send, and when: at a rate, or as soon as their last message has arrived."""

import asyncio
import heapq
from collections import deque
from time import perf_counter

from mikroroom.loadtest.people import BURST, Room, Visit
from mikroroom.loadtest.score import Score

# As in a meeting: mostly ICE candidates, then offers and answers. An offer costs two: it is answered.
_CYCLE = ("offers", "chat", "offers", "ice")
_COSTS = {"offers": 2, "ice": BURST, "chat": 1}
_TICK = 0.002
# Then it is the others' turn: what has come must be read.
_LONGEST_TURN = 0.01
# What could not be sent for so long is not sent any more: the tester is too slow for the rate.
_LATEST = 0.5
# Who could not send is tried again so often. Of a turn that is unheard for so long nothing will be heard: its
# receiver is gone, or the server dropped it.
_AGAIN = 0.05
_STUCK = 2.0


class Resident:
    """One person who sends, and whose turn it is with whom."""

    def __init__(self, visit: Visit, room: Room, cycle: tuple[str, ...], start: int) -> None:
        self.visit = visit
        self.acted_at = 0.0
        self.is_waiting = False
        self._cycle = deque(cycle)
        self._cycle.rotate(-start)
        at = room.residents.index(visit)
        self._peers = deque([*room.residents[at + 1 :], *room.residents[:at]])

    def act(self) -> int:
        """Send what is next. Returns how many messages that makes, 0 if nobody is there to send to."""
        action = self._cycle[0]
        self._cycle.rotate(-1)
        if self.visit.is_over or self.visit.line.is_paused:
            return 0
        if action == "chat":
            self.visit.chat()
            return _COSTS[action]
        peer = self._next_peer()
        if peer is None:
            return 0
        if action == "offers":
            self.visit.offer(peer)
        else:
            self.visit.trickle(peer)
        return _COSTS[action]

    def go_on(self) -> None:
        """Take a turn. Until what it made has arrived, this person is waiting."""
        self.acted_at = perf_counter()
        self.is_waiting = self.act() > 0

    def is_stuck(self, now: float) -> bool:
        """Whether nothing will arrive that gives this person its next turn."""
        return not self.is_waiting or now - self.acted_at > _STUCK

    def _next_peer(self) -> Visit | None:
        for _ in range(len(self._peers)):
            self._peers.rotate(-1)
            if not self._peers[0].is_over:
                return self._peers[0]
        return None


class Traffic:
    """All residents, sending. ``rate`` is messages per person and second; 0 is a closed loop."""

    def __init__(self, rooms: list[Room], scenarios: tuple[str, ...], rate: float, score: Score) -> None:
        cycle = tuple(action for action in _CYCLE if action in scenarios)
        people = [(visit, room) for room in rooms for visit in room.present()] if cycle else []
        self._residents = [Resident(visit, room, cycle, start) for start, (visit, room) in enumerate(people)]
        self._rate = rate
        self._score = score

    async def flow(self, until: float) -> None:
        """Send until then, by ``perf_counter``."""
        if not self._residents:
            await asyncio.sleep(max(until - perf_counter(), 0))
        elif self._rate:
            await self._flow_at_rate(until)
        else:
            await self._flow_in_turns(until)

    async def _flow_at_rate(self, until: float) -> None:
        began = perf_counter()
        # Spread over the time that the longest action stands for, so that they do not all send at once.
        spread = max(_COSTS.values()) / self._rate / len(self._residents)
        due = [(began + index * spread, index) for index in range(len(self._residents))]
        heapq.heapify(due)
        while (now := perf_counter()) < until:
            while due[0][0] <= now and perf_counter() - now < _LONGEST_TURN:
                when, index = due[0]
                if now - when > _LATEST:
                    self._score.held_back += int((now - when) * self._rate)
                    when = now
                cost = self._residents[index].act() or 1
                heapq.heapreplace(due, (when + cost / self._rate, index))
            await asyncio.sleep(_TICK)

    async def _flow_in_turns(self, until: float) -> None:
        turns = {resident.visit.number: resident for resident in self._residents}

        def go_on(visit: Visit) -> None:
            turns[visit.number].go_on()

        for resident in self._residents:
            resident.visit.next_turn = go_on
            resident.go_on()
        try:
            while (now := perf_counter()) < until:
                await asyncio.sleep(min(until - now, _AGAIN))
                for resident in self._residents:
                    if resident.is_stuck(perf_counter()):
                        resident.go_on()
        finally:
            for resident in self._residents:
                resident.visit.next_turn = None
