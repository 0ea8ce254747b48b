"""Coming into a meeting, not coming in, and being shown out: each as the person and as the others see it."""

import asyncio
import json
import time
import urllib.request
from typing import Any

import pytest
from playwright.async_api import expect
from tests.site_process import Site

from mikroroom.client import Client
from mikroroom.core.grants import GrantedRole
from mikroroom.core.jointokens import key_of, mint

from .conftest import People, SiteWith
from .faults import Faults
from .people import Person, all_see_each_other, until

# The tab was closed a day ago, as far as the page remembers.
YESTERDAY = """
for (const key of Object.keys(sessionStorage)) {
  const visit = JSON.parse(sessionStorage.getItem(key));
  sessionStorage.setItem(key, JSON.stringify({ ...visit, leftAt: visit.leftAt - 86_400_000 }));
}
"""

# Both measured at once: a panel that has just been opened moves them.
HOLDS_ITS_LABEL = """(tile) => {
  const outer = tile.getBoundingClientRect();
  const inner = tile.querySelector("[data-name]").getBoundingClientRect();
  return inner.x >= outer.x && inner.width <= outer.width;
}"""


async def health(site: Site) -> Any:
    """What the server says of itself."""
    with await asyncio.to_thread(urllib.request.urlopen, f"{site.url}/health") as answer:
        return json.load(answer)


async def a_meeting(site: Site, people: People, *others: str, **options: Any) -> list[Person]:
    """Ada has made a meeting, and the others have come."""
    ada, *rest = await people(site, "Ada", *others)
    code = await ada.makes_a_meeting(**options)
    for other in rest:
        await other.enters(code)
    return [ada, *rest]


@pytest.mark.parametrize("typed", ["{code}", "{lower}", "{url}/#{code}", " {code} "])
async def test_code_may_be_typed_or_pasted_with_its_link(site: Site, people: People, typed: str) -> None:
    (ada,) = await a_meeting(site, people)
    (bob,) = await people(site, "Bob")
    text = typed.format(code=ada.code, lower=ada.code.lower(), url=site.url)
    await bob.field("Meeting code").fill(text)
    await bob.presses("Join")
    await bob.enters()
    assert bob.code == ada.code


@pytest.mark.parametrize("path", ["/#nonsense", "/#", "/#ABC12"])
async def test_address_without_a_code_leads_home(site: Site, people: People, path: str) -> None:
    (ada,) = await people(site, "Ada", path=path)
    await expect(ada.button("New meeting")).to_be_visible()
    if path != "/#":
        await ada.reads("six letters or digits")


async def test_lobby_that_is_left_behind_leaves_nothing(site: Site, people: People) -> None:
    ada, bob = await people(site, "Ada", "Bob")
    await ada.presses("New meeting")
    await ada.field("Your name").fill("Ada")
    await bob.asks_to_enter(ada.code)
    await bob.reads("There is no such meeting")
    assert (await health(site))["totalRooms"] == 0
    await ada.enters()
    await bob.presses("Try again")
    await all_see_each_other(ada, bob)


async def test_password_is_asked_for_until_it_is_right(site: Site, people: People) -> None:
    (ada,) = await a_meeting(site, people, password="sesame")
    (bob,) = await people(site, "Bob")
    await bob.asks_to_enter(ada.code)
    await bob.reads("asks for a password")
    for password, answer in (("wrong", "not the password"), ("Sesame", "not the password")):
        await bob.field("Password").fill(password)
        await bob.presses("Enter meeting")
        await bob.reads(answer)
    await bob.field("Password").fill("sesame")
    await bob.presses("Enter meeting")
    await all_see_each_other(ada, bob)


async def test_full_meeting_is_entered_when_a_seat_is_free(site: Site, people: People) -> None:
    ada, bob = await a_meeting(site, people, "Bob", seats=2)
    (cleo,) = await people(site, "Cleo")
    await cleo.asks_to_enter(ada.code)
    await cleo.reads("This meeting is full")
    await bob.presses("Leave")
    await ada.sees()
    await cleo.presses("Try again")
    await all_see_each_other(ada, cleo)


async def test_locked_meeting_lets_in_whom_a_moderator_admits(site: Site, people: People) -> None:
    ada, bob = await a_meeting(site, people, "Bob")
    cleo, dan, eve = await people(site, "Cleo", "Dan", "Eve")
    await ada.presses("Lock meeting")
    await bob.reads("Locked")
    for person in (cleo, dan, eve):
        await person.asks_to_enter(ada.code)
        await person.reads("Waiting to be let in")
    # Only moderators are told, and no panel is open.
    await expect(ada.button("Admit Eve")).to_be_visible()
    await expect(bob.button("Admit Eve")).to_have_count(0)
    await ada.presses("Admit Dan")
    await dan.is_inside()
    await ada.presses("Reject Eve")
    await eve.reads("You were not let in")
    await expect(ada.button("Admit Eve")).to_have_count(0)
    await ada.presses("Unlock meeting")
    await all_see_each_other(ada, bob, cleo, dan)


