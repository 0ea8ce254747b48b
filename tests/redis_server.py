"""A Redis of a test's own: a process on loopback that can be stopped, killed, frozen and emptied."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

# Either will do: Valkey speaks the same protocol, and takes the same options.
BINARY = shutil.which("redis-server") or shutil.which("valkey-server")

# Seconds after which a server that has not answered never will: far more than a slow machine needs.
PATIENCE = 30.0

# Below those that systems give to outgoing connections: none may take the port while the server is down.
PORTS = range(20_000, 32_000)

# Nothing is written to the disk, unless a test asks for it with ``--appendonly yes``.
OPTIONS = ("--bind", "127.0.0.1", "--protected-mode", "yes", "--save", "", "--appendonly", "no")


class RedisServer:
    """``redis-server`` without a configuration file, on a port and in a directory of its own.

    It keeps its port over any number of starts, and its options until it is started with others. Where no
    such program is installed, the test that makes one is skipped, or fails where ``CI=true``.
    """

    def __init__(self) -> None:
        if BINARY is None:
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing("neither redis-server nor valkey-server is installed")
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._data = Path(self._folder.name, "data")
        self._log = Path(self._folder.name, "server.log")
        self._options: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is, as clients are told."""
        return f"redis://127.0.0.1:{self.port}/0"

    def said(self) -> str:
        """All that it has written, over all its starts."""
        return self._log.read_text() if self._log.exists() else ""

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers. Options are the server's own, such as ``--appendonly yes``.

        Raises:
            RuntimeError: it did not come up. Carries its log.
        """
        assert self._process is None, "it is running"
        self._options = options or self._options
        self._data.mkdir(exist_ok=True)
        if self.port:
            self._launch(self.port)
            if self._comes_up():
                return
        else:
            for self.port in random.sample(PORTS, 20):  # any of them may be somebody else's
                self._launch(self.port)
                if self._comes_up():
                    return
        raise RuntimeError(f"The store did not come up:\n{self.said()}")

    def stop(self) -> None:
        """End it in good order: what it is to keep is on the disk then."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still: its connections stay open, and nothing is answered (SIGSTOP)."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, with all that has come meanwhile."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self, *, empty: bool) -> None:
        """Stop it and start it again; ``empty`` is without what an earlier start left on the disk."""
        self.stop()
        if empty:
            shutil.rmtree(self._data)
        self.start()

    def close(self) -> None:
        """Whatever state it is in, it is no more, and neither are its files."""
        if self._process is not None:
            self.kill()
        self._folder.cleanup()

    def answers(self) -> bool:
        """Whether it says PONG: not while it is down, frozen or still reading what is on the disk."""
        return self._ask(b"PING").startswith(b"+PONG")

    def _ask(self, command: bytes) -> bytes:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as link:
            link.sendall(command + b"\r\n")
            return link.recv(4096)
        return b""

    def _launch(self, port: int) -> None:
        command = [str(BINARY), "--port", str(port), "--dir", str(self._data), *OPTIONS, *self._options]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def _comes_up(self) -> bool:
        process = self._running()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            # Somebody else's server may hold the port: ours ends then, a moment later.
            if self.answers() and b"process_id:%d\r" % process.pid in self._ask(b"INFO server"):
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def _end(self, number: signal.Signals) -> None:
        process = self._running()
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # who is frozen hears of nothing but this and SIGKILL
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait(PATIENCE)
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it is not running"
        return self._process
