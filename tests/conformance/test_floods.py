"""What one connection or one slow reader may take from the others (R31, R33, R34)."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable

from websockets.exceptions import ConnectionClosed

from .conftest import StageWith
from .frames import Frame, Op, Wire, frame
from .people import Person
from .stage import Stage

# Messages


async def test_burst_of_a_large_room_passes(stage: Stage) -> None:
    """R31: 40 messages for each of the room's seats at once: offers and candidates to everyone there."""
    room = await stage.room(maxParticipants=20)
    ada, bob = await stage.arrives("Ada"), await stage.arrives("Bob")
    await ada.joins(room["roomId"])
    await stage.enters(bob, [ada])
    for number in range(40 * 20 - 10):
        await ada.says("ice-candidate", targetId=bob.id, candidate={"number": number})
    for number in range(40 * 20 - 10):
        await bob.hears("ice-candidate", candidate={"number": number})
    await ada.hears_nothing()


async def test_flood_of_messages_is_cut_down(stage: Stage) -> None:
    """R31: what is over the limit is dropped and told, though not each time; the rest arrives in order."""
    ada, bob = await stage.meeting("Ada", "Bob")
    flood = 1200  # less than 1,000 of them can be refused: that would close the connection
    for number in range(flood):
        await bob.says("offer", targetId=ada.id, sdp=str(number))
    await bob.hears("error", code="RATE_LIMITED")
    await bob.hangs_up()

    told = 1 + len(await bob.hears_until_closed())
    *offers, _ = await ada.hears_until("participant-left", participantId=bob.id)
    numbers = [int(offer["sdp"]) for offer in offers]
    assert numbers[:310] == list(range(310))
    assert numbers == sorted(set(numbers))
    dropped = flood - len(numbers)
    assert dropped > 0
    assert told < dropped


async def test_thousand_refused_messages_close_the_connection(stage: Stage) -> None:
    """R31, R28: 4003; the room hears that one participant left, and is not disturbed otherwise."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await flood(bob, "{", 1500)
    assert {message["code"] for message in await bob.hears_until_closed()} <= {
        "INVALID_MESSAGE",
        "RATE_LIMITED",
    }
    assert bob.connection.close_code == 4003
    await ada.hears("participant-left", participantId=bob.id)
    await ada.hears_nothing()


async def test_thousand_messages_too_many_close_the_connection(stage: Stage) -> None:
    """R31, R28: 4003 also where each of them was well-formed."""
    ada, bob = await stage.meeting("Ada", "Bob")
    await flood(bob, json.dumps({"type": "offer", "targetId": ada.id, "sdp": "x"}), 6000)
    assert {message["code"] for message in await bob.hears_until_closed()} == {"RATE_LIMITED"}
    assert bob.connection.close_code == 4003
    await ada.hears_until("participant-left", participantId=bob.id)
    await ada.hears_nothing()


async def test_flood_before_joining_closes_the_connection(stage: Stage) -> None:
    """R31, R28: 4003 for somebody who is nobody yet."""
    eve = await stage.arrives("Eve")
    await flood(eve, json.dumps({"type": "chat", "text": "x"}), 1500)
    await eve.hears_until_closed()
    assert eve.connection.close_code == 4003


async def flood(person: Person, message: str, times: int) -> None:
    """Send it again and again, until the server has had enough."""
    with contextlib.suppress(ConnectionClosed):
        for _ in range(times):
            await person.sends(message)


# Readers


async def test_reader_that_does_not_read_is_closed_and_delays_nobody(stage: Stage) -> None:
    """R33: others' messages go on; the room sees exactly one departure."""
    ada, bob = await stage.meeting("Ada", "Bob")
    eve = await stage.upgraded(receive_buffer=4096)
    eve.says("join", roomId=ada.room, name="Eve")
    eve_id = (await eve.hears("participant-joined", name="Eve"))["participantId"]
    for person in (ada, bob):
        await person.hears("participant-joined", participantId=eve_id)
    eve.stops_reading()

    chunk = "x" * 200_000
    for number in range(150):  # far more than 1 MiB and all that the systems between may hold
        await bob.says("file-chunk", targetId=eve_id, chunk=chunk, index=number, total=150)
        await bob.says("offer", targetId=ada.id, sdp=str(number))
        heard = await ada.hears_until("offer", sdp=str(number))
        if [message["type"] for message in heard] != ["offer"]:
            break
    assert [(message["type"], message["participantId"]) for message in heard[:-1]] == [
        ("participant-left", eve_id)
    ]
    await bob.hears_until("participant-left", participantId=eve_id)
    await bob.hears_everything()
    await bob.says("offer", targetId=eve_id, sdp="x")
    await bob.is_refused("TARGET_NOT_FOUND")
    await ada.hears_nothing(after=bob)
    await last_words_are(eve, 4001)


async def last_words_are(wire: Wire, code: int) -> None:
    """The end may come without a close frame: its reader was not there to read."""
    wire.reads_again()
    last = Frame(Op.TEXT, b"")
    with contextlib.suppress(EOFError):
        while last.opcode == Op.TEXT:
            last = await wire.next()
    assert last.opcode == Op.TEXT or last.payload[:2] == code.to_bytes(2), last


async def test_peer_that_answers_no_ping_is_gone(stage_with: StageWith) -> None:
    """R34: noticed by ping, though its connection is open; who answers stays."""
    stage = stage_with(PING_INTERVAL="0.5", PING_TIMEOUT="2")
    (ada,) = await stage.meeting("Ada")
    silent = await stage.upgraded()
    silent.says("join", roomId=ada.room, name="Silent")
    joined = await ada.hears("participant-joined", name="Silent")
    await ada.hears("participant-left", participantId=joined["participantId"])
    await ada.hears_nothing()


async def test_flood_of_pings_disturbs_nobody(stage: Stage) -> None:
    """RFC 6455, section 5.5.2 lets a server answer fewer; others talk on, and joining still works after."""
    eve = await stage.upgraded()
    eve.stops_reading()
    for _ in range(2000):
        eve.send(frame(Op.PING, b"x" * 125))
    ada, bob = await stage.meeting("Ada", "Bob")
    await ada.says("chat", text="hi")
    await bob.hears("chat", text="hi")


# Crowds


async def test_many_who_come_and_go_at_once_leave_nothing_behind(stage: Stage) -> None:
    """Joins and leaves pair up, whatever the order in which they come."""
    (ada,) = await stage.meeting("Ada", maxParticipants=100)
    ways = itertools.cycle([Person.hangs_up, Person.vanishes, Person.leaves])

    async def comes_and_goes(name: str, goes: Callable[[Person], Awaitable[None]]) -> None:
        guest = await stage.arrives(name)
        await guest.joins(ada.room)
        await goes(guest)

    await asyncio.gather(*(comes_and_goes(f"Guest {number}", next(ways)) for number in range(30)))
    came: list[str] = []
    went: list[str] = []
    while len(went) < 30:
        message = await ada.hears_something()
        (came if message["type"] == "participant-joined" else went).append(message["participantId"])
        assert set(went) <= set(came)
    assert sorted(came) == sorted(went)
    await ada.hears_nothing()
