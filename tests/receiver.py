"""The site that is told what happens in rooms: a real HTTP server, as good or as bad as a test wants it."""

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, Self

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLKMfKQ9r8GKYqrTw"
PATIENCE = 60.0

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def status(code: int, *headers: str) -> bytes:
    """An answer with nothing in it."""
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Length: 0", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


class Delivery(NamedTuple):
    """What came: its headers in lower case, and its body as it was."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The room event."""
        event: dict[str, Any] = json.loads(self.body)
        return event


# What a receiver does: the answer, or None to take what came and hang up.
Mood = Callable[[Delivery], bytes | None]


class Receiver:
    """``deliveries`` is all that ever came, ``taken`` the events of those that were answered well.

    Every one is verified by the reference implementation of Standard Webhooks.
    """

    def __init__(self, secret: str = SECRET) -> None:
        self.deliveries: list[Delivery] = []
        self.taken: list[dict[str, Any]] = []
        self.moods: list[Mood] = []
        """What it does with the next few; afterwards it takes them."""
        self.mood: Mood = lambda _: OK
        self.hangs = asyncio.Event()
        """Whoever waits for the rest of an answer waits until then, and is hung up on."""
        self.tls: ssl.SSLContext | None = None
        self._secret = secret
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        # Nobody else is given the port while it does not listen.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port: int = self._place.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/meetings?of=ours"

    async def __aenter__(self) -> Self:
        await self.opens()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shuts()
        self._place.close()

    async def opens(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)

    async def shuts(self) -> None:
        """Listen no more, and hang up."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        # Whoever was let in a moment ago is served in a few turns of the loop, and hung up on as well.
        for _ in range(10):
            await asyncio.sleep(0)
        while self._serving:
            for serving, writer in self._serving.items():
                writer.transport.abort()
                serving.cancel()
            await asyncio.wait(list(self._serving))

    async def took(self, count: int) -> list[dict[str, Any]]:
        """Wait until it has taken so many different events. Returns them, in order."""
        async with asyncio.timeout(PATIENCE):
            while len(self.events()) < count:
                await asyncio.sleep(0.005)
        return self.events()

    async def came(self, count: int) -> list[Delivery]:
        """Wait until something came so many times, taken or not."""
        async with asyncio.timeout(PATIENCE):
            while len(self.deliveries) < count:
                await asyncio.sleep(0.005)
        return self.deliveries

    def events(self) -> list[dict[str, Any]]:
        """What was taken, without what came again."""
        return list({event["id"]: event for event in self.taken}.values())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving[serving] = writer
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
        finally:
            del self._serving[serving]
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        assert first == "POST /meetings?of=ours HTTP/1.1"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        delivery = Delivery(headers, body)
        Webhook(self._secret).verify(body, headers)
        self.deliveries.append(delivery)
        answer = (self.moods.pop(0) if self.moods else self.mood)(delivery)
        if answer is None or answer.startswith(b"HTTP/1.1 2"):
            self.taken.append(delivery.event)
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        if b"\r\n\r\n" not in answer:
            await self.hangs.wait()
            return False
        return True
