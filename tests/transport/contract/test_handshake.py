"""The opening handshake (RFC 6455, 4): accepted, refused by the app, or wrong."""

import asyncio
import logging

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import connect

from .conftest import SiteWith
from .site import Site, turns
from .wire import ACCEPT, KEY, PATIENCE, Frame, Op, close, frame, text

# Accepted


async def test_accepting(site: Site) -> None:
    wire, call = await site.asked()
    await call.accepts()
    answer = await wire.answer()
    assert answer.status == 101
    assert (answer["upgrade"].lower(), answer["connection"].lower()) == ("websocket", "upgrade")
    assert answer["sec-websocket-accept"] == ACCEPT
    assert not answer.all("sec-websocket-protocol")
    assert not answer.all("sec-websocket-extensions")


async def test_accepting_with_a_subprotocol_and_headers(site: Site) -> None:
    wire, call = await site.asked("/", b"Sec-WebSocket-Protocol: soap, wamp")
    headers = [(b"X-One", b"1"), (b"x-two", b"caf\xe9"), (b"X-One", b"one")]
    await call.accepts(subprotocol="wamp", headers=headers)
    answer = await wire.answer()
    assert answer["sec-websocket-protocol"] == "wamp"
    assert answer.all("x-one") == ["1", "one"]
    assert answer["x-two"] == "café"


async def test_accepting_with_the_headers_of_the_server(site_with: SiteWith) -> None:
    site = await site_with(headers=[("X-Site", "here")])
    wire, call = await site.asked()
    await call.accepts(subprotocol=None, headers=[])
    answer = await wire.answer()
    assert (answer["server"], answer["x-site"]) == ("uvicorn", "here")
    assert answer["date"].endswith(" GMT")


async def test_accepting_without_the_headers_of_the_server(site_with: SiteWith) -> None:
    site = await site_with(server_header=False, date_header=False)
    wire, call = await site.asked()
    await call.accepts()
    answer = await wire.answer()
    assert answer.all("server") == answer.all("date") == []


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_handshake_in_many_pieces(site_with: SiteWith, http: str) -> None:
    site = await site_with(http=http)
    wire = await site.wire()
    head = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    head += f"Cookie: a=b; c=d\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    for letter in head:
        wire.send(letter.encode())
        await turns(1)
    await (await site.call()).accepts()
    assert (await wire.answer())["sec-websocket-accept"] == ACCEPT


@pytest.mark.parametrize("size", [10, 200, 60_000])
async def test_what_comes_before_it_is_accepted_is_not_lost(site: Site, size: int) -> None:
    wire, call = await site.asked()
    for number in range(3):
        wire.send(text(f"{number}".ljust(size)))
        await turns()
    await call.accepts()
    assert (await wire.answer()).status == 101
    for number in range(3):
        await call.hears_text(f"{number}".ljust(size))
    wire.send(text("later"))
    await call.hears_text("later")


async def test_half_a_frame_before_it_is_accepted_is_not_lost(site: Site) -> None:
    wire, call = await site.asked()
    whole = text("whole")
    wire.send(whole[:5])
    await turns()
    await call.accepts()
    wire.send(whole[5:])
    await call.hears_text("whole")


async def test_close_before_it_is_accepted_is_answered_afterwards(site: Site) -> None:
    wire, call = await site.asked()
    wire.send(text("hi"), close(3000))
    await turns()
    await call.accepts()
    assert (await wire.answer()).status == 101
    assert await call.hears_to_the_end() == ["hi"]
    assert call.last["code"] == 3000
    await wire.is_closed_with(3000)
    await wire.ends()


async def test_violation_before_it_is_accepted_is_told_afterwards(site: Site) -> None:
    wire, call = await site.asked()
    wire.send(frame(3))
    await turns()
    await call.accepts()
    assert (await wire.answer()).status == 101
    await call.is_disconnected(1002)
    await wire.is_closed_with(1002)
    await wire.ends()


async def test_app_may_send_at_once(site: Site) -> None:
    wire, call = await site.asked()
    await call.accepts()
    await call.says("send", text="hello")
    await call.says("close", code=3000)
    assert (await wire.answer()).status == 101
    assert await wire.next() == Frame(Op.TEXT, b"hello")
    await wire.is_closed_with(3000)


