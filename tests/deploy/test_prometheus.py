"""A real Prometheus, with the configuration, the alerts and the dashboard that are shipped for it."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.redis_server import RedisServer
from tests.reliability.servers import PATIENCE, Server, free_port

from mikroroom import Settings, create_app
from mikroroom.client import Client
from mikroroom.protocol import events

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "prometheus"
ALERTS = (SHIPPED / "alerts.yml").read_text()
DASHBOARD = json.loads((SHIPPED / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
TOKEN = "a-token-of-some-length"
# A second process would have to be there.
OF_SEVERAL = "mikroroom_worker_answers"

# Each alert as it stands in the file, by its name.
RULES = dict(re.findall(r"- alert: (\w+)\n(.*?)(?=\n *- alert: |\n *- name: |\Z)", ALERTS, re.DOTALL))


def tool(name: str) -> str:
    """Where the program is; without it the test is skipped, or fails where ``CI=true``."""
    found = shutil.which(name)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"{name} is not installed (Debian: prometheus)")
    return str(found)


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [tool("promtool"), *arguments], cwd=SHIPPED, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """One that is empty."""
    with RedisServer() as server:
        yield server


class Prometheus:
    """The shipped configuration in a folder, at a pace for tests, asking one server."""

    def __init__(self, folder: Path, target: str) -> None:
        shutil.copy(SHIPPED / "alerts.yml", folder)
        (folder / "token").write_text(TOKEN)
        configuration = (SHIPPED / "prometheus.yml").read_text()
        for shipped, ours in (
            ("targets: [127.0.0.1:3000]", f"targets: [{target}]"),
            ("_interval: 15s", "_interval: 200ms"),
            ("scrape_timeout: 10s", "scrape_timeout: 200ms"),
            ("    # authorization:\n    #   credentials_file: /etc/prometheus/mikroroom.token\n",
             f"    authorization:\n      credentials_file: {folder}/token\n"),
        ):  # fmt: skip
            assert shipped in configuration
            configuration = configuration.replace(shipped, ours)
        (folder / "prometheus.yml").write_text(configuration)
        alerts, replaced = re.subn(r"for: \d+\w", "for: 400ms", ALERTS)
        assert replaced
        (folder / "alerts.yml").write_text(alerts)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    tool("prometheus"),
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def is_up(self) -> None:
        """Wait until it answers questions."""

        async def is_ready() -> bool:
            async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
                return (await http.get("/-/ready")).status_code == 200

        await self.until(is_ready, "up")

    async def asks(self, path: str, **parameters: str) -> Any:
        """What the API answers."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            answer = (await http.get(f"/api/v1/{path}", params=parameters)).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def finds(self, expression: str) -> list[Any]:
        """What a query of the dashboard finds."""
        for variable, value in (("$__rate_interval", "10s"), ("$instance", ".*")):
            expression = expression.replace(variable, value)
        result: list[Any] = (await self.asks("query", query=expression))["result"]
        return result

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """Ask again and again until it is so."""
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self._process.poll() is None, self._log.read_text()
                with contextlib.suppress(httpx.TransportError):
                    if await holds():
                        return
                await asyncio.sleep(0.05)
        raise AssertionError(what)

    def ends(self) -> None:
        """It is no more."""
        self._process.kill()
        self._process.wait(PATIENCE)


@pytest.fixture
async def site(redis: RedisServer, tmp_path: Path) -> AsyncIterator[Server]:
    """``mikroroom serve`` over a Redis, as a process."""
    server = Server(tmp_path / "site", data_dir="", redis_url=redis.url, metrics_token=TOKEN)
    server.folder.mkdir()
    await server.starts()
    yield server
    if server.run.process.poll() is None:
        await server.stops()
    server.close()


