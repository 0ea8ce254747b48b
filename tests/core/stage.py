"""A stage for short plays about one room: who says what, who hears what, and who hears nothing.

People are known by a short name, which is their id as well; what they are called is that name capitalised.
``Stage`` carries out effects as a hub would, and fails a play at once whose effects no hub could carry out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from mikroroom.core.effects import Close, Effects, Gone, Held, Seated, Send, WrongToken
from mikroroom.core.room import Newcomer, Policy, Room, join, leave, open_room
from mikroroom.core.rules import act
from mikroroom.core.secrets import Password, digest_token
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import TYPE_OF
from mikroroom.protocol.codes import ErrorCode, Refusal

CODE = "STAGE2"
TOKEN = "the creator's token"
SALT = b"of this room"

LATENT_AGE = 86_400_000
RESUME_WINDOW = 30_000
KICK_WAIT = 600_000


def sealed(password: str, salt: bytes = SALT) -> Password:
    """A password sealed in no time: the core compares what was sealed, and does not care how."""
    return Password(salt, password.encode())


def line(message: events.Message | Close) -> str:
    """What someone hears, in a line: type, who, and whatever else the message says."""
    if isinstance(message, Close):
        return f"closed {message.code.value}"
    words = [TYPE_OF[type(message)], message.participant_id or "server"]
    for field in type(message).__struct_fields__:
        value = getattr(message, field)
        if field in ("timestamp", "room_id", "participant_id"):
            continue
        if field == "is_connected":
            words += [] if value else ["disconnected"]
        elif field == "name":
            words += [] if value == message.participant_id.capitalize() else [repr(value)]
        elif value is True:
            words.append(field.removeprefix("is_"))
        elif isinstance(value, str) and value:
            words.append(f"by {value}" if field.endswith("_by") else value)
    return " ".join(words)


class Stage:
    """A room with nobody in it yet. ``now`` is the time; ``guesses`` who came with a wrong creator token.

    ``seated`` and ``held`` are kept from the effects alone, as a hub does it.
    """

    def __init__(
        self,
        *,
        seats: int = 8,
        password: str | None = None,
        is_precreated: bool = False,
        max_waiting: int = 50,
    ) -> None:
        self.now = 1_000_000
        self.policy = Policy(LATENT_AGE, RESUME_WINDOW, KICK_WAIT, max_waiting)
        self.room = Room(
            code=CODE,
            max_participants=seats,
            creator_digest=digest_token(TOKEN),
            password=sealed(password) if password else None,
            is_precreated=is_precreated,
            expires_at=self.now + LATENT_AGE if is_precreated else None,
        )
        self.seated: dict[str, int] = {}
        self.held: set[str] = set()
        self.guesses: list[str] = []
        self._inboxes: dict[str, list[events.Message | Close]] = {}

    # Saying

    def opens(self, name: str, *, address: str | None = None) -> None:
        """Make the room ad hoc, and enter it."""
        maker = Newcomer(name, name.capitalize(), address or f"{name}'s")
        self._carry_out(open_room(self.room, maker, TOKEN))

    def joins(
        self, name: str, *, password: str | None = None, token: str | None = None, address: str | None = None
    ) -> None:
        """Come to the door, from an address of one's own unless told otherwise."""
        proof = sealed(password) if password else None
        newcomer = Newcomer(name, name.capitalize(), address or f"{name}'s", password, proof, token)
        self._carry_out(join(self.room, newcomer, self.now, self.policy))

    def leaves(self, name: str) -> None:
        """Go by word."""
        self._carry_out(leave(self.room, name, self.now, self.policy, by_word=True))

    def is_lost(self, name: str) -> None:
        """Go without a word."""
        self._carry_out(leave(self.room, name, self.now, self.policy, by_word=False))

    def does(self, name: str, request: requests.Message) -> None:
        """Ask for something."""
        self._carry_out(act(self.room, name, request, self.now, self.policy))

    def locks(self, name: str) -> None:
        """Lock the room."""
        self.does(name, requests.LockRoom())

    def unlocks(self, name: str) -> None:
        """Unlock the room."""
        self.does(name, requests.UnlockRoom())

    def admits(self, name: str, target: str) -> None:
        """Admit someone who waits."""
        self.does(name, requests.AdmitUser(target))

    def acts_on(self, name: str, target: str, action: requests.Action) -> None:
        """Do a moderator's action on someone."""
        self.does(name, requests.ModeratorAction(target, action))

    def passes(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds

    # Hearing

    def overhears(self, name: str) -> list[events.Message | Close]:
        """What someone has heard since last asked, word for word."""
        return self._inboxes.pop(name, [])

    def hears(self, name: str) -> list[str]:
        """What someone has heard since last asked, a line each."""
        return [line(message) for message in self.overhears(name)]

    def heard(self) -> dict[str, list[str]]:
        """What everybody has heard since last asked; whoever heard nothing is not in it."""
        return {name: self.hears(name) for name in sorted(self._inboxes)}

    @contextmanager
    def refuses(self, code: ErrorCode) -> Iterator[None]:
        """What is said in this block is refused; nothing has changed, and nobody has heard a thing."""
        before = self.picture()
        with pytest.raises(Refusal) as refused:
            yield
        assert refused.value.code is code
        assert refused.value.message
        assert self.picture() == before

    def picture(self) -> tuple[object, ...]:
        """Everything there is, to be compared with what there will be."""
        inboxes = {name: len(inbox) for name, inbox in self._inboxes.items()}
        return (
            msgspec.msgpack.encode(self.room),
            dict(self.seated),
            set(self.held),
            list(self.guesses),
            inboxes,
        )

    # Behind the scenes

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(to, event):
                    assert event.room_id == CODE
                    assert event.timestamp == 0, "the hub stamps it"
                    assert to
                    assert len(set(to)) == len(to)
                    for name in to:
                        assert name in self.seated or name in self.held, f"{name} is not here to hear it"
                        self._inboxes.setdefault(name, []).append(event)
                case Seated(name, seats):
                    assert name not in self.seated
                    self.held.discard(name)
                    self.seated[name] = seats
                case Held(name):
                    assert name not in self.seated
                    assert name not in self.held
                    self.held.add(name)
                case Gone(name):
                    self._goes(name)
                case Close(name):
                    self._goes(name)
                    self._inboxes.setdefault(name, []).append(effect)
                case WrongToken(name):
                    self.guesses.append(name)
        assert self.seated.keys() == self.room.participants.keys()
        assert self.held == self.room.waiting.keys()

    def _goes(self, name: str) -> None:
        assert name in self.seated or name in self.held, f"{name} is not here to go"
        self.seated.pop(name, None)
        self.held.discard(name)


def meeting(*names: str, seats: int = 8, max_waiting: int = 50) -> Stage:
    """An ad-hoc room: the first one made it, the others joined, and all of them have heard it."""
    stage = Stage(seats=seats, max_waiting=max_waiting)
    stage.opens(names[0])
    for name in names[1:]:
        stage.joins(name)
    stage.heard()
    return stage


def locked_meeting(
    *names: str, waiting: tuple[str, ...] = (), seats: int = 8, max_waiting: int = 50
) -> Stage:
    """The same, locked by its host, with others waiting to be admitted."""
    stage = meeting(*names, seats=seats, max_waiting=max_waiting)
    stage.locks(names[0])
    for name in waiting:
        stage.joins(name)
    stage.heard()
    return stage
