"""What is said and what it means know no sockets, no clocks and no frameworks."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mikroroom

PACKAGE = Path(mikroroom.__file__).parent
SOURCES = sorted(path for floor in ("core", "protocol") for path in (PACKAGE / floor).rglob("*.py"))
OUTSIDE = {
    *("asyncio", "logging", "os", "select", "signal", "socket", "sqlite3", "ssl", "subprocess", "threading"),
    *("time", "datetime", "concurrent", "multiprocessing", "selectors", "secrets"),
    *("httptools", "starlette", "uvicorn", "uvloop", "websockets"),
}
FLOORS = {"core": {"core", "protocol"}, "protocol": {"protocol"}}


def imported(path: Path) -> Iterator[str]:
    """The modules that a source names, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module is not None
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_core_and_protocol_import_nothing_from_outside_and_nothing_above_them(path: Path) -> None:
    """Time and randomness are passed in: ``random`` is the type of what is passed."""
    modules = set(imported(path))
    assert OUTSIDE.isdisjoint(module.partition(".")[0] for module in modules)
    ours = {module.split(".")[1] for module in modules if module.startswith("mikroroom.")}
    assert ours <= FLOORS[path.relative_to(PACKAGE).parts[0]]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_core_and_protocol_await_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not [
        node for node in ast.walk(tree) if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith))
    ]


def test_there_are_sources_to_look_at() -> None:
    assert {path.name for path in SOURCES} >= {"room.py", "moderation.py", "codec.py", "requests.py"}
