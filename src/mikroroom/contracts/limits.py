"""The limits that a client meets, with the values of one server's settings."""

from typing import Any, NamedTuple

from mikroroom.settings import Settings


class Limit(NamedTuple):
    """One limit: what it bounds, its value and unit, and what happens over it. No ``value`` is no limit."""

    what: str
    value: float | None
    unit: str
    over: str


def limits(settings: Settings) -> list[Limit]:
    """All of them, as this server keeps them."""
    s = settings
    return [
        Limit(
            "WebSocket connections from one address",
            s.connections_per_minute or None,
            "a minute",
            "the handshake is answered with 429",
        ),
        Limit(
            "rooms made from one address, by either way",
            s.rooms_per_minute or None,
            "a minute",
            "429, or RATE_LIMITED",
        ),
        Limit("requests for /config from one address", s.configs_per_minute or None, "a minute", "429"),
        Limit(
            "wrong passwords, codes and tokens from one address",
            s.guesses_per_minute or None,
            "a minute",
            "every join is RATE_LIMITED",
        ),
        Limit(
            "messages of one connection, sustained", s.messages_per_second or None, "a second", "RATE_LIMITED"
        ),
        Limit("messages of one connection at once", s.message_burst, "messages", "RATE_LIMITED"),
        Limit(
            "refused messages of one connection",
            s.refused_messages or None,
            "in 10 seconds",
            "closed with 4003",
        ),
        Limit("one message", s.max_message_bytes, "bytes", "closed with 1009"),
        Limit("the body of a request", s.max_body_bytes, "bytes", "413"),
        Limit("what waits for a client that does not read", s.max_outbox_bytes, "bytes", "closed with 4001"),
        Limit("time to join after connecting", s.join_timeout, "seconds", "closed with 4002"),
        Limit("time to come back after a lost connection", s.resume_window, "seconds", "RESUME_FAILED"),
        Limit("messages kept for who may come back", s.resume_messages, "messages", "replayed is false"),
        Limit("bytes kept for who may come back", s.resume_bytes, "bytes", "replayed is false"),
        Limit("chat that a room keeps", s.chat_history, "messages", "the oldest are forgotten"),
        Limit("between two pings", s.ping_interval, "seconds", ""),
        Limit("time to answer a ping", s.ping_timeout, "seconds", "closed with 1011"),
        Limit("seats of a room", s.max_participants, "people", "INVALID_MESSAGE, or 400"),
        Limit("people in one waiting room", s.max_waiting, "people", "WAITING_ROOM_FULL"),
    ]


def ceilings(settings: Settings) -> dict[str, int]:
    """The most that a field of a request may be, where this server's settings say so."""
    return {"maxParticipants": settings.max_participants}


def told(limit: Limit) -> dict[str, Any]:
    """A limit as it stands in a document."""
    value = limit.value
    number = int(value) if value is not None and value == int(value) else value
    return {"what": limit.what, "value": number, "unit": limit.unit, "over": limit.over}
