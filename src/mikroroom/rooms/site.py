"""A server whose rooms are administered, as what it can be asked over HTTP."""

import time
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from mikroroom.protocol.administration import RoomDetail, RoomList, RoomSummary

# Seconds within which a server answers.
PATIENCE = 15.0
# So many rooms are asked for at once.
TOGETHER = 500

# Bytes of an answer, far beyond those of any, and seconds that all of it may take.
LONGEST = 67_108_864
LAST = 60.0

# Of what a server says that does not do what it was asked for.
WHY_LENGTH = 500

T = TypeVar("T")


class Problem(msgspec.Struct):
    """What an answer says that refuses."""

    error: str


class SiteError(Exception):
    """What was asked for was not done: in a line, why."""


class Site:
    """The server at ``url``, asked by whoever has this ``token``. All of it raises SiteError."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "mikroroom rooms"}
        self._url = url.rstrip("/")
        try:
            self._http = httpx.Client(headers=headers, timeout=PATIENCE)
        except (httpx.InvalidURL, ValueError) as error:
            raise SiteError(str(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def rooms(self) -> list[RoomSummary]:
        """All rooms, by code."""
        rooms: list[RoomSummary] = []
        after: str | msgspec.UnsetType = ""
        while isinstance(after, str):
            before = after
            page = read(self.ask("GET", query={"after": after, "limit": TOGETHER}), RoomList)
            rooms += page.rooms
            after = page.next
            if isinstance(after, str) and after <= before:
                raise SiteError("The server's answer cannot be read: it would never end")
        return rooms

    def room(self, code: str) -> RoomDetail:
        """One room, with its people."""
        return read(self.ask("GET", code), RoomDetail)

    def link(self, code: str, token: str) -> str:
        """Where somebody with this invite is to go: the room page takes what follows the ``#``."""
        return f"{self._url}/#{code}/{token}"

    def ask(
        self, method: str, *path: str, query: dict[str, Any] | None = None, body: dict[str, Any] | None = None
    ) -> bytes:
        """Ask something of ``/api/rooms`` and what is below. Returns the answer, in JSON."""
        url = "/".join([self._url, "api", "rooms", *(quote(part, safe="") for part in path)])
        try:
            with self._http.stream(method, url, params=query, json=body) as answer:
                content = _whole(answer)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            why = str(error) or type(error).__name__
            raise SiteError(f"{self._url} cannot be reached: {why}") from None
        if answer.is_success:
            return content
        raise SiteError(_why_not(answer, content))


def read(answer: bytes, kind: type[T]) -> T:
    """An answer as what it is. Raises SiteError where it is something else."""
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SiteError(f"The server's answer cannot be read: {error}") from None


def _whole(answer: httpx.Response) -> bytes:
    """All of an answer. Raises SiteError where it has no end."""
    ends = time.monotonic() + LAST
    content = bytearray()
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > LONGEST or time.monotonic() > ends:
            raise SiteError("The server's answer is too long")
    return bytes(content)


def _why_not(answer: httpx.Response, content: bytes) -> str:
    """What a server says that does not do what it was asked for; in its own words, if it has any."""
    try:
        why = read(content, Problem).error[:WHY_LENGTH]
    except SiteError:
        why = f"the server answers {answer.status_code}, and not as MikroRoom does"
    wait = answer.headers.get("Retry-After", "")
    return f"{why} (in {wait} seconds)" if wait.isdecimal() and len(wait) < 10 else why
