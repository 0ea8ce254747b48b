"""What every test of the hub is given: a house, which must be empty again once everyone has gone."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mikroroom.hub import hub
from mikroroom.hub.doorkeeper import Hook
from mikroroom.settings import Settings
from mikroroom.stores.port import Store

from .cast import House

HouseWith = Callable[..., House]


@pytest.fixture(autouse=True)
def tidied_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Houses have a clock of their own: the hub does not tidy by another one, however long a test takes."""
    monkeypatch.setattr(hub, "TIDY_EVERY", 86_400.0)


@pytest.fixture
async def house_with() -> AsyncIterator[HouseWith]:
    """Houses with settings of the test's choice. Afterwards no ghost is left, and nothing has failed."""
    houses = []

    def last(house: House) -> House:
        return last(house.successor) if house.successor else house

    def build(store: Store | None = None, *, authorize_join: Hook | None = None, **settings: Any) -> House:
        house = House(Settings(**settings), store, authorize_join=authorize_join)
        houses.append(house)
        return house

    yield build
    for house in map(last, houses):
        await house.everyone_goes()
        await house.hub.stop()
        assert house.faults == []


@pytest.fixture
async def house(house_with: HouseWith) -> House:
    """A house with the settings as they come."""
    return house_with()
