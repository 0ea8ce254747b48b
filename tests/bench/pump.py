"""The generator of load, ``pump.c``, as Python sees it: people's sockets in, counts and delays out."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .crowd import UPGRADE, CrowdError, Person


@dataclass(frozen=True)
class Storm:
    """Who comes back at once, to this port, and with which frames.

    Each is back with the ``needed``th message that it hears. ``patience`` is the seconds for all of it.
    """

    people: Sequence[Person]
    port: int
    frames: Sequence[bytes]
    needed: int
    patience: float


@dataclass(frozen=True)
class Aftermath:
    """Of a storm, in seconds: how long each one took, and all; and the delays of what others said."""

    took: Sequence[float]
    whole: float
    delays: Sequence[float]


class Pump:
    """Says ``frames``, one per person, in turns or by the clock. The sockets are the pump's meanwhile.

    What is shorter than ``least`` bytes is heard, but not counted: a room's other talk, or errors.
    """

    def __init__(
        self, tools: Path, people: Sequence[Person], frames: Sequence[bytes], least: int = 1
    ) -> None:
        count = len(people)
        for person in people:
            person.socket.setblocking(False)
        self._library = _library(tools / "pump.so")
        self._least = least
        self._frames = (ctypes.c_char_p * count)(*frames)  # the pump keeps pointers into it
        self._pump = self._library.pump_new(
            count,
            (ctypes.c_int * count)(*(person.socket.fileno() for person in people)),
            self._frames,
            (ctypes.c_size_t * count)(*map(len, frames)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.pump_free(self._pump)

    def in_turns(self, seconds: float, *, every: int, begins: bool = False) -> int:
        """Everyone speaks whenever it has heard ``every`` messages; with 0 nobody does.

        Returns how many messages were heard. Talk goes on where the last call left it; ``begins`` starts it.
        """
        heard = self._library.pump_in_turns(self._pump, seconds, every, self._least, begins)
        self._check()
        return int(heard)

    def by_clock(
        self, seconds: float, *, order: Sequence[int], rate: float, speakers: Sequence[int]
    ) -> list[float]:
        """People (by place) speak in this order, over and over, ``rate`` messages a second.

        ``speakers`` are the places of who speaks to each. Returns the delays in seconds of what was heard,
        from when it was due.
        """
        room = int(seconds * rate) + 1
        delays = (ctypes.c_double * room)()
        size = self._library.pump_by_clock(
            self._pump,
            seconds,
            (ctypes.c_int * len(order))(*order),
            len(order),
            rate,
            (ctypes.c_int * len(speakers))(*speakers),
            self._least,
            delays,
            room,
        )
        self._check()
        return delays[:size]

    def storm(self, storm: Storm, *, order: Sequence[int], rate: float, speakers: Sequence[int]) -> Aftermath:
        """People speak by the clock, as above, while others come back all at once. Nobody need speak.

        Raises:
            CrowdError: the server refused some of these, or took too long.
        """
        count, room = len(storm.people), int(storm.patience * rate) + 1
        delays, took, whole = (ctypes.c_double * room)(), (ctypes.c_double * count)(), ctypes.c_double()
        size = self._library.pump_storm(
            self._pump,
            storm.patience,
            (ctypes.c_int * len(order))(*order),
            len(order),
            rate,
            (ctypes.c_int * len(speakers))(*speakers),
            self._least,
            delays,
            room,
            count,
            storm.port,
            (ctypes.c_int * count)(*(person.socket.fileno() for person in storm.people)),
            UPGRADE,
            len(UPGRADE),
            (ctypes.c_char_p * count)(*storm.frames),
            (ctypes.c_size_t * count)(*map(len, storm.frames)),
            storm.needed,
            took,
            ctypes.byref(whole),
        )
        self._check()
        if missing := sum(seconds < 0 for seconds in took):
            raise CrowdError(f"{missing} of {count} did not come back within {storm.patience:g} s")
        return Aftermath(took[:], whole.value, delays[:size])

    def pings(self) -> int:
        """How many pings have come so far."""
        return int(self._library.pump_pings(self._pump))

    def _check(self) -> None:
        if lost := self._library.pump_lost(self._pump):
            raise CrowdError(f"the server closed {lost} connections under load")


def _library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    number, many, size = ctypes.c_int, ctypes.c_int64, ctypes.c_size_t
    double, pointer = ctypes.c_double, ctypes.c_void_p
    clocked = [pointer, double, pointer, number, double, pointer, size, pointer, many]
    for name, result, arguments in (
        ("pump_new", pointer, [number, pointer, pointer, pointer]),
        ("pump_in_turns", many, [pointer, double, number, size, number]),
        ("pump_by_clock", many, clocked),
        (
            "pump_storm",
            many,
            [*clocked, number, number, *[pointer] * 2, size, pointer, pointer, number, *[pointer] * 2],
        ),
        ("pump_lost", number, [pointer]),
        ("pump_pings", many, [pointer]),
        ("pump_free", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
