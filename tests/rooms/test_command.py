"""``mikroroom rooms`` with a server that runs, and people on it."""

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from mikroroom import Settings, create_app
from mikroroom.client import Client
from mikroroom.protocol import events
from mikroroom.rooms import main, site

TOKEN = "the-token-of-the-site"
CODE = "ABC234"

Out = pytest.CaptureFixture[str]


class Desk:
    """A server, and the terminal of whoever administers it."""

    def __init__(self, url: str, out: Out) -> None:
        self.url = url
        self.signaling = url.replace("http", "ws", 1) + "/ws"
        self._out = out

    async def types(self, *words: str, code: int = 0, **environ: str) -> str:
        """What ``mikroroom rooms`` says to this: on stderr if it fails."""
        environ = {"MIKROROOM_URL": self.url, "MIKROROOM_ADMIN_TOKEN": TOKEN, **environ}
        try:
            done = await asyncio.to_thread(main, words, environ)
        except SystemExit as end:
            done = int(str(end.code))
        told = self._out.readouterr()
        assert done == code, told
        assert not (told.out if code else told.err)
        return told.err if code else told.out


@pytest.fixture
async def desk(serve: Callable[..., Awaitable[str]], capsys: Out) -> Desk:
    settings = Settings(admin_token=TOKEN, connections_per_minute=0, guesses_per_minute=3)
    return Desk(await serve(create_app(settings)), capsys)


@pytest.fixture
async def people(desk: Desk) -> AsyncIterator[list[Client]]:
    """Ada and Bob, who have met."""
    async with AsyncExitStack() as stack:
        both = []
        for name in ("Ada", "Bob"):
            client = await stack.enter_async_context(Client.connect(desk.signaling))
            await client.join(CODE, name, is_host=True)
            both.append(client)
        yield both


async def hears(client: Client, kind: type[events.Message]) -> events.Message:
    while not isinstance(heard := await client.receive(), kind):
        pass
    return heard


async def test_rooms_are_listed_and_shown(desk: Desk, people: list[Client]) -> None:
    async with httpx.AsyncClient() as http:
        await http.post(f"{desk.url}/api/rooms", json={"roomId": "AAA234"})
    listed = (await desk.types("list")).splitlines()
    assert [line.split()[:3] for line in listed] == [
        ["ROOM", "STATE", "PEOPLE"],
        ["AAA234", "latent", "0"],
        [CODE, "active", "2"],
    ]
    assert [room["roomId"] for room in json.loads(await desk.types("list", "--json"))["rooms"]] == [
        "AAA234",
        CODE,
    ]
    shown = await desk.types("show", CODE.lower())
    assert f"Room {CODE}" in shown and "Bob" in shown and people[1].id and people[1].id in shown
    assert len(json.loads(await desk.types("show", CODE, "--json"))["participants"]) == 2


async def test_more_rooms_than_an_answer_holds_are_listed_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mikroroom.rooms.site.TOGETHER", 2)
    async with httpx.AsyncClient() as http:
        for number in range(5):
            await http.post(f"{desk.url}/api/rooms", json={"roomId": f"AAAAA{number}"})
    assert len((await desk.types("list")).splitlines()) == 6


async def test_a_room_is_changed(desk: Desk, people: list[Client], tmp_path: Path) -> None:
    ada, bob = people
    assert await desk.types("lock", CODE) == "Newcomers wait now.\n"
    await hears(ada, events.RoomLocked)
    assert await desk.types("unlock", CODE) == "Newcomers enter now.\n"
    await hears(ada, events.RoomUnlocked)
    (tmp_path / "password").write_text("sesame\n")
    shown = await desk.types("set", CODE, "--size", "3", "--password-file", str(tmp_path / "password"))
    assert "2 of 3" in shown and "password  yes" in shown
    assert "password  no" in await desk.types("set", CODE, "--no-password")
    assert await desk.types("moderator", CODE, "bob") == "Bob is a moderator.\n"
    await hears(bob, events.ModeratorAction)
    assert await desk.types("moderator", CODE, "Bob", "--undo") == "Bob is no moderator any more.\n"
    assert await desk.types("moderator", CODE, "Ada", "--undo", code=1) == (
        "mikroroom rooms: The host of a room is always a moderator\n"
    )


