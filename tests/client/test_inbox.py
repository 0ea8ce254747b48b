"""What was heard, until somebody asks."""

import asyncio

import pytest

from mikroroom.client.inbox import Inbox


async def test_things_come_in_order_then_the_end_again_and_again() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1)
    inbox.put(2)
    inbox.end(KeyError("end"))
    inbox.end(KeyError("another"))
    assert [await inbox.get(), await inbox.get()] == [1, 2]
    for _ in range(2):
        with pytest.raises(KeyError, match="end"):
            await inbox.get()


async def test_an_error_among_them_is_raised_in_its_place() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(ValueError("bad"))
    inbox.put(2)
    with pytest.raises(ValueError, match="bad"):
        await inbox.get()
    assert await inbox.get() == 2


async def test_whoever_waits_gets_what_comes_and_whoever_gave_up_takes_nothing_away() -> None:
    inbox: Inbox[int] = Inbox()
    gives_up, first, second = (asyncio.create_task(inbox.get()) for _ in range(3))
    await asyncio.sleep(0)
    gives_up.cancel()
    inbox.put(1)
    inbox.put(2)
    async with asyncio.timeout(10):
        assert sorted(await asyncio.gather(first, second)) == [1, 2]


async def test_at_the_limit_there_is_no_room_until_something_is_taken() -> None:
    inbox: Inbox[int] = Inbox(limit=10)
    inbox.put(1, 4)
    await inbox.room()
    inbox.put(2, 6)
    waiting = asyncio.create_task(inbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await inbox.get()
    async with asyncio.timeout(10):
        await waiting
