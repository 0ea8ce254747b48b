"""``GET /api/events``."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mikroroom import create_app
from mikroroom.core.chronicle import Person, RoomEvent
from mikroroom.core.effects import Happened
from mikroroom.hub.hub import Hub
from mikroroom.settings import Settings
from mikroroom.stores.chronicle import MemoryChronicle

TOKEN = "sixteen-letters!"


class Site:
    """The service, asked over HTTP, and what happens in its rooms."""

    def __init__(self, http: httpx.AsyncClient, hub: Hub) -> None:
        self.http = http
        self.hub = hub

    def happens(self, count: int) -> None:
        """Somebody joins, so many times."""
        assert isinstance(self.hub.chronicle, MemoryChronicle)
        for number in range(count):
            person = Person(f"p{number}", "Ada")
            event = RoomEvent(type="participant.joined", room_id="ROOM23", participant=person)
            self.hub.chronicle.note([Happened(event)])

    async def asks(self, status: int = 200, token: str = TOKEN, **query: Any) -> dict[str, Any]:
        """What it answers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.get("/api/events", params=query, headers=headers)
        assert answer.status_code == status
        content: dict[str, Any] = answer.json()
        return content


@pytest.fixture
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """With an administration, unless other settings are given."""
    settings = Settings(**getattr(request, "param", {"admin_token": TOKEN, "events_kept": 5}))
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://site") as http,
    ):
        yield Site(http, app.state.hub)


async def test_events_are_answered_page_by_page(site: Site) -> None:
    assert await site.asks() == {"events": [], "next": None, "isComplete": True}
    site.happens(5)
    page = await site.asks(limit=3)
    assert [event["participant"]["id"] for event in page["events"]] == ["p0", "p1", "p2"]
    assert page["next"] == page["events"][-1]["id"]
    rest = await site.asks(limit=3, after=page["next"])
    assert [event["participant"]["id"] for event in rest["events"]] == ["p3", "p4"]
    assert await site.asks(after=rest["next"]) == {"events": [], "next": rest["next"], "isComplete": True}
    assert (await site.asks(after=0))["isComplete"]


async def test_what_is_kept_no_more_is_said_to_be_missing(site: Site) -> None:
    site.happens(1)
    first = (await site.asks())["next"]
    site.happens(6)
    assert not (await site.asks(after=first))["isComplete"]
    assert len((await site.asks())["events"]) == 5


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", "1.5", "²", "9" * 40])
async def test_limit_that_is_none_is_refused_with_what_may_be(site: Site, limit: str) -> None:
    assert "`$.limit`" in (await site.asks(400, limit=limit))["error"]


@pytest.mark.parametrize("after", ["x", "1-", "-", "1-2-3", "²", "9" * 40])
async def test_after_that_is_none_is_refused_with_what_may_be(site: Site, after: str) -> None:
    assert "`$.after`" in (await site.asks(400, after=after))["error"]


async def test_whoever_has_no_token_reads_nothing(site: Site) -> None:
    for token, status in (("", 401), ("wrong", 403), (TOKEN + "!", 403)):
        assert "token" in (await site.asks(status, token=token))["error"]


@pytest.mark.parametrize("site", [{}], indirect=True)
async def test_where_there_is_no_administration_there_is_no_such_route(site: Site) -> None:
    assert await site.asks(404, token="") == {"error": "Not Found"}
