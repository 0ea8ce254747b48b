"""A meeting in a terminal, ``mikroroom join``: to try a server by hand. No audio, no video."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable

from websockets.exceptions import WebSocketException

from mikroroom.client import (
    Client,
    DisconnectedError,
    GapError,
    Heard,
    QueueFullError,
    RefusedError,
    Rejoined,
    Resumed,
    Suspended,
)
from mikroroom.protocol import events

HELP = (
    "Type to chat, /to NAME TEXT to one alone, /delete takes your last message back; "
    "/lock /unlock /hand /leave, /admit /reject /mute /kick /moderator NAME"
)


class Attendance:
    """One person at a terminal: who is who, what is printed, what is understood."""

    def __init__(self, client: Client, say: Callable[[str], None]) -> None:
        self._client = client
        self._say = say
        self._names: dict[str, str] = {}
        self._away: set[str] = set()
        self._has_raised_hand = False
        # Whose chat message was which: what is told anew may have been heard before.
        self._authors: dict[str, str] = {}

    def hear(self, event: Heard) -> None:  # noqa: C901, PLR0912 - a case for each event
        """Tell a person what happened."""
        match event:
            case events.ParticipantJoined(participant_id=who, name=name):
                self._names[who] = name
                role = " as host" if event.is_host else ""
                self._say(f"* {name} is here{role}" if who != self._client.id else f"* you are in{role}")
            case events.ParticipantUpdated(participant_id=who, is_connected=is_connected):
                self._see(who, is_connected=is_connected)
            case events.ParticipantLeft(participant_id=who):
                self._away.discard(who)
                self._say(f"* {self._names.pop(who, who)} has left")
            case events.WaitingRoom(participant_id=who, name=name):
                self._names[who] = name
                mine = who == self._client.id
                self._say("* wait to be let in" if mine else f"* {name} waits: /admit or /reject")
            case events.Chat():
                self._read(event)
            case events.MessageDeleted(message_id=message_id) if message_id in self._authors:
                self._say(f"* a message of {self._authors.pop(message_id)} was deleted")
            case events.RaiseHand(participant_id=who):
                self._say(f"* {self._names.get(who, who)} raises a hand")
            case events.RoomLocked():
                self._say("* the room is locked")
            case events.RoomUnlocked():
                self._say("* the room is unlocked")
            case events.ModeratorAction(action=action):
                self._say(f"* {action}: that is you")
            case events.RejectUser(reason=reason):
                self._say(f"* not let in: {reason}")
            case events.Error(message=message):
                self._say(f"! {message}")
            case Suspended():
                self._say("* connection lost, coming back…")
            case Resumed(own=own, replayed=replayed):
                self._return(own, "you are back", is_anew=not replayed)
            case Rejoined(own=own):
                self._has_raised_hand = False
                self._return(own, "you are back, as a newcomer", is_anew=True)
            case _:
                pass

    def _read(self, chat: events.Chat) -> None:
        if chat.message_id in self._authors:
            return
        who = chat.name or self._names.get(chat.participant_id, chat.participant_id)
        self._authors[chat.message_id] = who
        if chat.target_id:
            is_mine = chat.target_id == self._client.id
            who += f", to {'you' if is_mine else self._names.get(chat.target_id, chat.target_id)} alone"
        if chat.is_history:
            who += ", before you came"
        self._say(f"{who}: {chat.text}")

    def _see(self, who: str, *, is_connected: bool) -> None:
        """Tell when somebody else loses the connection, and when it is there again."""
        if is_connected is (who not in self._away):
            return
        (self._away.discard if is_connected else self._away.add)(who)
        self._say(f"* {self._names.get(who, who)} " + ("is back" if is_connected else "lost the connection"))

    def _return(self, own: events.ParticipantJoined | events.WaitingRoom, how: str, *, is_anew: bool) -> None:
        """Who is here now follows, if that is to be told anew."""
        if is_anew:
            self._names = {own.participant_id: own.name}
            self._away.clear()
        self._say(f"* {how}" if isinstance(own, events.ParticipantJoined) else f"* {how}; wait to be let in")

    async def understand(self, line: str) -> bool:
        """Do what was typed; False to leave."""
        word, _, rest = line.strip().partition(" ")
        if not word.startswith("/"):
            if line.strip():
                await self._client.chat(line.strip())
            return True
        if word == "/leave":
            return False
        simple: dict[str, Callable[[], Awaitable[None]]] = {
            "/lock": self._client.lock,
            "/unlock": self._client.unlock,
            "/hand": self._toggle_hand,
            "/delete": self._delete_last,
        }
        aimed: dict[str, Callable[[str], Awaitable[None]]] = {
            "/admit": self._client.admit,
            "/reject": self._client.reject,
            "/mute": lambda target: self._client.moderate(target, "mute"),
            "/kick": lambda target: self._client.moderate(target, "kick"),
            "/moderator": lambda target: self._client.moderate(target, "make-moderator"),
        }
        if word in simple:
            await simple[word]()
        elif word in aimed:
            target = next((who for who, name in self._names.items() if name == rest), rest)
            await aimed[word](target)
        elif word == "/to" and (found := self._addressee(rest)):
            await self._client.chat(found[1], target_id=found[0])
        else:
            self._say(HELP)
        return True

    def _addressee(self, line: str) -> tuple[str, str] | None:
        """To whom something is said, and what; None if that cannot be told. Names may have spaces in them."""
        for who, name in sorted(self._names.items(), key=lambda item: len(item[1]), reverse=True):
            if line.startswith(f"{name} ") and (text := line.removeprefix(name).strip()):
                return who, text
        return None

    async def _delete_last(self) -> None:
        own = [one for one in self._authors if one.endswith(self._client.id)]
        if own:
            await self._client.delete_message(own[-1])

    async def _toggle_hand(self) -> None:
        self._has_raised_hand = not self._has_raised_hand
        await (self._client.raise_hand if self._has_raised_hand else self._client.lower_hand)()


async def attend(url: str, code: str, name: str, *, password: str | None, is_host: bool) -> int:
    """Attend a meeting until the end of the input or of the meeting. Returns an exit code."""
    try:
        async with Client.connect(url) as client:
            attendance = Attendance(client, _print)
            attendance.hear(await client.join(code, name, password=password, is_host=is_host))
            _print(HELP)
            lines = _typed_lines()
            listening = asyncio.create_task(_listen(client, attendance))
            while not listening.done():
                typing = asyncio.ensure_future(lines.get())
                await asyncio.wait({typing, listening}, return_when=asyncio.FIRST_COMPLETED)
                line = typing.result() if typing.done() else None
                typing.cancel()
                if line is None or not await _do(attendance, line):
                    break
            if not listening.done():
                listening.cancel()
                await client.leave()
    except (RefusedError, DisconnectedError, WebSocketException, ValueError, OSError) as error:
        _print(f"! {error}")
        return 1
    return 0


async def _do(attendance: Attendance, line: str) -> bool:
    try:
        return await attendance.understand(line)
    except QueueFullError as full:
        _print(f"! {full}")
        return True


async def _listen(client: Client, attendance: Attendance) -> None:
    while True:
        try:
            attendance.hear(await client.receive())
        except (DisconnectedError, RefusedError, GapError) as end:
            _print(f"* disconnected: {end}")
            return


def _typed_lines() -> "asyncio.Queue[str | None]":
    """What is typed, line by line, then None. A read cannot be ended, so its thread ends with the process."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def printable(text: str) -> str:
    """What others wrote, so that it does not drive the terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _print(text: str) -> None:
    print(printable(text), flush=True)
