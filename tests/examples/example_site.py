"""The sites of docs/examples, each as a process of its own, started as its README says."""

import os
import random
import re
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page
from tests.site_process import PATIENCE, PORTS
from tests.web.people import COUNT_FRAMES, until

from mikroroom.client import Client

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PASSWORD = "correct horse"


class ExampleSite:
    """A site that runs, until ``stop``.

    Raises:
        AssertionError: it did not come up. Carries its log.
    """

    def __init__(self, name: str, log: Path) -> None:
        self._folder = EXAMPLES / name
        self._log = log
        for self.port in random.sample(PORTS, 5):  # any may be somebody else's
            if self._comes_up():
                return
        raise AssertionError(f"{name} did not come up:\n{self.said()}")

    @property
    def url(self) -> str:
        """Where it is; and its origin."""
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """All that it has written."""
        return self._log.read_text()

    async def says(self, text: str) -> None:
        """Wait until it has written that."""

        async def is_there() -> bool:
            return text in self.said()

        await until(is_there, f"the site says {text}")

    def stop(self) -> int:
        """End it in good order. Returns its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    def anybody(self, **options: Any) -> httpx.AsyncClient:
        """A browser's cookies and nothing else; close it."""
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=PATIENCE, **options)

    @asynccontextmanager
    async def connects(self, cookies: str = "", origin: str = "") -> AsyncIterator[Client]:
        """Somebody's WebSocket, with what its browser would send along."""
        headers = {"Cookie": cookies} if cookies else {}
        url = f"{self.url.replace('http', 'ws', 1)}/meet/ws"
        options: dict[str, Any] = {"additional_headers": headers, "origin": origin or self.url, "proxy": None}
        async with Client.connect(url, **options) as client:
            yield client

    def _comes_up(self) -> bool:
        words = [str(self.port) if word == "8000" else word for word in self._command()]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MIKROROOM_")}
        environment = {**inherited, "ORIGIN": self.url, "PASSWORD": PASSWORD, "PYTHONDONTWRITEBYTECODE": "1"}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if "Uvicorn running" in self.said():
                return True
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        return False

    def _command(self) -> list[str]:
        found = re.search(r"^uvicorn .*$", (self._folder / "README.md").read_text(), re.MULTILINE)
        assert found, "the README does not say how to start it"
        return shlex.split(found[0])


async def cookies_of(user: str, site: ExampleSite, path: str = "/login") -> str:
    """Log in over the form, as a browser would; the ``Cookie`` header from then on."""
    async with site.anybody(follow_redirects=True) as browser:
        form = await browser.get(path)
        fields = dict(re.findall(r'name="(csrfmiddlewaretoken)" value="(\w+)"', form.text))
        answer = await browser.post(
            path,
            data={"user": user, "username": user, "password": PASSWORD, **fields},
            headers={"Origin": site.url},
        )
        assert answer.status_code == 200 and not answer.url.path.endswith(path), answer.text
        return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


async def sees_a_picture(page: Page) -> None:
    """Somebody else's picture is shown."""
    video = page.locator("video")
    await until(lambda: video.evaluate(COUNT_FRAMES), "a picture comes")
