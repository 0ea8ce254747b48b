"""The ``mikroroom`` command: from arguments to settings to a running server.

Which flags there are is for ``settings`` to say, how it is served for ``serving``, and by several processes
for ``supervisor``. Exit codes: 0 after a stop that was asked for, 1 if the server cannot start, 2 if the
command or a setting was not understood.
"""

import argparse
import asyncio
import faulthandler
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from mikroroom import __version__, logs, serving, sources, supervisor, systemd
from mikroroom.core.grants import GrantedRole
from mikroroom.logs import Line
from mikroroom.settings import CONFIG, OPTIONS, Option, Settings, SettingsError, shown
from mikroroom.terminal import attend

if TYPE_CHECKING:
    from mikroroom.core.jointokens import Key

log = logging.getLogger(__name__)

DEFAULT_URL = "ws://127.0.0.1:3000/ws"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, the process's own if None. Returns the exit code."""
    parser = _parser()
    known, rest = parser.parse_known_args(argv)
    if known.command == "join":
        return _join(parser, known, rest)
    if known.command == "token":
        return _token(parser, known, rest)
    if known.command == "loadtest":
        from mikroroom import loadtest  # noqa: PLC0415 - a server has no use for it

        return loadtest.main(rest)
    if known.command == "rooms":
        from mikroroom import rooms  # noqa: PLC0415 - likewise

        return rooms.main(rest)
    flags = {name: value for name, value in vars(known).items() if name in OPTIONS or name == CONFIG}
    try:
        chosen, origins = sources.load(
            flags | _misspelt(parser, rest), defaults={"data_dir": _state_directory()}
        )
    except SettingsError as error:
        for line in error.lines:
            print(f"mikroroom: {line}", file=sys.stderr)
        return 2
    if known.command == "serve":
        return serve(chosen)
    print(_toml(chosen, origins) if known.toml else _table(chosen, origins))
    return 0


def _join(parser: argparse.ArgumentParser, known: argparse.Namespace, rest: Sequence[str]) -> int:
    if rest:
        parser.error(f"unrecognized argument: {rest[0]}")
    meeting = attend(known.url, known.code, known.name, password=known.password, is_host=known.host)
    try:
        return asyncio.run(meeting)
    except KeyboardInterrupt:
        return 0


