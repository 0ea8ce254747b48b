"""Rooms made by two at once, and passwords by the hundred: what stands between a wish and its commit."""

import asyncio
import threading
from random import Random

import pytest

from mikroroom.core import secrets
from mikroroom.core.effects import Effects
from mikroroom.core.grants import GrantedRole
from mikroroom.core.jointokens import key_of, mint
from mikroroom.core.room import Room
from mikroroom.hub import hashing
from mikroroom.hub.hashing import MAX_WAITING_OF_ONE, Hasher
from mikroroom.protocol.codes import ErrorCode, Refusal
from mikroroom.protocol.requests import NAME_MISSING, CreateRoom
from mikroroom.stores.memory import MemoryStore
from mikroroom.stores.port import CodeTaken, Step

from .cast import CODE, NOON, POLICY, Clock
from .conftest import HouseWith

PATIENCE = 20.0
SECRET = "a-secret-of-thirty-two-characters"


class Contested(MemoryStore):
    """A store in which somebody else is always a moment faster, so many times."""

    def __init__(self, rival: Room, times: int = 1) -> None:
        super().__init__(max_rooms=100, max_latent_rooms=10, policy=POLICY, clock=Clock())
        self.rival = rival
        self.times = times
        self.asked: list[str] = []

    def create(self, room: Room, effects: Effects) -> Step:
        self.asked.append(room.code)
        if self.times:
            self.times -= 1
            if room.code == self.rival.code:
                super().create(self.rival, [])
            raise CodeTaken(room.code)
        return super().create(room, effects)


def rival(**fields: object) -> Room:
    room = Room(code=CODE, max_participants=8, creator_digest=b"", is_precreated=True)
    for name, value in fields.items():
        setattr(room, name, value)
    return room


async def test_whoever_makes_a_room_a_moment_too_late_enters_it_as_a_guest(house_with: HouseWith) -> None:
    token = "a token of the rival"
    house = house_with(Contested(rival(creator_digest=secrets.digest_token(token))))
    ada = house.arrives("Ada")
    ada.joins(isHost=True)
    (joined,) = ada.hears()
    assert joined["type"] == "participant-joined"
    assert "creatorToken" not in joined, "it is the other one's room"


async def test_whoever_makes_a_room_a_moment_too_late_still_needs_its_password(house_with: HouseWith) -> None:
    salt = b"the rival's salt"
    store = Contested(rival())
    house = house_with(store)
    store.rival.password = await house.hashing.seal("sesame", salt, "somewhere")
    ada, bob, cleo = (house.arrives(name) for name in ("Ada", "Bob", "Cleo"))
    ada.joins(isHost=True, password="mine")
    await house.settles()
    bob.joins(isHost=True, password="sesame")
    await house.settles()
    cleo.joins(isHost=True)
    assert ada.hears_types() == ["INVALID_PASSWORD"]
    assert bob.hears_types() == ["participant-joined"]
    assert cleo.hears_types() == ["INVALID_PASSWORD"]


async def test_a_generated_code_that_is_taken_is_generated_anew(house_with: HouseWith) -> None:
    store = Contested(rival(), times=3)
    created = await house_with(store).hub.lobby.create_room(CreateRoom(), "192.0.2.1")
    assert len(store.asked) == 4
    assert created.room_id == store.asked[-1]


async def test_a_wanted_code_that_is_taken_is_refused(house_with: HouseWith) -> None:
    store = Contested(rival(), times=3)
    with pytest.raises(CodeTaken):
        await house_with(store).hub.lobby.create_room(CreateRoom(room_id=CODE.lower()), "192.0.2.1")
    assert store.asked == [CODE]


# The hasher itself


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set, no password is sealed."""
    gate = threading.Event()

    def seal(password: str, salt: bytes) -> secrets.Password:
        assert threading.current_thread() is not threading.main_thread()
        assert gate.wait(PATIENCE)
        return secrets.Password(salt, password.encode())

    monkeypatch.setattr(hashing, "seal", seal)
    return gate


async def test_only_so_many_passwords_of_one_client_wait_to_be_hashed(gate: threading.Event) -> None:
    hasher = Hasher()
    count = MAX_WAITING_OF_ONE
    sealing = [asyncio.create_task(hasher.seal(f"{number}", b"", "a")) for number in range(count)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await hasher.seal("one too many", b"", "a")
    assert refused.value.code is ErrorCode.SERVER_ERROR
    gate.set()
    sealed = await asyncio.gather(*sealing)
    assert [password.digest for password in sealed] == [b"%d" % number for number in range(count)]
    assert (await hasher.seal("again", b"", "a")).digest == b"again"
    hasher.close()


async def test_only_so_many_clients_wait_for_a_hash(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "MAX_CLIENTS", 2)
    hasher = Hasher()
    sealing = [asyncio.create_task(hasher.seal("sesame", b"", client)) for client in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(Refusal, match="SERVER_ERROR"):
        await hasher.seal("sesame", b"", "c")
    gate.set()
    await asyncio.gather(*sealing)
    assert hasher._queues == {}
    hasher.close()


async def test_a_flood_of_one_clients_passwords_delays_no_other_client(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob comes last and is served second: of each client one hash is made at a time (R30)."""
    # Of two threads either may be the faster one.
    monkeypatch.setattr(hashing, "THREADS", 1)
    hasher = Hasher()
    done: list[str] = []

    async def seals(client: str) -> None:
        await hasher.seal("sesame", b"", client)
        done.append(client)

    gate.set()
    await asyncio.gather(*(seals("eve") for _ in range(20)), seals("bob"))
    assert done.index("bob") == 1
    assert done.count("eve") == 20
    hasher.close()


