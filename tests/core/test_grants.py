"""What was granted before somebody came to the door, and what becomes of it in the room."""

import pytest

from mikroroom.core.door import Newcomer, open_room
from mikroroom.core.grants import Denial, Grant, fitting, fitting_name, fitting_reason
from mikroroom.core.invites import add_invite, is_invite, revoke_invite
from mikroroom.core.room import Invite
from mikroroom.core.secrets import digest_token
from mikroroom.protocol.codes import CloseCode, ErrorCode

from .stage import CODE, TOKEN, Stage

PARTICIPANT = Grant(role="participant")
MODERATOR = Grant(role="moderator")
HOST = Grant(role="host")
INVITE = "inv_of-this-room"


def invited(stage: Stage, **how: object) -> None:
    """The room has an invite."""
    invite = Invite("first", digest_token(INVITE), stage.now, **how)  # type: ignore[arg-type]  # as given
    add_invite(stage.room, invite, stage.now)


def powers(stage: Stage) -> dict[str, str]:
    """Who is host, who a moderator."""
    people = stage.room.participants.values()
    return {person.id: "host" for person in people if person.is_host} | {
        person.id: "moderator" for person in people if person.is_moderator and not person.is_host
    }


# Roles


def test_a_moderator_is_one_from_the_start_and_hears_who_waits() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.locks("ada")
    stage.joins("eve")
    stage.heard()
    stage.joins("bob", grant=MODERATOR)
    assert stage.heard() == {
        "ada": ["participant-joined bob moderator"],
        "bob": [
            "participant-joined bob moderator",
            "participant-joined ada moderator host",
            "room-locked ada by ada",
            "waiting-room eve",
        ],
    }


def test_a_host_takes_over_does_not_wait_and_cannot_be_kicked() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.locks("ada")
    stage.joins("tom", grant=HOST)
    assert powers(stage) == {"tom": "host", "ada": "moderator"}
    with stage.refuses(ErrorCode.UNAUTHORIZED):
        stage.acts_on("ada", "tom", "kick")


def test_a_participant_waits_in_a_locked_room_unless_it_need_not() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.locks("ada")
    stage.joins("bob", grant=PARTICIPANT)
    stage.joins("cleo", grant=Grant(role="participant", skips_waiting=True))
    assert stage.held == {"bob"}
    assert set(stage.seated) == {"ada", "cleo"}


def test_what_was_granted_outlasts_the_waiting_room() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.locks("ada")
    stage.joins("bob", grant=Grant(role="participant", subject="u-7"))
    stage.admits("ada", "bob")
    stage.leaves("ada")
    assert powers(stage) == {"bob": "host"}
    stage.joins("tom", grant=MODERATOR)
    assert powers(stage) == {"tom": "host"}
    assert stage.room.participants["bob"].subject == "u-7"


def test_a_participant_alone_is_host_until_somebody_comes_who_moderates() -> None:
    stage = Stage(is_precreated=True)
    stage.joins("bob", grant=PARTICIPANT)
    assert powers(stage) == {"bob": "host"}
    stage.joins("cleo")
    stage.heard()
    assert powers(stage) == {"bob": "host"}
    stage.joins("tom", grant=MODERATOR)
    assert powers(stage) == {"tom": "host"}
    assert stage.hears("cleo") == ["participant-joined tom moderator host", "participant-updated bob"]


def test_a_participant_made_moderator_stays_one() -> None:
    stage = Stage(is_precreated=True)
    stage.joins("tom", grant=MODERATOR)
    stage.joins("bob", grant=PARTICIPANT)
    stage.acts_on("tom", "bob", "make-moderator")
    stage.joins("ada", grant=HOST)
    assert powers(stage) == {"ada": "host", "tom": "moderator", "bob": "moderator"}
    stage.leaves("ada")
    stage.leaves("tom")
    assert powers(stage) == {"bob": "host"}
    stage.joins("cleo", grant=MODERATOR)
    assert powers(stage) == {"bob": "host", "cleo": "moderator"}


def test_who_is_host_for_want_of_others_makes_no_moderators() -> None:
    stage = Stage(is_precreated=True)
    stage.joins("bob", grant=PARTICIPANT)
    stage.joins("cleo")
    for target in ("bob", "cleo"):
        with stage.refuses(ErrorCode.UNAUTHORIZED):
            stage.acts_on("bob", target, "make-moderator")
    stage.joins("tom", grant=MODERATOR)
    assert powers(stage) == {"tom": "host"}


def test_a_creator_token_holds_beside_a_grant_to_take_part() -> None:
    stage = Stage(is_precreated=True)
    stage.joins("bob", grant=PARTICIPANT, token=TOKEN)
    stage.joins("tom", grant=MODERATOR)
    assert powers(stage) == {"bob": "host", "tom": "moderator"}


def test_the_next_host_is_rather_somebody_without_a_grant() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.joins("bob", grant=PARTICIPANT)
    stage.joins("cleo")
    stage.leaves("ada")
    assert powers(stage) == {"cleo": "host"}


