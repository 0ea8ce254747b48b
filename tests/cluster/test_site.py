"""Two workers as a part of a site: who may join, who is told, and what the site hears, whatever fails."""

import asyncio
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.core.outsider import Outsider
from tests.receiver import OK, SECRET, Delivery, Receiver, status
from tests.redis_server import RedisServer
from tests.reliability.people import CODE, Message, Plain, all_back, all_go, visitor
from tests.reliability.servers import PATIENCE, Server

from mikroroom.core.chronicle import RoomEvent, place
from mikroroom.core.jointokens import key_of, mint

from .cluster import Cluster
from .outages import DURABLE
from .people import Guest, all_see, soon

ADMIN = "the-token-of-the-site"
KEY = "put-at-least-32-characters-here."
OTHER = "XYZ789"
BEARER = {"Authorization": f"Bearer {ADMIN}"}
KICKED, ENDED = 4501, 4504


def pass_for(name: str, role: str = "participant", code: str = CODE) -> str:
    """A join token, as the site signs it."""
    return mint(
        key_of(KEY),
        audience="mikroroom",
        code=code,
        now=int(time.time()),
        ttl=60,
        name=name,
        role=role,  # type: ignore[arg-type]  # one of them
        subject=f"user-{name}",
    )


class Attendee(Guest):
    """Someone with a join token. ``shown`` is the chat as a client would show it: texts by message id."""

    def __init__(self, name: str, doors: Sequence[Server], role: str = "participant", **wish: Any) -> None:
        super().__init__(name, doors, code=wish.pop("code", CODE))
        self.shown: dict[str, str] = {}
        self.private: list[str] = []
        self.wish = {"token": pass_for(name, role, self.code), **wish}

    async def enters(self) -> "Attendee":
        """Come, by the token."""
        await self.comes(**self.wish)
        return self

    def tells(self, text: str, target: "Attendee | None" = None) -> None:
        """Say something to everyone, or to one alone."""
        self.says("chat", text=text, **({} if target is None else {"targetId": target.id}))

    def id_of(self, text: str) -> str:
        """By which id it knows what somebody said."""
        return next(name for name, said in self.shown.items() if said == text)

    def _arrives(self, own: Message) -> None:
        if not own.get("replayed"):
            self.shown.clear()
        super()._arrives(own)

    def _learns(self, kind: str, message: Message) -> None:
        if kind == "message-deleted":
            self.shown.pop(message["messageId"], None)
        elif kind == "chat":
            if message["messageId"] in self.shown:
                self.wrongs.append(f"{self!r} heard this twice: {message}")
            self.shown[message["messageId"]] = message["text"]
            if message["participantId"] == self.id:
                # A worker that is killed may forget that it was taken; it must not be said again.
                own = (each for each in self._unsure if each.get("text") == message["text"])
                self._knows_to_have_arrived(next(own, {"clientSeq": 0})["clientSeq"])
            if "targetId" in message:
                self.private.append(message["text"])
        else:
            super()._learns(kind, message)


class Moods:
    """A receiver that fails now and then: with a status, or by hanging up when it has read all."""

    def __init__(self) -> None:
        self.numbers = count(1)

    def __call__(self, delivery: Delivery) -> bytes | None:
        number = next(self.numbers)
        if number % 13 == 0:
            return status(503, "Retry-After: 0")
        return None if number % 11 == 0 else OK


