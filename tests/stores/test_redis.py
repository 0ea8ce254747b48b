"""Several workers over one Redis: who is told what, in which order, when people move and when workers go."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from tests.redis_server import RedisServer

from mikroroom.core.effects import Effects, Resumed, Seated, Suspended
from mikroroom.core.room import Room
from mikroroom.hub.limits import Limits, LocalCounts
from mikroroom.meters import Meters
from mikroroom.protocol import events
from mikroroom.protocol.codec import HEADROOM
from mikroroom.protocol.codes import CloseCode, ErrorCode, Refusal
from mikroroom.settings import Settings
from mikroroom.stores.port import Census, Kept
from mikroroom.stores.redis.counts import SharedCounts
from mikroroom.stores.redis.link import Link
from mikroroom.stores.redis.record import Entry
from mikroroom.stores.redis.wire import OutOfReach

from .farm import LEASE, PATIENCE, Farm, comes_back, dies, inside, loses, names_of, offers, says, until
from .shelf import CODE, Clock, Shelf, precreated, settled

KEPT = Kept(7, 3, 5, [b'{"seq":7}'])


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One for all."""
    with RedisServer() as server:
        yield server


@pytest.fixture
async def farm(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Farm]:
    """Workers with keys of their own, which leave in good order, however slow the machine is."""
    monkeypatch.setattr("mikroroom.stores.redis.worker.ANSWER_PATIENCE", PATIENCE)
    farm = Farm(server)
    yield farm
    await farm.close()


async def two_with_ada_and_bob(farm: Farm) -> tuple[Shelf, Shelf, str, str]:
    """Ada on the first worker, Bob on the second; both may come back, and nobody has heard anything yet."""
    first, second = await farm.worker(), await farm.worker()
    ada = await first.opens(resume_token="ada's")
    bob = await second.joins(resume_token="bob's")
    await until(lambda: CODE in first.far and CODE in second.far)
    first.heard(), second.heard()
    return first, second, ada, bob


# Changes


async def test_every_worker_with_people_in_a_room_hears_of_a_change_in_the_same_words(farm: Farm) -> None:
    first, second, _, _ = await two_with_ada_and_bob(farm)
    third = await farm.worker()
    cleo = await third.joins(name="Cleo")
    await until(lambda: len(first.delivered) >= 3 and len(second.delivered) >= 3)
    heard = [shelf.heard() for shelf in (first, second, third)]
    assert [type(effect) for effect in heard[2]][:1] == [Seated]
    told = [[effect for effect in effects if not isinstance(effect, Seated)] for effects in heard]
    assert told[0] == told[1] == told[2]
    assert names_of(heard[0]) == ["Send"] * len(told[0]), "Cleo's seat is only the third worker's concern"
    assert cleo in (await first.looks()).participants


async def test_workers_without_people_in_a_room_hear_nothing_of_it(farm: Farm) -> None:
    first, second = await farm.worker(), await farm.worker()
    await first.opens()
    await first.joins()
    await farm.catches_up(first, second)
    assert second.heard() == []


async def test_what_one_worker_does_another_sees_at_once(farm: Farm) -> None:
    """A refusal is no worse for wear: it is by the newest room."""
    first, second = await farm.worker(), await farm.worker()
    await first.makes(precreated(max_participants=1))
    for _ in range(20):
        bob = await second.joins()
        with pytest.raises(Refusal) as refused:
            await first.joins()
        assert refused.value.code is ErrorCode.ROOM_FULL
        await second.leaves(bob)
        cleo = await first.joins(name="Cleo")
        await first.leaves(cleo)