@pytest.fixture
async def prometheus(site: Server, tmp_path: Path) -> AsyncIterator[Prometheus]:
    """One that asks the site."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    process = Prometheus(folder, site.url.removeprefix("http://"))
    try:
        await process.is_up()
        yield process
    finally:
        process.ends()


def test_configuration_and_rules_are_what_prometheus_reads() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")


def test_alerts_come_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tried_both_ways() -> None:
    tried = (SHIPPED / "alerts_test.yml").read_text()
    fires = set(re.findall(r"alertname: (\w+)\n +exp_alerts:", tried))
    silent = set(re.findall(r"alertname: (\w+)}", tried))
    assert fires == set(RULES)
    assert silent == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_every_alert_says_how_bad_what_and_where_to_read_on(name: str) -> None:
    assert name.startswith("MikroRoom")
    assert re.search(r"severity: (critical|warning)\n", RULES[name])
    assert re.search(r"summary: .{20}", RULES[name])
    assert f"runbook: docs/operations.md#{name.lower()}" in RULES[name]
    assert ("severity: critical" in RULES[name]) is (ALERTS.index(name) < ALERTS.index("mikroroom-warning"))


def test_every_alert_has_its_section_in_the_runbook_and_no_other_has() -> None:
    document = (ROOT / "docs" / "operations.md").read_text("utf-8")
    chapter = document.split("\n## Alerts\n")[1].split("\n## ")[0]
    assert re.findall(r"^### (\w+)$", chapter, re.MULTILINE) == list(RULES)


async def test_every_metric_that_is_asked_for_exists(
    serve: Callable[..., Awaitable[str]], redis: RedisServer, tmp_path: Path
) -> None:
    app = create_app(Settings(redis_url=redis.url))
    url = await serve(app)
    await app.state.metrics.answer_others(tmp_path, "11")
    async with Client.connect(url.replace("http", "ws") + "/ws") as ada, httpx.AsyncClient() as http:
        await ada.join("ABC123", "Ada", is_host=True)
        text = (await http.get(f"{url}/metrics")).text
    app.state.metrics.stop()
    told = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    names = {sample.name for sample in told}
    pairs = {(sample.name, *pair) for sample in told for pair in sample.labels.items()}

    tests = (SHIPPED / "alerts_test.yml").read_text()
    asked = "\n".join([*RULES.values(), *QUERIES, json.dumps(DASHBOARD["templating"]), tests])
    asked = re.sub(r"#.*|job=\"mikroroom[\w-]*\"", "", asked)
    assert set(re.findall(r"\bmikroroom_\w+", asked)) <= names
    for name, labels in re.findall(r"(mikroroom_\w+)\{([^}]*)\}", "\n".join([*RULES.values(), *QUERIES])):
        for label, value in re.findall(r'(\w+)!?="(\w+)"', labels):
            assert (name, label, value) in pairs


def test_every_panel_says_what_it_shows_in_which_unit() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]
    for panel in PANELS:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"


def test_panels_do_not_cover_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("query", QUERIES)
def test_queries_hold_for_the_chosen_server_and_any_number_of_workers(query: str) -> None:
    chosen = re.findall(r'mikroroom_\w+\{instance=~"\$instance"', query)
    assert len(chosen) == len(re.findall(r"\bmikroroom_\w+", query))
    # The same on all workers: added up it would be too much.
    assert "mikroroom_rooms{" not in query or query.startswith("max(")


async def test_prometheus_reads_a_server_and_answers_the_dashboard(
    site: Server, prometheus: Prometheus
) -> None:
    async with Client.connect(site.socket_url) as ada, Client.connect(site.socket_url) as bob:
        await ada.join("ABC123", "Ada", is_host=True)
        await bob.join("ABC123", "Bob")
        # Growth is between two readings, and there must have been a first one.
        await prometheus.until(lambda: has_data(prometheus, "mikroroom_participants == 2"), "people")
        await ada.offer(bob.id, "v=0")
        while not isinstance(await bob.receive(), events.Offer):
            pass
        await bob.answer(ada.id, "v=0")
        await prometheus.until(
            lambda: has_data(prometheus, 'mikroroom_messages_total{type="answer"} == 1'), "talk"
        )
        # What has not happened is not shown, and there is one worker here.
        filled = [query for query in QUERIES if not query.endswith("> 0") and OF_SEVERAL not in query]
        assert len(filled) > 30
        for query in QUERIES:
            await prometheus.finds(query)
        for query in filled:
            await prometheus.until(lambda query=query: has_data(prometheus, query), query)  # type: ignore[misc]
        assert (await prometheus.finds("max(mikroroom_rooms)"))[0]["value"][1] == "1"

    await prometheus.until(lambda: are_evaluated(prometheus), "rules")


async def test_server_that_stops_is_an_alert(site: Server, prometheus: Prometheus) -> None:
    await prometheus.until(lambda: has_data(prometheus, 'up{job="mikroroom"} == 1'), "up")
    await prometheus.until(lambda: are_evaluated(prometheus), "rules")
    # Before it was asked for the first time, there was none.
    await prometheus.until(lambda: are_firing(prometheus, []), "silence")
    await site.stops()
    await prometheus.until(lambda: are_firing(prometheus, ["MikroRoomDown"]), "alert")


async def has_data(prometheus: Prometheus, query: str) -> bool:
    return bool(await prometheus.finds(query))


async def are_firing(prometheus: Prometheus, names: list[str]) -> bool:
    alerts = (await prometheus.asks("alerts"))["alerts"]
    return [alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"] == names


async def are_evaluated(prometheus: Prometheus) -> bool:
    """Whether all rules were evaluated, on real data; and none could not be."""
    rules = [rule for group in (await prometheus.asks("rules"))["groups"] for rule in group["rules"]]
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    return [rule["name"] for rule in rules] == list(RULES) and {rule["health"] for rule in rules} == {"ok"}
