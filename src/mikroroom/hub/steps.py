"""Doing at once what can be done at once, in code that is written once.

What leads to a commit may have to wait (a password being hashed, a store far away) or not (rooms in memory).
It is written as a coroutine either way; ``at_once`` runs it up to the first wait, which mostly there is none.
"""

from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

from mikroroom.stores.port import Step


def at_once(work: Coroutine[Any, Any, None]) -> Step:
    """Begin with ``work`` now. None if that was all of it; else the rest, to be awaited.

    Raises what ``work`` raises before its first wait.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return _rest(work, awaited)


async def settled(step: Step) -> None:
    """The step is done, or has raised."""
    if step is not None:
        await step


@coroutine
def _rest(work: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with work that waits for ``awaited``: for its task, it is as if it had begun there."""
    while True:
        try:
            result = yield awaited
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 - a cancellation, say, is for the work to deal with
            go_on = partial(work.throw, error)
        else:
            go_on = partial(work.send, result)
        try:
            awaited = go_on()
        except StopIteration:
            return