async def test_all_who_wait_are_admitted_at_once(site: Site, people: People) -> None:
    (ada,) = await a_meeting(site, people)
    others = await people(site, "Bob", "Cleo", "Dan")
    await ada.presses("Lock meeting")
    for person in others:
        await person.asks_to_enter(ada.code)
        await person.reads("Waiting to be let in")
    await ada.presses("Admit all")
    await all_see_each_other(ada, *others)


async def test_who_waits_may_reload_or_go(site: Site, people: People) -> None:
    (ada,) = await a_meeting(site, people)
    bob, cleo = await people(site, "Bob", "Cleo")
    await ada.presses("Lock meeting")
    for person in (bob, cleo):
        await person.asks_to_enter(ada.code)
        await expect(ada.button(f"Admit {person.name}")).to_be_visible()
    await bob.page.reload()
    await bob.reads("Waiting to be let in")
    await cleo.presses("Leave")
    await cleo.reads("You have left")
    await expect(ada.button("Admit Cleo")).to_have_count(0)
    await ada.presses("Admit Bob")
    await all_see_each_other(ada, bob)


async def test_meeting_that_ends_ends_the_waiting(site: Site, people: People) -> None:
    (ada,) = await a_meeting(site, people)
    (bob,) = await people(site, "Bob")
    await ada.presses("Lock meeting")
    await bob.asks_to_enter(ada.code)
    await bob.reads("Waiting to be let in")
    await ada.presses("Leave")
    await bob.reads("The meeting has ended")


async def test_removed_person_comes_back_only_if_admitted(site: Site, people: People) -> None:
    ada, bob, cleo = await a_meeting(site, people, "Bob", "Cleo")
    await ada.presses("Participants", "Remove Bob")
    await bob.reads("You were removed")
    await all_see_each_other(ada, cleo)
    await bob.presses("Ask to come back")
    await bob.reads("Waiting to be let in")
    await ada.presses("Admit Bob")
    await all_see_each_other(ada, bob, cleo)


async def test_moderator_is_made_and_host_inherited(site: Site, people: People) -> None:
    ada, bob, cleo = await a_meeting(site, people, "Bob", "Cleo")
    await ada.presses("Participants")
    await expect(bob.button("Lock meeting")).to_have_count(0)
    await ada.presses("Make Bob moderator")
    await bob.is_told("Ada has made you a moderator")
    await bob.presses("Lock meeting")
    (dan,) = await people(site, "Dan")
    await dan.asks_to_enter(ada.code)
    await expect(bob.button("Admit Dan")).to_be_visible()
    await ada.presses("Leave")
    await bob.is_told("You are the host now")
    await cleo.is_told("Bob is the host now")
    await bob.presses("Admit Dan")
    await all_see_each_other(bob, cleo, dan)


async def test_moderator_mutes_and_only_asks_to_speak(site: Site, people: People) -> None:
    ada, bob, cleo = await a_meeting(site, people, "Bob", "Cleo")
    await ada.presses("Participants", "Mute Bob")
    await expect(bob.button("Unmute")).to_be_visible()
    await bob.is_told("Ada has muted you")
    await asyncio.gather(ada.sees_mark(bob, "Muted"), cleo.sees_mark(bob, "Muted"))
    await ada.presses("Ask Bob to speak")
    await bob.reads("Ada asks you to speak")
    # The server takes it for done; Bob's page corrects that, and everyone hears it in this order.
    await ada.presses("Close", "Chat")
    await bob.presses("Chat")
    await bob.says("In a moment")
    await expect(ada.log.get_by_text("In a moment")).to_be_visible()
    await ada.sees_mark(bob, "Muted")
    await expect(bob.button("Unmute")).to_be_visible()
    await bob.presses("Unmute now")
    await expect(bob.button("Mute")).to_be_visible()
    await asyncio.gather(*(other.sees_mark(bob, "Muted", is_there=False) for other in (ada, cleo)))


async def test_recording_is_told_to_all_and_to_latecomers(site: Site, people: People) -> None:
    ada, bob = await a_meeting(site, people, "Bob")
    async with Client.connect(f"ws://127.0.0.1:{site.port}/ws") as recorder:
        await recorder.join(ada.code, "Recorder")
        await ada.presses("Participants", "Make Recorder moderator")
        await recorder.start_recording()
        await asyncio.gather(*(person.reads("Recorded by Recorder") for person in (ada, bob)))
        (cleo,) = await people(site, "Cleo")
        await cleo.enters(ada.code)
        await cleo.reads("Recorded by Recorder")
        await recorder.stop_recording()
        for person in (ada, bob, cleo):
            await expect(person.page.get_by_text("Recorded by")).to_have_count(0)


