"""An open WebSocket on picows: messages in, messages out, and the end of it (RFC 6455, 5 to 7).

picows reads and writes frames. What it leaves to its listener is done here: reserved bits, fragments, the
size of a message, UTF-8, close codes, floods, readers that do not read, and connections that will not end.
Knows nothing of HTTP or ASGI.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from mikroroom.core.ratelimit import Bucket
from mikroroom.protocol.codec import HEADROOM, Frame
from mikroroom.protocol.codes import CloseCode
from mikroroom.transport import wire
from mikroroom.transport.direct import Receiver
from mikroroom.transport.frames import (
    ABNORMAL,
    EMPTY_CLOSE,
    INVALID_TEXT,
    NO_CODE,
    PROTOCOL_ERROR,
    RESTARTING,
    SERVER_ERROR,
    Fragments,
    Violation,
    read_close,
    short,
    text_header,
)
from mikroroom.transport.heartbeat import Heartbeat
from mikroroom.transport.linger import linger

# How long a client may take to answer our close frame, and to take what was sent before its own.
CLOSE_PATIENCE = 10.0
FLUSH_PATIENCE = 2.0
PATIENCE_TIMES = 5
# Frames, and KiB in them, that are still read as such after our close frame.
MOST_IGNORED = 4_096

# Pings, pongs, and frames without any content. A client has reason to send one every few seconds. (All others
# are for whom they are for to count, or to hold back.)
IDLE_FRAMES, IDLE_FRAMES_PER_SECOND = 200, 20
# After so many frames of one client the others have their turn: less than a millisecond.
TURN = 256
# What waits for a reader beyond this is looked at more closely: asyncio's own high-water mark.
HIGH_WATER = 65_536
# Up to this length a message fits into a buffer that picows has anyway, even if each letter takes four bytes.
# (Over 8 KiB picows would let the transport look at this buffer later, when something else may be in it.)
SMALL = 250
# After a message of this size the read buffer is made small again when there is time for it.
LARGE_FRAME = 4 * wire.READ_BUFFER

# Compared by identity, as picows makes them.
TEXT: Final = WSMsgType.TEXT
BINARY: Final = WSMsgType.BINARY
CONTINUATION: Final = WSMsgType.CONTINUATION
PING: Final = WSMsgType.PING
PONG: Final = WSMsgType.PONG

OPEN, CLOSING, OVER = range(3)


class Channel(WSListener):
    """One client's open WebSocket. What is given to ``send`` goes out at once, or waits in the transport."""

    __slots__ = (
        "_credit",
        "_deadline",
        "_fragments",
        "_gone",
        "_has_looked_away",
        "_heartbeat",
        "_idle_frames",
        "_ignored",
        "_is_choked",
        "_is_held",
        "_is_swollen",
        "_loop",
        "_max_message",
        "_max_outbox",
        "_ping",
        "_receiver",
        "_relief",
        "_state",
        "_transport",
        "_writer",
        "ending",
        "witness",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        receiver: Receiver,
        heartbeat: Heartbeat,
        max_message: int,
        gone: Callable[["Channel"], None],
    ) -> None:
        """``max_message`` is in bytes; ``gone`` is called when the TCP connection is no more."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._receiver: Receiver | None = receiver
        self._heartbeat = heartbeat
        self._max_message = max_message
        self._max_outbox = 0
        self._gone = gone
        self._state = OPEN
        self._credit = TURN
        self._idle_frames = Bucket(IDLE_FRAMES, IDLE_FRAMES_PER_SECOND, time.monotonic())
        self._fragments: Fragments | None = None
        self._ignored = 0
        self._is_choked = False
        self._is_held = False
        self._has_looked_away = False
        self._is_swollen = False
        self._ping: bytes | None = None
        self._relief: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.ending: tuple[int, str] = (ABNORMAL, "")
        # Whoever wants to know of the end only.
        self.witness: Receiver | None = None
        self._connect()
        heartbeat.watch(self)

    def feed(self, data: bytes) -> None:
        """Input that came before there was a channel. It may be over after that."""
        wire.feed(cast("asyncio.BufferedProtocol", self._transport.get_protocol()), data)

    def hand_over(self, receiver: Receiver, max_outbox: int) -> None:
        """``receiver`` takes what comes from now on. ``max_outbox`` bytes may wait for the client."""
        if self._state == OVER:  # by what came early
            self._loop.call_soon(receiver.end)
            return
        self._receiver = receiver
        self._max_outbox = max_outbox
        self._transport.set_write_buffer_limits(min(HIGH_WATER, max_outbox))

    def send(self, frame: Frame) -> bool:
        """Send a text message, which begins after ``HEADROOM`` bytes; False if too much waits already.

        The bytes are not kept, and others may be sent the same ones. A single message is never too much.
        """
        if self._state:
            return True
        if self._is_choked and self._is_too_much(len(frame)):
            return False
        self._writer.send_reuse_external_bytearray(TEXT, frame, HEADROOM)
        return True

    def send_all(self, frames: Sequence[Frame]) -> bool:
        """Send several text messages in one piece, likewise."""
        if self._state:
            return True
        if self._writer.is_close_frame_sent:  # by picows: see ``_violated``
            return True
        whole = b"".join(
            part
            for frame in frames
            for part in (text_header(len(frame) - HEADROOM), memoryview(frame)[HEADROOM:])
        )
        if self._is_choked and self._is_too_much(len(whole)):
            return False
        self._transport.write(whole)
        return True

    def say(self, message: str | bytes) -> bool:
        """Send a message of an app that speaks ASGI; False, and not sent, if it has to wait or cannot be."""
        if self._state or self._is_choked:
            return False
        if len(message) < SMALL:
            self._writer.send(TEXT if isinstance(message, str) else BINARY, message)
        elif isinstance(message, str):
            self._writer.send_reuse_external_bytearray(TEXT, bytearray(HEADROOM) + message.encode(), HEADROOM)
        else:
            self._writer.send_reuse_external_bytearray(BINARY, bytearray(HEADROOM) + message, HEADROOM)
        return True

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size() if self._state != OVER else 0

    async def drain(self) -> None:
        """Wait until the client has taken most of what was sent, or the channel closes."""
        while self._is_choked and not self._state:
            if self._relief is None:
                self._relief = self._loop.create_future()
            await asyncio.shield(self._relief)

    @property
    def is_open(self) -> bool:
        """Whether what is sent may still arrive."""
        return self._state == OPEN

    @property
    def is_over(self) -> bool:
        """Whether nothing more goes either way."""
        return self._state == OVER

    @property
    def is_held(self) -> bool:
        """Whether input is held back by ``pause``."""
        return self._is_held

    @property
    def is_choked(self) -> bool:
        """Whether more than the transport likes waits for the client."""
        return self._is_choked

    def shutdown(self) -> None:
        """The server stops (uvicorn calls this)."""
        self.fail(RESTARTING, "")

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent before. A client that does not answer in time is cut off."""
        if self._state:
            return
        self._state = CLOSING
        self.ending = (code, reason)
        self._heartbeat.forget(self)
        self._send_close(code, reason)
        self._expect(CLOSE_PATIENCE)
        self._relieve()
        self.resume()

    def fail(self, code: int, reason: str) -> None:
        """End the connection without waiting for the client's consent (RFC 6455, 7.1.7)."""
        if self._state == OVER:
            return
        self._send_close(code, reason)
        self._end(code, reason)
        # Closed while input waits, TCP would reset the connection and could take the close frame with it.
        linger(self._transport, self._lost)
        self._expect(FLUSH_PATIENCE)

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def pause(self) -> None:
        """Take no more for the moment: TCP holds the client back."""
        self._is_held = self._has_looked_away = True
        self._pause_reading()

    def resume(self) -> None:
        """Go on."""
        self._is_held = False
        self._resume_reading()

    def ping(self, payload: bytes) -> None:
        """See ``heartbeat.Living``."""
        if not self._state:
            self._ping = payload
            self._has_looked_away = self._is_held
            self._writer.send_ping(payload)

    def give_up(self) -> None:
        """See ``heartbeat.Living``. Who does not read either would never take what waits for it."""
        if self._state:
            return
        if self._has_looked_away:  # the answer may have come, and stand behind what is not read yet
            self._heartbeat.watch(self)
            return
        self.fail(SERVER_ERROR, "keepalive ping timeout")
        if self._transport.get_write_buffer_size():
            self.abort()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame. What nearly all are is dealt with first: a whole message of text."""
        self._credit -= 1
        if self._credit < 0:
            self._yield_turn()
        if self._state:
            self._await_echo(frame)
        elif (
            frame.msg_type is TEXT
            and frame.fin
            and self._fragments is None
            and 0 < (size := frame.payload_size) <= self._max_message
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        ):
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                self.fail(INVALID_TEXT, "text must be UTF-8")
                return
            if size > LARGE_FRAME:
                self._is_swollen = True
            if self._receiver is not None:
                self._receiver.receive(text)
        else:
            self._take(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The TCP connection is no more."""
        self._lost()

    def pause_writing(self) -> None:
        """More waits for the client than the transport likes."""
        self._is_choked = True

    def resume_writing(self) -> None:
        """The client has read most of it."""
        self._is_choked = False
        self._relieve()

    def _connect(self) -> None:
        """Put a reader and a writer of frames on the transport."""
        reader, self._writer = wire.connect(
            self._transport, self, self._max_message, self._violated, self._ended
        )
        self._transport.set_protocol(reader)

    def _is_too_much(self, size: int) -> bool:
        """Whether so many bytes more would wait for a client that has left others waiting."""
        waiting = self._transport.get_write_buffer_size()
        return bool(waiting and self._max_outbox) and waiting + size > self._max_outbox

    def _take(self, frame: WSFrame) -> None:
        """Any other frame than the usual."""
        kind = frame.msg_type
        try:
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                raise Violation(PROTOCOL_ERROR, "reserved bits must be 0")
            if kind is PING:
                self._count_idle()
                self._answer_ping(frame.get_payload_as_bytes())
            elif kind is PONG:
                self._take_pong(frame)
            elif kind is TEXT or kind is BINARY or kind is CONTINUATION:
                self._gather(frame, kind)
            else:
                self._take_close(*read_close(frame.get_payload_as_bytes()))
        except Violation as violation:
            self.fail(violation.code, violation.reason)

    def _count_idle(self) -> None:
        if not self._idle_frames.take(time.monotonic()):
            raise Violation(CloseCode.TOO_MANY_REFUSED.value, "too many frames that say nothing")

    def _gather(self, frame: WSFrame, kind: WSMsgType) -> None:
        """A piece of a message, or a whole one that is binary, empty or too long."""
        if not frame.payload_size:
            self._count_idle()
        if kind is CONTINUATION:
            if self._fragments is None:
                raise Violation(PROTOCOL_ERROR, "a message was continued that had not begun")
        elif self._fragments is not None:
            raise Violation(PROTOCOL_ERROR, "a message began before the last one ended")
        else:
            self._fragments = Fragments(is_binary=kind is BINARY)
        self._fragments.add(frame.get_payload_as_memoryview(), self._max_message)
        self._is_swollen |= frame.payload_size > LARGE_FRAME
        if frame.fin:
            message, self._fragments = self._fragments.message(), None
            if self._receiver is None:
                return
            if isinstance(message, str):
                self._receiver.receive(message)
            else:
                self._receiver.receive_bytes(message)

    def _answer_ping(self, payload: bytes) -> None:
        if self._is_choked and self._transport.get_write_buffer_size() > 2 * HIGH_WATER:
            return  # the client reads nothing: it would not read this either
        self._writer.send_pong(payload)

    def _take_pong(self, frame: WSFrame) -> None:
        if self._ping is None or frame.get_payload_as_bytes() != self._ping:
            self._count_idle()
            return
        self._ping = None
        self._heartbeat.answered(self)
        if self._is_swollen and frame.last_in_buffer and not frame.tail_size:
            # Nothing of another frame has come: the moment to get rid of a large buffer, before more is read.
            self._is_swollen = False
            self._pause_reading()
            self._loop.call_soon(self._shrink)

    def _shrink(self) -> None:
        if self._state == OPEN and not self._transport.is_closing():
            self._connect()
        self._resume_reading()

    def _take_close(self, code: int, reason: str) -> None:
        """The client closes: it hears its own words, and that is all."""
        if code != NO_CODE:
            self._send_close(code, reason)
        elif not self._writer.is_close_frame_sent:
            self._transport.write(EMPTY_CLOSE)
        self._end(code, reason)
        self._transport.close()
        self._expect(FLUSH_PATIENCE)

    def _await_echo(self, frame: WSFrame) -> None:
        """After our close frame only the client's is of interest. Not much else can have been under way."""
        if self._state == OVER:
            return
        if frame.msg_type in {TEXT, BINARY, CONTINUATION, PING, PONG}:
            self._ignored += 1 + frame.payload_size // 1_024
            if self._ignored > MOST_IGNORED:
                self.fail(*self.ending)
            return
        self._end(*self.ending)
        self._transport.close()
        self._expect(FLUSH_PATIENCE)

    def _yield_turn(self) -> None:
        """A good many frames have come at once: let others have their turn."""
        self._credit = TURN
        if not self._is_held:
            self._pause_reading()
            self._loop.call_soon(self._resume_reading)

    def _pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._is_held and not self._transport.is_closing():
            self._transport.resume_reading()

    def _violated(self, code: int, reason: str) -> None:
        """Picows cannot read on. It still has the frame before to deliver, and then closes in its own way."""
        self._pause_reading()
        self._loop.call_soon(self.fail, code, reason)

    def _ended(self) -> None:
        """The client has shut its side, with a close frame before it or without: it is gone."""
        if self._state != OVER:
            self._end(*(self.ending if self._state == CLOSING else (ABNORMAL, "")))
            self._expect(FLUSH_PATIENCE)

    def _send_close(self, code: int, reason: str) -> None:
        self._writer.send_close(cast("WSCloseCode", int(code)), short(reason))

    def _end(self, code: int, reason: str) -> None:
        """Nothing more goes either way; whoever listens hears of it."""
        if self._state == OVER:
            return
        self._state = OVER
        self.ending = (code, reason)
        self._heartbeat.forget(self)
        self._fragments = None
        self._relieve()
        for listener in (self._receiver, self.witness):
            if listener is not None:
                self._loop.call_soon(listener.end)
        self._receiver = self.witness = None

    def _expect(self, patience: float, times: int = PATIENCE_TIMES) -> None:
        """Cut the connection off unless it has ended by then: who does not read could hold it for ever.

        Who has read some of what waited meanwhile is given as long again, so many ``times``.
        """
        if self._deadline is not None:
            self._deadline.cancel()
        waiting = self._transport.get_write_buffer_size()
        self._deadline = self._loop.call_later(patience, self._cut_off, patience, times, waiting)

    def _cut_off(self, patience: float, times: int, waited: int) -> None:
        if times and 0 < self._transport.get_write_buffer_size() < waited:
            self._expect(patience, times - 1)
        else:
            self.abort()

    def _lost(self) -> None:
        self._end(*(self.ending if self._state == CLOSING else (ABNORMAL, "")))
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        del self._writer  # it leads back to here: without it nothing waits for the garbage collector
        self._gone(self)

    def _relieve(self) -> None:
        if self._relief is not None and not self._relief.done():
            self._relief.set_result(None)
        self._relief = None
