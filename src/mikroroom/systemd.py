"""What passes between a service and systemd: listening sockets one way, news of how it goes the other.

Both are named in the environment (sd_listen_fds(3), sd_notify(3)). What is read is also taken out of it, so
that no child process takes itself for the one that is meant. Where there is no systemd nothing is read, and
whatever is told is told to nobody.
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import ExitStack, suppress
from typing import NamedTuple

# The first file descriptor that is handed over.
FIRST = 3
MOST_DIGITS = 6
# What the socket for metrics is called (FileDescriptorName=).
METRICS = "metrics"
# Seconds after which how it goes is old news.
LONGEST_PERIOD = 5.0


class Inherited(NamedTuple):
    """Listening sockets that another process has opened for this one, by what they are for."""

    service: tuple[socket.socket, ...] = ()
    metrics: tuple[socket.socket, ...] = ()


NOTHING_INHERITED = Inherited()


def inherited(environ: MutableMapping[str, str] = os.environ) -> Inherited:
    """Take the sockets over that systemd, or another that does as it does, has opened for this process.

    Raises ``OSError`` if there is something else among them.
    """
    count, pid, names = (environ.pop(name, "") for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"))
    if not count.isdecimal() or pid != str(os.getpid()):
        return Inherited()
    if len(count) > MOST_DIGITS:
        raise OSError(f"LISTEN_FDS={count[:20]} is more than a process may have")
    # A name that is missing names nothing.
    called = [*names.split(":"), *([""] * int(count))]
    taken: dict[bool, list[socket.socket]] = {False: [], True: []}
    with ExitStack() as undone:
        for number, name in zip(range(FIRST, FIRST + int(count)), called, strict=False):
            listener = undone.enter_context(socket.socket(fileno=number))
            if not _listens(listener):
                raise OSError(f"file descriptor {number} is no listening stream socket")
            listener.set_inheritable(False)
            taken[name == METRICS].append(listener)
        undone.pop_all()
    return Inherited(tuple(taken[False]), tuple(taken[True]))


class Notifier:
    """The way to tell systemd how it goes (``Type=notify``)."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        pid, microseconds = environ.pop("WATCHDOG_PID", ""), environ.pop("WATCHDOG_USEC", "")
        is_meant = microseconds.isdecimal() and pid in ("", str(os.getpid()))
        # Seconds within which it must be told that the service is alive; 0 if nobody waits for that.
        self.watchdog = int(microseconds) / 1e6 if is_meant else 0.0
        # What has to be said again, because nobody took it.
        self._unsaid: tuple[str, ...] = ()

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._address)

    @property
    def period(self) -> float:
        """Seconds after which to tell again that the service is alive: twice as often as it must be told."""
        return min(self.watchdog / 2 or LONGEST_PERIOD, LONGEST_PERIOD)

    def ready(self) -> None:
        """The service serves. For this systemd waits, so it is said until it was taken."""
        self._unsaid = ("READY=1",)
        self._tell()

    def stopping(self) -> None:
        """The service is about to end."""
        self._tell("STOPPING=1")

    def alive(self, status: str) -> None:
        """The service is alive, and ``status`` is how it goes, for people."""
        self._tell("WATCHDOG=1", f"STATUS={status}")

    def _tell(self, *news: str) -> None:
        news = (*self._unsaid, *news)
        # Any other kind of address is for virtual machines.
        if not self._address.startswith(("/", "@")):
            return
        # A name that begins with a zero byte is in no file system. It is written with an "@".
        address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        # systemd may be busy, or starting itself anew. It must not hold us up, and will hear the next.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.sendto("\n".join(news).encode(), address)
            self._unsaid = ()


def _listens(one: socket.socket) -> bool:
    return one.type == socket.SOCK_STREAM and bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
