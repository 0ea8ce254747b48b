"""An app for servers in processes of their own: it echoes, and tells what only they can see."""

import contextlib
import json
import os
import socket

from starlette.types import Receive, Scope, Send


def delays(port: int) -> list[bool]:
    """Whether small writes are held back (no TCP_NODELAY), for each TCP connection at ``port``."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the folder itself is open while it is listed
        with contextlib.suppress(OSError):
            plug = socket.socket(fileno=int(name))
            try:
                if plug.family != socket.AF_UNIX and plug.getsockname()[1] == port and plug.getpeername():
                    found.append(plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0)
            finally:
                plug.detach()  # it is not ours to close
    return found


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """A client that says "?" is told; anything else is echoed."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        words = event["text"]
        if words == "?":
            where = scope["server"] or ["", None]
            words = json.dumps({"process": os.getpid(), "delays": delays(where[1]) if where[1] else []})
        await send({"type": "websocket.send", "text": words})
