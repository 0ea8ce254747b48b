"""A ``Box``: a systemd of its own, on a copy of this machine's files, in which anything may be done.

It has its own processes, mounts and host name, and the network of the machine: what listens in it on
127.0.0.1 is reached from here. What is written in it is kept in memory and gone with it. Needs root and Linux
namespaces.
"""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 60.0
SCRIPT = Path(__file__).with_name("box.sh")

# A login's, and not that of whoever runs the tests. How to get at the network goes along.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "",
}
NETWORK = ("_PROXY", "PIP_", "SSL_CERT_", "REQUESTS_CA_")


class Forbidden(Exception):
    """Why there can be no box on this machine."""


class Box:
    """It runs from when it is entered until it is left.

    ``shown`` are folders of this machine, to be seen at other places in it too, by these: read only.

    Raises:
        Forbidden: this machine does not allow one.
    """

    def __init__(self, shown: Mapping[str, Path | str] | None = None) -> None:
        self._shown = shown or {}
        self._process: subprocess.Popen[str]
        self._pid = 0

    def __enter__(self) -> Self:
        _must_be_possible()
        pairs = [f"{inside}={outside}" for inside, outside in self._shown.items()]
        # For as long as our end of its standard input is open, there is a box.
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "bash", str(SCRIPT), "world", *pairs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self._pid = self._init()
            deadline = time.monotonic() + PATIENCE
            while self.run("systemctl is-active --quiet basic.target", check=False).returncode:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"systemd does not come up:\n{self.run('journalctl', check=False).stdout}"
                    )
                time.sleep(0.05)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    @property
    def root(self) -> Path:
        """Its files, as seen from here."""
        return Path(f"/proc/{self._pid}/root")

    def run(
        self, command: str, *, check: bool = True, timeout: float = PATIENCE
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of the shell in it, as root. What is written to stdout and stderr is in ``stdout``.

        Raises:
            RuntimeError: it failed, unless that is not to be checked. Carries what it has written.
            TimeoutExpired: it took too long. It is dead then.
        """
        inherited = {name: value for name, value in os.environ.items() if name.upper().endswith(NETWORK[:1])}
        inherited |= {name: value for name, value in os.environ.items() if name.startswith(NETWORK[1:])}
        process = subprocess.run(
            [*self._inside(), "bash", "-c", command],
            env=inherited | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and process.returncode:
            raise RuntimeError(f"{command}\nhas failed ({process.returncode}):\n{process.stdout}")
        return process

    def tells(self, command: str) -> str:
        """What a command says, without the end of the line. Raises as ``run`` does."""
        return self.run(command).stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file in it, and the folders on the way there."""
        target = self.root / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def journal(self, unit: str) -> str:
        """All that the unit has written, and what was said of it."""
        return self.tells(f"journalctl --sync && journalctl --quiet --no-pager --output=cat --unit={unit}")

    def is_so(self, command: str) -> bool:
        """Whether the command succeeds."""
        return self.run(command, check=False).returncode == 0

    def _inside(self) -> list[str]:
        return ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--ipc", "--uts"]

    def _init(self) -> int:
        """Wait for the news of systemd's start: its number, as we know it."""
        said = ""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], PATIENCE)[0]:
            line = self._process.stdout.readline()
            said += line
            word, _, rest = line.strip().partition(" ")
            if word == "init":
                return int(rest)
            if word == "forbidden:":
                raise Forbidden(rest)
            if not line:
                break
        raise RuntimeError(f"systemd was not started:\n{said}")

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            # With it all its children end, and then only an empty cgroup stays.
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _must_be_possible() -> None:
    if os.geteuid() != 0:
        raise Forbidden("only root can boot a systemd of its own")
    for program in ("unshare", "nsenter", "setpriv", "bash", "/lib/systemd/systemd"):
        if shutil.which(program) is None:
            raise Forbidden(f"there is no {program} here")
    trial = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "true"]
    if subprocess.run(trial, capture_output=True, timeout=PATIENCE, check=False).returncode:
        raise Forbidden("the kernel lets nobody make namespaces here")
