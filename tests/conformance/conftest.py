"""Which servers the suite runs against, and what a test is given: a ``stage`` before one of them."""

import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest
from tests.redis_server import RedisServer

from .serving import SHARED, WAYS, served
from .stage import Site, Stage

StageWith = Callable[..., Stage]

# What is asked of a way of serving, unless all is of every way (``--every-way``). The rules are kept by the
# same code, however it is served: one process by itself and two workers are asked for all of them, and not
# here; the others for what depends on the way.
_TRANSPORT = {"test_answers", "test_errors", "test_floods", "test_frames", "test_limits", "test_reference"}
_ASKED = {
    "asgi": _TRANSPORT | {"test_resuming", "test_talking"},
    "stock": _TRANSPORT | {"test_resuming", "test_rest", "test_talking"},
    "uvicorn": _TRANSPORT | {"test_rest"},
    "mounted": _TRANSPORT | {"test_rest", "test_rooms"},
    "mounted-direct": _TRANSPORT | {"test_talking"},
    # Where a third worker may change what comes: who speaks, who hears and who was there before are on three.
    "workers-4": {
        "test_limits", "test_moderation", "test_numbering", "test_resuming", "test_rooms", "test_suspension",
        "test_talking", "test_tokens", "test_waiting",
    },
}  # fmt: skip

# What the servers of a test write to, and how much was there before it.
_LOGS = pytest.StashKey[list[tuple[Path, int]]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test against each server: those named on the command line, or this project's own in every way."""
    if "serving" in metafunc.fixturenames:
        servers = metafunc.config.getoption("--base-url") or list(WAYS)
        metafunc.parametrize("serving", servers, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Somebody else's server need not have made the choices of this one; and time is short."""
    left_out: set[pytest.Item] = set()
    if config.getoption("--base-url"):
        left_out = {item for item in items if item.get_closest_marker("house")}
    elif not config.getoption("--every-way"):
        left_out = {item for item in items if not _is_asked(item)}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def _is_asked(item: pytest.Item) -> bool:
    spec = getattr(item, "callspec", None)
    way = None if spec is None else spec.params.get("serving")
    return way not in _ASKED or item.path.stem in _ASKED[way]


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """The store of all sites that have several workers. Started only if one is asked for."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server that a test is about."""
    if request.config.getoption("--base-url"):
        yield Site.at(request.param)
        return
    folder = tmp_path_factory.mktemp(request.param)
    with served(request.param, {}, folder, _store_url(request.param, request)) as site:
        yield site


@pytest.fixture
async def stage(serving: Site, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """The server that a test is about, and the people who come to it."""
    async with contextlib.AsyncExitStack() as cleanup:
        _watch(request.node, serving)
        yield await cleanup.enter_async_context(Stage(serving))


@pytest.fixture
async def stage_with(
    serving: Site, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StageWith]:
    """A stage before a fresh server, served in the same way but with the settings given."""
    if not serving.is_ours:
        pytest.skip("needs a server with other settings, and the one of --base-url is as it is")
    way = request.node.callspec.params["serving"]
    store_url = _store_url(way, request)
    with contextlib.ExitStack() as servers:
        async with contextlib.AsyncExitStack() as stages:

            def start(**settings: str) -> Stage:
                folder = tmp_path_factory.mktemp(way)
                site = servers.enter_context(served(way, settings, folder, store_url))
                _watch(request.node, site)
                stage = Stage(site)
                stages.push_async_exit(stage)
                return stage

            yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the servers had to say while a test failed."""
    report = yield
    if report.failed:
        for log, start in item.stash.get(_LOGS, []):
            report.sections.append((log.name, log.read_text()[start:]))
    return report


def _watch(node: pytest.Item, site: Site) -> None:
    logs = node.stash.setdefault(_LOGS, [])
    logs += [(log, len(log.read_text())) for log in site.logs]


def _store_url(way: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("redis").url if way in SHARED else ""
