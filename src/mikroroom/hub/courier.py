"""Webhooks: what happens in rooms is sent to the site, one event at a time, in order, until it is taken.

The store keeps what is owed, so that neither a receiver that is down nor a restart loses anything; meetings
never wait. Of several workers one is the courier. Each event may be sent more than once, under the same id.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from httpcore import AsyncNetworkStream  # here, or httpx would load it when the first event is sent

from mikroroom import __version__
from mikroroom.clock import wall_ms
from mikroroom.core.chronicle import RoomEvent, to_drop
from mikroroom.logs import Line
from mikroroom.meters import Meters
from mikroroom.protocol.codes import Refusal
from mikroroom.settings import Settings
from mikroroom.stores.port import Chronicle
from mikroroom.webhooks import sign

log = logging.getLogger(__name__)

# Seconds: to connect, and for all of one attempt.
CONNECT_PATIENCE = 5.0
PATIENCE = 15.0
# Seconds for which a connection is used again: servers close those that are idle, and many do so after five.
KEPT_ALIVE = 3.0
# Nobody needs the answer but for its status: of what else it says so many bytes are read, for so many
# seconds, so that the connection can be used again.
MOST_ANSWER = 4_096
ANSWER_PATIENCE = 1.0
# Seconds between two attempts: the first time, and at most. What the receiver asks for counts within that.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
# Seconds between two looks at what there is to send, and between two at how much waits.
LOOK_EVERY = 0.2
TEND_EVERY = 1.0
# Seconds after which the log says again that nothing is taken.
TELL_AGAIN = 600.0
# Seconds that a stop gives to what still waits.
STOP_PATIENCE = 1.0


class _Gone(Exception):
    """The receiver wants no more (410)."""


class _NotTaken(Exception):
    """An attempt failed: why, and after how many seconds the receiver wants the next one, if it said so."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class Courier:
    """See the module, and ``outside.Listener``. The settings must have a ``webhook_url``."""

    def __init__(
        self,
        settings: Settings,
        chronicle: Chronicle,
        meters: Meters,
        random: Random,
        wall: Callable[[], int] = wall_ms,
    ) -> None:
        self._url = settings.webhook_url
        self._secret = settings.webhook_secret
        self._backlog = settings.webhook_backlog
        self._chronicle = chronicle
        self._meters = meters
        self._random = random
        self._wall = wall
        self._host = urlsplit(settings.webhook_url).hostname
        self._encode = msgspec.json.Encoder().encode
        # It takes twenty milliseconds to read all authorities: now, while there is nobody to hold up.
        self._authorities = httpx.create_ssl_context(trust_env=False)
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        # Which is sent next, and which are dropped, is not found out at the same time.
        self._choosing = asyncio.Lock()
        self._is_courier = False
        self._is_gone = False
        self._is_stopping = False
        # How often in a row nothing was taken, when the log last said so; whether it has told of dropping.
        self._failures = 0
        self._told_at = float("-inf")
        self._is_overfull = False
        # How many were left after that, where they were more than there should be.
        self._left = 0

    def start(self) -> None:
        """See ``outside.Listener``."""
        self._is_stopping = self._is_gone = False
        self._news, self._choosing = asyncio.Event(), asyncio.Lock()
        self._tasks = [asyncio.create_task(self._tend()), asyncio.create_task(self._send_all())]

    def tell(self, event: RoomEvent) -> None:
        """See ``outside.Listener``. What is to be sent is in the store; this is only the news that it is."""
        self._news.set()

    async def stop(self) -> None:
        """See ``outside.Listener``. What is not sent by then is sent after the restart."""
        tasks, self._tasks = self._tasks, []
        if not tasks or tasks[0].get_loop() is not asyncio.get_running_loop():
            return  # what was under way has ended with its event loop
        self._is_stopping = True
        self._news.set()
        await asyncio.wait(tasks[1:], timeout=STOP_PATIENCE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(Refusal, TimeoutError):
            async with asyncio.timeout(STOP_PATIENCE):
                await self._chronicle.resign()

    async def _tend(self) -> None:
        """See that nobody else sends meanwhile, and that what waits does not grow for ever."""
        while True:
            try:
                self._is_courier = await self._chronicle.is_courier()
                if self._is_courier:
                    await self._measure()
                else:
                    self._meters.webhooks_waiting, self._meters.webhooks_age = 0, 0.0
            except Refusal:
                self._is_courier = False
            except Exception:
                # A fault of ours must not be the end of it.
                log.exception(Line("webhook-fault"))
            await asyncio.sleep(TEND_EVERY)

    async def _measure(self) -> None:
        owed = await self._chronicle.owed(1)
        self._meters.webhooks_waiting = owed.total
        age = self._wall() - owed.events[0].timestamp if owed.events else 0
        self._meters.webhooks_age = max(age, 0) / 1_000
        if owed.total <= self._backlog:
            self._is_overfull = self._is_overfull and owed.total > self._backlog // 2
            self._left = 0
            return
        if owed.total <= self._left + self._backlog // 10:
            return  # little can have come that may be dropped, and to look at them all is work
        async with self._choosing:
            waiting = await self._chronicle.all_owed()
            # The first is being sent. It may have been taken already, so that its other half must follow.
            dropped = to_drop(waiting[1:], self._backlog - self._backlog // 10)
            await self._chronicle.settle(dropped)
        self._left = len(waiting) - len(dropped)
        self._meters.webhooks_dropped += len(dropped)
        if not self._is_overfull:
            self._is_overfull = True
            log.warning(
                Line(
                    "webhook-overfull",
                    host=self._host,
                    waiting=owed.total,
                    dropped=len(dropped),
                    effect="visits and meetings that are over are not told, the oldest first",
                )
            )

    async def _send_all(self) -> None:
        timeout = httpx.Timeout(PATIENCE, connect=CONNECT_PATIENCE)
        limits = httpx.Limits(keepalive_expiry=KEPT_ALIVE)
        # Where it goes is what the settings say: no proxy out of the environment, no password of a .netrc.
        async with httpx.AsyncClient(
            timeout=timeout,
            limits=limits,
            follow_redirects=False,
            trust_env=False,
            verify=self._authorities,
        ) as client:
            while not self._is_gone:
                try:
                    sent = await self._send_next(client)
                except Refusal:
                    sent = False  # the store is out of reach
                except Exception:
                    log.exception(Line("webhook-fault"))
                    sent = False
                if not sent:
                    await self._rest()
                    if self._is_stopping and not await self._has_more():
                        return

    async def _rest(self) -> None:
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await self._news.wait()

    async def _has_more(self) -> bool:
        """Asked at a stop: what has just happened may not be on the disk yet, and is soon."""
        with suppress(Refusal):
            return self._is_courier and (await self._chronicle.owed(1)).total > 0
        return False

    async def _send_next(self, client: httpx.AsyncClient) -> bool:
        """Send what has waited longest. Returns whether it was taken."""
        if not self._is_courier:
            return False
        async with self._choosing:
            owed = await self._chronicle.owed(1)
        if not owed.events or not await self._send(client, owed.events[0]):
            return False
        async with self._choosing:
            await self._chronicle.settle([owed.events[0].id])
        return True

    async def _send(self, client: httpx.AsyncClient, event: RoomEvent) -> bool:
        """Send one until it is taken. Returns False where that is not for this worker any more."""
        body = self._encode(event)
        while self._is_courier:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._attempt(client, event.id, body)
            except _Gone:
                self._is_gone = True
                log.error(Line("webhook-gone", host=self._host, effect="nothing is sent until a restart"))
                return False
            except (_NotTaken, httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
                await self._note_failure(error)
            else:
                self._note_success()
                return True
        return False

    async def _attempt(self, client: httpx.AsyncClient, event_id: str, body: bytes) -> None:
        now = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": f"MikroRoom/{__version__}",
            "webhook-id": event_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(self._secret, event_id, now, body),
        }
        request = client.stream(
            "POST",
            self._url,
            content=body,
            headers=headers,
            extensions={"trace": _closing_what_is_given_up()},
        )
        async with request as response:
            if response.status_code == httpx.codes.GONE:
                raise _Gone
            if not response.is_success:
                wanted = _seconds(response.headers.get("retry-after", ""), now)
                raise _NotTaken(f"status {response.status_code}", wanted)
            with suppress(httpx.HTTPError, TimeoutError):
                async with asyncio.timeout(ANSWER_PATIENCE):
                    await _read_a_little(response)

    async def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        self._meters.webhook_failures += 1
        now = time.monotonic()
        if self._failures == 1 or now - self._told_at >= TELL_AGAIN:
            self._told_at = now
            log.warning(
                Line(
                    "webhook-failing",
                    host=self._host,
                    problem=str(error) or type(error).__name__,
                    attempts=self._failures,
                    effect="it is sent again, and what follows waits",
                )
            )
        await asyncio.sleep(self._pause(error))

    def _pause(self, error: Exception) -> float:
        wanted = error.retry_after if isinstance(error, _NotTaken) else None
        if wanted is not None:
            return min(max(wanted, FIRST_PAUSE), LONGEST_PAUSE)
        longest = min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 16), LONGEST_PAUSE)
        # Many who were told no at the same time must not come back at the same time.
        return longest * (0.75 + self._random.random() / 4)

    def _note_success(self) -> None:
        self._meters.webhooks_delivered += 1
        if self._failures:
            log.info(Line("webhook-recovered", host=self._host, attempts=self._failures))
            self._failures = 0


def _closing_what_is_given_up() -> Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]:
    """For httpcore to tell of a connection: it leaves it open if cancelled while TLS is agreed upon."""
    connection: AsyncNetworkStream | None = None

    async def watch(event: str, about: dict[str, Any]) -> None:
        nonlocal connection
        if event == "connection.connect_tcp.complete":
            connection = about["return_value"]
        elif event == "connection.start_tls.failed" and connection is not None:
            await connection.aclose()

    return watch


async def _read_a_little(response: httpx.Response) -> None:
    size = 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > MOST_ANSWER:
            return


def _seconds(retry_after: str, now: int) -> float | None:
    """What ``Retry-After`` asks for (RFC 9110, 10.2.3); None if it says nothing that can be understood."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        moment: float = parsedate_to_datetime(retry_after).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return moment - now
