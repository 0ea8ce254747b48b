"""What a test of the contracts is given: the documents, and the folder with what comes from npm."""

from pathlib import Path
from typing import Any

import pytest
from tests.web.modules import installed

from mikroroom import Settings
from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.openapi import openapi

Document = dict[str, Any]


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder with the packages from the npm registry."""
    return installed()


@pytest.fixture(scope="session")
def rest() -> Document:
    """The OpenAPI document of a server with the settings as they come."""
    return openapi(Settings())


@pytest.fixture(scope="session")
def signaling() -> Document:
    """The AsyncAPI document of such a server."""
    return asyncapi(Settings())
