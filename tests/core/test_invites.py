"""Invites: which there are, and whose a token is."""

from random import Random

import msgspec

from mikroroom.core.invites import (
    MAX_INVITES,
    add_invite,
    find_invite,
    new_invite_token,
    revoke_invite,
    valid_invites,
)
from mikroroom.core.room import Invite, InviteRole, Room
from mikroroom.core.secrets import digest_token
from mikroroom.protocol.codes import ErrorCode

from .stage import Stage


def invited(
    stage: Stage, name: str, *, role: InviteRole = "participant", expires_at: int | None = None
) -> Invite:
    """Make one whose token is its name."""
    invite = Invite(name, digest_token(name), stage.now, role, expires_at)
    assert add_invite(stage.room, invite, stage.now) == []
    return invite


def test_tokens_are_long_and_may_stand_in_a_url() -> None:
    tokens = {new_invite_token(Random(seed)) for seed in range(1_000)}
    assert len(tokens) == 1_000
    for token in tokens:
        assert token.startswith("inv_") and len(token) == 36
        assert token.replace("-", "").replace("_", "").isalnum() and token.isascii()


def test_a_token_finds_its_invite_and_no_other() -> None:
    stage = Stage()
    bus, tram = invited(stage, "bus"), invited(stage, "tram", role="moderator")
    assert find_invite(stage.room, "bus", stage.now) is bus
    assert find_invite(stage.room, "tram", stage.now) is tram
    assert find_invite(stage.room, "train", stage.now) is None
    assert list(valid_invites(stage.room, stage.now)) == [bus, tram]


def test_an_invite_that_is_over_is_none() -> None:
    stage = Stage()
    bus = invited(stage, "bus", expires_at=stage.now + 1_000)
    stage.passes(999)
    assert find_invite(stage.room, "bus", stage.now) is bus
    stage.passes(1)
    assert find_invite(stage.room, "bus", stage.now) is None
    assert list(valid_invites(stage.room, stage.now)) == []


def test_a_revoked_invite_is_none() -> None:
    stage = Stage()
    invited(stage, "bus")
    assert revoke_invite(stage.room, "bus") == []
    assert find_invite(stage.room, "bus", stage.now) is None
    with stage.refuses(ErrorCode.TARGET_NOT_FOUND):
        revoke_invite(stage.room, "bus")


def test_too_many_invites_are_refused_until_some_are_over() -> None:
    stage = Stage()
    for number in range(MAX_INVITES):
        invited(stage, f"bus {number}", expires_at=stage.now + 1_000 if number else None)
    with stage.refuses(ErrorCode.ROOM_LIMIT):
        invited(stage, "tram")
    stage.passes(1_000)
    invited(stage, "tram")
    assert list(stage.room.invites) == ["bus 0", "tram"]


def test_invites_are_kept_with_their_room() -> None:
    stage = Stage()
    bus = invited(stage, "bus", expires_at=stage.now + 1_000)
    written = msgspec.msgpack.encode(stage.room)
    assert b"bus" in written
    assert find_invite(msgspec.msgpack.decode(written, type=Room), "bus", stage.now) == bus
