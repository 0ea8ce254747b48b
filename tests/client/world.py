"""What the network does to a client, and an administrator to its server."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60.0


class House:
    """``mikroroom serve`` in a process of its own, always on the same port and directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.log = directory / "server.log"

    def opens(self) -> None:
        """Start it, and wait until it listens."""
        ours = ("MIKROROOM_", "STATE_DIRECTORY", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment["HOME"] = str(self._directory)
        unlimited = (
            "connections-per-minute",
            "rooms-per-minute",
            "guesses-per-minute",
            "messages-per-second",
        )
        before = self._openings()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mikroroom", "serve"),
                    *(f"--port={self.port}", f"--data-dir={self._directory / 'data'}"),
                    *(f"--{limit}=0" for limit in unlimited),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + PATIENCE
        while (now := self._openings()) == before:
            assert time.monotonic() < deadline and self._process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        self.port = int(now[-1])

    def _openings(self) -> list[str]:
        """The port of each time that it came up."""
        return re.findall(r"listening url=\S+:(\d+)", self.log.read_text()) if self.log.exists() else []

    async def shuts(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, and wait for its end. Returns the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return await asyncio.to_thread(self._process.wait, PATIENCE)

    def ends(self) -> None:
        """Whatever state it is in, it is no more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)


class Cable:
    """Between a client and ``port``: it can be cut, or pulled so that nobody notices. The next one works."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._ends: list[asyncio.StreamWriter] = []
        self._loose: list[asyncio.StreamWriter] = []
        self._carrying: set[asyncio.Task[None]] = set()
        self.port = 0

    async def opens(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def is_cut(self) -> None:
        """Both ends are reset; what is in between is lost."""
        self.is_pulled()
        for end in self._loose:
            end.transport.abort()

    def is_pulled(self) -> None:
        """Nothing is carried any more, and nobody is told."""
        for carrying in self._carrying:
            carrying.cancel()
        self._loose += self._ends
        self._ends = []

    async def shuts(self) -> None:
        """Be no more."""
        if self._server is not None:
            self._server.close()
        self.is_cut()
        ends = (end.wait_closed() for end in self._loose)
        await asyncio.gather(*self._carrying, *ends, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._ends += [writer, there_writer]
        for source, target in ((reader, there_writer), (there_reader, writer)):
            carrying = asyncio.create_task(_carry(source, target))
            self._carrying.add(carrying)
            carrying.add_done_callback(self._carrying.discard)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(4_096):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    target.close()
