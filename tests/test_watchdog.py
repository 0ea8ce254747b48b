"""The watchdog, on an event loop that is really blocked."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from mikroroom import watchdog as module
from mikroroom.meters import Meters
from mikroroom.watchdog import Watchdog

PATIENCE = 0.05
# Seconds after which what has not happened never will.
LONG_ENOUGH = 30.0


@pytest.fixture
async def watchdog(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Watchdog]:
    """Of this loop. It watches when it is started."""
    caplog.set_level(logging.WARNING)
    watchdog = Watchdog(Meters(), PATIENCE)
    others = set(threading.enumerate())
    yield watchdog
    watchdog.stop()
    for thread in threading.enumerate():
        if thread.name == "mikroroom-watchdog" and thread not in others:
            thread.join()  # or what it says last would be heard by the next test


class Block:
    """Blocks whoever calls ``holds``, as a slow file or a bad regular expression does, until that was seen.

    The watchdog sees nothing else: however slowly this process gets on, no other block comes first.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._innermost = module._innermost
        self._is_held: list[bool] = []
        self._seen: list[list[str]] = []
        self.is_over = False
        monkeypatch.setattr(module, "_innermost", self._look)

    def holds(self) -> None:
        self._seen.clear()
        # No call of anything in Python, which might be what is seen.
        self._is_held.append(True)
        while not self._seen:
            time.sleep(0.01)
        self._is_held.clear()

    def _look(self, thread_id: int) -> list[str]:
        while not self._is_held and not self.is_over:
            time.sleep(0.001)
        culprit = self._innermost(thread_id)
        self._seen.append(culprit)
        return culprit


@pytest.fixture
def block(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> Iterator[Block]:
    """For that watchdog, which ends after it."""
    block = Block(monkeypatch)
    yield block
    block.is_over = True


def hold_until(is_so: Callable[[], bool]) -> None:
    """Block whoever calls it."""
    while not is_so():
        time.sleep(0.01)


async def told(caplog: pytest.LogCaptureFixture, event: str) -> str:
    """The line of the log, once it is there."""
    async with asyncio.timeout(LONG_ENOUGH):
        while True:
            for record in caplog.records:
                if record.getMessage().startswith(event + " "):
                    return record.getMessage()
            await asyncio.sleep(0)


async def test_loop_that_is_blocked_is_told_of_with_what_blocks_it(
    watchdog: Watchdog, block: Block, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog.start()
    block.holds()
    line = await told(caplog, "loop-blocked")
    assert 'by="holds (tests/test_watchdog.py:' in line
    assert "via=" in line and "test_loop_that_is_blocked" in line
    assert watchdog._meters.loop_blocks >= 1
    assert watchdog._meters.loop_blocked > PATIENCE


async def test_loop_that_hangs_is_told_of_while_it_does(
    watchdog: Watchdog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONG", 0.3)
    watchdog.start()
    hold_until(lambda: any("loop-hangs" in record.getMessage() for record in caplog.records))
    assert "by=" in await told(caplog, "loop-hangs")


async def test_blocks_that_follow_each_other_fill_no_log(
    watchdog: Watchdog, block: Block, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TELL_EVERY", 3600.0)
    watchdog.start()
    for blocks in (1, 2, 3):
        block.holds()
        while watchdog._meters.loop_blocks < blocks:
            await asyncio.sleep(0.01)
    assert sum("loop-blocked" in record.getMessage() for record in caplog.records) == 1


async def test_watchdog_that_is_stopped_looks_no_more(watchdog: Watchdog) -> None:
    watchdog.start()
    watchdog.stop()
    until = time.monotonic() + 0.3
    hold_until(lambda: time.monotonic() > until)
    await asyncio.sleep(0)
    assert watchdog._meters.loop_blocks == 0
