"""``/openapi.json``, ``/asyncapi.json`` and ``/docs``: what this app can be asked, and what is said in it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.endpoints import HTML, JSON, Endpoint
from mikroroom.contracts.openapi import openapi
from mikroroom.contracts.page import page, policy
from mikroroom.contracts.routes import ROUTES
from mikroroom.settings import Settings
from mikroroom.transport.web import ASK_ANEW, File, file_answer, pack

# A service stands below one prefix, seldom below a few; whoever made up more would only have them made anew.
MOST_PREFIXES = 8

_PLACES = {"docs": "/docs", "openapi": "/openapi.json", "asyncapi": "/asyncapi.json"}


class Contracts:
    """The documents of one app, of which only the ``routes`` that it has are told; each made on first use."""

    def __init__(self, settings: Settings, routes: Sequence[BaseRoute]) -> None:
        self._settings = settings
        self.routes = tuple(endpoint for endpoint in ROUTES if _has(routes, endpoint))
        self._files: dict[str, dict[str, File]] = {}

    def endpoints(self, root: str) -> dict[str, str]:
        """Where a service at ``root`` has them, for its index."""
        paths = {endpoint.path for endpoint in self.routes}
        return {name: root + path for name, path in _PLACES.items() if path in paths}

    def find(self, name: str, root: str) -> File:
        """The document of this name, for a service at ``root``."""
        if root not in self._files:
            if len(self._files) == MOST_PREFIXES:
                self._files.clear()
            self._files[root] = {}
        files = self._files[root]
        if name not in files:
            files[name] = self._made(name, root)
        return files[name]

    def _made(self, name: str, root: str) -> File:
        makers: Mapping[str, Callable[[], File]] = {
            "openapi": lambda: _json(openapi(self._settings, root, self.routes)),
            "asyncapi": lambda: _json(asyncapi(self._settings, root)),
            "docs": lambda: pack(f"{HTML}; charset=utf-8", self._page(root).encode()),
        }
        return makers[name]()

    def _page(self, root: str) -> str:
        return page(openapi(self._settings, root, self.routes), asyncapi(self._settings, root))


async def openapi_document(request: Request) -> Response:
    """``GET /openapi.json``."""
    return _answer(request, "openapi")


async def asyncapi_document(request: Request) -> Response:
    """``GET /asyncapi.json``."""
    return _answer(request, "asyncapi")


async def docs(request: Request) -> Response:
    """``GET /docs``: a page without scripts, which loads nothing."""
    return _answer(request, "docs", {"Content-Security-Policy": policy()})


CONTRACTS = (
    Route(_PLACES["openapi"], openapi_document),
    Route(_PLACES["asyncapi"], asyncapi_document),
    Route(_PLACES["docs"], docs),
)


def _answer(request: Request, name: str, headers: Mapping[str, str] | None = None) -> Response:
    contracts: Contracts = request.app.state.contracts
    file = contracts.find(name, request.scope.get("root_path", ""))
    return file_answer(
        request, file, {"Cache-Control": ASK_ANEW, "Vary": "Accept-Encoding", **(headers or {})}
    )


def _json(document: dict[str, Any]) -> File:
    return pack(JSON, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())


def _has(routes: Sequence[BaseRoute], endpoint: Endpoint) -> bool:
    return any(
        isinstance(route, Route)
        and route.path_format == endpoint.path
        and endpoint.method in (route.methods or ())
        for route in routes
    )
