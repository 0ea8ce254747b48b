"""Those who open the room page: ``Guests`` gives each a browser of their own."""

import contextlib
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from playwright.async_api import Browser, Page
from tests.chromium import DEVICES, PATIENCE

from .faults import Faults

# What passes is kept in ``passed``: notices that were shown, and reactions after the name of who reacted.
KEEP_WHAT_PASSES = """
globalThis.passed = [];
new MutationObserver((records) => {
  for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
    if (!(node instanceof Element) || !node.matches(".toast, .float")) continue;
    const by = node.matches(".float") ? `${node.parentElement?.getAttribute("aria-label")}: ` : "";
    if (by || node.checkVisibility()) passed.push(by + node.textContent);
  }
}).observe(document, { childList: true, subtree: true });
"""


class Address(Protocol):
    """Whatever is somewhere: a ``Site``, or less."""

    @property
    def url(self) -> str:
        """Where it is."""


class Guests:
    """Opens pages. All are closed at the end, once what they had to complain about has been heard."""

    def __init__(self, browser: Browser, faults: Faults) -> None:
        self._browser = browser
        self._faults = faults
        self._contexts = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with self._contexts:
            await self._faults.settle()

    async def __call__(
        self,
        site: Address,
        path: str | None = "/",
        *,
        locale: str = "en",
        viewport: tuple[int, int] = (1280, 720),
        color_scheme: Literal["light", "dark"] = "light",
        reduced_motion: Literal["reduce", "no-preference"] = "no-preference",
        permissions: tuple[str, ...] = DEVICES,
        **options: Any,
    ) -> Page:
        """A page of the site, loaded, in a new context: it shares nothing with any other.

        Without a path it is still empty. ``page.goto`` takes paths of the site too. Without ``permissions``
        there is no camera and no microphone to be had. Further options are those of Playwright's
        ``new_context``.
        """
        context = await self._browser.new_context(
            base_url=site.url,
            locale=locale,
            viewport={"width": viewport[0], "height": viewport[1]},
            color_scheme=color_scheme,
            reduced_motion=reduced_motion,
            permissions=permissions,
            **options,
        )
        self._contexts.push_async_callback(context.close)
        context.set_default_timeout(PATIENCE * 1000)
        await self._faults.watch(context)
        await context.add_init_script(KEEP_WHAT_PASSES)
        page = await context.new_page()
        if path is not None:
            await page.goto(path)
        return page
