"""The cast: a ``Person`` sits before the room page. Each verb is done once it has been seen to be."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import FilePayload, Locator, Page, expect
from tests.chromium import PATIENCE

# Decoded frames; so many are a moving picture.
FRAMES = 3
# Seconds. What no event of the browser tells is looked at this often.
LOOK_AGAIN = 0.05

COUNT_FRAMES = "(video) => video.getVideoPlaybackQuality().totalVideoFrames"
IS_HEARD = """(video) => video.srcObject?.getAudioTracks()
  .some((track) => track.readyState === "live" && !track.muted)"""

MAKE_A_ROOM = """
fetch("/api/rooms", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" })
  .then(async (answer) => (await answer.text(), answer.status))
"""

# A headless browser has no screen to choose from: what ``getDisplayMedia`` gives is drawn here.
SCREEN = """() => {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 400, height: 300 });
    const context = canvas.getContext("2d");
    let count = 0;
    setInterval(() => {
      context.fillStyle = `hsl(${count} 80% 50%)`;
      context.fillRect(0, 0, 400, 300);
      context.fillStyle = "white";
      context.fillText(String(count++), 20, 40);
    }, 50);
    return canvas.captureStream(20);
  };
}"""
WATCH = """() => {
  window.standstill = 0;
  for (const video of document.querySelectorAll("[data-participant-id] video")) {
    let last = performance.now();
    const look = () => {
      const now = performance.now();
      window.standstill = Math.max(window.standstill, now - last);
      last = now;
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
}"""


async def until(holds: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Come back once ``holds`` gives something true, with that."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (result := await holds()):
                await asyncio.sleep(LOOK_AGAIN)
    except TimeoutError:
        raise AssertionError(f"In vain: {what}") from None
    return result


class Person:
    """Somebody with the room page open."""

    def __init__(self, name: str, page: Page) -> None:
        self.name = name
        self.page = page

    def button(self, name: str) -> Locator:
        """The button of exactly this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def field(self, label: str) -> Locator:
        """The text field of exactly this name."""
        return self.page.get_by_label(label, exact=True)

    def tile(self, other: "Person") -> Locator:
        """Where the other's picture is."""
        tiles = self.page.locator("[data-participant-id]")
        return tiles.and_(self.page.get_by_role("group", name=other.name, exact=True))

    @property
    def code(self) -> str:
        """The code of the meeting, from the page's address."""
        found = re.search("#([A-Z0-9]{6})$", self.page.url)
        assert found, self.page.url
        return found[1]

    async def presses(self, *names: str) -> None:
        """Press buttons, one after the other."""
        for name in names:
            await self.button(name).click()

    # Coming in

    async def makes_a_meeting(self, *, password: str = "", seats: int | None = None) -> str:
        """Make a meeting, and be in it. Gives its code."""
        await self.presses("New meeting")
        if password:
            await self.field("Password").fill(password)
        if seats is not None:
            await self.field("Seats").select_option(str(seats))
        await self.enters()
        return self.code

    async def asks_to_enter(self, code: str) -> None:
        """Follow the invite link, and press the button."""
        await self.page.goto(f"{self.page.url.partition('#')[0]}#{code}")
        await self.field("Your name").fill(self.name)
        await self.presses("Enter meeting")

    async def enters(self, code: str = "") -> None:
        """Be in a meeting; without a code the one whose lobby is shown."""
        if code:
            await self.asks_to_enter(code)
        else:
            await self.field("Your name").fill(self.name)
            await self.presses("Enter meeting")
        await self.is_inside()

    async def is_inside(self) -> None:
        """The meeting is shown."""
        await expect(self.page.get_by_role("group", name="Controls")).to_be_visible()

    async def reads(self, text: str | re.Pattern[str]) -> None:
        """A text is shown."""
        await expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()

    async def is_told(self, text: str) -> None:
        """A notice says so, or has said so: it stays for a few seconds only."""
        was_told = "(text) => passed.some((notice) => notice.includes(text))"
        await until(lambda: self.page.evaluate(was_told, text), f"{self.name} is told {text!r}")

    # Meeting others

    async def sees(self, *others: "Person") -> None:
        """These and nobody else are here, their pictures move, and their sound comes."""
        await expect(self.page.locator("[data-participant-id]")).to_have_count(len(others))
        await asyncio.gather(*map(self._sees, others))

    async def _sees(self, other: "Person") -> None:
        video = self.tile(other).locator("video")
        before = await video.evaluate(COUNT_FRAMES)

        async def moves() -> bool:
            nonlocal before
            count = await video.evaluate(COUNT_FRAMES)
            # Who has come anew has another tile, whose frames are counted from the beginning.
            before = min(before, count)
            return bool(count >= before + FRAMES)

        await until(moves, f"{self.name} sees {other.name} move")
        await until(lambda: video.evaluate(IS_HEARD), f"{self.name} hears {other.name}")

    async def sees_mark(self, other: "Person", mark: str, *, is_there: bool = True) -> None:
        """The other's tile says so, or says it no longer."""
        marks = self.tile(other).get_by_text(mark, exact=True).filter(visible=True)
        await expect(marks).to_have_count(int(is_there))

    async def sees_reaction(self, other: "Person", emoji: str) -> None:
        """A reaction floats over the other's picture, or has done so."""
        await self.is_told(f"{other.name}: {emoji}")

    async def sees_shape(self, other: "Person", width: int, height: int) -> None:
        """The other's picture has this shape, whatever size it was sent in."""
        video = self.tile(other).locator("video")

        async def has_shape() -> bool:
            got = await video.evaluate("(video) => [video.videoWidth, video.videoHeight]")
            return bool(got[1] and abs(got[0] / got[1] - width / height) < 0.02)

        await until(has_shape, f"{self.name} sees {other.name} in {width}:{height}")

    async def watches(self) -> None:
        """From now on the page minds how long each remote picture stands still."""
        await self.page.evaluate(WATCH)

    async def longest_standstill(self) -> float:
        """Milliseconds for which a remote picture has stood still at most, since ``watches``."""
        return float(await self.page.evaluate("window.standstill"))

    async def has_a_screen(self) -> None:
        """Something to share, in the shape 4:3."""
        await self.page.evaluate(SCREEN)

    async def attaches(self, file: Path | FilePayload) -> None:
        """Offer a file to everyone, with the chat open."""
        async with self.page.expect_file_chooser() as chooser:
            await self.presses("Attach file")
        await (await chooser.value).set_files(file)

    @property
    def log(self) -> Locator:
        """What was said, in the chat."""
        return self.page.get_by_role("log")

    async def says(self, text: str) -> None:
        """Write to everyone, with the chat open."""
        await self.field("Message").fill(text)
        await self.presses("Send")


async def is_kept(page: Page) -> None:
    """All that has happened is on the server's disk: there it is before a room that was asked for by REST."""
    assert await page.evaluate(MAKE_A_ROOM) == 201


async def all_see_each_other(*people: Person) -> None:
    """Everyone sees and hears everyone else, and nobody besides."""
    await asyncio.gather(*(one.sees(*(other for other in people if other is not one)) for one in people))
