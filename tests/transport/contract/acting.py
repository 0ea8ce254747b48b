"""An app without a will of its own: each connection is a ``Call``, and the test says what the app does."""

import asyncio
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from .wire import PATIENCE


class Call:
    """One connection as the app sees it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.is_cancelled = False
        self._send = send
        self._end: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def hears(self) -> Message:
        """The next event."""
        async with asyncio.timeout(PATIENCE):
            return await self.receive()

    async def hears_text(self, *texts: str) -> None:
        """The next events are messages with these texts."""
        for expected in texts:
            assert received(await self.hears()) == expected

    async def hears_to_the_end(self) -> list[str | bytes]:
        """The messages before the disconnect, after which come no more."""
        messages: list[str | bytes] = []
        while (event := await self.hears())["type"] == "websocket.receive":
            messages.append(received(event))
        self.last = event
        assert event["type"] == "websocket.disconnect", event
        return messages

    async def is_disconnected(self, code: int, reason: str | None = None) -> None:
        """The next event is the disconnect."""
        assert await self.hears_to_the_end() == []
        assert self.last["code"] == code, self.last
        assert reason is None or self.last["reason"] == reason, self.last

    async def says(self, kind: str, /, **fields: Any) -> None:
        """Send an event; ``kind`` is its type without the ``websocket.``."""
        async with asyncio.timeout(PATIENCE):
            await self._send({"type": f"websocket.{kind}", **fields})

    async def sends(self, message: str | bytes) -> None:
        """Send a message, however long that takes."""
        kind = "text" if isinstance(message, str) else "bytes"
        await self._send({"type": "websocket.send", kind: message})

    async def accepts(self, **fields: Any) -> "Call":
        """Take the handshake."""
        assert await self.hears() == {"type": "websocket.connect"}
        await self.says("accept", **fields)
        return self

    def returns(self, value: object = None) -> None:
        """The app is done."""
        if not self._end.done():
            self._end.set_result(value)

    def raises(self, exception: BaseException) -> None:
        """The app ends with this exception."""
        self._end.set_exception(exception)

    async def goes_on(self) -> object:
        """For the app: wait for what the test makes of it."""
        try:
            return await self._end
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise


class App:
    """The ASGI app. ``state`` is what it leaves in the lifespan's state."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.state: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> object:
        match scope["type"]:
            case "lifespan":
                scope["state"].update(self.state)
                await self._live(receive, send)
            case "websocket":
                call = Call(scope, receive, send)
                self.calls.put_nowait(call)
                return await call.goes_on()
        return None

    async def _live(self, receive: Receive, send: Send) -> None:
        for moment in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{moment}"
            await send({"type": f"lifespan.{moment}.complete"})


def received(event: Message) -> str | bytes:
    """The message in a receive event, which is one of the two kinds."""
    assert event["type"] == "websocket.receive", event
    words, data = event.get("text"), event.get("bytes")
    assert (words is None) != (data is None), event
    if words is not None:
        assert isinstance(words, str)
        return words
    assert isinstance(data, bytes)
    return data
