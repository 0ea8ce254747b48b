"""The direct path: an ASGI scope extension by which an app takes messages, and sends them, by plain call.

``scope["extensions"]["mikroroom.direct"]`` holds the fields of an ``Offer``. A host site may have put
something between the server and us that wants to see every message: then the offer is not taken.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from mikroroom.hub.session import Connection

EXTENSION = "mikroroom.direct"


class Receiver(Protocol):
    """What an app that takes over receives with. None of these may block."""

    def receive(self, text: str) -> None:
        """A text message."""

    def receive_bytes(self, data: bytes) -> None:
        """A binary message."""

    def end(self) -> None:
        """The WebSocket has ended. Called once, in a turn of the event loop of its own."""


class HandOver(Protocol):
    """Gives an accepted WebSocket out of the hands of ASGI."""

    def __call__(self, connect: Callable[[Connection], Receiver], max_outbox: int) -> None:
        """``connect`` is called at once, and what it returns from then on with each message; ``send`` refuses
        when more than ``max_outbox`` bytes would wait for the client.

        The app may return, which does not end the WebSocket; or await ``receive``, which tells when it ends.
        """


class Offer(NamedTuple):
    """What a server offers: the app it calls, its own ``receive`` and ``send``, and a way without these."""

    app: ASGIApp
    receive: Receive
    send: Send
    hand_over: HandOver
    # To be called before the handshake is accepted: how many bytes a message may have.
    limit: Callable[[int], None]


class DirectPath:
    """Lets the offer through to an app with nothing between it and the server; else takes it away."""

    def __init__(self, app: ASGIApp, is_wanted: bool) -> None:
        self._app = app
        self._is_wanted = is_wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket handshake."""
        offer = (scope.get("extensions") or {}).get(EXTENSION)
        if offer and not (self._is_wanted and receive == offer["receive"] and _bare(send) == offer["send"]):
            others = {name: value for name, value in scope["extensions"].items() if name != EXTENSION}
            scope = {**scope, "extensions": others}
        await self._app(scope, receive, send)


def offer_in(scope: Scope) -> dict[str, Any] | None:
    """The fields of the ``Offer``, if there is one to be taken."""
    offer: dict[str, Any] | None = (scope.get("extensions") or {}).get(EXTENSION)
    return offer


def _bare(send: Send) -> Send:
    """``send`` without the wrappers of Starlette's exception handling: one for each app we are mounted in.

    They let every message of a WebSocket pass as it is.
    """
    while (
        isinstance(send, FunctionType)
        and send.__module__ == "starlette._exception_handler"
        and send.__closure__ is not None
        and "send" in send.__code__.co_freevars
    ):
        send = send.__closure__[send.__code__.co_freevars.index("send")].cell_contents
    return send
