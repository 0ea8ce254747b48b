"""Disks that are full, read-only or held by others: meetings go on, and say so once (R46)."""

import asyncio
import resource
import sqlite3
from collections.abc import Iterator

import pytest

from .conftest import Serving
from .crashes import SETTLED
from .people import CODE, Person, Plain, all_agree, all_back, all_go, eventually, visitor
from .places import Disk, disk_for
from .servers import Server


@pytest.fixture
def server(serving: Serving) -> Server:
    return serving()


@pytest.fixture
def disk(server: Server) -> Iterator[Disk]:
    """A small disk, where the server's data directory is."""
    with disk_for(server) as disk:
        if disk is None:
            pytest.skip("no mount namespace to be had here")
        yield disk


async def meeting_in(server: Server) -> list[Person]:
    """Three people, and the room is locked."""
    people = [await Person(name, server).comes(isHost=True) for name in ("Ada", "Bob", "Cleo")]
    people[0].says("room-locked")
    await all_agree(people, lambda who: who.locked_by == people[0].id and len(who.people) == 3)
    return people


async def goes_on(server: Server, people: list[Person]) -> None:
    """The meeting works as ever: it is unlocked, someone comes and goes, people talk, it is locked again."""
    people[0].says("room-unlocked")
    await all_agree(people, lambda who: who.locked_by is None)
    async with visitor(server) as connection:
        zoe = Plain(connection)
        assert (await zoe.joins(CODE))["type"] == "participant-joined"
        await all_agree(people, lambda who: zoe.id in who.people)
    people[0].says("moderator-action", targetId=people[1].id, action="make-moderator")
    for person in people:
        person.chats()
    await all_agree(people, lambda who: len(who.people) == 3 and who.people[people[1].id]["isModerator"])
    people[1].says("room-locked")
    await all_agree(people, lambda who: who.locked_by == people[1].id)


async def test_on_a_full_disk_meetings_go_on_and_are_kept_when_there_is_room(
    server: Server, disk: Disk
) -> None:
    await server.starts()
    people = await meeting_in(server)
    await asyncio.sleep(SETTLED)
    disk.fills_up()
    # A lot changes, so that it cannot be written into what the file has already.
    more = [await Person("x" * 64, server, code=f"FULL{n:02}").comes(isHost=True) for n in range(50)]
    await goes_on(server, people)
    await eventually(lambda: server.said("journal-failed") != [])
    await goes_on(server, people)
    disk.has_room()
    await eventually(lambda: server.said("journal-recovered") != [])
    assert len(server.said("journal-failed")) == 1
    assert len(server.said("ERROR")) == 1

    await asyncio.sleep(SETTLED)
    before = people[0].view()
    await server.dies()
    await server.starts()
    await all_back([*people, *more])
    await all_agree(people, lambda who: who.view() == before)
    await all_go([*people, *more])


async def test_a_disk_that_is_full_from_start_to_stop_costs_nobody_their_place(
    server: Server, disk: Disk
) -> None:
    await server.starts()
    people = await meeting_in(server)
    await server.stops()
    disk.fills_up()
    await server.starts()
    disk.fills_up()
    await all_back(people)
    assert [own["replayed"] for person in people for own in person.resumes] == [True] * 3
    await goes_on(server, people)
    assert (await server.stops())[0] == 0
    assert len(server.said("journal-failed")) == len(server.said("journal-kept-incomplete")) == 1
    disk.has_room()
    await server.starts()
    await all_back(people)
    # Their newest tokens are not on the disk. The ones before are, and so is the room of that time.
    assert [person.errors[0]["code"] for person in people] == ["RESUME_FAILED"] * 3
    assert [own["replayed"] for person in people for own in person.resumes] == [True, False] * 3
    await all_agree(people, lambda who: len(who.people) == 3 and who.locked_by == people[0].id)
    await goes_on(server, people)
    assert [wrong for person in people for wrong in person.wrongs] == []
    await all_go(people)


