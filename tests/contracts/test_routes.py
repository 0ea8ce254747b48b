"""The table of routes is that of the app, and the app answers as the table says."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import schemathesis
from schemathesis import checks
from starlette.routing import Route
from tests.site_process import Site

from mikroroom import Settings, create_app
from mikroroom.contracts.routes import ROUTES

# Nobody here has more than one address.
SETTINGS = {
    "connections_per_minute": 0,
    "rooms_per_minute": 0,
    "configs_per_minute": 0,
    "max_latent_rooms": 1_000_000,
}

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.unsupported_method,
]


def asked_of(settings: Settings) -> set[tuple[str, str]]:
    """Method and path of each route of an app."""
    return {
        (method, route.path_format)
        for route in create_app(settings).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


def test_every_route_of_the_app_is_in_the_table_and_the_other_way_round() -> None:
    table = {(route.method, route.path) for route in ROUTES}
    assert asked_of(Settings()) == table, "say in contracts/routes.py what there is"


def test_every_route_has_a_name_of_its_own() -> None:
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that runs, and bounds nobody's rooms."""
    with Site(tmp_path_factory.mktemp("site"), **SETTINGS) as site:
        yield site
    assert "Traceback" not in site.said()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_server_answers_as_it_tells(route: object, site: Site) -> None:
    pass
