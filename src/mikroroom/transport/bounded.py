"""uvicorn's HTTP protocol with bounds on a request's head, which it leaves open: in bytes and in time.

The head of a request is everything before its body. Without bounds one connection could fill the memory, or
thousands could hold on to their sockets for ever, before there is a request that could be counted. For
``mikroroom serve``.
"""

import asyncio
import json
import sys
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mikroroom.transport import handshake
from mikroroom.transport.headers import SECURITY_HEADERS

# More than browsers and proxies take for themselves: 8 to 16 KiB.
HEAD_BYTES = 65_536
# nginx gives a minute; nothing that talks to us needs to think.
HEAD_PATIENCE = 15.0

_HEADERS = [
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
    (b"content-type", b"application/json"),
    (b"connection", b"close"),
]


class BoundedProtocol(HttpToolsProtocol):
    """One HTTP connection under uvicorn. Too long a head is answered with 431, too slow a one with 408."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._chunk = b""
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client, of whom a request is expected."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._be_content()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A piece of a request, or of several."""
        self._chunk = data
        super().data_received(data)
        if self._deadline is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, "The head of a request may have 65,536 bytes")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """The last byte of its head."""
        self._be_content()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection becomes a WebSocket; and with it what the client said without waiting for that."""
        self._be_content()
        upgrade = sys.exception()
        super().handle_websocket_upgrade()
        early = self._chunk[upgrade.args[0] :] if upgrade is not None else b""
        self._chunk = b""
        if early and not self.transport.is_closing():
            cast("asyncio.Protocol", self.transport.get_protocol()).data_received(early)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_PATIENCE, self._give_up)

    def _be_content(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._head_bytes:
            self._refuse(408, "The head of the request took too long")
        else:
            self.transport.close()

    def _refuse(self, status: int, problem: str) -> None:
        self._be_content()
        if self.transport.is_closing():
            return
        body = json.dumps({"error": problem}).encode()
        self.transport.write(handshake.response(status, _HEADERS, body))
        self.transport.close()
