"""The scripts that Redis runs, each at one stroke."""

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """Lua, and the name by which Redis knows it once it is loaded."""

    text: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """The script ``lua/NAME.lua``, after what all of them share."""
    folder = files(__package__) / "lua"
    text = (folder / "shared.lua").read_bytes() + (folder / f"{name}.lua").read_bytes()
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


NAMES = (
    "beat",
    "bury",
    "census",
    "chronicle",
    "commit",
    "connect",
    "count",
    "courier",
    "due",
    "giveback",
    "inherit",
    "lapsed",
    "leave",
    "note",
    "post",
    "refresh",
    "settle",
    "trim",
)
