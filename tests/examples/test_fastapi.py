"""The office of docs/examples/fastapi: the session decides, or a token that was signed for it."""

import pytest
from playwright.async_api import expect
from tests.web.guests import Guests
from tests.web.people import until

from mikroroom.client import RefusedError
from mikroroom.protocol import events

from .conftest import StartExample
from .example_site import PASSWORD, ExampleSite, cookies_of


@pytest.fixture
def office(start: StartExample) -> ExampleSite:
    return start("fastapi")


async def token_of(user: str, office: ExampleSite, code: str = "TEAM42") -> str:
    async with office.anybody(headers={"Cookie": await cookies_of(user, office)}) as browser:
        answer = await browser.post(f"/meetings/{code}/token")
        return str(answer.raise_for_status().json()["token"])


async def are_present(office: ExampleSite, *names: str) -> bool:
    async with office.anybody(headers={"Cookie": await cookies_of("bob", office)}) as browser:
        return bool((await browser.get("/presence")).json() == {"TEAM42": list(names)})


async def test_below_the_prefix_the_service_answers(office: ExampleSite) -> None:
    async with office.anybody() as somebody:
        assert (await somebody.get("/meet/health")).json()["status"] == "ok"
        assert (await somebody.get("/meet/")).json()["endpoints"]["websocket"] == "/meet/ws"


async def test_the_session_and_a_token_say_the_same(office: ExampleSite) -> None:
    async with (
        office.connects(await cookies_of("ada", office)) as ada,
        office.connects(await cookies_of("bob", office)) as bob,
        office.connects() as bobs_app,
        office.connects() as cleo,
    ):
        host = await ada.join("TEAM42")
        assert isinstance(host, events.ParticipantJoined)
        assert (host.name, host.is_host) == ("Ada Lovelace", True)
        for client, token in ((bob, None), (bobs_app, await token_of("bob", office))):
            own = await client.join("TEAM42", "Ada Lovelace", token=token)
            assert isinstance(own, events.ParticipantJoined)
            assert (own.name, own.is_host, own.is_moderator) == ("Bob", False, True)
        own = await cleo.join("TEAM42", token=await token_of("cleo", office))
        assert isinstance(own, events.ParticipantJoined)
        assert (own.name, own.is_moderator) == ("Cleo", False)
        await until(lambda: are_present(office, "Ada Lovelace", "Bob", "Bob", "Cleo"), "all are present")
        await cleo.leave()
        await until(lambda: are_present(office, "Ada Lovelace", "Bob", "Bob"), "Cleo is not")


async def test_strangers_get_neither_in_nor_a_token(office: ExampleSite) -> None:
    for cookies in ("", "session=guess"):
        async with office.connects(cookies) as stranger:
            with pytest.raises(RefusedError, match="Log in first") as refused:
                await stranger.join("TEAM42", "Ada Lovelace", is_host=True)
        assert refused.value.code == "UNAUTHORIZED"
        async with office.anybody(headers={"Cookie": cookies}) as somebody:
            assert (await somebody.post("/meetings/TEAM42/token")).status_code == 403


async def test_a_token_opens_no_other_meeting_and_a_forged_one_none(office: ExampleSite) -> None:
    token = await token_of("cleo", office)
    async with office.connects() as somebody:
        for code, brought in (("BOARD1", token), ("TEAM42", token[:-4] + "AAAA")):
            with pytest.raises(RefusedError) as refused:
                await somebody.join(code, token=brought)
            assert refused.value.code == "INVALID_TOKEN"


async def test_who_is_not_invited_gets_no_token_and_no_entry(office: ExampleSite) -> None:
    cookies = await cookies_of("bob", office)
    async with office.anybody(headers={"Cookie": cookies}) as browser:
        assert (
            (await browser.post("/meetings/BOARD1/token")).json()["detail"].startswith("You are not invited")
        )
    async with office.connects(cookies) as bob:
        with pytest.raises(RefusedError, match="not invited"):
            await bob.join("BOARD1", "Bob")


async def test_after_the_logout_the_cookie_is_worth_nothing(office: ExampleSite) -> None:
    cookies = await cookies_of("bob", office)
    async with office.anybody(headers={"Cookie": cookies}) as browser:
        assert (await browser.post("/logout")).status_code == 303
    async with office.connects(cookies) as bob:
        with pytest.raises(RefusedError, match="Log in first"):
            await bob.join("TEAM42", "Bob")


async def test_two_meet_on_the_page_and_talk(office: ExampleSite, guest: Guests) -> None:
    host, other = await guest(office), await guest(office)
    for page, user in ((host, "ada"), (other, "bob")):
        await page.get_by_label("Name").fill(user)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("link", name="Team").click()
        await page.get_by_role("button", name="Join").click()
        await expect(page.get_by_role("status")).to_have_text("You are in")

    here = host.get_by_role("list", name="Who is here").get_by_role("listitem")
    await expect(here).to_have_text(["Ada Lovelace (moderates)", "Bob (moderates)"])
    await other.get_by_label("Message").fill("<b>Hello</b>")
    await other.get_by_role("button", name="Send").click()
    await expect(host.get_by_role("log").get_by_role("listitem")).to_have_text(["Bob: <b>Hello</b>"])
