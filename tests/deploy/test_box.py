"""The box itself: what is done in it stays in it."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.deploy.box import Box, Forbidden

PATIENCE = 20.0


def cgroups() -> set[str]:
    """The cgroups of boxes that this machine has."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return {
        str(path)
        for mount in mounts
        if mount[2] == "cgroup2"
        for path in Path(mount[1]).glob("mikroroom-box-*")
    }


def eventually(happens: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_box_that_is_left_leaves_nothing_behind() -> None:
    before, mounts = cgroups(), Path("/proc/mounts").read_text()
    with contextlib.ExitStack() as stack:
        try:
            box = stack.enter_context(Box())
        except Forbidden as reason:
            pytest.skip(f"no systemd can be booted here: {reason}")
        box.run("touch /etc/mark; nohup sleep 1000 >/dev/null 2>&1 &")
        box.run("systemd-run --unit=idle --property=DynamicUser=yes sleep 1000; hostname elsewhere")
        assert box.tells("systemctl is-active idle") == "active"
        assert "idle" in box.journal("idle")
        assert (box.root / "etc/mark").exists()
        assert not Path("/etc/mark").exists()
        assert socket.gethostname() != "elsewhere"
        with pytest.raises(RuntimeError, match="no such thing"):
            box.run("echo no such thing; false")
        inside = box.root / "proc"
        assert len(list(inside.glob("[0-9]*"))) > 3
    assert not inside.exists()
    assert cgroups() <= before
    assert Path("/proc/mounts").read_text() == mounts


def test_a_box_whose_owner_is_killed_ends_as_well(box: Box) -> None:
    before = cgroups()
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from tests.deploy.box import Box\nwith Box() as box:\n print(box.root, flush=True)\n input()",
        ],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        root = Path(owner.stdout.readline().strip())
        assert root.exists()
        owner.kill()
    eventually(lambda: not root.exists() and cgroups() <= before)
    assert box.is_so("systemctl is-system-running"), "and no other with it"
