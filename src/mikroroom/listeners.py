"""Sockets that listen: our own, or those that somebody else has opened, with our options on them."""

import errno
import logging
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from mikroroom.logs import Line
from mikroroom.settings import Settings
from mikroroom.systemd import NOTHING_INHERITED, Inherited

log = logging.getLogger(__name__)

BACKLOG = 2048
_HINTS = {
    errno.EADDRINUSE: "another program listens there; choose another --port",
    errno.EACCES: "ports below 1024 are for privileged users; choose another --port",
}


class CannotServe(Exception):
    """Why there is no server, as a line for the log."""

    def __init__(self, line: Line) -> None:
        super().__init__(str(line))
        self.line = line


class Listeners(NamedTuple):
    """Sockets that listen, and where they are to be found; and those for metrics, if they have their own."""

    sockets: Sequence[socket.socket]
    urls: Sequence[str]
    metrics: Sequence[socket.socket] = ()

    def tell(self, workers: int | None = None) -> None:
        """Log where the service is, and by how many it is served if it is not one."""
        for url in self.urls:
            log.info(Line("listening", url=url, workers=workers))
        for listener in self.metrics:
            log.info(Line("listening", url=f"{_place(listener)}/metrics"))

    def close(self) -> None:
        """Close this process's hold on them."""
        for listener in (*self.sockets, *self.metrics):
            listener.close()


def listen_or_tell(chosen: Settings, inherited: Inherited = NOTHING_INHERITED) -> Listeners:
    """Those that listen already, with our options; where there are none, as ``listen``.

    Raises ``CannotServe`` if that cannot be.
    """
    metrics: Sequence[socket.socket] = inherited.metrics
    if chosen.metrics == "off":
        for listener in metrics:
            listener.close()
        metrics = ()
    if not metrics and chosen.metrics == "on" and chosen.metrics_port:
        metrics = _listen_or_tell(chosen, chosen.metrics_host, chosen.metrics_port)
    if inherited.service:
        for listener in inherited.service:
            _set_options(listener, chosen)
        return Listeners(inherited.service, [_url(chosen, one) for one in inherited.service], metrics)
    listeners = _listen_or_tell(chosen, chosen.host, chosen.port)
    # One address, though a name such as localhost may have several sockets.
    return Listeners(listeners, [_web(chosen, chosen.host, listeners[0].getsockname()[1])], metrics)


def _listen_or_tell(chosen: Settings, host: str, port: int) -> Sequence[socket.socket]:
    try:
        return listen(chosen, host, port)
    except UnicodeError as error:  # of a name that cannot be looked up (RFC 5890)
        raise CannotServe(Line("cannot listen", host=host, port=port, reason="not a host name")) from error
    except OSError as error:
        hint = _HINTS.get(error.errno or 0)
        raise CannotServe(
            Line("cannot listen", host=host, port=port, reason=error.strerror, hint=hint)
        ) from error


def listen(chosen: Settings, host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of the host, on one port. Raises ``OSError`` if that cannot be."""
    listeners: list[socket.socket] = []
    absent: list[OSError] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in dict.fromkeys(found):
        listener = None
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # `::` is everything; any other IPv6 address is itself alone.
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
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


def _url(chosen: Settings, listener: socket.socket) -> str:
    """Where a socket of somebody else's making is to be found."""
    if listener.family == socket.AF_UNIX:
        return _place(listener)
    return _web(chosen, *listener.getsockname()[:2])


def _place(listener: socket.socket) -> str:
    """Likewise, by plain HTTP."""
    name = listener.getsockname()
    if listener.family != socket.AF_UNIX:
        return f"http://{_bracketed(name[0])}:{name[1]}"
    # One in no file system has a name that begins with a zero byte.
    return f"unix:{name}" if isinstance(name, str) else f"unix:@{os.fsdecode(name[1:])}"


def _web(chosen: Settings, host: str, port: int) -> str:
    scheme = "https" if chosen.tls_certificate else "http"
    return f"{scheme}://{_bracketed(host)}:{port}{chosen.root_path}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _set_options(listener: socket.socket, chosen: Settings) -> None:
    """Options of the listener and, because they inherit them, of all connections it accepts."""
    if listener.family == socket.AF_UNIX:
        return
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A peer that acknowledges but never reads would outlive every ping: closing waits for what is unsent.
        patience = int((chosen.ping_interval + chosen.ping_timeout) * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