async def test_compression_that_is_offered_may_be_taken_or_not(site: Site) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as both:
        opening = both.create_task(connect(site.url, compression="deflate").__aenter__())
        call = await (await site.call()).accepts()
        client = await opening
        await client.send("x" * 10_000)
        await call.hears_text("x" * 10_000)
        await call.says("send", text="y" * 10_000)
        assert await client.recv() == "y" * 10_000
        await client.close()


async def test_outcome_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uvicorn.error")
    wire, call = await site.asked("/a%20b?c")
    await call.accepts()
    _, refused = await site.asked("/no")
    await refused.says("close")
    _, denied = await site.asked("/busy")
    await denied.says("http.response.start", status=429, headers=[])
    await denied.says("http.response.body", body=b"")
    lines = [record.getMessage() for record in caplog.records if "WebSocket /" in record.getMessage()]
    port = wire.transport.get_extra_info("sockname")[1]
    assert lines[0] == f'127.0.0.1:{port} - "WebSocket /a%20b?c" [accepted]'
    assert [line.partition(" - ")[2] for line in lines[1:]] == [
        '"WebSocket /no" 403',
        '"WebSocket /busy" 429',
    ]


# Refused


async def test_closing_instead_of_accepting_is_403(site: Site) -> None:
    wire, call = await site.asked()
    assert await call.hears() == {"type": "websocket.connect"}
    await call.says("close", code=1008, reason="no")
    answer, _ = await wire.refusal()
    assert answer.status == 403
    await call.is_disconnected(1006)


async def test_denial_with_an_answer_of_the_apps_own(site: Site) -> None:
    """The extension websocket.http.response."""
    wire, call = await site.asked()
    headers = [(b"X-One", b"1"), (b"Content-Type", b"text/x"), (b"x-one", b"one"), (b"x-four", b"caf\xe9")]
    await call.says("http.response.start", status=429, headers=headers)
    await call.says("http.response.body", body=b"not ", more_body=True)
    await turns()
    assert not wire.has_heard, "nothing is sent by halves: its length is told"
    await call.says("http.response.body", body=b"now", more_body=False)
    answer, body = await wire.refusal()
    assert (answer.status, body) == (429, b"not now")
    assert (answer.all("x-one"), answer["x-four"]) == (["1", "one"], "café")
    assert answer["content-type"] == "text/x"
    assert answer["date"].endswith(" GMT")
    await call.hears()
    await call.is_disconnected(1006)


async def test_denial_whose_length_the_app_tells(site: Site) -> None:
    wire, call = await site.asked()
    await call.says(
        "http.response.start", status=404, headers=[(b"content-length", b"4"), (b"connection", b"close")]
    )
    await call.says("http.response.body", body=b"none")
    _, body = await wire.refusal()
    assert body == b"none"


async def test_denial_without_a_body(site: Site) -> None:
    wire, call = await site.asked()
    await call.says("http.response.start", status=401)
    await call.says("http.response.body")
    answer, body = await wire.refusal()
    assert (answer.status, body) == (401, b"")


async def test_denial_names_the_server_as_other_answers_do(site: Site) -> None:
    wire, call = await site.asked()
    await call.says("http.response.start", status=401, headers=[])
    await call.says("http.response.body", body=b"")
    answer, _ = await wire.refusal()
    assert answer["server"] == "uvicorn"


async def test_denial_that_the_app_does_not_finish(site: Site) -> None:
    wire, call = await site.asked()
    await call.says("http.response.start", status=401, headers=[])
    await call.says("http.response.body", body=b"half", more_body=True)
    call.returns()
    assert b"half" not in await wire.rest()


