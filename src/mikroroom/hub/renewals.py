"""When whom to give fresh TURN credentials: in a meeting that outlasts those it began with.

Knows ids and times only. What is said, and over which connection, is the hub's.
"""

from collections.abc import Callable

# Milliseconds until someone is served of whose credentials nobody knows how old they are.
SOON = 1_000
# So many at once: a site that was cut off as a whole comes back as a whole.
TOGETHER = 100


class Renewals:
    """Participants who have a connection here, by when they are due; each again every ``period`` ms.

    There are two waits, and so two queues; in each, whoever was put last is due last. No timer is needed for
    anyone: somebody asks ``due`` from time to time. A period of 0 is never.
    """

    def __init__(self, period: int, clock: Callable[[], int]) -> None:
        self._period = period
        self._clock = clock
        self._soon: dict[str, int] = {}
        self._later: dict[str, int] = {}

    def expect(self, participant_id: str, *, soon: bool) -> None:
        """Someone has a seat on a connection here, with credentials that are new, or else is due ``soon``."""
        if self._period:
            self.forget(participant_id)
            queue, wait = (self._soon, SOON) if soon else (self._later, self._period)
            queue[participant_id] = self._clock() + wait

    def forget(self, participant_id: str) -> None:
        """Someone is not here any more."""
        self._soon.pop(participant_id, None)
        self._later.pop(participant_id, None)

    def due(self) -> list[str]:
        """Whose turn it is: some of them, if that are many. From now on they are expected anew."""
        now = self._clock()
        # Those whose credentials may have run out come first.
        ids = _first(self._soon, now, TOGETHER)
        ids += _first(self._later, now, TOGETHER - len(ids))
        for participant_id in ids:
            self.expect(participant_id, soon=False)
        return ids


def _first(queue: dict[str, int], now: int, count: int) -> list[str]:
    found: list[str] = []
    for participant_id, time in queue.items():
        if time > now or len(found) == count:
            break
        found.append(participant_id)
    return found
