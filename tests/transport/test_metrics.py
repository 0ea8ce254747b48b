"""``/metrics``, read as Prometheus reads it, of servers that people really use."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mikroroom.app import create_app
from mikroroom.client import Client
from mikroroom.hub.hub import Hub
from mikroroom.protocol import events
from mikroroom.settings import Settings
from mikroroom.transport import metrics as module
from mikroroom.transport.families import Family, families_of
from mikroroom.transport.metrics import Metrics

from .asgi import visit
from .conftest import AppWith

Serve = Callable[..., Awaitable[str]]
TOKEN = "a-token-of-some-length"


@pytest.fixture(autouse=True)
def _no_old_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each scrape tells what is, not what was within the last second."""
    monkeypatch.setattr(module, "LASTING", 0.0)


def read(text: str) -> dict[str, float]:
    """Every sample by its name, with its labels as in the text."""
    told: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in told, f"{key} twice"
            told[key] = sample.value
    return told


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def scrape(url: str) -> dict[str, float]:
    async with httpx.AsyncClient(timeout=60) as client:
        response = await client.get(f"{url}/metrics")
    assert response.status_code == 200, response.text
    return read(response.text)


def ws(url: str) -> str:
    return url.replace("http", "ws", 1) + "/ws"


async def hears(client: Client, event: type[events.Message]) -> None:
    while not isinstance(await client.receive(), event):
        pass


async def test_what_happens_is_counted(serve: Serve) -> None:
    url = await serve(create_app(Settings()))
    async with Client.connect(ws(url)) as ada, Client.connect(ws(url)) as bob:
        await ada.join("ABC123", "Ada", is_host=True, resume=True)
        await bob.join("ABC123", "Bob")
        before = await scrape(url)
        assert before["mikroroom_rooms"] == 1
        assert before["mikroroom_connections"] == before["mikroroom_participants"] == 2
        assert before["mikroroom_joins_total"] == before['mikroroom_messages_total{type="join"}'] == 2
        assert before["mikroroom_leaves_total"] == before["mikroroom_suspended_participants"] == 0
        await ada.offer(bob.id, "v=0")
        await hears(bob, events.Offer)
        await bob.answer(ada.id, "v=0")
        await bob.ice_candidate(ada.id, {"candidate": ""})
        await bob.ice_candidate(ada.id, None)
        await bob.chat("hello")
        await hears(ada, events.Chat)
        await bob.lock()
        await hears(bob, events.Error)
    after = await scrape(url)
    assert after['mikroroom_messages_total{type="chat"}'] == 1
    assert after['mikroroom_messages_total{type="ice-candidate"}'] == 2
    assert (
        after["mikroroom_setup_answer_seconds_count"] == after["mikroroom_setup_candidate_seconds_count"] == 1
    )
    assert after['mikroroom_refusals_total{code="UNAUTHORIZED"}'] == 1
    assert (
        after['mikroroom_refusals_total{code="ROOM_FULL"}'] == 0
    )  # told before it happens for the first time


async def test_metrics_name_no_person_and_no_room(serve: Serve) -> None:
    url = await serve(create_app(Settings()))
    async with Client.connect(ws(url)) as ada, httpx.AsyncClient(timeout=60) as client:
        await ada.join("ABC123", "Ada", is_host=True)
        text = (await client.get(f"{url}/metrics")).text
    assert "ABC123" not in text and "Ada" not in text and str(ada.id) not in text


