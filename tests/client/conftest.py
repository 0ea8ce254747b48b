"""What the tests of the client share."""

from collections.abc import AsyncIterator

import pytest

from .stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A server to be played."""
    stage = Stage()
    await stage.opens()
    yield stage
    await stage.shuts()
