"""Calls into the site's own code: bounded in time, and never in the way of a meeting."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any

# So many calls that wait for something may be under way on threads; the next ones wait for one to end.
THREADS = 8


class Foreign:
    """Calls functions that are coroutine functions or not, and waits for them ``timeout`` seconds at most.

    What is no coroutine function may wait for a database, so it gets a thread. Nobody waits for a thread
    that hangs, the end of the process included; but it is one of few.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        # Both belong to the event loop on which was called last.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = asyncio.Semaphore(THREADS)

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns. Raises what it raises, if that is an Exception; or TimeoutError."""
        # In a task of its own: whoever asks may have none yet (``hub.steps``). And not by a timeout in that:
        # a function can make nothing of being cancelled, and go on.
        task = asyncio.create_task(self._call(function, *arguments))
        try:
            await asyncio.wait((task,), timeout=self._timeout)
            if not task.done():
                raise TimeoutError
        finally:
            task.cancel()
        return task.result()

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with contained():
            if is_coroutine_function(function):
                return await function(*arguments)
            result = await self._on_thread(partial(function, *arguments))
            return await result if isinstance(result, Awaitable) else result

    async def _on_thread(self, call: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._free = loop, asyncio.Semaphore(THREADS)
        free = self._free
        await free.acquire()
        done: asyncio.Future[Any] = loop.create_future()
        context = copy_context()

        def run() -> None:
            result, error = None, None
            try:
                result = context.run(call)
            except BaseException as problem:  # noqa: BLE001 - it is for who called
                error = problem
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(finish, result, error)

        def finish(result: Any, error: BaseException | None) -> None:
            free.release()
            if done.done():
                return
            if error is None:
                done.set_result(result)
            elif isinstance(error, StopIteration):
                # A future cannot hold one.
                done.set_exception(RuntimeError("it raised StopIteration"))
            else:
                done.set_exception(error)

        Thread(target=run, name="mikroroom-hook", daemon=True).start()
        return await done


@contextmanager
def contained() -> Iterator[None]:
    """What is done in here ends neither the task nor the process that it is done in.

    Raises:
        RuntimeError: it tried to, as by ``sys.exit``, or by waiting for something that was cancelled.
    """
    try:
        yield
    except (Exception, GeneratorExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is we who are to end
        raise RuntimeError(f"it raised {type(error).__name__}: {error}") from error


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await at once, and holds nothing up."""
    while isinstance(function, partial):
        function = function.func
    call = getattr(function, "__call__", None)  # noqa: B004 - an object's own may be a coroutine function
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