def test_the_maker_of_a_room_is_its_host_under_the_name_of_its_grant() -> None:
    stage = Stage()
    maker = Newcomer("ada", "Ada", "a", grant=Grant(role="moderator", subject="u-1"))
    open_room(stage.room, maker, TOKEN, stage.policy)
    assert powers(stage) == {"ada": "host"}
    assert stage.room.participants["ada"].subject == "u-1"


def test_a_password_is_asked_for_unless_the_grant_stands_for_it() -> None:
    stage = Stage(password="sesame", is_precreated=True)
    with stage.refuses(ErrorCode.INVALID_PASSWORD):
        stage.joins("tom", grant=HOST)
    stage.joins("tom", grant=Grant(role="host", skips_password=True))
    assert powers(stage) == {"tom": "host"}


def test_a_kicked_address_need_not_wait_with_a_grant() -> None:
    stage = Stage()
    stage.opens("ada")
    stage.joins("tom", grant=MODERATOR, address="here")
    stage.acts_on("ada", "tom", "kick")
    assert stage.overhears("tom")[-1].code is CloseCode.KICKED  # type: ignore[union-attr]  # it is a Close
    stage.joins("bob", address="here")
    stage.joins("tim", grant=MODERATOR, address="here")
    assert stage.held == {"bob"}
    assert powers(stage) == {"ada": "host", "tim": "moderator"}


# Invites


def test_an_invite_stands_for_the_password_and_no_more() -> None:
    stage = Stage(password="sesame")
    stage.opens("ada")
    stage.locks("ada")
    invited(stage)
    stage.joins("bob", invite=INVITE)
    assert stage.held == {"bob"}


def test_an_invite_may_let_one_in_as_a_moderator_or_without_a_wait() -> None:
    for how in ({"role": "moderator"}, {"skips_waiting": True}):
        stage = Stage()
        stage.opens("ada")
        stage.locks("ada")
        invited(stage, **how)
        stage.joins("bob", invite=INVITE)
        assert "bob" in stage.seated
        assert stage.room.participants["bob"].is_moderator is ("role" in how)


def test_an_invite_that_is_none_is_over_or_was_revoked_lets_nobody_in() -> None:
    stage = Stage()
    stage.opens("ada")
    invited(stage, expires_at=stage.now + 1_000)
    with stage.refuses(ErrorCode.INVALID_TOKEN):
        stage.joins("bob", invite=f"{INVITE}x")
    stage.joins("bob", invite=INVITE)
    stage.passes(1_000)
    with stage.refuses(ErrorCode.INVALID_TOKEN):
        stage.joins("cleo", invite=INVITE)
    invited(stage)
    stage.joins("cleo", invite=INVITE)
    revoke_invite(stage.room, "first")
    with stage.refuses(ErrorCode.INVALID_TOKEN):
        stage.joins("dan", invite=INVITE)
    assert stage.room.code == CODE


# Grants from elsewhere


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("Ada", "Ada"),
        ("  Ada \n Lovelace ", "Ada  Lovelace"),
        ("Ada\u202e", "Ada"),
        ("x" * 100, "x" * 64),
        ("x" * 63 + " y", "x" * 63),
        ("", None),
        ("\u200b\u3164", None),
        (None, None),
    ],
)
def test_a_name_from_elsewhere_is_made_to_fit(name: str | None, fits: str | None) -> None:
    assert fitting_name(name) == fits


def test_a_grant_from_elsewhere_is_made_to_fit_but_for_who_it_is() -> None:
    assert fitting(Grant(name=" Ada\n", role="host", subject="")) == Grant(name="Ada", role="host")
    assert fitting(Grant(subject="s" * 256)).subject == "s" * 256
    for subject in ("s" * 257, "\ud800"):
        with pytest.raises(ValueError, match=r"at most 256 characters - at `\$\.subject`"):
            fitting(Grant(subject=subject))
    with pytest.raises(ValueError, match=r"at `\$\.role`"):
        fitting(Grant(role="king"))  # type: ignore[arg-type]  # what a site may do
    with pytest.raises(ValueError, match=r"at `\$\.name`"):
        fitting(Grant(name=7))  # type: ignore[arg-type]  # likewise


def test_a_reason_from_elsewhere_is_text_of_a_length_that_can_be_told() -> None:
    assert fitting_reason(Denial()) == "You may not join this meeting"
    assert fitting_reason(Denial("Not \ud800today" + "." * 600)) == "Not today" + "." * 490
    with pytest.raises(ValueError, match=r"Expected `str`, got `int` - at `\$\.reason`"):
        fitting_reason(Denial(7))  # type: ignore[arg-type]  # what a site may do


def test_who_may_begin_a_room_and_what_is_an_invite() -> None:
    assert [role for role in (None, "participant", "moderator", "host") if Grant(role=role).makes_rooms] == [
        None,
        "moderator",
        "host",
    ]
    assert is_invite(INVITE)
    assert not is_invite("eyJhbGciOiJIUzI1NiJ9.e30.x")
