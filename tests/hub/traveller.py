"""A client that may come back, from nothing but what reaches it; its line can go dead without a word."""

from typing import Any

from .cast import House, Message, Person

FLAGS = ("isModerator", "isHost", "isMuted", "isVideoOff", "isHandRaised", "isConnected")
OF_RESUMING = {"resumeToken", "resumeWindow", "resumed", "replayed", "lastClientSeq", "seq"}


class Picture:
    """What someone in a room, or before it, knows of it."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.people: dict[str, dict[str, bool]] = {}
        self.waiting: set[str] = set()
        self.recorders: set[str] = set()
        self.is_locked = False
        self.texts: list[str] = []
        # What was said to all and not taken back, by its id; and all that was.
        self.chat: dict[str, str] = {}
        self.public: set[str] = set()

    def hears(self, message: Message) -> None:
        """Learn from one message."""
        kind, who = message["type"], message["participantId"]
        match kind:
            case "participant-joined" | "participant-updated":
                assert (who in self.people) is (kind == "participant-updated")
                assert self.people or who == self.me, "the first one is one's own (R9)"
                self.waiting.discard(who)
                self.people[who] = {flag: message[flag] for flag in FLAGS}
            case "participant-left":
                if who in self.people:
                    del self.people[who]
                else:
                    self.waiting.remove(who)
            case "waiting-room":
                assert who not in self.people
                self.waiting.add(who)
            case "room-locked" | "room-unlocked":
                self.is_locked = kind == "room-locked"
            case "recording-started":
                self.recorders.add(who)
            case "recording-stopped":
                self.recorders.discard(who)
            case "chat" | "offer" | "message-deleted":
                self._hears_talk(kind, message)

    def _hears_talk(self, kind: str, message: Message) -> None:
        if kind == "message-deleted":
            self.chat.pop(message["messageId"], None)
            return
        self.texts.append(message["text" if kind == "chat" else "sdp"])
        if kind == "chat" and "targetId" not in message:
            assert message["messageId"] not in self.chat, "heard twice"
            self.chat[message["messageId"]] = message["text"]
            self.public.add(message["text"])


class Traveller:
    """Someone with a line to the server that may be gone (``person`` is None) or dead (``dead_after``)."""

    def __init__(self, name: str, address: str, *, may_resume: bool) -> None:
        self.name = name
        self.address = address
        self.may_resume = may_resume
        self.person: Person | None = None
        self.dead_after: int | None = None
        self.picture: Picture | None = None
        self.code = ""
        self.token = ""
        self.last_seq = 0
        # All that was said in this place, by its numbers, the first of which is 1 (R47).
        self.said: list[dict[str, Any]] = []
        self.arrived = 0
        self._read = 0
        self._is_at_the_door = False

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def is_reached(self) -> bool:
        """Whether what is said to it arrives."""
        return self.person is not None and self.dead_after is None

    @property
    def is_host(self) -> bool:
        """Whether it takes itself for the host."""
        picture = self.picture
        return picture is not None and picture.me in picture.people and picture.people[picture.me]["isHost"]

    def connects(self, house: House) -> Person:
        """On a new line, whatever has become of the old one."""
        self.person = house.arrives(self.name, self.address)
        self.dead_after, self._read = None, 0
        self._is_at_the_door = True
        return self.person

    def goes_dead(self, after: int = 0) -> None:
        """Nothing more gets through, but for so many messages that are on their way."""
        self.dead_after = self._read + after

    def is_cut_off(self) -> None:
        """It knows that its line is gone. Who may not come back has no place any more."""
        self.person = self.dead_after = None
        if not self.may_resume:
            self.forgets()

    def forgets(self) -> None:
        """It has no place anywhere."""
        self.picture, self.token, self.last_seq = None, "", 0
        self.said, self.arrived = [], 0

    def listens(self) -> None:
        """Take in what has arrived; and the end of the line, if that was told."""
        if self.person is None:
            return
        frames = self.person.tape.frames
        unread = len(frames) - self._read
        if self.dead_after is not None:
            unread = max(0, min(len(frames), self.dead_after) - self._read)
        messages = self.person.hears()[-len(frames) + self._read :] if unread else []
        for message in messages[:unread]:
            self._read += 1
            self._hears(message)
        if self.is_reached and self.person.closed is not None:
            code = self.person.closed
            self.person.is_lost()
            self.is_cut_off()
            if code >= 4_500:
                self.forgets()

    def _hears(self, message: Message) -> None:
        assert message.get("code") != "SERVER_ERROR"
        if self.picture is None or self._is_at_the_door:
            self._hears_at_the_door(message)
            return
        if not self.may_resume:
            assert message.keys().isdisjoint(OF_RESUMING)
        else:
            assert message.keys() & OF_RESUMING == {"seq"}
            assert message["seq"] == self.last_seq + 1, "no gap, and nothing twice"
            self.last_seq += 1
        if message["type"] != "error":
            assert message["roomId"] == self.code
            self.picture.hears(message)

    def _hears_at_the_door(self, message: Message) -> None:
        if message["type"] == "error":
            assert "seq" not in message
            if message["code"] == "RESUME_FAILED":
                self.forgets()
            return
        assert message["type"] in {"participant-joined", "waiting-room"}
        self._is_at_the_door = False
        if "resumed" in message:
            self._is_back(message)
            return
        self.picture = Picture(message["participantId"])
        self.picture.hears(message)
        self.code = message["roomId"]
        assert message.get("seq") == (1 if self.may_resume else None)
        self.last_seq, self.token = message.get("seq", 0), message.get("resumeToken", "")

    def _is_back(self, own: Message) -> None:
        assert self.may_resume and self.picture is not None
        assert own["participantId"] == self.picture.me
        self.token, self.arrived = own["resumeToken"], own["lastClientSeq"]
        if own["replayed"]:
            assert own["seq"] == self.last_seq
            return
        assert own["seq"] > self.last_seq
        self.last_seq = own["seq"]
        self.picture = Picture(self.picture.me)
        self.picture.hears(own)
