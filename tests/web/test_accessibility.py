"""The room page for those who use a keyboard, a screen reader, large letters, or dislike motion."""

import asyncio
from typing import Literal

import pytest
from playwright.async_api import Page, expect
from tests.site_process import Site

from .conftest import People, SiteWith, Violations
from .faults import Faults
from .people import Person

PHONE = (390, 844)
DESK = (1280, 720)

Scheme = Literal["light", "dark"]

# Whatever can be pressed, followed or filled in, and can be seen: name and size.
CONTROLS = """() => [...document.querySelectorAll("button, a, input:not([type=file]), select, textarea")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }))
  .map((element) => {
    const { width, height } = element.getBoundingClientRect();
    return [element.getAttribute("aria-label") || element.textContent || element.name, width, height];
  })"""
ANIMATIONS = "() => document.getAnimations().filter(({ effect }) => effect.getTiming().duration > 1).length"
# Half faded in, a text has too little contrast. What goes on for ever is not waited for.
AT_REST = """() => Promise.allSettled(document.getAnimations()
  .filter(({ effect }) => Number.isFinite(effect.getComputedTiming().endTime))
  .map(({ finished }) => finished)).then(() => null)"""
FOCUSED = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"


@pytest.fixture
def checks(violations: Violations) -> "Checks":
    return Checks(violations)


class Checks:
    """Holds one state after another to the rules, and tells of all that fail at the end."""

    def __init__(self, violations: Violations) -> None:
        self._violations = violations
        self.found: list[str] = []

    async def __call__(self, person: Person, state: str) -> None:
        """The page as it is now."""
        await person.page.evaluate(AT_REST)
        self.found += [f"{state}: {line}" for line in await self._violations(person.page)]
        for name, width, height in await person.page.evaluate(CONTROLS):
            # WCAG 2.5.8; a checkbox counts with its label.
            if min(width, height) < 24 and name != "shortcuts" and not name.startswith("http"):
                self.found.append(f"{state}: {name!r} is {width:.0f} by {height:.0f} pixels")
        if await person.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            self.found.append(f"{state}: scrolls sideways")


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESK), ("dark", DESK), ("light", PHONE)])
async def test_no_state_breaks_a_rule(
    site_with: SiteWith,
    people: People,
    faults: Faults,
    checks: Checks,
    scheme: Scheme,
    viewport: tuple[int, int],
) -> None:
    faults.allow("WebSocket connection to|ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED")
    site = site_with(guesses_per_minute=0)
    ada, bob = await people(site, "Ada", "Bob", color_scheme=scheme, viewport=viewport)
    (cleo,) = await people(site, "Cleo", color_scheme=scheme, viewport=viewport, permissions=())
    await checks(ada, "home")
    await ada.field("Meeting code").fill("12")
    await ada.presses("Join")
    await ada.reads("six letters or digits")
    await checks(ada, "home, bad code")
    await ada.presses("New meeting")
    await expect(ada.button("Stop camera")).to_be_visible()
    await checks(ada, "lobby of the maker")
    code = await _enter_with_password(ada)
    await checks(ada, "alone")

    await bob.asks_to_enter("ZZZZZ9")
    await bob.reads("There is no such meeting")
    await checks(bob, "no such meeting")
    await bob.asks_to_enter(code)
    await bob.reads("asks for a password")
    await checks(bob, "asked for a password")
    await bob.field("Password").fill("sesame")
    await bob.presses("Enter meeting")
    await bob.is_inside()
    await ada.sees(bob)
    await checks(bob, "two")

    await ada.presses("Lock meeting")
    await cleo.page.goto(f"/#{code}")
    await cleo.reads("may not use your camera or microphone")
    await checks(cleo, "lobby without devices")
    await cleo.field("Your name").fill("Cleo")
    await cleo.presses("Enter meeting")
    await cleo.reads("asks for a password")
    await cleo.field("Password").fill("sesame")
    await cleo.presses("Enter meeting")
    await cleo.reads("Waiting to be let in")
    await checks(cleo, "waiting")
    await checks(ada, "somebody waits")
    await ada.presses("Participants")
    await checks(ada, "participants, of a moderator")
    await ada.presses("Admit Cleo")
    await cleo.is_inside()
    await cleo.presses("Participants")
    await checks(cleo, "participants, of a guest")

    await cleo.presses("Close")
    await ada.presses("Close", "Chat")
    await ada.says("See https://example.org")
    await bob.presses("Chat")
    await bob.presses("Reply to Ada")
    await checks(bob, "about to reply")
    await bob.says("Seen")
    await bob.field("To").select_option("Ada")
    await bob.says("Between us")
    await checks(bob, "own private message")
    await expect(ada.log).to_contain_text("Only to you")
    await checks(ada, "private message")
    await bob.attaches({"name": "plan.pdf", "mimeType": "application/pdf", "buffer": b"plan"})
    await expect(ada.button("Accept plan.pdf")).to_be_visible()
    await checks(ada, "chat with a file")
    await checks(bob, "chat with an own file")
    await bob.presses("Close", "Raise hand")
    await ada.presses("Close")
    await bob.presses("React")
    await checks(bob, "reactions")
    await bob.page.keyboard.press("Escape")
    await bob.presses("Settings")
    await checks(bob, "settings")
    await bob.presses("Done")
    await bob.has_a_screen()
    if viewport == DESK:
        await bob.presses("Share screen")
        await ada.sees_shape(bob, 400, 300)
        await checks(ada, "a screen")

    await ada.presses("Participants", "Remove Cleo", "Close")
    await cleo.reads("You were removed")
    await checks(cleo, "removed")
    await bob.page.context.set_offline(True)
    await bob.reads("Reconnecting…")
    await expect(ada.tile(bob).get_by_text("Reconnecting…")).to_be_visible()
    await checks(bob, "reconnecting")
    await checks(ada, "another reconnects")
    await bob.page.context.set_offline(False)
    await ada.presses("Leave")
    await ada.reads("You have left")
    await checks(ada, "left")
    assert not checks.found, "\n".join(checks.found)