async def test_a_hasher_that_was_closed_works_again(gate: threading.Event) -> None:
    gate.set()
    hasher = Hasher()
    hasher.close()
    for _ in range(2):
        await hasher.seal("sesame", b"", "a")
        hasher.close()


async def test_a_join_refused_for_too_many_passwords_leaves_nothing_behind(
    house_with: HouseWith, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_with()
    house.hub.lobby._hasher = hasher = Hasher()
    monkeypatch.setattr(hashing, "MAX_CLIENTS", 0)
    ada = house.arrives("Ada")
    ada.joins(isHost=True, password="sesame")
    await house.settles()
    assert ada.hears_types() == ["SERVER_ERROR"]
    assert ada.session.id is None
    assert house.hub.roster._people == {}
    assert hasher._queues == {}
    monkeypatch.setattr(hashing, "MAX_CLIENTS", 1)
    gate.set()
    ada.joins(isHost=True, password="sesame")
    await house.settles()
    assert ada.hears_types() == ["participant-joined"]


async def test_the_event_loop_goes_on_while_a_password_is_hashed(
    house_with: HouseWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real thing: some 50 ms of work, during which others are served."""
    served = most_served = 0

    def seal(password: str, salt: bytes) -> secrets.Password:
        nonlocal most_served
        # Again where the machine was busy with something else all the while.
        for _ in range(100):
            before = served
            sealed = secrets.seal(password, salt)
            most_served = max(most_served, served - before)
            if most_served >= 5:
                break
        return sealed

    monkeypatch.setattr(hashing, "seal", seal)
    house = house_with()
    house.hub.lobby._hasher = Hasher()
    bob, cleo = house.meeting("Bob", "Cleo", code="OTHERS")
    ada = house.arrives("Ada")
    ada.joins(isHost=True, password="sesame")
    while ada.session._deciding is not None:
        bob.says("update") if served > 200 else bob.says("chat", text="x")
        served += 1
        await asyncio.sleep(0.0005)
    assert most_served >= 5
    assert len(cleo.hears()) >= 5
    assert ada.hears_types() == ["participant-joined"]


def test_sealing_again_with_the_same_salt_gives_the_same() -> None:
    salt = secrets.new_salt(Random(1))
    first, again = secrets.seal("sesame", salt), secrets.seal("sesame", salt)
    assert secrets.is_same(first, again)
    assert not secrets.is_same(first, secrets.seal("sesamf", salt))


def token_for(role: GrantedRole) -> str:
    return mint(key_of(SECRET), audience="mikroroom", code=CODE, now=NOON // 1_000, ttl=60, role=role)


async def test_a_room_begins_with_a_granted_host_who_did_not_ask_for_it(house_with: HouseWith) -> None:
    house = house_with(join_token_secret=SECRET)
    ada = house.arrives("Ada")
    ada.joins(token=token_for("host"))
    await house.settles()
    (joined,) = ada.hears()
    assert joined["isHost"] and joined["creatorToken"]


@pytest.mark.parametrize("role", ["moderator", "participant"])
async def test_others_who_did_not_ask_for_it_begin_no_room(house_with: HouseWith, role: GrantedRole) -> None:
    house = house_with(join_token_secret=SECRET)
    ada = house.arrives("Ada")
    ada.joins(token=token_for(role))
    await house.settles()
    assert ada.hears_types() == ["ROOM_NOT_FOUND"]


async def test_without_a_name_nobody_enters_for_whom_nobody_brings_one(house_with: HouseWith) -> None:
    """R8: by a token that has none, and where there is no token at all."""
    house = house_with(join_token_secret=SECRET)
    ada = house.arrives("Ada")
    for fields in ({}, {"name": None}, {"token": ""}, {"token": token_for("host")}):
        ada.says("join", roomId=CODE, isHost=True, **fields)
        await house.settles()
        (error,) = ada.hears()
        assert (error["code"], error["message"]) == ("INVALID_MESSAGE", NAME_MISSING)
