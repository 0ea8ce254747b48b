"""What a browser test is given: a browser, a page from elsewhere than the server, and a ``stage``."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.chromium import chromium, share_a_loop
from tests.site_process import Site

from .people import Stage
from .serving import pages

StageWith = Callable[..., Stage]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser serves all tests of this folder."""
    share_a_loop(items, Path(__file__).parent)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A running browser. Pages share nothing in it, each being in a context of its own."""
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def page_port() -> Iterator[int]:
    """Where the page is served. Another port than the server's, so another origin to the browser."""
    with pages() as port:
        yield port


@pytest_asyncio.fixture(loop_scope="session")
async def stage_with(browser: Browser, page_port: int, tmp_path: Path) -> AsyncIterator[StageWith]:
    """A stage before a new server with the settings given."""
    with contextlib.ExitStack() as servers:
        async with contextlib.AsyncExitStack() as cleanup:

            def start(**settings: str) -> Stage:
                # The page asks the server which ICE servers to use, and on one machine none are needed.
                site = servers.enter_context(Site(tmp_path, stun_servers="", **settings))
                stage = Stage(site, browser, page_port)
                cleanup.push_async_callback(stage.close)
                return stage

            yield start
