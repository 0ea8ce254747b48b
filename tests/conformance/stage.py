"""The house: ``Site`` is where its servers are, ``Stage`` is it with everyone whom a test brings."""

import contextlib
import ipaddress
import itertools
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.typing import Origin

from .frames import Wire
from .people import PATIENCE, Message, Person, eventually, new_code


def _addresses() -> Iterator[str]:
    """Loopback addresses not used before; from a random one on, for servers that outlive a run."""
    first = ipaddress.IPv4Address("127.1.0.0") + secrets.randbelow(2**23)
    return (str(first + number) for number in itertools.count())


_unused_addresses = _addresses()

# What holds for all who meet, not only for who makes the room.
_SHARED = frozenset({"password", "resume"})


@dataclass(frozen=True)
class Worker:
    """One of the servers of a site, by its base URL."""

    base_url: str

    @property
    def host(self) -> str:
        """The host name or address."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int:
        """The port, also where the URL leaves it out."""
        parts = urlsplit(self.base_url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def path(self) -> str:
        """The prefix under which the service is; empty at the root."""
        return urlsplit(self.base_url).path.rstrip("/")

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What is needed to trust an https server."""
        return ssl.create_default_context() if self.base_url.startswith("https:") else None

    @property
    def signaling_url(self) -> str:
        """The WebSocket endpoint."""
        return "ws" + self.base_url.removeprefix("http") + "/ws"

    @property
    def is_on_loopback(self) -> bool:
        """Whether everyone can come from an address of their own: all of 127.0.0.0/8 is this machine."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return all(str(address[0]).startswith("127.") for *_, address in found)


@dataclass(frozen=True)
class Site:
    """The workers that serve the same rooms; and if we started them, the ``logs`` of their words and how to
    ``stop`` them all.
    """

    workers: tuple[Worker, ...]
    logs: tuple[Path, ...] = ()
    stop: Callable[[], None] | None = None

    @classmethod
    def at(cls, urls: str) -> Self:
        """The site with these base URLs, which are separated by commas."""
        return cls(tuple(Worker(url.strip().rstrip("/")) for url in urls.split(",")))

    @property
    def is_ours(self) -> bool:
        """Whether we started it, and know its settings."""
        return bool(self.logs)

    @property
    def path(self) -> str:
        """The prefix under which the service is; empty at the root."""
        return self.workers[0].path

    @property
    def is_on_loopback(self) -> bool:
        """Whether everyone can come from an address of their own."""
        return all(worker.is_on_loopback for worker in self.workers)


class Stage:
    """Everyone whom a test brings to one site. They all go home when the test ends.

    Each connection and each HTTP client is another worker's than the one before it, in turn: so people of one
    room sit on different workers, and who comes back does so elsewhere.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._turns = itertools.cycle(site.workers)
        self._workers: dict[Person, Worker] = {}
        self._visitors = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._visitors.aclose()

    def address(self) -> str:
        """An address that nobody has come from yet. Skips the test where the server sees only one."""
        if not self.site.is_on_loopback:
            pytest.skip("needs people from several addresses, which one machine has over loopback only")
        return next(_unused_addresses)

    async def arrives(self, name: str, *, beside: Person | None = None, **how: str | None) -> Person:
        """Someone connects: from a new address, or as told (see ``connects``).

        ``beside`` is to the worker to which that other person did.
        """
        worker = self._workers[beside] if beside else next(self._turns)
        try:
            connection = await self.connects(worker, **how)
        except InvalidStatus as refused:
            self.skip_if_limited(refused.response.status_code)
            raise
        person = Person(name, connection, self._workers if len(self.site.workers) > 1 else ())
        self._workers[person] = worker
        return person

    async def is_turned_away(self, status: int, **how: str | None) -> Response:
        """Someone tries to connect, and the handshake is answered with this HTTP status."""
        with pytest.raises(InvalidStatus) as refused:
            await self.connects(next(self._turns), **how)
        assert refused.value.response.status_code == status
        return refused.value.response

    async def connects(
        self,
        worker: Worker,
        *,
        address: str | None = None,
        origin: str | None = None,
        compression: str | None = None,
        **headers: str | None,
    ) -> ClientConnection:
        """A WebSocket connection to this worker, from a new address unless one is given.

        Raises:
            InvalidStatus: the handshake was refused.
        """
        chosen = self._from(address)
        options: dict[str, Any] = {"local_addr": (chosen, 0)} if chosen else {}
        connection = await connect(
            worker.signaling_url,
            origin=Origin(origin) if origin else None,
            additional_headers={name.replace("_", "-"): value for name, value in headers.items() if value},
            compression=compression,
            proxy=None,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            ping_interval=None,
            max_size=None,
            max_queue=None,  # a person always reads; who does not is a Wire
            ssl=worker.tls,
            **options,
        )
        self._visitors.push_async_callback(_go_home, connection)
        return connection

    async def meeting(self, *names: str, **fields: object) -> list[Person]:
        """These people in a new ad-hoc room, all up to date. The first makes it, with ``fields``, as host.

        The others bring the password too, and with ``resume`` they all may come back.
        """
        first, *others = [await self.arrives(name) for name in names]
        await first.joins(new_code(), **{"isHost": True, **fields})
        present = [first]
        for person in others:
            await self.enters(person, present, **{k: v for k, v in fields.items() if k in _SHARED})
            present.append(person)
        return present

    async def locked_meeting(self, *names: str, **fields: object) -> list[Person]:
        """A meeting whose host has locked it; everyone has heard so."""
        people = await self.meeting(*names, **fields)
        await people[0].says("room-locked")
        for person in people:
            await person.hears("room-locked", lockedBy=people[0].id)
        return people

    async def enters(self, person: Person, present: list[Person], **fields: object) -> None:
        """A person joins the room of those present, and all hear what they should (R9)."""
        await person.joins(present[0].room, **fields)
        for other in present:
            await person.hears("participant-joined", participantId=other.id, name=other.name)
            await other.hears("participant-joined", participantId=person.id, name=person.name)

    async def newcomer(self, name: str, *present: Person, **fields: object) -> Person:
        """Someone arrives and enters the room of those present."""
        person = await self.arrives(name)
        await self.enters(person, list(present), **fields)
        return person

    async def waiting(self, name: str, *moderators: Person, **fields: object) -> Person:
        """Someone arrives and waits before the room of these moderators, who hear of it."""
        person = await self.arrives(name)
        await person.knocks(moderators[0].room, **fields)
        for moderator in moderators:
            await moderator.hears("waiting-room", participantId=person.id, name=name)
        return person

    async def comes_back(self, lost: Person, *others: Person, **fields: object) -> Person:
        """Someone takes its place again on a new connection, and the others hear so (R42)."""
        person = await self.arrives(lost.name)
        await person.resumes(lost, **fields)
        for other in others:
            await other.hears("participant-updated", participantId=person.id, isConnected=True)
        return person

    async def successor(self, name: str, lost: Person, **fields: object) -> Person:
        """Someone enters the room of one who was alone and is lost, and is its host (R4).

        Who comes before the loss is noticed is a guest, or waits: it goes as well, and someone else comes.
        """
        came: list[Person] = []

        async def is_host() -> bool:
            person = await self.arrives(name)
            came.append(person)
            await person.asks_to_join(lost.room, **fields)
            answer = await person.hears_something()
            person.id, person.room = answer["participantId"], answer["roomId"]
            if answer.get("isHost"):
                return True
            await person.vanishes()
            return False

        await eventually(is_host)
        return came[-1]

    async def room(self, **fields: object) -> Message:
        """A pre-created room: its ``roomId`` and ``creatorToken``."""
        response = await self.posts_room(json=fields)
        assert response.status_code == 201, response.text
        created: Message = response.json()
        return created

    async def posts_room(self, **request: Any) -> httpx.Response:
        """The answer to ``POST /api/rooms``. Skips the test if somebody else's server makes no more rooms."""
        response = await self.http().post("/api/rooms", **request)
        if response.status_code == 429 and not self.site.is_ours:
            pytest.skip(f"the server makes no more rooms: {response.text}")
        return response

    async def health(self) -> Message:
        """What ``GET /health`` says."""
        health: Message = (await self.http().get("/health")).json()
        return health

    def http(self, address: str | None = None) -> httpx.AsyncClient:
        """An HTTP client, from a new address unless one is given."""
        worker = next(self._turns)
        transport = httpx.AsyncHTTPTransport(
            local_address=self._from(address), verify=worker.tls or False, trust_env=False
        )
        client = httpx.AsyncClient(
            transport=transport,
            base_url=worker.base_url,
            event_hooks={"response": [self._look_for_limit]},
            timeout=PATIENCE,
            trust_env=False,
        )
        self._visitors.push_async_callback(client.aclose)
        return client

    async def wire(self, *, receive_buffer: int | None = None) -> Wire:
        """A bare connection for frames made by hand: no handshake has happened yet."""
        worker = next(self._turns)
        wire = await Wire.to(worker.host, worker.port, self._from(None), worker.tls, PATIENCE, receive_buffer)
        self._visitors.callback(wire.cut)
        return wire

    async def upgraded(self, *, receive_buffer: int | None = None) -> Wire:
        """A bare connection that has become a WebSocket."""
        wire = await self.wire(receive_buffer=receive_buffer)
        status = await wire.becomes_websocket(self.site.path + "/ws")
        self.skip_if_limited(status)
        assert status == 101
        return wire

    def skip_if_limited(self, status: int) -> None:
        """A server that sees one address only has every right to say that too much comes from there."""
        if status == 429 and not self.site.is_on_loopback:
            pytest.skip("the server has limits per address, and sees only one from here")

    async def _look_for_limit(self, response: httpx.Response) -> None:
        if "Retry-After" in response.headers:
            self.skip_if_limited(response.status_code)

    def _from(self, address: str | None) -> str | None:
        return address or (self.address() if self.site.is_on_loopback else None)


async def _go_home(connection: ClientConnection) -> None:
    """End without a closing handshake: a server at odds with one client should not hold up the tests."""
    if not connection.connection_lost_waiter.done():  # asyncio stumbles over who is gone and then aborted
        connection.transport.abort()
    await connection.wait_closed()
