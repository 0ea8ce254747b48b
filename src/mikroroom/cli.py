"""The ``mikroroom`` command: from arguments to settings to a running server.

Which flags there are is for ``settings`` to say, and what is served for ``app``. Exit codes: 0 after a stop
that was asked for, 1 if the server cannot start, 2 if the command or a setting was not understood.
"""

import argparse
import asyncio
import contextlib
import ctypes
import errno
import gc
import importlib
import importlib.util
import json
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from types import FrameType

import uvicorn

from mikroroom import __version__, logs, settings
from mikroroom.app import create_app
from mikroroom.hub.hub import Hub
from mikroroom.logs import Line
from mikroroom.settings import CONFIG, OPTIONS, Option, Settings, SettingsError, shown
from mikroroom.terminal import attend
from mikroroom.transport.bounded import BoundedProtocol
from mikroroom.transport.guard import GuardedProtocol

log = logging.getLogger(__name__)

BACKLOG = 2048
# How often Python looks for garbage. Messages make none, and a connection little; looking costs more the more
# people there are.
GARBAGE = 20_000, 20, 20
# mallopt(3), and what glibc calls large by default.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, LARGE_BUFFER = -1, -3, 131_072
DEFAULT_URL = "ws://127.0.0.1:3000/ws"

_HINTS = {
    errno.EADDRINUSE: "another program listens there; choose another --port",
    errno.EACCES: "ports below 1024 are for privileged users; choose another --port",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, the process's own if None. Returns the exit code."""
    parser = _parser()
    known, rest = parser.parse_known_args(argv)
    if known.command == "join":
        return _join(parser, known, rest)
    if known.command == "loadtest":
        from mikroroom import loadtest  # noqa: PLC0415 - a server has no use for it

        return loadtest.main(rest)
    flags = {name: value for name, value in vars(known).items() if name in OPTIONS or name == CONFIG}
    try:
        chosen, sources = settings.load(
            flags | _misspelt(parser, rest), defaults={"data_dir": _state_directory()}
        )
    except SettingsError as error:
        for line in error.lines:
            print(f"mikroroom: {line}", file=sys.stderr)
        return 2
    if known.command == "serve":
        return serve(chosen)
    print(_toml(chosen, sources) if known.toml else _table(chosen, sources))
    return 0


def _join(parser: argparse.ArgumentParser, known: argparse.Namespace, rest: Sequence[str]) -> int:
    if rest:
        parser.error(f"unrecognized argument: {rest[0]}")
    meeting = attend(known.url, known.code, known.name, password=known.password, is_host=known.host)
    try:
        return asyncio.run(meeting)
    except KeyboardInterrupt:
        return 0


def serve(chosen: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    logs.configure(chosen.log_level, chosen.log_format)
    # A signal that comes before the server listens is as good a stop as one after it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        tls = _tls(chosen)
    except OSError as error:
        log.error(
            Line(
                "cannot use the certificate",
                tls_certificate=chosen.tls_certificate,
                tls_key=chosen.tls_key,
                reason=error,
                hint="both must be PEM and belong together, and the key have no passphrase",
            )
        )
        return 1
    try:
        protocol = _websocket_protocol(chosen)
    except ImportError as error:
        log.error(Line("cannot speak WebSocket", websocket_protocol="picows", reason=error))
        return 1
    try:
        listeners = listen(chosen)
    except UnicodeError:  # of a name that cannot be looked up (RFC 5890)
        log.error(Line("cannot listen", host=chosen.host, port=chosen.port, reason="not a host name"))
        return 1
    except OSError as error:
        hint = _HINTS.get(error.errno or 0)
        log.error(Line("cannot listen", host=chosen.host, port=chosen.port, reason=error.strerror, hint=hint))
        return 1
    try:
        _Server(chosen, protocol, tls).run(sockets=listeners)
    except SystemExit as stop:
        # The server below us leaves this way if the app does not start, and has logged why.
        return 1 if stop.code else 0
    return 0


def listen(chosen: Settings) -> list[socket.socket]:
    """A listening socket for each address of the host, on one port. Raises ``OSError`` if that cannot be."""
    listeners: list[socket.socket] = []
    absent: list[OSError] = []
    port = chosen.port
    found = socket.getaddrinfo(chosen.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in dict.fromkeys(found):
        listener = None
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            _set_options(listener, chosen)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(BACKLOG)
        except OSError as error:
            if listener is not None:
                listener.close()
            # Names such as localhost have an IPv6 address even where the machine has no IPv6.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                for other in listeners:
                    other.close()
                raise
            absent.append(error)
        else:
            listeners.append(listener)
            port = listener.getsockname()[1]
    if not listeners:
        raise absent[0]
    return listeners


def _set_options(listener: socket.socket, chosen: Settings) -> None:
    """Options of the listener and, because they inherit them, of all connections it accepts."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        # `::` is everything; any other IPv6 address is itself alone.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, chosen.host != "::")
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A peer that acknowledges but never reads would outlive every ping: closing waits for what is unsent.
        patience = int((chosen.ping_interval + chosen.ping_timeout) * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)


def _websocket_protocol(chosen: Settings) -> type[asyncio.Protocol]:
    """What uvicorn speaks WebSocket with. Raises ``ImportError`` if picows must be used and is missing."""
    if chosen.websocket_protocol == "stock":
        return GuardedProtocol
    try:
        protocol: type[asyncio.Protocol] = importlib.import_module(
            "mikroroom.transport.picows"
        ).PicowsProtocol
    except ImportError as error:
        if chosen.websocket_protocol == "picows":
            raise
        log.warning(Line("slower without picows", reason=error, hint="pip install 'mikroroom[fast]'"))
        return GuardedProtocol
    return protocol


def _tls(chosen: Settings) -> ssl.SSLContext | None:
    if not chosen.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # A server has nobody to ask for a passphrase: without this one it would wait for a terminal.
    context.load_cert_chain(chosen.tls_certificate, chosen.tls_key, password=lambda: "")
    return context


class _Server(uvicorn.Server):
    """uvicorn with our settings, which says when it listens and takes a signal for a wish, not a failure."""

    def __init__(
        self, chosen: Settings, protocol: type[asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        self.chosen = chosen
        self.app = create_app(chosen)
        super().__init__(
            uvicorn.Config(
                self.app,
                loop="uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
                http=BoundedProtocol,
                ws=protocol,
                ws_max_size=chosen.max_message_bytes,
                ws_ping_interval=chosen.ping_interval,
                ws_ping_timeout=chosen.ping_timeout,
                ws_per_message_deflate=False,
                # The app reads X-Forwarded-For and the path prefix itself, as it must under any other server.
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                backlog=BACKLOG,
                workers=1,
                timeout_graceful_shutdown=chosen.shutdown_timeout,
                ssl_context_factory=(lambda _config, _default: tls) if tls else None,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        _keep_house()
        if self.started and sockets:
            scheme = "https" if self.chosen.tls_certificate else "http"
            host = f"[{self.chosen.host}]" if ":" in self.chosen.host else self.chosen.host
            port = sockets[0].getsockname()[1]
            log.info(Line("listening", url=f"{scheme}://{host}:{port}{self.chosen.root_path}"))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, send everyone away in good order, then stop: all that in bounded time."""
        hub: Hub = self.app.state.hub
        began = time.monotonic()
        log.info(Line("stopping", participants=hub.roster.participants))
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        await hub.drain(min(self.chosen.drain_time, self.chosen.shutdown_timeout))
        left = self.chosen.shutdown_timeout - (time.monotonic() - began)
        self.config.timeout_graceful_shutdown = max(0, ceil(left))
        await super().shutdown(sockets)
        log.info(Line("stopped", seconds=round(time.monotonic() - began, 1)))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in good order; a second Ctrl-C stops at once. (The stock method dies of the signal, after.)"""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _keep_house() -> None:
    """Memory in the manner of a process that runs for months."""
    # What is here now stays, and need not be looked through for garbage again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    # glibc returns large buffers to the system at once, but raises its idea of "large" with each that it sees
    # returned: then a busy hour's memory is never given back. Setting the limit makes it stay.
    with contextlib.suppress(AttributeError, OSError):  # another libc
        libc = ctypes.CDLL(None)
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            libc.mallopt(option, LARGE_BUFFER)


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
    # Its arguments are its own: all of them, --help included, are left over for it.
    commands.add_parser("loadtest", help="Try what a server can take.", add_help=False, allow_abbrev=False)
    return parser


def _add_join(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    told = "Attend a meeting in the terminal, to try a server."
    command = commands.add_parser("join", help=told, description=told, allow_abbrev=False)
    command.add_argument("code", metavar="CODE", help="six letters or digits")
    command.add_argument("name", metavar="NAME", help="your name")
    command.add_argument("--host", action="store_true", help="make the room if it does not exist")
    command.add_argument("--password", metavar="TEXT", help="the room's, or for a new one the one it gets")
    command.add_argument("--url", metavar="URL", default=DEFAULT_URL, help="(default: %(default)s)")


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
