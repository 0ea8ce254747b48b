"""The network between a worker and Redis: it can be slow, frozen, closed, and lose answers."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pipe:
    """A TCP proxy before a port of loopback.

    What comes from Redis is delayed by ``delay`` seconds. While it ``is_shut``, connections are reset as soon
    as they are made. ``cut_after``, if set, sees each piece that goes to Redis: where it says so, that still
    gets there, and the connection is reset before anything comes back.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self.port = 0
        self.delay = 0.0
        self.is_shut = False
        self.cut_after: Callable[[bytes], bool] | None = None
        self.cuts = 0
        self._may_flow = asyncio.Event()
        self._may_flow.set()

    async def opens(self) -> "Pipe":
        """Listen."""
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Be gone, and all connections with it."""
        if self._listener is not None:
            self._listener.close()
        self.breaks()
        await asyncio.gather(*(line.done for line in self._lines))

    def freezes(self) -> None:
        """Nothing gets through, in either direction, and neither end is told."""
        self._may_flow.clear()

    def thaws(self) -> None:
        """Everything gets through, also what was held up."""
        self._may_flow.set()

    def shuts(self) -> None:
        """Whoever is connected, or connects, is reset."""
        self.is_shut = True
        self.breaks()

    def reopens(self) -> None:
        """Connections are made again."""
        self.is_shut = False

    def breaks(self) -> None:
        """Every connection that is open is reset, towards both ends."""
        for line in tuple(self._lines):
            line.breaks()

    async def flows(self) -> None:
        """Wait until something may get through."""
        await self._may_flow.wait()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_shut:
            _reset(writer)
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        line = _Line(self, (reader, writer), there)
        self._lines.add(line)
        line.done.add_done_callback(lambda _: self._lines.discard(line))


class _Line:
    """One connection through the pipe."""

    def __init__(self, pipe: Pipe, here: Way, there: Way) -> None:
        self._pipe = pipe
        self._here, self._there = here, there
        self._is_cut = False
        self._pumps = (asyncio.create_task(self._ask()), asyncio.create_task(self._answer()))
        self.done = asyncio.create_task(self._end())

    async def _end(self) -> None:
        """Once it is closed at either end, close the other."""
        await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)
        self._stop()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for _, writer in (self._here, self._there):
            writer.close()

    def breaks(self) -> None:
        """Reset it."""
        self._stop()
        for _, writer in (self._here, self._there):
            _reset(writer)

    def _stop(self) -> None:
        for pump in self._pumps:
            pump.cancel()

    async def _ask(self) -> None:
        """From the worker to Redis."""
        with contextlib.suppress(OSError):
            while data := await self._here[0].read(65_536):
                await self._pipe.flows()
                cut_after = self._pipe.cut_after
                self._is_cut = self._is_cut or (cut_after is not None and cut_after(data))
                self._there[1].write(data)
                await self._there[1].drain()

    async def _answer(self) -> None:
        """From Redis to the worker."""
        with contextlib.suppress(OSError):
            while data := await self._there[0].read(65_536):
                await self._pipe.flows()
                if self._pipe.delay:
                    await asyncio.sleep(self._pipe.delay)
                if self._is_cut:
                    # The command has been carried out: this is what it had for an answer.
                    self._pipe.cuts += 1
                    _reset(self._here[1])
                    return
                self._here[1].write(data)
                await self._here[1].drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()
