"""People who come back: they know the protocol, and check the number of every message that they hear."""

import asyncio
import contextlib
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from .servers import PATIENCE, Server

Message = dict[str, Any]

CODE = "ABC234"
FLAGS = ("name", "isHost", "isModerator", "isMuted", "isVideoOff", "isHandRaised", "isConnected")
# From here on a close code says: do not come back (R28).
FINAL = 4500


class Person:
    """Someone with a client that reconnects: resumes if it ``is_resumable``, joins again if not.

    A resumable one numbers what it says, and says again what did not arrive; one that ``repeats`` says again
    all that it did not see arrive. ``wrongs`` are the violations of the protocol that it noticed.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        *,
        code: str = CODE,
        is_resumable: bool = True,
        repeats: bool = False,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.code = code
        self.is_resumable = is_resumable
        self.repeats = repeats
        self.url = server.socket_url
        self.id = ""
        # The newest one, and the one before: a crash may have forgotten that there is a newer one.
        self.tokens: list[str] = []
        self.creator_token = ""
        self.last_seq = 0
        self.said: list[tuple[str, int]] = []
        self.heard: list[tuple[str, str, int]] = []
        self.wrongs: list[str] = []
        self.errors: list[Message] = []
        self.resumes: list[Message] = []
        # When each connection ended, and with which code; and when it was back.
        self.closes: list[tuple[float, int | None]] = []
        self.returns: list[float] = []
        # When each thing that was said was sent, and sent again.
        self.sent_at: dict[int, list[float]] = {}
        self.is_here = asyncio.Event()
        # Stays away while this is not set.
        self.may_return = asyncio.Event()
        self.may_return.set()
        # What it knows of the room.
        self.people: dict[str, dict[str, Any]] = {}
        self.waiting: dict[str, str] = {}
        self.locked_by: str | None = None
        self.recorders: set[str] = set()
        self.is_waiting = False
        self.connection: ClientConnection | None = None
        self._wish: Message = {}
        self._random = random.Random(f"{seed} {name}")
        self._count = 0
        self._unsure: deque[Message] = deque()
        self._sent = 0
        self._is_new_here = True
        self._more = asyncio.Event()
        self._living: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.id[:8]}>"

    # Coming and going

    async def comes(self, **wish: object) -> "Person":
        """Join, and from now on come back whenever the connection is lost."""
        self.starts(**wish)
        await self.is_back()
        return self

    def starts(self, **wish: object) -> None:
        """Likewise, and do not wait for it."""
        self._wish = wish
        self._living = asyncio.create_task(self._live())
        self._living.add_done_callback(self._is_at_its_end)

    async def is_back(self) -> None:
        """Wait until it is in the room, or its waiting room."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.is_here.wait()
        except TimeoutError:
            known = (self.closes[-3:], self.errors[-3:], self.wrongs[-3:])
            raise AssertionError(f"{self!r} is not there: {known}") from None

    async def goes(self) -> None:
        """Leave by word, and stay away."""
        if self.connection is not None and self.is_here.is_set():
            with contextlib.suppress(WebSocketException):
                await self.connection.send(json.dumps({"type": "leave"}))
        await self.vanishes()

    async def vanishes(self) -> None:
        """Be gone without a word, and stay away."""
        if self._living is not None:
            self._living.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._living
            self._living = None

    def _is_at_its_end(self, living: asyncio.Task[None]) -> None:
        if not living.cancelled() and (fault := living.exception()) is not None:
            self.wrongs.append(f"{self!r} did not understand: {fault!r}")

    def hangs_up(self) -> None:
        """The connection breaks; it comes back as soon as it may."""
        if self.connection is not None:
            self.connection.transport.abort()

    # Saying

    def says(self, kind: str, /, **fields: object) -> None:
        """Say something, now or once it is back. What is counted carries its number as text."""
        self._count += 1
        self._unsure.append({"type": kind, "clientSeq": self._count, **fields})
        self._more.set()

    def is_now(self, **flags: bool) -> None:
        """Change the own state. Only the others are told."""
        self.says("participant-updated", **flags)
        self.people[self.id] |= flags

    def chats(self) -> None:
        """Say something to everyone, to be counted."""
        self.said.append(("", self._count + 1))
        self.says("chat", text=f"{self._count + 1} {'x' * 40}")

    def offers(self, target: "Person") -> None:
        """Send something to one, to be counted."""
        self.said.append((target.id, self._count + 1))
        self.says("offer", targetId=target.id, sdp=f"{self._count + 1} {'x' * 40}")

    @property
    def unsure(self) -> int:
        """How much of what it said may not have arrived."""
        return len(self._unsure)

    # What it knows

    def view(self) -> dict[str, Any]:
        """The room as it knows it, to be compared with what others know."""
        return {"people": self.people, "locked": self.locked_by, "recorders": self.recorders}

    # The connection

    async def _live(self) -> None:
        while True:
            await self.may_return.wait()
            code = await self._attend()
            if self.is_here.is_set():
                self.closes.append((time.monotonic(), code))
            self.is_here.clear()
            self.connection = None
            if code is not None and code >= FINAL:
                return
            # Jitter, so that not everyone knocks in the same order each time.
            await asyncio.sleep(self._random.uniform(0.02, 0.12))

    async def _attend(self) -> int | None:
        """One connection, from handshake to end; the code with which it was closed."""
        try:
            async with connect(
                self.url,
                compression=None,
                proxy=None,
                ping_interval=None,
                open_timeout=PATIENCE,
                close_timeout=2,
                max_queue=None,
            ) as connection:
                self.connection = connection
                self._is_new_here = True
                await connection.send(json.dumps(self._join()))
                writing = asyncio.create_task(self._write(connection))
                try:
                    async for text in connection:
                        self._hears(json.loads(text))
                finally:
                    writing.cancel()
        except (OSError, WebSocketException, TimeoutError):
            pass
        return self.connection.close_code if self.connection is not None else None

    def _join(self) -> Message:
        if self.tokens:
            return {
                "type": "join",
                "roomId": self.code,
                "resumeToken": self.tokens[0],
                "lastSeq": self.last_seq,
            }
        resume = {"resume": True} if self.is_resumable else {}
        return {"type": "join", "roomId": self.code, "name": self.name, **resume, **self._wish}

    async def _write(self, connection: ClientConnection) -> None:
        while True:
            self._more.clear()
            for message in [each for each in self._unsure if each["clientSeq"] > self._sent]:
                if not self.is_here.is_set():
                    break
                self._sent = message["clientSeq"]
                self.sent_at.setdefault(self._sent, []).append(time.monotonic())
                with contextlib.suppress(WebSocketException):
                    await connection.send(json.dumps(message))
            await self._more.wait()

    def _knows_to_have_arrived(self, client_seq: int) -> None:
        while self._unsure and self._unsure[0]["clientSeq"] <= client_seq:
            self._unsure.popleft()

    # Hearing

    def _hears(self, message: Message) -> None:
        kind = message["type"]
        if self._is_new_here and kind in {"participant-joined", "waiting-room"}:
            self._is_new_here = False
            self._arrives(message)
        else:
            self._check_number(message)
        self._learns(kind, message)

    def _check_number(self, message: Message) -> None:
        if self._is_new_here:
            return  # an error: it was not let in
        seq = message.get("seq")
        if self.is_resumable and seq != self.last_seq + 1:
            self.wrongs.append(f"{self!r} heard {seq} after {self.last_seq}: {message}")
        if not self.is_resumable and seq is not None:
            self.wrongs.append(f"{self!r} never asked for numbers: {message}")
        self.last_seq = seq or 0

    def _arrives(self, own: Message) -> None:
        """The own ``participant-joined`` or ``waiting-room``: who one is, and from where numbers go on."""
        was = self.id
        self.id = own["participantId"]
        if self.is_resumable:
            before, self.last_seq = self.last_seq, own["seq"]
            if self.tokens:
                self.resumes.append(own)
                first = [before] if own.get("replayed") else range(before + 1, 2**52)
                if not own.get("resumed") or self.id != was or own["seq"] not in first:
                    self.wrongs.append(f"{self!r} resumed after {before}, and heard {own}")
            elif own["seq"] != 1 or "resumed" in own:
                self.wrongs.append(f"{self!r} joined, and heard {own}")
            self.tokens = [own["resumeToken"], *self.tokens[:1]]
        self.creator_token = own.get("creatorToken", self.creator_token)
        if not own.get("replayed"):
            self.people, self.waiting, self.locked_by, self.recorders = {}, {}, None, set()
        taken = 0 if self.repeats else own.get("lastClientSeq", 0)
        self._knows_to_have_arrived(taken)
        self._sent = taken if self.is_resumable else self._sent
        self.returns.append(time.monotonic())
        self.is_here.set()
        self._more.set()

    def _learns(self, kind: str, message: Message) -> None:
        who = message["participantId"]
        match kind:
            case "participant-joined" | "participant-updated" | "participant-left":
                self._learns_of_someone(kind, who, message)
            case "waiting-room" if who == self.id:
                self.is_waiting = True
            case "waiting-room":
                self.waiting[who] = message["name"]
            case "room-locked" | "room-unlocked":
                self.locked_by = message.get("lockedBy")
            case "recording-started":
                self.recorders.add(message["startedBy"])
            case "recording-stopped":
                self.recorders.discard(message["stoppedBy"])
            case "chat" | "offer":
                self._hears_talk(message)
            case "error":
                self._is_refused(message)

    def _learns_of_someone(self, kind: str, who: str, message: Message) -> None:
        if kind == "participant-joined":
            self.waiting.pop(who, None)
            self.people[who] = {flag: message[flag] for flag in FLAGS}
            self.is_waiting = self.is_waiting and who != self.id
        elif kind == "participant-updated":
            if who not in self.people:
                self.wrongs.append(f"{self!r} heard of a stranger: {message}")
            else:
                self.people[who] |= {flag: message[flag] for flag in FLAGS if flag in message}
        elif self.people.pop(who, None) is None and self.waiting.pop(who, None) is None:
            self.wrongs.append(f"{self!r} heard that a stranger left: {message}")

    def _hears_talk(self, message: Message) -> None:
        number = int((message.get("text") or message.get("sdp") or "0").split()[0])
        self.heard.append((message["participantId"], message["type"], number))
        if message["participantId"] == self.id:
            self._knows_to_have_arrived(number)

    def _is_refused(self, error: Message) -> None:
        self.errors.append(error)
        if error["code"] == "RESUME_FAILED":
            del self.tokens[:1]
            if not self.tokens:
                # What it said as who it was is nothing to say as somebody new.
                self.last_seq = 0
                self._unsure.clear()
            self.hangs_up()


