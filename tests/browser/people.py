"""The cast: an ``Attendee`` sits before a page in the browser, and ``Stage`` is where they come to."""

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser, Error, Page
from tests.chromium import DEVICES, PATIENCE
from tests.site_process import Site


class Attendee:
    """Someone with a page open. Each verb is done once it has been seen to be."""

    def __init__(self, name: str, page: Page) -> None:
        self.name = name
        self.id = ""
        self._page = page

    async def creates_a_room(self) -> tuple[str, str]:
        """Pre-create a room. Gives its code and its creator token."""
        created = await self._does("createRoom")
        return created["roomId"], created["creatorToken"]

    async def joins(self, room: str, **fields: object) -> None:
        """Join a room, and be in it."""
        await self._does("join", room, self.name, fields)
        await self.is_let_in()

    async def knocks(self, room: str) -> None:
        """Join a room that is locked, and be told to wait."""
        await self._does("join", room, self.name)
        await self._until("client.isWaiting")

    async def is_let_in(self) -> None:
        """One's own ``participant-joined`` has come."""
        self.id = await self._until("client.id")

    async def leaves(self) -> None:
        """Leave by word, and hang up."""
        await self._does("leave")

    async def says(self, text: str) -> None:
        """Send a chat message."""
        await self._does("say", text)

    async def hears(self, speaker: "Attendee", text: str) -> None:
        """A chat message has come."""
        await self._until(f"client.chat.some(said => said.join() === {_js([speaker.id, text])}.join())")

    async def writes(self, reader: "Attendee", text: str) -> None:
        """Send something over the data channel: past the server, straight to the other page."""
        await self._does("note", reader.id, text)

    async def reads(self, writer: "Attendee", text: str) -> None:
        """It has come over the data channel."""
        await self._until(f"client.peers.get({_js(writer.id)}).notes.includes({_js(text)})")

    async def mutes(self) -> None:
        """Switch the own microphone off."""
        await self._does("mute")

    async def sees_muted(self, other: "Attendee") -> None:
        """The other is shown as muted."""
        await self._until(f"client.peers.get({_js(other.id)}).isMuted")

    async def meets(self, *others: "Attendee") -> None:
        """These and nobody else are here: their video and sound go on coming in, their channels are open."""
        await self._does("look")
        await self._until(f"client.meets(...{_js([other.id for other in others])})")

    async def locks_the_room(self) -> None:
        """Ask for newcomers to wait."""
        await self._does("lock")

    async def admits(self, newcomer: "Attendee") -> None:
        """Let the one in who waits, once told about it."""
        waiting = f"[...client.waiting].find(([, name]) => name === {_js(newcomer.name)})"
        waiting_id, _ = await self._until(waiting)
        await self._does("admit", waiting_id)

    async def is_kept_out(self) -> None:
        """The browser keeps the server's answers from this page, and the server refuses its WebSocket."""
        for verb in ("configure", "connect"):
            assert await self._evaluates(f"client.{verb}().then(() => false, () => true)"), verb

    async def account(self) -> Any:
        """What the page has been through."""
        return await self._evaluates("client.account()")

    async def _evaluates(self, expression: str) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self._page.evaluate(expression)

    async def _does(self, verb: str, *arguments: object) -> Any:
        return await self._evaluates(f"client.{verb}(...{_js(arguments)})")

    async def _until(self, expression: str) -> Any:
        try:
            return await self._evaluates(f"client.until(() => {expression})")
        except TimeoutError:
            raise AssertionError(f"{self.name} waited in vain for {expression}") from None


class Stage:
    """One server, and everyone whom a test brings to it. They all go home when the test ends."""

    def __init__(self, site: Site, browser: Browser, page_port: int) -> None:
        self._site = site
        self._browser = browser
        self._page_port = page_port
        self._present: list[Attendee] = []
        self._contexts = contextlib.AsyncExitStack()

    async def attendee(self, name: str, *, host: str = "127.0.0.1") -> Attendee:
        """Someone opens the page, under one of the names of this machine."""
        query = urlencode({"server": self._site.url})
        context = await self._browser.new_context(permissions=DEVICES)
        self._contexts.push_async_callback(context.close)
        page = await context.new_page()
        await page.goto(f"http://{host}:{self._page_port}/page.html?{query}")
        attendee = Attendee(name, page)
        self._present.append(attendee)
        return attendee

    async def attendees(self, *names: str) -> list[Attendee]:
        """Several at once."""
        return await asyncio.gather(*map(self.attendee, names))

    async def close(self) -> None:
        """Print what everyone has been through, the server too: pytest shows it if the test failed."""
        async with self._contexts:
            for attendee in self._present:
                with contextlib.suppress(Error, TimeoutError):
                    print(attendee.name, json.dumps(await attendee.account(), indent=2))
            print(self._site.said())


def _js(value: object) -> str:
    return json.dumps(value)
