"""What waits for an app that speaks ASGI: in order, nothing lost, and bounded by holding the client back."""

import asyncio

import pytest

from mikroroom.transport.inbox import QUEUED_BYTES, Inbox

LIMIT = 3
PATIENCE = 60.0


class Source:
    """A client that can be held back."""

    def __init__(self) -> None:
        self.ending = (4000, "that is all")
        self.is_held = False

    def pause(self) -> None:
        """It is."""
        self.is_held = True

    def resume(self) -> None:
        """It is not any more."""
        self.is_held = False


@pytest.fixture
async def source() -> Source:
    """A client who is not held back."""
    return Source()


@pytest.fixture
async def inbox(source: Source) -> Inbox:
    """An inbox for three messages."""
    made = Inbox(LIMIT, asyncio.get_running_loop())
    made.source = source
    return made


async def texts(inbox: Inbox, count: int) -> list[str]:
    """The next messages."""
    async with asyncio.timeout(PATIENCE):
        return [(await inbox.get())["text"] for _ in range(count)]


def held(source: Source) -> bool:
    """Whether the client is held back."""
    return source.is_held


async def test_what_came_first_is_had_first(inbox: Inbox) -> None:
    for text in "abc":
        inbox.receive(text)
    asking = asyncio.create_task(texts(inbox, 5))
    await asyncio.sleep(0)
    for text in "de":
        inbox.receive(text)
        await asyncio.sleep(0)
    assert await asking == list("abcde")


@pytest.mark.parametrize("text", ["", "x"])
async def test_too_many_hold_the_client_back_until_they_are_had(
    inbox: Inbox, source: Source, text: str
) -> None:
    for _ in range(LIMIT):
        inbox.receive(text)
    assert not held(source)
    inbox.receive(text)
    assert held(source)
    assert await texts(inbox, 1) == [text]
    assert not held(source)


async def test_too_much_holds_the_client_back_until_it_is_had(inbox: Inbox, source: Source) -> None:
    inbox.receive_bytes(bytes(QUEUED_BYTES))
    assert not held(source)
    inbox.receive("x")
    assert held(source)
    assert len((await inbox.get())["bytes"]) == QUEUED_BYTES
    assert not held(source)
    assert await texts(inbox, 1) == ["x"]
    for _ in range(10):
        inbox.receive_bytes(bytes(QUEUED_BYTES // 2))
        await inbox.get()
    assert not held(source), "nothing is counted twice, and nothing forgotten"


async def test_whoever_takes_over_has_all_and_the_client_goes_on(inbox: Inbox, source: Source) -> None:
    inbox.put({"type": "websocket.connect"})
    for text in "abcdef":
        inbox.receive(text)
    assert held(source)
    assert [event["text"] for event in inbox.take_all()] == list("abcdef")
    assert not held(source)


async def test_what_comes_as_the_asking_is_given_up_is_not_lost(inbox: Inbox) -> None:
    asking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.receive("a")
    asking.cancel()
    inbox.receive("b")
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await texts(inbox, 2) == ["a", "b"]


async def test_two_who_ask_share_what_comes(inbox: Inbox) -> None:
    asking = [asyncio.create_task(inbox.get()) for _ in range(3)]
    await asyncio.sleep(0)
    asking[1].cancel()
    await asyncio.sleep(0)
    inbox.receive("a")
    inbox.receive("b")
    assert [(await asking[number])["text"] for number in (0, 2)] == ["a", "b"]


async def test_the_end_comes_last_for_everyone_and_again(inbox: Inbox) -> None:
    asking = [asyncio.create_task(inbox.get()) for _ in range(2)]
    await asyncio.sleep(0)
    inbox.receive("a")
    inbox.end()
    inbox.put_end(1006, "too late to say otherwise")
    end = {"type": "websocket.disconnect", "code": 4000, "reason": "that is all"}
    async with asyncio.timeout(PATIENCE):
        assert [await task for task in asking] == [{"type": "websocket.receive", "text": "a"}, end]
        assert [await inbox.get(), await inbox.get()] == [end, end]


async def test_what_had_come_before_the_end_is_had_before_it(inbox: Inbox) -> None:
    inbox.receive("a")
    inbox.end()
    assert await texts(inbox, 1) == ["a"]
    assert (await inbox.get())["code"] == 4000
