"""Someone outside, from nothing but room events: who is in which room, as far as those tell."""

from collections import Counter
from collections.abc import Iterable

from mikroroom.core.chronicle import RoomEvent


class Outsider:
    """Keeps the books of all rooms, and fails where what it is told cannot be."""

    def __init__(self) -> None:
        self.rooms: dict[str, set[str]] = {}
        """Who is in each room that has started and not ended."""
        self.waiting: dict[str, set[str]] = {}
        self.visits: Counter[str] = Counter()
        """How often each one has joined."""

    def hears_all(self, events: Iterable[RoomEvent]) -> None:
        """Hear several, in order."""
        for event in events:
            self.hears(event)

    def hears(self, event: RoomEvent) -> None:
        """Enter it in the books."""
        who = event.participant.id if event.participant is not None else ""
        code = event.room_id
        waiting = self.waiting.setdefault(code, set())
        match event.type:
            case "room.started":
                assert code not in self.rooms, "started twice"
                self.rooms[code] = set()
            case "room.ended":
                assert self.rooms.pop(code) == set(), "ended with somebody in it"
                assert not waiting, "ended with somebody waiting"
            case "participant.joined":
                assert not any(who in people for people in self.rooms.values()), "joined twice"
                self.visits[who] += 1
                self.rooms[code].add(who)
                waiting.discard(who)
            case "participant.left":
                assert event.reason in {"left", "lost", "removed", "ended"}
                self.rooms[code].remove(who)
            case "participant.waiting":
                assert who not in waiting and who not in self.rooms[code]
                waiting.add(who)
            case "participant.waiting-left":
                assert event.reason in {"left", "lost", "rejected", "removed", "ended"}
                waiting.remove(who)
            case "room.moderated":
                assert event.action
                # From outside a room can be changed in which nobody is.
                assert event.by is not None
                assert code in self.rooms or not event.by

    def knows(self, code: str, participants: Iterable[str], waiting: Iterable[str]) -> None:
        """What the books say of a room is what is."""
        assert self.rooms.get(code, set()) == set(participants)
        assert (code in self.rooms) is bool(set(participants))
        assert self.waiting.get(code, set()) == set(waiting)
