"""The HTTP part of a WebSocket (RFC 6455, 4): a request in, its answer out, both as bytes."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

Header = tuple[bytes, bytes]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
# What would end a header early, or begin another (RFC 9112, 11.1).
_BREAK = re.compile(rb"[\r\n\0]")


class Request(NamedTuple):
    """A handshake request that can be accepted. ``accept_key`` is the proof that it was understood."""

    target: bytes
    headers: list[Header]
    subprotocols: list[str]
    accept_key: bytes


class BadHandshake(Exception):
    """A request that is no WebSocket handshake. ``answer`` tells the client so."""

    def __init__(self, status: int, problem: str, *headers: Header) -> None:
        super().__init__(problem)
        self.answer = response(
            status,
            [*headers, (b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")],
            problem.encode(),
        )


def read(data: bytes) -> Request:
    """Read a request that an HTTP parser has found well-formed and written again, names in lower case.

    Raises:
        BadHandshake: not the method, the version or the key of a WebSocket handshake.
    """
    start, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, target, _ = start.split(b" ", 2)
    headers = []
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        headers.append((name, value))
        # As if they had come in one (RFC 9110, 5.3).
        fields[name] = fields[name] + b", " + value if name in fields else value
    if method != b"GET":
        raise BadHandshake(405, "A WebSocket handshake must be a GET request", (b"allow", b"GET"))
    if fields.get(b"sec-websocket-version") != b"13":
        raise BadHandshake(426, "Sec-WebSocket-Version must be 13", (b"sec-websocket-version", b"13"))
    subprotocols = fields.get(b"sec-websocket-protocol", b"").decode("latin-1").split(",")
    return Request(
        target,
        headers,
        [name for name in map(str.strip, subprotocols) if name],
        _accept_key(fields.get(b"sec-websocket-key", b"")),
    )


def switch(request: Request, headers: Iterable[Header], subprotocol: str | None) -> bytes:
    """The answer that accepts a request.

    Raises:
        ValueError: a header cannot be written.
    """
    more = [(b"sec-websocket-protocol", subprotocol.encode("latin-1"))] if subprotocol else []
    ours = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", request.accept_key),
    ]
    return _head(101, [*ours, *headers, *more])


def response(status: int, headers: Iterable[Header], body: bytes) -> bytes:
    """An answer that refuses, after which the connection is closed.

    Raises:
        ValueError: a header cannot be written.
    """
    headers = list(headers)
    if not any(name.lower() == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(body)))
    return _head(status, headers) + body


def _accept_key(key: bytes) -> bytes:
    try:
        nonce = base64.b64decode(key, validate=True)
    except binascii.Error:
        nonce = b""
    if len(nonce) != 16:
        raise BadHandshake(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def _head(status: int, headers: Iterable[Header]) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b""))]
    for name, value in headers:
        line = b"%b: %b" % (name, value)
        if _BREAK.search(line):
            raise ValueError(f"The header {name!r} holds a line break or NUL")
        lines.append(line)
    return b"\r\n".join([*lines, b"\r\n"])
