"""Meetings below ``/meet/`` of somebody's site, whether or not nginx strips that."""

import re
from types import SimpleNamespace
from urllib.parse import urljoin

import pytest
from tests.chromium import chromium
from tests.web.faults import Faults
from tests.web.guests import Guests
from tests.web.people import Person, all_see_each_other

from .conftest import Front, Upstream
from .meetings import meeting, talk
from .nginx import NAME, Nginx

STRIPS: dict[str, str] = {}
LEAVES = {"proxy_pass http://mikroroom/;": "proxy_pass http://mikroroom;"}
UNLIMITED = {"connections_per_minute": 0, "rooms_per_minute": 0, "stun_servers": ()}


@pytest.fixture(params=[STRIPS, LEAVES], ids=["stripped", "left in place"])
async def site(request: pytest.FixtureRequest, upstream: Upstream, front: Front) -> Nginx:
    """A server that knows its prefix, behind somebody's site."""
    return front(await upstream(root_path="/meet"), prefix=True, changes=request.param)


async def test_a_meeting_is_held_below_the_prefix(site: Nginx) -> None:
    async with meeting(site, "/meet/ws") as (ada, bob):
        await talk(ada, bob, "hello")


async def test_page_and_all_that_it_names_are_found(site: Nginx) -> None:
    async with site.http() as http:
        http.headers["Accept"] = "text/html"
        redirect = await http.get("/meet?a=b")
        assert (redirect.status_code, redirect.headers["Location"]) == (301, "/meet/?a=b")
        page = await http.get("/meet/")
        assert page.status_code == 200
        assert f"wss://{NAME};" in page.headers["Content-Security-Policy"]
        names = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
        assert len(names) >= 3
        for name in names:
            asset = await http.get(urljoin("/meet/", name))
            assert (asset.status_code, name) == (200, name)
        assert (await http.get("/")).text == "the site"


async def test_addresses_that_are_told_have_the_prefix(site: Nginx) -> None:
    async with site.http() as http:
        told = (await http.get("/meet/")).json()["endpoints"]
        assert told.pop("websocket") == "/meet/ws"
        assert told.pop("rooms") == "/meet/api/rooms"
        for address in told.values():
            assert (await http.get(address)).status_code == 200, address


async def test_server_that_does_not_know_its_prefix_shows_the_page(upstream: Upstream, front: Front) -> None:
    """Where nginx strips it, to forget the setting costs nothing but the addresses in the index."""
    nginx = front(await upstream(), prefix=True)
    async with nginx.http() as http:
        page = await http.get("/meet/", headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert page.headers["Content-Type"].startswith("text/html")
    async with meeting(nginx, "/meet/ws") as (ada, bob):
        await talk(ada, bob, "hello")


@pytest.mark.parametrize("prefix", [False, True])
async def test_two_browsers_meet_over_tls(upstream: Upstream, front: Front, prefix: bool) -> None:
    path = "/meet/" if prefix else "/"
    nginx = front(await upstream(**UNLIMITED, root_path=path[:-1]), prefix=prefix)
    faults = Faults()
    here = f"--host-resolver-rules=MAP {NAME} 127.0.0.1:{nginx.port}"
    async with chromium(here) as browser, Guests(browser, faults) as guests:
        address = SimpleNamespace(url=f"https://{NAME}")
        ada, bob = [
            Person(name, await guests(address, path, ignore_https_errors=True)) for name in ("Ada", "Bob")
        ]
        code = await ada.makes_a_meeting()
        assert ada.page.url == f"https://{NAME}{path}#{code}"
        await bob.enters(code)
        await all_see_each_other(ada, bob)
        protocols = await ada.page.evaluate(
            "performance.getEntries().map((entry) => entry.nextHopProtocol).filter(Boolean)"
        )
        assert set(protocols) == {"h2"}
        # A reload of nginx is nothing that anybody sees.
        nginx.reload()
        await ada.presses("Chat")
        await bob.presses("Chat")
        await ada.says("still here")
        await bob.reads("still here")
    assert not faults.unexpected, faults.unexpected
