"""Webhooks, sent to a receiver that is a real server: good, bad, slow, gone and lying."""

import asyncio
import gc
import logging
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from shutil import which
from typing import Any, Self

import msgspec
import pytest
from tests.core.outsider import Outsider
from tests.receiver import OK, SECRET, Receiver, status

from mikroroom.clock import wall_ms
from mikroroom.core.chronicle import Person, RoomEvent
from mikroroom.core.effects import Happened
from mikroroom.hub import courier
from mikroroom.hub.courier import Courier
from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.settings import Settings
from mikroroom.stores.chronicle import MemoryChronicle, retention_of

PATIENCE = 60.0
Start = Callable[..., Awaitable[Courier]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Seconds are hundredths."""
    monkeypatch.setattr(courier, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(courier, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(courier, "TEND_EVERY", 0.01)
    monkeypatch.setattr(courier, "LOOK_EVERY", 0.01)
    caplog.set_level(logging.INFO, "mikroroom")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """It listens."""
    async with Receiver() as receiver:
        yield receiver


class Sender:
    """A courier with its chronicle at hand."""

    def __init__(self, receiver: Receiver, **settings: Any) -> None:
        chosen = Settings(**{"webhook_url": receiver.url, "webhook_secret": SECRET, **settings})
        self.chronicle = MemoryChronicle(retention_of(chosen), wall_ms)
        self.meters = Meters()
        self.courier = Courier(chosen, self.chronicle, self.meters, Random(7))

    async def __aenter__(self) -> Self:
        self.courier.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.courier.stop()

    def happens(self, kind: str, who: str = "", room: str = "ROOM23", **fields: Any) -> None:
        """Something happens in a room."""
        person = Person(who, who.capitalize(), f"user-{who}") if who else None
        if kind.endswith("left"):
            fields["reason"] = "left"
        event = RoomEvent(type=kind, room_id=room, participant=person, **fields)  # type: ignore[arg-type]
        self.chronicle.note([Happened(event)])
        self.courier.tell(event)

    def visit(self, number: int) -> None:
        """Someone comes and goes."""
        self.happens("participant.joined", f"p{number}")
        self.happens("participant.left", f"p{number}")

    async def owes(self, count: int) -> None:
        """Wait until so many are owed."""
        async with asyncio.timeout(PATIENCE):
            while (await self.chronicle.owed(1)).total != count:
                await asyncio.sleep(0.002)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.msg.event for record in caplog.records if isinstance(record.msg, Line)]


async def test_event_is_sent_signed_and_whole(receiver: Receiver) -> None:
    async with Sender(receiver) as sender:
        sender.happens("participant.joined", "ada")
        [event] = await receiver.took(1)
        await sender.owes(0)
    [delivery] = receiver.deliveries
    assert event == {
        "id": delivery.headers["webhook-id"],
        "type": "participant.joined",
        "timestamp": int(event["id"].partition("-")[0]),
        "roomId": "ROOM23",
        "participant": {
            "id": "ada",
            "name": "Ada",
            "subject": "user-ada",
            "isHost": False,
            "isModerator": False,
        },
    }
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["user-agent"].startswith("MikroRoom/")
    assert sender.meters.webhooks_delivered == 1


async def test_events_are_sent_one_at_a_time_in_order(receiver: Receiver) -> None:
    async with Sender(receiver) as sender:
        for number in range(150):
            sender.visit(number)
        events = await receiver.took(300)
    assert [event["participant"]["id"] for event in events[::2]] == [f"p{number}" for number in range(150)]
    assert len(receiver.deliveries) == 300


NOT_TAKEN = {
    "500": status(500),
    "404": status(404),
    "redirect": status(302, "Location: http://127.0.0.1:1/"),
    "garbage": b"\x00\xff garbage\r\n\r\n",
    "cut": b"HTTP/1.1 20",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("answer", NOT_TAKEN.values(), ids=NOT_TAKEN)
async def test_event_that_is_not_taken_is_sent_again_and_others_wait(
    receiver: Receiver, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.hangs.set()
    receiver.moods = [lambda _: answer] * 3
    async with Sender(receiver) as sender:
        sender.visit(1)
        await receiver.took(2)
        await sender.owes(0)
    kinds = [delivery.event["type"] for delivery in receiver.deliveries]
    assert kinds == ["participant.joined"] * 4 + ["participant.left"]
    assert len({delivery.headers["webhook-id"] for delivery in receiver.deliveries}) == 2
    assert lines(caplog) == ["webhook-failing", "webhook-recovered"]
    assert sender.meters.webhook_failures == 3


async def test_receiver_that_hangs_is_given_up_for_now(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who says nothing, and who does not finish."""

    def hang(answer: bytes) -> bytes:
        if not receiver.moods:
            # What follows has time enough, however slow the machine is.
            monkeypatch.setattr(courier, "PATIENCE", PATIENCE)
        return answer

    async with Sender(receiver) as sender:
        sender.visit(1)
        await receiver.took(2)
        monkeypatch.setattr(courier, "PATIENCE", 0.05)
        receiver.moods = [lambda _: hang(b""), lambda _: hang(b"HTTP/1.1 20")]
        sender.visit(2)
        await receiver.took(4)


async def test_answer_that_never_ends_is_read_no_further(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken: the status says so, and the rest is of no interest."""
    monkeypatch.setattr(courier, "ANSWER_PATIENCE", 0.05)
    slow = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    receiver.moods = [lambda _: slow + b"x" * 100_000, lambda _: slow]
    async with Sender(receiver) as sender:
        sender.visit(1)
        await receiver.took(2)
        await sender.owes(0)
    assert len(receiver.deliveries) == 2


async def test_receiver_that_takes_and_hangs_up_is_told_again_under_the_same_id(receiver: Receiver) -> None:
    receiver.moods = [lambda _: None]
    async with Sender(receiver) as sender:
        sender.visit(1)
        await receiver.took(2)
    first, again, other = receiver.deliveries
    assert first.headers["webhook-id"] == again.headers["webhook-id"] != other.headers["webhook-id"]
    assert first.body == again.body


async def test_receiver_that_is_down_is_told_when_it_is_back(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    await receiver.shuts()
    async with Sender(receiver) as sender:
        for number in range(3):
            sender.visit(number)
        async with asyncio.timeout(PATIENCE):
            while sender.meters.webhook_failures < 3 or sender.meters.webhooks_waiting < 6:
                await asyncio.sleep(0.002)
        assert sender.meters.webhooks_age > 0
        await receiver.opens()
        events = await receiver.took(6)
        await receiver.shuts()
        sender.visit(3)
        await receiver.opens()
        await receiver.took(8)
    assert [event["type"] for event in events] == ["participant.joined", "participant.left"] * 3
    assert lines(caplog)[:2] == ["webhook-failing", "webhook-recovered"]


async def test_receiver_that_wants_no_more_is_left_alone_until_a_restart(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.moods = [lambda _: status(410)]
    sender = Sender(receiver)
    async with sender:
        sender.visit(1)
        await receiver.came(1)
        async with asyncio.timeout(PATIENCE):
            while "webhook-gone" not in lines(caplog):
                await asyncio.sleep(0.002)
        sender.visit(2)
    assert len(receiver.deliveries) == 1
    async with sender:
        await receiver.took(4)
    assert lines(caplog) == ["webhook-gone"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("99999", 300.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1.0),
        ("soon", None),
        ("", None),
    ],
)
def test_receiver_that_says_when_is_believed_within_bounds(
    receiver: Receiver, header: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(courier, "LONGEST_PAUSE", 300.0)
    wanted = courier._seconds(header, int(wall_ms() / 1_000))
    one = Sender(receiver).courier
    one._failures = 3
    pause = one._pause(courier._NotTaken("status 503", wanted))
    assert pause == seconds if seconds is not None else 3.0 <= pause <= 4.0


def test_pauses_grow_up_to_five_minutes_and_differ(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(courier, "LONGEST_PAUSE", 300.0)
    one = Sender(receiver).courier
    pauses = []
    for failures in range(1, 2_000):
        one._failures = failures
        pauses.append(one._pause(OSError()))
    assert 0.75 <= pauses[0] <= 1 and 1.5 <= pauses[1] <= 2 and 225 <= min(pauses[10:]) < max(pauses) <= 300


async def test_of_too_many_what_is_over_is_dropped_and_said_once(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    await receiver.shuts()
    async with Sender(receiver, webhook_backlog=100) as sender:
        sender.happens("room.started")
        sender.happens("participant.joined", "ada")
        for number in range(200):
            sender.visit(number)
        async with asyncio.timeout(PATIENCE):
            while (await sender.chronicle.owed(1)).total > 100:
                await asyncio.sleep(0.002)
        for number in range(200, 300):
            sender.visit(number)
        async with asyncio.timeout(PATIENCE):
            while (await sender.chronicle.owed(1)).total > 100:
                await asyncio.sleep(0.002)
        sender.happens("participant.left", "ada")
        sender.happens("room.ended")
        await receiver.opens()
        await sender.owes(0)
    outsider = Outsider()
    outsider.hears_all(of_json(event) for event in receiver.events())
    assert outsider.rooms == {}
    assert len(receiver.events()) == 92, "nine tenths, and the last two"
    assert lines(caplog).count("webhook-overfull") == 1
    assert receiver.events()[-3]["participant"]["id"] == "p299", "the oldest went first"
    assert sender.meters.webhooks_dropped == 602 + 2 - len(receiver.events())


async def test_of_too_many_of_which_none_is_over_not_all_are_looked_at_again_and_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await receiver.shuts()
    looks = []
    async with Sender(receiver, webhook_backlog=100) as sender:

        async def all_owed() -> list[RoomEvent]:
            looks.append((await sender.chronicle.owed(1)).total)
            return (await sender.chronicle.owed(1_000)).events

        monkeypatch.setattr(sender.chronicle, "all_owed", all_owed)
        for number in range(130):
            sender.happens("participant.joined", f"p{number}")
            async with asyncio.timeout(PATIENCE):
                while sender.meters.webhooks_waiting != number + 1:
                    await asyncio.sleep(0.002)
        assert (await sender.chronicle.owed(1)).total == 130, "they are all here still"
    assert looks == [101, 112, 123]


def of_json(event: dict[str, Any]) -> RoomEvent:
    return msgspec.convert(event, RoomEvent)


async def test_what_cannot_be_dropped_is_looked_at_only_now_and_then(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await receiver.shuts()
    looks = 0

    def look(*_: object) -> list[str]:
        nonlocal looks
        looks += 1
        return []

    monkeypatch.setattr(courier, "to_drop", look)
    async with Sender(receiver, webhook_backlog=100) as sender:
        for number in range(101):
            sender.happens("participant.joined", f"p{number}")
        for _ in range(10):
            await sender.courier._measure()
        assert looks == 1
        for number in range(101, 112):
            sender.happens("participant.joined", f"p{number}")
        for _ in range(10):
            await sender.courier._measure()
        assert looks == 2


async def test_receiver_whose_certificate_nobody_vouches_for_is_told_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    files = [str(tmp_path / "chain.pem"), str(tmp_path / "key.pem")]
    kind = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    command = [openssl, "req", "-x509", *kind, *names, "-out", files[0], "-keyout", files[1]]
    made = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    receiver = Receiver()
    receiver.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    receiver.tls.load_cert_chain(*files)
    async with receiver, Sender(receiver) as sender:
        sender.visit(1)
        async with asyncio.timeout(PATIENCE):
            while sender.meters.webhook_failures < 2:
                await asyncio.sleep(0.002)
    assert receiver.deliveries == []
    [line] = [record.msg for record in caplog.records if isinstance(record.msg, Line)]
    assert line.event == "webhook-failing" and "CERTIFICATE_VERIFY_FAILED" in str(line)


async def test_stop_hangs_up_on_a_receiver_that_has_not_greeted(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "STOP_PATIENCE", 0.01)
    called, hung_up = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        called.set()
        with suppress(ConnectionError):
            await reader.read()
        hung_up.set()
        writer.transport.abort()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(PATIENCE):
        async with Sender(receiver, webhook_url=f"https://127.0.0.1:{port}/") as sender:
            sender.visit(1)
            await called.wait()
        gc.collect()
        await hung_up.wait()


async def test_two_secrets_sign_each(receiver: Receiver) -> None:
    former = "whsec_" + "B" * 32
    async with Sender(receiver, webhook_secret=f"{former}, {SECRET}") as sender:
        sender.visit(1)
        await receiver.took(2)
    assert receiver.deliveries[0].headers["webhook-signature"].count("v1,") == 2


async def test_stop_sends_what_has_just_happened(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "STOP_PATIENCE", PATIENCE)
    async with Sender(receiver) as sender:
        sender.visit(1)
        await receiver.took(2)
        sender.visit(2)
    assert len(receiver.events()) == 4


async def test_stop_waits_for_no_receiver(receiver: Receiver) -> None:
    receiver.mood = lambda _: b""
    sender = Sender(receiver)
    async with sender:
        sender.visit(1)
        await receiver.came(1)
    assert (await sender.chronicle.owed(1)).total == 2
    receiver.mood = lambda _: OK
    async with sender:
        await receiver.took(2)
