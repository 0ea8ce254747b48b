"""The REST routes as an OpenAPI 3.1 document. https://spec.openapis.org/oas/v3.1.1.html"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from mikroroom import __version__
from mikroroom.contracts.endpoints import JSON, TOPICS, Answer, Endpoint, Parameter
from mikroroom.contracts.happenings import WEBHOOKS
from mikroroom.contracts.limits import ceilings, limits, told
from mikroroom.contracts.routes import ROUTES
from mikroroom.contracts.schemas import Schema, Schemas, name_of
from mikroroom.settings import Settings

ABOUT = (
    "Rooms for video meetings: a signaling server that brings browsers together. Media never passes it. "
    "What is said in a meeting goes over the WebSocket at /ws, which the AsyncAPI document describes "
    '(/asyncapi.json).\n\nEvery answer but pages, files and metrics is JSON, errors included: {"error": '
    '"what was wrong"}. A path that does not exist is a 404, another method a 405. OPTIONS is answered '
    "with 204 anywhere. Unknown fields are ignored, but in what is asked of the administration; "
    "a client should ignore them too, since later versions may add some."
)

BEARER = "bearer"
_SCHEMES = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "description": "A token from the server's settings, as Authorization: Bearer TOKEN.",
    }
}
_NEEDS: Mapping[str, list[dict[str, list[str]]]] = {
    "nothing": [],
    "a token": [{BEARER: []}],
    "a token if there is one": [{}, {BEARER: []}],
}

_HEADERS: Mapping[str, Schema] = {
    "Retry-After": {
        "description": "Seconds after which it is worth trying again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "Which kind of proof is asked for.", "schema": {"type": "string"}},
    "Upgrade": {"description": "What to ask for.", "schema": {"type": "string"}},
    "Location": {"description": "Where to go on.", "schema": {"type": "string"}},
}


def openapi(settings: Settings, root: str = "", routes: Iterable[Endpoint] = ROUTES) -> dict[str, Any]:
    """The document of a service below the path ``root``, with these of the routes."""
    schemas = Schemas(ceilings(settings))
    paths: dict[str, dict[str, Any]] = {}
    topics: set[str] = set()
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
        topics.add(route.topic)
    webhooks = {
        hook.path: {hook.method.lower(): _operation(hook, schemas, is_sent=True)} for hook in WEBHOOKS
    }
    topics |= {hook.topic for hook in WEBHOOKS}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "MikroRoom",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": root or "/"}],
        "tags": [{"name": topic, "description": about} for topic, about in TOPICS.items() if topic in topics],
        "paths": paths,
        "webhooks": webhooks,
        "components": {"schemas": schemas.components, "securitySchemes": _SCHEMES},
        "x-limits": [told(limit) for limit in limits(settings)],
    }


def _operation(route: Endpoint, schemas: Schemas, *, is_sent: bool = False) -> dict[str, Any]:
    """``is_sent`` is what the server asks of others."""
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.topic],
        "summary": route.title,
        "security": _NEEDS[route.needs],
    }
    if route.about:
        operation["description"] = route.about
    parameters = [_part(parameter) for parameter in route.parameters]
    if route.query is not None:
        parameters += _query(schemas.whole(route.query, is_sent=False))
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = _content(schemas.refer(route.body, is_sent=is_sent), route.example)
        is_needed = "required" in schemas.components[name_of(route.body)]
        operation["requestBody"] = {"required": is_needed, "content": {JSON: content}}
    operation["responses"] = {str(answer.status): _answer(answer, schemas) for answer in route.answers}
    return operation


def _part(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": True,
        "description": parameter.about,
        "schema": dict(parameter.schema),
        "example": parameter.example,
    }


def _query(whole: Schema) -> list[dict[str, Any]]:
    """The fields of a struct, one by one."""
    return [
        {
            "name": name,
            "in": "query",
            "required": name in whole.get("required", ()),
            "description": field.get("description", ""),
            "schema": {word: value for word, value in field.items() if word != "description"},
        }
        for name, field in whole["properties"].items()
    ]


def _answer(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.about or HTTPStatus(answer.status).phrase}
    if answer.headers:
        told["headers"] = {name: _HEADERS[name] for name in answer.headers}
    content: dict[str, Any] = {}
    if answer.body is not None:
        content[JSON] = _content(schemas.refer(answer.body, is_sent=True), answer.example)
    for media in answer.media:
        content[media] = {"schema": {"type": "object"} if media == JSON else {"type": "string"}}
    return {**told, "content": content} if content else told


def _content(schema: Schema, example: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"schema": schema} if example is None else {"schema": schema, "example": dict(example)}
