"""Meetings and pages behind Debian's own nginx, and what clients may not claim or see there."""

import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from websockets.exceptions import InvalidStatus

from mikroroom.client import Client, Resumed, Suspended
from mikroroom.protocol import events

from .conftest import Front, Serve, Upstream
from .meetings import cut, hears, meeting, talk
from .nginx import NAME, SHIPPED, Certificate, Nginx, request, shipped

# All by which a client could want to be taken for another one, or for one whom nobody knows.
CLAIMS = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X_Forwarded_For")


@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.parametrize("prefix", [False, True])
def test_every_file_is_without_fault(
    tmp_path: Path, certificate: Certificate, servers: int, prefix: bool
) -> None:
    addresses = [f"127.0.0.1:{3000 + number}" for number in range(servers)]
    nginx = Nginx(tmp_path / "nginx", certificate, addresses, prefix=prefix)
    try:
        said = nginx.check()
    finally:
        nginx.close()
    assert [line.rpartition(" ")[2] for line in said] == ["ok", "successful"], said


def test_both_ways_to_install_give_the_server_the_same() -> None:
    """What can stand in a prefix's location stands there as it does in a site of its own."""
    own = (SHIPPED / "mikroroom.conf").read_text()
    below = (SHIPPED / "mikroroom-prefix.conf").read_text()
    passes = ("proxy_", "limit_", "client_", "send_", "reset_", "error_page", "return 503")
    site, prefix = (
        {line for line in map(str.strip, text.splitlines()) if line.startswith(passes)}
        for text in (own, below)
    )
    assert prefix - site == {"proxy_pass http://mikroroom/;"}
    # In a location it is too late for these.
    assert {line.split()[0] for line in site - prefix} == {
        "proxy_pass",
        "client_header_timeout",
        "client_header_buffer_size",
    }


async def test_lost_connection_is_resumed_in_its_place(site: Nginx) -> None:
    async with meeting(site) as (ada, bob):
        await bob.offer(ada.id, "v=0\r\n" + "a=candidate\r\n" * 10_000)
        assert len((await hears(ada, events.Offer)).text) > 100_000
        cut(ada)
        await hears(ada, Suspended)
        await bob.chat("are you there?")
        assert (await hears(ada, Resumed)).replayed
        assert (await hears(ada, events.Chat)).text == "are you there?"
        await talk(ada, bob, "yes")


async def test_pages_and_requests_are_answered(site: Nginx) -> None:
    async with site.http() as http:
        assert (await http.get("/health")).json()["status"] == "ok"
        created = await http.post("/api/rooms", json={"password": "secret"})
        assert created.status_code == 201
        assert created.headers["X-Content-Type-Options"] == "nosniff"
        assert created.headers["Strict-Transport-Security"].startswith("max-age=")
        page = await http.get("/", headers={"Accept": "text/html"})
        assert f"wss://{NAME};" in page.headers["Content-Security-Policy"]


async def test_plain_http_leads_to_tls_but_for_certificates(site: Nginx) -> None:
    challenge = site.folder / "www" / ".well-known" / "acme-challenge" / "token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("the answer")
    plain = f"http://127.0.0.1:{site.plain_port}"
    async with httpx.AsyncClient(base_url=plain, headers={"Host": NAME}, trust_env=False) as http:
        redirect = await http.get("/?a=b")
        assert (redirect.status_code, redirect.headers["Location"]) == (301, f"https://{NAME}/?a=b")
        assert (await http.get("/.well-known/acme-challenge/token")).text == "the answer"


async def test_clients_that_can_speak_http2(site: Nginx) -> None:
    site.trusting.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await site.opens()
    secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
    assert secured.selected_alpn_protocol() == "h2"
    assert secured.version() == "TLSv1.3"
    writer.transport.abort()


async def test_each_client_has_its_own_limits_whatever_it_claims(site: Nginx) -> None:
    """R30: who forges a header is still counted as itself, and nobody else is."""
    async with AsyncExitStack() as connections:

        async def connects(address: str, claim: str) -> None:
            forged = {name: f"for={claim}" if name == "Forwarded" else claim for name in CLAIMS}
            await connections.enter_async_context(site.dial(address, additional_headers=forged))

        for number in range(9):
            await connects("127.8.0.1", f"192.0.2.{number}")
        await connects("127.8.0.1", "127.8.0.2")
        for claim in ("192.0.2.200", "127.8.0.2", "127.0.0.1", "nonsense"):
            with pytest.raises(InvalidStatus, match="429"):
                await connects("127.8.0.1", claim)
        for _ in range(10):
            await connects("127.8.0.2", "192.0.2.0")
        with pytest.raises(InvalidStatus, match="429"):
            await connects("127.8.0.2", "192.0.2.0")


async def test_who_reaches_the_server_directly_cannot_claim_either(upstream: Upstream) -> None:
    """Only from the address of nginx is the header believed."""
    server = await upstream()
    async with AsyncExitStack() as connections:

        async def connects(address: str, claim: str) -> None:
            forged = {"X-Forwarded-For": claim, "X-Real-IP": claim, "Forwarded": f"for={claim}"}
            await connections.enter_async_context(
                Client.connect(f"ws://{server}/ws", local_addr=(address, 0), additional_headers=forged)
            )

        for number in range(10):
            await connects("127.8.0.1", f"192.0.2.{number}")
        with pytest.raises(InvalidStatus, match="429"):
            await connects("127.8.0.1", "127.8.0.2")
        await connects("127.8.0.2", "127.8.0.1")


@pytest.mark.parametrize("prefix", [False, True])
async def test_metrics_are_nobodys_business(serve: Serve, front: Front, prefix: bool) -> None:
    asked: list[str] = []

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    url = await serve(server, lifespan="off")
    nginx = front(url.removeprefix("http://"), prefix=prefix)
    root = "/meet" if prefix else ""
    for path in (
        "/metrics",
        "/metrics/",
        "//metrics",
        "/metrics?a=b",
        "/metrics#x",
        "/%6detrics",
        "/metrics%2f",
        "/./metrics",
        "/web/../metrics",
        "/web/..%2fmetrics",
        # A server with a root_path understands paths with it and without.
        "/meet/metrics",
    ):
        answer = await nginx.asks(request(f"GET {root}{path}"))
        assert answer.startswith(b"HTTP/1.1 404 "), (path, answer)
    assert asked == []
    assert (await nginx.asks(request(f"GET {root}/health"))).startswith(b"HTTP/1.1 204 ")
    assert asked == ["/health"]


async def test_server_is_told_who_asks_and_nothing_that_was_claimed(serve: Serve, front: Front) -> None:
    told: list[tuple[bytes, bytes]] = []

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        told.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    url = await serve(server, lifespan="off")
    nginx = front(url.removeprefix("http://"))
    claims = ("Connection: upgrade", "Upgrade: h2c", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1")
    await nginx.asks(
        request(
            "GET /",
            *claims,
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-For: 192.0.2.2",
            "X-Forwarded-Proto: ws",
        )
    )
    headers = dict(told)
    assert len(headers) == len(told)
    assert headers == {
        b"host": NAME.encode(),
        b"upgrade": b"h2c",  # which is nothing without `Connection: upgrade`
        b"x-forwarded-for": b"127.0.0.1",
        b"x-forwarded-proto": b"https",
        b"x-real-ip": b"127.0.0.1",
    }


def test_line_that_is_gone_from_a_file_is_missed() -> None:
    with pytest.raises(AssertionError, match="listen 8080"):
        shipped("mikroroom.conf", {"listen 8080;": ""})