class Play:
    """Two workers, the site's receiver, and whoever administers."""

    def __init__(self, cluster: Cluster, receiver: Receiver, http: httpx.AsyncClient) -> None:
        self.cluster, self.receiver, self.http = cluster, receiver, http
        self.one, self.two = cluster.workers
        self.everyone: list[Attendee] = []

    async def come(self, door: Server, *names: str, role: str = "participant", **wish: Any) -> list[Attendee]:
        """These join by one of the workers, one after the other."""
        came = [await Attendee(name, [door], role, **wish).enters() for name in names]
        self.everyone += came
        return came

    async def asks(
        self, worker: Server, method: str, path: str, expected: int = 200, **options: Any
    ) -> dict[str, Any]:
        """Ask a worker for something, as the administrator. The answer."""
        response = await self.http.request(method, f"{worker.url}/api{path}", headers=BEARER, **options)
        assert response.status_code == expected, response.text
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer

    async def is_refused(self, worker: Server, **wish: Any) -> str:
        """With which code somebody is refused by a worker who wants to join in this way."""
        async with visitor(worker) as connection:
            answer = await Plain(connection).joins(**wish)
            return str(answer["code"])

    async def chronicle(self, worker: Server) -> list[dict[str, Any]]:
        """All that a worker tells of what has happened, page by page."""
        events: list[dict[str, Any]] = []
        after = "0"
        while page := await self.asks(worker, "GET", f"/events?limit=40&after={after}"):
            assert page["isComplete"]
            if not page["events"]:
                break
            events += page["events"]
            after = page["next"]
        return events

    def courier(self) -> Server:
        """Which worker tells the site. In the room OTHER there are people on the first alone."""
        name = self.cluster.command("GET", "mikroroom:courier")
        assert isinstance(name, bytes)
        codes = self.cluster.command("SMEMBERS", f"mikroroom:at:{name.decode()}")
        assert isinstance(codes, set | list)
        return self.one if OTHER.encode() in codes else self.two

    async def has_courier(self) -> Server:
        """Likewise, as soon as there is one."""
        assert await soon(lambda: bool(self.cluster.command("EXISTS", "mikroroom:courier")))
        return self.courier()

    async def is_quiet(self) -> None:
        """Wait until the site is owed nothing."""
        assert await soon(lambda: self.cluster.command("XLEN", "mikroroom:outbox") == 0)

    async def ends(self) -> None:
        """Nobody is there any more. What the site has heard is what has happened, and nothing else."""
        await self.cluster.counts(0, 0)
        await self.is_quiet()
        taken = self.receiver.taken
        same = {event["id"]: event for event in taken}
        assert all(event == same[event["id"]] for event in taken), "two things under one id"
        heard = self.receiver.events()
        assert [event["id"] for event in heard] == sorted(same, key=place), "not in order"
        assert await self.chronicle(self.one) == heard == await self.chronicle(self.two)
        outsider = Outsider()
        outsider.hears_all(msgspec.convert(event, RoomEvent) for event in heard)
        assert outsider.rooms == {} and not any(outsider.waiting.values())
        assert set(outsider.visits) == {person.id for person in self.everyone}
        assert set(outsider.visits.values()) == {1}
        subjects = {event["participant"]["subject"] for event in heard if "participant" in event}
        assert subjects == {person.wish.get("subject", f"user-{person.name}") for person in self.everyone}
        assert [wrong for person in self.everyone for wrong in (*person.wrongs, *person.errors)] == []
        assert self.cluster.faults() == []


def plays(receiver: Receiver) -> dict[str, Any]:
    """The settings of all workers."""
    return {
        "join_tokens": "required",
        "join_token_secret": KEY,
        "admin_token": ADMIN,
        "chat_history": 100,
        "max_participants": 30,
        "webhook_url": receiver.url,
        "webhook_secret": SECRET,
    }


async def shows(people: Sequence[Attendee], texts: Sequence[str]) -> None:
    """Wait until this is the chat as each of them knows it."""
    is_so = await soon(lambda: all(list(person.shown.values()) == list(texts) for person in people))
    wrong = {person.name: list(person.shown.values()) for person in people}
    assert is_so, {name: shown[-6:] for name, shown in wrong.items() if shown != list(texts)}


async def are_closed(code: int, *people: Attendee) -> None:
    """Wait until the connection of each is closed with this code."""
    assert await soon(lambda: all([end[1] for end in who.closes][-1:] == [code] for who in people))


