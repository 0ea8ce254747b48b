"""A ``Site``: ``mikroroom serve`` in a process of its own, that can be stopped, killed and started again."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

# Seconds within which a server must be up, or down.
PATIENCE = 60.0

# Below those that systems give to outgoing connections: none may take the port while the server is down.
PORTS = range(20_000, 32_000)

PREFIX = "MIKROROOM_"
# What of the environment would have a say in the server's settings.
SETTINGS = (PREFIX, "STATE_DIRECTORY", "XDG_")


class Site:
    """A server with these settings, and its log and data in a folder. Not yet running when made.

    It keeps its address and its data over any number of starts.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        given = {PREFIX + name.upper(): str(value) for name, value in settings.items()}
        self._environment = {**inherited, "HOME": str(folder), **given}
        # With a Redis, rooms are kept nowhere else.
        self._data = "" if "redis_url" in settings else str(folder / "data")
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """All that it has written, over all its starts."""
        return self._log.read_text() if self._log.exists() else ""

    def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            RuntimeError: it did not come up. Carries its log.
        """
        assert self._process is None, "it is running"
        ports = [self.port] if self.port else random.sample(PORTS, 20)  # any may be somebody else's
        for self.port in ports:
            if self._comes_up():
                return
        raise RuntimeError(f"The server did not come up:\n{self.said()}")

    def stop(self) -> None:
        """End it in good order: everyone is told (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _comes_up(self) -> bool:
        before = len(self.said())
        with self._log.open("ab") as output:
            self._process = process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mikroroom",
                    "serve",
                    f"--port={self.port}",
                    f"--data-dir={self._data}",
                ],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            if re.search(rf"\blistening\b.*\burl\W+{self.url}\b", self.said()[before:]):
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None, "it is not running"
        process, self._process = self._process, None
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait(PATIENCE)
