"""The watchdog, on an event loop that is really blocked."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest

from mikroroom import watchdog as module
from mikroroom.meters import Meters
from mikroroom.watchdog import Watchdog

PATIENCE = 0.05


@pytest.fixture
async def meters(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Meters]:
    """Of a loop that is watched."""
    caplog.set_level(logging.WARNING)
    meters = Meters()
    watchdog = Watchdog(meters, PATIENCE)
    watchdog.start()
    yield meters
    watchdog.stop()


def what_takes_long(done: Callable[[], bool]) -> None:
    """Blocks whoever calls it, as a slow file or a bad regular expression does, until it is ``done``."""
    while not done():
        time.sleep(0.01)


def for_longer_than(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


async def told(caplog: pytest.LogCaptureFixture, event: str) -> str:
    """The line of the log, once it is there."""
    while True:
        for record in caplog.records:
            if record.getMessage().startswith(event + " "):
                return record.getMessage()
        await asyncio.sleep(0)


async def test_loop_that_is_blocked_is_told_of_with_what_blocks_it(
    meters: Meters, caplog: pytest.LogCaptureFixture
) -> None:
    what_takes_long(for_longer_than(0.4))
    line = await told(caplog, "loop-blocked")
    assert 'by="what_takes_long (tests/test_watchdog.py:' in line
    assert "via=" in line and "test_loop_that_is_blocked" in line
    assert meters.loop_blocks == 1
    assert meters.loop_blocked > PATIENCE


async def test_loop_that_hangs_is_told_of_while_it_does(
    meters: Meters, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONG", 0.3)
    what_takes_long(lambda: any("loop-hangs" in record.getMessage() for record in caplog.records))
    assert "by=" in await told(caplog, "loop-hangs")


async def test_blocks_that_follow_each_other_fill_no_log(
    meters: Meters, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TELL_EVERY", 3600.0)
    for blocks in (1, 2, 3):
        what_takes_long(for_longer_than(0.3))
        while meters.loop_blocks < blocks:
            await asyncio.sleep(0.01)
    assert sum("loop-blocked" in record.getMessage() for record in caplog.records) == 1


async def test_watchdog_that_is_stopped_looks_no_more(caplog: pytest.LogCaptureFixture) -> None:
    meters = Meters()
    watchdog = Watchdog(meters, PATIENCE)
    watchdog.start()
    watchdog.stop()
    what_takes_long(for_longer_than(0.3))
    await asyncio.sleep(0)
    assert meters.loop_blocks == 0
