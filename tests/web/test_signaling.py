"""The signaling client of ``mikroroom.js``, on blank pages, against a real server."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.async_api import Page, WebSocketRoute
from tests.site_process import Site

from mikroroom.client import Client
from mikroroom.protocol import events

from .callers import ROOM, Call, Caller, js
from .conftest import SiteWith
from .faults import Faults
from .people import is_kept, until

PATIENCE = 60.0
EventT = TypeVar("EventT")


@asynccontextmanager
async def visitor(site: Site, name: str = "Bob", *, is_host: bool = False) -> AsyncIterator[Client]:
    """Another participant, by the Python client."""
    async with Client.connect(f"{site.url.replace('http', 'ws', 1)}/ws") as client:
        await client.join(ROOM, name, is_host=is_host)
        yield client


async def hears(client: Client, kind: type[EventT]) -> EventT:
    """The next event of this kind; others are passed over."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if isinstance(event := await client.receive(), kind):
                return event


async def test_message_to_the_room_is_heard(site: Site, call: Call) -> None:
    ada = await call(site)
    ada_id = await ada.joins("Ada", isHost=True)
    async with visitor(site) as bob:
        await ada.sees("room.participants.size === 1")
        await ada.says("signaling.chat('hello', 'x')")
        chat = await hears(bob, events.Chat)
        assert (chat.participant_id, chat.text, chat.reply_to) == (ada_id, "hello", "x")


async def test_refused_client_may_ask_again_on_the_same_connection(site: Site, call: Call) -> None:
    ada, bob = await call(site), await call(site)
    await ada.joins("Ada", isHost=True, password="secret")
    how = {"roomId": ROOM, "name": "Bob"}
    assert await bob.says(f"failure(() => signaling.join({js(how)}))") == ["RefusedError", "INVALID_PASSWORD"]
    await bob.joins("Bob", password="secret")
    assert await bob.says("sockets.length") == 1


async def test_nobody_listening_is_a_closed_error(site: Site, call: Call, faults: Faults) -> None:
    faults.allow("ERR_CONNECTION_REFUSED")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        ada = await call(site, server=f"ws://127.0.0.1:{unheard.getsockname()[1]}/ws")
        how = {"roomId": ROOM, "name": "Ada"}
        assert await ada.says(f"failure(() => signaling.join({js(how)}))") == ["ClosedError", 1006]


async def test_each_method_is_heard(site: Site, call: Call) -> None:
    ada = await call(site)
    await ada.joins("Ada", isHost=True)
    async with visitor(site) as bob:
        await ada.sees("room.participants.size === 1")
        to_bob: dict[str, type[events.Message]] = {
            "chat('psst', '', id)": events.Chat,
            "deleteMessage(`1-${id}`)": events.MessageDeleted,
            "updateState({ isVideoOff: true })": events.ParticipantUpdated,
            "raiseHand()": events.RaiseHand,
            "lowerHand()": events.LowerHand,
            "lock()": events.RoomLocked,
            "unlock()": events.RoomUnlocked,
            "startRecording()": events.RecordingStarted,
            "stopRecording()": events.RecordingStopped,
            "moderate(id, 'mute')": events.ModeratorAction,
            "changeQuality(id, 'low')": events.QualityChange,
            "offerFile(id, { name: 'a.txt', size: 3, type: 'text/plain' })": events.FileOffer,
            "answerFile(id, true)": events.FileAnswer,
            "sendFileChunk(id, { chunk: 'YQ==', index: 0, total: 1 })": events.FileChunk,
            "send({ type: 'offer', targetId: id, sdp: 'v=0' })": events.Offer,
            "send({ type: 'ice-candidate', targetId: id, candidate: null })": events.IceCandidate,
        }
        for method, kind in to_bob.items():
            await ada.says(f"(id) => signaling.{method}", bob.id)
            event = await hears(bob, kind)
            assert event.participant_id == await ada.says("signaling.id"), method
        assert await ada.says("told('error')") == []


async def test_who_waits_is_admitted_or_rejected(site: Site, call: Call) -> None:
    ada, bob, eve = await call(site), await call(site), await call(site)
    await ada.joins("Ada", isHost=True)
    await ada.says("signaling.lock()")
    await ada.sees("room.isLocked")
    bob_id, eve_id = await bob.joins("Bob"), await eve.joins("Eve")
    assert await bob.says("room.status") == "waiting"
    await ada.sees("room.waiting.size === 2")
    await ada.says("(id) => signaling.admit(id)", bob_id)
    await ada.says("(id) => signaling.reject(id, 'not now')", eve_id)
    await bob.sees("room.status === 'inside' && room.participants.size === 1")
    await eve.sees("told('closed').some(({ code }) => code === 4502) && room.status === 'outside'")
    assert await eve.says("told('reject-user')[0].reason") == "not now"


