"""operations.md, held to the code, to the alerts and to a server that runs."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.site_process import Site

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "operations.md").read_text()
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()


def section(title: str) -> str:
    """What stands under this heading."""
    return DOCUMENT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_column(table: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def events() -> Iterator[str]:
    """The first word of every line that the code may log."""
    for file in (ROOT / "src" / "mikroroom").rglob("*.py"):
        if file.parent.name in ("loadtest", "client"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
                first = node.args[0]
                is_line = name in {"Line", "_log"} or (name == "tell" and "limits" in ast.unparse(node.func))
                is_block = file.name == "watchdog.py" and name == "_tell"
                if (is_line or is_block) and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def test_every_event_of_the_log_is_explained() -> None:
    told = first_column(section("Logs"))
    assert len(told) == len(set(told))
    assert set(told) == set(events())


def test_every_alert_has_its_section_and_points_to_it() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    assert re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE) == [*alerts]
    assert re.findall(r"runbook: docs/operations\.md#(\w+)", ALERTS) == [alert.lower() for alert in alerts]


def test_metrics_are_those_of_a_server_that_runs(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        text = httpx.get(f"{site.url}/metrics").text
    families = {}
    for family in text_string_to_metric_families(text):
        families[family.name + ("_total" if family.type == "counter" else "")] = family.type
    table = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section("Metrics"), re.MULTILINE))
    assert table.pop("mikroroom_worker_answers") == "gauge"  # of several workers
    assert table == families


def test_first_look_can_be_taken(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```sh\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    with Site(tmp_path) as site:
        command = block.replace("http://127.0.0.1:3000", site.url)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, check=True
        )
    assert '"status":"ok"' in done.stdout
    assert "mikroroom_ready 1.0" in done.stdout and "mikroroom_participants 0.0" in done.stdout


def test_every_reference_leads_somewhere() -> None:
    for document in (ROOT / "docs").glob("*.md"):
        for target, anchor in re.findall(r"\]\(([\w/.-]*)#([\w-]+)\)", document.read_text()):
            text = (document.parent / target).read_text() if target else document.read_text()
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{document.name}: {target}#{anchor}"
