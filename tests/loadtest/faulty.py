"""A little server that is wrong on purpose, and knows how often it was."""

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from mikroroom.loadtest.people import BURST

Message = dict[str, Any]
# What goes out for what came in: messages, each with the id of who gets it.
Fault = Callable[["FaultyServer", Message], list[tuple[str, Message]]]
EVERY = 10


class FaultyServer:
    """Rooms, joins, leaves, relays and chats; every tenth relay goes through the fault."""

    def __init__(self, fault: Fault | None = None, *, status: HTTPStatus | None = None) -> None:
        self.fault = fault
        self.status = status
        self.faults = 0
        self.relays = 0
        self.held: Message | None = None
        self.rooms: dict[str, dict[str, tuple[str, ServerConnection]]] = {}
        self.hides_leaving = False
        self.url = ""

    def refuse(self, connection: ServerConnection, _: Request) -> Response | None:
        """Answer the handshake with a status, if there is one."""
        return None if self.status is None else connection.respond(self.status, "no\n")

    async def attend(self, connection: ServerConnection) -> None:
        """One client, from its first message to its last."""
        me = code = ""
        try:
            async for text in connection:
                message = json.loads(text)
                match message["type"]:
                    case "join":
                        me, code = str(uuid.uuid4()), message["roomId"]
                        self._join(me, code, message["name"], connection)
                    case "leave":
                        self._leave(me, code)
                    case "chat":
                        message |= {"roomId": code, "participantId": me, "messageId": "", "timestamp": 0}
                        for other in self.rooms[code]:
                            self._send(code, other, message)
                    case _:
                        message |= {"roomId": code, "participantId": me, "timestamp": 0}
                        self._relay(message)
        except ConnectionClosed:
            pass
        finally:
            self._leave(me, code)

    def _join(self, me: str, code: str, name: str, connection: ServerConnection) -> None:
        room = self.rooms.setdefault(code, {})
        room[me] = (name, connection)
        for other, (others_name, _) in ((me, room[me]), *room.items()):
            self._send(code, me, {"type": "participant-joined", "participantId": other, "name": others_name})
        for other in room:
            self._send(code, other, {"type": "participant-joined", "participantId": me, "name": name})

    def _leave(self, me: str, code: str) -> None:
        room = self.rooms.get(code, {})
        if room.pop(me, None) and not self.hides_leaving:
            for other in room:
                self._send(code, other, {"type": "participant-left", "participantId": me})

    def _relay(self, message: Message) -> None:
        self.relays += 1
        out = [(message["targetId"], message)]
        if self.fault is not None and (self.relays % EVERY == 0 or self.held is not None):
            out = self.fault(self, message)
        for receiver, what in out:
            self._send(message["roomId"], receiver, what)

    def _send(self, code: str, receiver: str, message: Message) -> None:
        seat = self.rooms[code].get(receiver)
        if seat is not None and seat[1].state is State.OPEN:
            # Payloads are to come byte by byte as they were.
            text = json.dumps({"roomId": code, "timestamp": 0, **message}, separators=(",", ":"))
            # Small enough for the system's buffer, so that it is written at once and in order.
            seat[1].protocol.send_text(text.encode())
            seat[1].send_data()


def drop(server: FaultyServer, message: Message) -> list[tuple[str, Message]]:
    """It is lost."""
    server.faults += 1
    return []


def repeat(server: FaultyServer, message: Message) -> list[tuple[str, Message]]:
    """It comes twice."""
    server.faults += 1
    return [(message["targetId"], message)] * 2


def swap(server: FaultyServer, message: Message) -> list[tuple[str, Message]]:
    """It comes after the next that the same sends to the same, unless it is the last of a burst."""
    held = server.held
    if held is None:
        if int(message["candidate"]["usernameFragment"][16:24], 16) % BURST == 0:
            return [(message["targetId"], message)]
        server.held = message
        return []
    if (held["participantId"], held["targetId"]) != (message["participantId"], message["targetId"]):
        return [(message["targetId"], message)]
    server.faults += 1
    server.held = None
    return [(message["targetId"], message), (held["targetId"], held)]


def misroute(server: FaultyServer, message: Message) -> list[tuple[str, Message]]:
    """It comes to somebody else, and to its target as well."""
    others = server.rooms[message["roomId"]].keys() - {message["targetId"], message["participantId"]}
    server.faults += 1
    return [(message["targetId"], message), (min(others), message)]


def alter(server: FaultyServer, message: Message) -> list[tuple[str, Message]]:
    """It has another payload, and comes as it was after it."""
    candidate = {**message["candidate"], "sdpMid": "1"}
    server.faults += 1
    return [(message["targetId"], {**message, "candidate": candidate}), (message["targetId"], message)]


@contextlib.asynccontextmanager
async def serving(server: FaultyServer) -> AsyncIterator[FaultyServer]:
    """Serve on a free port of loopback while the block lasts."""
    listening: Server
    async with serve(
        server.attend, "127.0.0.1", 0, process_request=server.refuse, compression=None
    ) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        server.url = f"ws://127.0.0.1:{port}/ws"
        yield server
