"""How soon the room page is there, and the first picture of somebody else: ``python -m tests.web.measure``.

Real pages against a real server on this machine, so what a network adds is not in it; every page has an empty
cache. Medians of several rounds.
"""

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page
from tests.chromium import DEVICES, chromium
from tests.site_process import Site

from .people import Person

ROUNDS = 15

# As many frames a second as most cameras give. The first one is not sent sooner than the next one is there.
CAMERA = "--use-fake-device-for-media-stream=fps=30"

# Milliseconds from the start of the navigation.
LOBBY = """async () => {
  const painted = (entries) => entries.find(({ name }) => name === "first-contentful-paint")?.startTime;
  const paint = painted(performance.getEntriesByType("paint")) ?? await new Promise((resolve) => {
    new PerformanceObserver((list) => painted(list.getEntries()) && resolve(painted(list.getEntries())))
      .observe({ type: "paint", buffered: true });
  });
  return paint;
}"""
SIZES = """() => {
  const entries = ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type));
  const sum = (name) => entries.reduce((total, entry) => total + entry[name], 0);
  return [entries.length, sum("encodedBodySize"), sum("transferSize"), sum("decodedBodySize")];
}"""
# Milliseconds from the press of the button to a frame of somebody else on the screen.
FIRST_FRAME = """() => new Promise((resolve) => {
  const begun = performance.now();
  new MutationObserver((_, observer) => {
    const video = document.querySelector("[data-participant-id] video");
    if (!video) return;
    observer.disconnect();
    video.requestVideoFrameCallback(() => resolve(performance.now() - begun));
  }).observe(document.body, { childList: true, subtree: true });
  [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Enter meeting").click();
})"""


async def sizes(page: Page) -> list[int]:
    """Requests; bytes compressed, with headers as Chromium counts them, and decompressed."""
    counted: list[int] = await page.evaluate(SIZES)
    return counted


async def _visit(browser: Browser, site: Site, code: str) -> dict[str, Any]:
    context = await browser.new_context(base_url=site.url, permissions=DEVICES)
    page = await context.new_page()
    await page.goto(f"/#{code}")
    guest = Person("Guest", page)
    await guest.field("Your name").fill(guest.name)
    lobby = await page.evaluate(LOBBY)
    size = await sizes(page)
    frame = await page.evaluate(FIRST_FRAME)
    await context.close()
    return {"lobby": lobby, "frame": frame, "size": size}


async def main() -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        async with chromium(CAMERA) as browser:
            with Site(
                Path(folder), connections_per_minute=0, rooms_per_minute=0, stun_servers="", resume_window=1
            ) as site:
                context = await browser.new_context(base_url=site.url, permissions=DEVICES)
                host = Person("Host", await context.new_page())
                await host.page.goto("/")
                code = await host.makes_a_meeting()
                visits = []
                for _ in range(ROUNDS):
                    visits.append(await _visit(browser, site, code))
                    await host.sees()
    requests, compressed, transferred, plain = visits[0]["size"]
    print(
        f"{requests} requests; {compressed:,} bytes compressed, {transferred:,} with headers, {plain:,} plain"
    )
    for what, name in (
        ("lobby", "navigation to painted lobby"),
        ("frame", "Enter meeting to first remote frame"),
    ):
        times = [visit[what] for visit in visits]
        print(f"{name}: median {statistics.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f}")


if __name__ == "__main__":
    asyncio.run(main())
