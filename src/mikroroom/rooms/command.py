"""What is typed after ``mikroroom rooms``, and what is asked of the server for it.

Exit codes: 0 if it was done, 1 if the server cannot be reached or refuses, 2 if the command was not
understood.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mikroroom.protocol.administration import (
    BanDetail,
    CreatedInvite,
    InviteList,
    Person,
    Removal,
    RoomDetail,
    RoomList,
)
from mikroroom.rooms import tables
from mikroroom.rooms.site import Site, SiteError, read
from mikroroom.terminal import printable

DEFAULT_URL = "http://127.0.0.1:3000"
URL, TOKEN = "MIKROROOM_URL", "MIKROROOM_ADMIN_TOKEN"

_DURATION = re.compile(r"(\d{1,9})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
DAY = 86_400

Told = argparse.Namespace
# Does what was asked for. Returns the answer in JSON, and what a person reads instead of it.
Deed = Callable[[Site, Told], tuple[bytes, str]]


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Do what these arguments ask for. Returns the exit code."""
    parser = _parser()
    told = parser.parse_args(argv)
    token = _token(told.token_file, environ, parser)
    url = told.url or environ.get(URL) or DEFAULT_URL
    try:
        with Site(url, token) as site:
            answer, text = told.deed(site, told)
        if told.json:
            text = _json(answer)
    except SiteError as error:
        print(f"mikroroom rooms: {printable(str(error))}", file=sys.stderr)
        return 1
    if text:
        print(text)
    return 0


def _json(answer: bytes) -> str:
    """An answer for programs, on one line; nothing in it drives a terminal either."""
    return json.dumps(read(answer, Any)) if answer else ""


def duration(text: str) -> int:
    """Seconds, such as ``90``, ``30m``, ``2h`` or ``7d``. Raises ArgumentTypeError."""
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 90s, 30m, 2h or 7d")
    return seconds


def _token(path: str | None, environ: Mapping[str, str], parser: argparse.ArgumentParser) -> str:
    """The token, from where no other program sees it."""
    token = environ.get(TOKEN, "") if path is None else _secret(path, parser)
    if not token:
        parser.error(f"a token is needed: --token-file FILE, or {TOKEN} in the environment")
    if not (token.isascii() and token.isprintable()):
        parser.error("the token has characters that no token has")
    return token


