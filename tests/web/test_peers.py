"""The peer layer of ``mikroroom.js``: how pages find each other, and find each other again."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

import pytest
from playwright.async_api import Page, WebSocketRoute
from tests.browser.serving import pages
from tests.site_process import Site

from mikroroom.client import Client
from mikroroom.protocol import events

from .callers import ROOM, Call, Caller, js
from .faults import Faults
from .guests import Guests
from .people import is_kept

# A moving picture of a colour, so that one can tell whose it is.
DRAW = """(hue) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  const context = canvas.getContext("2d");
  let count = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${hue} ${50 + (count++ % 2) * 50}% 50%)`;
    context.fillRect(0, 0, 160, 120);
    context.fillStyle = "white";
    context.fillRect((count * 7) % 160, 10, 20, 20);
  }, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
}"""
# ``gap`` is for how many milliseconds the other's picture has stood still at most, the present included.
WATCH = """() => {
  const video = [...videos.values()][0];
  let last = performance.now();
  let most = 0;
  globalThis.frames = 0;
  globalThis.gap = () => Math.max(most, performance.now() - last);
  const look = () => {
    most = gap();
    last = performance.now();
    frames++;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}"""
MOVES = """new Promise((resolve) => {
  const video = [...videos.values()][0];
  if (!video) return resolve(false);
  let count = 0;
  setTimeout(resolve, 3000, false);
  const look = () => (++count > 3 ? resolve(true) : video.requestVideoFrameCallback(look));
  video.requestVideoFrameCallback(look);
})"""
# Milliseconds. A way that is lost is looked for anew only after so long, and a picture with it.
OUTAGE = 10_000
CONNECTED = "[...peers].length === 1 && [...peers][0].state === 'connected' && [...peers][0].isOpen"
UFRAG = "connections.at(-1).localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]"


async def draws(caller: Caller, hue: int) -> None:
    """Send a moving picture from now on."""
    await caller.says(f"globalThis.track = ({DRAW})({hue}); peers.setTrack('video', track);")


async def meet(ada: Caller, bob: Caller, *, draw: bool = True) -> None:
    """Both enter, and are connected."""
    if draw:
        await draws(ada, 0)
        await draws(bob, 120)
    await ada.joins("Ada", isHost=True)
    await bob.joins("Bob")
    for one in (ada, bob):
        await one.sees(CONNECTED)
        if draw:
            await one.sees(MOVES)


def losing(*types: str, times: int = 0, seconds: float = 0) -> Callable[[Page], Awaitable[None]]:
    """Of what the page says, the first ``times`` of these types are lost, or those of so many seconds."""
    lost: list[str] = []
    begun: list[float] = []

    async def play(page: Page) -> None:
        async def take(socket: WebSocketRoute) -> None:
            server = socket.connect_to_server()

            def relay(text: str | bytes) -> None:
                kind = json.loads(text)["type"]
                now = asyncio.get_running_loop().time()
                if kind in types:
                    begun.append(now)
                    if len(lost) < times or now < begun[0] + seconds:
                        lost.append(kind)
                        return
                server.send(text)

            socket.on_message(relay)

        await page.route_web_socket("**/ws", take)

    return play


async def test_offers_that_cross_again_and_again_leave_the_picture_moving(site: Site, call: Call) -> None:
    ada, bob = both = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob)
    for _ in range(10):
        await asyncio.gather(*(one.says("connections.at(-1).restartIce()") for one in both))
        for one in both:
            await one.sees("connections.at(-1).signalingState === 'stable'")
    for one in both:
        await one.sees(MOVES)
        await one.sees(CONNECTED)
        assert await one.says("faults") == []
        # What was replaced because of it takes no place for ever.
        sections = await one.says("connections.at(-1).localDescription.sdp.match(/^m=/gm).length")
        assert sections == 4, "audio, the video that was, the channel, the video"


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("offer", {"times": 1}),
        ("answer", {"times": 1}),
        ("ice-candidate", {"seconds": 1}),
    ],
)
async def test_peers_connect_though_something_was_lost(
    site: Site, call: Call, what: str, how: dict[str, float]
) -> None:
    # Whichever of the two it is that says it.
    ada, bob = [await call(site, media=True, before=losing(what, **how)) for _ in range(2)]  # type: ignore[arg-type]
    await draws(ada, 0)
    await draws(bob, 120)
    await ada.joins("Ada", isHost=True)
    await bob.joins("Bob")
    for one in (ada, bob):
        await one.sees(CONNECTED)
        await one.sees(MOVES)


async def test_crash_of_the_server_restarts_ice_and_the_picture_goes_on(
    site: Site, call: Call, faults: Faults
) -> None:
    faults.allow("ERR_CONNECTION_REFUSED", "WebSocket connection to")
    ada, bob = both = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob)
    before = [await one.says(UFRAG) for one in both]
    for one in both:
        await one.says(WATCH)
    await is_kept(ada.page)
    site.kill()
    for one in both:
        await one.sees("signaling.isAway")
        await one.sees(MOVES)
    site.start()
    for one, former in zip(both, before, strict=True):
        await one.sees(f"{UFRAG} !== {js(former)} && connections.at(-1).signalingState === 'stable'")
    for one in both:
        await one.sees(MOVES)
        gap = await one.says("gap()")
        print(f"longest gap over a crash: {gap:.0f} ms")
        assert gap < OUTAGE
        assert await one.says("[connections.length, told('participant-left').length]") == [1, 0]


async def test_cut_without_a_gap_restarts_nothing(site: Site, call: Call) -> None:
    ada, bob = both = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob)
    before = [await one.says(UFRAG) for one in both]
    for one in both:
        await one.says(WATCH)
    for count in (1, 2, 3):
        await ada.says("signaling.renew()")
        await ada.sees(f"told('resumed').length === {count}")
    await ada.says("signaling.chat('end')")
    for one in both:
        await one.sees("chats().join() === 'end'")
        await one.sees(MOVES)
        assert await one.says("gap()") < OUTAGE
    assert [await one.says(UFRAG) for one in both] == before
    assert await bob.says("told('offer').length + told('answer').length") == 1


async def test_peers_connect_though_the_server_is_lost_while_they_negotiate(site: Site, call: Call) -> None:
    ada, bob = both = await call(site, media=True), await call(site, media=True)
    await draws(ada, 0)
    await draws(bob, 120)
    # Each time that something of the negotiation comes, the connection breaks, some times in a row.
    cut = """() => {
      let left = 5;
      for (const type of ["participant-joined", "offer", "answer", "ice-candidate"]) {
        signaling.on(type, () => { if (left-- > 0) signaling.renew(); });
      }
    }"""
    for one in both:
        await one.says(cut)
    await ada.joins("Ada", isHost=True)
    await bob.joins("Bob")
    for one in both:
        await one.sees(CONNECTED)
        await one.sees(MOVES)
        await one.sees("told('suspended').length === 5 && !signaling.isAway")
        assert await one.says("[told('resumed').every(({ replayed }) => replayed), faults]") == [True, []]


async def test_tracks_change_without_negotiation(site: Site, call: Call) -> None:
    ada, bob = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob, draw=False)
    await ada.says(
        """async () => {
          const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
          globalThis.camera = stream.getVideoTracks()[0];
          peers.setTrack("audio", stream.getAudioTracks()[0]);
          peers.setTrack("video", camera);
        }"""
    )
    await bob.sees(MOVES)
    said = "told('offer').length + told('answer').length"
    before = [await one.says(said) for one in (ada, bob)]
    await draws(ada, 240)
    await bob.sees("[...videos.values()][0].videoWidth === 160")
    await bob.sees(MOVES)
    await ada.says("peers.setTrack('video', null)")
    await bob.sees(f"({MOVES}).then((moves) => !moves)")
    await ada.says("peers.setTrack('video', camera)")
    await bob.sees("[...videos.values()][0].videoWidth !== 160")
    await bob.sees(MOVES)
    await bob.sees("[...peers][0].level > 0")
    assert [await one.says(said) for one in (ada, bob)] == before


async def test_peers_with_no_tracks_connect_and_talk(site: Site, call: Call) -> None:
    ada, bob = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob, draw=False)
    await ada.says("peers.send({ type: 'hello' })")
    await bob.sees("said.length === 1")
    assert await bob.says("said") == [{"type": "hello"}]


async def test_page_that_is_loaded_anew_is_met_again(site: Site, call: Call) -> None:
    ada, bob = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob)
    tokens = await bob.says("signaling.ticket.resumeTokens")
    former = await bob.says("signaling.id")
    await bob.reloads()
    await draws(bob, 60)
    assert await bob.joins("Bob", resumeTokens=tokens) == former
    await ada.sees("connections.length === 2")
    assert await ada.says("connections[0].connectionState") == "closed"
    for one in (ada, bob):
        await one.sees(CONNECTED)
        await one.sees(MOVES)


@pytest.fixture(scope="module")
def reference_port() -> Iterator[int]:
    """Where the page of the reference client is."""
    with pages() as port:
        yield port


async def test_client_of_the_api_reference_and_room_page_see_each_other(
    site: Site, guest: Guests, call: Call, reference_port: int, faults: Faults
) -> None:
    faults.allow("favicon.ico")
    other = await guest(site, f"http://127.0.0.1:{reference_port}/page.html?server={site.url}")
    ada = await call(site, media=True)
    await draws(ada, 0)
    orders: set[bool] = set()
    # Ids are by chance, and who has the smaller one offers. Both are new each time: beside one that stays,
    # and happens to be nearly the smallest, a hundred others may all be greater.
    while len(orders) < 2:
        ada_id = await ada.joins("Ada", isHost=True)
        await other.evaluate(f"client.id = ''; client.join({js(ROOM)}, 'Reference')")
        await ada.sees("[...peers].length === 1")
        other_id = await other.evaluate("client.until(() => client.id)")
        await other.evaluate("client.look()")
        await other.evaluate(
            """(id) => client.until(async () => {
              const peer = client.peers.get(id);
              return peer && (await peer.received()).frames > peer.before.frames + 5;
            })""",
            ada_id,
        )
        await ada.sees(MOVES)
        orders.add(ada_id < other_id)
        await other.evaluate("client.leave()")
        await ada.sees("[...peers].length === 0")
        await ada.says("signaling.leave()")
    assert await ada.says("faults") == []


CANDIDATE = {"candidate": "garbage", "sdpMid": "0", "sdpMLineIndex": 0}


async def test_hostile_participant_causes_faults_and_nothing_else(site: Site, call: Call) -> None:
    ada, bob = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob)
    ids = [await one.says("signaling.id") for one in (ada, bob)]
    async with Client.connect(f"{site.url.replace('http', 'ws', 1)}/ws") as eve:
        await eve.join(ROOM, "Eve")
        # Who has the smaller id offers first. Before that an answer says nothing to it, and is passed over.
        awaited = {target for target in ids if target < eve.id}
        while awaited:
            heard = await eve.receive()
            if isinstance(heard, events.Offer):
                awaited.discard(heard.participant_id)
        for target in ids:
            await eve.answer(target, "v=0\r\nunasked")
            await eve.offer(target, "garbage")
            await eve.offer(target, "")
            await eve.ice_candidate(target, CANDIDATE)
            await eve.ice_candidate(target, {})
            await eve.ice_candidate(target, None)
        for one in (ada, bob):
            # How many depends on whose id is smaller: who has offered ignores the offers, not the answer.
            await one.sees("faults.length >= 1")
            await one.sees(f"peers.get({js(eve.id)}).state === 'connecting'")
    for one in (ada, bob):
        await one.sees(CONNECTED)
        await one.sees(MOVES)


async def test_what_is_too_big_for_the_channel_is_said_to_nobody(site: Site, call: Call) -> None:
    ada, bob = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob, draw=False)
    assert await ada.says("[...peers][0].send({ text: 'x'.repeat(1_000_000) })") is False
    assert await ada.says("[...peers][0].send({ text: 'x' })") is True
    await bob.sees("said.length")
    assert await bob.says("said") == [{"text": "x"}]


async def test_wrong_json_over_the_data_channel_is_ignored(site: Site, call: Call) -> None:
    ada, bob = await call(site, media=True), await call(site, media=True)
    await meet(ada, bob, draw=False)
    await ada.says("""() => {
      const channel = channels.find(({ label }) => label === "mikroroom");
      for (const data of ["nonsense", "null", "[]", "7", '"text"', "", new Uint8Array(3)]) channel.send(data);
      for (const label of ["mikroroom", "nothing", ""]) connections[0].createDataChannel(label);
      channel.send('{"type":"last"}');
    }""")
    await bob.sees("said.length")
    assert await bob.says("said") == [{"type": "last"}]
    await ada.sees("channels.filter(({ readyState }) => readyState === 'closed').length === 3")
    assert await bob.says("[...peers][0].isOpen")
