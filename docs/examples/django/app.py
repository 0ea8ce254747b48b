"""A club with accounts in Django: its staff are hosts, its members take part.

Django answers everything but /meet, where MikroRoom stands; both in the same process, under one router.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.db import connections
from django.http import HttpRequest, HttpResponse
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocket

from mikroroom import Settings, create_app
from mikroroom.hooks import Denial, Grant, RoomEvent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

# These need a Django that is set up.
from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.sessions.backends.db import SessionStore
from django.shortcuts import render
from django.urls import path

PASSWORD = os.environ.get("PASSWORD") or secrets.token_urlsafe(9)
MEETINGS = {"CHESS1": "Chess", "GARDEN": "Gardening"}

log = logging.getLogger("uvicorn.club")


def authorize_join(request: HTTPConnection, room: str, name: str) -> Grant | Denial:
    """Who may join, and as whom: a plain function, for it asks the database, and so runs on a thread.

    The handshake has not been through Django's middleware, so what that does for a view is done here.
    """
    handshake = HttpRequest()
    handshake.session = SessionStore(request.cookies.get(settings.SESSION_COOKIE_NAME))
    try:
        user = get_user(handshake)
    finally:
        connections.close_all()  # they are this thread's, and it ends here
    if not user.is_authenticated:
        return Denial("Log in first")
    if room not in MEETINGS:
        return Denial("The club has no such meeting")
    # The room begins with its host; whoever comes earlier is told that there is none yet.
    role = "host" if user.is_staff else "participant"
    return Grant(name=user.get_full_name() or user.get_username(), subject=str(user.pk), role=role)


def on_event(event: RoomEvent) -> None:
    """Who came and who went. A plain function as well, so it could write that to the database."""
    if event.participant is not None:
        log.info("%s: account %s, %s", event.room_id, event.participant.subject, event.type)


# A club house sits behind one address.
meetings = create_app(
    Settings(allowed_origins=(settings.ORIGIN,), connections_per_minute=120, guesses_per_minute=120),
    authorize_join=authorize_join,
    on_event=on_event,
)


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The meetings, each a link to the room page."""
    return render(request, "home.html", {"meetings": MEETINGS})


def content_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: pages load what is ours and nothing else. MikroRoom's have a policy of their own."""

    def respond(request: HttpRequest) -> HttpResponse:
        answer = get_response(request)
        answer["Content-Security-Policy"] = "default-src 'self'; base-uri 'none'; form-action 'self'"
        return answer

    return respond


urlpatterns = [
    path("", home, name="home"),
    path("login", LoginView.as_view(template_name="login.html"), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
]


def prepare() -> None:
    """A database with two accounts, if there is none."""
    try:
        call_command("migrate", verbosity=0)
        for name, first_name, is_staff in (("hana", "Hana", True), ("max", "Max", False)):
            user, _ = get_user_model().objects.get_or_create(username=name)
            user.first_name, user.is_staff = first_name, is_staff
            user.set_password(PASSWORD)
            user.save()
    finally:
        connections.close_all()


@asynccontextmanager
async def lifespan(site: Starlette) -> AsyncIterator[None]:
    """Django knows no lifespan, and a mounted app's own is run by whoever mounts it."""
    await asyncio.to_thread(prepare)
    log.info("Log in as hana or max with the password %s", PASSWORD)
    async with meetings.router.lifespan_context(meetings):
        yield


async def nowhere(websocket: WebSocket) -> None:
    """Django takes no WebSockets."""
    await websocket.close()


app = Starlette(
    routes=[
        Mount("/meet", meetings),
        WebSocketRoute("/{path:path}", nowhere),
        Mount("/", get_asgi_application()),
    ],
    lifespan=lifespan,
)