async def test_message_that_is_too_big_is_refused_here(site: Site, call: Call) -> None:
    ada = await call(site)
    await ada.joins("Ada", isHost=True)
    assert await ada.says("failure(() => signaling.chat('x'.repeat(262_144)))") == ["RangeError", None]
    assert await ada.says("failure(() => signaling.chat('é'.repeat(131_072)))") == ["RangeError", None]
    await ada.says("signaling.chat('small')")
    await ada.sees("chats().join() === 'small'")
    assert await ada.says("sockets.length") == 1


async def _renews(ada: Caller, site: Site) -> None:
    await ada.says("signaling.renew()")


async def _restarts(ada: Caller, site: Site) -> None:
    site.stop()


async def _crashes(ada: Caller, site: Site) -> None:
    await is_kept(ada.page)
    site.kill()


@pytest.mark.parametrize("is_lost", [_renews, _restarts, _crashes])
async def test_what_is_said_while_away_arrives_once_and_in_order(
    site: Site, call: Call, faults: Faults, is_lost: Callable[[Caller, Site], Awaitable[None]]
) -> None:
    faults.allow("ERR_CONNECTION_REFUSED", "WebSocket connection to")
    ada, bob = await call(site), await call(site)
    await ada.joins("Ada", isHost=True)
    await bob.joins("Bob")
    await ada.sees("room.participants.size === 1")
    await ada.says("signaling.chat('before')")
    await bob.sees("chats().length === 1")

    await is_lost(ada, site)
    await ada.sees("told('suspended').length === 1")
    await ada.says("for (let i = 0; i < 50; i++) signaling.chat(String(i))")
    if is_lost is not _renews:
        site.start()
    await ada.says("signaling.chat('after')")
    wanted = ["before", *map(str, range(50)), "after"]
    for one in (ada, bob):
        await one.sees("chats().at(-1) === 'after'")
        assert await one.says("chats()") == wanted
        await one.sees("!signaling.isAway && [...room.participants.values()].every((one) => one.isConnected)")
        assert await one.says("room.participants.size") == 1
    assert await ada.says("told('resumed').map(({ replayed }) => replayed)") == [is_lost is not _crashes]


async def test_chat_over_many_cuts_is_complete_in_both_directions(site: Site, call: Call) -> None:
    pages = [await call(site), await call(site)]
    await pages[0].joins("Ada", isHost=True)
    await pages[1].joins("Bob")
    # Each cut comes right after something was said: what was on its way, either way, is lost with the socket.
    talk = """async () => {
      const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
      for (let i = 0; i < 200; i++) {
        signaling.chat(String(i));
        if (i % 20 === 19) {
          while (signaling.isAway) await pause();
          signaling.renew();
        }
        await pause();
      }
    }"""
    await asyncio.gather(*(one.says(talk) for one in pages))
    for one in pages:
        await one.sees("told('chat').length >= 400")
        for other in pages:
            heard = await one.says("(id) => chats(id)", await other.says("signaling.id"))
            assert heard == [str(i) for i in range(200)]
        assert await one.says("told('suspended').length") == 10
        assert await one.says("told('resumed').every(({ replayed }) => replayed)")


async def test_more_than_may_wait_is_refused(site: Site, call: Call, faults: Faults) -> None:
    faults.allow("ERR_CONNECTION_REFUSED", "WebSocket connection to")
    ada = await call(site)
    await ada.joins("Ada", isHost=True)
    site.stop()
    await ada.sees("signaling.isAway")
    await ada.says("for (let i = 0; i < 256; i++) signaling.chat(String(i))")
    assert await ada.says("failure(() => signaling.chat('more'))") == ["QueueFullError", None]
    site.start()
    await ada.sees("chats().length === 256")
    assert await ada.says("chats()") == [str(i) for i in range(256)]


