"""What a browser complains about: of a page without fault there is nothing to hear."""

import re

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Request, WebError

COMPLAINTS = ("error", "warning", "assert")

# Chromium's own complaint does not always name the directive and the one who broke it.
TELL_BREACH = """
addEventListener("securitypolicyviolation", (event) => {
  const { effectiveDirective, blockedURI, sourceFile, lineNumber, sample } = event;
  const place = `${sourceFile}:${lineNumber}`;
  console.error("securitypolicyviolation:", effectiveDirective, blockedURI, place, sample);
});
"""

# What is said in a page once everything has had its turn that waited for one. A timer will not do: a test may
# have stopped the page's clock.
LAST = "nothing more to come"
SAY_LAST = """(text) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => console.debug(text);
  port2.postMessage(null);
}"""


class Faults:
    """Errors and warnings of the console, uncaught exceptions, failed requests, crashes, and breaches of the
    content security policy, in all pages of the contexts watched. Each is a text.
    """

    def __init__(self) -> None:
        self._found: list[str] = []
        self._allowed: list[re.Pattern[str]] = []
        self._contexts: list[BrowserContext] = []

    def allow(self, *patterns: str) -> None:
        """Faults in which one of these regular expressions is found are none, those that have been too."""
        self._allowed += map(re.compile, patterns)

    @property
    def unexpected(self) -> list[str]:
        """What has come that is not allowed."""
        return [fault for fault in self._found if not any(like.search(fault) for like in self._allowed)]

    async def watch(self, context: BrowserContext) -> None:
        """Listen to all pages that will be opened in it."""
        self._contexts.append(context)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("requestfailed", self._on_request_failed)
        context.on("page", lambda page: page.on("crash", self._on_crash))
        await context.add_init_script(TELL_BREACH)

    async def settle(self) -> None:
        """Come back when everything has come that happened in the pages until now."""
        for page in [page for context in self._contexts for page in context.pages]:
            try:
                async with page.expect_console_message(lambda message: message.text == LAST):
                    await page.evaluate(SAY_LAST, LAST)
            except Error as error:
                self._found.append(f"no answer from {page.url}: {error}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in COMPLAINTS:
            place = message.location
            where = f"{place['url']}:{place['lineNumber'] + 1}" if place["url"] else "no place"
            self._found.append(f"console.{message.type}: {message.text} ({where})")

    def _on_error(self, event: WebError) -> None:
        self._found.append(f"uncaught: {event.error.stack or event.error}")

    def _on_request_failed(self, request: Request) -> None:
        # No page waits for its icon to be there: whoever leaves it early, as by a reload, ends that request.
        if request.failure == "net::ERR_ABORTED" and request.url.endswith("/icon.svg"):
            return
        self._found.append(f"request failed: {request.method} {request.url} {request.failure}")

    def _on_crash(self, page: Page) -> None:
        self._found.append(f"crashed: {page.url}")
