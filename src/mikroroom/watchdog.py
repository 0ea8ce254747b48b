"""Whether the event loop turns; and if it does not, what holds it up.

While something blocks it, nobody hears anything: no message goes, no ping is answered. A thread notices, and
looks at what the loop's thread is doing at that moment.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import FrameType

from mikroroom.logs import Line
from mikroroom.meters import Meters

log = logging.getLogger(__name__)

# Seconds between two signs of life of the loop, and between two looks at them.
BEAT = 0.1
# Seconds after which a block is told of while it lasts: it may be the last line of this process.
LONG = 5.0
# So many frames of what blocks are told: the innermost.
FRAMES = 12
# Seconds between two such lines: what blocks often is known by then.
TELL_EVERY = 1.0


class Watchdog:
    """Tells when the loop it was started on stood still for longer than ``patience``, in seconds."""

    def __init__(self, meters: Meters, patience: float) -> None:
        self._meters = meters
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._beaten_at = time.monotonic()
        self._beating: asyncio.TimerHandle | None = None
        self._stopped = threading.Event()
        self._told_at = float("-inf")
        self._untold = 0

    def start(self) -> None:
        """Watch, until ``stop``."""
        self._beat()
        threading.Thread(target=self._watch, name="mikroroom-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()
        if self._beating is not None:
            self._beating.cancel()

    def _beat(self) -> None:
        self._beaten_at = time.monotonic()
        self._beating = self._loop.call_later(BEAT, self._beat)

    def _watch(self) -> None:
        """In a thread of its own."""
        while not self._stopped.wait(BEAT):
            beaten_at = self._beaten_at
            if time.monotonic() - beaten_at > self._patience + BEAT:
                self._see_through(beaten_at)

    def _see_through(self, beaten_at: float) -> None:
        """The loop stands still since a moment after ``beaten_at``. Wait until it goes on, and tell."""
        culprit = _innermost(self._thread_id)
        used = time.process_time()
        looked_at = time.monotonic()
        is_told = False
        while self._beaten_at == beaten_at and not self._stopped.wait(BEAT / 10):
            if not is_told and time.monotonic() - beaten_at > LONG:
                is_told = True
                self._tell("loop-hangs", time.monotonic() - beaten_at, culprit, None)
        now = time.monotonic()
        seconds = now - beaten_at - BEAT
        self._meters.loop_blocks += 1
        self._meters.loop_blocked += seconds
        busy = (time.process_time() - used) / max(now - looked_at, BEAT)
        if now - self._told_at < TELL_EVERY:
            self._untold += 1
            return
        self._told_at = now
        self._tell("loop-blocked", seconds, culprit, busy)
        self._untold = 0

    def _tell(self, event: str, seconds: float, culprit: list[str], busy: float | None) -> None:
        log.warning(
            Line(
                event,
                seconds=round(seconds, 2),
                by=culprit[-1] if culprit else None,
                # Next to no time of the CPU: it waited for something, or the machine had no time for it.
                cpu=None if busy is None else f"{min(busy, 1):.0%}",
                via=" < ".join(reversed(culprit[:-1])) or None,
                more_before=self._untold or None,
            )
        )


def _innermost(thread_id: int) -> list[str]:
    """What a thread is doing: where it is and who called that, the innermost last."""
    frame: FrameType | None = sys._current_frames().get(thread_id)  # noqa: SLF001 - the one way to see it
    if frame is None:
        return []
    stack = traceback.extract_stack(frame, limit=None)[-FRAMES:]
    return [f"{part.name} ({_short(part.filename)}:{part.lineno})" for part in stack]


def _short(path: str) -> str:
    """The end of a path, from the package on."""
    _, found, rest = path.rpartition("site-packages/")
    return rest if found else "/".join(path.split("/")[-2:])
