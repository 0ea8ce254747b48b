"""What the README shows works as it stands there."""

import re
from pathlib import Path
from typing import Any

import httpx

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def python_block(containing: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (block,) = (block for block in blocks if containing in block)
    return str(block)


async def test_the_mounted_service_answers_under_its_prefix() -> None:
    names: dict[str, Any] = {}
    exec(python_block("site.mount"), names)
    site = names["site"]
    async with (
        site.router.lifespan_context(site),
        httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://site") as http,
    ):
        assert (await http.get("/meet/health")).json()["status"] == "ok"
        assert (await http.get("/meet/")).json()["endpoints"]["websocket"] == "/meet/ws"
        assert (await http.post("/meet/api/rooms")).status_code == 201


def test_the_client_example_is_python_with_names_that_exist() -> None:
    example = python_block("Client.connect")
    imports, _, rest = example.partition("async with")
    names: dict[str, Any] = {}
    exec(imports, names)
    compile(
        "async def main():\n" + re.sub("^", "    ", "async with" + rest, flags=re.MULTILINE), "README", "exec"
    )
    for attribute in re.findall(r"\bada\.(\w+)", rest):
        assert hasattr(names["Client"], attribute)


def test_every_file_that_is_named_exists() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (root / target).exists(), target
