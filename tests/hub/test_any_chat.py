"""Any history of people who come, go and come back where rooms keep their chat.

Whoever is in a room has all of what was said in this meeting, each message once and in order: as history, or
live; and nothing that was taken back.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from msgspec import structs

from mikroroom.settings import Settings

from .test_any_return import AnyReturn, someone

# More than is said.
ALL = 1_000


class AnyChat(AnyReturn):
    """The same people, in rooms that keep all."""

    def _settings(self) -> Settings:
        return structs.replace(super()._settings(), chat_history=ALL)

    def _expect(self, me: str, code: str | None, message: dict[str, Any]) -> None:
        if message["type"] != "chat" or "targetId" in message:
            super()._expect(me, code, message)

    @precondition(lambda self: self._placed())
    @rule(who=someone, place=st.integers(0, 50))
    def takes_back(self, who: int, place: int) -> None:
        """Its own, or what others have said, if it may."""
        speaker = self._one_of(self._placed(), who)
        assert speaker.picture is not None
        if speaker.picture.chat:
            ids = list(speaker.picture.chat)
            self._says(speaker, "delete-message", messageId=ids[place % len(ids)])

    @invariant()
    def what_was_said_arrives_exactly_once(self) -> None:
        for traveller in self.cast:
            picture = traveller.picture
            if picture is None or not traveller.is_reached:
                continue
            room = self.rooms[traveller.code]
            kept = {line.message_id: line.text for line in room.chat.lines}
            assert list(picture.chat.items()) == (list(kept.items()) if picture.me in picture.people else [])
            private = [text for text in picture.texts if text not in picture.public]
            assert private == self.sent.get(picture.me, [])


TestAnyChat = AnyChat.TestCase
TestAnyChat.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
