"""What is said over the WebSocket, as an AsyncAPI 3.0 document. https://www.asyncapi.com/docs/reference/specification/v3.0.0

The document is the server's: it *receives* what a client sends.
"""

from collections.abc import Iterable
from typing import Any

from mikroroom import __version__
from mikroroom.contracts.asked import asked, refusals, sender
from mikroroom.contracts.codes import close_codes, error_codes, may_reconnect
from mikroroom.contracts.limits import ceilings, limits, told
from mikroroom.contracts.schemas import Schemas, name_of
from mikroroom.contracts.told import told as said
from mikroroom.protocol.codec import EVENTS, REQUESTS
from mikroroom.settings import Settings

ABOUT = (
    "What a client and the server say to each other over the WebSocket at /ws. Text messages, each one "
    "JSON object with a type. Offers, answers and ICE candidates are passed on unread; media never passes "
    "the server.\n\nUnknown fields are ignored, and never passed on; a client ignores fields and types "
    "that it does not know. Optional fields of what a client sends may be null. roomId (outside join) and "
    "participantId in what a client sends are not read: the server knows who speaks, and where.\n\nThe "
    "handshake is refused with HTTP 403 for an origin that is not allowed, with 400 for a token in the "
    "query string, with 429 and Retry-After for an address with too many connections in the last minute, "
    "and with 503 and Retry-After by a server that is stopping."
)

CHANNEL = "signaling"


def asyncapi(settings: Settings, root: str = "") -> dict[str, Any]:
    """The document of a service below the path ``root``."""
    schemas = Schemas(ceilings(settings))
    messages = {**_requests(schemas), **_events(schemas)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "MikroRoom signaling",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {scheme: _server(scheme, root) for scheme in ("wss", "ws")},
        "channels": {
            CHANNEL: {
                "address": "/ws",
                "title": "Signaling",
                "description": "One WebSocket of one client. Joining makes it a participant of one room.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {**_receptions(), **_sendings()},
        "components": {"messages": messages, "schemas": schemas.components},
        "x-error-codes": [{"code": code, "when": when} for code, when in error_codes().items()],
        "x-close-codes": [
            {"code": code, "why": why, "mayReconnect": may_reconnect(code)}
            for code, why in close_codes().items()
        ],
        "x-limits": [told(limit) for limit in limits(settings)],
    }


def _server(scheme: str, root: str) -> dict[str, Any]:
    place = {"pathname": root} if root else {}
    host = {"default": "localhost:3000", "description": "Where the service is: a host, perhaps with a port."}
    words = "Over TLS, as browsers ask for." if scheme == "wss" else "Plain, on one's own machine."
    return {"host": "{host}", **place, "protocol": scheme, "description": words, "variables": {"host": host}}


def _requests(schemas: Schemas) -> dict[str, Any]:
    return {
        name_of(request): {
            "name": kind,
            "title": kind,
            "summary": asked(request).about,
            "payload": schemas.refer(request, is_sent=False),
            "examples": _examples(asked(request).examples),
        }
        for kind, request in REQUESTS.items()
    }


def _events(schemas: Schemas) -> dict[str, Any]:
    return {
        name_of(event): {
            "name": kind,
            "title": kind,
            "summary": said(event).about,
            "payload": schemas.refer(event, is_sent=True),
            "examples": _examples(said(event).examples),
        }
        for kind, event in EVENTS.items()
    }


def _examples(examples: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"payload": example} for example in examples]


def _receptions() -> dict[str, Any]:
    return {
        f"receive{name_of(request)}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{CHANNEL}"},
            "summary": asked(request).about,
            "description": asked(request).follows,
            "messages": [_in_channel(request)],
            "reply": {
                "channel": {"$ref": f"#/channels/{CHANNEL}"},
                "messages": [_in_channel(event) for event in (*asked(request).answers, EVENTS["error"])],
            },
            "x-sender": sender(request),
            "x-errors": [code.value for code in refusals(request)],
        }
        for request in REQUESTS.values()
    }


def _sendings() -> dict[str, Any]:
    return {
        f"send{name_of(event)}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{CHANNEL}"},
            "summary": said(event).about,
            "messages": [_in_channel(event)],
            "x-receivers": said(event).hearers,
        }
        for event in EVENTS.values()
    }


def _in_channel(message: type) -> dict[str, str]:
    return {"$ref": f"#/channels/{CHANNEL}/messages/{name_of(message)}"}
