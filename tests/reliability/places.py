"""Places for a data directory that can be full, or read-only, for everyone: root as well.

A small tmpfs in a mount namespace of its own. Needs the programs ``unshare`` and ``nsenter``, and a system
that lets their user make a namespace.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .servers import PATIENCE, Server


class Disk:
    """A disk of a few hundred kilobytes, where a server has its data directory."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self.enter = (
            "nsenter",
            f"--target={process.pid}",
            "--user",
            "--mount",
            "--preserve-credentials",
            f"--wd={Path.cwd()}",
        )
        self.folder = folder
        # The folder as it is in there, seen from here.
        self.inside = Path(f"/proc/{process.pid}/root{folder}")

    def fills_up(self) -> None:
        """Not a byte more fits."""
        with (self.inside / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1_024))

    def has_room(self) -> None:
        """There is room again."""
        (self.inside / "filler").unlink()

    def is_mounted(self, how: str) -> None:
        """Make it ``ro`` or ``rw``."""
        self.does("mount", "--options", f"remount,{how}", str(self.folder))

    def does(self, *command: str) -> None:
        """Run a command in there."""
        subprocess.run([*self.enter, *command], timeout=PATIENCE, check=True, capture_output=True)


@contextlib.contextmanager
def disk_for(server: Server) -> Iterator[Disk | None]:
    """Have a server keep its data on such a disk; None where that cannot be had."""
    server.data.mkdir(parents=True)
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("nsenter") is None:
        yield None
        return
    mount = 'mount -t tmpfs -o size=300k tmpfs "$1" && echo mounted && exec cat'
    with subprocess.Popen(
        [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(server.data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() == b"mounted\n":
                disk = Disk(process, server.data)
                server.wrapper = disk.enter
                yield disk
            else:
                yield None
        finally:
            process.stdin.close()
            process.wait(PATIENCE)
