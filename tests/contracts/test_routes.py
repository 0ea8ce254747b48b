"""The table of routes is that of the app, and the app answers as the table says."""

import contextlib
import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis import BaseSchema, CheckFunction, GenerationMode, checks
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from starlette.routing import Route
from tests.site_process import Site
from websockets.sync.client import connect

from mikroroom import Settings, create_app
from mikroroom.contracts.endpoints import Endpoint
from mikroroom.contracts.routes import ROUTES
from mikroroom.contracts.schemas import name_of

from .conftest import Document
from .listening import closed

load_all_checks()

TOKEN = "the-token-of-the-site"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
ROOM = "ABC234"

# Nobody here has more than one address.
SETTINGS = {
    "connections_per_minute": 0,
    "rooms_per_minute": 0,
    "configs_per_minute": 0,
    "guesses_per_minute": 0,
    "max_latent_rooms": 1_000_000,
    "admin_token": TOKEN,
}

# What there must be among the answers, so that a test has shown something.
DONE = {200, 201, 204, 426}
WRONG = {400}

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


@pytest.fixture(scope="module")
def document(site: Site) -> Document:
    """What that server tells of itself, as if no answer could have fields that it does not name."""
    told: Document = httpx.get(f"{site.url}/openapi.json").json()
    schemas = told["components"]["schemas"]
    bodies = {name_of(route.body) for route in ROUTES if route.body}
    schemas |= closed({name: schema for name, schema in schemas.items() if name not in bodies})
    return told


@pytest.fixture(scope="module")
def schema(site: Site, document: Document) -> BaseSchema:
    """The same, as what there is to ask."""
    return schema_of(document, site)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_server_answers_as_it_tells(route: Endpoint, schema: BaseSchema, site: Site) -> None:
    # No request of this kind opens a WebSocket, however right it is.
    wanted = [
        check for check in CHECKS if route.path != "/ws" or check is not checks.positive_data_acceptance
    ]
    with people(site) as places:
        ask(schema[route.path][route.method], GenerationMode.POSITIVE, wanted, places)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.name)
def test_a_server_refuses_what_it_does_not_tell(route: Endpoint, schema: BaseSchema, site: Site) -> None:
    with people(site) as places:
        ask(schema[route.path][route.method], GenerationMode.NEGATIVE, CHECKS, places)


def test_an_answer_that_is_not_as_told_is_found(site: Site, document: Document) -> None:
    wrong = copy.deepcopy(document)
    health = wrong["components"]["schemas"]["Health"]
    del health["properties"]["version"]
    health["required"].remove("version")
    with pytest.raises(FailureGroup, match="version"):
        ask(schema_of(wrong, site)["/health"]["GET"], GenerationMode.POSITIVE, CHECKS)


def schema_of(document: Document, site: Site) -> BaseSchema:
    """What there is to ask of a server, by a document."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=site.url)
    return schema


def is_written_as_meant(case: Any) -> bool:
    """Not 8.0 for 8: to JSON schemas that is a whole number, to the server it is none."""
    fields = case.body.values() if isinstance(case.body, dict) else ()
    return not any(isinstance(value, float) and value.is_integer() for value in fields)


@contextlib.contextmanager
def people(site: Site) -> Iterator[dict[str, str]]:
    """A room with people and an invite in it: by what stands before an id in a path, one that exists."""
    rooms = f"{site.url}/api/rooms"
    with httpx.Client(headers=HEADERS, timeout=20) as http, contextlib.ExitStack() as connections:
        http.delete(f"{rooms}/{ROOM}")
        http.post(rooms, json={"roomId": ROOM}).raise_for_status()

        def join(name: str) -> str:
            url = f"ws{site.url.removeprefix('http')}/ws"
            place = connect(url, proxy=None, max_queue=None)  # nobody reads all that it hears
            connection = connections.enter_context(place)
            connection.send(json.dumps({"type": "join", "roomId": ROOM, "name": name}))
            return str(json.loads(connection.recv())["participantId"])

        join("Ada")
        bob = join("Bob")
        http.patch(f"{rooms}/{ROOM}", json={"isLocked": True}).raise_for_status()
        invite = http.post(f"{rooms}/{ROOM}/invites").json()["id"]
        carol, mallory = join("Carol"), join("Mallory")
        banned = http.delete(f"{rooms}/{ROOM}/participants/{mallory}", params={"ban": 60})
        ban = banned.json()["ban"]["id"]
        yield {"participants": bob, "waiting": carol, "invites": invite, "bans": ban}


def ask(
    operation: Any, mode: GenerationMode, wanted: list[CheckFunction], places: dict[str, str] | None = None
) -> None:
    """Some dozen requests, the same ones each time, and what holds for every answer.

    Where a path has parts, the room is asked about, and what in it is in ``places``.
    """
    *_, thing = ["", *re.findall(r"/(\w+)/\{id\}", operation.path)]
    known = {"code": ROOM, "id": (places or {}).get(thing, "nobody")}

    @hypothesis.settings(
        max_examples=40,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),  # of a busy machine
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode).filter(is_written_as_meant))
    def answers(case: Any) -> None:
        for name in case.path_parameters.keys() & known.keys():
            case.path_parameters[name] = known[name]
        statuses.add(case.call_and_validate(checks=wanted, headers=HEADERS).status_code)

    statuses: set[int] = set()
    answers()
    assert statuses & (DONE if mode is GenerationMode.POSITIVE else WRONG), statuses
