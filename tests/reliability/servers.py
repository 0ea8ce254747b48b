"""Servers as processes: one port and one data directory, served as often and in as many ways as is asked."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

PATIENCE = 30.0
HERE = Path(__file__).parent

SERVE = ("-m", "mikroroom", "serve", "--port")
UVICORN = ("-m", "uvicorn", "--ws-max-size", "262144", "--factory", "mikroroom:create_app", "--port")
# A site of somebody else's, which does not run our lifespan.
MOUNTED = ("-m", "uvicorn", "--app-dir", str(HERE.parent / "conformance"), "mounted_site:app", "--port")
# Nobody here has more than one address.
UNLIMITED = {
    "CONNECTIONS_PER_MINUTE": "0",
    "ROOMS_PER_MINUTE": "0",
    "GUESSES_PER_MINUTE": "0",
    "LOG_LEVEL": "info",
}
# Nobody's outgoing connection is given one of these by the system while a server is away.
PORTS = range(20_000, 30_000)
# Those that were given away already: whoever was given one may not listen on it yet.
_given: set[int] = set()


class Run:
    """One process, from its start to its end, and what it says."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self._said: list[bytes] = []
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def said(self, *words: str) -> list[str]:
        """The lines so far in which all these words stand."""
        lines = b"".join(self._said).decode(errors="replace").splitlines()
        return [line for line in lines if all(word in line for word in words)]

    def ended(self) -> None:
        """It has ended: nothing more will be said."""
        self._reader.join(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self, output: IO[bytes]) -> None:
        while piece := os.read(output.fileno(), 65_536):
            self._said.append(piece)


class Server:
    """A server that may be ended in any way and started again, with the same port and data directory.

    ``settings`` are names without the prefix. Several may share a ``folder``.
    """

    def __init__(self, folder: Path, way: Sequence[str] = SERVE, **settings: object) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.way = tuple(way)
        self.path = "/meet" if self.way == MOUNTED else ""
        self.port = free_port()
        self.settings = settings
        self.runs: list[Run] = []
        # Put before the command: to run it in a place of its own.
        self.wrapper: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where it serves HTTP."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def socket_url(self) -> str:
        """Where it serves WebSockets."""
        return f"ws://127.0.0.1:{self.port}{self.path}/ws"

    @property
    def run(self) -> Run:
        """The process that runs, or ran last."""
        return self.runs[-1]

    def said(self, *words: str) -> list[str]:
        """The lines of the last run in which all these words stand."""
        return self.run.said(*words)

    async def starts(self, **settings: object) -> None:
        """Start it, and wait until it is ready. ``settings`` go on top of the server's own."""
        self.launches(**settings)
        await self.is_up()

    def launches(self, **settings: object) -> None:
        """Start it, and do not wait."""
        ours = ("MIKROROOM_", "STATE_DIRECTORY", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        chosen = {**UNLIMITED, "DATA_DIR": self.data, **self.settings, **settings}
        environment |= {f"MIKROROOM_{name.upper()}": str(value) for name, value in chosen.items()}
        environment["HOME"] = str(self.folder)
        self.runs.append(Run([*self.wrapper, sys.executable, *self.way, str(self.port)], environment))

    async def is_up(self) -> None:
        """Wait until ``/ready`` says 200."""
        deadline = time.monotonic() + PATIENCE
        while await self.status("/ready") != 200:
            assert self.run.process.poll() is None, f"it ended: {self.said()}"
            assert time.monotonic() < deadline, f"it is not ready: {self.said()}"
            await asyncio.sleep(0.02)

    async def status(self, path: str) -> int:
        """The status of a GET on a connection of its own; 0 if there is none to be had."""
        head, _ = await self.gets(path)
        return int(head.split()[1]) if head else 0

    async def gets(self, path: str) -> tuple[str, str]:
        """Head and body of the answer to a GET; empty if there is none."""
        return await self._asks("GET", path, "")

    async def posts(self, path: str, body: object) -> int:
        """The status of a POST."""
        head, _ = await self._asks("POST", path, json.dumps(body))
        return int(head.split()[1])

    async def _asks(self, method: str, path: str, body: str) -> tuple[str, str]:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return "", ""
        head = f"{method} {self.path}{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n"
        about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        try:
            writer.write(f"{head}{about}\r\n{body}".encode())
            async with asyncio.timeout(PATIENCE):
                answer = await reader.read()
        except (OSError, TimeoutError):
            return "", ""
        finally:
            writer.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        return head, body

    async def dies(self) -> None:
        """Kill it, as a power cut would."""
        code, _ = await self.stops(signal.SIGKILL)
        assert code == -signal.SIGKILL

    async def stops(self, *numbers: signal.Signals) -> tuple[int, float]:
        """Send it signals, SIGTERM if none are given: its exit code, and the seconds that it took."""
        began = time.monotonic()
        for number in numbers or (signal.SIGTERM,):
            self.run.process.send_signal(number)
        return await self.ends(), time.monotonic() - began

    async def ends(self) -> int:
        """Wait until it has ended; its exit code."""
        code = await asyncio.to_thread(self.run.process.wait, PATIENCE)
        self.run.ended()
        return code

    def close(self) -> None:
        """Whatever state its runs are in, they are no more."""
        for run in self.runs:
            run.process.kill()
            run.process.wait(PATIENCE)
            run.ended()


def free_port() -> int:
    """A port of loopback that nobody listens on or was given, and that no outgoing connection is given."""
    while True:
        port = random.choice(PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
