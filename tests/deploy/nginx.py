"""Debian's nginx with the files that are shipped for it, as a process of a test's own."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from mikroroom.client import Client

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx"
# Debian keeps it out of an ordinary user's PATH.
BINARY = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
# The name that stands in the files.
NAME = "meet.example.org"
# Seconds after which what has not happened never will.
PATIENCE = 20.0

Changes = Mapping[str, str]

# What /etc/nginx/nginx.conf is on a machine, as far as it matters here.
AROUND = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log notice; worker_processes 2; {user}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {extra}
    include {folder}/conf.d/*.conf;
}}
"""

# Somebody's site, which meetings are added to.
SITE = """
server {{
    listen 127.0.0.1:{port} ssl http2;
    server_name {name};
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{ return 200 "the site"; }}
    include snippets/mikroroom-prefix.conf;
}}
"""


class Certificate(NamedTuple):
    """A certificate that nobody has signed, and its key: two files."""

    chain: Path
    key: Path


def shipped(name: str, changes: Changes) -> str:
    """A file as it is shipped, but for these lines. Fails where one of them does not stand there any more."""
    lines = (SHIPPED / name).read_text().splitlines()
    missing = changes.keys() - {line.strip() for line in lines}
    assert not missing, f"{name} no longer says {missing}"
    return "\n".join(changes.get(line.strip(), line) for line in lines)


class Nginx:
    """In front of ``servers``, each host and port: a site for meetings alone, or one with a ``prefix``.

    ``changes`` are further lines to exchange: of ``mikroroom-prefix.conf`` with a prefix, of
    ``mikroroom.conf`` without. ``extra`` stands before everything else.
    """

    def __init__(
        self,
        folder: Path,
        certificate: Certificate,
        servers: Sequence[str],
        *,
        prefix: bool = False,
        changes: Changes | None = None,
        extra: str = "",
    ) -> None:
        if BINARY is None:
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing("nginx is not installed")
        self.folder = folder
        self.trusting = ssl.create_default_context(cafile=certificate.chain)
        self._certificate = certificate
        self._has_prefix = prefix
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(1 if prefix else 2)]
        for listener in self._listeners:
            listener.setblocking(False)  # or a worker that wakes up in vain would stand still in it
        self.port, *others = (listener.getsockname()[1] for listener in self._listeners)
        self.plain_port = others[0] if others else 0
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("conf.d", "snippets", "www"):
            (folder / name).mkdir(parents=True)
        # Its own user could not read the folder of a test that root runs.
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user, extra=extra))
        upstream = folder / "conf.d" / "mikroroom-upstream.conf"
        upstream.write_text(shipped("mikroroom-upstream.conf", _servers(servers)))
        self.write(changes or {})

    def write(self, changes: Changes) -> None:
        """Its configuration, with these lines exchanged, and no other lines than before."""
        if self._has_prefix:
            prefix = self.folder / "snippets" / "mikroroom-prefix.conf"
            prefix.write_text(shipped("mikroroom-prefix.conf", changes))
            site = SITE.format(
                port=self.port, name=NAME, certificate=self._certificate.chain, key=self._certificate.key
            )
            (self.folder / "conf.d" / "site.conf").write_text(site)
            return
        live = "/etc/letsencrypt/live/meet.example.org"
        own = {
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen [::]:80;": "",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
            "listen [::]:443 ssl http2;": "",
            f"ssl_certificate     {live}/fullchain.pem;": f"ssl_certificate {self._certificate.chain};",
            f"ssl_certificate_key {live}/privkey.pem;": f"ssl_certificate_key {self._certificate.key};",
            "root /var/www/html;": f"root {self.folder}/www;",
        }
        (self.folder / "conf.d" / "mikroroom.conf").write_text(shipped("mikroroom.conf", {**own, **changes}))

    def check(self) -> list[str]:
        """What it says of its configuration, without being started."""
        command = [*self._command(), "-t", "-e", "stderr"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return done.stderr.splitlines()

    def start(self) -> None:
        """Start it. Whoever connects from now on is served."""
        # It takes over listening sockets that it is told of, as at an upgrade: no port is lost meanwhile.
        descriptors = [listener.fileno() for listener in self._listeners]
        environment = {**os.environ, "NGINX": "".join(f"{each};" for each in descriptors)}
        self._process = subprocess.Popen(
            self._command(),
            env=environment,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def reload(self) -> None:
        """Have it read its configuration again, as ``nginx -s reload`` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Whatever state it is in, it is no more; nor are its workers."""
        for listener in self._listeners:
            listener.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(PATIENCE)

    def said(self) -> str:
        """All that it has written."""
        log = self.folder / "error.log"
        return log.read_text() if log.exists() else ""

    def _command(self) -> list[str]:
        return [str(BINARY), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]

    # Its clients

    def dial(
        self, address: str = "127.0.0.1", path: str = "/ws", **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Client]:
        """Connect as a client of this address."""
        return Client.connect(
            f"wss://{NAME}{path}",
            host="127.0.0.1",
            port=self.port,
            ssl=self.trusting,
            local_addr=(address, 0),
            proxy=None,
            **options,
        )

    def http(self) -> httpx.AsyncClient:
        """A client for pages, by HTTP/1.1."""
        return httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": NAME},
            verify=self.trusting,
            trust_env=False,
            timeout=PATIENCE,
        )

    async def opens(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection over which nothing has been said but the handshake of TLS."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trusting, server_hostname=NAME)

    async def asks(self, *pieces: bytes) -> bytes:
        """The whole answer to what is sent, until the connection is closed."""
        reader, writer = await self.opens()
        try:
            writer.writelines(pieces)
            return await all_of(reader)
        finally:
            writer.transport.abort()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection is closed or reset."""
    answer = bytearray()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        async with asyncio.timeout(PATIENCE):
            while piece := await reader.read(65_536):
                answer += piece
    return bytes(answer)


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """One request, after which the connection is closed."""
    return (
        "\r\n".join([f"{line} HTTP/1.1", f"Host: {NAME}", "Connection: close", *headers, "", ""]).encode()
        + body
    )


def _servers(servers: Sequence[str]) -> dict[str, str]:
    """The lines that name them: the one that is shipped, or those that are shipped as comments."""
    if len(servers) == 1:
        return {"server 127.0.0.1:3000;": f"server {servers[0]};"}
    first, second = servers
    return {
        "server 127.0.0.1:3000;": "",
        "#zone mikroroom_servers 64k;": "zone mikroroom_servers 64k;",
        "#least_conn;": "least_conn;",
        "#server 127.0.0.1:3001 max_fails=0;": f"server {first} max_fails=0;",
        "#server 127.0.0.1:3002 max_fails=0;": f"server {second} max_fails=0;",
    }