async def _enter_with_password(ada: Person) -> str:
    await ada.field("Password").fill("sesame")
    await ada.enters()
    return ada.code


async def test_names_that_others_rely_on(site: Site, people: People) -> None:
    """Buttons and fields of the page go by these names, each there once, and nothing is open unasked."""
    ada, bob, cleo = await people(site, "Ada", "Bob", "Cleo")
    await _has(ada.page, "button", "New meeting", "Join")
    await _has(ada.page, "textbox", "Meeting code")
    await ada.presses("New meeting")
    await _has(ada.page, "button", "Enter meeting", "Mute", "Stop camera")
    await _has(ada.page, "textbox", "Your name")
    await expect(ada.field("Password")).to_be_visible()
    await ada.enters()
    await bob.enters(ada.code)
    await _has(
        ada.page, "button", "Mute", "Stop camera", "Share screen", "Raise hand", "Chat", "Participants"
    )
    await _has(ada.page, "button", "Lock meeting", "Copy invite link", "Leave")
    await expect(ada.page.get_by_role("complementary")).to_have_count(0)
    await ada.presses("Mute", "Stop camera", "Raise hand", "Lock meeting")
    await _has(ada.page, "button", "Unmute", "Start camera", "Lower hand", "Unlock meeting")
    await cleo.asks_to_enter(ada.code)
    await expect(ada.button("Admit Cleo")).to_be_visible()
    await _has(ada.page, "button", "Admit Cleo", "Reject Cleo")
    await ada.presses("Chat")
    await _has(ada.page, "textbox", "Message")
    await _has(ada.page, "button", "Send")
    await ada.presses("Participants")
    await _has(ada.page, "button", "Mute Bob", "Make Bob moderator", "Remove Bob")
    await expect(ada.page.locator(f"[data-participant-id='{await _id_of(ada, bob)}'] video")).to_have_count(1)


async def _id_of(person: Person, other: Person) -> str:
    found = await person.tile(other).get_attribute("data-participant-id")
    assert found
    return found


async def _has(page: Page, role: Literal["button", "textbox"], *names: str) -> None:
    for name in names:
        await expect(page.get_by_role(role, name=name, exact=True)).to_have_count(1)


