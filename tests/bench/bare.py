"""The baseline: a picows listener that does the least this job needs. ``python -m tests.bench.bare PORT``

Who joins gets an id and hears who else is there; offers go to their target and chats to the room, stamped
with who says it and where. No limits, no roles, no checks beyond decoding, no errors told: whatever a real
server adds costs more than this. Pings every ``MIKROROOM_PING_INTERVAL`` seconds, or not at all.
"""

import argparse
import os
import time
import uuid
from typing import Any

import msgspec
import uvloop
from msgspec import Raw, Struct
from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

# What picows wants to be free before a message that it need not copy.
HEADROOM = 14


class Message(Struct, tag_field="type", rename="camel", gc=False):
    """The base of all messages."""


class Join(Message, tag="join"):
    """Into the room."""

    room_id: str
    name: str


class Offer(Message, tag="offer"):
    """To one person."""

    target_id: str
    sdp: Raw
    timestamp: int


class Chat(Message, tag="chat"):
    """To the room."""

    text: str


class Joined(Message, tag="participant-joined"):
    """Someone is in the room."""

    room_id: str
    participant_id: str
    name: str
    timestamp: int
    is_moderator: bool = False
    is_host: bool = False
    is_muted: bool = False
    is_video_off: bool = False
    is_hand_raised: bool = False
    is_connected: bool = True


class OfferFrom(Message, tag="offer"):
    """From one person."""

    room_id: str
    participant_id: str
    target_id: str
    sdp: Raw
    timestamp: int


class ChatFrom(Message, tag="chat"):
    """From someone in the room."""

    room_id: str
    participant_id: str
    text: str
    message_id: str
    timestamp: int


_decode = msgspec.json.Decoder(Join | Offer | Chat).decode
_encoder = msgspec.json.Encoder()
_encode = _encoder.encode
_rooms: dict[str, dict[str, "Person"]] = {}


class Person(WSListener):
    """A connection, from its handshake to its end."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.code = ""
        self.name = ""
        self.room: dict[str, Person] = {}
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the way to the client."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A message, or a wish to close."""
        if frame.msg_type != WSMsgType.TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        message = _decode(frame.get_payload_as_utf8_text())
        kind = type(message)
        if kind is Offer:
            self.offer(message)
        elif kind is Chat:
            self.chat(message)
        else:
            self.join(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Out of the room."""
        self.room.pop(self.id, None)
        if not self.room:
            _rooms.pop(self.code, None)

    def offer(self, offer: Offer) -> None:
        """To its target alone."""
        heard = OfferFrom(self.code, self.id, offer.target_id, offer.sdp, offer.timestamp)
        self.room[offer.target_id].transport.send(WSMsgType.TEXT, _encode(heard))

    def chat(self, chat: Chat) -> None:
        """To everyone in the room, encoded once."""
        now = time.time_ns() // 1_000_000
        frame = _encode(ChatFrom(self.code, self.id, chat.text, f"{now}-{self.id}", now))
        for person in self.room.values():
            person.transport.send(WSMsgType.TEXT, frame)

    def join(self, join: Join) -> None:
        """The newcomer hears of itself and all others, they hear of it."""
        self.code, self.name = join.room_id, join.name
        self.room = _rooms.setdefault(join.room_id, {})
        now = time.time_ns() // 1_000_000
        own = _encode(Joined(self.code, self.id, self.name, now))
        self.transport.send(WSMsgType.TEXT, own)
        for other in self.room.values():
            self.transport.send(WSMsgType.TEXT, _encode(Joined(self.code, other.id, other.name, now)))
            other.transport.send(WSMsgType.TEXT, own)
        self.room[self.id] = self


class SparingPerson(Person):
    """The same without copies: messages are encoded to where picows can put its header before them."""

    buffer = bytearray(HEADROOM)

    def offer(self, offer: Offer) -> None:
        """To its target alone."""
        heard = OfferFrom(self.code, self.id, offer.target_id, offer.sdp, offer.timestamp)
        _encoder.encode_into(heard, self.buffer, HEADROOM)
        self.room[offer.target_id].transport.send_reuse_external_bytearray(
            WSMsgType.TEXT, self.buffer, HEADROOM
        )

    def chat(self, chat: Chat) -> None:
        """To everyone in the room, encoded once."""
        now = time.time_ns() // 1_000_000
        heard = ChatFrom(self.code, self.id, chat.text, f"{now}-{self.id}", now)
        _encoder.encode_into(heard, self.buffer, HEADROOM)
        for person in self.room.values():
            person.transport.send_reuse_external_bytearray(WSMsgType.TEXT, self.buffer, HEADROOM)


async def serve(arguments: argparse.Namespace) -> None:
    """Until the process is ended."""
    person = Person if arguments.copy else SparingPerson
    pings: dict[str, Any] = {}
    if interval := os.environ.get("MIKROROOM_PING_INTERVAL"):
        pings = {
            "enable_auto_ping": True,
            # It waits for the answer as long as it is told, and only then for the next time.
            "auto_ping_idle_timeout": float(interval) / 2,
            "auto_ping_reply_timeout": float(interval) / 2,
            "auto_ping_strategy": WSAutoPingStrategy.PING_PERIODICALLY,
        }
    server = await ws_create_server(
        lambda _: person(),
        "127.0.0.1",
        arguments.port,
        use_aiofastnet=not arguments.uvloop,
        backlog=2048,
        **pings,
    )
    await server.serve_forever()


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--uvloop", action="store_true", help="its own transports, not aiofastnet's")
    parser.add_argument("--copy", action="store_true", help="encode first, then send")
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
