"""The cast: a ``Person`` is one client of a server.

Nobody here waits by the clock. That a person hears *nothing* is shown with a fence: it says something of no
known type, which every server must refuse, and whatever was sent to it earlier has to arrive before that
refusal. Every wait for something that must come is bounded by ``PATIENCE``.

Where a site has several workers, what somebody on another one caused may still be on its way then. So first
everybody else in the room greets the one who listens: between two people the order is kept, over workers too.
"""

import asyncio
import contextlib
import json
import random
import socket
import string
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

Message = dict[str, Any]

# Seconds after which what should have come is taken never to come: far more than a slow machine needs, and
# less than the time after which a server would see to it anyway (a window to come back, pings).
PATIENCE = 25.0

FENCE = "fence"

# A greeting goes from one to another as any relay does. No test has a candidate with such a name in it.
RELAY = "ice-candidate"
GREETING = "greeting"

_used_codes: set[str] = set()

# What only those are told who asked to be able to come back (R40, R42, R47).
RESUMING = frozenset({"seq", "resumeToken", "resumeWindow", "resumed", "replayed", "lastClientSeq"})

# What each message of the server has at least: by the reference, and R12, R15, R18, R20, R27 beyond it.
_BASE: dict[str, Any] = {"type": str, "roomId": str, "participantId": str, "timestamp": (int, float)}
_FLAGS: dict[str, Any] = dict.fromkeys(
    ("isMuted", "isVideoOff", "isHandRaised", "isModerator", "isHost", "isConnected"), bool
)
_SHAPES: dict[str, dict[str, Any]] = {
    "participant-joined": {"name": str, **_FLAGS},
    "participant-updated": _FLAGS,
    "waiting-room": {"name": str},
    "chat": {"text": str, "messageId": str},
    "room-locked": {"lockedBy": str},
    "room-unlocked": {"unlockedBy": str},
    "recording-started": {"startedBy": str},
    "recording-stopped": {"stoppedBy": str},
    "moderator-action": {"targetId": str, "action": str},
    "error": {"message": str, "code": str},
}


