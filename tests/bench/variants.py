"""The servers that are compared, and how each is started: on a core of its own, one at a time."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .crowd import ROOM, Crowd
from .machine import (
    ROOT,
    MachineError,
    cores,
    cpu_seconds,
    free_port,
    resident_bytes,
    waited_seconds,
)

PATIENCE = 20.0
_PREFIX = "MIKROROOM_"
# The rate of messages is still counted, but nobody reaches it. All else is as by default: everyone comes from
# an address of its own.
_SETTINGS = {"DATA_DIR": "", "MESSAGES_PER_SECOND": "1000000", "MESSAGE_BURST": "1000000"}
# For people whom nobody lets answer.
NO_PINGS = {"PING_INTERVAL": "3600"}
_PICOWS = ("--ws", "mikroroom.transport.picows:PicowsProtocol")
_SANSIO = ("--ws", "websockets-sansio", "--ws-per-message-deflate", "false")


@dataclass(frozen=True)
class Variant:
    """A way to do the job. ``{port}`` in the command is the port to listen on, ``{tools}`` where our C is.

    Both may also stand in ``settings``. ``resumes``: everyone who joins asks to be resumable.
    """

    name: str
    told: str
    command: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    joins: bool = True
    resumes: bool = False


def _serve(name: str, told: str, *, resumes: bool = False, **settings: str) -> Variant:
    command = (sys.executable, "-m", "mikroroom", "serve", "--port", "{port}")
    return Variant(name, told, command, settings, resumes=resumes)


def _bare(name: str, told: str, *flags: str) -> Variant:
    return Variant(name, told, (sys.executable, "-m", "tests.bench.bare", "{port}", *flags))


def _uvicorn(name: str, told: str, *flags: str) -> Variant:
    command = (sys.executable, "-m", "uvicorn", "tests.bench.echo:app", "--port", "{port}", *flags)
    return Variant(name, told, (*command, "--log-level", "warning"), joins=False)


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("floor", "C and epoll, no JSON", ("{tools}/relay", "{port}", str(ROOM)), joins=False),
        _bare("bare", "a bare picows listener"),
        _bare("bare-copy", "the same, copying", "--copy"),
        _bare("bare-uvloop", "the same on uvloop's own transports", "--uvloop"),
        _bare("bare-uvloop-copy", "the same on these, copying", "--uvloop", "--copy"),
        _serve("direct", "mikroroom serve"),
        _serve("resumable", "mikroroom serve, everyone resumable", resumes=True),
        _serve("journal", "the same with a data directory", resumes=True, DATA_DIR="{tools}/{port}"),
        _serve("asgi", "mikroroom serve, direct path off", WEBSOCKET_PROTOCOL="picows", DIRECT_PATH="off"),
        _serve("stock", "mikroroom serve, stock uvicorn", WEBSOCKET_PROTOCOL="stock"),
        _uvicorn("echo-picows", "uvicorn with our class", *_PICOWS),
        _uvicorn("echo-sansio", "uvicorn, websockets-sansio", *_SANSIO),
        _uvicorn("echo-default", "uvicorn as it comes"),
    )
}


@dataclass(frozen=True)
class Server:
    """A running server."""

    variant: Variant
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid

    def crowd(self) -> Crowd:
        """Nobody yet, who will come to this server."""
        return Crowd(self.port, joins=self.variant.joins, resumes=self.variant.resumes)

    def cpu(self) -> float:
        """Processor seconds used so far."""
        return cpu_seconds(self.pid)

    def resident(self) -> int:
        """Bytes of it that are in memory."""
        return resident_bytes(self.pid)

    def waited(self) -> float:
        """Seconds so far in which another process had its core."""
        return waited_seconds(self.pid)

    def terminate(self) -> None:
        """Let it stop in good order."""
        self.process.terminate()

    def has_ended(self) -> bool:
        """Whether it has stopped."""
        return self.process.poll() is not None


@contextlib.contextmanager
def running(
    variant: Variant, tools: Path, settings: Mapping[str, str] | None = None, *, port: int | None = None
) -> Iterator[Server]:
    """The variant, listening on this port or a free one, while the block lasts.

    Raises:
        MachineError: it does not come up. Carries what it said.
    """
    port = port or free_port()
    log = tools / f"{port}.log"
    command = [word.format(port=port, tools=tools) for word in variant.command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(variant, settings or {}, {"port": port, "tools": tools}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        os.sched_setaffinity(process.pid, {cores()[0]})
        _await_listening(process, port, log)
        yield Server(variant, port, process)
    finally:
        # What is measured is over, and nobody needs to hear goodbye.
        process.kill()
        process.wait(PATIENCE)


def _environment(
    variant: Variant, settings: Mapping[str, str], places: Mapping[str, object]
) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
    chosen = {**_SETTINGS, **variant.settings, **settings}
    return kept | {_PREFIX + name: value.format(**places) for name, value in chosen.items()}


def _await_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise MachineError(f"the server did not come up: {' '.join(process.args)}\n{log.read_text()}")  # type: ignore[arg-type]
