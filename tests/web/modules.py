"""What these tests have from the npm registry, as ``package-lock.json`` pins it: tsc, and axe-core."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"

# Seconds. It is some ten megabytes.
PATIENCE = 120.0


def installed() -> Path:
    """The folder with the packages in it. They are installed if what is there is not what is locked.

    Where they cannot be, the test is skipped, or fails where ``CI=true``.
    """
    missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    npm = shutil.which("npm")
    if npm is None:
        missing("npm is not installed")
    stamp = MODULES / ".locked"
    with Path(HERE, "package-lock.json").open("rb") as lock:
        # Somebody else may be running these tests too.
        fcntl.flock(lock, fcntl.LOCK_EX)
        locked = lock.read()
        if not stamp.exists() or stamp.read_bytes() != locked:
            try:
                _install(npm)
            except subprocess.SubprocessError as error:
                missing(f"npm could not install what package-lock.json asks for: {error}")
            stamp.write_bytes(locked)
    return MODULES


def _install(npm: str) -> None:
    done = subprocess.run(
        [npm, "ci", "--include=dev"],
        cwd=HERE,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise subprocess.SubprocessError(done.stdout)
