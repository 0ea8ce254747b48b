"""operations.md, held to the code, to the alerts and to a server that runs."""

import ast
import re
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


def events() -> Iterator[tuple[str, str]]:
    """The first word of every line that the code may log, and how bad it is; "" if that is said elsewhere."""
    for file in (ROOT / "src" / "mikroroom").rglob("*.py"):
        if file.parent.name in ("loadtest", "client"):
            continue
        calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        levels = {id(inner): level(call) for call in calls if level(call) for inner in call.args}
        for call in calls:
            first = call.args[0] if call.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                function = ast.unparse(call.func)
                if function == "Line":
                    yield first.value, levels.get(id(call), "")
                elif function == "_log":
                    yield first.value, "info"
                elif function.endswith("limits.tell") or (file.name, function) == (
                    "watchdog.py",
                    "self._tell",
                ):
                    yield first.value, "warning"


def level(call: ast.Call) -> str:
    """How bad it is what this call logs; "" if it logs nothing."""
    _, is_log, name = ast.unparse(call.func).partition("log.")
    return {"exception": "error"}.get(name, name) if is_log else ""


def test_every_event_of_the_log_is_explained() -> None:
    told = re.findall(r"^\| `([^`]+)` \| (\w+) \| \S", section("Logs"), re.MULTILINE)
    assert len(told) == len(dict(told))
    logged = set(events())
    assert set(dict(told)) == {event for event, _ in logged}
    for event, bad in told:
        levels = {level for name, level in logged if name == event} - {""}
        assert not levels or bad in levels, event


def test_every_alert_has_its_section_and_points_to_it() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    assert re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE) == [*alerts]
    assert re.findall(r"runbook: docs/operations\.md#(\w+)", ALERTS) == [alert.lower() for alert in alerts]


def test_metrics_are_those_of_a_server_that_runs(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        text = httpx.get(f"{site.url}/metrics", timeout=60).text
    families = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        families[name] = family.type, labels
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| \S", section("Metrics"), re.MULTILINE)
    table = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert table.pop("mikroroom_worker_answers") == ("gauge", {"worker"})  # of several workers
    assert table == families


def test_every_reference_leads_somewhere() -> None:
    for document in (ROOT / "docs").glob("*.md"):
        for target, anchor in re.findall(r"\]\(([\w/.-]*)#([\w-]+)\)", document.read_text()):
            text = (document.parent / target).read_text() if target else document.read_text()
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{document.name}: {target}#{anchor}"
