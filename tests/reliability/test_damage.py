"""Files that are not what was written: the server starts every time, says so, and holds meetings (R46)."""

import random
import sqlite3
from pathlib import Path

from .conftest import Serving
from .damage import damages
from .people import Person, Plain, all_agree, all_back, all_go, visitor
from .servers import Server


async def test_damaged_files_never_keep_the_server_from_starting(tmp_path: Path) -> None:
    assert await damages(tmp_path, faults=100, seed=7) == []


async def holds_a_meeting(server: Server) -> None:
    """Two people meet and talk."""
    async with visitor(server) as a, visitor(server) as b:
        ada, bob = Plain(a), Plain(b)
        assert (await ada.joins("FRESH2", isHost=True))["type"] == "participant-joined"
        await bob.joins("FRESH2", "Bob")
        await ada.says("chat", text="1")
        assert (await bob.hears_of("chat"))["text"] == "1"


async def test_a_file_that_is_no_journal_is_set_aside_with_one_line(serving: Serving) -> None:
    server = serving()
    server.data.mkdir()
    (server.data / "rooms.db").write_bytes(random.Random(1).randbytes(10_000))
    await server.starts()
    assert len(server.said("ERROR")) == len(server.said("journal-unreadable", "set_aside=")) == 1
    await holds_a_meeting(server)
    assert (await server.stops())[0] == 0
    assert (server.data / "rooms.unreadable").stat().st_size == 10_000
    await server.starts()
    assert server.said("ERROR") == []


async def test_a_journal_of_another_version_is_set_aside_with_one_line(serving: Serving) -> None:
    server = serving()
    await server.starts()
    people = [await Person(name, server).comes(isHost=True) for name in ("Ada", "Bob")]
    await server.stops()
    with sqlite3.connect(server.data / "rooms.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    await server.starts()
    assert len(server.said("ERROR")) == len(server.said("journal-unreadable", "schema version 99")) == 1
    # Nobody has forgotten to tell them.
    await all_back(people)
    assert {error["code"] for person in people for error in person.errors} == {"RESUME_FAILED"}
    await all_agree(people, lambda who: len(who.people) == 2)
    await all_go(people)
    assert (server.data / "rooms.unreadable").exists()
