"""The people before a server: they connect, join, and are handed to the pump with what they will say."""

import itertools
import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

ROOM = 8
PATIENCE = 20.0

# SO_LINGER, for no time at all: a reset.
_AT_ONCE = struct.pack("ii", 1, 0)
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
# With what stands around it a message of 1.8 kB.
_SDP = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" + 19 * (
    "a=candidate:842163049 1 udp 1677729535 192.0.2.7 46154 typ srflx generation 0\r\n"
)


class CrowdError(Exception):
    """The server did not do its part; the text says where."""


def frame(message: bytes) -> bytes:
    """A client's text frame (RFC 6455, 5.2)."""
    size = len(message)
    head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + size.to_bytes(2)
    key = os.urandom(4)
    stretched = (key * (size // 4 + 1))[:size]
    return head + key + (int.from_bytes(message) ^ int.from_bytes(stretched)).to_bytes(size)


class Person:
    """One client: a blocking socket until it is left to the pump."""

    def __init__(self, address: int, port: int) -> None:
        self._address = address
        self.id = "00000000-0000-4000-8000-000000000000"
        self.code = "000000"
        # What it may come back with (R42).
        self.token = ""
        self.socket = _at(address)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self._unread = b""

    @property
    def port(self) -> int:
        """Its own end of the connection."""
        return int(self.socket.getsockname()[1])

    def cut(self) -> None:
        """Be gone with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.socket.close()

    def renew(self) -> None:
        """Have a new socket at the same address, not yet connected."""
        self.socket = _at(self._address)
        self.socket.setblocking(False)
        self._unread = b""

    def upgrade(self) -> None:
        """Ask for a WebSocket."""
        self.socket.sendall(UPGRADE)

    def open(self) -> None:
        """Hear the answer."""
        while b"\r\n\r\n" not in self._unread:
            self._read()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise CrowdError(f"the handshake was answered: {head.splitlines()[0].decode()}")

    def says(self, kind: str, **fields: object) -> None:
        """Send a message now."""
        self.socket.sendall(self.frame(kind, **fields))

    def frame(self, kind: str, **fields: object) -> bytes:
        """A message of this person's as browsers send it, in a frame."""
        facts = {"type": kind, "roomId": self.code, "participantId": self.id, **fields}
        facts["timestamp"] = time.time_ns() // 1_000_000
        return frame(json.dumps(facts, separators=(",", ":")).encode())

    def hears(self, kind: str) -> dict[str, Any]:
        """The next message, which must be of this type."""
        message: dict[str, Any] = json.loads(self._next())
        if message["type"] != kind:
            raise CrowdError(f"{kind} was expected, and this came: {message}")
        return message

    def _next(self) -> bytes:
        while True:
            unread = self._unread
            start, size = 2, unread[1] & 127 if len(unread) > 1 else 0
            if size == 126:
                start, size = 4, int.from_bytes(unread[2:4])
            if len(unread) >= max(start + size, 2):
                self._unread = unread[start + size :]
                return unread[start : start + size]
            self._read()

    def _read(self) -> None:
        more = self.socket.recv(65_536)
        if not more:
            raise CrowdError("the server closed the connection")
        self._unread += more


class Crowd:
    """People in rooms of eight, in one list, room after room. Everyone in a room has heard of everyone."""

    def __init__(self, port: int, *, joins: bool = True, resumes: bool = False) -> None:
        self.people: list[Person] = []
        self._port = port
        self._joins = joins
        self._asks = {"resume": True} if resumes else {}
        self._addresses = itertools.count(0x400001)
        self._codes = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for person in self.people:
            person.socket.close()

    def last_rooms(self, count: int) -> list[list[Person]]:
        """The people of so many rooms that came last."""
        people = self.people[-count * ROOM :]
        return [people[start : start + ROOM] for start in range(0, len(people), ROOM)]

    def drop(self, rooms: int) -> None:
        """The people of so many rooms that came last end their connections."""
        for person in self.people[-rooms * ROOM :]:
            person.socket.close()
        del self.people[-rooms * ROOM :]

    def fill(self, rooms: int) -> list[Person]:
        """Bring so many rooms full of people. Returns the newcomers."""
        newcomers: list[Person] = []
        for _ in range(rooms):
            newcomers += self._fill_room(f"{next(self._codes):06d}")
        return newcomers

    def _fill_room(self, code: str) -> list[Person]:
        people = [Person(next(self._addresses), self._port) for _ in range(ROOM)]
        self.people += people
        for person in people:
            person.upgrade()
        for person in people:
            person.open()
        if self._joins:
            for person in people:
                self._join(person, code)
            for person in people:
                for _ in range(ROOM - 1):
                    person.hears("participant-joined")
        return people

    def _join(self, person: Person, code: str) -> None:
        person.says("join", roomId=code, name="Somebody", isHost=True, **self._asks)
        person.code = code
        joined = person.hears("participant-joined")
        person.id, person.token = joined["participantId"], joined.get("resumeToken", "")


def _at(address: int) -> socket.socket:
    """A socket of one of loopback's many addresses: limits that are counted by them stay as they are."""
    found = socket.socket()
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.bind((f"127.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}", 0))
    return found


def rooms_of(people: Sequence[Person]) -> Iterator[Sequence[Person]]:
    """The people room by room."""
    for start in range(0, len(people), ROOM):
        yield people[start : start + ROOM]


def offers(people: Sequence[Person]) -> list[bytes]:
    """For each an offer to the next one of its room."""
    return [frame for room in rooms_of(people) for frame in circle(room)]


def circle(people: Sequence[Person]) -> list[bytes]:
    """For each an offer to the next one, and for the last to the first."""
    following = [*people[1:], *people[:1]]
    return [
        person.frame("offer", targetId=target.id, sdp=_SDP)
        for person, target in zip(people, following, strict=True)
    ]


def chats(people: Sequence[Person], size: int = 100) -> list[bytes]:
    """For each a text to its room."""
    return [person.frame("chat", text="x" * size) for person in people]


def echoes(people: Sequence[Person]) -> list[bytes]:
    """For each a short text."""
    return [frame(b"x" * 60) for _ in people]
