"""The documents and their page, as they are served."""

import base64
import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest
from flit_core.common import Module  # type: ignore[import-untyped] # flit_core says nothing of its types
from starlette.applications import Starlette
from starlette.routing import Mount

from mikroroom.transport.contracts import MOST_PREFIXES

from .asgi import CORS_HEADERS, SECURITY_HEADERS, visit
from .conftest import AppWith

ROOT = Path(__file__).parents[2]
PLACES = ["/openapi.json", "/asyncapi.json", "/docs"]
DOCUMENTS = PLACES[:2]


@pytest.mark.parametrize("path", PLACES)
async def test_each_is_served_and_asked_about_anew(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        response = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    for name, value in {**CORS_HEADERS, **SECURITY_HEADERS}.items():
        assert response.headers.get_list(name) == [value]


@pytest.mark.parametrize("path", PLACES)
async def test_each_is_only_read(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        assert (await client.post(path)).status_code == 405
        assert (await client.get(path + "/")).status_code == 404


@pytest.mark.parametrize("path", PLACES)
async def test_each_comes_compressed_to_who_takes_that(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert "Content-Encoding" not in plain.headers
    assert packed.text == plain.text


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_a_document_is_json(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        response = await client.get(path)
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["info"]["version"]


async def test_the_index_tells_where_they_are(app_with: AppWith) -> None:
    async with visit(app_with(root_path="/meet")) as client:
        endpoints = (await client.get("/meet/")).json()["endpoints"]
    assert [endpoints[name] for name in ("openapi", "asyncapi", "docs")] == [
        "/meet" + path for path in PLACES
    ]


@pytest.mark.parametrize("path", PLACES)
async def test_without_contracts_there_are_none(app_with: AppWith, path: str) -> None:
    async with visit(app_with(contracts="off")) as client:
        assert (await client.get(path)).status_code == 404
        assert not {"openapi", "asyncapi", "docs"} & (await client.get("/")).json()["endpoints"].keys()


async def test_only_routes_that_the_app_has_are_told(app_with: AppWith) -> None:
    async with visit(app_with()) as client:
        assert "/metrics" in (await client.get("/openapi.json")).json()["paths"]
    for settings in ({"metrics": "off"}, {"metrics_port": 9100}):
        async with visit(app_with(**settings)) as client:
            assert "/metrics" not in (await client.get("/openapi.json")).json()["paths"]
            assert "/metrics" not in (await client.get("/docs")).text


async def test_the_ceiling_of_the_server_is_told(app_with: AppWith) -> None:
    async with visit(app_with(max_participants=20)) as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
        assert schemas["CreateRoom"]["properties"]["maxParticipants"]["maximum"] == 20
        schemas = (await client.get("/asyncapi.json")).json()["components"]["schemas"]
        assert schemas["JoinRequest"]["properties"]["maxParticipants"]["maximum"] == 20


# Prefixes


async def test_the_prefix_is_that_of_who_asks(app: Starlette) -> None:
    site = Starlette(routes=[Mount("/meet", app=app), Mount("/talk", app=app)])
    for prefix in ("/meet", "/talk", "/meet"):
        async with visit(site) as client:
            rest = (await client.get(f"{prefix}/openapi.json")).json()
            signaling = (await client.get(f"{prefix}/asyncapi.json")).json()
            page = (await client.get(f"{prefix}/docs")).text
        assert rest["servers"] == [{"url": prefix}]
        assert {server["pathname"] for server in signaling["servers"].values()} == {prefix}
        assert f"<code>{prefix}/api/rooms</code>" in page


async def test_at_the_root_there_is_no_prefix(app: Starlette) -> None:
    async with visit(app) as client:
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/"}]
        signaling = (await client.get("/asyncapi.json")).json()
    assert all("pathname" not in server for server in signaling["servers"].values())


async def test_made_up_prefixes_do_not_pile_up(app: Starlette) -> None:
    site = Starlette(routes=[Mount("/{room}", app=app)])
    async with visit(site) as client:
        for number in range(3 * MOST_PREFIXES):
            assert (await client.get(f"/{number}/openapi.json")).status_code == 200
    assert len(app.state.contracts._files) <= MOST_PREFIXES


async def test_a_prefix_cannot_break_out_of_the_page(app: Starlette) -> None:
    async with visit(app, root_path='/<b a="') as client:
        page = (await client.get("/docs")).text
    assert "/&lt;b a=&quot;/api/rooms" in page
    assert "<b a=" not in page


# The page


def test_its_style_is_in_the_wheel() -> None:
    names = {Path(path).name for path in Module("mikroroom", ROOT).iter_files()}
    assert "page.css" in names


@pytest.fixture
async def docs(app: Starlette) -> httpx.Response:
    """The page as it is answered."""
    async with visit(app) as client:
        return await client.get("/docs")


async def test_the_page_may_do_nothing_but_look_as_it_does(docs: httpx.Response) -> None:
    assert docs.headers["Content-Type"] == "text/html; charset=utf-8"
    (style,) = re.findall("<style>(.*?)</style>", docs.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert docs.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


async def test_the_page_has_no_script_and_loads_nothing(docs: httpx.Response) -> None:
    assert not re.search(r"<script|\bon\w+=|\bstyle=|@import|url\(|\bsrc=|javascript:", docs.text)
    assert set(re.findall(r'href="(?!#)([^"]*)"', docs.text)) == {"data:,", "openapi.json", "asyncapi.json"}


async def test_every_link_of_the_page_leads_somewhere(docs: httpx.Response) -> None:
    anchors = re.findall(r'\bid="([^"]*)"', docs.text)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]*)"', docs.text)) <= set(anchors)


async def test_everything_that_is_told_has_its_place_on_the_page(app: Starlette) -> None:
    async with visit(app) as client:
        rest = (await client.get("/openapi.json")).json()
        signaling = (await client.get("/asyncapi.json")).json()
        page = (await client.get("/docs")).text
    anchors = set(re.findall(r'\bid="([^"]*)"', page))
    operations = [each for methods in rest["paths"].values() for each in methods.values()]
    assert {operation["operationId"] for operation in operations} <= anchors
    assert signaling["components"]["messages"].keys() <= anchors
    assert {row["code"] for row in signaling["x-error-codes"]} <= anchors
    assert {f"close-{row['code']}" for row in signaling["x-close-codes"]} <= anchors
    shown = re.sub(r"<[^>]+>", "", page).replace("&quot;", '"')
    for message in signaling["components"]["messages"].values():
        for example in message["examples"]:
            assert json.dumps(example["payload"]["type"]) in shown
