"""``/metrics``: what the server counts, for Prometheus (the extra ``metrics``).

Workers on one machine answer for each other: whichever is asked, asks the others over UNIX sockets in a
directory of theirs, and each sample says which ``worker`` it is from.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mikroroom.hub.hub import Hub
from mikroroom.logs import Line
from mikroroom.settings import Settings
from mikroroom.transport.answers import error, too_many
from mikroroom.transport.clients import client_of
from mikroroom.transport.families import PREFIX, Family, Kind, Sample, families_of, gauge

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger(__name__)

# Seconds for which an answer serves everyone who asks: a storm of scrapes costs what one costs.
LASTING = 1.0
# Seconds that another worker has to answer, and bytes it may say.
PATIENCE = 1.0
MOST_BYTES = 4_194_304
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NOT_INSTALLED = "Metrics need prometheus-client: pip install 'mikroroom[metrics]'"

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[Family])


class Metrics:
    """What ``/metrics`` says."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        # Where the workers of one machine find each other, if there are several.
        self._mine: Path | None = None
        self._server: asyncio.Server | None = None
        self._written = b""
        self._written_at = float("-inf")
        self._writing: asyncio.Task[bytes] | None = None

    async def answer_others(self, directory: Path, name: str) -> None:
        """Be found, under this ``name``, by the other workers that look into this directory."""
        path = socket_of(directory, name)
        try:
            self._server = await asyncio.start_unix_server(self._tell, path)
        except OSError as error:
            # Meetings need none of this.
            log.warning(Line("metrics-alone", path=path, problem=error, effect="each worker tells of itself"))
        else:
            self._mine = path

    def stop(self) -> None:
        """Be found no more."""
        if self._server is not None and self._mine is not None:
            self._server.close()
            self._mine.unlink(missing_ok=True)
            self._server = self._mine = None

    async def text(self) -> bytes:
        """All metrics as Prometheus reads them. Raises ``ImportError`` without prometheus-client."""
        if time.monotonic() - self._written_at < LASTING:
            return self._written
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
            self._writing.add_done_callback(self._wrote)
        return await asyncio.shield(self._writing)

    async def _write(self) -> bytes:
        from prometheus_client import generate_latest  # noqa: PLC0415 - an extra

        parts = []
        for metric in map(_metric, await self._gather()):
            parts.append(generate_latest(_Registry(metric)))
            # There may be hundreds of samples, and messages that wait.
            await asyncio.sleep(0)
        return b"".join(parts)

    def _wrote(self, writing: "asyncio.Task[bytes]") -> None:
        self._writing = None
        if not writing.cancelled() and writing.exception() is None:
            self._written, self._written_at = writing.result(), time.monotonic()

    async def _gather(self) -> list[Family]:
        """The families of this process, and of the other workers beside it."""
        own = [*await families_of(self._hub), *_process()]
        mine = self._mine
        if mine is None:
            return own
        others = [path for path in mine.parent.glob(socket_of(Path(), "*").name) if path != mine]
        told = dict(zip(others, await asyncio.gather(*map(_ask, others)), strict=True))
        merged = {family.name: family for family in own}
        for family in own:
            if not family.is_shared:
                _label(family, mine)
        for path, families in told.items():
            for family in families or ():
                if not family.is_shared and family.name in merged:
                    _label(family, path)
                    merged[family.name].samples += family.samples
        answers = {mine.stem: 1.0} | {path.stem: float(said is not None) for path, said in told.items()}
        return [
            *merged.values(),
            gauge("worker_answers", "1 if the worker told its metrics", answers, "worker"),
        ]

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Another worker asks."""
        with suppress(OSError):
            writer.write(_encode([*await families_of(self._hub), *_process()]))
            await writer.drain()
        writer.close()


def socket_of(directory: Path, name: str) -> Path:
    """Where the worker of this name is asked."""
    return directory / f"{name}.sock"


def metrics_app(app: Starlette) -> Starlette:
    """What is served on the port for metrics: those of ``app``, and nothing else."""
    alone = Starlette(routes=[Route("/metrics", metrics)])
    alone.state = app.state
    return alone


async def metrics(request: Request) -> Response:
    """``GET /metrics``. With a ``metrics_token`` for those who have it."""
    state = request.app.state
    hub: Hub = state.hub
    settings: Settings = state.settings
    if settings.metrics_token:
        refusal = await _unauthorized(request, hub, settings.metrics_token)
        if refusal is not None:
            return refusal
    hub.start()
    told: Metrics = state.metrics
    try:
        text = await told.text()
    except ImportError:
        return error(501, NOT_INSTALLED)
    return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


async def _unauthorized(request: Request, hub: Hub, token: str) -> Response | None:
    """The refusal for who does not bring the token; a wrong one is a guess like any other (R30)."""
    scheme, _, brought = request.headers.get("authorization", "").partition(" ")
    address = client_of(request, request.app.state.trusted)
    wait = await hub.counts.guess_wait(address)
    if wait:
        hub.limits.tell("guesses-limited", hub.clock(), address=address)
        return too_many(wait)
    if scheme.lower() == "bearer" and hmac.compare_digest(brought.strip().encode(), token.encode()):
        return None
    if brought:
        hub.counts.add_guess(address)
    return error(401, "The metrics need a token", WWW_Authenticate="Bearer")


async def _ask(path: Path) -> list[Family] | None:
    """What another worker tells; None if it does not."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path, limit=MOST_BYTES)
            try:
                return _decoder.decode(await reader.read(-1))
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.DecodeError):
        return None


def _label(family: Family, worker: Path) -> None:
    for sample in family.samples:
        sample.labels["worker"] = worker.stem


def _process() -> Iterator[Family]:
    """What the system knows of this process: CPU, memory, files."""
    from prometheus_client import ProcessCollector  # noqa: PLC0415 - an extra

    # No registry of its own: it is asked only here.
    for metric in ProcessCollector(PREFIX.rstrip("_"), registry=None).collect():
        if metric.name.endswith("start_time_seconds"):
            continue  # it is reckoned from /proc/stat, which a service may not be allowed to see
        kind: Kind = "counter" if metric.type == "counter" else "gauge"
        samples = [Sample(sample.name, dict(sample.labels), sample.value) for sample in metric.samples]
        yield Family(metric.name, kind, metric.documentation, samples)


def _metric(family: Family) -> "Metric":
    from prometheus_client import Metric  # noqa: PLC0415 - an extra

    metric = Metric(family.name, family.about, family.kind)
    for sample in family.samples:
        metric.add_sample(sample.name, sample.labels, sample.value)
    return metric


class _Registry:
    """One metric, as what is to be written down."""

    def __init__(self, metric: "Metric") -> None:
        self._metric = metric

    def collect(self) -> "Iterable[Metric]":
        """See ``prometheus_client.Collector``."""
        return (self._metric,)
