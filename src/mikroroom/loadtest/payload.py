"""What people say to each other, and the mark in it: who says it to whom, as which message, and when.

The mark is forty hexadecimal digits at a fixed place, so that reading it costs next to nothing; the rest of
a payload is always the same for its number, so that one which was altered on its way is noticed.
"""

import json
from typing import NamedTuple

from msgspec import Raw

from mikroroom.protocol import events, requests

MARK_LENGTH = 40
CHUNK_BYTES = 65_536

# A browser's session description (RFC 8866) after the mark: one audio and one video section.
_TRANSPORT = """\
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8g54
a=ice-options:trickle
a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43
a=setup:actpass
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=rtcp-mux
"""
_DESCRIPTION = f"""\
 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
{_TRANSPORT}a=mid:0
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6
a=ssrc:3570614608 msid:- 35429d94-5637-4686-9ecd-7d0622261ce8
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101 102 103 104 105 106
{_TRANSPORT}a=mid:1
"""
_CODEC = """\
a=rtpmap:{0} VP8/90000
a=rtcp-fb:{0} goog-remb
a=rtcp-fb:{0} nack pli
"""
_TALK = "Shall we start with the agenda, or wait for those who still have to find their headset?"


class Mark(NamedTuple):
    """``sender`` and ``target`` are numbers of visits (0: everyone), ``sent`` is nanoseconds of our clock."""

    sender: int
    target: int
    number: int
    sent: int


def _mark(sender: int, target: int, number: int, sent: int) -> bytes:
    return b"%08x%08x%08x%016x" % (sender, target, number, sent)


def _read(mark: bytes) -> Mark:
    whole = int(mark, 16)
    return Mark(whole >> 128, whole >> 96 & 0xFFFFFFFF, whole >> 64 & 0xFFFFFFFF, whole & 0xFFFFFFFFFFFFFFFF)


def _description(codecs: int) -> bytes:
    """What follows the mark, as it stands in JSON: the more codecs, the longer."""
    text = _DESCRIPTION + "".join(_CODEC.format(96 + number) for number in range(codecs))
    return json.dumps(text.replace("\n", "\r\n")).removeprefix('"').encode()


_SDP_START = b'"v=0\\r\\no='
_SDP_ENDS = (_description(4), _description(7), _description(11))
_ICE_START = b'{"usernameFragment":"'
_ICE_ENDS = tuple(
    b'","candidate":"candidate:%d 1 udp %d 192.0.2.%d %d typ host generation 0","sdpMid":"0"}'
    % (842163049 + n, 2122260223 - n, 1 + n, 46154 + n)
    for n in range(8)
)
_CHAT_ENDS = (f" {_TALK}".encode(),)
_CHUNK = Raw(b'"' + b"A" * CHUNK_BYTES + b'"')


def offer(target_id: str, sender: int, target: int, number: int, sent: int) -> requests.Offer:
    """A WebRTC offer of 1.8 to 2.5 kB."""
    return requests.Offer(target_id=target_id, sdp=_sdp(sender, target, number, sent))


def answer(target_id: str, sender: int, target: int, number: int, sent: int) -> requests.Answer:
    """A WebRTC answer of the same size."""
    return requests.Answer(target_id=target_id, sdp=_sdp(sender, target, number, sent))


def candidate(target_id: str, sender: int, target: int, number: int, sent: int) -> requests.IceCandidate:
    """An ICE candidate."""
    raw = _ICE_START + _mark(sender, target, number, sent) + _ICE_ENDS[number % len(_ICE_ENDS)]
    return requests.IceCandidate(target_id=target_id, candidate=Raw(raw))


def chat(sender: int, number: int, sent: int) -> requests.Chat:
    """A sentence for everyone."""
    return requests.Chat(text=f"{_mark(sender, 0, number, sent).decode()} {_TALK}")


def chunk(target_id: str, index: int) -> requests.FileChunk:
    """64 KiB of a file: what fills the pipe to somebody who does not read. It is not marked."""
    return requests.FileChunk(target_id=target_id, chunk=_CHUNK, index=index, total=index + 1)


def read(event: events.Offer | events.Answer | events.IceCandidate | events.Chat) -> Mark | None:
    """The mark in what came, or None if a byte of the payload is not as it was sent."""
    if isinstance(event, events.Chat):
        return _unmarked(event.text.encode(), b"", _CHAT_ENDS)
    if isinstance(event, events.IceCandidate):
        return _unmarked(bytes(event.candidate), _ICE_START, _ICE_ENDS)
    return _unmarked(bytes(event.sdp), _SDP_START, _SDP_ENDS)


def _sdp(sender: int, target: int, number: int, sent: int) -> Raw:
    return Raw(_SDP_START + _mark(sender, target, number, sent) + _SDP_ENDS[number % len(_SDP_ENDS)])


def _unmarked(text: bytes, start: bytes, ends: tuple[bytes, ...]) -> Mark | None:
    at = len(start)
    try:
        mark = _read(text[at : at + MARK_LENGTH])
    except ValueError:
        return None
    if text[:at] != start or text[at + MARK_LENGTH :] != ends[mark.number % len(ends)]:
        return None
    return mark
