"""Chat: what is said to everyone in a room, and to one person alone.

It goes from one to the other and touches no room; unless rooms keep some of it for those who come later.
"""

from collections.abc import Callable

from msgspec import UNSET

from mikroroom.core.chat import say
from mikroroom.core.effects import Resumed
from mikroroom.core.room import Policy
from mikroroom.hub.session import Audience, Session
from mikroroom.protocol import events, requests
from mikroroom.protocol.codec import Frame, frame, read_message_id
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.stores.port import Step, Store


class Chats:
    """What people say in the rooms of one process. ``wall`` is the time that they are told."""

    def __init__(self, store: Store, policy: Policy, wall: Callable[[], int]) -> None:
        self._store = store
        self._policy = policy
        self._is_kept = policy.chat_history > 0
        self._wall = wall

    def say(self, session: Session, request: requests.Chat) -> Step:
        """Say something, now, or as something to await where it is to be kept first.

        Raises:
            Refusal: NOT_IN_ROOM, TARGET_NOT_FOUND; or SERVER_ERROR, those elsewhere cannot be reached.
        """
        audience, code, speaker_id = session.audience, session.code, session.id
        if audience is None or code is None or speaker_id is None:
            raise unseated(session)
        # The stamp names the message, so one sender's never repeats.
        stamp = session.last_stamp = max(self._wall(), session.last_stamp + 1)
        if self._is_kept and request.target_id is None:
            policy = self._policy
            return self._store.transact(code, lambda room, now: say(room, speaker_id, request, stamp, policy))
        event = events.Chat(
            code,
            speaker_id,
            request.text,
            f"{stamp}-{speaker_id}",
            request.reply_to or UNSET,
            timestamp=stamp,
        )
        if request.target_id is not None:
            _whisper(audience, event, request.target_id)
            return None
        encoded = frame(event)
        if audience.far is not None:
            # First: if they cannot be told, nobody is.
            audience.far.tell(encoded)
        for listener in audience.values():
            listener.send(encoded)
        return None


def unheard(frames: list[Frame], comeback: Resumed | None) -> list[Frame]:
    """What of these is still to be told to someone who came back with ``comeback``.

    Who was told all anew has heard the chat that is kept.
    """
    if comeback is None or comeback.own.replayed:
        return frames
    told = {event.message_id for event in comeback.overview if isinstance(event, events.Chat)}
    return [each for each in frames if read_message_id(each) not in told] if told else frames


def unseated(session: Session) -> Refusal:
    """Why someone who is no participant may not speak."""
    what = "Wait to be admitted first" if session.id is not None else "Join a room first"
    return Refusal(ErrorCode.NOT_IN_ROOM, what)


def _whisper(audience: Audience, event: events.Chat, target_id: str) -> None:
    """To one person, and back to the speaker."""
    event.target_id = target_id
    target = audience.get(target_id)
    if target is None:
        if audience.far is None or target_id not in audience.far:
            raise Refusal(ErrorCode.TARGET_NOT_FOUND, "`targetId` is nobody in this room")
        audience.far.relay(event, target_id)
    encoded = frame(event)
    if target is not None:
        target.send(encoded)
    if target_id != event.participant_id:
        audience[event.participant_id].send(encoded)
