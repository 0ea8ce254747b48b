"""The way between structs and JSON: one decoder and one encoder for the whole process.

Input is ``str``, never bytes: a string that came out of a UTF-8 decoder is valid text, so nothing kept
as raw JSON can carry invalid bytes to another client.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Raw

from mikroroom.protocol import events, requests
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.protocol.events import Event
from mikroroom.protocol.requests import Request


class _Envelope(msgspec.Struct):
    """As much of a refused message as is needed to name it."""

    type: str | None = None


class InvalidMessage(Refusal):
    """Text that is no request. ``request_type`` is its type, if that much could be read and is known."""

    def __init__(self, message: str, request_type: str | None = None) -> None:
        super().__init__(ErrorCode.INVALID_MESSAGE, message)
        self.request_type = request_type


S = TypeVar("S", bound=msgspec.Struct)

# A message on its way out, and the room left before it, in which a connection may write the header of a
# WebSocket frame (RFC 6455, 5.2): so the bytes that were encoded are the bytes that are sent.
Frame = bytearray
HEADROOM = 14

_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_envelope_decoder = msgspec.json.Decoder(_Envelope)
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_chat_decoder = msgspec.json.Decoder(events.Chat)
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

# What is passed on to one participant, and the event it becomes: ``who`` says it, in ``room`` (R14).
RELAYS: Mapping[type, Callable[[Any, str, str], events.Relay]] = {
    requests.Offer: lambda r, room, who: events.Offer(room, who, r.target_id, r.sdp, timestamp=r.timestamp),
    requests.Answer: lambda r, room, who: events.Answer(room, who, r.target_id, r.sdp, timestamp=r.timestamp),
    requests.IceCandidate: lambda r, room, who: events.IceCandidate(
        room, who, r.target_id, r.candidate, timestamp=r.timestamp
    ),
    requests.FileOffer: lambda r, room, who: events.FileOffer(
        room, who, r.target_id, r.file_name, r.file_size, r.file_type, timestamp=r.timestamp
    ),
    requests.FileAnswer: lambda r, room, who: events.FileAnswer(
        room, who, r.target_id, r.accepted, timestamp=r.timestamp
    ),
    requests.FileChunk: lambda r, room, who: events.FileChunk(
        room, who, r.target_id, r.chunk, r.index, r.total, timestamp=r.timestamp
    ),
    requests.QualityChange: lambda r, room, who: events.QualityChange(
        room, who, r.target_id, r.quality, timestamp=r.timestamp
    ),
}


# The first bytes of all that is talk: the type comes first.
_TALK = tuple(
    f'{{"type":"{TYPE_OF[talk]}",'.encode()
    for talk in (events.Chat, events.MessageDeleted, *events.Relay.__subclasses__())
)

_CHAT = f'{{"type":"{TYPE_OF[events.Chat]}",'.encode()

# How an offer begins, up to the id of the one who offers, which ends with a quotation mark.
_OFFER = f'{{"type":"{TYPE_OF[events.Offer]}",'.encode()
_WHO = b'"participantId":"'

# Payloads that stay raw: where they are, how such JSON begins, and what to say of any other. (A
# ``__post_init__`` of each would take as long again as the decoding.)
_RAW: Mapping[type, tuple[Callable[[Any], Raw], bytes, str]] = {
    requests.Offer: (attrgetter("sdp"), b'"', "Expected `str` - at `$.sdp`"),
    requests.Answer: (attrgetter("sdp"), b'"', "Expected `str` - at `$.sdp`"),
    requests.FileChunk: (attrgetter("chunk"), b'"', "Expected `str` - at `$.chunk`"),
    requests.IceCandidate: (
        attrgetter("candidate"),
        b"{n",
        "Expected an object or null - at `$.candidate`",
    ),
}


def decode_request(text: str) -> Request:
    """Read a client's message.

    Raises:
        InvalidMessage: it is no JSON, of no known type, or a field is missing or wrong. Says which, and
            what is allowed.
    """
    try:
        request = _request_decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _invalid(text, str(error)) from None
    except _UNREADABLE as error:
        raise InvalidMessage(_explain(error)) from None
    raw = _RAW.get(type(request))
    if raw is not None:
        payload, beginnings, problem = raw
        if memoryview(payload(request))[0] not in beginnings:
            raise InvalidMessage(problem, TYPE_OF[type(request)])
    return request


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


def decode_body(body: bytes, kind: type[S]) -> S:
    """Read the body of an HTTP request; an empty one asks for nothing in particular (R3).

    Raises:
        InvalidMessage: it is no JSON object, or a field is wrong. Says which, and what is allowed.
    """
    try:
        return msgspec.json.decode(body.decode() or "{}", type=kind)
    except _UNREADABLE as error:
        raise InvalidMessage(_explain(error)) from None


def decode_query(query: Mapping[str, str], kind: type[S]) -> S:
    """Read the query of a URL. Raises as ``decode_body``."""
    try:
        return msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None


def frame(event: events.Message, into: Frame | None = None) -> Frame:
    """An event as what a connection sends: JSON in UTF-8 after ``HEADROOM`` bytes.

    Written over what is in ``into``, if that is given, which must have as many bytes.
    """
    if into is None:
        return bytearray(HEADROOM) + _encoder.encode(event)
    _encoder.encode_into(event, into, HEADROOM)
    return into


def stamped(event: events.Message, now: int) -> Frame:
    """Likewise, of an event that goes out now; a chat has a time already, by which it is named."""
    event.timestamp = event.timestamp or now
    return frame(event)


def to_frame(text: bytes | memoryview) -> Frame:
    """A message that is encoded already."""
    whole = bytearray(HEADROOM + len(text))
    whole[HEADROOM:] = text
    return whole


def numbered(frame: Frame, seq: int) -> Frame:
    """The same message with its number in what one participant hears (R40)."""
    return frame[:-1] + b',"seq":%d}' % seq


def unnumbered(frame: Frame | bytes) -> Frame:
    """A message without its number, whichever way it came there."""
    return bytearray(frame[: frame.rindex(b',"seq":')]) + b"}"


def is_talk(frame: Frame | bytes) -> bool:
    """Whether someone says this, or takes it back, and it changes nothing in the room: chat and relays."""
    return frame.startswith(_TALK, HEADROOM)


def read_message_id(frame: Frame | bytes) -> str | None:
    """Which message this is, if it is a chat."""
    if not frame.startswith(_CHAT, HEADROOM):
        return None
    return _chat_decoder.decode(memoryview(frame)[HEADROOM:]).message_id


def offerer_of(frame: Frame | bytes) -> str | None:
    """Who offers, if this is an offer."""
    if not frame.startswith(_OFFER, HEADROOM):
        return None
    begin = frame.index(_WHO, HEADROOM) + len(_WHO)
    return frame[begin : frame.index(b'"', begin)].decode()


def encode(message: events.Message | requests.Message) -> bytes:
    """The message as JSON in UTF-8."""
    return _encoder.encode(message)


def to_event(request: requests.Relay, room_id: str, participant_id: str) -> events.Relay:
    """What the target of a relay hears: the same payload under the sender's true id (R14)."""
    return RELAYS[type(request)](request, room_id, participant_id)


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
