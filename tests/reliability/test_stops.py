"""A stop comes to its end in bounded time, whoever is there, and everyone's place is kept (R46)."""

import asyncio
import signal

from .conftest import Serving, Wiring
from .crashes import is_empty
from .people import CODE, Person, all_agree, all_back, all_go, eventually
from .wires import HANDSHAKE

# What the server may take beyond its own bound, on a machine that is busy. After ten seconds whoever does not
# read is cut off in any case.
MARGIN = 7.5


async def heard_by(person: Person, kind: str, count: int) -> None:
    """Wait until someone has heard so many of a kind."""
    await eventually(lambda: sum(what == kind for _, what, _ in person.heard) >= count)


async def test_a_stop_does_not_wait_for_a_reader_that_never_reads(serving: Serving, wiring: Wiring) -> None:
    server = serving(max_outbox_bytes=64 * 2**20, messages_per_second=0, resume_bytes=32 * 2**20)
    await server.starts()
    ada = await Person("Ada", server).comes(isHost=True)
    wire = await wiring(server, receive_buffer=4_096)
    bob = await wire.joins(CODE, "Bob", resume=True)
    await eventually(lambda: bob["participantId"] in ada.people)
    for number in range(100):
        ada.says("offer", targetId=bob["participantId"], sdp=f"{number} {'x' * 200_000}")
    ada.chats()
    await heard_by(ada, "chat", 1)

    code, seconds = await server.stops()
    assert code == 0
    assert seconds < 5 + MARGIN

    await server.starts()
    await ada.is_back()
    assert ada.resumes[-1]["replayed"] is True
    again = await wiring(server)
    back = await again.joins(CODE, "Bob", resumeToken=bob["resumeToken"], lastSeq=1)
    assert (back["participantId"], back["resumed"], back["replayed"]) == (bob["participantId"], True, True)
    assert (await again.hears())["type"] == "participant-joined"
    offers = [await again.hears() for _ in range(100)]
    assert [(offer["type"], int(offer["sdp"].split()[0])) for offer in offers] == [
        ("offer", number) for number in range(100)
    ]
    assert ada.wrongs == []
    await ada.goes()


async def test_a_stop_does_not_wait_for_an_answer_to_the_close(serving: Serving, wiring: Wiring) -> None:
    server = serving(shutdown_timeout=2)
    await server.starts()
    ada = await Person("Ada", server).comes(isHost=True)
    wires = [await wiring(server) for _ in range(20)]
    for number, wire in enumerate(wires[:-1]):
        await wire.joins(CODE, f"W{number}")
    await wires[-1].upgrades()  # and never joins
    code, seconds = await server.stops()
    assert code == 0
    assert seconds < 2 + MARGIN
    await server.starts()
    await ada.is_back()
    assert ada.wrongs == []
    await ada.goes()


async def test_a_stop_in_the_middle_of_many_joins_leaves_nobody_in_two_places(serving: Serving) -> None:
    server = serving(max_participants=100, default_participants=100, resume_window=12)
    await server.starts()
    people = [Person(f"P{number}", server) for number in range(40)]
    for number, person in enumerate(people):
        # A password keeps a join undecided for a while.
        person.starts(isHost=True, **({"password": "sesame"} if number % 4 == 0 else {}))
    await eventually(lambda: sum(person.is_here.is_set() for person in people) >= 10)
    code, _ = await server.stops()
    assert code == 0
    ids = {person.id for person in people if person.is_here.is_set() or person.id}
    await server.starts()
    await all_back(people)
    assert ids <= {person.id for person in people}, "who was in is still the same"
    # Who was let in, and had not heard it when the server stopped, is another person now.
    await all_agree(people, lambda person: len(person.people) == len(people))
    assert [wrong for person in people for wrong in person.wrongs] == []
    await all_go(people)
    await eventually(lambda: is_empty(server))


async def test_a_second_sigterm_changes_nothing(serving: Serving) -> None:
    server = serving()
    await server.starts()
    ada = await Person("Ada", server).comes(isHost=True)
    code, _ = await server.stops(signal.SIGTERM, signal.SIGTERM)
    assert code == 0
    await server.starts()
    await ada.is_back()
    assert [own["replayed"] for own in ada.resumes] == [True]
    assert ada.wrongs == []
    await ada.goes()


async def test_500_are_closed_a_few_at_a_time_and_nobody_new_is_let_in_meanwhile(
    serving: Serving, wiring: Wiring
) -> None:
    server = serving(drain_time=5, shutdown_timeout=8)
    await server.starts()
    people = [Person(f"P{number}", server, code=f"R{number // 5:05}") for number in range(500)]
    for start in range(0, 500, 50):
        for person in people[start : start + 50]:
            person.starts(isHost=True)
        await all_back(people[start : start + 50])
    for person in people:
        person.may_return.clear()
    kept, other = await wiring(server), await wiring(server)
    assert (await kept.gets("/ready"), await other.gets("/ready")) == (200, 200)
    stopping = asyncio.create_task(server.stops())
    await eventually(lambda: any(person.closes for person in people))
    # On connections from before the stop.
    assert await kept.gets("/ready") == 503
    assert (await other.asks(HANDSHAKE.format(""))).split()[1] == "503"
    # And on a new one.
    assert await server.status("/ready") == 0
    assert any(not person.closes for person in people), "all this was in the middle of it"
    code, _ = await stopping
    assert code == 0
    await eventually(lambda: all(person.closes for person in people))
    assert {person.closes[0][1] for person in people} == {1012}
    moments = [person.closes[0][0] for person in people]
    assert max(moments) - min(moments) > 0.5

    await server.starts()
    for person in people:
        person.may_return.set()
    await all_back(people)
    assert all(person.resumes[-1]["replayed"] for person in people)
    assert [wrong for person in people for wrong in person.wrongs] == []
    for person in people:
        await person.vanishes()
