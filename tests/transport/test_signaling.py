"""``/ws`` over plain ASGI, on whatever server: handshakes refused and accepted, bad frames, ends."""

import asyncio
import logging
from pathlib import Path

import pytest
from starlette.applications import Starlette

from mikroroom.transport import connection as connections
from mikroroom.transport.headers import SECURITY_HEADERS

from .asgi import ELSEWHERE, HERE, PATIENCE, Caller, visit
from .conftest import AppWith

CODE = "ABC234"


async def joined(app: Starlette, peer: str = HERE, **fields: object) -> Caller:
    caller = await Caller(app, peer=peer).is_accepted()
    caller.says("join", **{"roomId": CODE, "name": "Ada", "isHost": True, **fields})
    assert (await caller.hears_text())["type"] == "participant-joined"
    return caller


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# Handshakes


async def test_too_many_connections_are_refused_before_they_are_made(app_with: AppWith) -> None:
    app = app_with(connections_per_minute=1)
    await Caller(app).is_accepted()
    caller = Caller(app)
    response = await caller.is_denied()
    assert response.status_code == 429
    assert response.json() == {"error": "Too many requests. Please try again later."}
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["X-Frame-Options"] == SECURITY_HEADERS["X-Frame-Options"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    await caller.ends()
    await Caller(app, peer=ELSEWHERE).is_accepted()


async def test_a_foreign_origin_is_refused(app_with: AppWith) -> None:
    app = app_with(allowed_origins=("https://meet.example",), connections_per_minute=1)
    for origin in ("https://evil.example", "null", "", "https://meet.example/"):
        response = await Caller(app, origin=origin).is_denied()
        assert response.status_code == 403
        assert response.json() == {"error": "This origin is not allowed"}
        assert response.headers["Vary"] == "Origin"
    await Caller(app, origin="https://meet.example").is_accepted()


async def test_a_client_without_an_origin_is_no_page(app_with: AppWith) -> None:
    await Caller(app_with(allowed_origins=("https://meet.example",))).is_accepted()


async def test_a_server_that_cannot_refuse_with_a_status_closes(app_with: AppWith) -> None:
    app = app_with(connections_per_minute=1, allowed_origins=("https://meet.example",))
    await Caller(app).is_accepted()
    for refused in (Caller(app, can_deny=False), Caller(app, can_deny=False, origin="https://evil.example")):
        assert await refused.is_closed() == 1008
        await refused.ends()


@pytest.mark.parametrize("path", ["/", "/health", "/nope", "/ws/"])
async def test_there_is_no_signaling_anywhere_else(app: Starlette, path: str) -> None:
    caller = Caller(app, path)
    heard = await caller.hears()
    assert heard["type"] in {"websocket.http.response.start", "websocket.close"}
    await caller.ends()


async def test_a_client_gone_before_the_handshake_ended_leaves_nothing(
    app: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    caller = Caller(app)
    caller.is_reading.clear()
    await asyncio.sleep(0)
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.task
    assert app.state.hub.roster._people == {}
    assert errors_in(caplog) == []


async def test_a_server_that_is_stopping_lets_nobody_in_and_goes_on_with_who_is_there(app: Starlette) -> None:
    ada = await joined(app)
    app.state.hub.is_stopping = True
    caller = Caller(app, peer=ELSEWHERE)
    response = await caller.is_denied()
    assert response.status_code == 503
    assert response.json() == {"error": "The server is stopping"}
    assert response.headers["Retry-After"] == "1"
    assert response.headers["X-Frame-Options"] == SECURITY_HEADERS["X-Frame-Options"]
    await caller.ends()
    assert await Caller(app, peer=ELSEWHERE, can_deny=False).is_closed() == 1008
    ada.says("chat", text="still here")
    assert (await ada.hears_text())["text"] == "still here"


async def test_a_refusal_while_stopping_is_no_connection(app_with: AppWith) -> None:
    app = app_with(connections_per_minute=1)
    app.state.hub.start()
    app.state.hub.is_stopping = True
    for _ in range(2):
        assert (await Caller(app).is_denied()).status_code == 503
    app.state.hub.is_stopping = False
    await Caller(app).is_accepted()


# Frames


async def test_binary_is_not_understood(app: Starlette) -> None:
    ada = await joined(app)
    ada.sends(b'{"type": "leave"}')
    assert await ada.is_closed() == 1003
    ada.sends('{"type": "chat", "text": "too late"}')
    ada.hangs_up(1003)
    await ada.ends()
    assert app.state.hub.roster.participants == 0


async def test_a_message_that_is_too_big_is_refused_where_the_server_let_it_through(
    app_with: AppWith,
) -> None:
    app = app_with(max_message_bytes=1_024)
    ada = await joined(app)
    ada.says("chat", text="é" * 150)
    assert (await ada.hears_text())["type"] == "chat"
    ada.sends(" " * 1_024)
    assert (await ada.hears_text())["code"] == "INVALID_MESSAGE"
    ada.says("chat", text="x" * 1_024)
    assert await ada.is_closed() == 1009


async def test_a_message_is_measured_in_bytes(app_with: AppWith) -> None:
    ada = await joined(app_with(max_message_bytes=1_024))
    ada.sends("é" * 513)
    assert await ada.is_closed() == 1009


async def test_an_empty_message_is_refused_and_no_more(app: Starlette) -> None:
    ada = await joined(app)
    ada.sends("")
    assert (await ada.hears_text())["code"] == "INVALID_MESSAGE"
    ada.says("chat", text="still here")
    assert (await ada.hears_text())["type"] == "chat"


# Ends


async def test_a_client_that_hangs_up_is_gone(app: Starlette, caplog: pytest.LogCaptureFixture) -> None:
    ada = await joined(app)
    bob = await joined(app, ELSEWHERE, name="Bob")
    await bob.hears_text()
    await ada.hears_text()
    bob.hangs_up(1006)
    await bob.ends()
    assert (await ada.hears_text())["type"] == "participant-left"
    assert app.state.hub.roster.participants == 1
    assert errors_in(caplog) == []


async def test_a_client_that_was_kicked_hears_why_and_then_the_close(app: Starlette) -> None:
    ada = await joined(app)
    bob = await joined(app, ELSEWHERE, name="Bob")
    bob_id = (await ada.hears_text())["participantId"]
    await bob.hears_text()
    ada.says("moderator-action", targetId=bob_id, action="kick")
    assert (await bob.hears_text())["action"] == "kick"
    assert await bob.is_closed() == 4501


async def test_a_client_that_never_reads_is_closed_and_in_the_end_abandoned(
    app_with: AppWith, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "CLOSE_PATIENCE", 0.05)
    app = app_with(max_outbox_bytes=300_000, messages_per_second=0)
    ada = await joined(app)
    bob = await joined(app, ELSEWHERE, name="Bob")
    await bob.hears_text()
    await ada.hears_text()
    bob.is_reading.clear()
    said = 0
    while app.state.hub.roster.participants == 2:
        ada.says("chat", text="x" * 4_000)
        assert (await ada.hears_text())["type"] == "chat"
        said += 1
        assert said < 100
    assert (await ada.hears_text())["type"] == "participant-left"
    # Nobody answers the close, and the server never says that the client is gone.
    await bob.ends()
    assert app.state.hub.roster.participants == 1
    assert errors_in(caplog) == []


async def test_a_server_that_ends_the_task_ends_the_session(app: Starlette) -> None:
    """As servers do whose patience at a shutdown has run out."""
    ada = await joined(app)
    ada.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ada.task
    assert app.state.hub.roster.participants == 0
    assert app.state.hub.roster._people == {}


async def test_a_fault_at_the_end_of_one_connection_is_not_lost(app: Starlette) -> None:
    ada = await joined(app)
    async with visit(app) as client:
        health = (await client.get("/health")).json()
    assert (health["totalRooms"], health["totalParticipants"], health["peakParticipants"]) == (1, 1, 1)
    ada.hangs_up()
    await ada.ends()
    async with visit(app) as client:
        health = (await client.get("/health")).json()
    assert (health["totalRooms"], health["totalParticipants"], health["peakParticipants"]) == (0, 0, 1)


async def test_a_room_made_over_http_is_entered_over_the_wire(app: Starlette) -> None:
    async with visit(app) as client:
        created = (await client.post("/api/rooms", json={"password": "sesame"})).json()
    ada = await Caller(app).is_accepted()
    wish = {"roomId": created["roomId"], "name": "Ada"}
    ada.says("join", **wish)
    assert (await ada.hears_text())["code"] == "INVALID_PASSWORD"
    ada.says("join", **wish, password="sesame", creatorToken=created["creatorToken"])
    ada.says("chat", text="hello")
    me = await ada.hears_text()
    assert (me["type"], me["isHost"], me["isModerator"]) == ("participant-joined", True, True)
    assert (await ada.hears_text())["type"] == "chat"
    async with asyncio.timeout(PATIENCE):
        ada.hangs_up()
        await ada.ends()


async def test_a_client_comes_back_to_another_process_on_the_same_directory(
    app_with: AppWith, tmp_path: Path
) -> None:
    """R46: a planned stop is only a lost connection; what was lost on the way follows."""
    app = app_with(data_dir=str(tmp_path))
    ada = await Caller(app).is_accepted()
    ada.says("join", roomId=CODE, name="Ada", isHost=True, resume=True, clientSeq=1)
    own = await ada.hears_text()
    ada.says("chat", text="heard by nobody", clientSeq=2)
    chat = await ada.hears_text()
    await app.state.hub.stop()
    assert await ada.is_closed() == 1012
    ada.hangs_up(1012)
    await ada.ends()

    again = await Caller(app_with(data_dir=str(tmp_path))).is_accepted()
    again.says("join", roomId=CODE, resumeToken=own["resumeToken"], lastSeq=own["seq"])
    back = await again.hears_text()
    assert back["participantId"] == own["participantId"]
    assert (back["resumed"], back["replayed"], back["isHost"], back["lastClientSeq"]) == (True, True, True, 2)
    assert await again.hears_text() == chat


async def test_a_client_comes_back_after_a_stop_and_a_start_of_the_same_app(app: Starlette) -> None:
    """As a site may do with us: then even what is kept in memory only is there still."""
    ada = await Caller(app).is_accepted()
    ada.says("join", roomId=CODE, name="Ada", isHost=True, resume=True)
    own = await ada.hears_text()
    await app.state.hub.stop()
    assert await ada.is_closed() == 1012
    again = await Caller(app).is_accepted()
    again.says("join", roomId=CODE, resumeToken=own["resumeToken"], lastSeq=own["seq"])
    back = await again.hears_text()
    assert (back["participantId"], back["replayed"]) == (own["participantId"], True)
