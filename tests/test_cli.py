"""The command, as a user runs it: real processes, real sockets."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from shutil import which

import httpx
import pytest

from mikroroom import __version__
from mikroroom.listeners import listen
from mikroroom.settings import OPTIONS, Settings

COMMAND = (sys.executable, "-m", "mikroroom")
PATIENCE = 60.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment without any settings, and with a home of its own."""
    ours = ("MIKROROOM_", "XDG_", "STATE_DIRECTORY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HOME": str(home), **more}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command to its end."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment(tmp_path, **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


class Served:
    """A server in a process of its own, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.listening = self.hear("listening")
        self.url = self.listening.rpartition("url=")[2]
        self.port = int(self.url.rpartition(":")[2].partition("/")[0])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip("\n"))

    def hear(self, event: str) -> str:
        """The next line with this in it."""
        while not self.said or event not in self.said[-1]:
            try:
                self.said.append(self._lines.get(timeout=PATIENCE))
            except Empty:
                raise AssertionError(f"never said {event!r}, only {self.said}") from None
        return self.said[-1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait until it has stopped; its exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        while not self._lines.empty():
            self.said.append(self._lines.get())
        return code


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Served]:
    """A server on a free port, stopped afterwards if it still runs."""
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *arguments],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Served(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for localhost, and its key."""
    openssl = which("openssl")
    if openssl is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    files = str(folder / "certificate.pem"), str(folder / "key.pem")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    where = ("-out", files[0], "-keyout", files[1])
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *where],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    return files


# What it says of itself


