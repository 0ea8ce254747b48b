"""What a site that mounts the service has to say, and how: for ``create_app``.

    from mikroroom import create_app
    from mikroroom.hooks import Denial, Grant

    async def authorize_join(request, room, name):
        user = request.session.get("user")
        if user is None:
            return Denial("Log in first")
        return Grant(name=user["name"], subject=user["id"], role="moderator" if user["teaches"] else None)

    app = create_app(authorize_join=authorize_join)

``authorize_join(request, room, name)`` is asked once for every join that brings no token: ``request`` is the
handshake of the WebSocket, with cookies, headers, and what middleware of the site has put into its scope;
``room`` the room's code; ``name`` the name that is asked for. It may be a coroutine function; a plain one is
called on a thread. It has ``hook_timeout`` seconds; if it takes longer or raises, the join is refused
(SERVER_ERROR) and the log says why. Whoever comes back to its place (R42) was asked about before.

``on_event(event)`` is told what happens in rooms: a ``RoomEvent``, one after the other, in the process where
it happened. It may be a coroutine function or a plain one, and has as much time. No meeting waits for it.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection

from mikroroom.core.chronicle import RoomEvent
from mikroroom.core.grants import Denial, Grant, GrantedRole
from mikroroom.hub.hooks import OnEvent

__all__ = ["AuthorizeJoin", "Denial", "Grant", "GrantedRole", "OnEvent", "RoomEvent"]

AuthorizeJoin = Callable[[HTTPConnection, str, str], Grant | Denial | Awaitable[Grant | Denial]]
