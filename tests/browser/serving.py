"""What a page needs: a ``Site``, which is a running server, and ``pages``, where it comes from itself."""

import contextlib
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Seconds within which a server must be up, or down.
PATIENCE = 20.0

PREFIX = "MIKROROOM_"


@dataclass(frozen=True)
class Site:
    """Where a server is, and where its words go."""

    url: str
    log: Path


@contextlib.contextmanager
def served(folder: Path, settings: Mapping[str, str]) -> Iterator[Site]:
    """A server with these settings (names without the prefix), for as long as the block lasts.

    Raises:
        RuntimeError: it ended, or said no port, before the patience was used up. Carries its log.
    """
    log = folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {PREFIX + name: value for name, value in settings.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mikroroom", "serve", "--port", "0", "--data-dir", str(folder)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Site(_url_of(process, log), log)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


def _url_of(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the log names: port 0 lets the system choose one that is free."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", log.read_text()):
            return found.group()
        time.sleep(0.02)
    raise RuntimeError(f"The server did not come up:\n{log.read_text()}")


@contextlib.contextmanager
def pages() -> Iterator[int]:
    """This folder over HTTP, on a port of its own. Gives the port."""
    files = functools.partial(_Files, directory=str(Path(__file__).parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Files(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing about it."""

    def log_message(self, *_: object) -> None:
        pass
