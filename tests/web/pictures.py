"""The pictures of the room page in README and docs: ``python -m tests.web.pictures`` draws them anew.

A real meeting of real pages. Only the faces are drawn, since nobody sits before a test's camera.
"""

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path

from playwright.async_api import Browser, expect
from tests.chromium import DEVICES, chromium
from tests.site_process import Site

from .people import Person, until

FOLDER = Path(__file__).parents[2] / "docs" / "images"
CODE = "MEET42"
NAMES = ("Ada", "Grace", "Alan", "Hedy", "Tim")

# A connection carries little at first, and more with each second.
SHARP = """
[...document.querySelectorAll("video")].every((video) => !video.checkVisibility({ visibilityProperty: true })
  || !video.srcObject || video.videoWidth >= 400)
"""

# The meeting's code is chosen by chance otherwise.
MAKER = "(code) => sessionStorage.setItem(`mikroroom / ${code}`, '{\"isMaker\": true}')"

# Head and shoulders before a wall, breathing a little, so that frames go on coming.
FACE = """
(([seed]) => {
  const hue = seed * 67 % 360;
  const canvas = Object.assign(document.createElement("canvas"), { width: 960, height: 540 });
  const context = canvas.getContext("2d");
  const circle = (x, y, radius, fill) => {
    context.fillStyle = fill;
    context.beginPath();
    context.ellipse(x, y, radius, radius * 1.12, 0, 0, 7);
    context.fill();
  };
  let step = 0;
  const draw = () => {
    const sway = 4 * Math.sin(step++ / 12 + seed);
    const wall = context.createLinearGradient(0, 0, 960, 540);
    wall.addColorStop(0, `hsl(${hue} 38% 74%)`);
    wall.addColorStop(1, `hsl(${hue + 40} 42% 46%)`);
    context.fillStyle = wall;
    context.fillRect(0, 0, 960, 540);
    circle(480 + sway, 610, 250, `hsl(${hue + 180} 38% 34%)`);
    circle(480 + sway, 262, 128, `hsl(${18 + seed * 3} 30% ${20 + seed * 6}%)`);
    context.fillStyle = `hsl(24 46% ${44 + seed * 7}%)`;
    context.fillRect(436 + sway, 330, 88, 90);
    circle(480 + sway, 290, 104, `hsl(24 50% ${50 + seed * 7}%)`);
    circle(442 + sway, 278, 8, "#26212b");
    circle(518 + sway, 278, 8, "#26212b");
    context.strokeStyle = "#7d3b36";
    context.lineWidth = 6;
    context.lineCap = "round";
    context.beginPath();
    context.arc(480 + sway, 318, 32, 0.5, 2.6);
    context.stroke();
  };
  draw();
  setInterval(draw, 100);
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    const stream = await ask(wishes);
    for (const track of stream.getVideoTracks()) {
      stream.removeTrack(track);
      stream.addTrack(canvas.captureStream(10).getVideoTracks()[0]);
    }
    return stream;
  };
})
"""


class Photographer:
    """Takes the pictures of one colour scheme."""

    def __init__(self, browser: Browser, site: Site, scheme: str) -> None:
        self._browser = browser
        self._site = site
        self._scheme = scheme

    async def person(self, name: str) -> Person:
        """Somebody with a face."""
        context = await self._browser.new_context(
            base_url=self._site.url,
            viewport={"width": 1200, "height": 720},
            color_scheme="dark" if self._scheme == "dark" else "light",
            reduced_motion="reduce",
            locale="en-GB",
            permissions=DEVICES,
        )
        page = await context.new_page()
        await page.add_init_script(f"{FACE}({json.dumps([NAMES.index(name)])})")
        await page.goto("/")
        return Person(name, page)

    async def shoot(self, person: Person, picture: str) -> None:
        """Keep what this person sees: without what passes, and once pictures have become sharp."""
        await expect(person.page.locator(".toast")).to_have_count(0)
        await until(lambda: person.page.evaluate(SHARP), "sharp pictures")
        path = FOLDER / f"{picture}-{self._scheme}.jpg"
        await person.page.screenshot(path=path, type="jpeg", quality=82)
        print(path.relative_to(FOLDER.parents[1]), path.stat().st_size, "bytes")

    async def go_round(self) -> None:
        """A meeting, from the lobby of the first to the chat of five."""
        ada, *others = [await self.person(name) for name in NAMES]
        await ada.page.evaluate(
            "(code) => sessionStorage.setItem(`mikroroom / ${code}`, '{\"isMaker\":true}')", CODE
        )
        await ada.page.goto(f"/#{CODE}")
        await ada.field("Your name").fill(ada.name)
        await expect(ada.page.get_by_label("Camera").filter(visible=True)).to_be_visible()
        await until(
            lambda: ada.page.locator("[data-preview]").evaluate("(video) => video.currentTime > 0.3"),
            "a face",
        )
        await self.shoot(ada, "lobby")
        await ada.enters()
        await self.shoot(ada, "room-1")
        await others[0].enters(CODE)
        await ada.sees(others[0])
        await self.shoot(ada, "room-2")
        await ada.presses("Lock meeting")
        await others[1].asks_to_enter(CODE)
        await others[1].reads("Waiting to be let in")
        await self.shoot(others[1], "waiting")
        await ada.presses("Unlock meeting")
        for other in others[2:]:
            await other.enters(CODE)
        await ada.sees(*others)
        await others[0].presses("Raise hand")
        await others[2].presses("Mute")
        await others[3].presses("Stop camera")
        await ada.sees_mark(others[0], "Hand raised")
        await self.shoot(ada, "room-5")
        await self._talk(ada, others[0], others[1])
        await self.shoot(ada, "chat")

    async def _talk(self, ada: Person, grace: Person, alan: Person) -> None:
        for person in (ada, grace, alan):
            await person.presses("Chat")
        await ada.says("Good morning! Shall we begin with the minutes?")
        await ada.reads("Good morning!")
        await grace.says("They are at https://example.org/minutes")
        await expect(ada.button("Reply to Grace")).to_be_visible()
        await ada.presses("Reply to Grace")
        await ada.says("Thank you. Point three is still open.")
        await alan.attaches(
            {"name": "floor-plan.pdf", "mimeType": "application/pdf", "buffer": bytes(482_130)}
        )
        await expect(ada.button("Accept floor-plan.pdf")).to_be_visible()


async def main() -> None:
    """Light and dark, each with a server of its own."""
    FOLDER.mkdir(exist_ok=True)
    async with chromium() as browser:
        for scheme in ("light", "dark"):
            with contextlib.ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                settings = {"connections_per_minute": 0, "rooms_per_minute": 0, "stun_servers": ""}
                site = stack.enter_context(Site(folder, **settings))
                await Photographer(browser, site, scheme).go_round()


if __name__ == "__main__":
    asyncio.run(main())