async def test_a_disk_that_becomes_read_only_costs_no_meeting(server: Server, disk: Disk) -> None:
    await server.starts()
    people = await meeting_in(server)
    await asyncio.sleep(SETTLED)
    await server.dies()
    before = people[0].view()
    disk.is_mounted("ro")
    await server.starts()
    await all_back(people)
    await all_agree(people, lambda who: who.view() == before)
    await goes_on(server, people)
    await eventually(lambda: server.said("journal-failed") != [])
    disk.is_mounted("rw")
    await eventually(lambda: server.said("journal-recovered") != [])
    assert len(server.said("journal-failed")) == 1
    before = people[0].view()
    await asyncio.sleep(SETTLED)
    await server.dies()
    await server.starts()
    await all_back(people)
    await all_agree(people, lambda who: who.view() == before)
    assert [wrong for person in people for wrong in person.wrongs] == []
    await all_go(people)


async def test_a_file_that_may_not_grow_is_tried_again_until_it_may(server: Server) -> None:
    await server.starts()
    people = await meeting_in(server)
    await asyncio.sleep(SETTLED)
    resource.prlimit(server.run.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    await goes_on(server, people)
    await eventually(lambda: server.said("journal-failed") != [])
    await goes_on(server, people)
    everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.run.process.pid, resource.RLIMIT_FSIZE, everything)
    await eventually(lambda: server.said("journal-recovered") != [])
    assert len(server.said("journal-failed")) == 1
    before = people[0].view()
    await asyncio.sleep(SETTLED)
    await server.dies()
    await server.starts()
    await all_back(people)
    await all_agree(people, lambda who: who.view() == before)
    await all_go(people)


async def test_a_journal_that_is_locked_for_a_while_is_read_when_it_is_free(server: Server) -> None:
    await server.starts()
    people = await meeting_in(server)
    await asyncio.sleep(SETTLED)
    await server.dies()
    for person in people:
        person.may_return.clear()
    await eventually(lambda: not any(person.is_here.is_set() for person in people))
    backup = sqlite3.connect(server.data / "rooms.db", isolation_level=None)
    backup.execute("BEGIN EXCLUSIVE")
    await server.starts()
    assert len(server.said("journal-failed")) == 1
    async with visitor(server) as connection:
        assert (await Plain(connection).joins("OTHER2", isHost=True))["type"] == "participant-joined"
    backup.execute("ROLLBACK")
    backup.close()
    await eventually(lambda: server.said("journal-recovered") != [])
    for person in people:
        person.may_return.set()
    await all_back(people)
    assert [own["resumed"] for person in people for own in person.resumes] == [True] * 3
    await all_go(people)


async def test_a_second_server_on_the_directory_leaves_the_first_its_rooms(
    serving: Serving,
) -> None:
    first, second = serving(), serving()
    await first.starts()
    people = await meeting_in(first)
    await second.starts()
    assert len(second.said("another process uses this directory")) == 1
    others = await meeting_in(second)
    assert {person.id for person in people}.isdisjoint(person.id for person in others)
    await asyncio.sleep(SETTLED)
    assert (await second.stops())[0] == 0
    for person in others:
        await person.vanishes()
    await first.dies()
    await first.starts()
    await all_back(people)
    await all_agree(people, lambda who: len(who.people) == 3)
    assert [wrong for person in people for wrong in person.wrongs] == []
    await all_go(people)


async def test_a_directory_that_cannot_be_made_costs_one_line(server: Server) -> None:
    server.data.write_text("no directory")
    await server.starts()
    assert len(server.said("journal-unusable")) == 1
    people = await meeting_in(server)
    await goes_on(server, people)
    assert (await server.stops())[0] == 0
    await server.starts()
    # Nothing was kept: they are told so, and come afresh.
    await eventually(lambda: all(person.errors for person in people))
    assert {error["code"] for person in people for error in person.errors} >= {"RESUME_FAILED"}
    await all_back(people)
    await all_go(people)
