"""A server that a test plays word by word, to a client that does not know."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from mikroroom.client import Backoff, Client, Heard

PATIENCE = 60.0
CODE = "ABC234"


class Peer:
    """One connection of the client's, as the server has it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def hears(self) -> dict[str, Any]:
        """The next message of the client."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self._connection.recv())
        return message

    async def hears_texts(self, count: int) -> list[tuple[str, int]]:
        """So many chats: what they say, under which numbers."""
        messages = [await self.hears() for _ in range(count)]
        return [(message["text"], message["clientSeq"]) for message in messages]

    async def says(self, kind: str, /, **fields: object) -> None:
        """Send a message."""
        base = {"type": kind, "roomId": CODE, "participantId": "ada", "timestamp": 1}
        await self._connection.send(json.dumps(base | fields))

    async def seats(self, token: str = "token-1", seq: int = 1, **fields: object) -> dict[str, Any]:
        """Hear a ``join``, and let the client in. Returns the ``join``."""
        request = await self.hears()
        assert request["type"] == "join"
        own = {"name": "Ada", "resumeToken": token, "resumeWindow": 30, "seq": seq}
        await self.says("participant-joined", **own | fields)
        return request

    async def resumes(self, token: str, seq: int, *, replayed: bool = True, has: int = 0) -> dict[str, Any]:
        """Likewise to one who comes back; ``has`` is how far its own messages have come."""
        return await self.seats(token, seq, resumed=True, replayed=replayed, lastClientSeq=has)

    async def refuses(self, code: str) -> dict[str, Any]:
        """Hear a ``join``, and refuse it. Returns the ``join``."""
        request = await self.hears()
        await self.says(
            "error", roomId="", participantId="", message="No", code=code, requestType=request["type"]
        )
        return request

    async def chats(self, *numbered: tuple[str, int]) -> None:
        """Texts, under these numbers."""
        for text, seq in numbered:
            await self.says("chat", text=text, messageId=f"{seq}-bob", participantId="bob", seq=seq)

    async def is_caught_up(self) -> None:
        """Wait until all that was said has been there for a while."""
        for _ in range(3):
            await (await self._connection.ping())

    def cuts(self) -> None:
        """The network is gone, and what is in it."""
        self._connection.transport.abort()

    async def closes(self, code: int, reason: str = "") -> None:
        """Close the connection properly."""
        await self._connection.close(code, reason)

    def answers_no_ping(self) -> None:
        """Whatever arrives, the client does not learn of it."""
        protocol = self._connection.protocol
        receive = protocol.recv_frame

        def receive_no_ping(frame: Frame) -> None:
            if frame.opcode is not Opcode.PING:
                receive(frame)

        protocol.recv_frame = receive_no_ping  # type: ignore[method-assign]

    async def is_left(self) -> int | None:
        """The code with which the client has closed the connection, whatever comes before that."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.hears()
        return self._connection.close_code


class Stage:
    """Where clients arrive. ``refusals`` are answers to the next handshakes: status and headers."""

    def __init__(self) -> None:
        self.refusals: deque[tuple[HTTPStatus, dict[str, str]]] = deque()
        self._arrivals: asyncio.Queue[Peer] = asyncio.Queue()
        self._server: Server | None = None
        self.port = 0

    async def opens(self) -> None:
        """Listen, each time on the same port."""
        self._server = await serve(
            self._receive, "127.0.0.1", self.port, process_request=self._shake, ping_interval=None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def shuts(self) -> None:
        """Listen no more, and close all connections as a server does that is to be restarted."""
        if self._server is not None:
            self._server.close(code=1012)
            await self._server.wait_closed()
            self._server = None

    async def arrival(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._arrivals.get()

    def is_empty(self) -> bool:
        """Whether nobody has connected that was not seen yet."""
        return self._arrivals.empty()

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        """A client, connected, which does not wait before it comes back."""
        chosen = {"backoff": Backoff(chance=lambda: 0.0), "proxy": None, **options}
        async with Client.connect(f"ws://127.0.0.1:{self.port}/ws", **chosen) as client:
            yield client

    @contextlib.asynccontextmanager
    async def ada(self, *, rejoin: bool = True, **options: Any) -> AsyncIterator[tuple[Client, Peer]]:
        """A client that has joined, with token-1; and the server's end of its connection."""
        async with self.client(**options) as client:
            peer = await self.arrival()
            seating = asyncio.create_task(peer.seats())
            await client.join(CODE, "Ada", password="sesame", is_host=True, rejoin=rejoin)
            assert "clientSeq" not in await seating
            yield client, peer

    async def _receive(self, connection: ServerConnection) -> None:
        self._arrivals.put_nowait(Peer(connection))
        await connection.wait_closed()

    def _shake(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self.refusals:
            return None
        status, headers = self.refusals.popleft()
        response = connection.respond(status, "not now")
        for name, value in headers.items():
            response.headers[name] = value
        return response


async def hears(client: Client) -> Heard:
    """The next event, which must come soon."""
    async with asyncio.timeout(PATIENCE):
        return await client.receive()
