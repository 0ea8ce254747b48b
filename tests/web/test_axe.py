"""The checker finds what is wrong, and gets at a page that lets no script in."""

from playwright.async_api import Browser, Route

from .conftest import Violations

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)


async def test_button_without_a_name_under_a_strict_policy_is_a_violation(
    browser: Browser, violations: Violations
) -> None:
    name = ""

    async def give(route: Route) -> None:
        main = f'<main><h1>Page</h1><button id="mute">{name}</button></main>'
        body = f'<!doctype html><html lang="en"><title>Page</title>{main}</html>'
        await route.fulfill(body=body, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.route("**/*", give)
        await page.goto("http://page.test/")
        (violation,) = await violations(page)
        assert violation.startswith("button-name (critical): #mute: Fix any of the following: ")
        assert "aria-label attribute does not exist or is empty" in violation

        name = "Mute"
        await page.reload()
        assert await violations(page) == []
