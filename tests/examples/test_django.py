"""The club of docs/examples/django: its accounts decide, and its meetings are held in the room page."""

import pytest
from playwright.async_api import Page, expect
from tests.web.guests import Guests
from tests.web.people import Person, all_see_each_other
from websockets.exceptions import InvalidStatus

from mikroroom.client import RefusedError
from mikroroom.protocol import events

from .conftest import StartExample
from .example_site import PASSWORD, ExampleSite, cookies_of


@pytest.fixture
def club(start: StartExample) -> ExampleSite:
    return start("django")


async def test_below_the_prefix_the_service_answers_and_elsewhere_django(club: ExampleSite) -> None:
    async with club.anybody() as somebody:
        assert (await somebody.get("/meet/health")).json()["status"] == "ok"
        assert (await somebody.get("/meet/")).json()["endpoints"]["websocket"] == "/meet/ws"
        assert (await somebody.get("/")).headers["Location"] == "/login?next=/"
        assert (await somebody.get("/nowhere")).status_code == 404


async def test_the_account_says_who_somebody_is_and_who_moderates(club: ExampleSite) -> None:
    staff, member = await cookies_of("hana", club), await cookies_of("max", club)
    async with club.connects(staff) as hana, club.connects(member) as max_:
        own = await hana.join("CHESS1", "Mickey")
        assert isinstance(own, events.ParticipantJoined)
        assert (own.name, own.is_host) == ("Hana", True)
        other = await max_.join("CHESS1", "Hana", is_host=True)
        assert isinstance(other, events.ParticipantJoined)
        assert (other.name, other.is_moderator) == ("Max", False)
        with pytest.raises(RefusedError) as refused:
            await max_.join("CHESS1", "Max")
        assert refused.value.code == "ALREADY_JOINED"
    for event in ("joined", "left"):
        await club.says(f"CHESS1: account 2, participant.{event}")


async def test_strangers_and_forged_sessions_are_turned_away(club: ExampleSite) -> None:
    for cookies in ("", "sessionid=" + "a" * 32, "sessionid="):
        async with club.connects(cookies) as stranger:
            with pytest.raises(RefusedError, match="Log in first") as refused:
                await stranger.join("CHESS1", "Hana", is_host=True)
        assert refused.value.code == "UNAUTHORIZED"


async def test_after_the_logout_the_session_is_worth_nothing(club: ExampleSite) -> None:
    cookies = await cookies_of("max", club)
    async with club.anybody(headers={"Cookie": cookies}) as browser:
        token = (await browser.get("/")).text.partition('name="csrfmiddlewaretoken" value="')[2][:64]
        answer = await browser.post("/logout", data={"csrfmiddlewaretoken": token})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login")
    async with club.connects(cookies) as max_:
        with pytest.raises(RefusedError, match="Log in first"):
            await max_.join("CHESS1", "Max")


async def test_a_page_of_another_origin_is_refused_with_a_good_session(club: ExampleSite) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with club.connects(await cookies_of("hana", club), origin="http://evil.example"):
            pass
    assert refused.value.response.status_code == 403


async def enters(page: Page, name: str) -> None:
    """By the lobby of the room page, under any name."""
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name="Enter meeting").click()


async def test_staff_and_member_meet_in_the_room_page_and_a_stranger_reads_why_not(
    club: ExampleSite, guest: Guests
) -> None:
    pages = {}
    for user in ("hana", "max"):
        pages[user] = page = await guest(club)
        await page.get_by_label("Username").fill(user)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("link", name="Chess").click()
        await enters(page, "Somebody")
        await Person(user, page).is_inside()
    await all_see_each_other(Person("Hana", pages["hana"]), Person("Max", pages["max"]))

    stranger = await guest(club, "/meet/#CHESS1")
    await enters(stranger, "Hana")
    await expect(stranger.get_by_role("heading", name="You may not join")).to_be_visible()
    await expect(stranger.get_by_text("Log in first", exact=True)).to_be_visible()
