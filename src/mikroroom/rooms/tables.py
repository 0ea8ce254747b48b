"""Rooms, people and invites as people read them: aligned, with times in words.

Names and labels are what others have written: nothing in them drives the terminal.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from msgspec import UnsetType

from mikroroom.protocol.administration import (
    BanDetail,
    InviteDetail,
    ParticipantDetail,
    Person,
    RoomDetail,
    RoomSummary,
)
from mikroroom.terminal import printable

# Milliseconds: what is further from now than all that is, is so far.
FAR = 10**15

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def rooms_table(rooms: Sequence[RoomSummary], now: int) -> str:
    """All rooms, one a line. ``now`` is in milliseconds since the epoch."""
    if not rooms:
        return "There are no rooms."
    rows = [
        (
            room.room_id,
            room.state,
            _seats(room),
            str(room.waiting_count or ""),
            _yes(room.is_locked),
            _yes(room.has_password),
            when(room.expires_at, now),
        )
        for room in rooms
    ]
    return table(("ROOM", "STATE", "PEOPLE", "WAITING", "LOCKED", "PASSWORD", "REMOVED"), rows)


def room_page(room: RoomDetail, now: int) -> str:
    """One room, with all there is to say of it."""
    end = when(room.expires_at, now)
    facts = [
        ("state", f"{room.state}, removed {end}" if end else room.state),
        ("people", _seats(room)),
        ("locked", _yes(room.is_locked) or "no"),
        ("password", _yes(room.has_password) or "no"),
    ]
    parts = [f"Room {printable(room.room_id)}", table((), [(f"  {name}", value) for name, value in facts])]
    if room.participants:
        people = [(person.name, _roles(person), *_whereabouts(person)) for person in room.participants]
        parts += ["", table(("NAME", "ROLE", "CONNECTED", "ADDRESS", "SUBJECT", "ID"), people)]
    if room.waiting:
        waiting = [(person.name, *_whereabouts(person)) for person in room.waiting]
        parts += ["", table(("WAITING", "CONNECTED", "ADDRESS", "SUBJECT", "ID"), waiting)]
    if room.bans:
        parts += ["", bans_table(room.bans, now)]
    if room.invites:
        parts += ["", invites_table(room.invites, now)]
    return "\n".join(parts)


def bans_table(bans: Sequence[BanDetail], now: int) -> str:
    """Who may not join."""
    rows = [
        (ban.name, when(ban.expires_at, now), _known(ban.address), _known(ban.subject), ban.id)
        for ban in bans
    ]
    return table(("BANNED", "ENDS", "ADDRESS", "SUBJECT", "ID"), rows)


def invites_table(invites: Sequence[InviteDetail], now: int) -> str:
    """Who is invited."""
    if not invites:
        return "There are no invites."
    rows = [
        (
            invite.label,
            invite.role,
            _yes(invite.skips_waiting),
            when(invite.created_at, now),
            when(invite.expires_at, now) or "with the room",
            invite.id,
        )
        for invite in invites
    ]
    return table(("INVITE", "ROLE", "SKIPS WAITING", "MADE", "ENDS", "ID"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows with their columns aligned, under their heads; columns in which nothing stands are left out."""
    cells = [[printable(cell) for cell in row] for row in rows]
    used = [column for column in range(len(cells[0])) if any(row[column] for row in cells)]
    lines = [[row[column] for column in used] for row in ([list(heads)] if heads else []) + cells]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(used))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def when(time: int | None, now: int) -> str:
    """A time in words, as seen from ``now``; both in milliseconds since the epoch."""
    if time is None:
        return ""
    seconds = round(min(abs(time - now), FAR) / 1_000)
    if not seconds:
        return "now"
    # Below two of a unit the next smaller one says more.
    name, length = next((unit for unit in _UNITS if seconds >= 1.95 * unit[1]), _UNITS[-1])
    count = round(seconds / length)
    words = f"{count} {name}{'s' if count > 1 else ''}"
    return f"in {words}" if time > now else f"{words} ago"


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(bool(unicodedata.combining(character)) for character in text)


def _seats(room: RoomSummary) -> str:
    away = room.participant_count - room.connected_count
    return f"{room.participant_count} of {room.max_participants}" + (f", {away} away" if away else "")


def _roles(person: ParticipantDetail) -> str:
    roles = (
        ("host", person.is_host),
        ("moderator", person.is_moderator and not person.is_host),
        ("creator", person.is_creator),
    )
    return ", ".join(name for name, is_so in roles if is_so)


def _whereabouts(person: Person) -> tuple[str, str, str, str]:
    return (_yes(person.is_connected) or "away", _known(person.address), _known(person.subject), person.id)


def _known(text: str | UnsetType) -> str:
    return text if isinstance(text, str) else ""


def _yes(is_so: bool) -> str:
    return "yes" if is_so else ""
