"""Meetings in the room page: what one does, and what the others see of it."""

import asyncio

import pytest
from playwright.async_api import expect
from tests.site_process import Site

from .conftest import People
from .people import all_see_each_other


@pytest.mark.parametrize("count", [2, 3, 5])
async def test_all_see_and_hear_each_other(site: Site, people: People, count: int) -> None:
    ada, *others = await people(site, *["Ada", "Bob", "Cleo", "Dan", "Eve"][:count])
    code = await ada.makes_a_meeting()
    await asyncio.gather(*(other.enters(code) for other in others))
    await all_see_each_other(ada, *others)
    # One's own picture is there too, and is no remote one.
    for person in (ada, *others):
        await expect(person.page.get_by_role("group", name=f"{person.name} (you)")).to_be_visible()
