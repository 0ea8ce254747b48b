"""What there is to say of a route: its request, and every answer that it has."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from mikroroom.protocol.answers import Problem

JSON = "application/json"
HTML = "text/html"

# Words of several routes.
TOO_MANY = "Too many requests from this address in the last minute."

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Need = Literal["nothing", "a token", "a token if there is one"]


class Answer(NamedTuple):
    """One status: when, with which body (a struct) or which media types of another kind, which headers."""

    status: int
    about: str
    body: type | None = None
    example: Mapping[str, Any] | None = None
    media: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


class Parameter(NamedTuple):
    """A part of the path, or a header. ``schema`` is its JSON schema."""

    name: str
    about: str
    schema: Mapping[str, Any]
    example: str
    place: Literal["path", "header"] = "path"


class Endpoint(NamedTuple):
    """One method of one path. ``needs`` is what it asks for as ``Authorization: Bearer``.

    ``body`` and ``query`` are structs, or None where there is none.
    """

    method: Method
    path: str
    name: str
    title: str
    about: str
    answers: tuple[Answer, ...]
    topic: str
    body: type | None = None
    example: Mapping[str, Any] | None = None
    query: type | None = None
    parameters: tuple[Parameter, ...] = ()
    needs: Need = "nothing"


def refused(status: int, about: str, error: str, *headers: str) -> Answer:
    """An error in JSON; ``error`` is what it says, as an example."""
    return Answer(status, about, Problem, {"error": error}, headers=headers)


def too_many(about: str = TOO_MANY) -> Answer:
    """The 429 of a limit per address."""
    return refused(429, about, "Too many requests. Please try again later.", "Retry-After")


# What a client has already, and knows the tag of.
SAME = Answer(304, "It is still the one that the client has.")

MEETING, ADMINISTRATION, EVENTS, STATE, WEB, CONTRACTS = (
    "Meetings",
    "Administration",
    "Room events",
    "State of the server",
    "Web",
    "Contracts",
)

TOPICS: Mapping[str, str] = {
    MEETING: "Rooms, and what a browser needs to meet in one.",
    ADMINISTRATION: (
        "For a site that the meetings are a part of, and for whoever made a room. One token of the "
        "settings is the administrator's, of every room; the creator token of a room its creator's, of "
        "that room alone. Bodies and queries are read strictly: what is not known is refused. A client "
        "that sends no Authorization finds none of these routes (404), unless there is an administrator: "
        "then it gets 401."
    ),
    EVENTS: (
        "What happens in rooms, for the site around them: who came and went, when a meeting began and "
        "ended, what moderators did. They can be asked for, and each is sent to a URL of the site "
        "(webhook), signed as Standard Webhooks has it. New types, fields and actions may be added."
    ),
    STATE: "For load balancers, monitoring and people who look after the server.",
    WEB: "What browsers get.",
    CONTRACTS: "What this is, for machines and people.",
}
