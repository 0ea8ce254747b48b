"""What a browser test is given: a browser, a page from elsewhere than the server, and a ``stage``."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from .devtools import DevTools, chromium
from .people import Stage
from .serving import pages, served

StageWith = Callable[..., Stage]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def devtools_url() -> Iterator[str]:
    """A running browser. Where there is none the tests are skipped; where all tests must run, they fail."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("Chromium is not installed")
    with chromium(program) as url:
        yield url


@pytest.fixture(scope="session")
def page_port() -> Iterator[int]:
    """Where the page is served. Another port than the server's, so another origin to the browser."""
    with pages() as port:
        yield port


@pytest.fixture
async def stage_with(devtools_url: str, page_port: int, tmp_path: Path) -> AsyncIterator[StageWith]:
    """A stage before a new server with the settings given."""
    with contextlib.ExitStack() as servers:
        async with DevTools(devtools_url) as devtools, contextlib.AsyncExitStack() as cleanup:

            def start(**settings: str) -> Stage:
                # The page asks the server which ICE servers to use, and on one machine none are needed.
                site = servers.enter_context(served(tmp_path, {"STUN_SERVERS": "", **settings}))
                stage = Stage(site, devtools, page_port)
                cleanup.push_async_callback(stage.tell)
                return stage

            yield start