async def test_people_are_admitted_removed_and_banned(desk: Desk, people: list[Client]) -> None:
    ada, bob = people
    await desk.types("lock", CODE)
    async with Client.connect(desk.signaling) as cleo:
        assert isinstance(await cleo.join(CODE, "Cleo"), events.WaitingRoom)
        assert await desk.types("admit", CODE, "Cleo") == "Cleo is in the room.\n"
        await hears(cleo, events.ParticipantJoined)
        assert await desk.types("remove", CODE, "Cleo") == "Cleo was removed.\n"
        await hears(cleo, events.ModeratorAction)
    assert bob.id is not None
    said = await desk.types("ban", CODE, bob.id[:8], "--for", "2h")
    assert said.startswith("Bob was removed. The ban ends in 2 hours; its id is ")
    ban_id = said.split()[-1].rstrip(".")
    assert "BANNED" in await desk.types("show", CODE)
    assert await desk.types("lift", CODE, ban_id) == "The ban is lifted.\n"
    assert "BANNED" not in await desk.types("show", CODE)
    assert await desk.types("end", CODE, "--reason", "Lunch", "--json") == ""
    farewell = await hears(ada, events.RejectUser)
    assert isinstance(farewell, events.RejectUser) and farewell.reason == "Lunch"
    assert await desk.types("list") == "There are no rooms.\n"


async def test_invites_are_made_listed_and_revoked(desk: Desk, people: list[Client]) -> None:
    arguments = ("--moderator", "--skips-waiting", "--label", "the board\x9b2J", "--for", "2d")
    link = await desk.types("invite", CODE, *arguments)
    assert f"/#{CODE}/inv_" in link and link.startswith("http://") and link.count("\n") == 1
    listed = await desk.types("invites", CODE)
    assert "the board�2J  moderator  yes" in listed and "in 2 days" in listed
    assert "\x9b" not in await desk.types("invites", CODE, "--json")
    assert await desk.types("revoke", CODE, listed.split()[-1]) == "Nobody can come in by it any more.\n"
    assert await desk.types("invites", CODE) == "There are no invites.\n"


async def test_whoever_is_meant_must_be_one(desk: Desk, people: list[Client]) -> None:
    async with Client.connect(desk.signaling) as other:
        await other.join(CODE, "Bob")
        told = await desk.types("remove", CODE, "Bob", code=1)
    assert told.startswith(f"mikroroom rooms: 2 people in {CODE} are 'Bob'; say which id: ")
    assert await desk.types("remove", CODE, "Zoe", code=1) == f"mikroroom rooms: nobody in {CODE} is 'Zoe'\n"


async def test_a_creators_token_does_for_its_room(desk: Desk, tmp_path: Path) -> None:
    async with httpx.AsyncClient() as http:
        made = await http.post(f"{desk.url}/api/rooms", json={"roomId": CODE})
    (tmp_path / "token").write_text(made.json()["creatorToken"] + "\n")
    given = ("--token-file", str(tmp_path / "token"))
    assert f"Room {CODE}" in await desk.types("show", CODE, *given)
    assert await desk.types("list", *given, code=1) == "mikroroom rooms: This token does not allow that\n"


async def test_a_token_may_be_typed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TOKEN}\n"))
    told = await desk.types("list", "--token-file", "-", MIKROROOM_ADMIN_TOKEN="")
    assert told == "There are no rooms.\n"