async def test_what_is_done_on_one_worker_holds_on_the_other_and_is_told_outside(tmp_path: Path) -> None:
    async with (
        Receiver() as receiver,
        Cluster(tmp_path, servers=2, **plays(receiver)) as cluster,
        httpx.AsyncClient(timeout=PATIENCE) as http,
    ):
        receiver.mood = Moods()
        play = Play(cluster, receiver, http)
        one, two = play.one, play.two
        [ada] = await play.come(one, "Ada", role="host")
        [bob] = await play.come(two, "Bob", role="moderator")
        [cleo] = await play.come(two, "Cleo")
        assert await play.is_refused(two, name="Nobody") == "INVALID_TOKEN"

        # Invites
        invite = await play.asks(one, "POST", f"/rooms/{CODE}/invites", 201, json={"label": "the board"})
        [ivy] = await play.come(two, "Ivy", token=invite["token"], subject=None)
        await play.asks(two, "DELETE", f"/rooms/{CODE}/invites/{invite['id']}", 204)
        for worker in (one, two):
            assert await play.is_refused(worker, name="Jack", token=invite["token"]) == "INVALID_TOKEN"

        # Administration
        await play.asks(one, "PATCH", f"/rooms/{CODE}", json={"isLocked": True, "maxParticipants": 5})
        people = [ada, bob, cleo, ivy]
        await all_see(people, lambda who: who.locked_by == "")
        await play.asks(one, "PATCH", f"/rooms/{CODE}/participants/{cleo.id}", json={"isModerator": True})
        await all_see(people, lambda who: who.people[cleo.id]["isModerator"])
        await play.asks(two, "PATCH", f"/rooms/{CODE}/participants/{cleo.id}", json={"isModerator": False})
        await all_see(people, lambda who: not who.people[cleo.id]["isModerator"])
        await play.asks(two, "PATCH", f"/rooms/{CODE}", json={"isLocked": False, "maxParticipants": 20})
        await all_see(people, lambda who: who.locked_by is None)

        # Chat: one history, whichever worker one is on
        texts = [f"{number} {person.name}" for number in range(10) for person in (ada, cleo)]
        for text in texts:
            (ada if "Ada" in text else cleo).tells(text)
            assert await soon(lambda text=text: text in bob.shown.values())  # type: ignore[misc]
        [dan] = await play.come(two, "Dan")
        people.append(dan)
        await shows(people, texts)
        ada.tells("0 between us", cleo)
        assert await soon(lambda: cleo.private == ada.private == ["0 between us"])
        ada.says("delete-message", messageId=ada.id_of(texts[0]))
        cleo.says("delete-message", messageId=cleo.id_of(texts[1]))
        ada.says("delete-message", messageId=ada.id_of("0 between us"))
        await shows(people, texts[2:])
        [eve] = await play.come(one, "Eve")
        people.append(eve)
        await shows(people, texts[2:])
        assert bob.private == ivy.private == dan.private == []

        # Removed, and kept out by both: by the address, which is everyone's here, until that is lifted
        gone = await play.asks(one, "DELETE", f"/rooms/{CODE}/participants/{ivy.id}?ban=60")
        await are_closed(KICKED, ivy)
        for worker in (one, two):
            assert await play.is_refused(worker, token=pass_for("Jack")) == "BANNED"
        await play.asks(two, "DELETE", f"/rooms/{CODE}/bans/{gone['ban']['id']}", 204)
        people.remove(ivy)
        [jack] = await play.come(one, "Jack")  # waits: somebody was removed who was at this address
        await play.asks(two, "POST", f"/rooms/{CODE}/waiting/{jack.id}")
        await shows([jack], texts[2:])
        await play.asks(two, "DELETE", f"/rooms/{CODE}", 204)
        await are_closed(ENDED, jack, *people)
        await play.ends()
        deeds = [event["action"] for event in receiver.events() if event["type"] == "room.moderated"]
        by_the_board = ["locked", "moderator-made", "moderator-unmade", "unlocked", "kicked", "admitted"]
        assert sorted(deeds) == sorted([*by_the_board, "resized", "resized"])


async def test_whatever_fails_the_site_hears_all_of_it_in_order(tmp_path: Path) -> None:
    async with (
        Receiver() as receiver,
        Cluster(tmp_path, servers=2, redis_options=DURABLE, **plays(receiver)) as cluster,
        httpx.AsyncClient(timeout=PATIENCE) as http,
    ):
        receiver.mood = Moods()
        play = Play(cluster, receiver, http)
        one, two = play.one, play.two
        await play.come(one, "Olga", role="host", code=OTHER)
        await play.come(one, "Ada", role="host")
        await play.come(two, "Bob", "Cleo", role="moderator")
        await play.come(one, "Dan", "Eve")
        staying = list(play.everyone)
        talk = Talk(staying[1:])
        await talk.goes_round()

        # The one who tells the site is killed, the other carries on; then that one stops in good order.
        courier = await play.has_courier()
        for name, victim in (("first", courier), ("second", two if courier is one else one)):
            other = two if victim is one else one
            passing = await play.come(victim, f"{name} A", f"{name} B")
            for person in staying:
                person.doors = [other]
            await (victim.dies() if victim is courier else victim.stops())
            for person in passing:
                person.doors = [other]
            await all_back(play.everyone)
            passing += await play.come(other, f"{name} C")
            await talk.goes_round()
            await all_go(passing[1:])
            await victim.starts()
            await passing[0].goes()

        # Nobody hears, and much happens; then Redis is away, and comes back with what it knew.
        await receiver.shuts()
        passing = await play.come(one, "during A") + await play.come(two, "during B")
        await passing[0].goes()
        for person in play.everyone:
            person.doors = [one, two]
        await restarts(cluster.redis)
        await cluster.are_up()
        await all_back([*staying, passing[1]])
        await receiver.opens()
        await play.come(two, "after A")
        await talk.goes_round()
        await all_go([passing[1], play.everyone[-1], *staying])
        await play.ends()
        assert len(receiver.taken) > len(receiver.events()), "some must have come twice"


class Talk:
    """What is said in a room whose chat is kept."""

    def __init__(self, people: Sequence[Attendee]) -> None:
        self.people = people
        self.texts: list[str] = []

    async def goes_round(self) -> None:
        """Each says something when all have heard what the one before said."""
        for person in self.people:
            self.texts.append(f"{len(self.texts)} {person.name}")
            person.tells(self.texts[-1])
            await shows(self.people, self.texts)


async def restarts(redis: RedisServer) -> None:
    """Redis is killed, and started again with what is on its disk."""
    await asyncio.to_thread(redis.kill)
    await asyncio.to_thread(redis.start)
