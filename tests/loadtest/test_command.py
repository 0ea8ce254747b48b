"""What the command says before and while a test runs."""

import asyncio
import importlib.util
import io
from contextlib import suppress

import pytest

from mikroroom.loadtest import main
from mikroroom.loadtest.plan import plan
from mikroroom.loadtest.progress import Progress
from mikroroom.loadtest.score import Score
from mikroroom.loadtest.stage import Stage
from mikroroom.loadtest.target import find

URL = "ws://127.0.0.1:3000/ws"


def test_without_picows_it_is_told_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main([URL]) == 1
    assert capsys.readouterr().err == "mikroroom loadtest needs picows: pip install 'mikroroom[fast]'\n"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


async def test_on_a_terminal_progress_is_one_line_that_goes_away() -> None:
    stage, terminal = Stage(plan([URL]), find(URL, is_mine=False), Score()), Terminal()
    stage.doing, stage.share = "sending", 0.5
    progress = Progress(stage, terminal)
    telling = asyncio.create_task(progress.tell())
    async with asyncio.timeout(20):
        while "sending" not in terminal.getvalue():
            await asyncio.sleep(0.01)
    telling.cancel()
    with suppress(asyncio.CancelledError):
        await telling
    progress.end()
    assert terminal.getvalue().startswith(f"\r{'█' * 12}{'░' * 12}  50%  sending  0 messages/s")
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert "\n" not in terminal.getvalue()


def test_a_room_has_a_seat_for_everyone_who_may_come() -> None:
    chosen = plan([URL, "--rooms=2", "--people=3", "--churners=3", "--slow-readers=1"])
    stage = Stage(chosen, find(URL, is_mine=False), Score())
    assert [room.seats for room in stage.rooms] == [3 + 2 * 2 + 2, 3 + 2]
