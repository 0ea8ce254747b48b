"""ICE servers that end: how the client takes fresh ones, and how the room page asks for them."""

import pytest
from playwright.async_api import Page, Response
from tests.site_process import Site

from .callers import TAP, Call
from .conftest import People, SiteWith
from .people import all_see_each_other

# Seconds. Nothing is told anew before half of it has passed: longer than any test takes.
TTL = 3_600

# The user names by which connections look for a way, newest last, and those that the server has told.
USED = "connections.map((each) => each.getConfiguration().iceServers.map(({ username }) => username))"
TOLD = "told('ice-servers').map(({ iceServers }) => iceServers.map(({ username }) => username))"

# Time that passes at once.
SKEW = """
const now = Date.now;
globalThis.skew = 0;
Date.now = () => now() + skew;
"""


# It is never needed on one machine, and so there is none.
TURN = {
    "turn_servers": "turn:127.0.0.1:9?transport=tcp",
    "turn_secret": "north",
    "turn_credential_ttl": TTL,
}


@pytest.fixture
def turn_site(site_with: SiteWith) -> Site:
    """A server that shares a secret with a TURN server."""
    return site_with(**TURN)


async def test_fresh_servers_count_for_every_connection_there_is_and_will_be(
    turn_site: Site, call: Call
) -> None:
    ada, bob, eve = [await call(turn_site, media=True) for _ in range(3)]
    await ada.joins("Ada", isHost=True)
    await bob.joins("Bob")
    await ada.sees("[...peers].length === 1 && [...peers][0].isOpen")
    assert await ada.says(USED) == [[]]
    # Whoever comes back is given some.
    await ada.says("sockets.at(-1).close()")
    await ada.sees("told('ice-servers').length === 1")
    (fresh,) = await ada.says(TOLD)
    assert len(fresh) == 1
    await ada.sees(f"JSON.stringify({USED}) === JSON.stringify({TOLD})")
    assert await ada.says("connections[0].connectionState") == "connected"
    await eve.joins("Eve")
    await ada.sees("[...peers].length === 2")
    assert await ada.says(USED) == [fresh, fresh]
    assert await ada.says("faults") == []


def configurations(page: Page) -> list[Response]:
    """The answers by ``/config`` from now on."""
    seen: list[Response] = []
    page.on("response", lambda response: seen.append(response) if "/config" in response.url else None)
    return seen


@pytest.mark.parametrize(("hours_in_lobby", "asked"), [(0, 1), (1, 2)])
async def test_lobby_that_was_open_for_long_asks_anew(
    turn_site: Site, people: People, hours_in_lobby: int, asked: int
) -> None:
    ada, bob = await people(turn_site, "Ada", "Bob")
    code = await ada.makes_a_meeting()
    await bob.page.add_init_script(SKEW + TAP)
    await bob.page.reload()
    seen = configurations(bob.page)
    await bob.page.goto(f"/#{code}")
    await bob.field("Your name").fill("Bob")
    await bob.page.evaluate(f"skew = {hours_in_lobby} * 3_600_000")
    await bob.presses("Enter meeting")
    await all_see_each_other(ada, bob)
    assert len(seen) == asked
    answer = await seen[-1].json()
    assert answer["ttl"] == TTL
    assert await bob.page.evaluate(USED) == [[answer["iceServers"][0]["username"]]]


async def test_another_try_at_the_password_asks_for_no_more(turn_site: Site, people: People) -> None:
    ada, bob = await people(turn_site, "Ada", "Bob")
    code = await ada.makes_a_meeting(password="sesame")
    seen = configurations(bob.page)
    await bob.asks_to_enter(code)
    for password in ("wrong", "sesame"):
        await bob.reads("password")
        await bob.field("Password").fill(password)
        await bob.presses("Enter meeting")
    await all_see_each_other(ada, bob)
    assert len(seen) == 1


async def test_page_that_joined_afresh_after_long_asks_anew(site_with: SiteWith, people: People) -> None:
    (ada,) = await people(site_with(**TURN, resume_window=0), "Ada")
    await ada.page.add_init_script(SKEW + TAP)
    await ada.page.reload()
    await ada.makes_a_meeting()
    await ada.page.evaluate("skew = 3_600_000")
    async with ada.page.expect_response("**/config"):
        await ada.page.evaluate("sockets.at(-1).close()")
    await ada.is_inside()
