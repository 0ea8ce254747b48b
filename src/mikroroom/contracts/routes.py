"""The REST routes, in the order in which they are told. A route is one entry."""

from mikroroom.contracts import administration, happenings
from mikroroom.contracts.endpoints import (
    CONTRACTS,
    HTML,
    JSON,
    MEETING,
    SAME,
    STATE,
    WEB,
    Answer,
    Endpoint,
    Parameter,
    refused,
    too_many,
)
from mikroroom.contracts.people import CREATOR_TOKEN, ICE_SERVERS, ROOM
from mikroroom.protocol.answers import CreatedRoom, Health, IceConfiguration, Index, Ready
from mikroroom.protocol.requests import CreateRoom

_WHERE = {
    "health": "/health",
    "ready": "/ready",
    "config": "/config",
    "rooms": "/api/rooms",
    "websocket": "/ws",
    "page": "/",
    "client": "/web/mikroroom.js",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "asyncapi": "/asyncapi.json",
}

_OPEN: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/api/rooms",
        "createRoom",
        "Make a room before anyone is in it",
        "Every field may be left out or null, and so may the whole body. The creator token makes its "
        "holder host, lets it past the waiting room, and protects it from being kicked. It is told once, "
        "and stored hashed.",
        (
            Answer(201, "The room is made.", CreatedRoom, {"roomId": ROOM, "creatorToken": CREATOR_TOKEN}),
            refused(400, "Not JSON, or a field of a wrong type or out of range.", "Invalid request body"),
            refused(403, "The page's origin is not allowed.", "This origin is not allowed"),
            refused(413, "The body is too large.", "Request body too large; at most 16384 bytes"),
            refused(
                429,
                "The code is in use, or there are too many rooms; or, with Retry-After, too many were made "
                "from this address in the last minute.",
                "Cannot create room. Limit reached or room ID already exists.",
                "Retry-After",
            ),
            refused(
                503,
                "Overloaded, or the rooms are out of reach.",
                "Too many passwords are being checked; try again in a moment",
                "Retry-After",
            ),
        ),
        MEETING,
        CreateRoom,
        {"roomId": ROOM, "password": "secret", "maxParticipants": 8},
    ),
    Endpoint(
        "GET",
        "/config",
        "getConfiguration",
        "ICE servers for RTCPeerConnection",
        "Where the server shares a secret with its TURN servers, user name and credential are made anew "
        "for each request, and hold for ttl seconds. Otherwise they are the configured ones, and there is "
        "no ttl.",
        (
            Answer(200, "The servers.", IceConfiguration, {"iceServers": ICE_SERVERS, "ttl": 86_400}),
            too_many(),
        ),
        MEETING,
    ),
    Endpoint(
        "GET",
        "/ws",
        "openSignaling",
        "The WebSocket of the meetings",
        "What is said on it is described by the AsyncAPI document. A request that asks for no WebSocket "
        "gets a 426.",
        (
            Answer(101, "The WebSocket is open."),
            refused(
                400,
                "A token in the query string, where logs would keep it.",
                "A token does not belong in a query string; send it as `token` in `join`",
            ),
            refused(403, "The page's origin is not allowed.", "This origin is not allowed"),
            refused(426, "Not a WebSocket handshake.", "This is a WebSocket endpoint", "Upgrade"),
            too_many("Too many connections from this address in the last minute."),
            refused(503, "The server is stopping.", "The server is stopping", "Retry-After"),
        ),
        MEETING,
    ),
    Endpoint(
        "GET",
        "/health",
        "getHealth",
        "That it works, and how much goes on",
        "",
        (
            Answer(
                200,
                "It works.",
                Health,
                {
                    "status": "ok",
                    "totalRooms": 5,
                    "totalParticipants": 12,
                    "peakParticipants": 24,
                    "uptime": 3_600_000,
                    "version": "0.1.0",
                },
            ),
        ),
        STATE,
    ),
    Endpoint(
        "GET",
        "/ready",
        "getReadiness",
        "Whether to send people here",
        "For a load balancer.",
        (
            Answer(200, "Yes.", Ready, {"status": "ready"}),
            refused(
                503,
                "The server is stopping, or what it shares with other workers is out of reach.",
                "The server is stopping",
                "Retry-After",
            ),
        ),
        STATE,
    ),
    Endpoint(
        "GET",
        "/metrics",
        "getMetrics",
        "What the server counts",
        "As text for Prometheus; the names begin with mikroroom_.",
        (
            Answer(200, "The metrics.", media=("text/plain",)),
            refused(401, "A token is asked for.", "The metrics need a token", "WWW-Authenticate"),
            too_many("Too many wrong tokens from this address in the last minute."),
            refused(
                501, "The server lacks what it takes to write them.", "The extra `metrics` is not installed"
            ),
        ),
        STATE,
        needs="a token if there is one",
    ),
    Endpoint(
        "GET",
        "/",
        "getIndex",
        "What this is, and where to go on",
        "Where text/html is asked for, the room page instead, unless the server has none.",
        (
            Answer(
                200,
                "Name, version and endpoints, or the page.",
                Index,
                {"name": "MikroRoom", "version": "0.1.0", "endpoints": _WHERE},
                (HTML,),
            ),
            Answer(304, "The page is still the one that the client has."),
            Answer(308, "The page, at the address with a slash at its end.", headers=("Location",)),
        ),
        WEB,
    ),
    Endpoint(
        "GET",
        "/web/{path}",
        "getFile",
        "A file of the room page, or of the JavaScript client",
        "/web/mikroroom.js, and what it imports from /web/client/. A browser asks each time whether the "
        "file is still the same (ETag, If-None-Match).",
        (
            Answer(
                200, "The file.", media=("text/javascript", "text/css", "image/svg+xml", "image/png", HTML)
            ),
            Answer(304, "The file is still the one that the client has."),
            refused(404, "There is no such file.", "Not Found"),
        ),
        WEB,
        parameters=(
            Parameter("path", "The file's path, slashes included.", {"type": "string"}, "mikroroom.js"),
        ),
    ),
    Endpoint(
        "GET",
        "/openapi.json",
        "getOpenApi",
        "This document: the REST routes",
        "OpenAPI 3.1.",
        (Answer(200, "The document.", media=(JSON,)), SAME),
        CONTRACTS,
    ),
    Endpoint(
        "GET",
        "/asyncapi.json",
        "getAsyncApi",
        "The messages of the WebSocket",
        "AsyncAPI 3.0.",
        (Answer(200, "The document.", media=(JSON,)), SAME),
        CONTRACTS,
    ),
    Endpoint(
        "GET",
        "/docs",
        "getDocs",
        "Both documents as a page to read",
        "",
        (Answer(200, "The page.", media=(HTML,)), SAME),
        CONTRACTS,
    ),
)

ROUTES = (*_OPEN, *administration.ROUTES, *happenings.ROUTES)