async def test_the_last_seat_goes_once_however_many_workers_ask(farm: Farm) -> None:
    shelves = [await farm.worker() for _ in range(3)]
    await shelves[0].makes(precreated(max_participants=4))
    outcomes = await asyncio.gather(
        *(shelf.joins() for _ in range(6) for shelf in shelves), return_exceptions=True
    )
    seated = [outcome for outcome in outcomes if isinstance(outcome, str)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert (len(seated), len(refused)) == (4, 14)
    assert set((await shelves[0].looks()).participants) == set(seated)


async def test_a_commit_whose_answer_is_lost_takes_effect_once(farm: Farm) -> None:
    first, second, _, _ = await two_with_ada_and_bob(farm)
    for number in range(5):
        joining = asyncio.create_task(first.joins(name="Dan"))
        # Somewhere on the way of its commit.
        for _ in range(number):
            await asyncio.sleep(0)
        await farm.redis.client_kill_filter(_type="normal", skipme=True)
        await joining
    await until(lambda: sum(isinstance(effect, Seated) for effect in first.delivered) == 5)
    assert len((await second.looks()).participants) == 7


# Talk


async def test_talk_goes_to_the_workers_of_those_who_are_to_hear_it(farm: Farm) -> None:
    first, second, _ada, bob = await two_with_ada_and_bob(farm)
    third = await farm.worker()
    cleo = await third.joins(name="Cleo")
    await until(lambda: cleo in first.far.get(CODE, ()))
    says(first, "to all elsewhere")
    offers(first, bob, 1)
    await farm.catches_up(first, second, third)
    assert [who for who, _ in second.talk] == [bob, bob]
    assert [who for who, _ in third.talk] == [cleo]
    assert first.talk == []


async def test_talk_stays_in_order_with_what_its_speaker_does(farm: Farm) -> None:
    first, second, ada, bob = await two_with_ada_and_bob(farm)
    for number in range(50):
        offers(first, bob, number)
    await first.leaves(ada)
    await until(lambda: events.ParticipantLeft in second.heard_events())
    assert [json.loads(said[HEADROOM:])["timestamp"] for _, said in second.talk] == list(range(50))


async def test_talk_to_a_room_that_has_changed_meanwhile_stays_in_order(farm: Farm) -> None:
    """Chat and offers of one speaker, to several workers: all of it is sent on as it was said."""
    first, second, _, bob = await two_with_ada_and_bob(farm)
    third = await farm.worker()
    cleo = await third.joins(name="Cleo")
    await until(lambda: cleo in first.far.get(CODE, ()))
    stale = first.far[CODE]
    await third.joins(name="Dan")
    await farm.catches_up(first)
    first.far[CODE] = stale
    for number in range(0, 30, 3):
        says(first, str(number))
        offers(first, bob, number + 1)
        offers(first, cleo, number + 1)
        says(first, str(number + 2))
    await farm.catches_up(first, second, third)
    for shelf, who in ((second, bob), (third, cleo)):
        heard = [json.loads(said[HEADROOM:]) for whom, said in shelf.talk if whom == who]
        assert [int(message.get("text", message["timestamp"])) for message in heard] == list(range(30))


async def test_what_is_said_while_a_mailbox_is_handed_over_is_heard_once_by_everyone(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said just before the news of the move, and the mailbox, are about two versions of the room."""
    first, second, ada, _ = await two_with_ada_and_bob(farm)
    third = await farm.worker()
    cleo = await third.joins(name="Cleo")
    await until(lambda: cleo in first.far.get(CODE, ()))
    rooms = inside(first).rooms
    hears = rooms.committed_elsewhere

    def says_before(entry: bytes) -> None:
        says(first, "hello")
        hears(entry)

    first.mailboxes[ada] = KEPT
    monkeypatch.setattr(rooms, "committed_elsewhere", says_before)
    with monkeypatch.context() as patch:
        patch.setattr("mikroroom.stores.redis.arrivals.PATIENCE", PATIENCE)
        await comes_back(second, "ada's")
    await farm.catches_up(first, second, third)
    assert [who for who, _ in third.talk] == [cleo]
    assert (ada, KEPT) in second.arrivals


async def test_a_batch_that_is_sent_twice_is_heard_once(farm: Farm) -> None:
    first, second, _, bob = await two_with_ada_and_bob(farm)
    post = inside(first).post
    offers(first, bob, 1)
    await post.drained()
    post._batches -= 1
    offers(first, bob, 2)
    await farm.catches_up(first, second)
    assert len(second.talk) == 1


async def test_who_speaks_while_too_much_waits_is_refused(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, _, bob = await two_with_ada_and_bob(farm)
    monkeypatch.setattr("mikroroom.stores.redis.post.MOST_WAITING", 10)
    offers(first, bob, 1)
    with pytest.raises(Refusal) as refused:
        offers(first, bob, 2)
    assert refused.value.code is ErrorCode.SERVER_ERROR
    with pytest.raises(Refusal):
        says(first, "hello")
    await inside(first).post.drained()
    offers(first, bob, 3)


# People who move


async def test_who_resumes_elsewhere_takes_along_what_it_was_told(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, ada, _ = await two_with_ada_and_bob(farm)
    first.mailboxes[ada] = KEPT
    with monkeypatch.context() as patch:
        patch.setattr("mikroroom.stores.redis.arrivals.PATIENCE", PATIENCE)
        await comes_back(second, "ada's")
    assert first.departures == [(ada, CloseCode.REPLACED)]
    assert second.arrivals == [(ada, None), (ada, KEPT)], "expected first, and there before the step is done"
    assert [effect.id for effect in second.heard() if isinstance(effect, Resumed)] == [ada]
    assert not any(isinstance(effect, Resumed | Seated) for effect in first.heard())


async def test_what_is_said_to_somebody_who_has_moved_goes_to_where_it_is(farm: Farm) -> None:
    """Also by those who do not know yet; once, and in order."""
    first, second, ada, bob = await two_with_ada_and_bob(farm)
    third = await farm.worker()
    await third.joins(name="Cleo")
    await until(lambda: ada in third.far.get(CODE, ()))
    stale = third.far[CODE]
    await comes_back(second, "ada's")
    await farm.catches_up(third)
    third.far[CODE] = stale
    offers(third, ada, 1)
    says(third, "hello")
    await farm.catches_up(third, first, second)
    assert first.talk == []
    assert sorted(who for who, _ in second.talk) == sorted([ada, ada, bob])


async def test_who_moves_hears_nothing_twice_that_it_was_told_before(farm: Farm) -> None:
    """What those on its former worker said goes with its mailbox, and is on its way to its new one too."""
    first, second, _ada, bob = await two_with_ada_and_bob(farm)
    cleo = await first.joins(name="Cleo")
    await until(lambda: cleo in second.far.get(CODE, ()))
    stale = first.far[CODE]
    await comes_back(second, "ada's")
    await farm.catches_up(first)
    assert stale is not None
    first.far[CODE] = stale
    says(first, "Cleo's, which Ada's mailbox has")
    await farm.catches_up(first, second)
    assert [who for who, _ in second.talk] == [bob]


async def test_whom_its_own_worker_took_for_elsewhere_hears_what_was_said_meanwhile(farm: Farm) -> None:
    _first, second, ada, _bob = await two_with_ada_and_bob(farm)
    stale = second.far[CODE]
    await comes_back(second, "ada's")
    assert stale is not None
    second.far[CODE] = stale
    says(second, "Bob's, who does not know that Ada is here")
    await farm.catches_up(second)
    assert [who for who, _ in second.talk] == [ada]


async def test_a_worker_that_sends_no_mailbox_is_not_waited_for_for_long(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.stores.redis.arrivals.PATIENCE", 0.05)
    first, second, ada, _ = await two_with_ada_and_bob(farm)
    first.store.note_taken(CODE, ada, 12)
    await until(lambda: not first.store._taken)  # type: ignore[attr-defined]
    await dies(first)
    await comes_back(second, "ada's")
    assert second.arrivals == [(ada, None), (ada, Kept(0, 12, 0, [], is_whole=False))]


# Workers that go


async def test_the_people_of_a_worker_that_died_have_their_places_elsewhere(farm: Farm) -> None:
    first, second, ada, bob = await two_with_ada_and_bob(farm)
    cleo = await first.joins(name="Cleo")
    await farm.catches_up(second)
    second.heard()
    name = inside(first).name
    await dies(first)
    await farm.redis.zadd(farm.prefix + "workers", {name: 1})
    farm.clock.passes(int(LEASE * 1_000))
    inside(second).life.beat_now()
    await until(lambda: any(isinstance(effect, Suspended) for effect in second.delivered))
    assert (ada, None) in second.arrivals
    assert [effect.id for effect in second.heard() if isinstance(effect, Suspended)] == [ada]
    room = await second.looks()
    assert set(room.participants) == {ada, bob} and set(room.suspended) == {ada}, f"{cleo} cannot come back"
    await until(lambda: len(second.arrivals) == 2)
    await comes_back(second, "ada's")
    assert (await second.looks()).suspended == {}


async def test_a_worker_that_was_taken_for_dead_goes_on_as_another_one(farm: Farm) -> None:
    """It had only slept. Its people are to come again; and nothing more is done in its old name."""
    first, second, ada, bob = await two_with_ada_and_bob(farm)
    slept = inside(first)
    slept.life.stop()
    await farm.redis.zadd(farm.prefix + "workers", {slept.name: 1})
    farm.clock.passes(int(LEASE * 1_000))
    inside(second).life.beat_now()
    await until(lambda: (ada, CloseCode.RESTARTING) in first.departures)
    with pytest.raises(Refusal) as refused:
        await first.joins(name="Cleo")
    assert refused.value.code is ErrorCode.SERVER_ERROR
    await until(lambda: inside(first) is not slept and first.store.trouble() is None)
    dan = await first.joins(name="Dan")
    room = await second.looks()
    assert set(room.participants) == {ada, bob, dan} and set(room.suspended) == {ada}
    assert slept.name not in inside(second).rooms.copies[CODE].record.homes.values()


async def test_nobody_is_taken_for_dead_by_who_was_out_of_touch(farm: Farm) -> None:
    """When Redis was away, the others could not say either that they live."""
    first, second, _ada, _bob = await two_with_ada_and_bob(farm)
    await farm.redis.zadd(farm.prefix + "workers", {inside(first).name: 1})
    inside(second).life.beat_now()
    await farm.catches_up(first, second)
    inside(first).life.beat_now()
    assert set((await second.looks()).suspended) == set()


async def test_a_worker_that_leaves_hands_its_people_over(farm: Farm) -> None:
    first, second, ada, _bob = await two_with_ada_and_bob(farm)
    first.mailboxes[ada] = KEPT
    await loses(first, ada)
    leaver = inside(first).name
    await first.store.stop({})
    await until(lambda: (ada, KEPT) in second.arrivals)
    assert set((await second.looks()).suspended) == {ada}
    assert [name for name, _ in await farm.key("workers")] == [inside(second).name.encode()]
    assert await farm.key("inbox", leaver) is None
    farm.shelves.remove(first)


async def test_the_last_worker_leaves_what_it_has_for_the_next(farm: Farm) -> None:
    first = await farm.worker()
    ada = await first.opens(resume_token="ada's")
    await loses(first, ada)
    first.mailboxes[ada] = KEPT
    await first.store.stop({})
    farm.shelves.remove(first)
    second = await farm.worker()
    await until(lambda: (ada, KEPT) in second.arrivals)
    await comes_back(second, "ada's")
    assert set((await second.looks()).participants) == {ada}


async def test_who_moves_on_before_its_mailbox_has_come_has_all_of_it_in_the_end(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.stores.redis.arrivals.PATIENCE", 100.0)
    first, second, third = [await farm.worker() for _ in range(3)]
    ada = await first.opens(resume_token="ada's")
    first.mailboxes[ada] = KEPT
    second.mailboxes[ada] = Kept(2, 0, 9, [b'{"type":"chat","seq":1}', b'{"type":"offer","seq":2}'])
    inbox = inside(first).inbox
    await inbox.stop()
    moving = asyncio.create_task(comes_back(second, "ada's"))
    await until(inside(second).rooms.arrivals.any)
    again = asyncio.create_task(comes_back(third, "next", "another", "third"))
    await until(inside(third).rooms.arrivals.any)
    await until(lambda: (ada, CloseCode.REPLACED) in second.departures)
    inbox.start(inbox.last)
    whole = [b'{"seq":7}', b'{"type":"chat","seq":8}', b'{"type":"offer","seq":9}']
    await until(lambda: (ada, Kept(9, 3, 9, whole)) in third.arrivals)
    await asyncio.gather(moving, again)


async def test_who_moves_on_and_whose_mailbox_never_comes_has_said_nothing_twice(farm: Farm) -> None:
    first, second, third = [await farm.worker() for _ in range(3)]
    ada = await first.opens(resume_token="ada's")
    await inside(first).link.run("note", CODE, ada, 5)
    second.mailboxes[ada] = Kept(1, 0, 9, [b'{"type":"chat","seq":1}'])
    await inside(first).inbox.stop()
    moving = asyncio.create_task(comes_back(second, "ada's"))
    await until(inside(second).rooms.arrivals.any)
    again = asyncio.create_task(comes_back(third, "next", "another", "third"))
    since = [b'{"type":"chat","seq":1}']
    await until(lambda: (ada, Kept(0, 5, 9, since, is_whole=False)) in third.arrivals)
    await asyncio.gather(moving, again)


async def test_who_moves_on_while_its_mailbox_is_looked_up_is_sent_what_was_found(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.stores.redis.arrivals.PATIENCE", 100.0)
    first = await farm.worker()
    ada = await first.opens(resume_token="ada's")
    await loses(first, ada)
    first.mailboxes[ada] = KEPT
    await first.store.stop({})
    farm.shelves.remove(first)
    may_answer, call = asyncio.Event(), Link.call

    def slow(link: Link, *command: Any, **options: Any) -> "asyncio.Future[Any]":
        async def answer() -> Any:
            await may_answer.wait()
            return await call(link, *command, **options)

        return asyncio.ensure_future(answer()) if command[0] == b"GETDEL" else call(link, *command, **options)

    monkeypatch.setattr(Link, "call", slow)
    second = await farm.worker()
    second.mailboxes[ada] = Kept(1, 0, 9, [b'{"type":"chat","seq":1}'])
    await until(inside(second).rooms.arrivals.any)
    third = await farm.worker()
    moving = asyncio.create_task(comes_back(third, "ada's"))
    await until(lambda: (ada, CloseCode.REPLACED) in second.departures)
    may_answer.set()
    whole = [b'{"seq":7}', b'{"type":"chat","seq":8}']
    await until(lambda: (ada, Kept(8, 3, 9, whole)) in third.arrivals)
    await moving
    assert not inside(second).rooms.arrivals.any()


@pytest.mark.parametrize("turns", range(1, 10))
async def test_a_connection_that_is_lost_in_a_stop_costs_nobody_what_it_was_told(
    farm: Farm, turns: int
) -> None:
    first = await farm.worker()
    ada = await first.opens(resume_token="ada's")
    await loses(first, ada)
    first.mailboxes[ada] = KEPT
    first.store.note_taken(CODE, ada, 3)
    link = inside(first).link
    stopping = asyncio.create_task(first.store.stop({}))
    farm.shelves.remove(first)
    # Somewhere on the way of what is asked last.
    for _ in range(turns):
        await asyncio.sleep(0)
    if link._wire is not None:
        link._wire.cut()
    await stopping
    assert msgspec.msgpack.decode(await farm.key("kept", ada), type=Kept) == KEPT
    assert (await farm.key("room", CODE))[f"c:{ada}".encode()] == b"3"


async def test_how_much_has_come_from_somebody_never_becomes_less(farm: Farm) -> None:
    first = await farm.worker()
    ada = await first.opens(resume_token="ada's")
    link = inside(first).link
    for count in (9, 10, 2):
        await link.run("note", CODE, ada, count)
    assert (await farm.key("room", CODE))[f"c:{ada}".encode()] == b"10"
    # Nor by what a worker has left that knew of less.
    await loses(first, ada)
    first.mailboxes[ada] = KEPT
    await first.store.stop({})
    farm.shelves.remove(first)
    second = await farm.worker()
    await until(lambda: (ada, Kept(7, 10, 5, [b'{"seq":7}'])) in second.arrivals)


async def test_where_the_one_that_is_asked_leaves_as_well_another_takes_its_people(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who goes on would speak to them in vain otherwise, and nobody would notice."""
    monkeypatch.setattr("mikroroom.stores.redis.worker.MOVE_PATIENCE", 100.0)
    first, second, third = [await farm.worker() for _ in range(3)]
    ada = await first.opens(resume_token="ada's")
    await loses(first, ada)
    first.mailboxes[ada] = KEPT
    declines, takes = inside(second), inside(third)
    declines._is_leaving = True
    monkeypatch.setattr(
        "mikroroom.stores.redis.worker.secrets.choice",
        lambda names: declines.name if declines.name in names else names[0],
    )
    async with asyncio.timeout(PATIENCE):
        await first.store.stop({})
    farm.shelves.remove(first)
    await until(lambda: (ada, KEPT) in third.arrivals)
    assert takes.rooms.copies[CODE].record.homes == {ada: takes.name}


async def test_workers_that_leave_together_do_not_wait_for_each_other(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.stores.redis.worker.MOVE_PATIENCE", 100.0)
    first, second, ada, bob = await two_with_ada_and_bob(farm)
    for shelf in (first, second):
        shelf.mailboxes |= {ada: KEPT, bob: KEPT}
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(shelf.store.stop({}) for shelf in (first, second)))
    farm.shelves.clear()
    third = await farm.worker()
    await until(lambda: (ada, KEPT) in third.arrivals and (bob, KEPT) in third.arrivals)
    assert set((await third.looks()).suspended) == {ada, bob}


async def test_whoever_is_back_first_finds_the_others_places_where_they_are_told_things(farm: Farm) -> None:
    """Before anything else happens in a room of a worker that has left, its people have their places here."""
    first = await farm.worker()
    ada = await first.opens(resume_token="ada's")
    bob = await first.joins(resume_token="bob's")
    first.mailboxes |= {ada: KEPT, bob: KEPT}
    await loses(first, ada)
    await loses(first, bob)
    await first.store.stop({})
    farm.shelves.remove(first)
    second = await farm.worker()
    await comes_back(second, "ada's")
    heard = names_of(second.heard())
    assert [f"Suspended {ada}", f"Seated {ada}", f"Suspended {bob}", f"Seated {bob}"] == heard[:4]
    await until(lambda: (bob, KEPT) in second.arrivals)
    record = inside(second).rooms.copies[CODE].record
    assert set(record.seated.values()) == {inside(second).name}


async def test_a_fault_in_one_request_touches_none_of_those_that_were_made_with_it(farm: Farm) -> None:
    """Even where it has changed half of the room: what is committed together is applied without it."""
    first = await farm.worker()
    await first.makes(precreated())

    def fails(room: Room, now: int) -> Effects:
        room.max_participants = 1
        raise ZeroDivisionError

    steps = [first.joins(), settled(first.store.transact(CODE, fails)), first.joins(), first.joins()]
    ada, fault, bob, cleo = await asyncio.gather(*steps, return_exceptions=True)
    assert isinstance(fault, ZeroDivisionError)
    room = await first.looks()
    assert (set(room.participants), room.max_participants) == ({ada, bob, cleo}, 8)


async def test_who_was_slower_to_commit_does_not_take_its_own_room_for_the_others(farm: Farm) -> None:
    """Both have made the same version of it; one of the two is in Redis."""
    shelves = [await farm.worker() for _ in range(3)]
    for number in range(8):
        code = f"AAAAA{number}"
        await shelves[0].makes(precreated(code, max_participants=3))
        for shelf in shelves:
            # So that each has a copy, and applies what comes to that.
            await shelf.leaves(await shelf.joins(code), code)
        outcomes = await asyncio.gather(
            *(shelf.joins(code) for _ in range(3) for shelf in shelves), return_exceptions=True
        )
        seated = {outcome for outcome in outcomes if isinstance(outcome, str)}
        assert len(seated) == 3
        assert all(isinstance(outcome, str | Refusal) for outcome in outcomes)
        for shelf in shelves:
            assert set((await shelf.looks(code)).participants) == seated


async def test_keys_that_somebody_else_has_taken_are_told_and_those_of_the_dead_do_not_come_back(
    farm: Farm,
) -> None:
    first = await farm.worker()
    await farm.redis.delete(farm.prefix + "workers")
    await farm.redis.set(farm.prefix + "workers", "something else")
    inside(first).life.beat_now()
    await until(lambda: first.store.trouble() is not None)
    await farm.redis.delete(farm.prefix + "workers")
    inside(first).life.beat_now()
    await until(lambda: first.store.trouble() is None)

    await farm.redis.set(farm.prefix + "buried:zombie", "")
    await inside(first).link.run("post", "zombie", 1, first.store._worker.name, "", b"r AAAAAA x 1 1\nx")  # type: ignore[attr-defined]
    await inside(first).link.run("trim", "zombie", "1-0", 10)
    assert await farm.key("worker", "zombie") is None
    keys = await farm.redis.keys(farm.prefix + "*")
    await farm.redis.delete(farm.prefix + "buried:zombie")
    assert all([await farm.redis.pttl(key) > 0 for key in keys if b"zombie" not in key])


async def test_a_room_that_has_vanished_is_counted_and_inherited_no_more(farm: Farm) -> None:
    """Evicted, say, or not in the older data that Redis has come back with."""
    first = await farm.worker()
    await first.opens()
    name = inside(first).name
    await dies(first)
    farm.shelves.remove(first)
    await farm.redis.delete(f"{farm.prefix}room:{CODE}")
    await farm.redis.zadd(farm.prefix + "workers", {name: 0})
    second = await farm.worker()
    async with asyncio.timeout(PATIENCE):
        while await farm.key("at", name) is not None:
            inside(second).life.beat_now()
            await asyncio.sleep(0.01)
    assert await second.store.census(Census(0, 0, 0)) == Census(0, 0, 1)
    await until(lambda: name not in inside(second).desk.gone)


async def test_a_room_that_is_put_back_says_nothing_to_those_who_have_it(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, ada, bob = await two_with_ada_and_bob(farm)
    await farm.redis.delete(f"{farm.prefix}room:{CODE}")
    cleo = await first.joins(name="Cleo")
    await farm.catches_up(first, second)
    assert set((await second.looks()).participants) == {ada, bob, cleo}
    assert first.cut == second.cut == []
    assert "letter-failed" not in caplog.text


async def test_a_stop_does_not_wait_for_a_redis_that_stands_still(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = Farm(server)
    first, _, _, _ = await two_with_ada_and_bob(farm)
    server.freeze()
    try:
        with monkeypatch.context() as patch:
            for patience in ("MOVE_PATIENCE", "LEAVE_PATIENCE"):
                patch.setattr(f"mikroroom.stores.redis.worker.{patience}", 100.0)
            async with asyncio.timeout(PATIENCE):
                await first.store.stop({})
    finally:
        server.thaw()
    farm.shelves.remove(first)
    await farm.close()


async def test_a_redis_without_its_last_moments_is_noticed_and_rooms_are_put_back(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    """A replica that took over, say. What had been told to everybody is so again."""
    first, second, ada, bob = await two_with_ada_and_bob(farm)
    keys = await farm.redis.keys(farm.prefix + "*")
    before = {key: await farm.redis.dump(key) for key in keys}
    cleo = await first.joins(name="Cleo")
    await farm.catches_up(first, second)
    # As it was, but for the beats; and nobody sees it half done.
    async with farm.redis.pipeline(transaction=True) as at_once:
        for key, dump in before.items():
            if b"worker" not in key:
                at_once.restore(key, 60_000, dump, replace=True)
        await at_once.execute()
    for shelf in (first, second):
        inside(shelf).life.beat_now()
    await until(lambda: first.cut == second.cut == [CODE])
    await farm.catches_up(first, second)
    assert "redis-data-old" in caplog.text
    dan = await second.joins(name="Dan")
    assert set((await first.looks()).participants) == {ada, bob, cleo, dan}


async def test_what_only_a_newer_worker_knows_is_missed_and_that_is_noticed_at_once(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers are renewed one by one, and the new ones can do more."""
    first, second, ada, bob = await two_with_ada_and_bob(farm)

    def of_an_older_version(entry: bytes) -> Entry:
        raise msgspec.ValidationError("Invalid value 'Renamed' - at `$[5][0][1][0].type`")

    with monkeypatch.context() as patch:
        patch.setattr("mikroroom.stores.redis.rooms.decode_entry", of_an_older_version)
        cleo = await first.joins(name="Cleo")
        await until(lambda: second.cut == [CODE])
    assert "entry-unknown" in caplog.text and "letter-failed" not in caplog.text
    await farm.catches_up(first, second)
    dan = await second.joins(name="Dan")
    assert set((await second.looks()).participants) == {ada, bob, cleo, dan}
    assert first.cut == []


async def test_people_of_a_room_that_had_ended_do_not_come_back_with_older_data(farm: Farm) -> None:
    first = await farm.worker()
    ada = await first.opens()
    name = inside(first).name
    keys = [f"{farm.prefix}room:{CODE}", f"{farm.prefix}at:{name}", f"{farm.prefix}active"]
    before = {key: await farm.redis.dump(key) for key in keys}
    await first.leaves(ada)
    first.strangers.add(ada)
    async with farm.redis.pipeline(transaction=True) as at_once:
        for key, dump in before.items():
            at_once.restore(key, 60_000, dump, replace=True)
        await at_once.execute()
    inside(first).data_is_old(None)
    async with asyncio.timeout(PATIENCE):
        while await farm.key("active"):
            await asyncio.sleep(0.01)


# Counts


async def test_requests_for_ice_servers_are_counted_over_all_workers(farm: Farm) -> None:
    settings = Settings(configs_per_minute=3)
    shelves = [await farm.worker(configs_per_minute=3) for _ in range(2)]
    first, second = [
        shelf.store.counts(LocalCounts(Limits(settings, Meters()), farm.clock)) for shelf in shelves
    ]
    assert [await first.take_config("192.0.2.1"), await second.take_config("192.0.2.1")] == [0, 0]
    assert await first.take_config("192.0.2.1") == 0
    assert 0 < await second.take_config("192.0.2.1") <= 60_000
    assert await second.take_config("192.0.2.2") == 0


async def test_requests_for_ice_servers_are_counted_by_each_worker_while_redis_is_away() -> None:
    async def run(*_: object) -> int:
        raise OutOfReach

    settings = Settings(configs_per_minute=3)
    counts = SharedCounts(run, settings, LocalCounts(Limits(settings, Meters()), Clock()))
    waits = [await counts.take_config("192.0.2.1") for _ in range(4)]
    assert waits == [0, 0, 0, 60_000]
