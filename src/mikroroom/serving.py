"""One process that serves: its certificate, and uvicorn with our settings.

Whether it is alone or one of several workers makes no difference here: who starts it gives it sockets that
listen already, and an onlooker, which is told when it serves and, again and again, that it is alive.

SIGHUP, where it is for us: the certificate is read anew. Connections that are there keep theirs.
"""

import asyncio
import contextlib
import ctypes
import gc
import importlib
import importlib.util
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from types import FrameType
from typing import Protocol

import uvicorn
from msgspec import structs
from starlette.applications import Starlette

from mikroroom.app import create_app
from mikroroom.hub.hub import Hub
from mikroroom.listeners import BACKLOG, CannotServe, Listeners, listen_or_tell
from mikroroom.logs import Line
from mikroroom.settings import Settings, SettingsError
from mikroroom.systemd import NOTHING_INHERITED, Inherited, Notifier
from mikroroom.transport.bounded import BoundedProtocol
from mikroroom.transport.guard import GuardedProtocol
from mikroroom.transport.metrics import Metrics, metrics_app
from mikroroom.watchdog import Watchdog

log = logging.getLogger(__name__)

# How often Python looks for garbage. Messages make none, and a connection little; looking costs more the more
# people there are.
GARBAGE = 20_000, 20, 20
# mallopt(3), and what glibc calls large by default.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, LARGE_BUFFER = -1, -3, 131_072


def stop_when_told() -> None:
    """A signal that comes before the server listens is as good a stop as one after it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))


class Onlooker(Protocol):
    """Who wants to know how it goes. Told from the event loop, so that one which hangs tells nothing."""

    # Seconds from beat to beat.
    period: float
    # Whether SIGHUP is for this process, and means to read the certificate anew.
    takes_hangup: bool

    def serves(self) -> None:
        """It serves."""

    def beats(self, rooms: int, participants: int) -> None:
        """It is alive, and has so many to serve."""

    def stops(self) -> None:
        """It is about to stop."""


class Alone:
    """The onlooker of a process that is the whole service."""

    def __init__(self, listeners: Listeners, notifier: Notifier, *, has_certificate: bool) -> None:
        self.period = notifier.period
        # Otherwise it keeps its old meaning: the terminal is closed, and what runs there ends.
        self.takes_hangup = notifier.is_heard or has_certificate
        self._listeners = listeners
        self._notifier = notifier

    def serves(self) -> None:
        """See ``Onlooker``."""
        self._listeners.tell()
        self._notifier.ready()

    def beats(self, rooms: int, participants: int) -> None:
        """See ``Onlooker``."""
        self._notifier.alive(f"participants: {participants}, rooms: {rooms}")

    def stops(self) -> None:
        """See ``Onlooker``."""
        self._notifier.stopping()


def serve_alone(
    chosen: Settings, inherited: Inherited = NOTHING_INHERITED, notifier: Notifier | None = None
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code.

    On sockets that listen already, or else our own.
    """
    try:
        listeners = listen_or_tell(chosen, inherited)
    except CannotServe as reason:
        log.error(reason.line)
        return 1
    onlooker = Alone(listeners, notifier or Notifier({}), has_certificate=bool(chosen.tls_certificate))
    return serve(chosen, listeners, onlooker)


def serve(chosen: Settings, listeners: Listeners, onlooker: Onlooker, directory: Path | None = None) -> int:
    """Serve on these until SIGTERM or SIGINT. Returns the exit code.

    In the ``directory``, if there is one, are the others that serve on them too.
    """
    try:
        tls = _tls(chosen)
        protocol = _websocket_protocol(chosen)
        server = _Server(
            chosen, _app(chosen, listeners), protocol, tls, onlooker, listeners.metrics, directory
        )
    except CannotServe as reason:
        log.error(reason.line)
        return 1
    try:
        server.run(sockets=list(listeners.sockets))
    except SystemExit as stop:
        # The server below us leaves this way if the app does not start, and has logged why.
        return 1 if stop.code else 0
    return 0


def _tls(chosen: Settings) -> ssl.SSLContext | None:
    if not chosen.tls_certificate:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        _certify(context, chosen)
    except OSError as error:
        raise CannotServe(
            Line(
                "cannot use the certificate",
                tls_certificate=chosen.tls_certificate,
                tls_key=chosen.tls_key,
                reason=error,
                hint="both must be PEM and belong together, and the key have no passphrase",
            )
        ) from error
    return context


def _certify(context: ssl.SSLContext, chosen: Settings) -> None:
    # A server has nobody to ask for a passphrase: without this one it would wait for a terminal.
    context.load_cert_chain(chosen.tls_certificate, chosen.tls_key, password=lambda: "")