def _secret(path: str, parser: argparse.ArgumentParser) -> str:
    """What stands in a file, or is typed where it is ``-``."""
    try:
        return (sys.stdin.readline() if path == "-" else Path(path).expanduser().read_text("utf-8")).strip()
    except (OSError, ValueError) as error:
        parser.error(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")


# What can be done


def _list(site: Site, told: Told) -> tuple[bytes, str]:
    rooms = site.rooms()
    return msgspec.json.encode(RoomList(rooms=rooms)), tables.rooms_table(rooms, _now())


def _show(site: Site, told: Told) -> tuple[bytes, str]:
    answer = site.ask("GET", told.code)
    return answer, tables.room_page(read(answer, RoomDetail), _now())


def _lock(site: Site, told: Told) -> tuple[bytes, str]:
    answer = site.ask("PATCH", told.code, body={"isLocked": told.is_locked})
    return answer, "Newcomers wait now." if told.is_locked else "Newcomers enter now."


def _set(site: Site, told: Told) -> tuple[bytes, str]:
    changes: dict[str, Any] = {}
    if told.size is not None:
        changes["maxParticipants"] = told.size
    if told.password_file is not None:
        changes["password"] = _secret(told.password_file, told.parser)
    elif told.no_password:
        changes["password"] = None
    if not changes:
        told.parser.error("what is to be set? --size, --password-file or --no-password")
    answer = site.ask("PATCH", told.code, body=changes)
    return answer, tables.room_page(read(answer, RoomDetail), _now())


def _moderator(site: Site, told: Told) -> tuple[bytes, str]:
    person = _find(site.room(told.code), told.who)
    body = {"isModerator": not told.undo}
    answer = site.ask("PATCH", told.code, "participants", person.id, body=body)
    return answer, f"{printable(person.name)} is {'no moderator any more' if told.undo else 'a moderator'}."


def _admit(site: Site, told: Told) -> tuple[bytes, str]:
    person = _find(site.room(told.code), told.who)
    return site.ask("POST", told.code, "waiting", person.id), f"{printable(person.name)} is in the room."


def _remove(site: Site, told: Told) -> tuple[bytes, str]:
    person = _find(site.room(told.code), told.who)
    query = {"ban": told.seconds} if told.seconds else None
    answer = site.ask("DELETE", told.code, "participants", person.id, query=query)
    text = f"{printable(person.name)} was removed."
    ban: BanDetail | None = read(answer, Removal).ban
    if ban is not None:
        text += f" The ban ends {tables.when(ban.expires_at, _now())}; its id is {printable(ban.id)}."
    return answer, text


def _lift(site: Site, told: Told) -> tuple[bytes, str]:
    return site.ask("DELETE", told.code, "bans", told.id), "The ban is lifted."


def _end(site: Site, told: Told) -> tuple[bytes, str]:
    query = {"reason": told.reason} if told.reason else None
    return site.ask("DELETE", told.code, query=query), "The meeting is over, and the room is gone."


def _invite(site: Site, told: Told) -> tuple[bytes, str]:
    body: dict[str, Any] = {"skipsWaiting": told.skips_waiting}
    if told.moderator:
        body["role"] = "moderator"
    if told.seconds:
        body["expiresIn"] = told.seconds
    if told.label:
        body["label"] = told.label
    answer = site.ask("POST", told.code, "invites", body=body)
    # Alone on its line, so that it can be passed on: it is shown this once.
    return answer, site.link(told.code.upper(), printable(read(answer, CreatedInvite).token))


def _invites(site: Site, told: Told) -> tuple[bytes, str]:
    answer = site.ask("GET", told.code, "invites")
    return answer, tables.invites_table(read(answer, InviteList).invites, _now())


def _revoke(site: Site, told: Told) -> tuple[bytes, str]:
    return site.ask("DELETE", told.code, "invites", told.id), "Nobody can come in by it any more."


def _find(room: RoomDetail, who: str) -> Person:
    """Somebody by id, by how it begins, or by name. Raises SiteError where that is nobody, or several."""
    people: list[Person] = [*room.participants, *room.waiting]
    kinds: Sequence[Callable[[Person], bool]] = (
        lambda person: person.id == who,
        lambda person: person.name == who,
        lambda person: person.name.casefold() == who.casefold(),
        lambda person: len(who) >= 4 and person.id.startswith(who.lower()),
    )
    for fits in kinds:
        found = [person for person in people if fits(person)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(person.id for person in found)
            raise SiteError(f"{len(found)} people in {room.room_id} are {who!r}; say which id: {ids}")
    raise SiteError(f"nobody in {room.room_id} is {who!r}")


def _now() -> int:
    return time.time_ns() // 1_000_000


# How it is written


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mikroroom rooms",
        description="Administer the rooms of a server that runs.",
        epilog=f"Who asks is known by its token: the server's admin_token for every room, or the creator "
        f"token of a room for that one. It is read from a file, or from {TOKEN}: as an argument others "
        f"on this machine would see it. WHO is an id, how one begins, or a name. Times are written 90s, 30m, "
        f"2h or 7d.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", metavar="URL", help=f"the server (default: {URL}, or {DEFAULT_URL})")
    common.add_argument("--token-file", metavar="FILE", help=f"where the token is; - is typed (or {TOKEN})")
    common.add_argument("--json", action="store_true", help="the server's answer, for programs")

    def add(name: str, deed: Deed, told: str, *arguments: str, **more: Any) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=told, description=told, parents=[common], allow_abbrev=False)
        for argument in arguments:
            command.add_argument(argument.lower(), metavar=argument)
        command.set_defaults(deed=deed, parser=command, **more)
        return command

    add("list", _list, "All rooms, one a line.")
    add("show", _show, "A room, who is in it, who waits, bans and invites.", "CODE")
    add("lock", _lock, "Newcomers wait until somebody admits them.", "CODE", is_locked=True)
    add("unlock", _lock, "Newcomers enter, and so do those who wait.", "CODE", is_locked=False)
    change = add("set", _set, "Change a room's size or password.", "CODE")
    change.add_argument("--size", metavar="N", type=int, help="how many may be in it")
    passwords = change.add_mutually_exclusive_group()
    passwords.add_argument("--password-file", metavar="FILE", help="where the new one is; - is typed")
    passwords.add_argument("--no-password", action="store_true", help="none is needed any more")
    moderator = add("moderator", _moderator, "Make somebody a moderator.", "CODE", "WHO")
    moderator.add_argument("--undo", action="store_true", help="or none any more")
    add("admit", _admit, "Let somebody in who waits.", "CODE", "WHO")
    add("remove", _remove, "Remove somebody from the room or its waiting room.", "CODE", "WHO", seconds=None)
    ban = add("ban", _remove, "Remove somebody, who may not come back for a while.", "CODE", "WHO")
    _add_seconds(ban, "for how long (default: a day)", DAY)
    add("lift", _lift, "Lift a ban.", "CODE", "ID")
    end = add("end", _end, "End a meeting for everyone, and remove its room.", "CODE")
    end.add_argument("--reason", metavar="TEXT", help="what they are told")
    invite = add("invite", _invite, "Make an invite, and show it, a link with its token, this once.", "CODE")
    invite.add_argument("--moderator", action="store_true", help="whoever comes with it is a moderator")
    invite.add_argument("--skips-waiting", action="store_true", help="and enters a locked room at once")
    invite.add_argument("--label", metavar="TEXT", help="what it is for")
    _add_seconds(invite, "for how long it is valid (default: as long as the room)", None)
    add("invites", _invites, "The invites of a room, without their tokens.", "CODE")
    add("revoke", _revoke, "Revoke an invite.", "CODE", "ID")
    return parser


def _add_seconds(command: argparse.ArgumentParser, told: str, default: int | None) -> None:
    command.add_argument("--for", dest="seconds", metavar="TIME", type=duration, default=default, help=told)
