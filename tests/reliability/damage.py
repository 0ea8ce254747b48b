"""Files that a server has written, damaged in many ways, and what it makes of them (R46)."""

import asyncio
import logging
import random
import shutil
import sqlite3
from pathlib import Path

from mikroroom import Settings, create_app
from mikroroom.hub.hub import Hub

from .crashes import SETTLED
from .people import Person, all_agree
from .servers import Server

ROOMS = 4
# Of files that are all noise.
SIZES = (0, 1, 100, 5_000)
# What a start says of damaged files: a line for each room at most, and one or two for the whole file.
MOST_LINES = 7


class _Told(logging.Handler):
    """What the service says of what went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it. A traceback counts as many lines."""
        self.lines += [record.getMessage(), *(["a traceback"] * 10 if record.exc_info else [])]


async def damages(place: Path, faults: int, seed: int) -> list[str]:
    """Start the service so often with damaged files. Returns what was wrong with any start."""
    wrongs = []
    chance = random.Random(seed)
    server = Server(place)
    try:
        await _write_files(server, place)
    finally:
        server.close()
    log = logging.getLogger("mikroroom")
    told = _Told()
    log.addHandler(told)
    try:
        for number in range(faults):
            what = f"try {number} of seed {seed}, {_damage(place, place / 'damaged', chance)}"
            told.lines.clear()
            try:
                await _holds_out(place / "damaged")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what we are looking for
                wrongs.append(f"{what}: {error!r}")
            if len(told.lines) > MOST_LINES:
                wrongs.append(f"{what}: {told.lines}")
    finally:
        log.removeHandler(told)
    return wrongs


async def _holds_out(folder: Path) -> None:
    """Start the service in this process with what is there; every window and every age ends; stop it."""
    # A loop that is slow is told of as well, which says nothing of the files.
    settings = Settings(data_dir=str(folder), resume_window=0.001, latent_room_age=0.001, loop_patience=0)
    hub: Hub = create_app(settings).state.hub
    hub.start()
    try:
        await asyncio.sleep(0.003)
        hub._store.tidy()
    finally:
        await hub.stop()


async def _write_files(server: Server, place: Path) -> None:
    """Have a server write all that it can write, and copy it: as it is after a kill, and after a stop."""
    await server.starts()
    people = []
    for number in range(ROOMS):
        room = [Person(name, server, code=f"ROOM2{number}") for name in ("Ada", "Bob")]
        for person in room:
            await person.comes(isHost=True, password="sesame")
        room[0].says("room-locked")
        room[0].says("recording-started")
        await all_agree(room, lambda who: bool(who.locked_by and who.recorders))
        people += [*room, await Person("Eve", server, code=f"ROOM2{number}").comes(password="sesame")]
    assert await server.posts("/api/rooms", {"roomId": "LATENT"}) == 201
    await asyncio.sleep(SETTLED)
    for person in people:
        person.may_return.clear()
    await server.dies()
    shutil.copytree(server.data, place / "killed")
    await server.starts()
    await server.stops()
    shutil.copytree(server.data, place / "stopped")
    for person in people:
        await person.vanishes()


def _damage(place: Path, folder: Path, chance: random.Random) -> str:
    """Make ``folder`` a damaged copy of one of those in ``place``. Says what was done to it."""
    shutil.rmtree(folder, ignore_errors=True)
    source = chance.choice(("killed", "stopped"))
    shutil.copytree(place / source, folder)
    how = chance.choice((_flip, _flip_many, _cut_off, _blank, _noise, _flip_in_record))
    files = sorted(path for path in folder.iterdir() if path.stat().st_size)
    file = chance.choice(files)
    how(file if how is not _flip_in_record else folder / "rooms.db", chance)
    return f"{source}: {how.__name__} in {file.name}"


def _flip(file: Path, chance: random.Random, times: int = 1) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(times):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def _flip_many(file: Path, chance: random.Random) -> None:
    _flip(file, chance, 20)


def _cut_off(file: Path, chance: random.Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: chance.randrange(len(data))])


def _blank(file: Path, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    start = chance.randrange(len(data))
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    file.write_bytes(data)


def _noise(file: Path, chance: random.Random) -> None:
    file.write_bytes(chance.randbytes(chance.choice(SIZES)))


def _flip_in_record(file: Path, chance: random.Random) -> None:
    """One bit of what is said of one room: the file around it is as it should be."""
    database = sqlite3.connect(file)
    code, record = chance.choice(database.execute("SELECT code, record FROM rooms").fetchall())
    data = bytearray(record)
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    database.execute("UPDATE rooms SET record = ? WHERE code = ?", (bytes(data), code))
    database.commit()
    database.close()
