"""deploy/prometheus/, read by Debian's Prometheus: the rules by promtool, and a server that is scraped."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.redis_server import RedisServer
from tests.site_process import Site

from .conftest import free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = (FOLDER / "alerts.yml").read_text()
# Each rule as it stands in the file, by the name of its alert.
RULES = dict(re.findall(r"- alert: (\w+)\n(.*?)(?=\n *- alert: |\n *- name: |\Z)", ALERTS, re.DOTALL))
PATIENCE = 60.0
# What Grafana would put in.
VARIABLES = {"$__rate_interval": "4s", "$instance": ".*"}


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"{name} is not installed")
    return path


def promtool(*words: str) -> str:
    """What it says. Raises if it is not content."""
    done = subprocess.run(
        [tool("promtool"), *words],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def queries() -> list[str]:
    """Every expression of the dashboard."""
    found = [target["expr"] for panel in PANELS for target in panel["targets"]]
    for name, value in VARIABLES.items():
        found = [query.replace(name, value) for query in found]
    return found


class Prometheus:
    """It scrapes the target every second, by our configuration and rules."""

    def __init__(self, folder: Path, target: str) -> None:
        program = tool("prometheus")
        text = (FOLDER / "prometheus.yml").read_text()
        for line, ours in {
            "scrape_interval: 15s": "scrape_interval: 1s",
            "evaluation_interval: 15s": "evaluation_interval: 1s",
            "scrape_timeout: 10s": "scrape_timeout: 1s",
            "targets: [127.0.0.1:3000]": f"targets: [{target}]",
        }.items():
            assert text.count(line) == 1, line
            text = text.replace(line, ours)
        (folder / "prometheus.yml").write_text(text)
        # An alert waits for a minute, which is long for a test; what it waits for is the same.
        (folder / "alerts.yml").write_text(ALERTS.replace("for: 1m", "for: 1s"))
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._log.close()

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API answers, or None while it does not."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return None
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, query: str) -> list[float]:
        """What the expression comes to now."""
        data = self.ask("query", query=query)
        return [float(sample["value"][1]) for sample in data["result"]] if data else []

    def shows(self, query: str) -> bool:
        """Whether there is something to see. Of what happens seldom, only that which has is asked for."""
        return bool(self.values(query)) or query.endswith("> 0")

    def evaluates(self) -> bool:
        """Whether all rules were, on what there is; and for none of them that was wrong."""
        data = self.ask("rules")
        rules = [rule for group in data["groups"] for rule in group["rules"]] if data else []
        assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
        return [rule["name"] for rule in rules if rule["health"] == "ok"] == list(RULES)

    def firing(self) -> set[str]:
        """The alerts that do."""
        data = self.ask("alerts")
        return (
            {alert["labels"]["alertname"] for alert in data["alerts"] if alert["state"] == "firing"}
            if data
            else set()
        )


def eventually(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def test_configuration_is_one() -> None:
    promtool("check", "config", "prometheus.yml")


def test_alerts_fire_when_they_should_and_are_silent_when_not() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tried_firing_and_silent() -> None:
    tried = (FOLDER / "alerts_test.yml").read_text()
    assert set(re.findall(r"alertname: (\w+)\n +exp_alerts:", tried)) == set(RULES)
    assert set(re.findall(r"alertname: (\w+)}", tried)) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_alert_says_how_bad_what_and_where_to_read_on(name: str) -> None:
    assert re.search(r"summary: .{20}", RULES[name])
    assert f"runbook: docs/operations.md#{name.lower()}\n" in RULES[name] + "\n"
    (severity,) = re.findall(r"severity: (.*)", RULES[name])
    assert severity == ("critical" if ALERTS.index(name) < ALERTS.index("mikroroom-warning") else "warning")


def test_every_panel_says_what_it_shows() -> None:
    for panel in PANELS:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel
        assert panel["datasource"]["uid"] == "${datasource}"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_panels_hold_for_the_chosen_servers_and_any_number_of_workers() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            query = target["expr"]
            chosen = re.findall(r'\bmikroroom_\w+\{instance=~"\$instance"', query)
            assert len(chosen) == len(re.findall(r"\bmikroroom_\w+", query)), query
            # The same on all workers: added up it would be too much.
            assert "mikroroom_rooms{" not in query or query.startswith("max("), query


def test_server_of_two_workers_is_scraped_and_is_missed_when_it_is_gone(
    tmp_path: Path, redis: RedisServer
) -> None:
    with Site(tmp_path, workers=2, redis_url=redis.url) as site:
        assert_all_is_told(httpx.get(f"{site.url}/metrics", timeout=PATIENCE).text)
        prometheus = Prometheus(tmp_path, site.url.removeprefix("http://"))
        try:
            eventually(lambda: prometheus.values("sum(mikroroom_ready)") == [2.0])
            eventually(lambda: prometheus.values("max(mikroroom_rooms)") == [0.0])
            # Rates take two scrapes.
            eventually(lambda: prometheus.values("sum(rate(mikroroom_process_cpu_seconds_total[4s]))"))
            for query in queries():
                eventually(partial(prometheus.shows, query))
            eventually(prometheus.evaluates)
            eventually(lambda: prometheus.firing() == set())
            site.stop()
            eventually(lambda: prometheus.firing() == {"MikroRoomDown"})
            site.start()
            eventually(lambda: prometheus.firing() == set())
        finally:
            prometheus.close()


def assert_all_is_told(scrape: str) -> None:
    """Whatever the rules and the dashboard ask for is there, by name and by the values of labels."""
    told = [sample for family in text_string_to_metric_families(scrape) for sample in family.samples]
    names = {sample.name for sample in told}
    values = {(sample.name, *label) for sample in told for label in sample.labels.items()}
    asked = "\n".join([ALERTS, *queries(), (FOLDER / "alerts_test.yml").read_text()])
    asked = re.sub(r'#.*|job="[^"]*"|operations\.md', "", asked)
    assert set(re.findall(r"\bmikroroom_\w+", asked)) <= names
    for name, labels in re.findall(r"\b(mikroroom_\w+)\{([^}]*)\}", "\n".join([*RULES.values(), *queries()])):
        for label, value in re.findall(r'(\w+)!?="(\w+)"', labels):
            assert (name, label, value) in values
