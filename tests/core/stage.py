"""A stage for short plays about one room: who says what, who hears what, and who hears nothing.

People are known by a short name, which is their id as well; what they are called is that name capitalised.
``Stage`` carries out effects as a hub would, and fails a play at once whose effects no hub could carry out.
The tokens of someone who may come back are its name with a number, and so are its connections.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from mikroroom.core.chat import say
from mikroroom.core.chronicle import RoomEvent
from mikroroom.core.door import Newcomer, join, leave, open_room
from mikroroom.core.effects import (
    Close,
    Effect,
    Effects,
    Gone,
    Happened,
    Held,
    Lapsed,
    Resumed,
    Seated,
    Send,
    Suspended,
    Widened,
    WrongToken,
)
from mikroroom.core.grants import NO_GRANT, Grant
from mikroroom.core.resume import Returner, forsake, lapse, lose, restore, resume
from mikroroom.core.room import Policy, Room
from mikroroom.core.rules import act
from mikroroom.core.secrets import Password, digest_token
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import TYPE_OF
from mikroroom.protocol.codes import ErrorCode, Refusal

from .outsider import Outsider

CODE = "STAGE2"
TOKEN = "the creator's token"
SALT = b"of this room"

LATENT_AGE = 86_400_000
RESUME_WINDOW = 30_000
KICK_WAIT = 600_000


def sealed(password: str, salt: bytes = SALT) -> Password:
    """A password sealed in no time: the core compares what was sealed, and does not care how."""
    return Password(salt, password.encode())


Heard = events.Message | Close | Resumed


def line(message: Heard) -> str:
    """What someone hears, in a line: type, who, and whatever else the message says."""
    if isinstance(message, Close):
        return f"closed {message.code.value}"
    if isinstance(message, Resumed):
        return f"back: {line(message.own)}"
    words = [TYPE_OF[type(message)], message.participant_id or "server"]
    for field in type(message).__struct_fields__:
        value = getattr(message, field)
        if field in ("timestamp", "room_id", "participant_id") or value is msgspec.UNSET:
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

    ``seated``, ``held`` and ``suspended`` (with the address) are kept from the effects alone, as a hub does
    it, and so are ``connections``, and ``late`` with the tokens whose time is over. What is said to someone
    who is suspended is kept for it. ``tokens`` are those that were given out last.
    The ``outsider`` hears of it all from outside, and must know at any time who is there.
    """

    def __init__(
        self,
        *,
        seats: int = 8,
        password: str | None = None,
        is_precreated: bool = False,
        max_waiting: int = 50,
        chat_history: int = 0,
    ) -> None:
        self.now = 1_000_000
        self.policy = Policy(LATENT_AGE, RESUME_WINDOW, KICK_WAIT, max_waiting, chat_history)
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
        self.suspended: dict[str, str] = {}
        self.connections: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.late: list[bytes] = []
        self.guesses: list[str] = []
        self.outsider = Outsider()
        self.happened: list[RoomEvent] = []
        self._inboxes: dict[str, list[Heard]] = {}
        self._count = 0

    # Saying

    def opens(self, name: str, *, address: str | None = None, may_resume: bool = False) -> None:
        """Make the room ad hoc, and enter it."""
        maker = Newcomer(name, name.capitalize(), address or f"{name}'s", resume_token=f"{name}#1")
        if not may_resume:
            maker.resume_token = None
        self._enters(maker, open_room(self.room, maker, TOKEN, self.policy))

    def joins(
        self,
        name: str,
        *,
        password: str | None = None,
        token: str | None = None,
        address: str | None = None,
        may_resume: bool = False,
        grant: Grant = NO_GRANT,
        invite: str | None = None,
    ) -> None:
        """Come to the door, from an address of one's own unless told otherwise."""
        proof = sealed(password) if password else None
        newcomer = Newcomer(name, name.capitalize(), address or f"{name}'s", password, proof, token)
        newcomer.grant, newcomer.invite = grant, invite
        if may_resume:
            newcomer.resume_token = f"{name}#1"
        self._enters(newcomer, join(self.room, newcomer, self.now, self.policy))

    def leaves(self, name: str) -> None:
        """Go by word."""
        self._carry_out(leave(self.room, name, self.now, self.policy, by_word=True))

    def is_lost(self, name: str, connection: str | None = None) -> None:
        """Lose one's connection, or the one that is named."""
        on = connection or self.connections.get(name, name)
        self._carry_out(lose(self.room, name, on, self.now, self.policy))

    def resumes(
        self, name: str, *, token: str | None = None, address: str | None = None, restart: bool = False
    ) -> None:
        """Come back on a new connection, with the token given out last unless told otherwise."""
        self._count += 1
        returner = Returner(
            f"{name}~{self._count}",
            address or f"{name}'s",
            self.tokens.get(name, "") if token is None else token,
            f"{name}#{self._count + 1}",
            is_restart=restart,
        )
        self._carry_out(resume(self.room, returner, self.now, self.policy), returner=returner)
        self.tokens[name] = returner.next_token

    def tidies(self) -> None:
        """Let those go whose window has ended."""
        self._carry_out(lapse(self.room, self.now, self.policy))

    def restarts(self) -> None:
        """Begin anew with the room as it was written down, and nobody connected."""
        self.room = msgspec.msgpack.decode(msgspec.msgpack.encode(self.room), type=Room)
        self.seated, self.held, self.suspended, self.connections = {}, set(), {}, {}
        self._carry_out(restore(self.room, self.now, self.policy), is_restart=True)

    def forsakes(self, *names: str) -> None:
        """The worker that these were on is no more; here is the one that keeps their places."""
        for name in names:
            self.suspended.pop(name, None)
        self._carry_out(forsake(self.room, names, self.now, self.policy), is_forsaken=True)

    def does(self, name: str, request: requests.Message) -> None:
        """Ask for something."""
        self._carry_out(act(self.room, name, request, self.now, self.policy))

    def says(self, name: str, text: str, *, at: int | None = None, reply_to: str | None = None) -> None:
        """Say something that is kept, at a time."""
        request = requests.Chat(text, reply_to)
        self._carry_out(say(self.room, name, request, self.now if at is None else at, self.policy))

    def deletes(self, name: str, message_id: str) -> None:
        """Take a message back."""
        self.does(name, requests.DeleteMessage(message_id))

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

    def is_done(self, effects: Effects) -> None:
        """What somebody outside has done to the room, who is none of its people."""
        self._carry_out(effects)

    def passes(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds

    # Hearing

    def overhears(self, name: str) -> list[Heard]:
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
            dict(self.suspended),
            dict(self.connections),
            list(self.late),
            list(self.guesses),
            inboxes,
        )

    def happens(self) -> list[str]:
        """What those outside were told since last asked, a line each."""
        told, self.happened = self.happened, []
        return [
            " ".join(
                word
                for word in (
                    event.type,
                    event.participant and event.participant.id,
                    event.reason,
                    event.action,
                    event.target and event.target.id,
                    None if event.by is None else f"by {event.by or 'the server'}",
                )
                if word
            )
            for event in told
        ]

    # Behind the scenes

    def _enters(self, newcomer: Newcomer, effects: Effects) -> None:
        self._carry_out(effects)
        self.connections[newcomer.id] = newcomer.id
        if newcomer.resume_token:
            self.tokens[newcomer.id] = newcomer.resume_token

    def _carry_out(
        self,
        effects: Effects,
        *,
        returner: Returner | None = None,
        is_restart: bool = False,
        is_forsaken: bool = False,
    ) -> None:
        # Who is about to be put where it is already, or was before the restart.
        returned: set[str] = set()
        for effect in effects:
            match effect:
                case Send(to, event):
                    self._tells(to, event, strangers=is_restart)
                case Seated(name) | Held(name):
                    self._is_placed(effect, name, is_back=name in returned)
                    returned.discard(name)
                case Widened(name, seats):
                    assert name in self.seated
                    self.seated[name] = seats
                case Gone(name) | Close(name):
                    # After a restart there are people whom nobody knows: who cannot come back.
                    self._goes(effect, name, is_known=not is_restart and not is_forsaken)
                case Suspended(name, code, address):
                    assert code == CODE
                    self._is_suspended(name, address, is_known=not is_restart)
                    returned |= {name} if is_restart or is_forsaken else set()
                case Resumed():
                    assert returner is not None
                    self._comes_back(effect, returner)
                    returned.add(effect.id)
                case _:
                    self._takes_note(effect)
        assert not returned, "neither seated nor held"
        assert self.seated.keys() == self.room.participants.keys()
        assert self.held == self.room.waiting.keys()
        self.outsider.knows(CODE, self.room.participants, self.room.waiting)
        addresses = {person.id: person.address for person in self.room.participants.values()}
        addresses |= {person.id: person.address for person in self.room.waiting.values()}
        assert self.suspended == {name: addresses[name] for name in self.room.suspended}

    def _takes_note(self, effect: Effect) -> None:
        match effect:
            case Lapsed(tokens):
                assert tokens
                self.late += tokens
            case WrongToken(name):
                self.guesses.append(name)
            case Happened(event):
                self.happened.append(event)
                self.outsider.hears(event)

    def _is_placed(self, effect: Seated | Held, name: str, *, is_back: bool) -> None:
        if isinstance(effect, Seated):
            assert name not in self.seated or is_back
            self.seated[name] = effect.seats
            self.held.discard(name)
        else:
            assert name not in self.seated
            assert name not in self.held or is_back
            self.held.add(name)

    def _is_suspended(self, name: str, address: str, *, is_known: bool) -> None:
        assert (name in self.seated or name in self.held) is is_known
        assert name not in self.suspended
        self.suspended[name] = address
        self.connections.pop(name, None)

    def _tells(self, to: tuple[str, ...], event: events.Message, *, strangers: bool) -> None:
        self._may_be_told(event)
        assert to
        assert len(set(to)) == len(to)
        for name in to:
            if name in self.seated or name in self.held:
                self._inboxes.setdefault(name, []).append(event)
            else:
                assert strangers, f"{name} is not here to hear it"

    def _may_be_told(self, event: events.Message) -> None:
        assert event.room_id == CODE
        if isinstance(event, events.Chat):
            assert event.message_id == f"{event.timestamp}-{event.participant_id}"
        else:
            assert event.timestamp == 0, "the hub stamps it"

    def _comes_back(self, effect: Resumed, returner: Returner) -> None:
        name = effect.id
        assert name in self.seated or name in self.held
        assert isinstance(effect.own, events.ParticipantJoined) is (name in self.seated)
        assert (effect.connection_id, effect.is_restart) == (returner.connection_id, returner.is_restart)
        assert (effect.own.participant_id, effect.own.resume_token) == (name, returner.next_token)
        for event in (effect.own, *effect.overview):
            self._may_be_told(event)
        self.suspended.pop(name, None)
        self.connections[name] = effect.connection_id
        inbox = self._inboxes.setdefault(name, [])
        inbox.append(effect)
        inbox += effect.overview if effect.is_restart else ()

    def _goes(self, effect: Gone | Close, name: str, *, is_known: bool) -> None:
        assert not is_known or name in self.seated or name in self.held, f"{name} is not here to go"
        if isinstance(effect, Close):
            self._inboxes.setdefault(name, []).append(effect)
        self.seated.pop(name, None)
        self.held.discard(name)
        self.suspended.pop(name, None)
        self.connections.pop(name, None)


def meeting(
    *names: str, seats: int = 8, max_waiting: int = 50, may_resume: bool = False, chat_history: int = 0
) -> Stage:
    """An ad-hoc room: the first one made it, the others joined, and all of them have heard it."""
    stage = Stage(seats=seats, max_waiting=max_waiting, chat_history=chat_history)
    stage.opens(names[0], may_resume=may_resume)
    for name in names[1:]:
        stage.joins(name, may_resume=may_resume)
    stage.heard()
    return stage


def locked_meeting(
    *names: str,
    waiting: tuple[str, ...] = (),
    seats: int = 8,
    max_waiting: int = 50,
    may_resume: bool = False,
    chat_history: int = 0,
) -> Stage:
    """The same, locked by its host, with others waiting to be admitted."""
    stage = meeting(
        *names, seats=seats, max_waiting=max_waiting, may_resume=may_resume, chat_history=chat_history
    )
    stage.locks(names[0])
    for name in waiting:
        stage.joins(name, may_resume=may_resume)
    stage.heard()
    return stage
