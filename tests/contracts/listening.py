"""Holds what a server says to its own documents."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest
from starlette.routing import compile_path
from tests.conformance.frames import Frame, Op, Wire
from websockets.asyncio.client import ClientConnection

from mikroroom import Settings
from mikroroom.contracts.asked import refusals
from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.endpoints import Endpoint
from mikroroom.contracts.openapi import openapi
from mikroroom.contracts.routes import ROUTES
from mikroroom.contracts.schemas import name_of
from mikroroom.protocol.codec import EVENTS, REQUESTS

Schema = dict[str, Any]


class Breach(AssertionError):
    """The server said something that its documents do not have."""


def validator(name: str, schemas: Mapping[str, Schema]) -> Any:
    """The ``jsonschema`` validator of one of a document's schemas."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    return jsonschema.Draft202012Validator(whole)


def closed(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """These schemas without room for fields that they do not name."""
    return {
        name: {"additionalProperties": False, **schema} if "properties" in schema else schema
        for name, schema in schemas.items()
    }


def hold_to_contract(text: str) -> None:
    """A message as it came from a server of ours.

    Raises:
        Breach: it is of no known type, lacks a field, has one too many or a wrong one; or a request was
            refused with a code that the document does not name for it.
    """
    message = json.loads(text)
    told = _events().get(message["type"])
    if told is None:
        raise Breach(f"the AsyncAPI document has no message {message['type']!r}: {text[:500]}")
    for error in told.iter_errors(message):
        raise Breach(f"not as in the AsyncAPI document: {error.json_path}: {error.message}: {text[:500]}")
    request = REQUESTS.get(message.get("requestType", ""))
    if request is not None and message["code"] not in refusals(request):
        raise Breach(f"the AsyncAPI document does not refuse so: {text[:500]}")


def hold_answer_to_contract(response: httpx.Response) -> None:
    """An answer of a server of ours, wherever it is mounted, to a request that was right or wrong.

    Raises:
        Breach: the OpenAPI document has no such answer, or the answer has other fields.
    """
    method, path = response.request.method, response.request.url.path
    route = _route(method, path.removeprefix("/meet"))
    if route is None or response.status_code == 405:
        return
    answers = {answer.status: answer for answer in route.answers}
    if response.status_code not in answers:
        raise Breach(f"the OpenAPI document has no {response.status_code} of {method} {path}")
    body = answers[response.status_code].body
    if body is not None and response.headers["content-type"] == "application/json":
        for error in _answers(name_of(body)).iter_errors(response.json()):
            raise Breach(f"not as in the OpenAPI document: {error.json_path}: {error.message}")


def listen_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold to the documents whatever the people and wires of the conformance suite hear from now on.

    That suite knows nothing of it, nor of us: what it reads from is wrapped.
    """
    recv, next_frame, send = ClientConnection.recv, Wire.next, httpx.AsyncClient.send

    async def heard(connection: ClientConnection, decode: bool | None = None) -> Any:
        text = await recv(connection, decode)
        if isinstance(text, str):
            hold_to_contract(text)
        return text

    async def next_heard(wire: Wire) -> Frame:
        frame = await next_frame(wire)
        if frame.opcode == Op.TEXT:
            hold_to_contract(frame.payload.decode())
        return frame

    async def answered(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        response = await send(client, request, **options)
        if not options.get("stream"):
            hold_answer_to_contract(response)
        return response

    monkeypatch.setattr(ClientConnection, "recv", heard)
    monkeypatch.setattr(Wire, "next", next_heard)
    monkeypatch.setattr(httpx.AsyncClient, "send", answered)


def _route(method: str, path: str) -> Endpoint | None:
    """The route that a request is for."""
    return next(
        (route for route in ROUTES if route.method == method and compile_path(route.path)[0].fullmatch(path)),
        None,
    )


@cache
def _answers(name: str) -> Any:
    return validator(name, closed(openapi(Settings())["components"]["schemas"]))


@cache
def _events() -> dict[str, Any]:
    schemas = closed(asyncapi(Settings())["components"]["schemas"])
    return {kind: validator(name_of(event), schemas) for kind, event in EVENTS.items()}
