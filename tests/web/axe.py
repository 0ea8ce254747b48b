"""axe-core, a checker of accessibility rules. https://github.com/dequelabs/axe-core"""

from pathlib import Path
from typing import Any

from playwright.async_api import Page

# Nothing is loaded for its sake, and what it cannot decide is left to people.
RUN = "axe.run(document, { preload: false, resultTypes: ['violations'] })"


class Axe:
    """The checker, from the folder with its package."""

    def __init__(self, modules: Path) -> None:
        self._source = Path(modules, "axe-core", "axe.min.js").read_text()

    async def violations(self, page: Page) -> list[str]:
        """What breaks a rule in the page as it is now: the rule, how bad it is, which element, and why.

        It comes into the page through the debugger, so no content security policy keeps it out.
        """
        await page.evaluate(self._source)
        found: dict[str, Any] = await page.evaluate(RUN)
        return [
            f"{rule['id']} ({rule['impact']}): {_path(node['target'])}: {_line(node['failureSummary'])}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


def _path(target: list[str | list[str]]) -> str:
    """A selector; through frames one for each, and through shadow roots a list of them."""
    return " > ".join(step if isinstance(step, str) else " >>> ".join(step) for step in target)


def _line(summary: str) -> str:
    """``Fix any of the following:`` and the reasons, which come on a line each."""
    head, *reasons = (line.strip() for line in summary.splitlines())
    return f"{head} {'; '.join(reasons)}"
