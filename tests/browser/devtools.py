"""Chromium without a window, driven over its DevTools protocol.

``chromium`` starts one, ``DevTools`` is a connection to it, and a ``Tab`` a page in it. Knows nothing of
meetings. https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

# Seconds. The first start on a machine reads the whole program from disk.
START_PATIENCE = 60.0
PATIENCE = 20.0

FLAGS = (
    "--headless",
    # Tests often run as root or in a container, where Chromium has neither a sandbox nor much shared memory.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # Nobody is asked about a camera, and there is one.
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # Peers find each other on this machine alone, even where it has no network at all.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    # No page sleeps because another is in front of it.
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    # It talks to nobody but the test.
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-quic",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--remote-debugging-port=0",
)

Reply = dict[str, Any]


@contextlib.contextmanager
def chromium(program: str) -> Iterator[str]:
    """A new browser, for as long as the block lasts. Gives the URL of its DevTools.

    Raises:
        RuntimeError: it ended, or opened no port, before the patience was used up. Carries its log.
    """
    # All that it writes goes here. Its socket too, whose path must be short, as pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "chromium.log")
        profile = Path(folder, "profile")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
                env={**os.environ, "HOME": folder, "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield _devtools_url(process, profile / "DevToolsActivePort", log)
        finally:
            _stop(process)


def _devtools_url(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> str:
    deadline = time.monotonic() + START_PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            port, path = port_file.read_text().split()
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.02)
    raise RuntimeError(f"Chromium did not come up:\n{log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        # It has a session of its own, so this ends it and its children, and nothing else.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


class DevTools:
    """One connection to a browser. What is opened over it is closed with it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._loaded: dict[str, asyncio.Event] = {}
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        # Not through a proxy, wherever the environment may name one: it is on this machine.
        self._connection = await connect(self._url, max_size=None, compression=None, proxy=None)
        self._exits.push_async_callback(self._connection.close)
        reading = asyncio.create_task(self._read(self._connection))
        self._exits.callback(reading.cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._exits.aclose()

    async def open(self, url: str) -> "Tab":
        """A loaded page in a window of its own, which shares no storage with any other."""
        context = (await self.command("Target.createBrowserContext"))["browserContextId"]
        self._exits.push_async_callback(
            self.command, "Target.disposeBrowserContext", browserContextId=context
        )
        target = await self.command("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        session = attached["sessionId"]
        self._loaded[session] = asyncio.Event()
        await self.command("Page.enable", session)
        await self.command("Page.navigate", session, url=url)
        async with asyncio.timeout(PATIENCE):
            await self._loaded[session].wait()
        return Tab(self, session)

    async def command(self, method: str, session: str | None = None, /, **parameters: object) -> Reply:
        """Have the browser, or a page in it, do something.

        Raises:
            TimeoutError: no answer came in time.
            ConnectionError: the browser is gone.
            AssertionError: it did not want to.
        """
        number = next(self._numbers)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        request = {"id": number, "method": method, "params": parameters}
        try:
            async with asyncio.timeout(PATIENCE):
                await self._connection.send(json.dumps(request | ({"sessionId": session} if session else {})))
                answer = await reply
        finally:
            del self._replies[number]
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: Reply = answer["result"]
        return result

    async def _read(self, connection: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                self._hear(json.loads(text))
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionError("Chromium is gone"))

    def _hear(self, message: Reply) -> None:
        if reply := self._replies.get(message.get("id", 0)):
            # One whose patience is over is cancelled already.
            if not reply.done():
                reply.set_result(message)
        elif message.get("method") == "Page.loadEventFired":
            self._loaded[message["sessionId"]].set()


class Tab:
    """One page."""

    def __init__(self, devtools: DevTools, session: str) -> None:
        self._devtools = devtools
        self._session = session

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; if that is a promise, what it comes to.

        Raises:
            AssertionError: it threw something.
            TimeoutError: it came to nothing in time.
        """
        answer = await self._devtools.command(
            "Runtime.evaluate", self._session, expression=expression, awaitPromise=True, returnByValue=True
        )
        thrown = answer.get("exceptionDetails")
        assert not thrown, thrown.get("exception", {}).get("description", thrown["text"])
        return answer["result"].get("value")
