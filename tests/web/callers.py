"""Those who use ``mikroroom.js`` on a page of their own: a ``Caller`` has a page with nothing else."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Page, Route

from .guests import Address, Guests
from .people import until

ROOM = "ABC234"

# ``heard`` is all that the client tells, in order; ``told`` and ``chats`` look into it.
MEET = """async ({ url, backoff, media }) => {
  const { Backoff, Peers, Room, Signaling } = await import("/web/mikroroom.js");
  globalThis.backoff = new Backoff(backoff);
  globalThis.signaling = new Signaling(url, { backoff: globalThis.backoff });
  globalThis.room = new Room(signaling);
  globalThis.heard = [];
  const plain = (error) => ({ name: error.name, code: error.code });
  signaling.on("message", (message) => heard.push(message));
  for (const type of ["suspended", "closed"]) signaling.on(type, (e) => heard.push({ type, ...plain(e) }));
  for (const type of ["resumed", "rejoined"]) signaling.on(type, (how) => heard.push({ ...how, type }));
  globalThis.told = (type) => heard.filter((message) => message.type === type);
  const isBy = (id) => ({ participantId }) => !id || participantId === id;
  globalThis.chats = (id) => told("chat").filter(isBy(id)).map(({ text }) => text);
  globalThis.failure = async (task) => {
    try { await task(); return null; } catch (error) { return [error.name, error.code ?? null]; }
  };
  if (media) {
    globalThis.peers = new Peers(signaling, room);
    globalThis.faults = [];
    globalThis.files = [];
    globalThis.said = [];
    globalThis.videos = new Map();
    peers.on("peer", (peer) => {
      const video = Object.assign(document.createElement("video"), { autoplay: true, muted: true });
      video.srcObject = peer.stream;
      videos.set(peer.id, video);
      document.body.append(video);
      peer.on("fault", (fault) => faults.push(String(fault)));
      peer.on("file", (file) => files.push(file));
      peer.on("data", (data) => said.push(data));
    });
    peers.on("gone", (peer) => { videos.get(peer.id)?.remove(); videos.delete(peer.id); });
  }
}"""

# The connections that the client makes. They are none of the client's business to show.
TAP = """
globalThis.connections = [];
globalThis.channels = [];
globalThis.sockets = [];
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); connections.push(this); }
  createDataChannel(...options) {
    const channel = super.createDataChannel(...options);
    channels.push(channel);
    return channel;
  }
};
globalThis.WebSocket = class extends WebSocket {
  constructor(...options) { super(...options); sockets.push(this); }
};
"""

QUICK = {"first": 0.05, "most": 0.2}


async def blank(page: Page) -> None:
    """Go to a page of the site that has no script.

    It must come from the site: what a test gives in its stead may not connect to this machine.
    """

    async def no_icon(route: Route) -> None:
        await route.fulfill(status=204)

    await page.route("**/favicon.ico", no_icon)
    await page.goto("/health")


class Caller:
    """A page with a ``signaling`` and a ``room``; with media, also ``peers``."""

    def __init__(self, page: Page, server: str, *, media: bool) -> None:
        self.page = page
        self.server = server
        self._media = media

    async def says(self, script: str, argument: object = None) -> Any:
        """What the script gives."""
        return await self.page.evaluate(script, argument)

    async def sees(self, expression: str) -> Any:
        """Wait until the expression is true."""
        return await until(lambda: self.page.evaluate(expression), expression)

    async def meets(self) -> None:
        """Load the client."""
        options = {"url": self.server, "backoff": QUICK, "media": self._media}
        await self.page.evaluate(MEET, options)

    async def joins(self, name: str, **entry: object) -> str:
        """Enter the room, or wait before it. Gives the own id."""
        how = {"roomId": ROOM, "name": name, **entry}
        joined: str = await self.page.evaluate(
            "(how) => signaling.join(how).then((own) => own.participantId)", how
        )
        return joined

    async def reloads(self) -> None:
        """The page is loaded anew, and knows nothing."""
        await self.page.reload()
        await self.meets()


Call = Callable[..., Awaitable[Caller]]


def calls(guest: Guests) -> Call:
    """``await call(site)``: a new one, who is in no room yet."""

    async def call(
        site: Address,
        *,
        media: bool = False,
        server: str = "",
        before: Callable[[Page], Awaitable[None]] | None = None,
        **options: Any,
    ) -> Caller:
        page = await guest(site, None, **options)
        if before:
            await before(page)
        await page.add_init_script(TAP)
        await blank(page)
        caller = Caller(page, server or f"{site.url.replace('http', 'ws', 1)}/ws", media=media)
        await caller.meets()
        return caller

    return call


def js(value: object) -> str:
    """The value, to be put into a script."""
    return json.dumps(value)
