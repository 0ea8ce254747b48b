"""What passes between a service and systemd: real sockets, and the environment that names them."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mikroroom import systemd
from mikroroom.systemd import Inherited, Notifier, inherited

# Far above what is open here, so that the numbers can be had in a row.
FIRST = 200


class Listening:
    """A socket on which systemd would hear the news."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(address)

    def hears(self) -> list[str]:
        """The next news."""
        return self.socket.recv(4096).decode().split("\n")


@pytest.fixture(params=["in a folder", "in no file system"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Listening, str]]:
    """Who listens, and the name of where."""
    path = f"{tmp_path}/notify"
    listening = Listening(path if request.param == "in a folder" else "\0" + path)
    yield listening, path if request.param == "in a folder" else "@" + path
    listening.socket.close()


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Numbers in a row, as systemd hands them over: two that listen, and one that does not."""
    monkeypatch.setattr(systemd, "FIRST", FIRST)
    made = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0)), socket.socket()]
    numbers = [FIRST, FIRST + 1, FIRST + 2]
    for one, number in zip(made, numbers, strict=True):
        os.dup2(one.fileno(), number)
        one.close()
    yield numbers
    for number in numbers:
        with contextlib.suppress(OSError):  # whoever refuses one lets go of all
            os.close(number)


# News


def test_news_are_heard(manager: tuple[Listening, str]) -> None:
    listening, name = manager
    environ = {"NOTIFY_SOCKET": name, "HOME": "/"}
    notifier = Notifier(environ)
    assert environ == {"HOME": "/"}, "no child takes it for its own"
    notifier.ready()
    notifier.alive("all is well")
    notifier.stopping()
    assert [listening.hears() for _ in range(3)] == [
        ["READY=1"],
        ["WATCHDOG=1", "STATUS=all is well"],
        ["STOPPING=1"],
    ]


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/at/all"])
def test_news_for_nobody_are_no_trouble(address: str) -> None:
    Notifier({"NOTIFY_SOCKET": address}).ready()
    Notifier({}).alive("all is well")


def fits_one_more(listening: Listening) -> bool:
    """Whether something could be put where the news wait, by somebody who has put nothing there yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        try:
            other.sendto(b"X", listening.socket.getsockname())
        except BlockingIOError:
            return False
    return True


def test_that_it_serves_is_said_until_somebody_takes_it(manager: tuple[Listening, str]) -> None:
    listening, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    while fits_one_more(listening):
        pass
    notifier.ready()
    listening.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while listening.hears() == ["X"]:
            pass
    notifier.alive("well")
    assert listening.hears() == ["READY=1", "WATCHDOG=1", "STATUS=well"]
    notifier.alive("well")
    assert listening.hears() == ["WATCHDOG=1", "STATUS=well"]


def test_someone_who_does_not_listen_is_not_waited_for(manager: tuple[Listening, str]) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager[1]})
    for _ in range(5_000):  # more than a queue is long
        notifier.alive("all is well")


@pytest.mark.parametrize(
    ("pid", "microseconds", "watchdog", "period"),
    [
        ("own", "2000000", 2.0, 1.0),
        ("", "2000000", 2.0, 1.0),
        ("own", "600000000", 600.0, systemd.LONGEST_PERIOD),
        ("1", "2000000", 0.0, systemd.LONGEST_PERIOD),
        ("", "", 0.0, systemd.LONGEST_PERIOD),
        ("", "soon", 0.0, systemd.LONGEST_PERIOD),
    ],
)
def test_the_watchdog_is_told_twice_as_often_as_it_asks_for(
    pid: str, microseconds: str, watchdog: float, period: float
) -> None:
    environ = {"WATCHDOG_PID": pid.replace("own", str(os.getpid())), "WATCHDOG_USEC": microseconds}
    notifier = Notifier(environ)
    assert (notifier.watchdog, notifier.period, environ) == (watchdog, period, {})


# Sockets


def test_sockets_are_taken_over_and_those_for_metrics_kept_apart(handed: list[int]) -> None:
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "metrics:http"}
    given = inherited(environ)
    assert environ == {}
    assert [one.fileno() for one in given.metrics] == handed[:1]
    assert [one.fileno() for one in given.service] == handed[1:2]
    assert not any(os.get_inheritable(one.fileno()) for one in (*given.metrics, *given.service))
    for one in (*given.metrics, *given.service):
        one.detach()


def test_sockets_without_names_are_for_the_service(handed: list[int]) -> None:
    given = inherited({"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())})
    assert ([one.detach() for one in given.service], given.metrics) == (handed[:2], ())


@pytest.mark.parametrize("count", ["99999999999", "9" * 5000])
def test_more_sockets_than_there_can_be_are_refused(count: str) -> None:
    with pytest.raises(OSError, match="LISTEN_FDS"):
        inherited({"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())})


def test_what_does_not_listen_is_refused(handed: list[int]) -> None:
    with pytest.raises(OSError, match=f"file descriptor {handed[2]} is no listening stream socket"):
        inherited({"LISTEN_FDS": "3", "LISTEN_PID": str(os.getpid())})


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "many", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_is_meant_for_others_is_left_alone_and_not_handed_on(environ: dict[str, str]) -> None:
    assert inherited(environ) == Inherited()
    assert environ == {}
