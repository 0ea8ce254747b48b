"""One connection to Redis, at its plainest: commands go out, and answers come by a plain call each.

Redis' own client connects it, with its addresses, TLS and passwords, and then hands over the transport: its
streams and timers cost more for an answer than all we do with it. For that it is asked for what its documents
do not promise, hence the bound on its version. It may not repeat commands either: they may have taken effect.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from hiredis import Reader
from redis.asyncio.connection import ConnectionPool

# Seconds within which a connection is made.
CONNECT_PATIENCE = 2.0

# Whatever the URL says of these.
_OURS = {
    "client_name": "mikroroom",
    "decode_responses": False,
    "health_check_interval": 0,
    "protocol": 2,
    "socket_connect_timeout": CONNECT_PATIENCE,
    "socket_timeout": None,
}

Piece = bytes | bytearray | memoryview
Argument = bytes | str | int | list[Piece]
# Of RESP2: bytes, an integer, None, a list of such; or ``Refused``.
Reply = Any


class OutOfReach(Exception):
    """Redis did not answer. Whether the command took effect is not known."""


class Refused(Exception):
    """Redis' answer is an error."""


class Wire(asyncio.Protocol):
    """See the module. ``take`` is called with each answer, ``is_lost`` is done when the connection is."""

    def __init__(self, connection: Any) -> None:
        # Kept until it is lost: where nobody holds a stream any more, it closes itself.
        self._connection = connection
        self._transport = cast("asyncio.Transport", connection._writer.transport)  # noqa: SLF001 - see above
        self._transport.set_protocol(self)
        self._reader = Reader(replyError=Refused, notEnoughData=_NOTHING)
        self._loop = asyncio.get_running_loop()
        self.take: Callable[[Reply], None] = _ignore
        self.is_lost: asyncio.Future[None] = self._loop.create_future()

    def send(self, pieces: list[Piece]) -> None:
        """Send commands; see ``packed``. Where the connection is lost, nothing happens."""
        if not self._transport.is_closing():
            self._transport.writelines(pieces)

    async def ask(self, *command: Argument) -> Reply:
        """Send one command while nothing else is under way; wait for its answer. Raises as ``ask_all``."""
        return (await self.ask_all([command]))[0]

    async def ask_all(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Likewise, with several that go out together.

        Raises:
            Refused: an answer is an error.
            OutOfReach: the connection was lost.
        """
        answers: list[Reply] = []
        all_are_here: asyncio.Future[None] = self._loop.create_future()

        def take(reply: Reply) -> None:
            answers.append(reply)
            if len(answers) == len(commands):
                all_are_here.set_result(None)

        self.take = take
        try:
            self.send([piece for command in commands for piece in packed(*command)])
            await asyncio.wait((all_are_here, self.is_lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.take = _ignore
        if not all_are_here.done():
            raise OutOfReach("the connection was lost")
        for answer in answers:
            if isinstance(answer, Refused):
                raise answer
        return answers

    def cut(self) -> None:
        """End the connection at once."""
        self._transport.abort()
        self._let_go()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _NOTHING:
            self.take(reply)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        self._let_go()
        if not self.is_lost.done():
            self.is_lost.set_result(None)

    def _let_go(self) -> None:
        self._connection._close()  # noqa: SLF001


def pool_of(url: str) -> ConnectionPool:
    """Where connections come from.

    Raises:
        ValueError: the URL is not one that can be used. Says why, without the password.
    """
    try:
        pool = ConnectionPool.from_url(url)
        pool.connection_kwargs |= _OURS
        pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py says no more of it
    except Exception as error:
        raise ValueError(str(error)) from error
    return pool


async def connect(pool: ConnectionPool) -> Wire:
    """A new connection, ready to be used.

    Raises:
        OutOfReach: there is none to be had.
    """
    connection: Any = pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py says no more of it
    try:
        async with asyncio.timeout(CONNECT_PATIENCE):
            await connection.connect()
    except BaseException as error:
        connection._close()  # noqa: SLF001
        if isinstance(error, Exception):
            raise OutOfReach(str(error) or "Redis does not answer") from error
        raise
    return Wire(connection)


def packed(*command: Argument) -> list[Piece]:
    """A command as it goes out (RESP). What is in pieces already is not put together: it may be large."""
    pieces: list[Piece] = []
    small = bytearray(b"*%d\r\n" % len(command))
    for argument in command:
        if isinstance(argument, list):
            small += b"$%d\r\n" % sum(map(len, argument))
            pieces += (small, *argument)
            small = bytearray(b"\r\n")
        else:
            data = argument if isinstance(argument, bytes) else str(argument).encode()
            small += b"$%d\r\n%b\r\n" % (len(data), data)
    pieces.append(small)
    return pieces


def _ignore(reply: Reply) -> None:
    """An answer that nobody waits for."""


_NOTHING = object()
