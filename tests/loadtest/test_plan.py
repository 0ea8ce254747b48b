"""Arguments: what they mean, and what is refused with which words."""

import pytest

from mikroroom.loadtest.plan import SCENARIOS, plan

URL = "ws://127.0.0.1:3000/ws"


def test_only_a_url_is_a_small_test_of_everything() -> None:
    chosen = plan([URL])
    assert (chosen.url, chosen.rooms, chosen.people, chosen.seconds, chosen.rate) == (URL, 20, 4, 10.0, 5.0)
    assert chosen.scenarios == tuple(SCENARIOS)
    assert (chosen.churners, chosen.slow_readers) == (5, 1)
    assert chosen.connections == 80 + 5 + 2
    assert not chosen.is_mine
    assert (chosen.is_resumable, chosen.storm) == (False, 0)


def test_only_what_is_named_is_tried() -> None:
    chosen = plan([URL, "--only", "chat, offers"])
    assert chosen.scenarios == ("offers", "chat")
    assert (chosen.churners, chosen.slow_readers) == (0, 0)


def test_arguments_may_stand_anywhere() -> None:
    chosen = plan(["--rooms=3", "--people", "2", URL, "--rate", "0", "--slow-readers", "0", "--json"])
    assert (chosen.rooms, chosen.people, chosen.rate, chosen.slow_readers) == (3, 2, 0.0, 0)
    assert chosen.churners == 1
    assert chosen.is_json


def test_a_storm_hits_full_rooms() -> None:
    chosen = plan(["--resumable", "--only=chat", "--storm", "9", URL])
    assert (chosen.is_resumable, chosen.storm, chosen.connections) == (True, 16, 80 + 16)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rooms", "0"], "argument --rooms: '0' is not a whole number from 1 to 10000"),
        (["--rooms", "²"], "argument --rooms: '²' is not a whole number from 1 to 10000"),
        (["--rooms", "9" * 5000], "is not a whole number from 1 to 10000"),
        (["--people", "1"], "argument --people: '1' is not a whole number from 2 to 1000"),
        (["--people", "4.5"], "argument --people: '4.5' is not a whole number from 2 to 1000"),
        (["--seconds", "0"], "argument --seconds: '0' is not a number from 0.1 to 3600"),
        (["--seconds", "nan"], "argument --seconds: 'nan' is not a number from 0.1 to 3600"),
        (["--rate", "-1"], "argument --rate: '-1' is not a number from 0 to 10000"),
        (["--rate", "fast"], "argument --rate: 'fast' is not a number from 0 to 10000"),
        (["--only", "chat,video"], "argument --only: 'video' is none of offers, ice, chat, joins, churn"),
        (["--only", ""], "argument --only: '' is none of offers"),
        (["--slow-readers", "65"], "argument --slow-readers: '65' is not a whole number from 0 to 64"),
        (["--only", "chat", "--slow-readers", "3"], "--slow-readers 3: --only leaves slow-readers out"),
        (["--storm", "40001"], "argument --storm: '40001' is not a whole number from 0 to 40000"),
        (
            ["--rooms", "10000", "--only", "chat", "--storm", "40000"],
            "--people 4 --storm 40000: 80,000 connections are more than",
        ),
        (["--only", "chat", "--churners", "3"], "--churners 3: --only leaves churn out"),
        (["--rooms", "10000", "--people", "100"], "at most 50,000 are allowed"),
        (["--roms", "3"], "unrecognized arguments: --roms 3"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_allowed(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        plan([URL, *arguments])
    assert stop.value.code == 2
    assert told in capsys.readouterr().err
