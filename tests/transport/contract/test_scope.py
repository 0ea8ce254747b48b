"""What the app is told about a connection (ASGI, WebSocket connection scope)."""

import pytest

from .conftest import SiteWith
from .site import Site


async def test_scope_of_a_plain_handshake(site: Site) -> None:
    wire, call = await site.asked("/a%20b/%E2%82%AC%2f?q=%20&r=1")
    scope = call.scope
    assert scope["type"] == "websocket"
    assert scope["asgi"]["version"] == "3.0"
    assert scope["asgi"]["spec_version"] >= "2.4", "send raises an OSError once the client is gone"
    assert (scope["http_version"], scope["scheme"]) == ("1.1", "ws")
    assert scope["server"] == ("127.0.0.1", site.port)
    assert scope["client"] == wire.transport.get_extra_info("sockname")
    assert (scope["path"], scope["raw_path"]) == ("/a b/€/", b"/a%20b/%E2%82%AC%2f")
    assert scope["query_string"] == b"q=%20&r=1"
    assert (scope["root_path"], scope["subprotocols"], scope["state"]) == ("", [], {})
    assert scope["extensions"]["websocket.http.response"] == {}


async def test_path_without_a_query(site: Site) -> None:
    _, call = await site.asked("/")
    assert (call.scope["path"], call.scope["raw_path"], call.scope["query_string"]) == ("/", b"/", b"")


async def test_empty_query(site: Site) -> None:
    _, call = await site.asked("/x?")
    assert (call.scope["path"], call.scope["raw_path"], call.scope["query_string"]) == ("/x", b"/x", b"")


async def test_query_with_question_marks(site: Site) -> None:
    _, call = await site.asked("/x?a?b=/?")
    assert (call.scope["path"], call.scope["query_string"]) == ("/x", b"a?b=/?")


async def test_root_path_is_put_before_the_path(site_with: SiteWith) -> None:
    site = await site_with(root_path="/meet")
    _, call = await site.asked("/w%20s")
    assert call.scope["root_path"] == "/meet"
    assert (call.scope["path"], call.scope["raw_path"]) == ("/meet/w s", b"/meet/w%20s")


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_headers_are_as_they_came_but_for_the_case_of_their_names(
    site_with: SiteWith, http: str
) -> None:
    site = await site_with(http=http)
    sent = [(b"X-One", b"1"), (b"x-TWO", b" Two "), (b"X-One", b"one, more"), (b"X-Four", b"caf\xe9")]
    _, call = await site.asked("/", *(name + b": " + value for name, value in sent), b"X-Empty:")
    headers = call.scope["headers"]
    assert all(type(name) is type(value) is bytes for name, value in headers)
    assert [tuple(header) for header in headers] == [
        (b"host", b"test"),
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"sec-websocket-version", b"13"),
        *((name.lower(), value.strip()) for name, value in sent),
        (b"x-empty", b""),
    ]


async def test_subprotocols_are_listed_over_all_their_headers(site: Site) -> None:
    headers = (b"Sec-WebSocket-Protocol: soap, wamp", b"sec-websocket-protocol:stomp ,mqtt")
    _, call = await site.asked("/", *headers)
    assert call.scope["subprotocols"] == ["soap", "wamp", "stomp", "mqtt"]


async def test_state_of_the_lifespan_is_copied_for_each_connection(site: Site) -> None:
    shared = object()
    site.server.lifespan.state["shared"] = shared
    _, first = await site.asked()
    first.scope["state"]["own"] = 1
    _, second = await site.asked()
    assert second.scope["state"] == {"shared": shared}
    assert second.scope["state"]["shared"] is shared


async def test_names_of_schemes_and_addresses_over_tls(
    site_with: SiteWith, certificate: dict[str, str]
) -> None:
    site = await site_with(**certificate)
    wire, call = await site.asked()
    assert call.scope["scheme"] == "wss"
    assert call.scope["client"] == wire.transport.get_extra_info("sockname")


async def test_addresses_on_a_unix_socket(site_with: SiteWith) -> None:
    site = await site_with(listening="uds")
    _, call = await site.asked()
    assert call.scope["client"] is None
    assert call.scope["server"] == (str(site.config.uds), None)


async def test_proxy_headers_of_a_trusted_proxy_are_believed(site_with: SiteWith) -> None:
    site = await site_with(proxy_headers=True, forwarded_allow_ips="127.0.0.1")
    headers = (b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: https")
    _, call = await site.asked("/", *headers)
    assert (call.scope["client"][0], call.scope["scheme"]) == ("192.0.2.7", "wss")


async def test_proxy_headers_of_anybody_else_are_not(site_with: SiteWith) -> None:
    site = await site_with(proxy_headers=True, forwarded_allow_ips="192.0.2.1")
    headers = (b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: https")
    _, call = await site.asked("/", *headers)
    assert (call.scope["client"][0], call.scope["scheme"]) == ("127.0.0.1", "ws")
