"""What the browser complains about is heard, and nothing else."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from .faults import Faults

HEADERS = {
    "Content-Type": "text/html",
    "Content-Security-Policy": "default-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'",
}


@pytest.fixture
def faults() -> Faults:
    """Not those of a guest, so that they are none of the test's."""
    return Faults()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, faults: Faults) -> AsyncIterator[Page]:
    """A page without fault, under a strict policy, that can be led astray."""

    async def give(route: Route) -> None:
        if route.request.url.endswith("/gone"):
            await route.abort()
        else:
            status = 404 if route.request.url.endswith("/nowhere") else 200
            await route.fulfill(status=status, headers=HEADERS, body="<!doctype html>")

    async with await browser.new_context() as context:
        await faults.watch(context)
        page = await context.new_page()
        await page.route("**/*", give)
        await page.goto("http://page.test/")
        yield page


MISDEEDS = {
    "error": ("console.error('Oh', 1)", r"console\.error: Oh 1 \(.+\)"),
    "warning": ("console.warn('Hm')", r"console\.warning: Hm \(.+\)"),
    "assertion": ("console.assert(false, 'No')", r"console\.assert: No \(.+\)"),
    "exception": ("void queueMicrotask(() => { throw Error('Ouch') })", "uncaught: Error: Ouch\n.*"),
    "rejection": ("void Promise.reject(Error('Ouch'))", "uncaught: Error: Ouch\n.*"),
    "status": (
        "fetch('/nowhere').then(() => {})",
        r"console\.error: .* 404 .*\(http://page.test/nowhere:1\)",
    ),
    "request": (
        "fetch('/gone').catch(() => {})",
        r"request failed: GET http://page.test/gone net::ERR_FAILED",
    ),
    "connection": (
        "fetch('http://other.test/').catch(() => {})",
        r"console\.error: securitypolicyviolation: connect-src http://other.test/ .*",
    ),
    "markup": (
        "Promise.try(() => { document.head.innerHTML = '' }).catch(() => {})",
        r"console\.error: securitypolicyviolation: require-trusted-types-for trusted-types-sink .*",
    ),
}


@pytest.mark.parametrize(("misdeed", "fault"), MISDEEDS.values(), ids=MISDEEDS)
async def test_misdeed_of_a_page_is_a_fault(page: Page, faults: Faults, misdeed: str, fault: str) -> None:
    await page.evaluate(misdeed)
    await faults.settle()
    assert any(re.fullmatch(fault, found, re.DOTALL) for found in faults.unexpected), faults.unexpected


async def test_crash_of_a_page_is_a_fault(page: Page, faults: Faults) -> None:
    async with page.expect_event("crash"):
        with pytest.raises(Exception, match="crash"):
            await page.goto("chrome://crash")
    await faults.settle()
    assert any(found.startswith("crashed: ") for found in faults.unexpected), faults.unexpected


async def test_fault_that_is_allowed_is_none(page: Page, faults: Faults) -> None:
    await page.evaluate("console.error('one'), console.error('two')")
    await faults.settle()
    assert len(faults.unexpected) == 2
    faults.allow(r"console\.error: one")
    (other,) = faults.unexpected
    assert other.startswith("console.error: two")
    faults.allow("two")
    assert faults.unexpected == []


async def test_page_that_talks_without_complaint_has_no_fault(page: Page, faults: Faults) -> None:
    await page.evaluate("console.log('a'), console.info('b'), console.debug('c')")
    await faults.settle()
    assert faults.unexpected == []