def _token(parser: argparse.ArgumentParser, known: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print a join token, signed with a key of the server that has these settings."""
    if rest:
        parser.error(f"unrecognized argument: {rest[0]}")
    from mikroroom.core.jointokens import mint  # noqa: PLC0415 - PyJWT takes its time to load
    from mikroroom.hub.doorkeeper import JoinTokenKeys  # noqa: PLC0415

    try:
        chosen, _ = sources.load({CONFIG: known.config} if known.config else {})
        keys = JoinTokenKeys(chosen).keys
        key = _signing_key(keys, known.key)
        token = mint(
            key,
            audience=chosen.join_token_audience,
            code=known.room,
            now=int(time.time()),
            ttl=known.ttl,
            name=known.name,
            role=known.role,
            subject=known.subject,
        )
    except (SettingsError, ValueError) as error:
        for line in str(error).splitlines():
            print(f"mikroroom: {line}", file=sys.stderr)
        return 2
    print(token)
    return 0


def _signing_key(keys: "Sequence[Key]", wanted: str | None) -> "Key":
    """The key of that id, or the first one that can sign."""
    if wanted is not None:
        keys = [key for key in keys if key.id == wanted]
    if not keys:
        known = "there is no key with this `kid`" if wanted is not None else "there is no key for join tokens"
        raise ValueError(f"{known}; set join_token_secret or join_token_keys")
    return next((key for key in keys if key.signs), keys[0])


def serve(chosen: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    logs.configure(chosen.log_level, chosen.log_format)
    serving.stop_when_told()
    # Where it hangs, if systemd ends it for that; and what it did, if it crashes.
    faulthandler.enable()
    notifier = systemd.Notifier()
    try:
        inherited = systemd.inherited()
    except OSError as error:
        log.error(Line("cannot listen", reason=error))
        return 1
    run = serving.serve_alone if chosen.workers == 1 else supervisor.supervise
    return run(chosen, inherited, notifier)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mikroroom", description="A self-hosted video meeting service.")
    parser.add_argument("--version", action="version", version=f"mikroroom {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    about = (
        "Settings come from the file, the environment and the flags below, the later the stronger. The flag "
        "--max-rooms is max_rooms in the file and MIKROROOM_MAX_ROOMS in the environment; commas separate "
        "the values of a list."
    )
    for name, told in (
        ("serve", "Run the server."),
        ("config", "Show the settings in force, and their origin."),
    ):
        command = commands.add_parser(
            name,
            help=told,
            description=f"{told} {about}",
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )
        if name == "config":
            command.add_argument(
                "--toml", action="store_true", default=False, help="as a TOML file for --config"
            )
        command.add_argument("--config", metavar="FILE", help="a TOML file with settings")
        for option in OPTIONS.values():
            metavar = "N" if isinstance(option.default, int | float) else "TEXT"
            command.add_argument(option.flag, metavar=metavar, help=_help(option))
    _add_join(commands)
    _add_token(commands)
    # Their arguments are their own: all of them, --help included, are left over for them.
    commands.add_parser("loadtest", help="Try what a server can take.", add_help=False, allow_abbrev=False)
    commands.add_parser("rooms", help="Administer rooms.", add_help=False, allow_abbrev=False)
    return parser


def _add_join(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    told = "Attend a meeting in the terminal, to try a server."
    command = commands.add_parser("join", help=told, description=told, allow_abbrev=False)
    command.add_argument("code", metavar="CODE", help="six letters or digits")
    command.add_argument("name", metavar="NAME", help="your name")
    command.add_argument("--host", action="store_true", help="make the room if it does not exist")
    command.add_argument("--password", metavar="TEXT", help="the room's, or for a new one the one it gets")
    command.add_argument("--url", metavar="URL", default=DEFAULT_URL, help="(default: %(default)s)")


def _add_token(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    told = "Print a join token, for a server with the same keys."
    command = commands.add_parser("token", help=told, description=told, allow_abbrev=False)
    command.add_argument("room", metavar="ROOM", help="six letters or digits; * for any room")
    command.add_argument(
        "--name", metavar="NAME", help="shown to the others (default: as whoever joins says)"
    )
    command.add_argument(
        "--role", choices=get_args(GrantedRole), default="participant", help="(default: %(default)s)"
    )
    command.add_argument("--subject", metavar="ID", help="your own id of the person")
    command.add_argument(
        "--ttl",
        metavar="SECONDS",
        type=_seconds,
        default=3_600,
        help="how long it holds (default: %(default)s)",
    )
    command.add_argument("--key", metavar="KID", help="which key to sign with (default: the first)")
    command.add_argument("--config", metavar="FILE", help="a TOML file with settings")


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= len(text) <= 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds, from 1")
    return int(text)


def _help(option: Option) -> str:
    default = shown(option.field, option.default) or "nothing"
    return f"{option.description}: {option.allowed} (default: {default})".replace("%", "%%")


def _misspelt(parser: argparse.ArgumentParser, rest: Sequence[str]) -> dict[str, str]:
    """Flags that nobody knows, for ``settings`` to say which were meant."""
    flags: dict[str, str] = {}
    words = list(rest)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            parser.error(f"unrecognized argument: {word}")
        name, given, value = word.removeprefix("--").partition("=")
        if not given and words and not words[0].startswith("--"):
            value = words.pop(0)
        flags[name.replace("-", "_")] = value
    return flags


def _state_directory(environ: Mapping[str, str] = os.environ) -> str:
    """Where a service keeps its state: systemd's word first, then the user's own place for such things."""
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return given
    base = environ.get("XDG_STATE_HOME", "")
    if not Path(base).is_absolute():
        base = os.path.expanduser("~/.local/state")
    return str(Path(base, "mikroroom")) if Path(base).is_absolute() else ""


def _table(chosen: Settings, sources: Mapping[str, str]) -> str:
    rows = [
        (field, shown(field, getattr(chosen, field)) or "(empty)", source)
        for field, source in sources.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{field:<{widths[0]}}  {value:<{widths[1]}}  {source}" for field, value, source in rows)


def _toml(chosen: Settings, sources: Mapping[str, str]) -> str:
    """The settings as a file that gives them again: defaults as comments, and secrets not at all."""
    lines = []
    for field, option in OPTIONS.items():
        value = getattr(chosen, field)
        lines.append(f"# {option.description}: {option.allowed}.")
        if option.kind == "secret" and value:
            lines.append(f"# {field} is set, and not shown.")
        else:
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{'# ' if sources[field].endswith('default') else ''}{field} = {text}")
        lines.append("")
    return "\n".join(lines).rstrip()
