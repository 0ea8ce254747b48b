"""Debian's own coturn, with the configuration that is shipped for it, takes the credentials we give out."""

import asyncio
import base64
import json
import socket
import ssl
import struct
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.chromium import chromium
from tests.site_process import Site
from websockets.asyncio.client import ClientConnection, connect

from mikroroom.core.ice import short_lived_login

from .turn_server import HERE, PATIENCE, SECRET, Login, TurnServer, echo

# One of each range that is denied, and its ends where they are not plain.
DENIED = (
    *("0.0.0.0", "127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("100.64.0.1", "100.100.100.200", "169.254.169.254", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1", "2001::1", "100::1", "2001:db8::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
)

RELAYED = """async () => {
  const { iceServers } = await (await fetch("/config")).json();
  const [ada, bob] = [0, 1].map(() => new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" }));
  const kinds = new Set();
  for (const [from, to] of [[ada, bob], [bob, ada]]) {
    from.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) kinds.add(candidate.type);
      to.addIceCandidate(candidate);
    };
  }
  const channel = ada.createDataChannel("x");
  const heard = new Promise((resolve) => {
    bob.ondatachannel = (event) => (event.channel.onmessage = ({ data }) => resolve(data));
  });
  channel.onopen = () => channel.send("over the relay");
  await ada.setLocalDescription();
  await bob.setRemoteDescription(ada.localDescription);
  await bob.setLocalDescription();
  await ada.setRemoteDescription(bob.localDescription);
  return { said: await heard, kinds: [...kinds] };
}"""


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[TurnServer]:
    """As shipped, but for what loopback needs."""
    with TurnServer(tmp_path) as server:
        yield server


@pytest.fixture
def peer() -> Iterator[int]:
    """The port of somebody who echoes."""
    with echo() as port:
        yield port


@pytest.fixture
def site(tmp_path: Path, turn: TurnServer) -> Iterator[Site]:
    """A server of ours that shares its secret."""
    with Site(tmp_path, stun_servers="", **turn.settings) as site:
        yield site


def turn_login(ice_servers: Sequence[dict[str, Any]]) -> Login:
    """The one that a list of ICE servers has."""
    (server,) = ice_servers
    return Login(server["username"], server["credential"])


def login_from(site: Site) -> Login:
    """What ``GET /config`` gives."""
    with urllib.request.urlopen(f"{site.url}/config", timeout=PATIENCE) as answer:
        return turn_login(json.load(answer)["iceServers"])


def made(ttl: int, secret: str = SECRET) -> Login:
    """As the server makes them, for so many seconds from now."""
    login = short_lived_login(secret, int(time.time()) + ttl, "ada")
    return Login(login.username, login.credential)


async def test_credentials_of_a_running_server_are_taken(turn: TurnServer, site: Site, peer: int) -> None:
    """By UDP and TCP. Most of the time the tool waits before it sends anything: here, for both at once."""
    first, second = login_from(site), login_from(site)
    assert first != second, "each has a quota of its own"
    answers = (
        asyncio.to_thread(turn.relays, first, HERE, peer),
        asyncio.to_thread(turn.relays, second, HERE, peer, "-t"),
    )
    assert [*await asyncio.gather(*answers)] == ["", ""]


def test_tls_is_spoken_as_browsers_speak_it(turn: TurnServer) -> None:
    """Without the tool, which over TLS waits for ever now and then."""
    binding = struct.pack("!HHI12s", 0x0001, 0, 0x2112A442, b"mikroroom-01")  # RFC 8489, section 5
    trusting = ssl.create_default_context(cafile=turn.certificate)
    trusting.check_hostname = False
    with (
        socket.create_connection((HERE, turn.tls_port), PATIENCE) as plain,
        trusting.wrap_socket(plain) as encrypted,
    ):
        encrypted.sendall(binding)
        kind, _, *rest = struct.unpack("!HHI12s", encrypted.recv(2_048)[:20])
    assert (kind, *rest) == (0x0101, 0x2112A442, b"mikroroom-01")


def test_credentials_that_have_ended_are_not_taken(turn: TurnServer) -> None:
    assert is_let_in(turn, made(60))
    assert not is_let_in(turn, made(-1))


def test_credentials_that_were_tampered_with_are_not_taken(turn: TurnServer, site: Site) -> None:
    username, credential = login_from(site)
    expires, user = username.split(":")
    digest = bytearray(base64.b64decode(credential))
    digest[-1] ^= 1
    for login in (
        Login(f"{int(expires) + 1}:{user}", credential),
        Login(f"{expires}:{user}x", credential),
        Login(user, credential),
        Login(username, base64.b64encode(digest).decode()),
        Login(username, ""),
        made(60, secret="another"),
    ):
        assert not is_let_in(turn, login), login
    assert is_let_in(turn, Login(username, credential))


async def test_credentials_in_a_running_meeting_are_taken(turn: TurnServer, site: Site, peer: int) -> None:
    """Whoever comes back is given some by a message: of those from before nobody knows how old they are."""
    url = site.url.replace("http", "ws", 1) + "/ws"
    async with connect(url) as ada:
        own = await ask(ada, roomId="ABC234", name="Ada", isHost=True, resume=True)
        ada.transport.abort()
    async with connect(url) as back:
        again = await ask(back, roomId="ABC234", resumeToken=own["resumeToken"], lastSeq=own["seq"])
        assert again["participantId"] == own["participantId"]
        told = await hears(back, "ice-servers")
    assert told["ttl"] == 86_400
    assert await asyncio.to_thread(turn.relays, turn_login(told["iceServers"]), HERE, peer) == ""


def is_let_in(turn: TurnServer, login: Login) -> bool:
    """Whether the login gets an allocation: if so, it hears next that it may not reach whom it asks for."""
    answer = turn.relays(login, "127.0.0.2")
    assert ("403 (Forbidden IP)" in answer) is not ("Cannot complete Allocation" in answer), answer
    return "403 (Forbidden IP)" in answer


async def ask(connection: ClientConnection, **wish: object) -> dict[str, Any]:
    """Join. Gives the answer."""
    await connection.send(json.dumps({"type": "join", **wish}))
    return await hears(connection, "participant-joined")


async def hears(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of this type."""
    async with asyncio.timeout(PATIENCE):
        async for text in connection:
            message: dict[str, Any] = json.loads(text)
            if message["type"] == kind:
                return message
    raise AssertionError(f"closed before {kind} was heard")


def test_nobody_is_reached_who_is_not_to_be(tmp_path: Path) -> None:
    with TurnServer(tmp_path, peers=False) as turn:
        login = made(600)
        answers = {address: turn.relays(login, address) for address in DENIED}
    assert {
        address: answer for address, answer in answers.items() if "403 (Forbidden IP)" not in answer
    } == {}


async def test_two_browsers_that_may_only_relay_meet(turn: TurnServer, site: Site) -> None:
    async with chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{site.url}/health")
        async with asyncio.timeout(PATIENCE):
            assert await page.evaluate(RELAYED) == {"said": "over the relay", "kinds": ["relay"]}
