"""uvicorn's HTTP protocol with bounds on what it leaves open.

On the size of a request's head (everything before its body), on the time that it takes, and on how many
requests may wait for the first to be answered. Without them one connection could fill the memory, or
thousands hold on to their sockets for ever, before there is a request that could be counted. For
``mikroroom serve``.
"""

import asyncio
import contextlib
import json
import socket
import sys
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mikroroom.transport import handshake
from mikroroom.transport.headers import SECURITY_HEADERS
from mikroroom.transport.linger import linger

# More than browsers and proxies take for themselves: 8 to 16 KiB.
HEAD_BYTES = 65_536
# nginx gives a minute; nothing that talks to us needs to think.
HEAD_PATIENCE = 15.0
# And for its body, which is small here.
BODY_PATIENCE = 30.0
# How much is parsed at once, and how many requests may come of it before the first is answered. Browsers send
# one at a time.
SLICE = 4_096
PIPELINED = 10
# How long a client may take to read why it was refused.
FLUSH_PATIENCE = 2.0

_HEADERS = [
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
    (b"content-type", b"application/json"),
    (b"connection", b"close"),
]


class _Refused(Exception):
    """Ends the parsing of a request that has been answered."""


class BoundedProtocol(HttpToolsProtocol):
    """One HTTP connection under uvicorn. Too long a head is answered with 431, too slow a one with 408."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unparsed = b""
        self._slice = b""
        self._holds = False
        self._is_in_head = False
        self._has_begun = False
        self._pending_bytes = 0
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client, of whom a request is expected."""
        super().connection_made(transport)
        with contextlib.suppress(OSError):  # a UNIX socket has no such option
            # uvicorn sends head and body of an answer separately, and not every listener has seen to this:
            # the body would wait for 40 ms until the head is acknowledged.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A piece of a request, or of several."""
        self._unparsed += data
        self._parse()

    def _parse(self) -> None:
        while self._unparsed and len(self.pipeline) < PIPELINED and not self._is_over():
            self._slice, self._unparsed = self._unparsed[:SLICE], self._unparsed[SLICE:]
            self._parse_slice()
        if self._unparsed and not self._is_over():
            self.flow.pause_reading()
            self._holds = True
        elif self._holds:
            self._holds = False
            self.flow.resume_reading()

    def _parse_slice(self) -> None:
        self._has_begun = False
        super().data_received(self._slice)
        if self._is_over():
            return
        if self._is_in_head and not self._has_begun:
            # Of a header that goes on and on the parser tells us nothing.
            self._pending_bytes += len(self._slice)
            if self._pending_bytes > HEAD_BYTES:
                self._refuse_size()
        elif self._deadline is None and not self._has_begun and not self._is_answering():
            # An empty line between requests: uvicorn has stopped waiting for it, the parser has not begun.
            self._expect_head()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._has_begun = True
        self._expect_head()

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers, or of the trailers after its body."""
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The last byte of its head."""
        self._is_in_head = False
        self._wait(BODY_PATIENCE)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The last byte of all."""
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered: there may be more to come of what was sent with it."""
        super().on_response_complete()
        if self._unparsed:
            self.flow.pause_reading()
            self.loop.call_soon(self._parse)

    def send_400_response(self, msg: str) -> None:
        """What was sent is no HTTP, or has been refused above."""
        if not self._is_over():
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        """The connection becomes a WebSocket; and with it what the client said without waiting for that."""
        self._stop_waiting()
        upgrade = sys.exception()
        super().handle_websocket_upgrade()
        early = self._slice[upgrade.args[0] :] + self._unparsed if upgrade is not None else b""
        self._unparsed = b""
        self.flow.resume_reading()
        protocol = self.transport.get_protocol()
        # uvicorn's own would stumble over it.
        if early and not self.transport.is_closing() and getattr(protocol, "takes_early", False):
            cast("asyncio.Protocol", protocol).data_received(early)

    def _is_answering(self) -> bool:
        """Whether the app is at work on a request."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _is_over(self) -> bool:
        """Whether what comes is for somebody else, or nobody."""
        return self.transport.is_closing() or self.transport.get_protocol() is not self

    def _expect_head(self) -> None:
        self._head_bytes = self._pending_bytes = 0
        self._is_in_head = True
        self._wait(HEAD_PATIENCE)

    def _wait(self, patience: float) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _count(self, piece: bytes) -> None:
        self._head_bytes += len(piece)
        if self._head_bytes > HEAD_BYTES:
            self._refuse_size()
            raise _Refused

    def _give_up(self) -> None:
        self._deadline = None
        if self._is_in_head and not self._has_begun and not self._pending_bytes:
            self.transport.close()  # nobody has said anything
        else:
            self._refuse(408, "The request took too long")

    def _refuse_size(self) -> None:
        self._refuse(431, f"The head of a request may have {HEAD_BYTES:,} bytes")

    def _refuse(self, status: int, problem: str) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        body = json.dumps({"error": problem}).encode()
        self.transport.write(handshake.response(status, _HEADERS, body))
        if self._is_answering():
            self.transport.close()  # an earlier request is being answered still, and may go on writing
            return
        linger(self.transport, partial(HttpToolsProtocol.connection_lost, self, None))
        self.loop.call_later(FLUSH_PATIENCE, self.transport.abort)
