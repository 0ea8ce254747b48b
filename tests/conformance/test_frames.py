"""The frames themselves (RFC 6455): what no client may send, and what every client may (R28, R32)."""

import asyncio
import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from .answers import HEADERS
from .conftest import StageWith
from .frames import Frame, Op, Wire, close, frame, text
from .people import Person
from .stage import Stage

LIMIT = 256 * 1024
CHAT = json.dumps({"type": "chat", "text": "héllo 😀"}, ensure_ascii=False).encode()


async def wired_meeting(stage: Stage) -> tuple[Wire, Person]:
    """A bare connection that is Ada's, and Bob, in one room; both have heard everything."""
    (bob,) = await stage.meeting("Bob")
    ada = await stage.upgraded()
    ada.says("join", roomId=bob.room, name="Ada")
    await ada.hears("participant-joined", name="Ada")
    await ada.hears("participant-joined", name="Bob")
    await bob.hears("participant-joined", name="Ada")
    return ada, bob


# What no client may send

VIOLATIONS = {
    "unmasked text": frame(Op.TEXT, CHAT, masked=False),
    "an unmasked ping": frame(Op.PING, b"x", masked=False),
    "an unmasked close": frame(Op.CLOSE, b"\x03\xe8", masked=False),
    **{f"reserved bits {bits:03b}": frame(Op.TEXT, CHAT, rsv=bits) for bits in range(1, 8)},
    "a reserved bit on a ping": frame(Op.PING, b"x", rsv=4),
    **{f"reserved opcode {opcode}": frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a ping too long": frame(Op.PING, b"x" * 126),
    "a pong too long": frame(Op.PONG, b"x" * 126),
    "a close too long": frame(Op.CLOSE, b"\x03\xe8" + b"x" * 124),
    "a ping in fragments": frame(Op.PING, b"x", fin=False),
    "a pong in fragments": frame(Op.PONG, b"x", fin=False),
    "a close in fragments": frame(Op.CLOSE, b"\x03\xe8", fin=False),
    "a stray continuation": frame(Op.CONTINUATION, CHAT),
    "a stray continuation to be continued": frame(Op.CONTINUATION, CHAT, fin=False),
    "text inside a fragmented message": frame(Op.TEXT, CHAT[:5], fin=False) + frame(Op.TEXT, CHAT[5:]),
    "a close of one byte": frame(Op.CLOSE, b"\x03"),
    **{
        f"close code {code}": close(code)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
async def test_violation_closes_its_sender_alone(stage: Stage, violation: bytes) -> None:
    """RFC 6455, sections 5 and 7.4: 1002; the room hears that one participant left, and nothing else."""
    ada, bob = await wired_meeting(stage)
    ada.send(violation)
    await ada.is_closed_with(1002)
    await bob.hears("participant-left")
    await bob.hears_nothing()


async def test_continuation_of_a_message_that_is_whole_is_a_violation(stage: Stage) -> None:
    """RFC 6455, section 5.4: what came before it is over, be it in one frame or in two."""
    for first in (
        frame(Op.TEXT, CHAT),
        frame(Op.TEXT, CHAT[:5], fin=False) + frame(Op.CONTINUATION, CHAT[5:]),
    ):
        ada, bob = await wired_meeting(stage)
        ada.send(first)
        await ada.hears("chat")
        await bob.hears("chat")
        ada.send(frame(Op.CONTINUATION, CHAT))
        await ada.is_closed_with(1002)
        await bob.hears("participant-left")
        await bob.hears_nothing()


NOT_UTF8 = {
    "a stray byte": b"\xff",
    "a lone continuation byte": b"\x80",
    "an overlong slash": b"\xc0\xaf",
    "an overlong zero": b"\xe0\x80\x80",
    "a surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "a character cut off": b"\xf0\x9f\x98",
    "UTF-16": "hi".encode("utf-16"),
}


@pytest.mark.parametrize("bad", NOT_UTF8.values(), ids=NOT_UTF8)
@pytest.mark.parametrize("place", ["chat", "sdp", "candidate", "unknown field"])
async def test_text_that_is_not_utf8_closes_its_sender_and_reaches_nobody(
    stage: Stage, place: str, bad: bytes
) -> None:
    """RFC 6455, section 8.1: 1007, wherever it is in the message."""
    ada, bob = await wired_meeting(stage)
    messages = {
        "chat": b'{"type":"chat","text":"%s"}' % bad,
        "sdp": b'{"type":"offer","targetId":"%s","sdp":"%s"}' % (bob.id.encode(), bad),
        "candidate": b'{"type":"ice-candidate","targetId":"%s","candidate":["%s"]}' % (bob.id.encode(), bad),
        "unknown field": b'{"type":"raise-hand","x":"%s"}' % bad,
    }
    ada.send(frame(Op.TEXT, messages[place]))
    await ada.is_closed_with(1007)
    await bob.hears("participant-left")
    await bob.hears_nothing()


async def test_text_that_is_not_utf8_in_fragments_closes_its_sender(stage: Stage) -> None:
    """RFC 6455, section 8.1: each fragment looks whole, the message is not."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT, b'{"type":"chat","text":"\xf0\x9f', fin=False))
    ada.send(frame(Op.CONTINUATION, b'x"}'))
    await ada.is_closed_with(1007)
    await bob.hears("participant-left")
    await bob.hears_nothing()


async def test_close_reason_that_is_not_utf8_is_a_violation(stage: Stage) -> None:
    """RFC 6455, section 5.5.1 leaves open which of the two it is."""
    ada, bob = await wired_meeting(stage)
    ada.send(close(1000, b"\xff\xfe"))
    await ada.is_closed_with(1002, 1007)
    await bob.hears("participant-left")


@pytest.mark.parametrize(
    "message",
    [
        frame(Op.BINARY, CHAT),
        frame(Op.BINARY),
        frame(Op.BINARY, b"\xff" * 1000),
        frame(Op.BINARY, CHAT[:5], fin=False) + frame(Op.CONTINUATION, CHAT[5:]),
    ],
    ids=["of JSON", "empty", "of rubbish", "in fragments"],
)
async def test_binary_message_closes_its_sender(stage: Stage, message: bytes) -> None:
    """R28: 1003."""
    ada, bob = await wired_meeting(stage)
    ada.send(message)
    await ada.is_closed_with(1003)
    await bob.hears("participant-left")
    await bob.hears_nothing()


# Size


async def test_message_over_the_limit_closes_its_sender(stage: Stage) -> None:
    """R32, R28: 1009 for one byte more than 256 KiB."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT, CHAT.ljust(LIMIT + 1)))
    await ada.is_closed_with(1009)
    await bob.hears("participant-left")
    await bob.hears_nothing()


async def test_message_at_the_limit_passes(stage: Stage) -> None:
    """R32: whole and in pieces."""
    ada, bob = await wired_meeting(stage)
    whole = CHAT.ljust(LIMIT)
    ada.send(frame(Op.TEXT, whole))
    await bob.hears("chat", text="héllo 😀")
    ada.send(frame(Op.TEXT, whole[:1000], fin=False))
    ada.send(frame(Op.CONTINUATION, whole[1000:]))
    await bob.hears("chat", text="héllo 😀")


async def test_message_over_the_limit_in_pieces_closes_its_sender(stage: Stage) -> None:
    """R32, R28: 1009; no single frame is too big, and the last never comes."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT, CHAT.ljust(LIMIT // 2), fin=False))
    ada.send(frame(Op.CONTINUATION, b" " * (LIMIT // 2), fin=False))
    ada.send(frame(Op.CONTINUATION, b" ", fin=False))
    await ada.is_closed_with(1009)
    await bob.hears("participant-left")
    await bob.hears_nothing()


@pytest.mark.parametrize("claimed", [LIMIT + 1, 2**32, 2**62])
async def test_message_that_claims_to_be_too_big_is_not_waited_for(stage: Stage, claimed: int) -> None:
    """R32, R28: 1009 for the claim alone, without allocating it."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT, b"{", length=claimed))
    await ada.is_closed_with(1009)
    await bob.hears("participant-left")


async def test_length_with_its_highest_bit_set_is_refused(stage: Stage) -> None:
    """RFC 6455, section 5.2: no such length exists; whether that is 1002 or 1009 is open."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT, b"{", length=2**63 + 10))
    await ada.is_closed_with(1002, 1009)
    await bob.hears("participant-left")


async def test_compressed_message_over_the_limit_is_refused(stage: Stage) -> None:
    """R32: what counts is the message, also where the server speaks permessage-deflate (it need not)."""
    eve = await stage.arrives("Eve", compression="deflate")
    with contextlib.suppress(ConnectionClosed):
        await eve.sends(" " * LIMIT * 40)
    await eve.is_closed_with(1009)


# What every client may send


async def test_ping_is_answered(stage: Stage) -> None:
    """RFC 6455, section 5.5.2: with the same payload, before joining as after."""
    eve = await stage.upgraded()
    ada, _ = await wired_meeting(stage)
    for wire in (eve, ada):
        for payload in (b"", b"x", bytes(range(125))):
            wire.send(frame(Op.PING, payload))
            assert await wire.next() == Frame(Op.PONG, payload)


async def test_unasked_pong_is_ignored(stage: Stage) -> None:
    """RFC 6455, section 5.5.3."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.PONG, b"nobody asked"))
    ada.send(frame(Op.TEXT, CHAT))
    await bob.hears("chat")
    await ada.hears("chat")


async def test_ping_inside_a_fragmented_message_is_answered_and_the_message_is_whole(stage: Stage) -> None:
    """RFC 6455, section 5.4."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT, CHAT[:7], fin=False))
    ada.send(frame(Op.PING, b"between"))
    assert await ada.next() == Frame(Op.PONG, b"between")
    ada.send(frame(Op.CONTINUATION, CHAT[7:]))
    await bob.hears("chat", text="héllo 😀")


async def test_message_in_any_fragments_is_whole(stage: Stage) -> None:
    """RFC 6455, section 5.4: cut inside a character, byte by byte, with empty fragments at every place."""
    ada, bob = await wired_meeting(stage)
    await bob.hears_nothing()
    ada.send(frame(Op.TEXT, fin=False))
    for byte in CHAT:
        ada.send(frame(Op.CONTINUATION, bytes([byte]), fin=False))
        ada.send(frame(Op.CONTINUATION, fin=False))
    ada.send(frame(Op.CONTINUATION))
    await bob.hears("chat", text="héllo 😀")


async def test_frames_in_one_piece_of_tcp_are_told_apart(stage: Stage) -> None:
    """Several messages in one segment, and one message in many."""
    ada, bob = await wired_meeting(stage)
    ada.send(b"".join(text(json.dumps({"type": "chat", "text": str(number)})) for number in range(20)))
    for number in range(20):
        await bob.hears("chat", text=str(number))
    for byte in frame(Op.TEXT, CHAT):
        ada.send(bytes([byte]))
    await bob.hears("chat", text="héllo 😀")


async def test_message_of_no_bytes_is_refused_as_a_message(stage: Stage) -> None:
    """R27: a proper frame; what it says is the protocol's business."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT))
    await ada.hears("error", code="INVALID_MESSAGE")
    await bob.hears_nothing()


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1009, 1011, 3000, 3999, 4000, 4999])
async def test_close_is_echoed(stage: Stage, code: int) -> None:
    """RFC 6455, section 5.5.1; the room hears that one participant left."""
    ada, bob = await wired_meeting(stage)
    ada.send(close(code, "tschüß".encode()))
    await ada.is_closed_with(code)
    await bob.hears("participant-left")
    await bob.hears_nothing()


async def test_close_without_a_code_is_answered(stage: Stage) -> None:
    """RFC 6455, section 5.5.1: with none, or with 1000."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.CLOSE))
    answer = await ada.next()
    assert answer.opcode == Op.CLOSE
    assert answer.payload[:2] in (b"", b"\x03\xe8")
    await ada.ends()
    await bob.hears("participant-left")


async def test_what_follows_a_close_is_not_heard(stage: Stage) -> None:
    """RFC 6455, section 5.5.1: nothing is said after it."""
    ada, bob = await wired_meeting(stage)
    ada.send(close(1000) + frame(Op.TEXT, CHAT))
    await bob.hears("participant-left")
    await bob.hears_nothing()


async def test_end_without_a_close_frame_is_a_departure(stage: Stage) -> None:
    """R34 and RFC 6455, section 7.1.5: the peer's FIN is enough, also in the middle of a frame."""
    ada, bob = await wired_meeting(stage)
    ada.send(frame(Op.TEXT, CHAT)[:5])
    ada.transport.close()
    await bob.hears("participant-left")
    await bob.hears_nothing()


# The opening handshake


@pytest.mark.parametrize(
    "wrong",
    [{"key": ""}, {"key": "c2hvcnQ="}, {"version": ""}, {"version": "12"}, {"method": "POST"}],
    ids=["no key", "a short key", "no version", "an old version", "POST"],
)
async def test_wrong_handshake_is_refused_as_http(stage: Stage, wrong: dict[str, str]) -> None:
    """RFC 6455, section 4.2.1: an HTTP error, whichever it is."""
    wire = await stage.wire()
    wire.upgrade(stage.site.path + "/ws", **wrong)
    status, _ = await wire.answer()
    assert 400 <= status < 500


@pytest.mark.parametrize("path", ["/", "/health", "/api/rooms", "/ws/x", "/ws/", "/nope"])
async def test_upgrade_of_another_path_is_an_http_error(stage: Stage, path: str) -> None:
    """The reference: the endpoint is /ws. R29: the refusal is JSON with the headers, like any other."""
    wire = await stage.wire()
    wire.upgrade(stage.site.path + path)
    status, headers = await wire.answer()
    assert 400 <= status < 500
    assert headers["content-type"].startswith("application/json")
    assert headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()


async def test_restart_is_told(stage_with: StageWith) -> None:
    """R28: 1012 to everyone, in a room or not."""
    stage = stage_with()
    ada, bob = await stage.meeting("Ada", "Bob")
    eve = await stage.arrives("Eve")
    assert stage.site.stop
    await asyncio.to_thread(stage.site.stop)
    for person in (ada, bob, eve):
        await person.hears_until_closed()
        assert person.connection.close_code == 1012


async def test_half_a_handshake_holds_nobody_up(stage: Stage) -> None:
    """Others connect and talk meanwhile."""
    wire = await stage.wire()
    wire.send(b"GET /ws HTTP/1.1\r\nHost: te")
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("chat", text="hi")
    await bob.hears("chat", text="hi")


async def test_compression_is_no_condition(stage: Stage) -> None:
    """A browser offers permessage-deflate; the server may take it or not."""
    (ada,) = await stage.meeting("Ada")
    bob = await stage.arrives("Bob", compression="deflate")
    await stage.enters(bob, [ada])
    await bob.says("chat", text="hi" * 1000)
    await ada.hears("chat", text="hi" * 1000)
