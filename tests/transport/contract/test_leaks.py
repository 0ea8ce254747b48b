"""Nothing is left of connections that have come and gone."""

import asyncio
import contextlib
import gc
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send

from .conftest import Hurry, SiteWith
from .site import Site
from .wire import Frame, Op, Wire, close, frame, text

MANY = 200


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Does what the path says."""
    if scope["type"] == "lifespan":
        return
    await receive()
    match scope["path"]:
        case "/refuses":
            await send({"type": "websocket.close"})
            return
        case "/denies":
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"no"})
            return
        case "/waits":
            await receive()
            return
    await send({"type": "websocket.accept"})
    match scope["path"]:
        case "/returns":
            return
        case "/closes":
            await send({"type": "websocket.close", "code": 3000})
        case _:
            with contextlib.suppress(OSError):
                while (event := await receive())["type"] == "websocket.receive":
                    await send({**event, "type": "websocket.send"})


async def talks_and_closes(wire: Wire) -> None:
    wire.asks("/echo")
    assert (await wire.answer()).status == 101
    wire.send(text("hi"))
    assert await wire.next() == Frame(Op.TEXT, b"hi")
    wire.send(close(1000))
    await wire.rest()


async def vanishes(wire: Wire) -> None:
    wire.asks("/echo")
    await wire.answer()
    wire.resets()


async def leaves_in_the_middle(wire: Wire) -> None:
    wire.asks("/echo")
    await wire.answer()
    wire.send(text("hi"), frame(Op.TEXT, b"half", fin=False))
    wire.transport.close()


async def violates(wire: Wire) -> None:
    wire.asks("/echo")
    await wire.answer()
    wire.send(frame(3))
    await wire.rest()


async def is_refused(wire: Wire) -> None:
    wire.asks("/refuses")
    await wire.refusal()


async def is_denied(wire: Wire) -> None:
    wire.asks("/denies")
    await wire.refusal()


async def asks_wrongly(wire: Wire) -> None:
    wire.asks("/", sec_websocket_key="no")
    await wire.refusal()


async def does_not_wait(wire: Wire) -> None:
    wire.asks("/waits")
    await asyncio.sleep(0)
    wire.transport.close()


async def is_left_by_the_app(wire: Wire) -> None:
    wire.asks("/returns")
    await wire.answer()
    wire.send(close(1000))
    await wire.rest()


async def is_closed_by_the_app(wire: Wire) -> None:
    wire.asks("/closes")
    await wire.answer()
    await wire.is_closed_with(3000)
    wire.send(close(3000))
    await wire.rest()


async def does_not_answer_the_close(wire: Wire) -> None:
    wire.asks("/closes")
    await wire.answer()
    await wire.is_closed_with(3000)
    wire.transport.close()


WAYS_TO_GO: list[Callable[[Wire], Awaitable[None]]] = [
    talks_and_closes,
    vanishes,
    leaves_in_the_middle,
    violates,
    is_refused,
    is_denied,
    asks_wrongly,
    does_not_wait,
    is_left_by_the_app,
    is_closed_by_the_app,
    does_not_answer_the_close,
]


def census() -> Counter[str]:
    """How many objects there are of each class that has to do with connections."""
    gc.collect()
    suspects = (
        "mikroroom.transport",
        "uvicorn.protocols",
        "websockets",
        "picows",
        "uvloop",
        "asyncio.selector_events",
    )
    return Counter(
        {
            f"{kind.__module__}.{kind.__qualname__}": count
            for kind, count in Counter(map(type, gc.get_objects())).items()
            if str(kind.__module__).startswith(suspects)
        }
    )


async def come_and_go(site: Site, count: int) -> None:
    """So many clients, each in the next of the ways, until the server has forgotten them all."""
    for goes in itertools.islice(itertools.cycle(WAYS_TO_GO), count):
        wire = await site.wire()
        await goes(wire)
        wire.transport.close()
    await site.is_left()
    site.forgets()


@pytest.mark.parametrize("pings", [None, 20])
async def test_connections_leave_nothing_behind(
    site_with: SiteWith, hurry: Hurry, pings: float | None
) -> None:
    site = await site_with(app, lifespan="off", ws_ping_interval=pings)
    hurry(site)
    await come_and_go(site, 2 * len(WAYS_TO_GO))
    before, tasks = census(), len(asyncio.all_tasks())
    await come_and_go(site, MANY)
    assert not {
        name: count for name, count in (census() - before).items() if count >= MANY // len(WAYS_TO_GO)
    }
    assert len(asyncio.all_tasks()) <= tasks
    assert not site.server.server_state.tasks
