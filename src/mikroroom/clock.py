"""The two clocks of the server, both in milliseconds since the epoch."""

import time

# Where there is one, the clock that goes on while the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_STARTED = (time.time_ns() - time.clock_gettime_ns(_STEADY)) // 1_000_000


def wall_ms() -> int:
    """The time of day, for people: what messages are stamped with. It may jump when someone sets it."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """The time of day at start plus what has passed since, for limits and deadlines. It never jumps."""
    return _STARTED + time.clock_gettime_ns(_STEADY) // 1_000_000
