"""The way between structs and JSON: one decoder and one encoder for the whole process.

Input is ``str``, never bytes: a string that came out of a UTF-8 decoder is valid text, so nothing kept
as raw JSON can carry invalid bytes to another client.
"""

from typing import get_args

import msgspec

from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.protocol.events import Event
from mikroroom.protocol.requests import CreateRoom, Request


class _Envelope(msgspec.Struct):
    """As much of a refused message as is needed to name it."""

    type: str | None = None


class InvalidMessage(Refusal):
    """Text that is no request. ``request_type`` is its type, if that much could be read and is known."""

    def __init__(self, message: str, request_type: str | None = None) -> None:
        super().__init__(ErrorCode.INVALID_MESSAGE, message)
        self.request_type = request_type


_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_envelope_decoder = msgspec.json.Decoder(_Envelope)
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_room_decoder = msgspec.json.Decoder(CreateRoom)
_encoder = msgspec.json.Encoder()

# Too deep a nesting and text outside Unicode are not msgspec's own errors.
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError)


def type_of(message: type) -> str:
    """The ``type`` on the wire of a message class."""
    tag = msgspec.inspect.type_info(message).tag  # type: ignore[attr-defined]  # only structs have tags
    return str(tag)


REQUESTS = {type_of(request): request for request in get_args(Request)}
EVENTS = {type_of(event): event for event in get_args(Event)}
TYPE_OF = {message: name for name, message in (*REQUESTS.items(), *EVENTS.items())}

# What is passed on to one participant, and the event it becomes (R14).
RELAYS = {request: EVENTS[name] for name, request in REQUESTS.items() if issubclass(request, requests.Relay)}


def decode_request(text: str) -> Request:
    """Read a client's message.

    Raises:
        InvalidMessage: it is no JSON, of no known type, or a field is missing or wrong. Says which, and
            what is allowed.
    """
    try:
        return _request_decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _invalid(text, str(error)) from None
    except _UNREADABLE as error:
        raise InvalidMessage(_explain(error)) from None


def decode_event(text: str) -> Event | None:
    """Read a server's message, or None where its type is one that this version does not know (additive).

    Raises:
        InvalidMessage: it is no JSON, or a field of a known type is missing or wrong.
    """
    try:
        return _event_decoder.decode(text)
    except msgspec.ValidationError as error:
        name = _type_in(text)
        if name is not None and name not in EVENTS:
            return None
        raise InvalidMessage(str(error), name) from None
    except _UNREADABLE as error:
        raise InvalidMessage(_explain(error)) from None


def decode_room(body: bytes) -> CreateRoom:
    """Read the body of ``POST /api/rooms``; an empty one asks for nothing in particular (R3).

    Raises:
        InvalidMessage: it is no JSON object, or a field is wrong.
    """
    try:
        return _room_decoder.decode(body.decode()) if body else CreateRoom()
    except _UNREADABLE as error:
        raise InvalidMessage(_explain(error)) from None


def encode(message: events.Message | requests.Message) -> bytes:
    """The message as JSON in UTF-8."""
    return _encoder.encode(message)


def to_event(request: requests.Relay, room_id: str, participant_id: str) -> events.Relay:
    """What the target of a relay hears: the same payload under the sender's true id (R14)."""
    *payload, timestamp = msgspec.structs.astuple(request)
    event: events.Relay = RELAYS[type(request)](room_id, participant_id, *payload, timestamp=timestamp)
    return event


def _invalid(text: str, problem: str) -> InvalidMessage:
    name = _type_in(text)
    if name is None:
        return InvalidMessage("A message must be a JSON object with a `type` that is a string")
    if name not in REQUESTS:
        known = ", ".join(REQUESTS)
        return InvalidMessage(f"Unknown message type {name[:64]!r}; known are: {known}")
    return InvalidMessage(problem, name)


def _type_in(text: str) -> str | None:
    try:
        return _envelope_decoder.decode(text).type
    except _UNREADABLE:
        return None


def _explain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    if isinstance(error, UnicodeError):
        return "Text is not valid Unicode"
    if isinstance(error, msgspec.ValidationError):
        return str(error)
    return f"Not valid JSON: {error}"
