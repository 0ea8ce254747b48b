"""Chat as far as it changes a room: what is kept for those who come later, and what is taken back.

Where nothing is kept, a chat is talk and never comes here. Private messages never do.
"""

from mikroroom.core.effects import Effects, send
from mikroroom.core.happenings import moderated
from mikroroom.core.history import ChatLine, add_line, last_stamp, live, remove_line
from mikroroom.core.room import Participant, Policy, Room
from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode, Refusal


def say(room: Room, speaker_id: str, request: requests.Chat, stamp: int, policy: Policy) -> Effects:
    """Everyone in the room hears it, and so does who comes later (R15).

    ``stamp`` is the time in milliseconds, by the clock on the wall. One speaker's never repeats: also where
    it speaks on another worker now, whose clock is behind.

    Raises:
        Refusal: NOT_IN_ROOM.
    """
    speaker = room.participants.get(speaker_id)
    if speaker is None:
        raise Refusal(ErrorCode.NOT_IN_ROOM, "Join a room first")
    stamp = max(stamp, last_stamp(room.chat, speaker_id) + 1)
    line = ChatLine(
        f"{stamp}-{speaker_id}",
        speaker_id,
        speaker.name,
        request.text,
        request.reply_to or None,
        stamp,
        sum(len(written.encode()) for written in (speaker.name, request.text, request.reply_to or "")),
    )
    add_line(room.chat, line, policy.chat_history, policy.chat_bytes)
    return send(room.participants, live(room.code, line))


def delete_message(
    room: Room, actor: Participant, request: requests.DeleteMessage, now: int, policy: Policy
) -> Effects:
    """A message is taken back: by who wrote it, or by a moderator. All hear it, as many may have it.

    Nobody can tell whether there was such a message: it may be older than what is kept.

    Raises:
        Refusal: UNAUTHORIZED.
    """
    if request.author_id != actor.id and not actor.is_moderator:
        raise Refusal(ErrorCode.UNAUTHORIZED, "Only moderators may delete what others have written")
    remove_line(room.chat, request.message_id)
    told = moderated(room.code, "message-deleted", actor.id) if request.author_id != actor.id else []
    return told + send(
        room.participants, events.MessageDeleted(room.code, actor.id, request.message_id, deleted_by=actor.id)
    )
