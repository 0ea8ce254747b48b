"""Whose address a connection comes from, and what counts as one client (R30)."""

import pytest

from mikroroom.core.addresses import client_address, client_key, networks

LOOPBACK = networks(("127.0.0.1", "::1"))
CLIENT, PROXY = "203.0.113.7", "127.0.0.1"


# Through proxies


@pytest.mark.parametrize("forwarded", [[], ["198.51.100.1"], ["127.0.0.1"], ["nonsense"]])
def test_peer_that_is_no_trusted_proxy_is_the_client_whatever_it_says(forwarded: list[str]) -> None:
    """R30: a spoofed header grants nothing."""
    assert client_address(CLIENT, forwarded, LOOPBACK) == CLIENT


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([], PROXY),
        ([""], PROXY),
        ([CLIENT], CLIENT),
        ([f"198.51.100.1, {CLIENT}"], CLIENT),
        (["198.51.100.1", CLIENT], CLIENT),
        ([f"198.51.100.1,{CLIENT}  ,127.0.0.1"], CLIENT),
        ([CLIENT, "::1, 127.0.0.1"], CLIENT),
    ],
)
def test_rightmost_address_that_is_no_trusted_proxy_is_the_client(forwarded: list[str], client: str) -> None:
    """R30: what stands to its left may have been written by anyone. One header or several are the same."""
    assert client_address(PROXY, forwarded, LOOPBACK) == client


def test_chain_of_trusted_proxies_is_walked_to_its_left_end() -> None:
    """R30: all of them trusted, the one farthest from here is the client."""
    trusted = networks(("127.0.0.1", "10.0.0.0/8"))
    assert client_address(PROXY, ["10.0.0.2, 10.9.9.9", "10.0.0.1"], trusted) == "10.0.0.2"


@pytest.mark.parametrize(
    "garbage", ["unknown", "_hidden", "300.1.1.1", "1.2.3", "::g", "a:b:c", "-", "1.2.3.4.5"]
)
def test_garbage_ends_the_walk_at_the_last_address_that_could_be_read(garbage: str) -> None:
    """R30: what stands to the left of it was written by nobody we know."""
    assert client_address(PROXY, [f"{CLIENT}, {garbage}"], LOOPBACK) == PROXY
    assert client_address(PROXY, [f"{CLIENT}, {garbage}, 127.0.0.1"], LOOPBACK) == PROXY
    assert client_address(PROXY, [f"{garbage}, {CLIENT}"], LOOPBACK) == CLIENT


@pytest.mark.parametrize(
    ("written", "client"),
    [
        (f"{CLIENT}:51234", CLIENT),
        (f" {CLIENT} ", CLIENT),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"[::ffff:{CLIENT}]:443", CLIENT),
        ("fe80::7%eth0", "fe80::7"),
    ],
)
def test_address_is_read_however_a_proxy_writes_it(written: str, client: str) -> None:
    """R30: with a port, in brackets, mapped into IPv6, or with the zone of a link-local one."""
    assert client_address(PROXY, [written], LOOPBACK) == client


def test_mapped_address_of_a_proxy_is_the_proxys() -> None:
    """R30: a socket that takes IPv4 and IPv6 shows 127.0.0.1 as ::ffff:127.0.0.1."""
    assert client_address("::ffff:127.0.0.1", [CLIENT], LOOPBACK) == CLIENT
    assert client_address(PROXY, [f"{CLIENT}, ::ffff:127.0.0.1"], LOOPBACK) == CLIENT


def test_loopback_of_the_other_family_is_trusted_by_its_own_name_only() -> None:
    """R30."""
    assert client_address("::1", [CLIENT], LOOPBACK) == CLIENT
    assert client_address("::1", [CLIENT], networks(("127.0.0.1",))) == "::1"


@pytest.mark.parametrize("peer", [None, ""])
def test_peer_on_a_unix_socket_is_taken_for_a_proxy(peer: str | None) -> None:
    """R30: only this machine can connect there."""
    assert client_address(peer, [f"198.51.100.1, {CLIENT}"], LOOPBACK) == CLIENT
    assert client_address(peer, [f"{CLIENT}, 127.0.0.1"], ()) == "127.0.0.1"


@pytest.mark.parametrize("forwarded", [[], ["unknown"], [f"{CLIENT}, unknown"]])
def test_peer_on_a_unix_socket_that_forwards_nothing_is_local(forwarded: list[str]) -> None:
    """R30."""
    assert client_address(None, forwarded, LOOPBACK) == "local"


def test_peer_without_an_address_is_known_by_what_it_is_called() -> None:
    """R30: a test client has a name where others have an address, and is no proxy."""
    assert client_address("testclient", [CLIENT], LOOPBACK) == "testclient"


def test_nobody_is_trusted_where_the_list_is_empty() -> None:
    """R30."""
    assert client_address(PROXY, [CLIENT], ()) == PROXY


# What counts as one client


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (CLIENT, CLIENT),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("fe80::7%eth0", "fe80::/64"),
        ("local", "local"),
        ("testclient", "testclient"),
    ],
)
def test_client_is_an_ipv4_address_or_a_64_of_ipv6(address: str, key: str) -> None:
    """R30: whoever has one address of a /64 has them all."""
    assert client_key(address) == key


# The list of trusted proxies


def test_networks_are_read_also_from_an_address_within_them() -> None:
    trusted = networks(("10.1.2.3/8", "fd00::1/8", "192.0.2.1"))
    assert [str(network) for network in trusted] == ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"]


@pytest.mark.parametrize("text", ["localhost", "*", "10.0.0.0/33", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        networks(("127.0.0.1", text))