async def test_meeting_opened_in_another_tab_is_left_in_this_one(
    site: Site, people: People, faults: Faults
) -> None:
    faults.allow("favicon.ico")
    ada, bob = await a_meeting(site, people, "Bob")
    await bob.page.evaluate("dispatchEvent(new Event('pagehide'))")
    kept = await bob.page.evaluate("JSON.stringify({ ...sessionStorage })")
    other = Person("Bob", await bob.page.context.new_page())
    await other.page.goto("/health")
    await other.page.evaluate("(kept) => Object.assign(sessionStorage, JSON.parse(kept))", kept)
    await other.page.goto(f"/#{ada.code}")
    await other.is_inside()
    await bob.reads("Opened somewhere else")
    await all_see_each_other(ada, other)


async def test_leaving_and_going_back(site: Site, people: People) -> None:
    ada, bob = await a_meeting(site, people, "Bob")
    await bob.presses("Leave")
    await ada.sees()
    await bob.presses("Go back")
    await bob.enters()
    await all_see_each_other(ada, bob)
    # The browser's own way out of a page is one out of the meeting.
    await bob.page.evaluate("location.hash = ''")
    await expect(bob.button("New meeting")).to_be_visible()
    await ada.sees()
    await bob.page.go_back()
    await bob.enters()
    await all_see_each_other(ada, bob)


async def test_tab_of_another_day_comes_by_the_lobby(site: Site, people: People) -> None:
    """Its camera stays off until somebody wants it; the place, if it is still there, is the same."""
    ada, bob = await a_meeting(site, people, "Bob")
    await bob.page.add_init_script(YESTERDAY)
    await bob.page.reload()
    await expect(bob.button("Enter meeting")).to_be_visible()
    await expect(bob.field("Your name")).to_have_value("Bob")
    await bob.presses("Enter meeting")
    await all_see_each_other(ada, bob)


async def test_names_and_texts_are_text(site: Site, people: People) -> None:
    markup = "<img src=x onerror=alert(1)>"
    ada, bob = await people(site, "Ada", f"<b>{markup}</b>")
    code = await ada.makes_a_meeting()
    await bob.enters(code)
    await ada.sees(bob)
    await ada.presses("Chat")
    await bob.presses("Chat")
    await bob.says(f"{markup} javascript:alert(1) <a href='https://example.org/'>")
    await expect(ada.log.get_by_text(markup).first).to_be_visible()
    await ada.presses("Participants")
    for person in (ada, bob):
        assert await person.page.locator("img:not([alt='']), b img").count() == 0
    assert await ada.log.get_by_role("link").count() == 0


@pytest.mark.parametrize("name", ["W" * 64, "שלום עולם, מה שלומך היום בפגישה", "👩‍👩‍👧‍👦 family"])
async def test_unusual_names_fit(site: Site, people: People, name: str) -> None:
    ada, bob = await people(site, "Ada", name)
    await bob.enters(await ada.makes_a_meeting())
    await ada.sees(bob)
    await ada.presses("Participants")
    assert await ada.tile(bob).evaluate(HOLDS_ITS_LABEL)
    assert await ada.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await expect(ada.button(f"Remove {name}")).to_be_in_viewport(ratio=1)


async def test_server_that_cannot_be_reached_is_named(
    site_with: SiteWith, people: People, faults: Faults
) -> None:
    faults.allow("response code: 429")
    site = site_with(connections_per_minute=1)
    ada, bob = await people(site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.asks_to_enter(code)
    await bob.reads("The server cannot be reached")
    await until(lambda: bob.button("Try again").is_visible(), "one can try again")


async def test_link_with_a_token_lets_one_in_and_keeps_it_out_of_sight(
    site_with: SiteWith, people: People
) -> None:
    secret = "the-secret-of-the-site-32-bytes!"
    site = site_with(join_tokens="required", join_token_secret=secret)

    def link(name: str, role: GrantedRole, ttl: int = 600) -> str:
        how = {"audience": "mikroroom", "code": "ABC234", "now": int(time.time())}
        return f"/#ABC234/{mint(key_of(secret), name=name, role=role, ttl=ttl, **how)}"  # type: ignore[arg-type]  # as given

    (ada,) = await people(site, "Somebody", path=link("Ada", "host"))
    (bob,) = await people(site, "Bob", path=link("Bob", "participant"))
    (eve,) = await people(site, "Eve", path="/#ABC234")
    for person in (ada, bob):
        assert await person.page.evaluate("location.hash") == "#ABC234"
    await ada.enters()
    ada.name = "Ada"
    await bob.enters()
    await all_see_each_other(ada, bob)
    await eve.asks_to_enter("ABC234")
    await eve.reads("Your invitation does not hold")
    await bob.page.reload()
    await all_see_each_other(ada, bob)
