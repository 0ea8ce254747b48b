"""The example sites, each started once, and a browser for all of them."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.chromium import chromium, share_a_loop
from tests.web.faults import Faults
from tests.web.guests import Guests

from .example_site import ExampleSite

StartExample = Callable[[str], ExampleSite]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser serves all tests of this folder."""
    share_a_loop(items, Path(__file__).parent)


@pytest.fixture(scope="package")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartExample]:
    """Starts sites of docs/examples. At the end all stop in good order, having complained of nothing."""
    sites: dict[str, ExampleSite] = {}
    folder = tmp_path_factory.mktemp("examples")

    def start(name: str) -> ExampleSite:
        if name not in sites:
            sites[name] = ExampleSite(name, folder / f"{name}.log")
        return sites[name]

    yield start
    for name, site in sites.items():
        code = site.stop()
        # uvicorn dies of the signal that it was sent, once it is done.
        assert code in (0, -15) and "Application shutdown complete" in site.said(), name
        assert "Traceback" not in site.said(), site.said()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A running browser."""
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def guest(browser: Browser, start: StartExample) -> AsyncIterator[Guests]:
    """``await guest(site, "/path")``: somebody opens a page. No browser may complain."""
    faults = Faults()
    async with Guests(browser, faults) as guests:
        yield guests
    assert not faults.unexpected, "\n".join(["The browser complained:", *faults.unexpected])
