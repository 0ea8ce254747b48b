"""The ways in which uvicorn is started and listens: the protocol must do in each of them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosedError

from .conftest import SiteWith
from .looking_app import delays
from .site import PROTOCOLS
from .wire import PATIENCE

ON_ONE_LOOP = pytest.mark.asyncio(loop_factories=["asyncio"])


@pytest.mark.parametrize("listening", ["port", "socket", "fd"])
async def test_small_writes_are_not_held_back(site_with: SiteWith, listening: str) -> None:
    """TCP_NODELAY, whoever made the listener: Nagle's algorithm costs 40 ms a message."""
    site = await site_with(listening=listening)
    for _ in range(3):
        await site.opened()
    # The clients' ends are of the same process, but at other ports.
    assert delays(site.port) == [False] * 3


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(protocol: str, tmp_path: Path) -> Iterator[Start]:
    """Starts uvicorn with these arguments; gives the process. Its log is in ``tmp_path``."""
    with contextlib.ExitStack() as processes:

        def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
            usual = [sys.executable, "-m", "uvicorn", "--ws", PROTOCOLS[protocol]]
            usual += ["--app-dir", str(Path(__file__).parent), "--timeout-graceful-shutdown", "5"]
            log = processes.enter_context((tmp_path / "log").open("wb"))
            process = subprocess.Popen(
                [*usual, *arguments, "looking_app:app"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )
            processes.callback(_end, process)
            return process

        yield start


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and its workers are no more."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


async def _opened(open_one: Callable[[], connect], process: subprocess.Popen[bytes]) -> ClientConnection:
    """A client, as soon as the server listens."""
    deadline = time.monotonic() + 2 * PATIENCE
    while True:
        try:
            return await open_one()
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "it did not come up"
            await asyncio.sleep(0.02)


WAYS = {
    # A worker that takes long to come up on a busy machine is not to be taken for dead.
    "workers": ["--workers=2", "--loop=asyncio", "--timeout-worker-healthcheck=120"],
    "fd on asyncio": ["--loop=asyncio", "--http=h11"],
    "fd on uvloop": ["--loop=uvloop", "--http=httptools"],
    "uds": ["--loop=uvloop"],
}


@ON_ONE_LOOP
@pytest.mark.parametrize("way", WAYS)
async def test_process(start: Start, way: str, tmp_path: Path) -> None:
    """It serves, without delays, and says goodbye when it is told to stop."""
    arguments, options = WAYS[way], {}
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port = plug.getsockname()[1]
        if way.startswith("fd"):
            arguments, options = [*arguments, f"--fd={plug.fileno()}"], {"pass_fds": [plug.fileno()]}
        elif way == "uds":
            arguments = [*arguments, f"--uds={tmp_path / 'socket'}"]
        else:
            plug.close()
            arguments = [*arguments, f"--port={port}"]
        process = start(*arguments, **options)

    def one() -> connect:
        if way == "uds":
            return unix_connect(str(tmp_path / "socket"), compression=None)
        return connect(f"ws://127.0.0.1:{port}", compression=None)

    clients = [await _opened(one, process) for _ in range(6)]
    seen = []
    for client in clients:
        await client.send("x" * 100_000)
        assert await client.recv() == "x" * 100_000
        await client.send("?")
        seen.append(json.loads(await client.recv()))
    assert not [each for each in seen if any(each["delays"])]
    if way != "uds":
        assert all(each["delays"] for each in seen)
    process.send_signal(signal.SIGTERM)
    for client in clients:
        with pytest.raises(ConnectionClosedError) as closed:
            async with asyncio.timeout(PATIENCE):
                await client.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        await client.close()
    assert await asyncio.to_thread(process.wait, PATIENCE) in {0, -signal.SIGTERM}
    assert "Traceback" not in (tmp_path / "log").read_text()
