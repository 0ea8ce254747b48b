"""Guests share nothing, and a site goes and comes back."""

from collections.abc import Callable

import pytest
from playwright.async_api import Page, Route
from tests.site_process import Site

from .conftest import SiteWith
from .faults import Faults
from .guests import Guests
from .people import MAKE_A_ROOM

DEVICES = """
navigator.mediaDevices.getUserMedia({ audio: true, video: true })
  .then((stream) => stream.getTracks().length, (error) => error.name)
"""


async def _opens(page: Page) -> None:
    """A page of the site that is there whatever the site serves."""

    async def give(route: Route) -> None:
        await route.fulfill(body='<!doctype html><link rel="icon" href="data:,">', content_type="text/html")

    await page.route("**/blank", give)
    await page.goto("/blank")


async def test_guests_share_no_storage(site: Site, guest: Guests) -> None:
    ada, bob = await guest(site, None), await guest(site, None)
    for page in (ada, bob):
        await _opens(page)
    await ada.evaluate("localStorage.setItem('name', 'Ada')")
    assert await ada.evaluate("localStorage.getItem('name')") == "Ada"
    assert await bob.evaluate("localStorage.getItem('name')") is None


async def test_guest_has_the_browser_asked_for(site: Site, guest: Guests) -> None:
    size = (390, 844)
    page = await guest(site, None, locale="de", viewport=size, color_scheme="dark", reduced_motion="reduce")
    assert await page.evaluate("[navigator.language, innerWidth, innerHeight]") == ["de", *size]
    for wish in ("color-scheme: dark", "reduced-motion: reduce"):
        assert await page.evaluate(f"matchMedia('(prefers-{wish})').matches"), wish


async def test_guest_has_a_camera_and_a_microphone_unless_refused(site: Site, guest: Guests) -> None:
    ada, bob = await guest(site, None), await guest(site, None, permissions=())
    for page in (ada, bob):
        await _opens(page)
    assert await ada.evaluate(DEVICES) == 2
    assert await bob.evaluate(DEVICES) == "NotAllowedError"


@pytest.mark.parametrize("end", [Site.stop, Site.kill])
async def test_site_that_ends_comes_back_at_its_address_with_its_rooms(
    site_with: SiteWith, guest: Guests, faults: Faults, end: Callable[[Site], None]
) -> None:
    site = site_with(max_latent_rooms=1)
    page = await guest(site, None)
    await _opens(page)
    assert await page.evaluate(MAKE_A_ROOM) == 201

    end(site)
    assert await page.evaluate("fetch('/health').catch((error) => error.name)") == "TypeError"
    faults.allow("ERR_CONNECTION_REFUSED")
    site.start()

    assert await page.evaluate(MAKE_A_ROOM) == 429, "the one that may stand empty is still there"
    faults.allow(r"/api/rooms:1\)")
