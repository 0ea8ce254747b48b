"""What was told to those who may come back, from a planned stop to the next start (R46).

A file of its own and not a table: it is there between a stop and a start only, as what people have said to
each other is in it; it can be hundreds of megabytes, which a database would write twice and never give back
to the disk; and to delete it is to have used it once.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from struct import Struct
from time import monotonic

import msgspec

from mikroroom.stores.port import Kept

# The last digit is the version. Each record: the lengths of the id and of the rest, the id, the rest.
_HEADER = b"mikroroom kept 1\n"
_LENGTHS = Struct(">II")


class KeptFile:
    """The file ``kept``. Whoever takes from it need not know which thread opened it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        # Where each participant's record is, and how long.
        self._places: dict[str, tuple[int, int]] = {}
        self.is_gone = False
        """Whether nothing is there that a later start could take for the last stop's."""

    def open(self) -> None:
        """Take what the last stop kept: from now on no other start finds it.

        Raises:
            OSError: it cannot be deleted, and so must not be used.
        """
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            self.is_gone = True
            return
        try:
            self.delete()
            places = _index(file)
            with suppress(OSError):
                # All are about to come back, and the event loop is to find it in memory.
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)
        except BaseException:
            os.close(file)
            raise
        self._file, self._places = file, places

    def delete(self) -> None:
        """Delete the file, on the disk as well. What was opened before can still be taken.

        Raises:
            OSError: that cannot be done.
        """
        self._path.unlink(missing_ok=True)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self.is_gone = True

    def take(self, participant_id: str) -> Kept | None:
        """What was kept for someone: the first time, and if it is whole."""
        place = self._places.pop(participant_id, None)
        if place is None:
            return None
        start, length = place
        try:
            return msgspec.msgpack.decode(os.pread(self._file, length, start), type=Kept)
        except (OSError, ValueError):
            return None
        finally:
            if not self._places:
                self.close()

    def save(self, kept: Mapping[str, Kept], seconds: float) -> tuple[int, str | None]:
        """Write as much of ``kept`` as can be written in a time. Returns how many were not, and why.

        Not synchronised: if the power is cut just then, some are lost, and noticed to be.
        """
        self.close()
        deadline = monotonic() + seconds
        left = len(kept)
        encode = msgspec.msgpack.Encoder().encode
        try:
            self.delete()
            if not kept:
                return 0, None
            opened = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write(_HEADER)
                for participant_id, told in kept.items():
                    if monotonic() > deadline:
                        return left, f"this took longer than {seconds:g} seconds"
                    name, rest = participant_id.encode(), encode(told)
                    file.write(_LENGTHS.pack(len(name), len(rest)) + name + rest)
                    left -= 1
        except OSError as error:
            return max(left, min(1, len(kept))), str(error)  # the last may be in no place yet
        return left, None

    def close(self) -> None:
        """Let go of the file. Nothing can be taken any more."""
        self._places = {}
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _index(file: int) -> dict[str, tuple[int, int]]:
    """Where the records of an open file are: up to the first that is not whole."""
    places: dict[str, tuple[int, int]] = {}
    size = os.fstat(file).st_size
    with os.fdopen(file, "rb", closefd=False) as reader:
        if reader.read(len(_HEADER)) != _HEADER:
            return places
        position = len(_HEADER)
        while position + _LENGTHS.size <= size:
            name_length, length = _LENGTHS.unpack(reader.read(_LENGTHS.size))
            start = position + _LENGTHS.size + name_length
            position = start + length
            if position > size or not name_length:
                break
            places[reader.read(name_length).decode(errors="replace")] = (start, length)
            reader.seek(position)
    return places