async def test_wrong_tokens_are_told_and_then_to_wait(desk: Desk) -> None:
    for _ in range(3):
        assert "does not allow" in await desk.types("list", MIKROROOM_ADMIN_TOKEN="wrong", code=1)
    told = await desk.types("list", code=1)
    assert told.startswith("mikroroom rooms: Too many requests. Please try again later. (in ")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "COMMAND"),
        (("dance", CODE), "dance"),
        (("show",), "CODE"),
        (("show", CODE, "more"), "more"),
        (("set", CODE), "what is to be set?"),
        (("set", CODE, "--size", "x"), "x"),
        (("set", CODE, "--password-file", "/nowhere/at all"), "cannot be read"),
        (("ban", CODE, "Bob", "--for", "ever"), "'ever' is no time"),
        (("ban", CODE, "Bob", "--for", "0h"), "'0h' is no time"),
        (("list", "--token-file", "/nowhere/at all"), "/nowhere/at all cannot be read"),
    ],
)
async def test_what_is_not_understood_is_said(desk: Desk, words: tuple[str, ...], what: str) -> None:
    assert what in await desk.types(*words, code=2)


async def test_without_a_token_it_is_said_where_one_is_looked_for(desk: Desk) -> None:
    assert "--token-file FILE, or MIKROROOM_ADMIN_TOKEN" in await desk.types(
        "list", MIKROROOM_ADMIN_TOKEN="", code=2
    )
    assert "characters" in await desk.types("list", MIKROROOM_ADMIN_TOKEN="a\nb", code=2)


async def test_a_server_that_is_not_there_is_said_so_in_a_line(desk: Desk) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        told = await desk.types("list", "--url", nowhere, code=1)
    assert told.startswith(f"mikroroom rooms: {nowhere} cannot be reached: ") and told.count("\n") == 1
    for url in ("nonsense", "http://[", "ftp://127.0.0.1"):
        assert "cannot be reached" in await desk.types("list", "--url", url, code=1)


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (200, b"<html>", "cannot be read"),
        (200, b'{"rooms": 1}', "cannot be read"),
        (502, b"<html>", "answers 502"),
        (404, b'{"error": "Not\\u001bFound"}', "Not�Found"),
        (200, b'{"rooms": [], "next": "\xff"}', "cannot be read"),
        (200, b'{"rooms": [], "next": ' + b"[" * 100_000, "cannot be read"),
        (200, b'{"rooms": [], "next": ""}', "never end"),
        (500, b'{"error": ' + b"[" * 100_000, "answers 500"),
        (500, b'{"error": "' + b"x" * 100_000 + b'"}', "x" * 500 + "\n"),
    ],
)
async def test_another_server_is_told_from_ours(desk: Desk, status: int, body: bytes, what: str) -> None:
    with answering(status, body) as url:
        told = await desk.types("list", "--url", url, code=1)
    assert what in told and told.count("\n") == 1


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 100_000])
async def test_an_answer_for_programs_is_json_or_none(desk: Desk, body: bytes) -> None:
    with answering(200, body) as url:
        told = await desk.types("lock", "ABC123", "--json", "--url", url, code=1)
    assert "cannot be read" in told and told.count("\n") == 1


async def test_an_answer_without_an_end_is_not_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "LONGEST", 1_000)
    with answering(200, b" " * 1_001) as url:
        assert "too long" in await desk.types("list", "--url", url, code=1)
    monkeypatch.setattr(site, "LAST", -1.0)
    with answering(200, b"{}") as url:
        assert "too long" in await desk.types("list", "--url", url, code=1)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that gives this answer to one request, whatever it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        thread.join()


async def test_it_is_a_command_of_mikroroom(desk: Desk) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MIKROROOM_")}
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mikroroom", "rooms", "list"),
        env={**inherited, "MIKROROOM_URL": desk.url, "MIKROROOM_ADMIN_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
    )
    out, _ = await done.communicate()
    assert (done.returncode, out) == (0, b"There are no rooms.\n")