async def test_without_the_package_it_says_which(app_with: AppWith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with visit(app_with()) as client:
        response = await client.get("/metrics")
    assert response.status_code == 501
    assert "mikroroom[metrics]" in response.json()["error"]


@pytest.mark.parametrize("settings", [{"metrics": "off"}, {"metrics_port": 9100}])
async def test_metrics_that_are_off_or_elsewhere_are_not_found(
    app_with: AppWith, settings: dict[str, object]
) -> None:
    async with visit(app_with(**settings)) as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_token_is_asked_for_and_cannot_be_guessed(app_with: AppWith) -> None:
    async with visit(app_with(metrics_token=TOKEN)) as client:
        response = await client.get("/metrics")
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert (await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200
        wrong = {"Authorization": "Bearer wrong"}
        statuses = [(await client.get("/metrics", headers=wrong)).status_code for _ in range(11)]
        assert statuses == [401] * 10 + [429]


async def test_rooms_that_are_not_written_are_told_of(serve: Serve, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    async with asyncio.timeout(60):
        first = await serve(create_app(Settings(data_dir=str(directory))))
        assert (await scrape(first))["mikroroom_rooms_kept"] == 1
        second = await serve(create_app(Settings(data_dir=str(directory))))
        assert (await scrape(second))["mikroroom_rooms_kept"] == 0  # another process uses this directory
        assert (await scrape(second))["mikroroom_ready"] == 1
        without = await serve(create_app(Settings()))
        assert (await scrape(without))["mikroroom_rooms_kept"] == 1


async def test_room_that_is_refused_over_http_is_counted(app_with: AppWith) -> None:
    async with visit(app_with(max_latent_rooms=0)) as client:
        assert (await client.post("/api/rooms")).status_code == 429
        told = read((await client.get("/metrics")).text)
    assert told['mikroroom_refusals_total{code="ROOM_LIMIT"}'] == 1


async def test_storm_of_scrapes_is_one_reading(app_with: AppWith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LASTING", 3600.0)
    app = app_with()
    readings = 0

    async def counted(hub: Hub) -> list[Family]:
        nonlocal readings
        readings += 1
        return await families_of(hub)

    monkeypatch.setattr(module, "families_of", counted)
    async with visit(app) as client:
        answers = await asyncio.gather(*(client.get("/metrics") for _ in range(50)))
        answers.append(await client.get("/metrics"))
    assert {answer.status_code for answer in answers} == {200}
    assert readings == 1


async def test_workers_answer_for_each_other(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    apps = [create_app(Settings()), create_app(Settings())]
    urls = [await serve(app) for app in apps]
    told: list[Metrics] = [app.state.metrics for app in apps]
    for name, one in zip(("11", "22"), told, strict=True):
        await one.answer_others(tmp_path, name)
    async with Client.connect(ws(urls[0])) as ada:
        await ada.join("ABC123", "Ada", is_host=True)
        for url in urls:
            seen = await scrape(url)
            assert seen['mikroroom_participants{worker="11"}'] == 1
            assert seen['mikroroom_participants{worker="22"}'] == 0
            assert seen['mikroroom_messages_total{type="join",worker="11"}'] == 1
            assert "mikroroom_rooms" in seen  # is the same on all, and told once
    told[1].stop()
    seen = await scrape(urls[0])
    assert 'mikroroom_participants{worker="22"}' not in seen
    told[0].stop()
    assert names_in(tmp_path) == []


async def test_worker_that_does_not_answer_is_told_of(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    app = create_app(Settings())
    url = await serve(app)
    await app.state.metrics.answer_others(tmp_path, "11")
    with socket.socket(socket.AF_UNIX) as hung, socket.socket(socket.AF_UNIX) as killed:
        hung.bind(os.fspath(tmp_path / "33.sock"))
        hung.listen()
        killed.bind(os.fspath(tmp_path / "44.sock"))
        seen = await scrape(url)
    app.state.metrics.stop()
    assert seen['mikroroom_worker_answers{worker="11"}'] == 1
    assert seen['mikroroom_worker_answers{worker="33"}'] == 0
    assert seen['mikroroom_worker_answers{worker="44"}'] == 0


async def test_scrape_does_not_wake_a_server_that_stops(app_with: AppWith, tmp_path: Path) -> None:
    app = app_with(data_dir=str(tmp_path / "data"))
    async with visit(app) as client:
        assert (await client.get("/metrics")).status_code == 200
        stopping = asyncio.create_task(app.state.hub.stop())
        while not stopping.done():
            await client.get("/metrics")
        await stopping
        assert not list_of_open(tmp_path / "data")


def list_of_open(directory: Path) -> list[Path]:
    """The files in it that this process has open."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    return [link for link in links if link.is_relative_to(directory)]