def _websocket_protocol(chosen: Settings) -> type[asyncio.Protocol]:
    """What uvicorn speaks WebSocket with."""
    if chosen.websocket_protocol == "stock":
        return GuardedProtocol
    try:
        protocol: type[asyncio.Protocol] = importlib.import_module(
            "mikroroom.transport.picows"
        ).PicowsProtocol
    except ImportError as error:
        if chosen.websocket_protocol == "picows":
            line = Line("cannot speak WebSocket", websocket_protocol="picows", reason=error)
            raise CannotServe(line) from error
        log.warning(Line("slower without picows", reason=error, hint="pip install 'mikroroom[fast]'"))
        return GuardedProtocol
    return protocol


def _app(chosen: Settings, listeners: Listeners) -> Starlette:
    if listeners.metrics:
        # What is told there is told nowhere else.
        chosen = structs.replace(chosen, metrics="off")
    try:
        return create_app(chosen)
    except ImportError as error:
        if not chosen.redis_url:
            raise
        line = Line("cannot use Redis", reason=error, hint="pip install 'mikroroom[redis]'")
        raise CannotServe(line) from error
    except SettingsError as error:
        raise CannotServe(Line("cannot use the settings", reason=error)) from error


class _Server(uvicorn.Server):
    """uvicorn with our settings, which says how it goes and takes a signal for a wish, not a failure."""

    def __init__(
        self,
        chosen: Settings,
        app: Starlette,
        protocol: type[asyncio.Protocol],
        tls: ssl.SSLContext | None,
        onlooker: Onlooker,
        metrics: Sequence[socket.socket],
        directory: Path | None,
    ) -> None:
        self.chosen = chosen
        self.tls = tls
        self.onlooker = onlooker
        self.pulse: asyncio.TimerHandle | None = None
        self.hub: Hub = app.state.hub
        self.metrics: Metrics = app.state.metrics
        self._metrics_server = _MetricsServer(metrics_app(app), metrics) if metrics else None
        self._directory = directory
        self._watchdog: Watchdog | None = None
        super().__init__(
            uvicorn.Config(
                app,
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
                # One process is one of these; several are the supervisor's doing.
                workers=1,
                timeout_graceful_shutdown=chosen.shutdown_timeout,
                ssl_context_factory=(lambda _config, _default: tls) if tls else None,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        loop = asyncio.get_running_loop()
        if self.onlooker.takes_hangup:
            loop.add_signal_handler(signal.SIGHUP, self.renew_certificate)
        await super().startup(sockets)
        if self._directory is not None:
            await self.metrics.answer_others(self._directory, str(os.getpid()))
        if self._metrics_server is not None:
            await self._metrics_server.startup()
        _keep_house()
        if self.started:
            if self.chosen.loop_patience:
                self._watchdog = Watchdog(self.hub.meters, self.chosen.loop_patience)
                self._watchdog.start()
            self.onlooker.serves()
            self.beat()

    def beat(self) -> None:
        """Say that the loop runs, now and for as long as it does."""
        roster = self.hub.roster
        self.onlooker.beats(roster.rooms, roster.participants)
        self.pulse = asyncio.get_running_loop().call_later(self.onlooker.period, self.beat)

    def renew_certificate(self) -> None:
        """Show whoever comes from now on the certificate that is on the disk; if it is none, the old one."""
        if self.tls is None:
            log.info(Line("certificate-kept", reason="there is none", hint="other settings take a restart"))
            return
        try:
            # First into a context of its own: one that is in use would be left with half of a bad pair.
            _tls(self.chosen)
            _certify(self.tls, self.chosen)
        except (CannotServe, OSError) as error:
            told = error.line.fields if isinstance(error, CannotServe) else {"reason": error}
            log.error(Line("certificate-kept", **told))
        else:
            log.info(Line("certificate-renewed", tls_certificate=self.chosen.tls_certificate))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, send everyone away in good order, then stop: all that in bounded time."""
        began = time.monotonic()
        self.onlooker.stops()
        log.info(Line("stopping", participants=self.hub.roster.participants))
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        await self.hub.drain(min(self.chosen.drain_time, self.chosen.shutdown_timeout))
        # Before the hub stops, of which they tell.
        self.metrics.stop()
        if self._metrics_server is not None:
            await self._metrics_server.shutdown()
        left = self.chosen.shutdown_timeout - (time.monotonic() - began)
        self.config.timeout_graceful_shutdown = max(0, ceil(left))
        await super().shutdown(sockets)
        if self._watchdog is not None:
            self._watchdog.stop()
        if self.pulse is not None:
            self.pulse.cancel()
        log.info(Line("stopped", seconds=round(time.monotonic() - began, 1)))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in good order; a second Ctrl-C stops at once. (The stock method dies of the signal, after.)"""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class _MetricsServer(uvicorn.Server):
    """A second server in the same event loop, which ends with the first."""

    def __init__(self, app: Starlette, listeners: Sequence[socket.socket]) -> None:
        # It has nothing to start, and who scrapes can come again.
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=1,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            access_log=False,
        )
        super().__init__(config)
        self._listeners = list(listeners)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See ``uvicorn.Server``. It has its own sockets."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await super().startup(self._listeners)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See ``uvicorn.Server``."""
        await super().shutdown(self._listeners)


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
