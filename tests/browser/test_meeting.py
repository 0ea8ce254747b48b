"""Meetings between pages of a real browser, which see and hear and write to each other."""

import asyncio

from .conftest import StageWith

ROOM = "MEET42"


async def test_two_pages_see_hear_and_write_to_each_other(stage_with: StageWith, page_port: int) -> None:
    """A pre-created room, with the page's origin the only one that the server allows."""
    stage = stage_with(allowed_origins=f"http://127.0.0.1:{page_port}")
    ada, bob = await stage.attendees("Ada", "Bob")
    room, token = await ada.creates_a_room()

    await ada.joins(room, isHost=True, creatorToken=token)
    await bob.joins(room)
    await asyncio.gather(ada.meets(bob), bob.meets(ada))

    await ada.writes(bob, "Do you get this?")
    await bob.reads(ada, "Do you get this?")
    await bob.writes(ada, "I do.")
    await ada.reads(bob, "I do.")


async def test_three_pages_all_see_each_other_and_the_state_they_are_in(stage_with: StageWith) -> None:
    stage = stage_with()
    ada, bob, cleo = await stage.attendees("Ada", "Bob", "Cleo")

    await ada.joins(ROOM, isHost=True)
    await ada.mutes()
    await asyncio.gather(bob.joins(ROOM), cleo.joins(ROOM))
    await asyncio.gather(ada.meets(bob, cleo), bob.meets(ada, cleo), cleo.meets(ada, bob))
    await asyncio.gather(bob.sees_muted(ada), cleo.sees_muted(ada))

    await bob.mutes()
    await asyncio.gather(ada.sees_muted(bob), cleo.sees_muted(bob))
    await cleo.says("Nobody but me?")
    await asyncio.gather(ada.hears(cleo, "Nobody but me?"), bob.hears(cleo, "Nobody but me?"))


async def test_host_leaves_and_the_promoted_one_locks_and_admits(stage_with: StageWith) -> None:
    """R25, R20, R21: all with what a client of the reference alone can tell."""
    stage = stage_with()
    ada, bob, cleo, dan = await stage.attendees("Ada", "Bob", "Cleo", "Dan")
    await ada.joins(ROOM, isHost=True)
    await bob.joins(ROOM)
    await cleo.joins(ROOM)
    await asyncio.gather(ada.meets(bob, cleo), bob.meets(ada, cleo), cleo.meets(ada, bob))

    await ada.leaves()
    await asyncio.gather(bob.meets(cleo), cleo.meets(bob))

    # The reference knows no answer to a lock. What the same client says after it comes after it.
    await bob.locks_the_room()
    await bob.says("Locked.")
    await cleo.hears(bob, "Locked.")
    await dan.knocks(ROOM)
    await bob.admits(dan)
    await dan.is_let_in()
    await asyncio.gather(bob.meets(cleo, dan), cleo.meets(bob, dan), dan.meets(bob, cleo))


async def test_page_of_an_origin_not_allowed_is_kept_out(stage_with: StageWith, page_port: int) -> None:
    """The same page under another name of this machine, so that only the origin differs."""
    stage = stage_with(allowed_origins=f"http://127.0.0.1:{page_port}")
    stranger = await stage.attendee("Stranger", host="localhost")
    await stranger.is_kept_out()