class Plain:
    """Someone who joins once, says and hears by hand, and never comes back by itself."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.id = ""

    async def joins(self, code: str = CODE, name: str = "Zoe", **fields: object) -> Message:
        """Join, and hear what comes of it."""
        await self.says("join", roomId=code, name=name, **fields)
        answer = await self.hears()
        self.id = answer["participantId"]
        return answer

    async def says(self, kind: str, /, **fields: object) -> None:
        """Send a message."""
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def hears(self) -> Message:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message: Message = json.loads(await self.connection.recv())
        return message

    async def hears_of(self, kind: str) -> Message:
        """The next message of this type, whatever comes before it."""
        while (message := await self.hears())["type"] != kind:
            pass
        return message

    async def is_closed(self) -> int | None:
        """The code with which the connection is closed, whatever comes before that."""
        with contextlib.suppress(WebSocketException):
            while True:
                await self.hears()
        return self.connection.close_code


def visitor(server: Server, **options: Any) -> connect:
    """A connection for someone ``Plain``, as a context."""
    chosen: dict[str, Any] = {"compression": None, "proxy": None, "ping_interval": None, **options}
    return connect(server.socket_url, max_queue=None, open_timeout=PATIENCE, close_timeout=2, **chosen)


async def eventually(happens: Callable[[], Awaitable[bool] | bool], why: Callable[[], object] = str) -> None:
    """Ask again and again until it is so. ``why`` tells what was so instead."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = happens()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < deadline, f"never came about: {why()}"
        await asyncio.sleep(0.02)


async def all_back(people: Iterable[Person]) -> None:
    """Wait until everyone is there."""
    for person in people:
        await person.is_back()


async def all_agree(people: Iterable[Person], is_so: Callable[[Person], bool] = lambda _: True) -> None:
    """Wait until all of them know the same of the room, and that ``is_so`` for each."""
    everyone = list(people)

    def agree() -> bool:
        return all(person.view() == everyone[0].view() and is_so(person) for person in everyone)

    await eventually(agree, lambda: [person.view() for person in everyone])


async def all_go(people: Iterable[Person]) -> None:
    """Everyone leaves by word."""
    for person in people:
        await person.goes()
