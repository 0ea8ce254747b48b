"""The page's code is typed, in its comments."""

import subprocess
from pathlib import Path

PROJECT = Path(__file__).parent / "jsconfig.json"


def test_page_has_no_type_error(modules: Path) -> None:
    compiler = str(Path(modules, ".bin", "tsc"))
    done = subprocess.run(
        [compiler, "--project", str(PROJECT), "--pretty", "false"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