def test_asked_for_its_version_it_tells(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mikroroom {__version__}\n", "")


def test_without_a_command_it_tells_which_there_are(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_help_lists_every_setting(run: Run) -> None:
    done = run("serve", "--help", COLUMNS="200")
    assert done.returncode == 0
    assert [option.flag for option in OPTIONS.values() if f"{option.flag} " not in done.stdout] == []


# config


def test_config_shows_each_setting_and_where_it_came_from(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mikroroom.toml"
    file.write_text("max_rooms = 7\n")
    done = run("config", "--config", str(file), "--host", "::1", MIKROROOM_PORT="80")
    assert (done.returncode, done.stderr) == (0, "")
    told = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert [field for field, _, _ in told] == list(OPTIONS)
    assert ["host", "::1", "flag"] in told
    assert ["port", "80", "environment"] in told
    assert ["max_rooms", "7", f"file {file}"] in told
    assert ["data_dir", f"{tmp_path}/.local/state/mikroroom", "serve default"] in told
    assert ["turn_secret", "(empty)", "default"] in told


def test_config_never_shows_a_secret(run: Run) -> None:
    secrets = {"MIKROROOM_TURN_SECRET": "hunter2", "MIKROROOM_REDIS_URL": "redis://:hunter2@127.0.0.1"}
    for more in ((), ("--toml",)):
        done = run("config", *more, "--turn-credential", "hunter2", **secrets)
        assert done.returncode == 0
        assert "hunter2" not in done.stdout + done.stderr


def test_config_as_toml_gives_the_same_settings_again(run: Run, tmp_path: Path) -> None:
    chosen = ["--port", "81", "--host", "::", "--allowed-origins", "https://a.example,https://b.example"]
    chosen += ["--resume-window", "2.5", "--log-format", "json", "--turn-username", 'a "b" \\ é']
    file = tmp_path / "mikroroom.toml"
    file.write_text(run("config", "--toml", *chosen).stdout, "utf-8")
    again = run("config", "--config", str(file)).stdout
    assert again.replace(f"file {file}", "flag") == run("config", *chosen).stdout


@pytest.mark.parametrize(
    ("variables", "directory"),
    [
        ({"XDG_STATE_HOME": "/x"}, "/x/mikroroom"),
        ({"XDG_STATE_HOME": "relative"}, "HOME/.local/state/mikroroom"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x"}, "/var/lib/a"),
    ],
)
def test_rooms_are_kept_where_a_service_keeps_its_state(
    run: Run, tmp_path: Path, variables: dict[str, str], directory: str
) -> None:
    shown = run("config", **variables).stdout
    assert f" {directory.replace('HOME', str(tmp_path))} " in shown


def test_with_redis_rooms_are_kept_nowhere_else(run: Run) -> None:
    shown = run("config", "--redis-url", "redis://127.0.0.1", STATE_DIRECTORY="/var/lib/a").stdout
    assert ["data_dir", "(empty)", "default"] in [line.split(maxsplit=2) for line in shown.splitlines()]


# What it refuses


def test_settings_it_does_not_understand_are_all_told_at_once(run: Run) -> None:
    done = run("serve", "--prot", "80", "--max-rooms=x", MIKROROOM_BOGUS="1")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "mikroroom: MIKROROOM_BOGUS=1: unknown setting; `mikroroom config` lists them all",
        "mikroroom: --max-rooms x: must be a whole number from 1 to 1000000",
        "mikroroom: --prot 80: unknown setting; did you mean --port?",
    ]


def test_a_word_it_does_not_understand_is_refused(run: Run) -> None:
    done = run("serve", "now")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "mikroroom: error: unrecognized argument: now"


def test_a_port_in_use_is_one_clear_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f'cannot listen host=127.0.0.1 port={port} reason="Address already in use" hint=' in line


def test_a_host_that_is_not_here_is_one_clear_line(run: Run) -> None:
    done = run("serve", "--port", "0", "--host", "192.0.2.1", "--log-format", "json")
    assert done.returncode == 1
    assert json.loads(done.stderr)["event"] == "cannot listen"


def test_a_certificate_that_is_none_is_one_clear_line(run: Run) -> None:
    done = run("serve", "--port", "0", "--tls-certificate", __file__, "--tls-key", __file__)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"cannot use the certificate tls_certificate={__file__}" in line


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(
    run: Run, certificate: tuple[str, str], tmp_path: Path
) -> None:
    locked = str(tmp_path / "locked.pem")
    subprocess.run(
        [
            which("openssl") or "",
            "rsa",
            "-aes256",
            "-passout",
            "pass:x",
            "-in",
            certificate[1],
            "-out",
            locked,
        ],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    done = run("serve", "--port", "0", "--tls-certificate", certificate[0], "--tls-key", locked)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_several_workers_without_a_redis_are_one_clear_line(run: Run) -> None:
    done = run("serve", "--port", "0", "--workers", "2")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mikroroom: --workers 2: must be 1, or given together with redis_url: ")


# What it is, where a part of it is not installed: the app says so as it is made.
WITHOUT_A_CLIENT = """
import sys
sys.modules["redis"] = sys.modules["hiredis"] = None  # as if they were not installed
from mikroroom import cli
sys.exit(cli.main())
"""


def test_redis_without_a_client_for_it_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_CLIENT, "serve", "--port", "0", "--redis-url", "redis://:hunter2@h"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "cannot use Redis reason=" in line
    assert "pip install 'mikroroom[redis]'" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("query", ["?bogus=1", "?socket_timeout=soon", "?ssl_cert_reqs=maybe"])
def test_a_redis_url_with_options_that_are_none_is_one_clear_line(run: Run, query: str) -> None:
    done = run("serve", "--port", "0", "--redis-url", f"rediss://:hunter2@127.0.0.1:1/0{query}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "cannot use the settings" in line and "redis_url" in line
    assert "hunter2" not in line


# serve


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_says_when_it_listens_and_stops_when_asked(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as server:
        assert httpx.get(f"{server.url}/health", timeout=PATIENCE).status_code == 200
        assert server.stop(number) == 0
        assert len([line for line in server.said if "listening" in line]) == 1
        assert server.said[-2].endswith("stopping participants=0")
        assert "stopped seconds=" in server.said[-1]


def test_a_server_has_one_port_for_every_address_of_its_host(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "localhost") as server:
        assert server.url.startswith("http://localhost:")
        assert httpx.get(f"http://127.0.0.1:{server.port}/health", timeout=PATIENCE).status_code == 200


def test_a_server_with_a_certificate_speaks_tls(tmp_path: Path, certificate: tuple[str, str]) -> None:
    with serving(tmp_path, "--tls-certificate", certificate[0], "--tls-key", certificate[1]) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=certificate[0])
        assert httpx.get(f"{server.url}/health", verify=trusted, timeout=PATIENCE).status_code == 200
        assert server.stop() == 0


@contextmanager
def connected(server: Served) -> Iterator[socket.socket]:
    """A WebSocket as bare bytes, after its handshake."""
    request = (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(request.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(1) or pytest.fail(f"closed after {answer!r}")
        assert answer.startswith(b"HTTP/1.1 101 ")
        yield client


def test_a_server_stops_in_time_for_a_client_that_never_reads(tmp_path: Path) -> None:
    with serving(tmp_path, "--shutdown-timeout", "1") as server, connected(server):
        assert server.stop() == 0


def test_a_client_that_sends_bad_text_is_no_error_of_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as server, connected(server) as client:
        client.sendall(b"\x81\x82\0\0\0\0\xc3\x28")
        assert client.recv(4)[2:] == b"\x03\xef"  # 1007, in a close frame
        assert server.stop() == 0
        assert [line for line in server.said if "Traceback" in line or "ERROR" in line] == []


# The listening socket


def accepted(chosen: Settings, address: str) -> list[int]:
    """Options of a connection accepted from this address: no delay, and the patience with what is unread."""
    listeners = listen(chosen, chosen.host, chosen.port)
    try:
        with socket.create_connection((address, listeners[0].getsockname()[1]), PATIENCE):
            connection, _ = listeners[0].accept()
            with connection:
                options = (socket.TCP_NODELAY, socket.TCP_USER_TIMEOUT)
                return [connection.getsockopt(socket.IPPROTO_TCP, option) for option in options]
    finally:
        for listener in listeners:
            listener.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_accepted_connections_do_not_delay_and_give_up_on_readers_that_do_not_read(host: str) -> None:
    chosen = Settings(host=host, port=0, ping_interval=2.5, ping_timeout=1)
    assert accepted(chosen, "localhost" if host == "localhost" else "127.0.0.1") == [1, 3500]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_every_address_means_both_families() -> None:
    assert accepted(Settings(host="::", port=0), "127.0.0.1") == [1, 40_000]
    with pytest.raises(OSError, match="refused"):
        accepted(Settings(host="::1", port=0), "127.0.0.1")
