"""How far a test is: a bar on a terminal, a line every few seconds elsewhere. On standard error."""

import asyncio
import shutil
from time import perf_counter
from typing import TextIO

from mikroroom.loadtest.histogram import Histogram
from mikroroom.loadtest.stage import Stage

_BAR_EVERY = 0.2
_LINE_EVERY = 3.0
_CELLS = 24
_PARTS = " ▏▎▍▌▋▊▉█"


class Progress:
    """Tells what a stage is doing until it is told to stop."""

    def __init__(self, stage: Stage, stream: TextIO) -> None:
        self._stage = stage
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._has_blocks = (stream.encoding or "").lower().startswith("utf")
        self._seen_at, self._seen = perf_counter(), 0

    async def tell(self) -> None:
        """Tell, again and again, until cancelled."""
        while True:
            await asyncio.sleep(_BAR_EVERY if self._is_terminal else _LINE_EVERY)
            text = self._text()
            if self._is_terminal:
                width = shutil.get_terminal_size().columns - 1
                self._stream.write(f"\r{text[:width]}\x1b[K")
            else:
                self._stream.write(f"mikroroom: {text}\n")
            self._stream.flush()

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _text(self) -> str:
        stage, score = self._stage, self._stage.score
        bar = f"{_bar(stage.share)} " if self._is_terminal and self._has_blocks else ""
        text = f"{bar}{stage.share:4.0%}  {stage.doing}"
        if stage.doing != "sending":
            return text
        now, delivered = perf_counter(), score.all_delivered
        rate = (delivered - self._seen) / max(now - self._seen_at, 1e-9)
        self._seen_at, self._seen = now, delivered
        p99 = Histogram.of(score.latency.values()).percentile(0.99)
        failures = score.failures.total()
        wrong = f"  {failures:,} failures" if failures else ""
        return f"{text}  {rate:,.0f} messages/s  p99 {p99:.1f} ms{wrong}"


def _bar(share: float) -> str:
    eighths = int(share * _CELLS * 8)
    full, rest = divmod(eighths, 8)
    partly = _PARTS[rest] if rest else ""
    return f"{'█' * full}{partly}".ljust(_CELLS, "░" if share < 1 else "█")
