"""Cameras, microphones and screens: chosen, missing, refused, and lost on the way."""

import functools

import pytest
from playwright.async_api import expect
from tests.site_process import Site

from .conftest import People
from .faults import Faults
from .guests import Guests
from .people import Person, all_see_each_other, until

# Of the kinds listed none is to be had, for the reason given.
WITHOUT = """(([kinds, reason]) => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    if (kinds.some((kind) => wishes[kind])) throw new DOMException("", reason);
    return await ask(wishes);
  };
})"""
# The tracks that are sent, wherever they came from.
KEEP_CONNECTIONS = """
const Original = RTCPeerConnection;
window.connections = [];
window.RTCPeerConnection = class extends Original {
  constructor(...options) {
    super(...options);
    connections.push(this);
    this.offers = 0;
    this.addEventListener("signalingstatechange", () => (this.offers += this.signalingState !== "stable"));
  }
};
"""
SENT = """(kind) => connections.at(-1).getSenders().find(({ track }) => track?.kind === kind)?.track
  .getSettings().deviceId ?? null"""
OFFERS = "connections.at(-1).offers"
# What a browser tells when a device is unplugged.
UNPLUG = """connections.at(-1).getSenders().find(({ track }) => track?.kind === "video").track
  .dispatchEvent(new Event("ended"))"""


async def _with_script(guest: Guests, site: Site, name: str, script: str) -> Person:
    page = await guest(site, None)
    await page.add_init_script(script)
    await page.goto("/")
    return Person(name, page)


async def test_without_permission_one_is_told_and_comes_in_nonetheless(site: Site, people: People) -> None:
    (ada,) = await people(site, "Ada")
    (bob,) = await people(site, "Bob", permissions=())
    code = await ada.makes_a_meeting()
    await bob.page.goto(f"/#{code}")
    await bob.reads("This page may not use your camera or microphone. Allow it in the browser's address bar.")
    await bob.enters()
    await ada.sees_mark(bob, "Muted")
    await expect(ada.tile(bob).locator("video")).to_be_hidden()
    await bob.presses("Unmute")
    await bob.is_told("This page may not use your microphone.")
    await bob.presses("Start camera")
    await bob.is_told("This page may not use your camera.")
    # What others show still comes.
    await expect(bob.tile(ada).locator("video")).to_be_visible()
    await until(
        lambda: bob.tile(ada).locator("video").evaluate("(video) => video.currentTime > 0"), "Ada moves"
    )


@pytest.mark.parametrize(
    ("kinds", "reason", "told"),
    [
        (["audio", "video"], "NotFoundError", "There is no camera or microphone."),
        (["audio", "video"], "NotReadableError", "Your camera or microphone is used by another program."),
        (["video"], "OverconstrainedError", "There is no camera."),
        (["audio"], "NotFoundError", "There is no microphone."),
        (["video"], "AbortError", "Your camera does not start."),
    ],
)
async def test_what_is_missing_is_named_and_the_rest_is_used(
    site: Site, people: People, guest: Guests, kinds: list[str], reason: str, told: str
) -> None:
    (ada,) = await people(site, "Ada")
    code = await ada.makes_a_meeting()
    bob = await _with_script(guest, site, "Bob", f"{WITHOUT}({[kinds, reason]})")
    await bob.page.goto(f"/#{code}")
    await bob.reads(told)
    await bob.enters()
    await ada.sees_mark(bob, "Muted", is_there="audio" in kinds)
    await expect(ada.tile(bob).locator("video")).to_be_visible(visible="video" not in kinds)


async def test_another_camera_is_sent_without_another_offer(
    site: Site, people: People, guest: Guests
) -> None:
    """Of Chromium's fake cameras but the first only one frame is sent, so ids tell which one it is."""
    (ada,) = await people(site, "Ada")
    code = await ada.makes_a_meeting()
    bob = await _with_script(guest, site, "Bob", KEEP_CONNECTIONS)
    await bob.enters(code)
    await all_see_each_other(ada, bob)
    offers = await bob.page.evaluate(OFFERS)
    before = {kind: await bob.page.evaluate(SENT, kind) for kind in ("video", "audio")}

    await bob.presses("Settings")
    await _chooses(bob, "Camera", "fake_device_1")
    await _chooses(bob, "Microphone", "Fake Audio Input 2")
    for kind, former in before.items():
        await until(functools.partial(_is_another, bob, kind, former), f"another {kind} is sent")
    await bob.presses("Done")
    chosen = await bob.page.evaluate(SENT, "video")
    await bob.presses("Stop camera")
    await expect(ada.tile(bob).locator("video")).to_be_hidden()
    await until(functools.partial(_is, bob, "video", None), "none is sent")
    # The next visit begins with what was chosen.
    await bob.presses("Start camera")
    await expect(bob.button("Stop camera")).to_be_visible()
    assert await bob.page.evaluate(OFFERS) == offers
    await bob.page.reload()
    await bob.is_inside()
    await until(functools.partial(_is_another, bob, "video", before["video"]), "the chosen one is sent")
    assert await bob.page.evaluate(SENT, "video") == chosen

    await bob.presses("Settings")
    await _chooses(bob, "Camera", "fake_device_0")
    await until(functools.partial(_is, bob, "video", before["video"]), "the first one is sent again")
    await all_see_each_other(ada, bob)


async def _chooses(person: Person, label: str, option: str) -> None:
    await person.page.get_by_label(label).filter(visible=True).select_option(label=option)


async def _is(person: Person, kind: str, device: str | None) -> bool:
    return bool(await person.page.evaluate(SENT, kind) == device)


async def _is_another(person: Person, kind: str, former: str) -> bool:
    return await person.page.evaluate(SENT, kind) not in {None, former}


async def test_camera_that_is_unplugged_is_off_for_all(site: Site, people: People, guest: Guests) -> None:
    (ada,) = await people(site, "Ada")
    code = await ada.makes_a_meeting()
    bob = await _with_script(guest, site, "Bob", KEEP_CONNECTIONS)
    await bob.enters(code)
    await all_see_each_other(ada, bob)
    await bob.page.evaluate(UNPLUG)
    await expect(ada.tile(bob).locator("video")).to_be_hidden()
    await bob.presses("Start camera")
    await all_see_each_other(ada, bob)


async def test_what_is_off_in_the_lobby_is_off_in_the_meeting(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.page.goto(f"/#{code}")
    await bob.presses("Mute", "Stop camera")
    await bob.enters()
    await ada.sees_mark(bob, "Muted")
    await expect(ada.tile(bob).locator("video")).to_be_hidden()
    await bob.presses("Unmute", "Start camera")
    await all_see_each_other(ada, bob)


async def test_insecure_page_says_what_it_lacks_and_works_without(
    site: Site, people: People, faults: Faults
) -> None:
    faults.allow("Permissions-Policy|Cross-Origin")
    (ada,) = await people(site, "Ada")
    code = await ada.makes_a_meeting()
    (bob,) = await people(site, "Bob", path=f"http://meet.test:{site.port}/#{code}")
    await bob.reads("The camera or microphone needs a page that came by HTTPS, or from localhost.")
    await bob.enters()
    await ada.sees_mark(bob, "Muted")
    await bob.presses("Chat")
    await bob.says("I cannot be seen")
    await ada.presses("Chat")
    await expect(ada.log.get_by_text("I cannot be seen")).to_be_visible()
    # There is no clipboard either.
    await bob.presses("Copy invite link")
    await bob.reads(f"Invite with http://meet.test:{site.port}/#{code}")