async def test_meeting_by_keyboard_alone(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob")
    keyboard = ada.page.keyboard
    await _tabs_to(ada, "New meeting")
    await keyboard.press("Enter")
    await expect(ada.page.get_by_role("heading", name="Your new meeting")).to_be_focused()
    await ada.field("Your name").focus()
    await keyboard.type("Ada")
    await keyboard.press("Enter")
    await ada.is_inside()
    await expect(ada.page.get_by_role("heading", level=1)).to_be_focused()
    await bob.enters(ada.code)

    for key, before, after in (
        ("m", "Mute", "Unmute"),
        ("v", "Stop camera", "Start camera"),
        ("h", "Raise hand", "Lower hand"),
    ):
        await expect(ada.button(before)).to_be_visible()
        await keyboard.press(key)
        await expect(ada.button(after)).to_be_visible()
    await bob.sees_mark(ada, "Muted")
    await keyboard.press("c")
    await expect(ada.field("Message")).to_be_focused()
    await keyboard.type("mhcvps")
    await keyboard.press("Enter")
    await expect(ada.log.get_by_text("mhcvps")).to_be_visible()
    await expect(ada.button("Unmute")).to_be_visible()
    await keyboard.press("Escape")
    await expect(ada.page.get_by_role("complementary")).to_have_count(0)
    await expect(ada.button("Chat")).to_be_focused()
    await keyboard.press("p")
    await expect(ada.page.get_by_role("complementary", name="Participants")).to_be_visible()
    await keyboard.press("Escape")
    await expect(ada.button("Participants")).to_be_focused()


async def test_keys_can_be_turned_off_for_good(site: Site, people: People) -> None:
    (ada,) = await people(site, "Ada")
    await ada.makes_a_meeting()
    await ada.presses("Settings")
    await ada.page.get_by_label("Single keys do what the buttons do").uncheck()
    await ada.presses("Done")
    await ada.page.keyboard.press("m")
    await ada.page.reload()
    await ada.is_inside()
    await ada.page.keyboard.press("m")
    # What comes after it has been dealt with after it.
    await ada.presses("Chat")
    await expect(ada.page.get_by_role("complementary")).to_be_visible()
    await expect(ada.button("Mute")).to_be_visible()


async def _tabs_to(person: Person, name: str) -> None:
    for _ in range(20):
        await person.page.keyboard.press("Tab")
        if await person.page.evaluate(FOCUSED) == name:
            return
    raise AssertionError(f"Tab never comes to {name}")


async def test_focus_can_be_seen_wherever_it_is(site: Site, people: People) -> None:
    (ada,) = await people(site, "Ada")
    await ada.makes_a_meeting()
    seen = []
    while await ada.page.evaluate("document.activeElement !== document.body"):
        await ada.page.keyboard.press("Tab")
        seen.append(
            await ada.page.evaluate(f"[{FOCUSED}, getComputedStyle(document.activeElement).outlineStyle]")
        )
    # After the last one comes the browser's own.
    assert [name for name, style in seen[:-1] if style != "solid"] == []
    assert "Leave" in [name for name, _ in seen]


async def test_nothing_moves_for_those_who_asked_for_it(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob", reduced_motion="reduce")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await ada.sees(bob)
    await bob.presses("Raise hand", "React")
    await bob.presses("React with heart")
    await ada.sees_reaction(bob, "❤️")
    await ada.is_told("Bob raises a hand")
    assert await ada.page.evaluate(ANIMATIONS) == 0


@pytest.mark.parametrize("viewport", [(320, 640), (640, 360)])
async def test_large_letters_cut_nothing_off(site: Site, people: People, viewport: tuple[int, int]) -> None:
    """320 pixels are what a screen of 1280 has when it is enlarged four times (WCAG 1.4.10)."""
    ada, bob = await people(site, "Ada", "Bob", viewport=viewport)
    await asyncio.gather(*(_fits(person) for person in (ada, bob)))
    await ada.presses("New meeting")
    await _fits(ada)
    await ada.enters()
    await bob.enters(ada.code)
    await ada.sees(bob)
    await _fits(ada)
    for name in ("Chat", "Participants"):
        await ada.presses(name)
        await _fits(ada)
        await ada.presses("Close")
    await ada.button("Leave").scroll_into_view_if_needed()
    await ada.presses("Leave")
    await ada.reads("You have left")
    await _fits(ada)


async def _fits(person: Person) -> None:
    assert await person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
