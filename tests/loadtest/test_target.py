"""Which server is meant, which one may be loaded, and where connections come from."""

import socket
from typing import Any

import pytest

from mikroroom.loadtest.target import CONNECTIONS_FROM_EACH, Sources, TargetError, find


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("ws://127.0.0.1:3000/ws", "ws://127.0.0.1:3000/ws"),
        ("ws://127.0.0.1:3000/meet/ws?x=1", "ws://127.0.0.1:3000/meet/ws?x=1"),
        ("ws://127.0.0.1", "ws://127.0.0.1/"),
        ("http://127.0.0.1:3000", "ws://127.0.0.1:3000/ws"),
        ("http://127.0.0.1:3000/meet/", "ws://127.0.0.1:3000/meet/ws"),
        ("HTTPS://127.0.0.1", "wss://127.0.0.1/ws"),
        ("https://[::1]:3443/meet", "wss://[::1]:3443/meet/ws"),
    ],
)
def test_a_url_means_a_websocket(url: str, meant: str) -> None:
    target = find(url, is_mine=False)
    assert target.url == meant
    assert target.is_tls == meant.startswith("wss")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:3000", "ftp://127.0.0.1", "ws:///ws", "ws://127.0.0.1:99999/", "ws://[::1/"]
)
def test_what_is_no_such_url_is_told(url: str) -> None:
    with pytest.raises(TargetError, match="URL"):
        find(url, is_mine=False)


@pytest.mark.parametrize("url", ["ws://192.0.2.1/ws", "http://[2001:db8::1]", "ws://0.0.0.0/ws"])
def test_another_machine_is_refused_unless_it_is_said_to_be_ones_own(url: str) -> None:
    with pytest.raises(TargetError, match="add --yes-this-is-my-server if it is yours"):
        find(url, is_mine=False)
    assert not find(url, is_mine=True).is_loopback


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let any name mean these addresses."""

    def look_up(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_name_is_this_machine_only_if_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "::1", "127.0.0.1")
    assert find("ws://meet.example/ws", is_mine=False).address == ("127.0.0.1", 80)
    named(monkeypatch, "127.0.0.1", "198.51.100.7")
    with pytest.raises(TargetError, match=r"meet\.example is not this machine"):
        find("ws://meet.example/ws", is_mine=False)
    named(monkeypatch, "::ffff:198.51.100.7")
    with pytest.raises(TargetError, match="is not this machine"):
        find("ws://meet.example/ws", is_mine=False)


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(TargetError, match="the host is not found: Name or service not known"):
        find("ws://nowhere.example/ws", is_mine=True)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_on_loopback_connections_come_from_many_addresses() -> None:
    sources = Sources(find("ws://127.0.0.1:3000/ws", is_mine=False), start=253)
    assert sources.are_many
    taken = [sources.next() for _ in range(3 * CONNECTIONS_FROM_EACH)]
    assert list(dict.fromkeys(taken)) == ["127.0.0.254", "127.0.1.1", "127.0.1.2"]
    assert {taken.count(source) for source in taken} == {CONNECTIONS_FROM_EACH}


@pytest.mark.parametrize("start", [0, 1, 2**16 * 254 - 1, 2**24 - 1])
def test_every_source_is_a_loopback_address(start: int) -> None:
    source = Sources(find("ws://127.0.0.1/", is_mine=False), start=start).next()
    with socket.socket() as trial:
        trial.bind((source, 0))


def test_elsewhere_the_system_chooses_the_source() -> None:
    sources = Sources(find("ws://192.0.2.1/ws", is_mine=True))
    assert (sources.are_many, sources.next()) == (False, None)
