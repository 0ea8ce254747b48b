"""Room events: the route that lists them, and the webhook by which each is sent to the site."""

from typing import Any

from mikroroom.contracts.administration import answers
from mikroroom.contracts.endpoints import EVENTS, Answer, Endpoint, Parameter
from mikroroom.contracts.people import ADA, NOW, ROOM
from mikroroom.core import chronicle
from mikroroom.protocol import administration as protocol

_ID = f"{NOW}-0"
_EVENT: dict[str, Any] = {
    "type": "participant.joined",
    "id": _ID,
    "timestamp": NOW,
    "roomId": ROOM,
    "participant": {"id": ADA, "name": "Ada", "subject": "user-7", "isHost": True, "isModerator": True},
}

_STRING = {"type": "string"}

ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/events",
        "listEvents",
        "The room events that are kept",
        "In order, for the administrator. Ask again with next as after until there are no more; then now "
        "and then for what is new.",
        answers(
            Answer(
                200,
                "Some events.",
                chronicle.RoomEvents,
                {"events": [_EVENT], "next": _ID, "isComplete": True},
            )
        ),
        EVENTS,
        query=protocol.ListEvents,
        needs="a token",
    ),
)

# What the server asks of the site, by name instead of a path.
WEBHOOKS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "roomEvent",
        "receiveRoomEvent",
        "A room event is sent to the site",
        "One at a time, in order, each until it is taken; one may come more than once, under the same "
        "webhook-id. Verify the signature over the bytes that came, and answer within 15 seconds.",
        (
            Answer(204, "Any 2xx: it is taken."),
            Answer(410, "Nothing is to be sent any more, until the server is restarted."),
            Answer(503, "Anything else: it is sent again, later and later, or when Retry-After says."),
        ),
        EVENTS,
        chronicle.RoomEvent,
        _EVENT,
        parameters=(
            Parameter(
                "webhook-id", "The event's id; the same when it is sent again.", _STRING, _ID, "header"
            ),
            Parameter(
                "webhook-timestamp",
                "When this attempt was made, in seconds since the epoch.",
                _STRING,
                str(NOW // 1_000),
                "header",
            ),
            Parameter(
                "webhook-signature",
                "v1, a comma, and the Base64 of HMAC-SHA256 over ID.TIMESTAMP.BODY; several with spaces "
                "between them while the secret is being changed.",
                _STRING,
                "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
                "header",
            ),
        ),
    ),
)
