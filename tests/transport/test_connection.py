"""The way to one client over plain ASGI: never waited for, bounded, and ended in good order."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect

from mikroroom.protocol.codec import HEADROOM
from mikroroom.transport import connection as connections
from mikroroom.transport.connection import AsgiConnection

PATIENCE = 60.0
LIMIT = 1_000


def framed(message: bytes) -> bytearray:
    """A message as the hub hands it to a connection."""
    return bytearray(HEADROOM) + message


class Socket:
    """A WebSocket that takes what it is given only while it is open."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.closed: list[tuple[int, str]] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.fault: Exception | None = None

    async def send_text(self, text: str) -> None:
        """Take a message, when there is room for it."""
        await self._wait()
        self.took.append(text)

    async def close(self, code: int, reason: str) -> None:
        """Take a close."""
        await self._wait()
        self.closed.append((code, reason))

    async def _wait(self) -> None:
        await self.takes.wait()
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
async def socket() -> Socket:
    """A client that reads."""
    return Socket()


@pytest.fixture
async def connection(socket: Socket) -> AsyncIterator[AsgiConnection]:
    """The way to it, as made by a task of the test's own."""
    made = AsgiConnection(cast("WebSocket", socket), LIMIT)
    yield made
    made.end()


async def written(connection: AsgiConnection) -> None:
    """All is written, and the writer has gone home."""
    async with asyncio.timeout(PATIENCE):
        while connection._writer is not None:
            await asyncio.sleep(0)


async def test_what_is_sent_goes_out_in_order(connection: AsgiConnection, socket: Socket) -> None:
    for number in range(50):
        assert connection.send(framed(b"%d" % number))
    assert socket.took == [], "sending waits for nothing"
    await written(connection)
    assert socket.took == [str(number) for number in range(50)]


async def test_a_connection_that_is_quiet_has_no_writer(connection: AsgiConnection, socket: Socket) -> None:
    before = asyncio.all_tasks()
    for _ in range(3):
        connection.send(framed("é".encode()))
        await written(connection)
        assert asyncio.all_tasks() == before
    assert socket.took == ["é"] * 3


async def test_a_client_that_does_not_read_fills_its_outbox_and_no_more(
    connection: AsgiConnection, socket: Socket
) -> None:
    socket.takes.clear()
    frame = b"x" * 100
    taken = 0
    while connection.send(framed(frame)):
        taken += 1
        await asyncio.sleep(0)
    assert taken == LIMIT // len(frame), "what is half written counts"
    assert not connection._outbox, "it is let go at once"


async def test_one_message_always_fits_and_nothing_beside_it(
    connection: AsgiConnection, socket: Socket
) -> None:
    assert connection.send(framed(b"x" * (LIMIT + 1)))
    await written(connection)
    assert connection.send(framed(b"x" * (LIMIT + 1)))
    assert not connection.send(framed(b"x"))
    assert len(socket.took) == 1


async def test_a_client_that_reads_again_in_time_has_missed_nothing(
    connection: AsgiConnection, socket: Socket
) -> None:
    for _ in range(20):
        socket.takes.clear()
        for _ in range(9):
            assert connection.send(framed(b"x" * 100))
            await asyncio.sleep(0)
        socket.takes.set()
        await written(connection)
    assert len(socket.took) == 180
    assert connection._waiting == 0


async def test_the_close_comes_after_what_was_sent_before_it(
    connection: AsgiConnection, socket: Socket
) -> None:
    connection.send(framed(b"one"))
    connection.send(framed(b"two"))
    connection.close(4501, "kicked by a moderator")
    assert connection.send(framed(b"three")), "it is not too slow: it is gone"
    connection.close(4001, "once is enough")
    await written(connection)
    assert (socket.took, socket.closed) == (["one", "two"], [(4501, "kicked by a moderator")])


async def test_a_close_while_writing_comes_when_that_is_done(
    connection: AsgiConnection, socket: Socket
) -> None:
    socket.takes.clear()
    connection.send(framed(b"one"))
    await asyncio.sleep(0)
    connection.close(4002, "never joined")
    await asyncio.sleep(0)
    socket.takes.set()
    await written(connection)
    assert (socket.took, socket.closed) == (["one"], [(4002, "never joined")])


async def test_a_client_that_was_too_slow_gets_the_close_and_not_what_waited(
    connection: AsgiConnection, socket: Socket
) -> None:
    socket.takes.clear()
    while connection.send(framed(b"x" * 100)):
        await asyncio.sleep(0)
    connection.close(4001, "reads too slowly")
    socket.takes.set()
    await written(connection)
    assert (len(socket.took), socket.closed) == (1, [(4001, "reads too slowly")])


async def test_a_client_that_does_not_even_take_the_close_is_abandoned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "CLOSE_PATIENCE", 0.02)
    socket = Socket()
    socket.takes.clear()
    made: list[AsgiConnection] = []

    async def read() -> None:
        made.append(AsgiConnection(cast("WebSocket", socket), LIMIT))
        made[0].send(framed(b"one"))
        made[0].close(4001, "reads too slowly")
        await asyncio.Event().wait()

    reader = asyncio.create_task(read())
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(PATIENCE):
            await reader
    assert made[0].is_abandoned
    made[0].end()
    await written(made[0])
    assert (socket.took, socket.closed) == ([], [])


async def test_a_client_that_takes_the_close_in_time_is_not_abandoned(
    connection: AsgiConnection,
) -> None:
    connection.close(4501, "kicked")
    await written(connection)
    timer = connection._abandoning
    connection.end()
    assert timer is not None and timer.cancelled()
    assert not connection.is_abandoned


async def test_the_end_lets_go_of_everything(connection: AsgiConnection, socket: Socket) -> None:
    socket.takes.clear()
    connection.send(framed(b"one"))
    connection.send(framed(b"two"))
    connection.close(4001, "")
    await asyncio.sleep(0)
    writer, timer = connection._writer, connection._abandoning
    connection.end()
    await written(connection)
    assert writer is not None and writer.cancelled()
    assert timer is not None and timer.cancelled()
    assert not connection._outbox
    assert connection.send(framed(b"three"))
    connection.close(4001, "")
    connection.end()
    assert connection._writer is None
    assert socket.took == []


@pytest.mark.parametrize(
    "fault", [WebSocketDisconnect(1006), ConnectionResetError(), RuntimeError("after close")], ids=type
)
async def test_a_client_gone_in_the_middle_is_no_fault_and_not_slow(
    connection: AsgiConnection, socket: Socket, fault: Exception
) -> None:
    """Each server says it in its own way; the reader hears of it soon, and until then all goes nowhere."""
    socket.fault = fault
    for _ in range(50):
        assert connection.send(framed(b"x" * 100))
        await written(connection)
    connection.close(4501, "kicked")
    await written(connection)
    assert (socket.took, socket.closed) == ([], [])
