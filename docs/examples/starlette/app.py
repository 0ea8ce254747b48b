"""A school: whoever is logged in meets the others of its class, and the teacher moderates.

MikroRoom stands under /meet, in the same process. Who may enter is decided by the school's own session.
"""

import hmac
import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from mikroroom import Settings, create_app
from mikroroom.hooks import Denial, Grant, RoomEvent

# Where browsers find this site. What is a secret comes from the environment, or is new with each start.
ORIGIN = os.environ.get("ORIGIN", "http://localhost:8000")
SECRET_KEY = os.environ.get("SECRET_KEY") or secrets.token_hex()
PASSWORD = os.environ.get("PASSWORD") or secrets.token_urlsafe(9)

HERE = Path(__file__).parent
SOCKETS = ORIGIN.replace("http", "ws", 1)  # older browsers do not take 'self' for a WebSocket
POLICY = (
    f"default-src 'self'; connect-src 'self' {SOCKETS}; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)

log = logging.getLogger("uvicorn.school")


@dataclass(frozen=True)
class Course:
    """What is taught in the room of that code, by whom and to whom."""

    teacher: str
    pupils: frozenset[str]


PEOPLE = {"tess": "Tess Teacher", "sam": "Sam", "kim": "Kim"}
COURSES = {
    "MATHS1": Course("tess", frozenset({"sam", "kim"})),
    "LATIN2": Course("tess", frozenset({"kim"})),
}


async def authorize_join(request: HTTPConnection, room: str, name: str) -> Grant | Denial:
    """Who may join, and as whom; ``request`` came through the session middleware like any other."""
    user = request.session.get("user")
    if user not in PEOPLE:
        return Denial("Log in first")
    course = COURSES.get(room)
    if course is None or user not in {course.teacher, *course.pupils}:
        return Denial("This is not a class of yours")
    # The room begins with its host; whoever comes earlier is told that there is none yet.
    return Grant(name=PEOPLE[user], subject=user, role="host" if user == course.teacher else "participant")


async def on_event(event: RoomEvent) -> None:
    """Who came and who went: a line of the log here, of the class register in a real school."""
    if event.participant is not None:
        log.info("%s: %s, %s", event.room_id, event.participant.subject, event.type)


# A class may sit behind one address.
meetings = create_app(
    Settings(allowed_origins=(ORIGIN,), connections_per_minute=120, guesses_per_minute=120),
    authorize_join=authorize_join,
    on_event=on_event,
)


async def home(request: Request) -> Response:
    """The classes of whoever is logged in."""
    user = request.session.get("user")
    if user not in PEOPLE:
        return RedirectResponse("/login", 303)
    return page("home.html")


async def login(request: Request) -> Response:
    """The form, and what it sends.

    Cookies with SameSite=Lax do not come with what other sites' forms send here. A login needs no cookie,
    so it looks at the Origin, which browsers send with every form.
    """
    if request.method == "GET":
        return page("login.html")
    if request.headers.get("origin", ORIGIN) != ORIGIN:
        raise HTTPException(403)
    async with request.form() as form:
        user, password = str(form.get("user")), str(form.get("password"))
    if not hmac.compare_digest(password.encode(), PASSWORD.encode()) or user not in PEOPLE:
        return page("login.html", 403)
    request.session.clear()
    request.session["user"] = user
    return RedirectResponse("/", 303)


async def logout(request: Request) -> Response:
    """Forget who it is."""
    request.session.clear()
    return RedirectResponse("/login", 303)


async def classroom(request: Request) -> Response:
    """The page that joins. It knows no more than the code: who somebody is stands in the session."""
    if request.path_params["code"] not in COURSES:
        raise HTTPException(404)
    return page("meeting.html")


def page(name: str, status: int = 200) -> Response:
    """A file of ours, which may load what is ours and nothing else."""
    return HTMLResponse((HERE / "pages" / name).read_text(), status, {"Content-Security-Policy": POLICY})


@asynccontextmanager
async def lifespan(site: Starlette) -> AsyncIterator[None]:
    """A mounted app's own lifespan is run by whoever mounts it."""
    log.info("Log in as %s with the password %s", " or ".join(PEOPLE), PASSWORD)
    async with meetings.router.lifespan_context(meetings):
        yield


app = Starlette(
    routes=[
        Route("/", home),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/classes/{code}", classroom),
        Mount("/pages", StaticFiles(directory=HERE / "pages")),
        Mount("/meet", meetings),
    ],
    middleware=[Middleware(SessionMiddleware, SECRET_KEY, https_only=ORIGIN.startswith("https:"))],
    lifespan=lifespan,
)