async def test_place_that_is_gone_is_replaced_by_a_new_one(
    site_with: SiteWith, call: Call, faults: Faults, tmp_path: Path
) -> None:
    faults.allow("ERR_CONNECTION_REFUSED", "WebSocket connection to", "ERR_INTERNET_DISCONNECTED")
    site = site_with()
    ada, bob = await call(site), await call(site)
    former = [await ada.joins("Ada", isHost=True), await bob.joins("Bob")]
    await ada.sees("room.participants.size === 1")
    await ada.says("void signaling.on('rejoined', () => signaling.chat('told at once'))")
    site.stop()
    await ada.sees("signaling.isAway")
    await ada.says("signaling.chat('said while away')")
    shutil.rmtree(tmp_path / "site-0" / "data")
    # Bob comes first, to a room that only Ada makes again. By chance alone he would give up now and then.
    await ada.page.context.set_offline(True)
    await bob.says("backoff.most = 1; backoff.chance = () => 1; null")
    heard: list[str] = []
    bob.page.on("websocket", lambda socket: socket.on("framereceived", lambda text: heard.append(str(text))))
    site.start()

    async def is_refused() -> bool:
        return any("ROOM_NOT_FOUND" in text for text in heard)

    await until(is_refused, "Bob is told that there is no such room")
    await ada.page.context.set_offline(False)
    for one in (ada, bob):
        await one.sees("told('rejoined').length === 1 && room.participants.size === 1")
        await one.sees("room.status === 'inside'")
        assert await one.says("signaling.id") not in former
        assert await one.says("signaling.id === told('rejoined')[0].participantId && !signaling.isAway")
    await ada.sees("chats(signaling.id).length >= 2")
    assert await ada.says("chats(signaling.id)") == ["said while away", "told at once"]


async def _is_alone(client: Client) -> None:
    """Nobody else is in the room, as far as a newcomer and the server say."""
    await client.chat("anybody?")
    async with asyncio.timeout(PATIENCE):
        while not isinstance(event := await client.receive(), events.Chat):
            assert not isinstance(event, events.ParticipantJoined), event


@pytest.mark.parametrize("when", ["'suspended'", "'resumed'"])
async def test_client_that_leaves_as_it_is_told_is_gone(site: Site, call: Call, when: str) -> None:
    ada = await call(site)
    async with visitor(site, is_host=True) as bob:
        ada_id = await ada.joins("Ada")
        await ada.says(f"void signaling.on({when}, () => signaling.leave())")
        await ada.says("signaling.renew()")
        left = await hears(bob, events.ParticipantLeft)
        assert left.participant_id == ada_id
        assert await ada.says("[room.status, signaling.ticket, signaling.isAway]") == ["outside", None, False]


async def test_client_that_leaves_while_away_is_gone_soon(site: Site, call: Call) -> None:
    ada = await call(site)
    async with visitor(site, is_host=True) as bob:
        ada_id = await ada.joins("Ada")
        await ada.says("signaling.renew(); signaling.leave()")
        left = await hears(bob, events.ParticipantLeft)
        assert left.participant_id == ada_id
        await ada.sees("sockets.every(({ readyState }) => readyState === WebSocket.CLOSED)")


