"""A store with a journal in a directory, and what it has to say in the log."""

import logging
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mikroroom.logs import Line
from mikroroom.stores import database, journal

from .disks import PATIENCE, Mount, Open, Told
from .shelf import Shelf, with_journal


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is waited for long, and every line is looked at."""
    monkeypatch.setattr(database, "_LOCK_PATIENCE", 0.01)
    monkeypatch.setattr(journal, "_DELAY", 0.01)
    caplog.set_level(logging.DEBUG, "mikroroom")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the journal is; not made yet."""
    return tmp_path / "state" / "mikroroom"


@pytest.fixture
async def opened(directory: Path) -> AsyncIterator[Open]:
    """A store on the directory; asked again, the first has stopped and another begins."""
    shelves: list[Shelf] = []

    def build() -> Shelf:
        shelves.append(Shelf(with_journal, directory))
        return shelves[-1]

    yield build
    for shelf in shelves:
        await shelf.store.stop({})


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """The events in the log since the last time, except for rooms that came to their end."""

    def events() -> list[str]:
        lines = [record.msg for record in caplog.records if isinstance(record.msg, Line)]
        caplog.clear()
        return [line.event for line in lines if line.event != "room-removed"]

    return events


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a disk of so many bytes; asked again, with other options."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        again = "remount," if mounted else ""
        command = ["mount", "-t", "tmpfs", "-o", again + options, "none", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except OSError as error:
            pytest.skip(f"cannot mount a disk: {error}")
        if done.returncode:
            pytest.skip(f"cannot mount a disk: {done.stderr.strip()}")
        mounted = True
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", "--lazy", str(place)], timeout=PATIENCE, check=True)
