"""``python -m mikroroom.contracts``: writes the documents and the types into a checkout of this project."""

import json
from pathlib import Path
from typing import Any

from mikroroom.contracts.asyncapi import asyncapi
from mikroroom.contracts.openapi import openapi
from mikroroom.contracts.typescript import declarations, typedefs
from mikroroom.settings import Settings


def contents() -> dict[str, str]:
    """Each file that is made, by its path in the checkout."""
    return {
        "docs/contracts/openapi.json": _text(openapi(Settings())),
        "docs/contracts/asyncapi.json": _text(asyncapi(Settings())),
        "docs/contracts/messages.d.ts": declarations(),
        "src/mikroroom/web/client/messages.js": typedefs(),
    }


def write(root: Path) -> None:
    """Write them all below ``root``."""
    for name, text in contents().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write(Path())