class Person:
    """Someone with a client: ``says`` and ``hears`` things, and fails the test when hearing anything else.

    ``id`` and ``room`` are what the server made of the last join. ``text`` is the last message as it came.
    ``token`` and ``seq`` are what a resumable person would come back with: the latter is the number of the
    last message that has come, and 0 for someone to whom nothing is numbered. ``company`` is everybody who
    may be on another worker than this person: nobody on a site that has only one.
    """

    def __init__(self, name: str, connection: ClientConnection, company: Collection["Person"] = ()) -> None:
        self.name = name
        self.connection = connection
        self.company = company
        self.id = ""
        self.room = ""
        self.text = ""
        self.token = ""
        self.seq = 0
        self._held: deque[Message] = deque()
        # The participants of this person's room that it has heard of, itself included.
        self._known: set[str] = set()
        # While the answer to a join with `resume` is awaited: 0, or the number that it goes on from.
        self._numbered_from: int | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.id} in {self.room or 'no room'}>"

    # Saying

    async def sends(self, message: str | bytes) -> None:
        """Send this very text, or bytes as a binary message."""
        async with asyncio.timeout(PATIENCE):
            await self.connection.send(message)

    async def says(self, kind: str, /, **fields: object) -> None:
        """Send a message with the base structure of the reference around these fields."""
        base = {"roomId": self.room, "participantId": self.id, "timestamp": time.time_ns() // 1_000_000}
        await self.sends(json.dumps({"type": kind, **base, **fields}))

    async def asks_to_join(self, code: str, **fields: object) -> None:
        """Send a ``join`` and leave the answer to be heard."""
        self._numbered_from = 0 if fields.get("resume") else None
        await self.says("join", **{"roomId": code, "participantId": "", "name": self.name, **fields})

    async def joins(self, code: str, **fields: object) -> Message:
        """Join, and hear so. Returns the own ``participant-joined``; the snapshot is still to be heard."""
        await self.asks_to_join(code, **fields)
        return await self.is_let_in()

    async def knocks(self, code: str, **fields: object) -> Message:
        """Ask to join a room that is locked, and hear that one must wait."""
        await self.asks_to_join(code, **fields)
        waiting = await self.hears("waiting-room", name=self.name)
        self.id, self.room = waiting["participantId"], waiting["roomId"]
        return waiting

    async def asks_to_resume(self, lost: "Person", **fields: object) -> None:
        """Send the ``join`` with which the same person, on this new connection, takes its place again."""
        wish = {"roomId": lost.room, "resumeToken": lost.token, "lastSeq": lost.seq, **fields}
        self._numbered_from = wish["lastSeq"] if isinstance(wish["lastSeq"], int) else 0
        self._known |= lost._known
        await self.says("join", **wish)

    async def resumes(self, lost: "Person", **fields: object) -> Message:
        """Take that place again. Returns the own message that says so; what was missed is to be heard yet."""
        await self.asks_to_resume(lost, **fields)
        own = await self.hears_something()
        assert own["type"] in {"participant-joined", "waiting-room"}, own
        assert (own["participantId"], own["name"], own.get("resumed")) == (lost.id, lost.name, True), own
        self.id, self.room = own["participantId"], own["roomId"]
        return own

    async def leaves(self) -> None:
        """Leave by word. Whether the server confirms it is open: what comes until it is done is dropped."""
        await self.says("leave")
        self._numbered_from = self.seq
        await self.is_done()
        self._held.clear()
        self.id = self.room = self.token = ""
        self.seq, self._numbered_from = 0, None

    async def hangs_up(self, code: int = 1000) -> None:
        """Close the connection in good order."""
        async with asyncio.timeout(PATIENCE):
            await self.connection.close(code)

    async def goes_away(self) -> None:
        """What a browser does when its page is closed or loaded anew (RFC 6455, 7.4.1: 1001)."""
        await self.hangs_up(1001)

    async def falls_silent(self) -> None:
        """End the stream without a close frame, as when a process is killed: the server gets a FIN."""
        self.connection.transport.write_eof()
        async with asyncio.timeout(PATIENCE):
            await self.connection.wait_closed()

    async def vanishes(self) -> None:
        """Cut the connection off, without a word: the server gets a reset."""
        lingering = self.connection.transport.get_extra_info("socket")
        lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.connection.transport.abort()
        async with asyncio.timeout(PATIENCE):
            await self.connection.wait_closed()

    # Hearing

    async def hears(self, kind: str, /, **fields: object) -> Message:
        """The next message is of this type and has these fields (and may have more). Returns it."""
        message = await self.hears_something()
        expected = {"type": kind, **fields}
        heard = {name: message.get(name, "(absent)") for name in expected}
        assert heard == expected, f"{self!r} heard {message}"
        return message

    async def hears_something(self) -> Message:
        """The next message, whatever it is."""
        return self._held.popleft() if self._held else await self._receive()

    async def hears_everything(self) -> list[Message]:
        """All messages up to now that were not heard yet."""
        await self._is_greeted()
        await self.is_done()
        heard = list(self._held)
        self._held.clear()
        return heard

    async def hears_until(self, kind: str, /, **fields: object) -> list[Message]:
        """All messages up to the first of this type with these fields, which is the last one returned."""
        heard: list[Message] = []
        while not heard or not _fits(heard[-1], kind, fields):
            heard.append(await self.hears_something())
        return heard

    async def hears_nothing(self, *, after: "Person | None" = None) -> None:
        """Nothing more has come; not even once all that ``after`` said has been dealt with."""
        if after:
            await after.is_done()
        heard = await self.hears_everything()
        assert not heard, f"{self!r} should have heard nothing"

    async def is_let_in(self) -> Message:
        """The next message is the own ``participant-joined``."""
        joined = await self.hears("participant-joined", name=self.name)
        if self.id and self.room:
            assert joined["participantId"] == self.id, "an admitted person keeps its id"
        self.id, self.room = joined["participantId"], joined["roomId"]
        return joined

    async def is_refused(self, code: str, request: str | None = None) -> Message:
        """The next message is an error with this code (and, if given, about this type of request)."""
        about = {"requestType": request} if request else {}
        return await self.hears("error", code=code, **about)

    async def is_done(self) -> None:
        """The fence: everything this person said has been dealt with. What it hears meanwhile is kept."""
        await self.sends(json.dumps({"type": FENCE}))
        while not _is_fence(message := await self._receive()):
            self._held.append(message)

    async def is_closed_with(self, code: int) -> None:
        """Nothing more comes, and the connection is closed with this code."""
        heard = await self.hears_until_closed()
        assert (heard, self.connection.close_code) == ([], code), f"{self!r}"

    async def hears_until_closed(self) -> list[Message]:
        """All messages until the connection is closed, which it must be."""
        heard = list(self._held)
        self._held.clear()
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(await self._receive())
        return heard

    async def _is_greeted(self) -> None:
        """What the others in the room said and did has arrived, whichever worker they are on."""
        others = [person for person in self.company if person._is_with(self)]
        awaited = set(await asyncio.gather(*(person._greets(self) for person in others))) - {None}
        while awaited:
            message = await self._take()
            if _is_greeting(message):
                awaited.discard(message["candidate"][GREETING])
            else:
                self._held.append(message)

    def _is_with(self, other: "Person") -> bool:
        """Both are participants of one room, and this one still listens."""
        both_are_in = self.id in self._known and other.id in other._known and self.room == other.room
        listens = self.connection.state is State.OPEN and self.connection.transport.is_reading()
        return both_are_in and listens and self.id != other.id

    async def _greets(self, other: "Person") -> str | None:
        """Say something to someone in the room, and return it; None if one of them is there no more."""
        words = str(uuid4())
        with contextlib.suppress(ConnectionClosed):
            while other.id not in self._known:  # the news of it is still on its way here
                self._held.append(await self._receive())
            await self.says(RELAY, targetId=other.id, candidate={GREETING: words})
            await self.is_done()
            refusals = [message for message in self._held if message.get("requestType") == RELAY]
            if not refusals:
                return words
            assert refusals[-1]["code"] in {"NOT_IN_ROOM", "TARGET_NOT_FOUND"}, refusals[-1]
            self._held.remove(refusals[-1])
        return None

    async def _receive(self) -> Message:
        """The next message that is no greeting: one may come late from someone whose connection broke."""
        while _is_greeting(message := await self._take()):
            pass
        return message

    async def _take(self) -> Message:
        try:
            async with asyncio.timeout(PATIENCE):
                text = await self.connection.recv()
        except TimeoutError:
            pytest.fail(f"{self!r} waited in vain to hear something")
        assert isinstance(text, str), "signaling is text"
        self.text = text
        message: Message = json.loads(text)
        self._check(message)
        if message["type"] == "participant-joined":
            self._known.add(message["participantId"])
        elif message["type"] == "participant-left":
            self._known.discard(message["participantId"])
        return message

    def _check(self, message: Message) -> None:
        """What holds for every message of the server, so that no test needs to say it."""
        for field, kind in (_BASE | _SHAPES.get(message.get("type", ""), {})).items():
            assert isinstance(message.get(field), kind), f"`{field}` is missing or wrong in {message}"
        assert not isinstance(message["timestamp"], bool), message
        if message["type"] == "error":
            assert (message["roomId"], message["participantId"]) == ("", ""), message
            assert message["message"] and message["code"], message
        elif self.room:
            assert message["roomId"] == self.room, f"{self!r} heard something of another room: {message}"
        self._check_number(message)

    def _check_number(self, message: Message) -> None:
        """R40: nothing new to who did not ask; to others a number without a gap, from the own message on."""
        about_resuming = RESUMING & message.keys()
        if "resumeToken" in message and self._numbered_from is not None and not self.seq:
            self._take_place(message, self._numbered_from)
        elif self.seq and about_resuming:
            self.seq += 1
            assert about_resuming == {"seq"}, f"{self!r} heard {message}"
            assert message["seq"] == self.seq, f"{self!r} heard {message}"
        else:
            has_left = self._numbered_from is not None
            assert not about_resuming, f"{self!r} heard {message}"
            assert not self.seq or has_left, f"{self!r} heard something without a number: {message}"

    def _take_place(self, own: Message, last_seq: int) -> None:
        """The own message says how to come back, and from where the numbers go on."""
        if "resumed" not in own:
            assert RESUMING & own.keys() == {"seq", "resumeToken", "resumeWindow"}, own
            assert (last_seq, own["seq"]) == (0, 1), own
        else:
            assert own.keys() >= RESUMING, own
            assert own["resumed"] is True, own
            assert isinstance(own["replayed"], bool), own
            assert own["seq"] == last_seq if own["replayed"] else own["seq"] > last_seq, own
        assert isinstance(own["resumeToken"], str) and len(own["resumeToken"]) >= 32, own
        self.token, self.seq, self._numbered_from = own["resumeToken"], own["seq"], None


async def eventually(happens: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it is so: for what the server does by its own clock."""
    async with asyncio.timeout(PATIENCE):
        while not await happens():
            await asyncio.sleep(0.05)


def new_code() -> str:
    """A room code that nobody has used.

    Nor will a server make it up: it has a zero in it as well as an O, and R1 wants no look-alikes.
    """
    while True:
        letters = random.choices(string.ascii_uppercase + string.digits, k=4)
        code = "".join(random.sample(["0", "O", *letters], 6))
        if code not in _used_codes:
            _used_codes.add(code)
            return code


async def make_moderator(host: Person, chosen: Person, *others: Person) -> None:
    """Someone becomes a moderator, and everyone has heard all about it."""
    await host.says("moderator-action", targetId=chosen.id, action="make-moderator")
    for person in (host, *others):
        await person.hears("participant-updated", participantId=chosen.id, isModerator=True)
    heard = [(await chosen.hears_something())["type"] for _ in range(2)]
    assert sorted(heard) == ["moderator-action", "participant-updated"]


def ids(heard: list[Message], kind: str) -> list[str]:
    """Whom the messages of one type are about, in order."""
    return [message["participantId"] for message in heard if message["type"] == kind]


def _fits(message: Message, kind: str, fields: dict[str, object]) -> bool:
    return {"type": kind, **fields}.items() <= message.items()


def _is_greeting(message: Message) -> bool:
    return message["type"] == RELAY and GREETING in (message["candidate"] or {})


def _is_fence(message: Message) -> bool:
    return (
        message["type"] == "error"
        and message["code"] == "INVALID_MESSAGE"
        and message.get("requestType") in (None, FENCE)
    )
