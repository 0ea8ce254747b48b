"""The way to Redis: what goes out again, what does not, and what Redis has to say that is no answer."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.redis_server import RedisServer

from mikroroom.stores.redis import link as links
from mikroroom.stores.redis.link import Ask, Link
from mikroroom.stores.redis.wire import OutOfReach, Piece, Refused, connect, pool_of

from .farm import until

PREFIX = "link-test:"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One for all."""
    with RedisServer() as server:
        yield server


async def no_greeting(ask: Ask) -> None:
    """Nothing has to be said first."""


@pytest.fixture
async def link(server: RedisServer) -> AsyncIterator[Link]:
    """One that is connected."""
    link = Link(server.url, PREFIX, "tester")
    link.start(no_greeting)
    await until(lambda: link.problem is None)
    yield link
    await link.stop()


async def test_commands_are_answered_in_the_order_in_which_they_were_given(link: Link) -> None:
    answers = [link.call(b"ECHO", str(number)) for number in range(1_000)]
    assert await asyncio.gather(*answers) == [str(number).encode() for number in range(1_000)]


async def test_what_is_given_in_pieces_arrives_whole(link: Link) -> None:
    large: list[Piece] = [b"x" * 70_000, memoryview(b"yy"), bytearray(b"z")]
    assert await link.call(b"ECHO", large) == b"x" * 70_000 + b"yyz"


async def test_an_error_comes_to_whoever_asked(link: Link) -> None:
    wrong, right = link.call(b"HGET", b"only one"), link.call(b"PING")
    with pytest.raises(Refused, match="wrong number of arguments"):
        await wrong
    assert await right == b"PONG"


async def test_what_may_be_repeated_is_answered_after_a_loss_and_the_rest_is_out_of_reach(
    link: Link, server: RedisServer
) -> None:
    server.freeze()
    again, once = link.call(b"PING", is_repeatable=True), link.call(b"PING")
    for _ in range(3):
        await asyncio.sleep(0)
    assert link._wire is not None
    link._wire.cut()
    server.thaw()
    with pytest.raises(OutOfReach):
        await once
    assert await again == b"PONG"


async def test_what_nobody_waits_for_any_more_is_not_repeated(link: Link, server: RedisServer) -> None:
    assert link._wire is not None
    link._wire.cut()
    given_up = link.call(b"INCR", PREFIX + "count", is_repeatable=True)
    given_up.cancel()
    await until(lambda: link.problem is not None)
    await until(lambda: link.problem is None)
    assert await link.call(b"GET", PREFIX + "count") is None


async def test_an_answer_that_is_overdue_is_a_loss(
    link: Link, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_patience", 0.05)
    server.freeze()
    try:
        with pytest.raises(OutOfReach):
            await link.call(b"PING")
        assert link.problem is not None
    finally:
        server.thaw()
    monkeypatch.undo()
    await until(lambda: link.problem is None)


async def test_what_is_asked_together_is_answered_together(server: RedisServer) -> None:
    """So that a Redis far away can be reached: a new connection has much to say first."""
    wire = await connect(pool_of(server.url))
    assert await wire.ask_all([(b"ECHO", b"1"), (b"ECHO", b"2")]) == [b"1", b"2"]
    with pytest.raises(Refused):
        await wire.ask_all([(b"ECHO", b"1"), (b"HGET",)])
    wire.cut()
    with pytest.raises(OutOfReach):
        await wire.ask(b"PING")


async def test_scripts_that_redis_has_forgotten_are_loaded_again(link: Link) -> None:
    await link.call(b"SCRIPT", b"FLUSH")
    assert await link.run("census", is_repeatable=True) == [0, 0, 0]


async def test_a_redis_that_refuses_to_write_is_out_of_reach_until_it_writes(link: Link) -> None:
    await link.call(b"CONFIG", b"SET", b"maxmemory", b"1")
    try:
        writing = link.run("note", "ABC234", "ada", 1, is_repeatable=True)
        again = link.call(b"SET", PREFIX + "x", b"1", is_repeatable=True)
        await until(lambda: (link.problem or "").startswith("OOM"))
    finally:
        await link.call(b"CONFIG", b"SET", b"maxmemory", b"0", is_repeatable=True)
    await writing
    assert await again == b"OK"


async def test_attempts_to_connect_become_rarer_and_are_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def fails(pool: Any) -> Any:
        raise OutOfReach("nobody is there")

    async def sleep(seconds: float, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            enough.set()
        await wait(0)

    monkeypatch.setattr(links, "connect", fails)
    monkeypatch.setattr(random, "random", lambda: 0.5)
    link = Link("redis://127.0.0.1:1/0", PREFIX, "tester")
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        link.start(no_greeting)
        await enough.wait()
    await link.stop()
    assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 0.8]
    assert link.problem == "nobody is there"
    assert [record.getMessage().split()[0] for record in caplog.records] == ["redis-failed"]


@pytest.mark.parametrize("url", ["redis://h:99999", "redis://h?bogus=1", "rediss://h?ssl_cert_reqs=maybe"])
async def test_urls_that_cannot_be_used_say_why(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        pool_of(url)


async def test_what_a_url_says_of_our_own_ways_does_not_count(server: RedisServer) -> None:
    link = Link(server.url + "?protocol=3&decode_responses=true", PREFIX, "tester")
    link.start(no_greeting)
    await until(lambda: link.problem is None)
    assert await link.call(b"ECHO", b"x") == b"x"
    await link.stop()
