"""coturn in a process of its own, by the configuration that is shipped, and what its tools say of it."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "coturn" / "turnserver.conf"
SECRET = "5e9f2c"
HERE = "127.0.0.1"

# Seconds within which the server must be up, or a tool at its end.
PATIENCE = 60.0

# On this machine it has no other peers than those it must not have.
LOOPBACK = f"allow-loopback-peers\nallowed-peer-ip={HERE}\n"


class Login(NamedTuple):
    """As ``iceServers`` has them."""

    username: str
    credential: str


class TurnServer:
    """Listens on loopback. With ``peers``, it relays to loopback too, which as shipped it does not."""

    def __init__(self, folder: Path, *, peers: bool = True) -> None:
        self._program = _tool("turnserver")
        self._folder = folder
        self._log = folder / "turnserver.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.tls_port = _free_port(), _free_port()
        self.certificate = folder / "turn.crt"
        self._more = LOOPBACK if peers else ""

    def __enter__(self) -> Self:
        certificate, key = self.certificate, self._folder / "turn.key"
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=turn"]
        run("openssl", "req", "-x509", *kind, "-out", str(certificate), "-keyout", str(key))
        text = CONFIGURATION.read_text()
        for line, ours in {
            "static-auth-secret=REPLACE-THIS-SECRET": f"static-auth-secret={SECRET}",
            "listening-port=3478": f"listening-port={self.port}",
            "tls-listening-port=5349": f"tls-listening-port={self.tls_port}",
            "cert=/etc/coturn/turn.example.org.crt": f"cert={certificate}",
            "pkey=/etc/coturn/turn.example.org.key": f"pkey={key}",
            "syslog": "log-file=stdout",
        }.items():
            assert text.count(f"\n{line}\n") == 1, line
            text = text.replace(f"\n{line}\n", f"\n{ours}\n")
        addresses = f"listening-ip={HERE}\nrelay-ip={HERE}\nrelay-ip=::1\n"
        files = f"userdb={self._folder}/turn.db\npidfile={self._folder}/turn.pid\n"
        configuration = self._folder / "turnserver.conf"
        configuration.write_text(f"{text}\n{addresses}{files}{self._more}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(configuration)],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_listening()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
        print(self._log.read_text(errors="replace"))  # pytest shows it if the test failed

    @property
    def said(self) -> str:
        """Its log."""
        return self._log.read_text(errors="replace")

    @property
    def settings(self) -> Mapping[str, object]:
        """What a server of ours is told of it."""
        return {"turn_servers": f"turn:{HERE}:{self.port}?transport=udp", "turn_secret": SECRET}

    def relays(self, login: Login, peer: str, port: int = 9, *options: str) -> str:
        """Why it does not, or an empty string: five messages were sent to the peer, and echoed."""
        address = ["-x"] if ":" in peer else []
        done = subprocess.run(
            [
                *(_tool("turnutils_uclient"), "-c", *address, *options),
                *("-u", login.username, "-w", login.credential, "-p", str(self.port)),
                *("-e", peer, "-r", str(port), "-n", "5", HERE),
            ],
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode == 0 and "tot_send_msgs=5, tot_recv_msgs=5" in done.stdout:
            return ""
        return done.stdout or f"exit status {done.returncode}"

    def _await_listening(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        for port in (self.port, self.tls_port):
            while self._process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection((HERE, port), 1.0):
                    break
                time.sleep(0.02)
            else:
                raise RuntimeError(f"coturn did not come up:\n{self.said}")

    def _end(self) -> None:
        assert self._process is not None
        self._process.kill()  # there is nothing that it would have to keep
        self._process.wait(PATIENCE)


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """A peer that sends back what it is sent. Gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HERE, 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([_tool("turnutils_peer"), "-L", HERE, "-p", str(port)])
    try:
        _await_echo(port)
        yield port
    finally:
        process.kill()
        process.wait(PATIENCE)


def run(program: str, *arguments: str) -> None:
    """Run one of this machine's programs to its end."""
    subprocess.run([_tool(program), *arguments], check=True, timeout=PATIENCE, capture_output=True)


def _await_echo(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((HERE, port))
        client.settimeout(0.05)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # nobody there yet
                client.send(b"hello")
                if client.recv(16):
                    return
    raise RuntimeError("turnutils_peer does not answer")


def _free_port() -> int:
    """Free for TCP and UDP, below those that systems give away by themselves."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            socket.create_server((HERE, port)),
        ):
            datagrams.bind((HERE, port))
            return port
    raise RuntimeError("no port is free")


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"{name} is not installed")
    return path
