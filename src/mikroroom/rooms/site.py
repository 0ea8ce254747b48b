"""A server whose rooms are administered, as what it can be asked over HTTP."""

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

T = TypeVar("T")


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
            page = read(self.ask("GET", query={"after": after, "limit": TOGETHER}), RoomList)
            rooms += page.rooms
            after = page.next
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
            answer = self._http.request(method, url, params=query, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            why = str(error) or type(error).__name__
            raise SiteError(f"{self._url} cannot be reached: {why}") from None
        if answer.is_success:
            return answer.content
        raise SiteError(_why_not(answer))


def read(answer: bytes, kind: type[T]) -> T:
    """An answer as what it is. Raises SiteError where it is something else."""
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.DecodeError as error:
        raise SiteError(f"The server's answer cannot be read: {error}") from None


def _why_not(answer: httpx.Response) -> str:
    """What a server says that does not do what it was asked for; in its own words, if it has any."""
    try:
        why = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        why = f"the server answers {answer.status_code}, and not as MikroRoom does"
    wait = answer.headers.get("Retry-After", "")
    return f"{why} (in {wait} seconds)" if wait.isdecimal() else why
