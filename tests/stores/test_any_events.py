"""Any faults of a disk while people come and go, and the site is told: it hears all, in order, once."""

import random
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.core.outsider import Outsider

from mikroroom.core.chronicle import TYPES, RoomEvent, place
from mikroroom.stores import journal
from mikroroom.stores.chronicle import MemoryChronicle, Retention
from mikroroom.stores.journal import Journal
from mikroroom.stores.memory import MemoryStore

from .disks import crashes, is_there, journal_of, tidied_until, unwritable
from .shelf import LATENT_AGE, POLICY, RESUME_WINDOW, Clock, Shelf

STEPS = 60


class Play:
    """A store with a journal in a directory. ``told`` is what the site has heard, ``people`` who is there."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.people: list[str] = []
        self.told: dict[str, RoomEvent] = {}
        self.fault = ExitStack()
        self.is_broken = False
        self.shelf = self.opens()

    def opens(self) -> Shelf:
        """Begin, with what is on the disk."""
        chronicle = MemoryChronicle(Retention(10_000, frozenset(TYPES)), self.clock)
        store = MemoryStore(
            max_rooms=10,
            max_latent_rooms=10,
            policy=POLICY,
            clock=self.clock,
            journal=Journal(str(self.directory), chronicle=chronicle),
            chronicle=chronicle,
        )
        return Shelf(lambda *_: store, Path(), clock=self.clock)

    async def comes(self) -> None:
        """Somebody joins, who may come back."""
        if len(self.people) < 8:
            token = f"{self.chance.random()}"
            enter = self.shelf.joins if self.people else self.shelf.opens
            self.people.append(await enter(resume_token=token))

    async def goes(self) -> None:
        """Somebody leaves."""
        if self.people:
            who = self.people.pop(self.chance.randrange(len(self.people)))
            await self.shelf.leaves(who)

    async def hears(self) -> None:
        """The site is told some of what it is owed; perhaps the server does not learn that it was."""
        owed = await self.shelf.store.chronicle.owed(self.chance.choice((1, 3, 1_000)))
        for event in owed.events:
            assert self.told.setdefault(event.id, event) == event, "two things under one id"
        if self.chance.random() < 0.7:
            await self.shelf.store.chronicle.settle([event.id for event in owed.events])

    async def passes(self) -> None:
        """Time passes, or somebody sets the clock back."""
        self.clock.passes(self.chance.choice((1, 50, -3_000)))

    async def breaks(self) -> None:
        """Nothing can be written from now on."""
        self.fault.close()
        self.fault.enter_context(unwritable())
        self.is_broken = True

    async def heals(self) -> None:
        """Whatever could not be written is."""
        self.fault.close()
        self.is_broken = False
        one = journal_of(self.shelf)
        await tidied_until(
            self.shelf,
            lambda: one._is_read and not (one.problem or one._flushing or one._has_changes()),
        )

    async def loses(self) -> None:
        """Somebody deletes the file, or the file without its log."""
        await self.heals()
        for path in self.directory.glob(self.chance.choice(("rooms.db*", "rooms.db"))):
            path.unlink()
        await (self.goes() if len(self.people) > 1 else self.comes())
        await self.heals()

    async def restarts(self) -> None:
        """The server ends in good order, and begins again."""
        await self.heals()
        await self.shelf.store.stop({})
        self.shelf = self.opens()

    async def dies(self) -> None:
        """The server ends at this moment. What is not on the disk has never happened."""
        if self.is_broken:
            await self.heals()
        await self.comes()
        await self.hears()
        await crashes(self.shelf, self.directory)
        self.shelf = self.opens()
        await self.heals()
        self.people = list((await self.shelf.looks()).participants) if await is_there(self.shelf) else []

    async def ends(self) -> None:
        """Everyone leaves, and the site hears the rest."""
        await self.heals()
        while self.people:
            await self.goes()
        self.clock.passes(RESUME_WINDOW + LATENT_AGE)
        self.shelf.store.tidy()
        await self.heals()
        while events := (await self.shelf.store.chronicle.owed(100)).events:
            self.told |= {event.id: event for event in events}
            await self.shelf.store.chronicle.settle([event.id for event in events])

    def close(self) -> None:
        """The disk is as it was."""
        self.fault.close()


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_befalls_the_disk_the_site_hears_all_of_it_in_order(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_DELAY", 0.002)
    directory = tmp_path / "data"
    play = Play(directory, seed)
    often = (play.comes, play.comes, play.goes, play.hears, play.hears, play.hears, play.passes)
    try:
        for _ in range(STEPS):
            await play.chance.choice(
                (*often, play.breaks, play.heals, play.loses, play.restarts, play.dies)
            )()
        await play.ends()
        events = list(play.told.values())
        assert [place(event.id) for event in events] == sorted(place(event.id) for event in events)
        outsider = Outsider()
        outsider.hears_all(events)
        assert outsider.rooms == {} and set(outsider.visits.values()) <= {1}
        assert await play.shelf.store.chronicle.excerpt(None, 10_000) == (events, True)
    finally:
        play.close()
        await play.shelf.store.stop({})
