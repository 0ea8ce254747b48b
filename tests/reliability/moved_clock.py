"""``mikroroom`` with a wall clock that can be set: ``python moved_clock.py FILE serve --port N``.

The file holds what the clock is wrong by: nanoseconds, as 8 bytes.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

_OFFSET = struct.Struct("=q")


def set_clock(file: Path, seconds: float) -> None:
    """Set the clock of whoever uses this file: wrong by so many seconds, now and in future."""
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(_OFFSET.pack(int(seconds * 1e9)))


def _move_clock(file: Path) -> None:
    with file.open("rb") as opened:
        offset = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
    right = time.time_ns

    def time_ns() -> int:
        return right() + int(_OFFSET.unpack_from(offset)[0])

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


if __name__ == "__main__":
    _move_clock(Path(sys.argv[1]))

    # Only now: it looks at the clock when it is imported.
    from mikroroom.cli import main

    sys.exit(main(sys.argv[2:]))
