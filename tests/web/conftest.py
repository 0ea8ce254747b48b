"""What a test of the room page is given: a ``site``, and a ``guest`` whose ``faults`` are the test's."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.chromium import chromium, share_a_loop
from tests.conftest import serving
from tests.site_process import Site

from mikroroom import Settings, create_app

from .axe import Axe
from .callers import Call, calls
from .faults import Faults
from .guests import Address, Guests
from .modules import installed
from .people import Person

SiteWith = Callable[..., Site]
People = Callable[..., Awaitable[list[Person]]]
Violations = Callable[[Page], Awaitable[list[str]]]

# Nobody here has more than one address, and on one machine no ICE server is needed.
SETTINGS = {
    "connections_per_minute": 0,
    "rooms_per_minute": 0,
    "configs_per_minute": 0,
    "stun_servers": "",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser serves all tests of this folder."""
    share_a_loop(items, Path(__file__).parent)


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder with the packages from the npm registry."""
    return installed()


@pytest.fixture
def violations(modules: Path) -> Violations:
    """``await violations(page)``: the accessibility rules that the page breaks, a readable line for each."""
    return Axe(modules).violations


@pytest.fixture
def site_with(tmp_path: Path) -> Iterator[SiteWith]:
    """Starts a server with the settings given, each with data and a log of its own."""
    sites: list[Site] = []
    with contextlib.ExitStack() as stack:

        def start(**settings: object) -> Site:
            folder = tmp_path / f"site-{len(sites)}"
            folder.mkdir()
            sites.append(stack.enter_context(Site(folder, **{**SETTINGS, **settings})))
            return sites[-1]

        yield start
    for site in sites:
        print(site.said())  # pytest shows it if the test failed
        assert "Traceback" not in site.said()


@pytest.fixture
def site(site_with: SiteWith) -> Site:
    """A running server that bounds no one's connections and rooms."""
    return site_with()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A running browser."""
    async with chromium() as browser:
        yield browser


@pytest.fixture
def faults() -> Faults:
    """What the browser complains about. The test may allow for some of it; with anything else it fails."""
    return Faults()


@pytest_asyncio.fixture(loop_scope="session")
async def mounted() -> AsyncIterator[Address]:
    """Somebody else's site on stock uvicorn, with the service below ``/meet``."""
    meetings = create_app(Settings(connections_per_minute=0, rooms_per_minute=0, stun_servers=()))
    async with serving(Starlette(routes=[Mount("/meet", app=meetings)])) as url:
        yield SimpleNamespace(url=url)


# ``site_with`` is named so that the servers outlive the pages, which would complain of their going.
@pytest_asyncio.fixture(loop_scope="session")
async def guest(browser: Browser, faults: Faults, site_with: SiteWith) -> AsyncIterator[Guests]:
    """``await guest(site, "/path")``: somebody opens a page of the site, in a browser of their own."""
    async with Guests(browser, faults) as guests:
        yield guests
    assert not faults.unexpected, "\n".join(["The browser complained:", *faults.unexpected])


@pytest.fixture
def people(guest: Guests) -> People:
    """``await people(site, "Ada", "Bob")``: several open the room page. Options are those of ``guest``."""

    async def open_pages(site: Address, *names: str, path: str = "/", **options: Any) -> list[Person]:
        return [Person(name, await guest(site, path, **options)) for name in names]

    return open_pages


@pytest.fixture
def call(guest: Guests) -> Call:
    """``await call(site)``: a blank page of the site, with the JavaScript client on it."""
    return calls(guest)
