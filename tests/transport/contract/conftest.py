"""Each test against each protocol, on each event loop that uvicorn runs on; the reference, on one."""

import asyncio
import contextlib
import importlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .faults import fault
from .site import PROTOCOLS, Site

SiteWith = Callable[..., Awaitable[Site]]
Hurry = Callable[[Site], None]
LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loops, by the name that uvicorn has for them."""
    return LOOPS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that asks for a protocol gets all of them."""
    if "protocol" in metafunc.fixturenames:
        metafunc.parametrize("protocol", PROTOCOLS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Known faults are told, not run."""
    spared = []
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        name, *words = item.name.removesuffix("]").replace("[", "-", 1).split("-")
        protocol = next(word for word in words if word in PROTOCOLS)
        if protocol == "stock" and "uvloop" in words:
            spared.append(item)
        case = "-".join(word for word in words if word not in {protocol, *LOOPS})
        reason = fault(protocol, name, case)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, run=False))
    config.hook.pytest_deselected(items=spared)
    items[:] = [item for item in items if item not in spared]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is right, and nothing wrong, only because a server has waited long enough for its client."""
    channel = importlib.import_module("mikroroom.transport.channel")
    for patience in ("CLOSE_PATIENCE", "FLUSH_PATIENCE"):
        monkeypatch.setattr(channel, patience, 600.0)
    start = WebSocketsSansIOProtocol.__init__

    def started(connection: Any, *arguments: Any, **options: Any) -> None:
        start(connection, *arguments, **options)
        connection.close_timeout = 600.0

    monkeypatch.setattr(WebSocketsSansIOProtocol, "__init__", started)


@pytest.fixture
async def site_with(protocol: str, tmp_path: Path) -> AsyncIterator[SiteWith]:
    """Sites with an app, a way of listening and uvicorn options of the test's choice."""
    async with contextlib.AsyncExitStack() as sites:

        async def start(app: ASGIApp | None = None, listening: str = "port", **options: Any) -> Site:
            return await sites.enter_async_context(Site(protocol, app, tmp_path, listening, **options))

        yield start


@pytest.fixture
async def site(site_with: SiteWith) -> Site:
    """A site as it comes, whose app the test acts."""
    return await site_with()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """uvicorn's options for TLS, with a certificate for localhost of our own signing."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    )
    command += " -addext subjectAltName=DNS:localhost -addext keyUsage=critical,digitalSignature,keyCertSign"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return {"ssl_keyfile": files[1], "ssl_certfile": files[3]}


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Hurry:
    """Makes a site's connections wait for the last words of a client for moments only."""

    def hurry(site: Site) -> None:
        channel = importlib.import_module("mikroroom.transport.channel")
        monkeypatch.setattr(channel, "CLOSE_PATIENCE", 0.05)
        monkeypatch.setattr(channel, "FLUSH_PATIENCE", 0.05)
        for connection in site.connections:
            if hasattr(connection, "close_timeout"):  # uvicorn's own
                connection.close_timeout = 0.05

    return hurry
