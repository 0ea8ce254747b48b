"""An office: who is invited to a meeting, and as what, stands in its calendar.

MikroRoom stands under /meet, in the same process. The office says who may enter in two ways that come to the
same: by its session, and by join tokens for those whom a session cannot follow.
"""

import hmac
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import jwt
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.requests import HTTPConnection
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from mikroroom import Settings, create_app
from mikroroom.hooks import Denial, Grant, GrantedRole, RoomEvent

# Where browsers find this site. What is a secret comes from the environment, or is new with each start.
ORIGIN = os.environ.get("ORIGIN", "http://localhost:8000")
PASSWORD = os.environ.get("PASSWORD") or secrets.token_urlsafe(9)
TOKEN_SECRET = os.environ.get("TOKEN_SECRET") or secrets.token_hex()
TOKEN_SECONDS = 60

PAGES = Path(__file__).parent / "pages"
SOCKETS = ORIGIN.replace("http", "ws", 1)  # older browsers do not take 'self' for a WebSocket
POLICY = (
    f"default-src 'self'; connect-src 'self' {SOCKETS}; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)

log = logging.getLogger("uvicorn.office")

PEOPLE = {"ada": "Ada Lovelace", "bob": "Bob", "cleo": "Cleo"}
MEETINGS: dict[str, dict[str, GrantedRole]] = {
    "TEAM42": {"ada": "host", "bob": "moderator", "cleo": "participant"},
    "BOARD1": {"ada": "host"},
}
SESSIONS: dict[str, str] = {}  # who it is, by what the cookie says
PRESENT: dict[str, dict[str, str]] = {code: {} for code in MEETINGS}  # names, by participant


def user_of(connection: HTTPConnection) -> str | None:
    """Who is logged in; the same for a request and for a WebSocket's handshake, which has cookies too."""
    return SESSIONS.get(connection.cookies.get("session", ""))


User = Annotated[str | None, Depends(user_of)]


def verdict(user: str | None, room: str) -> Grant | Denial:
    """Who may join, and as whom."""
    if user is None:
        return Denial("Log in first")
    role = MEETINGS.get(room, {}).get(user)
    if role is None:
        return Denial("You are not invited to this meeting")
    return Grant(name=PEOPLE[user], subject=user, role=role)


async def authorize_join(request: HTTPConnection, room: str, name: str) -> Grant | Denial:
    """The first way: asked for every join that brings no token."""
    return verdict(user_of(request), room)


async def on_event(event: RoomEvent) -> None:
    """Who is where, for ``presence``."""
    person = event.participant
    if person is not None and event.type == "participant.joined":
        PRESENT[event.room_id][person.id] = person.name
    elif person is not None and event.type == "participant.left":
        PRESENT[event.room_id].pop(person.id, None)


# A whole office sits behind one address.
meetings = create_app(
    Settings(
        allowed_origins=(ORIGIN,),
        join_token_secret=TOKEN_SECRET,
        connections_per_minute=120,
        guesses_per_minute=120,
    ),
    authorize_join=authorize_join,
    on_event=on_event,
)
router = APIRouter()


@router.post("/meetings/{code}/token")
async def join_token(code: str, user: User) -> dict[str, str]:
    """The second way: the same verdict, signed, for who cannot bring the session along."""
    granted = verdict(user, code)
    if isinstance(granted, Denial):
        raise HTTPException(403, granted.reason)
    now = int(time.time())
    claims = {"aud": "mikroroom", "iat": now, "exp": now + TOKEN_SECONDS, "room": code}
    claims |= {"name": granted.name, "role": granted.role, "sub": granted.subject}
    return {"token": jwt.encode(claims, TOKEN_SECRET, "HS256")}


@router.get("/presence")
async def presence(user: User) -> dict[str, list[str]]:
    """Who is in those meetings that one is invited to."""
    invited = (code for code, roles in MEETINGS.items() if user in roles)
    return {code: list(PRESENT[code].values()) for code in invited}


@router.get("/")
async def home(user: User) -> Response:
    """The meetings, for whoever is logged in."""
    return page("home.html") if user else RedirectResponse("/login", 303)


@router.get("/meetings/{code}")
async def meeting(code: str) -> Response:
    """The page that joins."""
    return page("meeting.html")


@router.get("/login")
async def login_form() -> Response:
    """Who are you?"""
    return page("login.html")


@router.post("/login")
async def login(request: Request, user: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
    """Begin a session.

    Cookies with SameSite=Lax do not come with what other sites' forms send here. A login needs no cookie,
    so it looks at the Origin, which browsers send with every form.
    """
    if request.headers.get("origin", ORIGIN) != ORIGIN:
        raise HTTPException(403)
    if not hmac.compare_digest(password.encode(), PASSWORD.encode()) or user not in PEOPLE:
        return page("login.html", 403)
    answer = RedirectResponse("/", 303)
    session = secrets.token_urlsafe()
    SESSIONS[session] = user
    answer.set_cookie("session", session, httponly=True, samesite="lax", secure=ORIGIN.startswith("https:"))
    return answer


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    SESSIONS.pop(request.cookies.get("session", ""), None)
    return RedirectResponse("/login", 303)


def page(name: str, status: int = 200) -> Response:
    """A file of ours, which may load what is ours and nothing else."""
    return HTMLResponse((PAGES / name).read_text(), status, {"Content-Security-Policy": POLICY})


@asynccontextmanager
async def lifespan(site: FastAPI) -> AsyncIterator[None]:
    """A mounted app's own lifespan is run by whoever mounts it."""
    log.info("Log in as %s with the password %s", " or ".join(PEOPLE), PASSWORD)
    async with meetings.router.lifespan_context(meetings):
        yield


app = FastAPI(lifespan=lifespan)
app.include_router(router)
app.mount("/pages", StaticFiles(directory=PAGES))
app.mount("/meet", meetings)
