"""The way to Redis: one connection on which commands go out in the order in which they were given.

Many are under way at a time. When the connection is lost, those that may be repeated go out again on the next
one, still in order; every script takes effect once, however often it arrives. Redis' own client is used for
addresses, TLS and passwords, and not for its retries: it repeats commands that took effect already.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from mikroroom.logs import Line
from mikroroom.stores.redis.scripts import NAMES, script

log = logging.getLogger(__name__)

# Seconds within which a connection is made, and an answer comes.
CONNECT_PATIENCE = 2.0
ANSWER_PATIENCE = 3.0
# Seconds between attempts to connect.
PAUSES = 0.05, 0.1, 0.2, 0.4, 0.8
# Answers that say nothing of the command, but that Redis is not to be used now.
UNUSABLE = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "WRONGPASS",
)

Piece = bytes | bytearray | memoryview
Argument = bytes | str | int | list[Piece]
Reply = Any
Ask = Callable[..., Awaitable[Reply]]


class OutOfReach(Exception):
    """Redis did not answer. Whether the command took effect is not known."""


class Call:
    """A command under way. One whose answer is awaited no more is not repeated."""

    __slots__ = ("done", "is_repeatable", "pieces")

    def __init__(self, pieces: "list[Piece]", done: "asyncio.Future[Reply]", *, is_repeatable: bool) -> None:
        self.pieces = pieces
        self.done = done
        self.is_repeatable = is_repeatable


class Link:
    """See the module. ``greet`` is done first on every new connection."""

    def __init__(self, url: str, prefix: str) -> None:
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=CONNECT_PATIENCE,
            client_name="mikroroom",
        )
        self._prefix = prefix
        self._waiting: deque[Call] = deque()
        self._sent: deque[Call] = deque()
        self._wake = asyncio.Event()
        self._answers = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._greet: Callable[[Ask], Awaitable[None]] | None = None
        self.problem: str | None = "not connected yet"
        """Why Redis is out of reach; None if it is not."""
        self._down_since = asyncio.get_running_loop().time()

    def start(self, greet: Callable[[Ask], Awaitable[None]]) -> None:
        """Connect, again and again until ``stop``."""
        self._greet = greet
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Let go. What is under way is out of reach."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
            self._running = None
        self._fail(OutOfReach("the connection was closed"), self._sent, self._waiting)
        await self._pool.disconnect()

    def is_down_for(self, seconds: float) -> bool:
        """Whether Redis has been out of reach for so long."""
        return self.problem is not None and asyncio.get_running_loop().time() - self._down_since > seconds

    def new_connection(self) -> AbstractConnection:
        """A connection of its own, for who waits on it."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    def key(self, *parts: str) -> str:
        """A key of ours."""
        return self._prefix + ":".join(parts)

    def run(self, name: str, *arguments: Argument, is_repeatable: bool = False) -> "asyncio.Future[Reply]":
        """Have a script run, with these arguments after the prefix. See ``call``."""
        return self.call(
            b"EVALSHA", script(name).sha, 0, self._prefix, *arguments, is_repeatable=is_repeatable
        )

    def call(self, *command: Argument, is_repeatable: bool = False) -> "asyncio.Future[Reply]":
        """Send a command. The answer raises ``OutOfReach`` or ``redis.exceptions.ResponseError``."""
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_look_at)
        self._waiting.append(Call(packed(*command), done, is_repeatable=is_repeatable))
        self._wake.set()
        return done

    async def _run(self) -> None:
        attempts = 0
        while True:
            connection = self.new_connection()
            try:
                await self._open(connection)
                attempts = 0
                await self._serve(connection)
            except (RedisError, OSError, TimeoutError, OutOfReach, EOFError) as error:
                self._lose(error)
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    await connection.disconnect(nowait=True)
            pause = PAUSES[min(attempts, len(PAUSES) - 1)]
            attempts += 1
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311 - so that workers do not come all at once

    async def _open(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(CONNECT_PATIENCE + ANSWER_PATIENCE):
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py says no more of it

            async def ask(*command: Argument) -> Reply:
                await _send(connection, packed(*command))
                return await connection.read_response(disable_decoding=True, timeout=ANSWER_PATIENCE)

            for name in NAMES:
                await ask(b"SCRIPT", b"LOAD", script(name).text)
            if self._greet is not None:
                await self._greet(ask)
        if self.problem is not None:
            log.info(Line("redis-connected"))
        self.problem = None

    def _lose(self, error: Exception) -> None:
        """Whatever was under way is repeated on the next connection, or out of reach."""
        problem = str(error) or type(error).__name__
        if self.problem is None or self.problem == "not connected yet":
            log.error(
                Line("redis-failed", problem=problem, effect="rooms cannot be changed until it is back")
            )
            self._down_since = asyncio.get_running_loop().time()
        self.problem = problem
        again = [call for call in self._sent if call.is_repeatable and not call.done.done()]
        lost = [call for call in self._sent if not call.is_repeatable]
        self._sent.clear()
        self._waiting.extendleft(reversed(again))
        stale = [call for call in self._waiting if not call.is_repeatable]
        self._waiting = deque(call for call in self._waiting if call.is_repeatable)
        self._fail(OutOfReach(problem), lost, stale)

    async def _serve(self, connection: AbstractConnection) -> None:
        self._wake.set()
        tasks = [
            asyncio.create_task(self._write(connection)),
            asyncio.create_task(self._read(connection)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            calls = [call for call in self._waiting if not call.done.done()]
            self._waiting.clear()
            if calls:
                self._sent.extend(calls)
                self._answers.set()
                await _send(connection, [piece for call in calls for piece in call.pieces])

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            if not self._sent:
                self._answers.clear()
                await self._answers.wait()
            try:
                reply = await connection.read_response(
                    disable_decoding=True, timeout=ANSWER_PATIENCE, disconnect_on_error=False
                )
            except ResponseError as error:
                # The exception of such an answer has lost its first word, or has a class of its own.
                if _is_unusable(error):
                    raise
                reply = error
            call = self._sent.popleft()
            if call.done.done():
                continue
            if isinstance(reply, Exception):
                call.done.set_exception(reply)
            else:
                call.done.set_result(reply)

    def _fail(self, error: Exception, *those: "deque[Call] | list[Call]") -> None:
        for calls in those:
            for call in calls:
                if not call.done.done():
                    call.done.set_exception(error)
            calls.clear()


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


async def _send(connection: AbstractConnection, pieces: list[Piece]) -> None:
    await connection.send_packed_command(pieces, check_health=False)  # type: ignore[arg-type]  # all are bytes


def _is_unusable(error: ResponseError) -> bool:
    return type(error) is not ResponseError or str(error).startswith(UNUSABLE)


def _look_at(done: "asyncio.Future[Reply]") -> None:
    """Not everybody who sends a command waits for its answer."""
    if not done.cancelled():
        done.exception()
