"""The wiring, and nothing else: settings in, an ASGI application out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute

from mikroroom import sources
from mikroroom.clock import steady_ms, wall_ms
from mikroroom.core.addresses import networks
from mikroroom.core.room import Policy
from mikroroom.hooks import AuthorizeJoin, OnEvent
from mikroroom.hub.hooks import EventHook
from mikroroom.hub.hub import Hub
from mikroroom.hub.outside import Listener, Outside
from mikroroom.meters import Meters
from mikroroom.settings import Settings, SettingsError
from mikroroom.stores.chronicle import MemoryChronicle, retention_of
from mikroroom.stores.journal import Journal
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import Store
from mikroroom.transport import administration, http
from mikroroom.transport.chronicle import list_events
from mikroroom.transport.contracts import CONTRACTS, Contracts
from mikroroom.transport.direct import DirectPath
from mikroroom.transport.headers import AnswerHeaders
from mikroroom.transport.metrics import Metrics, metrics
from mikroroom.transport.signaling import SignalingEndpoint, nowhere
from mikroroom.transport.web import WebFiles, web_file


def create_app(
    settings: Settings | None = None,
    *,
    authorize_join: AuthorizeJoin | None = None,
    on_event: OnEvent | None = None,
) -> Starlette:
    """The whole service, to be served or mounted anywhere. Each call makes one of its own.

    Without ``settings`` they are read from the environment and the file it names. The lifespan need not be
    run: the app starts on first use. Where it is run (``app.router.lifespan_context``), it stops cleanly.

    ``authorize_join`` decides who may join which room, and as whom; ``on_event`` is called with what happens
    in rooms: see ``mikroroom.hooks``.

    Raises:
        SettingsError: a setting is unknown or malformed.
        ImportError: Redis is to be used, and its client is not installed (the extra ``redis``).
    """
    if settings is None:
        settings, _ = sources.load()
    policy, meters = _policy(settings), Meters()
    store = _store(settings, policy, meters)
    hub = Hub(
        settings,
        store,
        policy,
        SystemRandom(),
        authorize_join=authorize_join,
        meters=meters,
        outside=_outside(settings, store, meters, on_event),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        hub.start()
        try:
            yield
        finally:
            await hub.stop()

    app = Starlette(
        routes=_routes(settings, is_strict=hub.doorkeeper.is_strict),
        middleware=[
            Middleware(DirectPath, is_wanted=settings.direct_path == "auto"),
            Middleware(AnswerHeaders, allowed_origins=settings.allowed_origins, root_path=settings.root_path),
        ],
        exception_handlers={HTTPException: cast("Any", http.http_error)},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.hub = hub
    app.state.settings = settings
    app.state.trusted = networks(settings.trusted_proxies)
    app.state.metrics = Metrics(hub)
    app.state.web = WebFiles(settings.web)
    app.state.contracts = Contracts(settings, app.routes)
    return app


def _routes(settings: Settings, *, is_strict: bool) -> Sequence[BaseRoute]:
    """``is_strict``: who may join is decided, and so it must be who may make rooms."""
    create_room = administration.create_room if is_strict else http.create_room
    return [
        Route("/", http.index),
        Route("/health", http.health),
        Route("/ready", http.ready),
        Route("/config", http.config),
        *([Route("/metrics", metrics)] if settings.metrics == "on" and not settings.metrics_port else []),
        Route("/api/rooms", create_room, methods=["POST"]),
        *administration.administration_routes(settings, {"/api/events": list_events}),
        Route("/web/{path:path}", web_file),
        *(CONTRACTS if settings.contracts == "on" else []),
        Route("/ws", http.upgrade_required),
        WebSocketRoute("/ws", SignalingEndpoint),
        WebSocketRoute("/{path:path}", nowhere),
    ]


def _policy(settings: Settings) -> Policy:
    return Policy(
        latent_age=int(settings.latent_room_age * 1_000),
        resume_window=int(settings.resume_window * 1_000),
        kick_wait=int(settings.kick_wait * 1_000),
        max_waiting=settings.max_waiting,
        chat_history=settings.chat_history,
    )


def _store(settings: Settings, policy: Policy, meters: Meters) -> Store:
    if settings.redis_url:
        from mikroroom.stores.redis.store import RedisStore  # noqa: PLC0415 - the client is an extra
        from mikroroom.stores.redis.wire import pool_of  # noqa: PLC0415
        from mikroroom.stores.redis.worker import Clocks  # noqa: PLC0415

        try:
            pool_of(settings.redis_url)
        except ValueError as error:
            raise SettingsError([f"redis_url: cannot be used: {error}"]) from error
        return RedisStore(settings, policy, Clocks(steady_ms, wall_ms), meters)
    told = MemoryChronicle(retention_of(settings), wall_ms)
    times = meters.store["journal"]
    return MemoryStore(
        max_rooms=settings.max_rooms,
        max_latent_rooms=settings.max_latent_rooms,
        policy=policy,
        clock=steady_ms,
        journal=Journal(settings.data_dir, times, told) if settings.data_dir else None,
        chronicle=told,
    )


def _outside(settings: Settings, store: Store, meters: Meters, on_event: OnEvent | None) -> Outside:
    listeners: list[Listener] = []
    if on_event is not None:
        listeners.append(EventHook(on_event, settings.hook_timeout, meters))
    if settings.webhook_url:
        from mikroroom.hub.courier import Courier  # noqa: PLC0415 - its client takes a while to load

        listeners.append(Courier(settings, store.chronicle, meters, SystemRandom()))
    return Outside(listeners)