@pytest.mark.parametrize("end", ["returns", "raises"])
async def test_app_that_ends_without_an_answer_is_a_500(
    site: Site, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    wire, call = await site.asked()
    if end == "returns":
        call.returns()
    else:
        call.raises(ZeroDivisionError("secret"))
    answer, body = await wire.refusal()
    assert answer.status == 500
    assert b"secret" not in body
    assert [record.levelname for record in caplog.records if record.name == "uvicorn.error"] == ["ERROR"]


# Wrong


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"sec_websocket_key": ""}, 400),
        ({"sec_websocket_key": "c2hvcnQ="}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==x"}, 400),
        ({"sec_websocket_key": "!" * 24}, 400),
        ({"sec_websocket_version": ""}, 400),
        ({"method": "POST"}, 405),
    ],
    ids=["no key", "short key", "long key", "no base64", "no version", "POST"],
)
async def test_handshake_that_is_none(site: Site, wrong: dict[str, str], status: int) -> None:
    """RFC 6455, 4.2.1. The app hears nothing of it."""
    wire = await site.wire()
    wire.asks("/", **wrong)
    answer, _ = await wire.refusal()
    assert answer.status in {status, 426}
    assert site.app.calls.empty()


@pytest.mark.parametrize("version", ["8", "12", "14", "130"])
async def test_other_version_is_told_which_is_understood(site: Site, version: str) -> None:
    """RFC 6455, 4.4."""
    wire = await site.wire()
    wire.asks(sec_websocket_version=version)
    answer, _ = await wire.refusal()
    assert (answer.status, answer["sec-websocket-version"]) == (426, "13")


async def test_two_keys_are_none(site: Site) -> None:
    wire = await site.wire()
    wire.asks("/", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    answer, _ = await wire.refusal()
    assert answer.status == 400


@pytest.mark.parametrize(
    "header", [b"Cookie: " + b"x" * 70_000, b"\r\n".join([b"X-A: b"] * 500)], ids=["long", "many"]
)
@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_headers_without_measure_are_answered(site_with: SiteWith, header: bytes, http: str) -> None:
    """Refused, or taken: but not left hanging."""
    site = await site_with(http=http)
    wire = await site.wire()
    wire.asks("/", header)
    app = asyncio.create_task(_accept_next(site))
    answer = await wire.answer()
    app.cancel()
    assert answer.status in {101, 400, 431}
    if answer.status != 101:
        await wire.rest()


async def _accept_next(site: Site) -> None:
    await (await site.call()).accepts()


async def test_header_that_cannot_be_written_is_not(site: Site) -> None:
    """Nobody smuggles a header, or an answer of their own, through an app that repeats what it was told."""
    wire, call = await site.asked()
    try:
        await call.accepts(headers=[(b"x-echo", b"1\r\nx-evil: 1")])
    except Exception as refusal:  # noqa: BLE001 - the server says it in its own way
        call.raises(refusal)
        await wire.refusal()
    else:
        assert "x-evil" not in dict((await wire.answer()).headers)


async def test_header_of_a_denial_that_cannot_be_written_is_not(site: Site) -> None:
    wire, call = await site.asked()
    try:
        await call.says("http.response.start", status=404, headers=[(b"x-echo", b"1\r\nx-evil: 1")])
        await call.says("http.response.body", body=b"no")
    except Exception as refusal:  # noqa: BLE001 - likewise
        call.raises(refusal)
    assert b"\r\nx-evil" not in await wire.rest()


@pytest.mark.parametrize("end", ["has a FIN", "is reset"])
async def test_client_gone_before_it_is_accepted(site: Site, end: str) -> None:
    wire, call = await site.asked()
    assert await call.hears() == {"type": "websocket.connect"}
    if end == "is reset":
        wire.resets()
    else:
        wire.transport.close()
    await call.is_disconnected(1006)
    with pytest.raises(ClientDisconnected):
        await call.says("accept")


async def test_client_gone_before_it_is_denied(site: Site) -> None:
    wire, call = await site.asked()
    await call.hears()
    wire.resets()
    await call.is_disconnected(1006)
    with pytest.raises(ClientDisconnected):
        await call.says("http.response.start", status=404, headers=[])


async def test_half_a_handshake_holds_nobody_up(site: Site) -> None:
    wire = await site.wire()
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgra")
    other, call = await site.opened()
    other.send(text("hi"))
    await call.hears_text("hi")
