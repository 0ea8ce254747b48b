"""Who may come back, and how often: tokens, guesses, connections (R42, R45, R30)."""

from .people import Person, ids, new_code
from .stage import Stage
from .test_suspension import is_lost

WRONG_TOKEN = "550e8400-e29b-41d4-a716-446655440000"


# Tokens


async def test_token_is_valid_until_its_successor_has_been_used(stage: Stage) -> None:
    """R42: the answer with the fresh one may have been lost."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    first = await stage.arrives("Bob")
    await first.resumes(bob)
    second = await stage.arrives("Bob")
    await second.resumes(bob)
    third = await stage.arrives("Bob")
    await third.resumes(second)
    late = await stage.arrives("Bob")
    await late.asks_to_resume(bob)
    await late.is_refused("RESUME_FAILED", "join")
    await late.asks_to_resume(first)
    await late.is_refused("RESUME_FAILED", "join")
    await ada.says("chat", text="to the third")
    await third.hears_until("chat", text="to the third")


async def test_wrong_token_is_refused_and_one_may_join_afresh(stage: Stage) -> None:
    """R45: nothing has changed; on the same connection."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    (zoe,) = await stage.meeting("Zoe", resume=True)
    await is_lost(bob, ada)
    back = await stage.arrives("Bob")
    flipped = bob.token[:-1] + ("0" if bob.token[-1] != "0" else "1")
    for token in (WRONG_TOKEN, flipped, "", zoe.token, bob.token.upper() + " ", ada.id):
        await back.asks_to_resume(bob, resumeToken=token)
        await back.is_refused("RESUME_FAILED", "join")
    await ada.hears_nothing()
    own = await back.joins(ada.room, resume=True)
    assert own["participantId"] != bob.id
    await ada.hears("participant-joined", participantId=back.id)
    await stage.comes_back(bob, ada)


async def test_token_of_one_room_opens_no_other(stage: Stage) -> None:
    """R45: nor makes one, whatever else is asked for."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    (zoe,) = await stage.meeting("Zoe", resume=True)
    await is_lost(bob, ada)
    eve = await stage.arrives("Eve")
    for code in (zoe.room, new_code()):
        await eve.asks_to_resume(bob, roomId=code, isHost=True, name="Eve")
        await eve.is_refused("RESUME_FAILED", "join")
    await zoe.hears_nothing()
    await stage.comes_back(bob, ada)


async def test_who_left_or_was_kicked_cannot_come_back(stage: Stage) -> None:
    """R24, R41: with no token that it ever had."""
    ada, bob, carl = await stage.meeting("Ada", "Bob", "Carl", resume=True)
    back = await stage.arrives("Bob")
    await back.resumes(bob)
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    heard = await back.hears_until_closed()
    assert heard[-1]["action"] == "kick"
    assert back.connection.close_code == 4501
    late = await stage.arrives("Late")
    for lost in (bob, back):
        await late.asks_to_resume(lost)
        await late.is_refused("RESUME_FAILED")
    code, token = carl.room, carl.token
    await carl.leaves()
    await late.says("join", roomId=code, resumeToken=token, lastSeq=1)
    await late.is_refused("RESUME_FAILED")


async def test_who_was_kicked_is_no_reason_to_keep_others_out(stage: Stage) -> None:
    """R24, R42: they come back from the same address, and do not wait."""
    (ada,) = await stage.meeting("Ada", resume=True)
    office = stage.address()
    bob, carl = [await stage.arrives(name, address=office) for name in ("Bob", "Carl")]
    await stage.enters(bob, [ada], resume=True)
    await stage.enters(carl, [ada, bob], resume=True)
    await ada.says("moderator-action", targetId=bob.id, action="kick")
    for person in (ada, carl):
        await person.hears("participant-left", participantId=bob.id)
    await is_lost(carl, ada)
    back = await returns(stage, carl, office)
    await ada.hears("participant-updated", participantId=carl.id, isConnected=True)
    await back.hears_nothing()


async def test_connection_in_a_room_cannot_resume_as_well(stage: Stage) -> None:
    """R7: ALREADY_JOINED; both places stay what they are."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    carl = await stage.newcomer("Carl", ada, bob)
    await is_lost(bob, ada, carl)
    await carl.says("join", roomId=ada.room, resumeToken=bob.token, lastSeq=bob.seq)
    await carl.is_refused("ALREADY_JOINED", "join")
    await ada.hears_nothing()
    await stage.comes_back(bob, ada, carl)


