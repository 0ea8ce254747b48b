"""Behind Debian's own nginx, with the configuration that is shipped for it."""

import os
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from mikroroom import Settings, create_app
from mikroroom.client import Client
from mikroroom.protocol import events
from mikroroom.transport.guard import GuardedProtocol

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "mikroroom.conf"
# Debian keeps it out of an ordinary user's PATH.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

AROUND = """
daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/mikroroom.conf;
}}
"""


@pytest.fixture
async def upstream(serve: Callable[..., Awaitable[str]]) -> str:
    """The service, with its limits on."""
    return await serve(create_app(Settings()), ws=GuardedProtocol, proxy_headers=False)


@pytest.fixture
def site(upstream: str, tmp_path: Path) -> Iterator[str]:
    """What the world sees of it: host and port of the proxy."""
    if NGINX is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("nginx is not installed")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    shipped = CONFIGURATION.read_text()
    assert "server 127.0.0.1:3000;" in shipped
    assert "listen 80;" in shipped
    adapted = shipped.replace("127.0.0.1:3000", upstream.removeprefix("http://"))
    (tmp_path / "mikroroom.conf").write_text(adapted.replace("listen 80;", f"listen 127.0.0.1:{port};"))
    (tmp_path / "nginx.conf").write_text(AROUND.format(folder=tmp_path))
    # nginx takes over a listening socket that it is told of, as at an upgrade: no port is lost meanwhile.
    environment = {**os.environ, "NGINX": f"{listener.fileno()};"}
    command = [str(NGINX), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    process = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()], stderr=subprocess.PIPE)
    listener.close()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=15)


async def test_a_meeting_is_held_through_it(site: str) -> None:
    async with Client.connect(f"ws://{site}/ws") as ada, Client.connect(f"ws://{site}/ws") as bob:
        await ada.join("ABC123", "Ada", is_host=True)
        await bob.join("ABC123", "Bob")
        await bob.offer(ada.id, "v=0\r\n" + "a=candidate\r\n" * 10_000)
        assert isinstance(await ada.receive(), events.ParticipantJoined)
        offer = await ada.receive()
        assert isinstance(offer, events.Offer)
        assert len(offer.text) > 100_000


async def test_http_is_answered_through_it(site: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{site}") as http:
        assert (await http.get("/health")).json()["status"] == "ok"
        created = await http.post("/api/rooms", json={"password": "secret"})
        assert created.status_code == 201
        assert created.headers["X-Content-Type-Options"] == "nosniff"


async def test_each_client_has_its_own_limits_whatever_it_claims(site: str) -> None:
    """R30: who forges the header is still counted as itself, and nobody else is."""
    async with AsyncExitStack() as connections:

        async def connects(address: str, claim: str) -> None:
            forged = {"X-Forwarded-For": claim}
            await connections.enter_async_context(
                Client.connect(f"ws://{site}/ws", local_addr=(address, 0), additional_headers=forged)
            )

        for number in range(10):
            await connects("127.8.0.1", f"192.0.2.{number}")
        with pytest.raises(InvalidStatus, match="429"):
            await connects("127.8.0.1", "192.0.2.200")
        await connects("127.8.0.2", "192.0.2.0")
