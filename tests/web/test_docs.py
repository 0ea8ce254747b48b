"""The page at ``/docs``: readable by anyone, in light and dark, on a wall and a telephone, with no script."""

from typing import Literal

import pytest
from playwright.async_api import Browser, expect
from tests.site_process import Site

from .conftest import Violations
from .guests import Guests

Scheme = Literal["light", "dark"]


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", (1280, 900)), ("dark", (1280, 900)), ("light", (360, 740))]
)
async def test_the_page_breaks_no_rule_and_fits(
    guest: Guests, site: Site, violations: Violations, scheme: Scheme, viewport: tuple[int, int]
) -> None:
    page = await guest(site, "/docs#JoinRequest", color_scheme=scheme, viewport=viewport)
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_the_page_needs_no_script(browser: Browser, site: Site) -> None:
    async with await browser.new_context(java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto(f"{site.url}/docs")
        await page.get_by_role("link", name="POST /api/rooms", exact=True).click()
        await expect(page).to_have_url(f"{site.url}/docs#createRoom")
        await page.get_by_role("link", name="asyncapi.json").first.click()
        await expect(page).to_have_url(f"{site.url}/asyncapi.json")
