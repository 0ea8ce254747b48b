"""Which servers the suite runs against, and what a test is given: a ``stage`` before one of them."""

import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator

import pytest

from .serving import WAYS, served
from .stage import Site, Stage

StageWith = Callable[..., Stage]

_LOGS = pytest.StashKey[list[tuple[Site, int]]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test against each server: those named on the command line, or this project's own in every way."""
    if "serving" in metafunc.fixturenames:
        servers = metafunc.config.getoption("--base-url") or list(WAYS)
        metafunc.parametrize("serving", servers, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Somebody else's server need not have made the choices of this one."""
    if config.getoption("--base-url"):
        ours = [item for item in items if item.get_closest_marker("house")]
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="session")
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server that a test is about."""
    if request.config.getoption("--base-url"):
        yield Site(request.param.rstrip("/"))
        return
    with served(request.param, {}, tmp_path_factory.mktemp(request.param)) as site:
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
    with contextlib.ExitStack() as servers:
        async with contextlib.AsyncExitStack() as stages:

            def start(**settings: str) -> Stage:
                folder = tmp_path_factory.mktemp(way)
                site = servers.enter_context(served(way, settings, folder))
                _watch(request.node, site)
                stage = Stage(site)
                stages.push_async_exit(stage)
                return stage

            yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server had to say while a test failed."""
    report = yield
    if report.failed:
        for site, start in item.stash.get(_LOGS, []):
            report.sections.append(("server log", site.said_since(start)))
    return report


def _watch(node: pytest.Item, site: Site) -> None:
    node.stash.setdefault(_LOGS, []).append((site, len(site.said_since(0))))
