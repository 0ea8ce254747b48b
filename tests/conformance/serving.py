"""Starts the server in each way it can be served, finds its port, and stops it again."""

import contextlib
import functools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from .people import PATIENCE
from .stage import Site

PREFIX = "MIKROROOM_"

# The plain server is told what a site would have to tell it: nothing in the application can set these.
_UVICORN = ["-m", "uvicorn", "--host", "127.0.0.1", "--port", "0", "--ws-max-size", "262144"]
_UVICORN_PING = {"PING_INTERVAL": "--ws-ping-interval", "PING_TIMEOUT": "--ws-ping-timeout"}

_SERVE = ["-m", "mikroroom", "serve", "--host", "127.0.0.1", "--port", "0"]
_PICOWS = ["--ws", "mikroroom.transport.picows:PicowsProtocol"]
_SITE = ["--app-dir", str(Path(__file__).parent), "mounted_site:app"]

# The three paths of a message: directly, by ASGI on picows, and by ASGI on uvicorn's own protocol; the first
# and the last also in somebody else's site.
WAYS = {
    "direct": _SERVE,
    "asgi": [*_SERVE, "--websocket-protocol", "picows", "--direct-path", "off"],
    "stock": [*_SERVE, "--websocket-protocol", "stock"],
    "uvicorn": [*_UVICORN, "--factory", "mikroroom:create_app"],
    "mounted": [*_UVICORN, *_SITE],
    "mounted-direct": [*_UVICORN, *_PICOWS, *_SITE],
}
PATHS = {way: "/meet" if way.startswith("mounted") else "" for way in WAYS}

# Every test leaves rooms behind, and the default of ten would soon be used up.
_ROOMY = {"MAX_LATENT_ROOMS": "100000"}


@contextlib.contextmanager
def served(way: str, settings: Mapping[str, str], folder: Path) -> Iterator[Site]:
    """A server with these settings (names without the prefix), served this way while the block lasts.

    Raises:
        RuntimeError: it ended, or said no port, before the patience was used up. Carries its log.
    """
    log = folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    chosen = {**_ROOMY, **settings, "DATA_DIR": str(folder / "data")}
    environment |= {PREFIX + name: value for name, value in chosen.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *WAYS[way], *_flags(way, settings)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Site(_listening_at(process, log) + PATHS[way], log, functools.partial(_stop, process))
    finally:
        _stop(process)


def _flags(way: str, settings: Mapping[str, str]) -> list[str]:
    if "serve" in WAYS[way]:
        return []
    flags = [(flag, settings[name]) for name, flag in _UVICORN_PING.items() if name in settings]
    return [word for flag in flags for word in flag]


def _listening_at(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the log names: port 0 lets the system choose one that is free."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", log.read_text()):
            return found.group()
        time.sleep(0.02)
    raise RuntimeError(f"The server did not come up:\n{log.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(PATIENCE)
