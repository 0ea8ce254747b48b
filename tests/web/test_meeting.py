"""Meetings in the room page: what one does, and what the others see of it."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.site_process import Site

from .conftest import People, SiteWith
from .faults import Faults
from .guests import Address
from .measure import sizes
from .people import Person, all_see_each_other, is_kept

# The browser says so wherever a page looks for a server that is not there.
NOBODY_THERE = "ERR_CONNECTION_REFUSED|WebSocket connection to"
# Milliseconds. A way that is lost is looked for anew only after so long, and a picture with it.
OUTAGE = 10_000


@pytest.mark.parametrize("count", [2, 3, 5])
async def test_all_see_and_hear_each_other(site: Site, people: People, count: int) -> None:
    ada, *others = await people(site, *["Ada", "Bob", "Cleo", "Dan", "Eve"][:count])
    code = await ada.makes_a_meeting()
    await asyncio.gather(*(other.enters(code) for other in others))
    await all_see_each_other(ada, *others)
    # One's own picture is there too, and is no remote one.
    for person in (ada, *others):
        await expect(person.page.get_by_role("group", name=f"{person.name} (you)")).to_be_visible()


async def test_every_control_is_seen_by_the_others(site: Site, people: People) -> None:
    ada, bob, cleo = await people(site, "Ada", "Bob", "Cleo")
    code = await ada.makes_a_meeting()
    await asyncio.gather(bob.enters(code), cleo.enters(code))
    await all_see_each_other(ada, bob, cleo)
    others = (ada, cleo)

    await bob.presses("Mute")
    await asyncio.gather(*(other.sees_mark(bob, "Muted") for other in others))
    await bob.presses("Unmute")
    await asyncio.gather(*(other.sees_mark(bob, "Muted", is_there=False) for other in others))

    await bob.presses("Stop camera")
    for other in others:
        await expect(other.tile(bob).locator("video")).to_be_hidden()
    await bob.presses("Start camera")
    for other in others:
        await expect(other.tile(bob).locator("video")).to_be_visible()
    await asyncio.gather(ada.sees(bob, cleo), cleo.sees(ada, bob))

    await bob.presses("Raise hand")
    await asyncio.gather(*(other.sees_mark(bob, "Hand raised") for other in others))
    await asyncio.gather(*(other.is_told("Bob raises a hand") for other in others))
    await bob.presses("Lower hand")
    await asyncio.gather(*(other.sees_mark(bob, "Hand raised", is_there=False) for other in others))

    await bob.presses("React")
    await bob.presses("React with applause")
    await asyncio.gather(*(other.sees_reaction(bob, "👏") for other in others))

    await bob.presses("Leave")
    await bob.reads("You have left")
    await all_see_each_other(ada, cleo)


async def test_screen_is_shown_instead_of_the_camera_and_large(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await all_see_each_other(ada, bob)
    await bob.has_a_screen()

    await bob.presses("Share screen")
    await ada.sees_shape(bob, 400, 300)
    await expect(ada.tile(bob)).to_have_class(re.compile("sharing"))
    # Whoever comes later is told as well.
    (cleo,) = await people(site, "Cleo")
    await cleo.enters(code)
    await cleo.sees_shape(bob, 400, 300)
    await expect(cleo.tile(bob)).to_have_class(re.compile("sharing"))
    bob_box, ada_box = await cleo.tile(bob).bounding_box(), await cleo.tile(ada).bounding_box()
    assert bob_box and ada_box and bob_box["width"] > 2 * ada_box["width"]

    await bob.presses("Stop sharing")
    for other in (ada, cleo):
        await expect(other.tile(bob)).not_to_have_class(re.compile("sharing"))
    await all_see_each_other(ada, bob, cleo)


async def test_screen_is_seen_of_somebody_whose_camera_is_off(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.page.goto(f"/#{code}")
    await bob.presses("Stop camera")
    await bob.enters()
    await expect(ada.tile(bob).locator("video")).to_be_hidden()
    await bob.has_a_screen()
    await bob.presses("Share screen")
    await expect(ada.tile(bob).locator("video")).to_be_visible()
    await ada.sees_shape(bob, 400, 300)
    await bob.presses("Stop sharing")
    await expect(ada.tile(bob).locator("video")).to_be_hidden()


async def test_chat_with_replies_and_links_reaches_everyone(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await ada.presses("Chat")
    await ada.says("See https://example.org/a?b=c#d, and (http://example.net).")
    await expect(bob.button("Chat")).to_have_accessible_description("1 unread")
    await bob.presses("Chat")
    await expect(bob.button("Chat")).to_have_accessible_description("")

    links = bob.log.get_by_role("link")
    assert await links.evaluate_all("(links) => links.map((link) => [link.href, link.rel, link.target])") == [
        ["https://example.org/a?b=c#d", "noopener noreferrer nofollow", "_blank"],
        ["http://example.net/", "noopener noreferrer nofollow", "_blank"],
    ]
    await bob.presses("Reply to Ada")
    await bob.says("Seen.")
    answer = ada.log.get_by_role("listitem").filter(has_text="Seen.")
    await expect(answer).to_contain_text("Bob")
    await expect(answer).to_contain_text("Ada: See https://example.org/")
    # A line break is no end of a message.
    await ada.field("Message").press_sequentially("one")
    await ada.field("Message").press("Shift+Enter")
    await ada.field("Message").press_sequentially("two")
    await ada.field("Message").press("Enter")
    await expect(bob.log.get_by_text("one\ntwo")).to_be_visible()


async def test_who_comes_late_reads_the_chat_and_what_is_deleted_is_gone(
    site_with: SiteWith, people: People
) -> None:
    site = site_with(chat_history=50)
    ada, bob, cleo = await people(site, "Ada", "Bob", "Cleo")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    for person in (ada, bob):
        await person.presses("Chat")
    await bob.says("Shall we begin?")
    await bob.says("Wrong window, sorry")
    for person in (ada, bob):
        await expect(person.log.get_by_text("Wrong window, sorry")).to_be_visible()
    await ada.button("Reply to Bob").last.click()
    await ada.says("Never mind")
    answer = ada.log.get_by_role("listitem").filter(has_text="Never mind")
    await expect(answer).to_contain_text("Bob: Wrong window, sorry")

    await cleo.enters(code)
    await ada.says("Hello Cleo")
    await expect(cleo.button("Chat")).to_have_accessible_description("1 unread")
    await cleo.presses("Chat")
    lines = cleo.log.get_by_role("listitem")
    await expect(lines).to_have_text(
        [
            re.compile(text, re.DOTALL)
            for text in ("^Before you came$", "Bob.*Shall we", "Bob.*Wrong", "Ada.*Never mind", "Ada.*Hello")
        ]
    )

    # Of one's own messages, and as a moderator of all.
    await expect(cleo.button("Delete the message of Bob")).to_have_count(0)
    await bob.button("Delete your message").last.click()
    await expect(bob.page.get_by_role("log")).to_be_focused()
    for person in (ada, bob, cleo):
        await expect(person.log.get_by_text("Wrong window")).to_have_count(0)
    await expect(answer).to_contain_text("This message was deleted")
    await ada.presses("Delete the message of Bob")
    await expect(lines).to_have_text(
        [re.compile("Before you came"), re.compile("Never mind"), re.compile("Hello")]
    )
    await bob.page.reload()
    await bob.is_inside()
    await bob.presses("Chat")
    await expect(bob.log.get_by_role("listitem")).to_have_text(
        [re.compile("Before you came"), re.compile("Never mind"), re.compile("Hello")]
    )


async def test_private_chat_is_for_two_and_never_for_all(site: Site, people: People) -> None:
    ada, bob, cleo = await people(site, "Ada", "Bob", "Cleo")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await cleo.enters(code)
    for person in (ada, bob, cleo):
        await person.presses("Chat")
    await ada.field("To").select_option("Bob")
    await expect(ada.field("Message")).to_have_attribute("placeholder", "Write to Bob alone")
    await ada.says("Just between us")
    await expect(ada.log.get_by_role("listitem")).to_contain_text("Only to Bob")
    await expect(bob.log.get_by_role("listitem")).to_contain_text("Only to you")
    # Its answer is private too.
    await bob.presses("Reply to Ada")
    await bob.says("Agreed")
    await expect(ada.log.get_by_role("listitem").last).to_contain_text("Only to you")
    await expect(ada.log.get_by_role("listitem").last).to_contain_text("Ada: Just between us")

    # What was meant for one who has left goes to nobody.
    await bob.presses("Leave")
    await expect(ada.field("To").locator("option:checked")).to_have_text("Bob (has left)")
    await ada.says("Are you still there?")
    await ada.is_told("Bob has left. Choose for whom this is.")
    await ada.field("To").select_option("Everyone")
    await ada.presses("Send")
    await expect(cleo.log.get_by_role("listitem")).to_contain_text(["Are you still there?"])
    await expect(ada.field("To").get_by_role("option")).to_have_text(["Everyone", "Cleo"])


async def test_file_goes_to_those_who_accept_it(site: Site, people: People, tmp_path: Path) -> None:
    ada, bob, cleo = await people(site, "Ada", "Bob", "Cleo")
    code = await ada.makes_a_meeting()
    await asyncio.gather(bob.enters(code), cleo.enters(code))
    await all_see_each_other(ada, bob, cleo)
    minutes = tmp_path / "minutes.pdf"
    minutes.write_bytes(bytes(range(256)) * 1_000)

    for person in (ada, bob, cleo):
        await person.presses("Chat")
    await ada.attaches(minutes)
    await ada.reads("0 of 2 have it")
    await cleo.presses("Decline minutes.pdf")
    await bob.presses("Accept minutes.pdf")
    async with bob.page.expect_download() as download:
        await bob.page.get_by_role("link", name="Save minutes.pdf").click()
    saved = await (await download.value).path()
    assert saved.read_bytes() == minutes.read_bytes()
    await ada.reads("1 of 2 have it, 1 without")
    await cleo.reads("Not received")


async def test_reload_keeps_the_host_and_its_meeting(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await ada.presses("Mute")
    await all_see_each_other(ada, bob)

    await ada.page.reload()
    await ada.is_inside()
    await all_see_each_other(ada, bob)
    await expect(ada.button("Unmute")).to_be_visible()
    await bob.sees_mark(ada, "Muted")
    await ada.presses("Lock meeting")
    await bob.presses("Participants")
    await expect(bob.page.get_by_role("listitem").filter(has_text="Ada")).to_contain_text("Host")


async def test_reload_after_the_place_is_gone_keeps_the_host(
    site_with: SiteWith, people: People, faults: Faults
) -> None:
    """The page that made the room still holds its creator token."""
    site = site_with(resume_window=1)
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await ada.page.goto("about:blank")
    await bob.sees()
    await expect(bob.button("Lock meeting")).to_be_visible()

    await ada.page.go_back()
    await ada.is_inside()
    await all_see_each_other(ada, bob)
    await bob.presses("Participants")
    await expect(bob.page.get_by_role("listitem").filter(has_text="Ada")).to_contain_text("Host")


@pytest.mark.parametrize("end", [Site.stop, Site.kill])
async def test_restart_of_the_server_breaks_neither_pictures_nor_the_room(
    site: Site, people: People, faults: Faults, end: object
) -> None:
    faults.allow(NOBODY_THERE)
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await all_see_each_other(ada, bob)
    await is_kept(ada.page)
    await ada.presses("Lock meeting")
    await bob.reads("Locked")
    for person in (ada, bob):
        await person.watches()

    assert callable(end)
    end(site)
    await asyncio.gather(*(person.reads("Reconnecting…") for person in (ada, bob)))
    await ada.presses("Chat")
    await ada.says("Said while nobody listened")
    await all_see_each_other(ada, bob)
    site.start()

    for person in (ada, bob):
        await expect(person.page.get_by_text("Reconnecting…").filter(visible=True)).to_have_count(0)
    await bob.presses("Chat")
    await expect(bob.log.get_by_text("Said while nobody listened")).to_be_visible()
    await expect(ada.button("Unlock meeting")).to_be_visible()
    await all_see_each_other(ada, bob)
    for person in (ada, bob):
        assert await person.longest_standstill() < OUTAGE, person.name
    (cleo,) = await people(site, "Cleo")
    await cleo.asks_to_enter(code)
    await ada.presses("Admit Cleo")
    await cleo.is_inside()
    await all_see_each_other(ada, bob, cleo)


async def test_network_that_is_cut_and_back_costs_nothing(site: Site, people: People, faults: Faults) -> None:
    faults.allow("ERR_INTERNET_DISCONNECTED")
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await all_see_each_other(ada, bob)

    await bob.page.context.set_offline(True)
    await bob.reads("Reconnecting…")
    await expect(ada.tile(bob).get_by_text("Reconnecting…")).to_be_visible()
    await ada.presses("Chat")
    await ada.says("Are you there?")
    await bob.presses("Chat")
    await bob.says("Just a moment")
    await bob.page.context.set_offline(False)

    await expect(ada.log.get_by_text("Just a moment")).to_be_visible()
    await expect(bob.log.get_by_text("Are you there?")).to_be_visible()
    await expect(ada.tile(bob).get_by_text("Reconnecting…")).to_have_count(0)
    await all_see_each_other(ada, bob)


async def test_meeting_below_a_prefix(mounted: Address, people: People) -> None:
    ada, bob = await people(mounted, "Ada", "Bob", path="/meet/")
    code = await ada.makes_a_meeting()
    assert ada.page.url == f"{mounted.url}/meet/#{code}"
    await bob.enters(code)
    await all_see_each_other(ada, bob)
    await ada.page.reload()
    await ada.is_inside()
    await all_see_each_other(ada, bob)


async def test_invite_link_leads_into_the_meeting(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob", permissions=("camera", "microphone", "clipboard-read"))
    code = await ada.makes_a_meeting()
    await ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await ada.presses("Copy invite link")
    await ada.is_told("Invite link copied")
    link = await ada.page.evaluate("navigator.clipboard.readText()")
    assert link == f"{site.url}/#{code}"
    await bob.page.goto(link)
    await bob.enters()
    await all_see_each_other(ada, bob)


@pytest.mark.parametrize("viewport", [(390, 844), (844, 390), (2560, 1440)])
async def test_any_screen_shows_everyone_and_every_control(
    site: Site, people: People, viewport: tuple[int, int]
) -> None:
    names = ["Ada", "Bob", "Cleo"]
    persons = await people(site, *names, viewport=viewport)
    code = await persons[0].makes_a_meeting()
    for person in persons[1:]:
        await person.enters(code)
    ada = persons[0]
    await ada.sees(*persons[1:])
    for name in ("Mute", "Stop camera", "Raise hand", "React", "Chat", "Participants", "Settings", "Leave"):
        await is_on_screen(ada, name, viewport)
    for other in persons[1:]:
        box = await ada.tile(other).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= viewport[0]
        assert box["y"] >= 0 and box["y"] + box["height"] <= viewport[1]
    for name in ("Chat", "Participants"):
        await ada.presses(name)
        await is_on_screen(ada, "Close", viewport)
        await ada.presses("Close")
    width = await ada.page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport[0]


async def is_on_screen(person: Person, name: str, viewport: tuple[int, int]) -> None:
    """The button can be seen whole, and is large enough for a finger."""
    box = await person.button(name).bounding_box()
    assert box, name
    assert box["x"] >= 0 and box["y"] >= 0, name
    assert box["x"] + box["width"] <= viewport[0] and box["y"] + box["height"] <= viewport[1], name
    assert box["width"] >= 38 and box["height"] >= 38, name


async def test_first_load_is_small(site: Site, people: People) -> None:
    (ada,) = await people(site, "Ada")
    requests, _, transferred, _ = await sizes(ada.page)
    assert requests > 20
    assert transferred < 60_000


async def test_page_that_is_closed_leaves_no_ghost(site_with: SiteWith, people: People) -> None:
    site = site_with(resume_window=1)
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await ada.sees(bob)
    await bob.page.goto("about:blank")
    await ada.sees()
    await ada.is_told("Bob has left")
