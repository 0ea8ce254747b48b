"""The machine as a measuring instrument: cores, processor time, memory, and a C compiler."""

import contextlib
import fcntl
import functools
import os
import platform
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
# Where `python -m tests.bench` finds itself.
ROOT = HERE.parent.parent
# Files that a process may have open besides its connections.
SPARE_FILES = 500
PACKAGES = ("uvicorn", "uvloop", "picows", "aiofastnet", "websockets", "msgspec")


class MachineError(Exception):
    """This machine cannot do the measurement; the text says what is missing."""


@functools.cache
def cores() -> tuple[int, int]:
    """A core for the server and one for the load: this process's, once it has been pinned to it."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise MachineError("the server and the load need a core each, and there is only one")
    return usable[0], usable[-1]


def allow_files() -> int:
    """Raise the number of files that this process, and those it starts, may have open. Returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Waits until no other run of these measurements is under way here: they would measure each other."""
    with Path(tempfile.gettempdir(), "mikroroom-bench.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cpu_seconds(pid: int) -> float:
    """Processor time that all threads of a process have used, to the nanosecond."""
    return _scheduled(pid, 0)


def waited_seconds(pid: int) -> float:
    """Time for which threads of a process could have run and did not get their core."""
    return _scheduled(pid, 1)


def _scheduled(pid: int, field: int) -> float:
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[field]) for thread in threads) / 1e9


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise MachineError(f"process {pid} has no memory")


def unsent_bytes(port: int, peer_port: int) -> int:
    """What the system keeps, unsent or unacknowledged, of a TCP connection between these ports (IPv4)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (port, peer_port):
            return int(queues.partition(":")[0], 16)
    raise MachineError(f"no connection of port {port} with port {peer_port}")


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """A temporary folder with our C programs, compiled: ``relay`` and ``pump.so``."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise MachineError("a C compiler is needed (cc): on Debian, apt-get install gcc libc6-dev")
    with tempfile.TemporaryDirectory(prefix="mikroroom-bench-") as name:
        folder = Path(name)
        for target, flags in (("relay", []), ("pump.so", ["-shared", "-fPIC"])):
            source = HERE / f"{target.removesuffix('.so')}.c"
            subprocess.run([compiler, "-O2", *flags, "-o", folder / target, source], check=True)
        yield folder


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def description() -> str:
    """What the figures are taken on: kinds, no names. Raises ``MachineError`` if a package is missing."""
    try:
        packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    except PackageNotFoundError as error:
        raise MachineError(f"{error.name} is needed: pip install 'mikroroom[fast]'") from None
    python = f"{platform.python_implementation()} {platform.python_version()}"
    kernel = platform.release().partition("-")[0]
    return f"{os.cpu_count()} cores ({_cpu_model()}), Linux {kernel}, {python}, {packages}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