# Guesses and connections


async def test_wrong_tokens_are_guesses(stage: Stage) -> None:
    """R30: ten a minute from one address; then not even a right one is told to be right there."""
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    await is_lost(bob, ada)
    address = stage.address()
    eve = await stage.arrives("Eve", address=address)
    for _ in range(10):
        await eve.asks_to_resume(bob, resumeToken=WRONG_TOKEN)
        await eve.is_refused("RESUME_FAILED", "join")
    for token in (WRONG_TOKEN, bob.token):
        await eve.asks_to_resume(bob, resumeToken=token)
        await eve.is_refused("RATE_LIMITED", "join")
    await ada.hears_nothing()
    await stage.comes_back(bob, ada)


async def test_office_comes_back_together(stage: Stage) -> None:
    """R30: one connection more for each who is suspended; who comes back gives the place it took back."""
    office = stage.address()
    names = [f"Person {number}" for number in range(15)]
    people = await stage.meeting(*names, resume=True, maxParticipants=20)
    for number, person in enumerate(people):  # one by one, from anywhere to the office
        await person.vanishes()
        people[number] = await returns(stage, person, office)
    for person in people:
        await person.vanishes()
    together = [await stage.arrives(name, address=office) for name in names]
    for lost, person in zip(people, together, strict=True):
        assert (await person.resumes(lost))["replayed"] is True
    await together[0].says("chat", text="all here")
    for person in together:
        heard = await person.hears_until("chat", text="all here")
        assert not ids(heard, "participant-left")


async def test_no_more_connections_than_people_who_are_away(stage: Stage) -> None:
    """R30: ten, and one for each who is suspended from the address; then it is 429 as ever."""
    office = stage.address()
    ada, bob = await stage.meeting("Ada", "Bob", resume=True)
    witness = await stage.newcomer("Witness", ada, bob)
    back = [await returns(stage, person, office) for person in (ada, bob)]
    for person in back:
        await person.vanishes()
        await witness.hears_until("participant-updated", participantId=person.id, isConnected=False)
    for _ in range(12):
        await stage.arrives("Stranger", address=office)
    await stage.is_turned_away(429, address=office)


async def returns(stage: Stage, lost: Person, address: str) -> Person:
    """Someone comes back from this address."""
    person = await stage.arrives(lost.name, address=address)
    await person.resumes(lost)
    return person


async def test_office_comes_back_together_again_and_again(stage: Stage) -> None:
    """R30: also when the network breaks twice in a minute."""
    office = stage.address()
    people = await stage.meeting(
        *(f"Person {number}" for number in range(15)), resume=True, maxParticipants=15
    )
    for _ in range(3):
        for person in people:
            await person.vanishes()
        people = [await returns(stage, person, office) for person in people]


async def test_connection_beyond_the_limit_is_there_to_come_back_on(stage: Stage) -> None:
    """R30: or each one that is dropped would pay for the next."""
    office = stage.address()
    ada, *others = await stage.meeting(*(f"Person {number}" for number in range(5)), resume=True)
    people = [await returns(stage, person, office) for person in others]
    for _ in range(10):
        await stage.arrives("Stranger", address=office)
    await ada.hears_everything()
    for person in people:
        await is_lost(person, ada)
    extra = await stage.arrives("Stranger", address=office)
    await extra.says("join", roomId=ada.room, name="Stranger", resume=True)
    await extra.hears("error", code="RATE_LIMITED", requestType="join")
    again = await returns(stage, people[0], office)
    assert again.id == people[0].id
