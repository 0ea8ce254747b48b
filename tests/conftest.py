"""What every test folder shares: servers in this process, and the conformance suite's option."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp


def pytest_addoption(parser: pytest.Parser) -> None:
    """Here and not in ``conformance``: pytest takes options only from a conftest it reads at the start."""
    parser.addoption(
        "--base-url",
        action="append",
        default=[],
        metavar="URL",
        help="run tests/conformance against the server at URL, such as http://127.0.0.1:3000 or"
        " https://example.org/meet, instead of servers of its own; several workers of one site are given with"
        " commas between them; may be given more than once",
    )
    parser.addoption(
        "--every-way",
        action="store_true",
        help="run all of tests/conformance in every way of serving, and not only what depends on the way",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the suite's marker, so that a misspelt one is an error."""
    config.addinivalue_line(
        "markers", "house: a choice of this server where the rules are silent; not asked of a --base-url"
    )


@pytest.fixture(autouse=True)
def contract(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What servers of ours say to the conformance suite is held to their own documents.

    It is done from here because that suite knows nothing of ours, and stays so.
    """
    if is_listened_to(request.path, request.config.getoption("--base-url")):
        from tests.contracts.listening import listen_in  # noqa: PLC0415 - of ours

        listen_in(monkeypatch)


def is_listened_to(test: Path, base_urls: list[str]) -> bool:
    """Whether this test of the suite is about servers of ours."""
    return not base_urls and Path(__file__).parent / "conformance" in test.parents


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """``await serve(app)``: ``serving`` until the test ends."""
    async with contextlib.AsyncExitStack() as servers:

        async def start(app: ASGIApp, **options: Any) -> str:
            return await servers.enter_async_context(serving(app, **options))

        yield start


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[str]:
    """Serves an ASGI app in this process, on a free port, for as long as the block lasts; gives its URL.

    Options are uvicorn's.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    quiet = {
        "log_config": None,
        "access_log": False,
        "ws": "websockets-sansio",
        "timeout_graceful_shutdown": 5,
    }
    server = uvicorn.Server(uvicorn.Config(app, **{**quiet, **options}))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(60):
            while not server.started:
                assert not serving.done(), "the app did not start"
                await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
