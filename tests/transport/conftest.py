"""What the tests of the transport are given: apps that are stopped again."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette

from mikroroom import Settings, create_app

AppWith = Callable[..., Starlette]


@pytest.fixture
async def app_with() -> AsyncIterator[AppWith]:
    """Apps with settings of the test's choice."""
    apps = []

    def build(**settings: Any) -> Starlette:
        apps.append(create_app(Settings(**settings)))
        return apps[-1]

    yield build
    for app in apps:
        await app.state.hub.stop()


@pytest.fixture
async def app(app_with: AppWith) -> Starlette:
    """An app with the settings as they come."""
    return app_with()
