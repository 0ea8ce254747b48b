"""Starts the server in each way it can be served, finds its ports, and stops it again."""

import contextlib
import functools
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from .people import PATIENCE
from .stage import Site, Worker

PREFIX = "MIKROROOM_"

# Seconds for a server to come up: a machine that is busy with something else takes long to load a program.
START_PATIENCE = 120.0

# The plain server is told what a site would have to tell it: nothing in the application can set these.
_UVICORN = ["-m", "uvicorn", "--host", "127.0.0.1", "--port", "0", "--ws-max-size", "262144"]
_UVICORN_PING = {"PING_INTERVAL": "--ws-ping-interval", "PING_TIMEOUT": "--ws-ping-timeout"}

_SERVE = ["-m", "mikroroom", "serve", "--host", "127.0.0.1", "--port", "0"]
_ASGI = [*_SERVE, "--websocket-protocol", "picows", "--direct-path", "off"]
_STOCK = [*_SERVE, "--websocket-protocol", "stock"]
_PICOWS = ["--ws", "mikroroom.transport.picows:PicowsProtocol"]
_SITE = ["--app-dir", str(Path(__file__).parent), "mounted_site:app"]

# The command of each worker. The three paths of a message: directly, by ASGI on picows, and by ASGI on
# uvicorn's own protocol; the first and the last also in somebody else's site. And several workers, which need
# not be alike.
WAYS = {
    "direct": [_SERVE],
    "asgi": [_ASGI],
    "stock": [_STOCK],
    "uvicorn": [[*_UVICORN, "--factory", "mikroroom:create_app"]],
    "mounted": [[*_UVICORN, *_SITE]],
    "mounted-direct": [[*_UVICORN, *_PICOWS, *_SITE]],
    "workers-2": [_SERVE, _SERVE],
    "workers-4": [_SERVE, _ASGI, _STOCK, _SERVE],
}
PATHS = {way: "/meet" if way.startswith("mounted") else "" for way in WAYS}
# Those whose workers have their rooms in one store.
SHARED = {way for way, commands in WAYS.items() if len(commands) > 1}

# Every test leaves rooms behind, and the default of ten would soon be used up.
_ROOMY = {"MAX_LATENT_ROOMS": "100000"}


@contextlib.contextmanager
def served(way: str, settings: Mapping[str, str], folder: Path, store_url: str = "") -> Iterator[Site]:
    """A site with these settings (names without the prefix), served this way while the block lasts.

    Several workers need the URL of a store, and have a part of it to themselves.

    Raises:
        RuntimeError: a server ended, or was not ready before the patience was used up. Carries its log.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    chosen = {**_ROOMY, **settings, **_keeping(way, folder, store_url)}
    environment |= {PREFIX + name: value for name, value in chosen.items()}
    commands = [[*command, *_flags(command, settings)] for command in WAYS[way]]
    logs = [folder / f"server-{number}.log" for number, _ in enumerate(commands, 1)]
    processes = [_started(command, environment, log) for command, log in zip(commands, logs, strict=True)]
    try:
        workers = tuple(
            _ready_at(process, log, PATHS[way]) for process, log in zip(processes, logs, strict=True)
        )
        yield Site(workers, tuple(logs), functools.partial(_stop, processes))
    finally:
        _stop(processes)


def _keeping(way: str, folder: Path, store_url: str) -> dict[str, str]:
    """Where the rooms are."""
    if way in SHARED:
        return {"REDIS_URL": store_url, "REDIS_PREFIX": f"{secrets.token_hex(8)}:"}
    return {"DATA_DIR": str(folder / "data")}


def _flags(command: Sequence[str], settings: Mapping[str, str]) -> list[str]:
    if "serve" in command:
        return []
    flags = [(flag, settings[name]) for name, flag in _UVICORN_PING.items() if name in settings]
    return [word for flag in flags for word in flag]


def _started(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=output, stderr=subprocess.STDOUT
        )


def _ready_at(process: subprocess.Popen[bytes], log: Path, path: str) -> Worker:
    """A server at the address that its log names: port 0 lets the system choose one that is free.

    It is ready when it says so: a load balancer would send nobody there before.
    """
    deadline = time.monotonic() + START_PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:[1-9]\d*", log.read_text())
        if found and _is_ready(f"{found.group()}{path}/ready"):
            return Worker(found.group() + path)
        time.sleep(0.02)
    raise RuntimeError(f"The server did not come up:\n{log.read_text()}")


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=PATIENCE).is_success
    except httpx.ConnectError:  # what it has named it need not listen at yet
        return False


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """All at once: each takes its time."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
