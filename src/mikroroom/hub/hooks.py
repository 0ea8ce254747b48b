"""``on_event``: a function of the site around the service that is told what happens in rooms.

It is told in the process where it happened, one event after the other, and once: what it misses is not said
again. Whatever it does, no meeting waits for it.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from mikroroom.core.chronicle import RoomEvent
from mikroroom.hub.foreign import contained, is_coroutine_function
from mikroroom.logs import Line
from mikroroom.meters import Meters

log = logging.getLogger(__name__)

OnEvent = Callable[[RoomEvent], Awaitable[None] | None]

# So many events may wait for the function; those that come then are not told.
MOST_WAITING = 1_000
# Seconds that a stop gives to what still waits.
STOP_PATIENCE = 1.0


class EventHook:
    """See the module, and ``outside.Listener``. Each call may take ``timeout`` seconds."""

    def __init__(self, on_event: OnEvent, timeout: float, meters: Meters) -> None:
        self._on_event = on_event
        self._timeout = timeout
        self._meters = meters
        self._is_async = is_coroutine_function(on_event)
        self._waiting: deque[RoomEvent] = deque()
        # Both belong to the event loop on which this was started last.
        self._news, self._is_idle = asyncio.Event(), asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        self._thread: _HookThread | None = None
        self._is_overflowing = False

    def start(self) -> None:
        """See ``outside.Listener``."""
        self._news, self._is_idle = asyncio.Event(), asyncio.Event()
        self._news.set()
        self._telling = asyncio.create_task(self._tell_all())

    def tell(self, event: RoomEvent) -> None:
        """See ``outside.Listener``."""
        if len(self._waiting) >= MOST_WAITING:
            self._meters.hook_failures["overflow"] += 1
            if not self._is_overflowing:
                self._is_overflowing = True
                log.error(
                    Line("hook-overflow", waiting=MOST_WAITING, effect="it is not told until it keeps up")
                )
            return
        self._waiting.append(event)
        self._news.set()
        self._is_idle.clear()

    async def stop(self) -> None:
        """See ``outside.Listener``."""
        telling, self._telling = self._telling, None
        if telling is None or telling.get_loop() is not asyncio.get_running_loop():
            return  # what was under way has ended with its event loop
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_PATIENCE):
                await self._is_idle.wait()
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    async def _tell_all(self) -> None:
        while True:
            await self._news.wait()
            while self._waiting:
                await self._call(self._waiting.popleft())
            self._is_overflowing = False
            self._news.clear()
            self._is_idle.set()

    async def _call(self, event: RoomEvent) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                with contained():
                    outcome = self._on_event(event) if self._is_async else await self._in_thread(event)
                    if inspect.isawaitable(outcome):
                        await outcome
        except TimeoutError:
            self._meters.hook_failures["timeout"] += 1
            log.error(Line("hook-timeout", hook="on_event", event_type=event.type, seconds=self._timeout))
        except Exception:
            self._meters.hook_failures["exception"] += 1
            log.exception(Line("hook-failed", hook="on_event", event_type=event.type))

    async def _in_thread(self, event: RoomEvent) -> Awaitable[None] | None:
        """One that is still at an earlier call is waited for: it is never called twice at a time."""
        self._thread = self._thread or _HookThread(self._on_event)
        return await self._thread.call(event)


class _HookThread:
    """A thread for a function that may take its time, or never return. No end of a process waits for it."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._calls: SimpleQueue[tuple[RoomEvent, asyncio.Future[Awaitable[None] | None]] | None] = (
            SimpleQueue()
        )
        Thread(target=self._work, name="mikroroom-hook", daemon=True).start()

    async def call(self, event: RoomEvent) -> Awaitable[None] | None:
        """What the function returns, or raises. One whose caller waits no longer is not begun."""
        done: asyncio.Future[Awaitable[None] | None] = asyncio.get_running_loop().create_future()
        self._calls.put((event, done))
        return await done

    def stop(self) -> None:
        """Nothing more will be asked for."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            event, done = call
            if done.cancelled():
                continue
            outcome: Awaitable[None] | None = None
            failure: BaseException | None = None
            try:
                outcome = self._on_event(event)
            except BaseException as error:  # noqa: BLE001 - it is for who asked
                # A future cannot hold the one.
                is_held = not isinstance(error, StopIteration)
                failure = error if is_held else RuntimeError("it raised StopIteration")
            with suppress(RuntimeError):  # the loop has ended meanwhile
                done.get_loop().call_soon_threadsafe(_answer, done, outcome, failure)


def _answer(
    done: "asyncio.Future[Awaitable[None] | None]",
    outcome: Awaitable[None] | None,
    failure: BaseException | None,
) -> None:
    if done.done():
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(outcome)