# Before the socket is open; when the request is on its way; and in the turn in which it is answered.
MOMENTS = {
    "opening": "signaling.leave()",
    "asking": "sockets.at(-1).addEventListener('open', () => queueMicrotask(() => signaling.leave()))",
    "asked": "sockets.at(-1).addEventListener('open', () => setTimeout(() => signaling.leave()))",
    "answered": "sockets.at(-1).addEventListener('message', () => signaling.leave())",
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_client_that_leaves_while_it_joins_leaves_no_ghost(site: Site, call: Call, moment: str) -> None:
    ada = await call(site)
    async with visitor(site, is_host=True) as bob:
        how = {"roomId": ROOM, "name": "Ada"}
        failure = await ada.says(
            f"failure(() => {{ const joining = signaling.join({js(how)}); {MOMENTS[moment]};"
            " return joining; })"
        )
        assert failure in (["ClosedError", 1000], None), failure
        await ada.sees("sockets.every(({ readyState }) => readyState === WebSocket.CLOSED)")
        async with visitor(site, "Eve") as eve:
            joined = await hears(eve, events.ParticipantJoined)
            assert joined.participant_id == bob.id
            await _is_alone(eve)
        # And it may join all the same.
        await ada.joins("Ada")


async def test_second_join_does_not_disturb_the_first(site: Site, call: Call) -> None:
    ada = await call(site)
    how = {"roomId": ROOM, "name": "Ada", "isHost": True}
    twice = f"""async () => {{
      const first = signaling.join({js(how)});
      const second = await failure(() => signaling.join({js(how)}));
      return [second, (await first).participantId === signaling.id];
    }}"""
    assert await ada.says(twice) == [["RefusedError", "ALREADY_JOINED"], True]


async def test_kicked_client_stays_away(site: Site, call: Call) -> None:
    ada, bob = await call(site), await call(site)
    await ada.joins("Ada", isHost=True)
    bob_id = await bob.joins("Bob")
    await ada.sees("room.participants.size === 1")
    await ada.says("(id) => signaling.moderate(id, 'kick')", bob_id)
    await bob.sees("told('closed').length")
    assert await bob.says("told('closed')[0]") == {"type": "closed", "name": "ClosedError", "code": 4501}
    assert await bob.says("[sockets.length, told('suspended').length, signaling.ticket]") == [1, 0, None]
    assert await bob.says("failure(() => signaling.chat('x'))") == ["ClosedError", 1000]


async def test_waiting_client_keeps_waiting_over_a_cut_and_is_admitted(site: Site, call: Call) -> None:
    ada, bob = await call(site), await call(site)
    await ada.joins("Ada", isHost=True)
    await ada.says("signaling.lock()")
    await ada.sees("room.isLocked")
    bob_id = await bob.joins("Bob")
    await bob.says("signaling.renew()")
    await bob.sees("told('resumed').length === 1")
    assert await bob.says("[room.status, signaling.id]") == ["waiting", bob_id]
    await ada.says("(id) => signaling.admit(id)", bob_id)
    await bob.sees("room.status === 'inside'")
    await bob.says("signaling.renew(); signaling.chat('in')")
    await ada.sees("chats().join() === 'in'")
    assert await ada.says("told('waiting-room').length") == 1


async def test_reloaded_page_is_the_same_participant(site: Site, call: Call) -> None:
    ada, bob = await call(site), await call(site)
    await ada.joins("Ada", isHost=True)
    bob_id = await bob.joins("Bob")
    for count in (1, 2):
        await bob.says("signaling.chat('one'); signaling.chat('two')")
        await bob.sees("chats(signaling.id).length === 2")
        ticket = await bob.says("signaling.ticket")
        assert (ticket["roomId"], ticket["name"]) == (ROOM, "Bob")
        await bob.reloads()
        assert await bob.joins("Bob", resumeTokens=ticket["resumeTokens"]) == bob_id
        await ada.sees(f"told('participant-left').length === {count}")
        await ada.sees(
            f"told('participant-joined').filter((one) => one.name === 'Bob').length === {count + 1}"
        )
    await bob.says("signaling.chat('three')")
    await ada.sees("chats().join() === 'one,two,one,two,three'")
    assert await ada.says("[...room.participants.keys()]") == [bob_id]
    # A ticket that is worth nothing is none.
    await bob.says("signaling.leave()")
    assert await bob.joins("Bob", resumeTokens=ticket["resumeTokens"]) != bob_id


async def test_client_comes_back_when_the_network_does(site: Site, call: Call, faults: Faults) -> None:
    faults.allow("ERR_INTERNET_DISCONNECTED")
    ada = await call(site)
    await ada.joins("Ada", isHost=True)
    await ada.page.context.set_offline(True)
    await ada.sees("signaling.isAway && told('suspended').length === 1")
    await ada.says("signaling.chat('later')")
    await ada.page.context.set_offline(False)
    await ada.sees("chats().join() === 'later'")


async def test_server_that_never_answers_is_given_up_and_tried_again(
    site: Site, call: Call, faults: Faults
) -> None:
    sockets: list[WebSocketRoute] = []

    async def play(page: Page) -> None:
        async def take(socket: WebSocketRoute) -> None:
            sockets.append(socket)
            if len(sockets) in (1, 4):
                socket.on_message(lambda _: None)
            else:
                socket.connect_to_server()

        await page.route_web_socket("**/ws", take)
        await page.clock.install()

    ada = await call(site, before=play)
    how = {"roomId": ROOM, "name": "Ada", "isHost": True}
    await ada.says(f"void (globalThis.answer = failure(() => signaling.join({js(how)})))")
    await ada.sees("sockets[0]?.readyState === WebSocket.OPEN")
    await ada.page.clock.fast_forward(10_100)
    assert await ada.says("answer") == ["ClosedError", 1006]
    await ada.joins("Ada", isHost=True)
    await ada.says("signaling.renew()")
    await ada.sees("told('resumed').length === 1")
    await ada.says("signaling.renew()")
    await ada.sees("sockets.length === 4 && sockets[3].readyState === WebSocket.OPEN")
    await ada.page.clock.fast_forward(10_100)
    await ada.says("signaling.chat('here')")
    await ada.sees("chats().join() === 'here'")


async def test_server_that_does_not_take_the_socket_holds_up_no_other_try(
    site: Site, call: Call, faults: Faults
) -> None:
    faults.allow("closed before the connection")
    taken: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    async def stop_clock(page: Page) -> None:
        await page.clock.install()

    async with await asyncio.start_server(take, "127.0.0.1") as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        ada = await call(site, server=url, before=stop_clock)
        how = {"roomId": ROOM, "name": "Ada"}
        for count in (1, 2):
            await ada.says(f"void (globalThis.answer = failure(() => signaling.join({js(how)})))")

            async def is_taken(count: int = count) -> bool:
                return len(taken) == count

            await until(is_taken, "the next try gets through")
            await ada.page.clock.fast_forward(10_100)
            assert await ada.says("answer") == ["ClosedError", 1006]
        for writer in taken:
            writer.close()


GARBAGE: tuple[str | bytes, ...] = (
    "",
    "nonsense",
    "null",
    "[]",
    "7",
    '{"type":7}',
    '{"type":"unheard-of"}',
    '{"type":"closed"}',
    b"\x00",
)


async def test_garbage_from_the_server_does_no_harm(site: Site, call: Call) -> None:
    sockets: list[WebSocketRoute] = []

    async def play(page: Page) -> None:
        async def take(socket: WebSocketRoute) -> None:
            sockets.append(socket)
            socket.connect_to_server()
            for garbage in GARBAGE:
                socket.send(garbage)

        await page.route_web_socket("**/ws", take)

    ada = await call(site, before=play)
    await ada.joins("Ada", isHost=True)
    for garbage in GARBAGE:
        sockets[0].send(garbage)
    await ada.says("signaling.chat('still here')")
    await ada.sees("chats().join() === 'still here'")
    assert await ada.says("[told('closed').filter(({ name }) => name).length, signaling.isAway]") == [
        0,
        False,
    ]


async def test_listener_that_throws_stops_no_other(site: Site, call: Call, faults: Faults) -> None:
    faults.allow("Oh dear")
    ada = await call(site)
    await ada.says("""() => {
      globalThis.good = [];
      for (const name of ["participant-joined", "chat", "suspended", "resumed", "place"]) {
        signaling.on(name, () => { throw new Error("Oh dear"); });
        signaling.on(name, () => good.push(name));
      }
    }""")
    await ada.joins("Ada", isHost=True)
    await ada.says("signaling.renew(); signaling.chat('x')")
    await ada.sees("good.includes('chat')")
    assert await ada.says("good") == [
        "place",
        "participant-joined",
        "suspended",
        "resumed",
        "place",
        "participant-joined",
        "chat",
    ]


async def test_nothing_is_left_after_many_joins_and_leaves(site: Site, call: Call) -> None:
    # Timers and listeners of the page, as far as they are not done.
    count = """
    globalThis.open = { timers: new Set(), listeners: 0 };
    for (const [set, clear] of [["setTimeout", "clearTimeout"], ["setInterval", "clearInterval"]]) {
      const [start, stop] = [globalThis[set], globalThis[clear]];
      globalThis[set] = (task, ...rest) => {
        const id = start(() => { if (set === "setTimeout") open.timers.delete(id); task(); }, ...rest);
        open.timers.add(id);
        return id;
      };
      globalThis[clear] = (id) => { open.timers.delete(id); stop(id); };
    }"""

    async def watch(page: Page) -> None:
        await page.add_init_script(count)

    ada = await call(site, before=watch, media=True)
    how = {"roomId": ROOM, "name": "Ada", "isHost": True}
    await ada.says(f"""async () => {{
      for (let i = 0; i < 50; i++) {{
        await signaling.join({js(how)});
        if (i % 5 === 0) signaling.renew();
        signaling.leave();
      }}
    }}""")
    await ada.sees("sockets.every(({ readyState }) => readyState === WebSocket.CLOSED)")
    await ada.sees("open.timers.size === 0")
    tries = await ada.says("sockets.length")
    await ada.sees(
        "fetch('/health').then((answer) => answer.json()).then((it) => it.totalParticipants === 0)"
    )
    await ada.joins("Ada", isHost=True)
    assert await ada.says("sockets.length") == tries + 1
    assert await ada.says("room.participants.size") == 0


async def test_change_of_oneself_while_away_is_not_taken_back(site: Site, call: Call) -> None:
    ada, bob = await call(site), await call(site)
    await ada.joins("Ada", isHost=True)
    await bob.joins("Bob")
    await ada.sees("room.participants.size === 1")
    await ada.says("signaling.renew(); room.update({ isMuted: true }); room.raiseHand(true)")
    await bob.sees("[...room.participants.values()].every((one) => one.isMuted && one.isHandRaised)")
    await ada.says("signaling.chat('end')")
    await ada.sees("chats().length === 1")
    assert await ada.says("[room.self.isMuted, room.self.isHandRaised]") == [True, True]


async def test_reloaded_page_comes_back_though_the_server_has_crashed_meanwhile(
    site: Site, call: Call, faults: Faults
) -> None:
    faults.allow("ERR_CONNECTION_REFUSED", "WebSocket connection to")
    ada = await call(site)
    ada_id = await ada.joins("Ada", isHost=True)
    tokens = await ada.says("signaling.ticket.resumeTokens")
    await is_kept(ada.page)
    await ada.reloads()
    assert await ada.joins("Ada", resumeTokens=tokens) == ada_id
    site.kill()  # it may not know the newest token any more
    site.start()
    await ada.sees("!signaling.isAway && told('resumed').length === 1")
    assert await ada.says("signaling.id") == ada_id


async def test_lost_messages_of_the_server_are_noticed_and_fetched(site: Site, call: Call) -> None:
    count = 0

    async def play(page: Page) -> None:
        async def take(socket: WebSocketRoute) -> None:
            server = socket.connect_to_server()

            def relay(text: str | bytes) -> None:
                nonlocal count
                count += 1
                # Without the answer to a join there is a wait of ten seconds. After the last chat nothing
                # comes by which its loss would be noticed.
                if count % 7 or count > 400 or "resumeToken" in str(text) or '"text":"59"' in str(text):
                    socket.send(text)

            server.on_message(relay)

        await page.route_web_socket("**/ws", take)

    ada = await call(site, before=play)
    async with visitor(site, is_host=True) as bob:
        await ada.joins("Ada")
        for i in range(60):
            await bob.chat(str(i))
        await ada.sees("chats().at(-1) === '59' && !signaling.isAway")
    assert await ada.says("chats()") == [str(i) for i in range(60)]
    assert await ada.says("told('suspended').length === told('resumed').length")
    assert await ada.says("told('resumed').length >= 2")


async def test_cut_within_a_snapshot_makes_nobody_leave(site: Site, call: Call, faults: Faults) -> None:
    faults.allow("ERR_CONNECTION_REFUSED", "WebSocket connection to")
    silent: list[WebSocketRoute] = []
    was_cut = is_cut = False

    async def play(page: Page) -> None:
        async def take(socket: WebSocketRoute) -> None:
            if is_cut:
                silent.append(socket)
                return
            server = socket.connect_to_server()

            def relay(text: str | bytes) -> None:
                nonlocal was_cut, is_cut
                if not is_cut:
                    socket.send(text)
                # Of the first snapshot only the beginning comes.
                if not was_cut and '"replayed":false' in str(text):
                    was_cut = is_cut = True

            server.on_message(relay)

        await page.route_web_socket("**/ws", take)
        await page.clock.install()

    ada = await call(site, before=play)
    async with visitor(site, is_host=True) as bob:
        await ada.joins("Ada")
        await ada.sees("room.participants.size === 1")
        await ada.says("globalThis.left = []; void room.on('left', ({ id }) => left.push(id))")
        # At once: within a second the rest of the snapshot is thought to have come.
        await ada.says("""() => {
          const unlisten = signaling.on("resumed", () => {
            unlisten();
            setTimeout(() => signaling.renew());
          });
        }""")
        await is_kept(ada.page)
        site.kill()
        site.start()
        await ada.sees("told('resumed').length === 1")
        assert await ada.says("told('resumed')[0].replayed") is False

        async def is_again() -> bool:
            return bool(silent)

        await until(is_again, "she comes again")
        await ada.page.clock.fast_forward(1_500)
        is_cut = False
        await silent[-1].close()
        await ada.sees("told('resumed').length === 2 && !signaling.isAway")
        # What is said now comes after the whole snapshot.
        await bob.chat("end")
        await ada.sees("chats().length === 1")
        await ada.page.clock.fast_forward(1_500)
        assert await ada.says("[[...room.participants.keys()], left]") == [[bob.id], []]
