"""Logs: a line says what happened and nobody can make it say anything else."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mikroroom import logs
from mikroroom.logs import JsonFormatter, Level, Line, TextFormatter

log = logging.getLogger("mikroroom.test")


def record(
    message: object, level: int = logging.INFO, *, error: Exception | None = None
) -> logging.LogRecord:
    about = (type(error), error, None) if error else None
    made = logging.LogRecord("mikroroom.test", level, __file__, 1, message, None, about)
    made.created = 1_795_356_185.123
    return made


# A line


def test_a_line_reads_as_its_event_and_fields() -> None:
    assert (
        str(Line("joined", room="ABC123", participants=3, host=True))
        == "joined room=ABC123 participants=3 host=true"
    )


def test_a_field_that_is_none_is_left_out() -> None:
    assert str(Line("left", room="ABC123", reason=None, code=0)) == "left room=ABC123 code=0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ada", "Ada"),
        ("Zoë", "Zoë"),
        ("Ada Lovelace", '"Ada Lovelace"'),
        ("Zoë Ж", '"Zoë Ж"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('"', '"\\""'),
        ("\\", '"\\\\"'),
        ("a\nERROR b", '"a\\nERROR b"'),
        ("a\r\x1b[2J\x00", '"a\\r\\u001b[2J\\u0000"'),
        ("\u202egnp.exe", '"\\u202egnp.exe"'),
        ("\u2028", '"\\u2028"'),
        ("\ud800", '"\\ud800"'),
        (1.5, "1.5"),
        (ValueError("no good"), '"no good"'),
    ],
)
def test_a_value_that_could_be_mistaken_is_quoted(value: object, text: str) -> None:
    line = str(Line("said", what=value))
    assert line == f"said what={text}"
    assert line.isprintable()


def test_a_very_long_value_is_cut() -> None:
    assert len(str(Line("said", what="x" * 100_000))) < 400


def test_a_line_is_only_made_into_text_where_it_is_written() -> None:
    class Costly:
        def __str__(self) -> str:
            raise AssertionError

    log.setLevel(logging.ERROR)
    line = Line("joined")
    line.fields["what"] = Costly()
    log.info(line)
    log.setLevel(logging.NOTSET)


# Text and JSON


def test_text_has_time_level_and_line() -> None:
    shape = TextFormatter()
    assert shape.format(record(Line("joined", room="A"))) == "2026-11-22T14:03:05.123Z INFO  joined room=A"
    assert shape.format(record("x", logging.WARNING)) == "2026-11-22T14:03:05.123Z WARN  x"


def test_a_foreign_message_cannot_forge_a_line_of_text() -> None:
    text = TextFormatter().format(record("bad\n2026-11-22T14:03:05.123Z INFO  joined\x1b[0m"))
    assert "\n" not in text
    assert "\\n2026" in text
    assert "\\x1b[0m" in text


def test_a_traceback_follows_indented_and_printable() -> None:
    text = TextFormatter().format(record("failed", logging.ERROR, error=ValueError("a\nb\x1b")))
    assert text.splitlines() == ["2026-11-22T14:03:05.123Z ERROR failed", "    ValueError: a", "    b\\x1b"]


def test_json_has_an_object_per_line_with_the_fields() -> None:
    line = Line("joined", room="A\n", participants=3, host=True, time="forged", level=None)
    text = JsonFormatter().format(record(line))
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "2026-11-22T14:03:05.123Z",
        "level": "info",
        "logger": "mikroroom.test",
        "event": "joined",
        "room": "A\n",
        "participants": 3,
        "host": True,
    }


def test_json_has_foreign_messages_and_tracebacks_too() -> None:
    text = JsonFormatter().format(record("failed at 5%", logging.ERROR, error=ValueError("no")))
    told = json.loads(text)
    assert told["event"] == "failed at 5%"
    assert told["traceback"].endswith("ValueError: no")


def test_a_worker_writes_which_one_it_is() -> None:
    told = record("failed", logging.ERROR, error=ValueError("a"))
    assert TextFormatter(7).format(told).splitlines()[0] == "2026-11-22T14:03:05.123Z ERROR failed worker=7"
    forged = json.loads(JsonFormatter(7).format(record(Line("joined", worker=8))))
    assert forged["worker"] == 7


# The command's configuration


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """The lines on stderr, with all of logging put back afterwards."""
    root, server = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, level, filters = list(root.handlers), root.level, list(server.filters)
    levels = {name: logging.getLogger(name).level for name in logs.BELOW}

    def lines() -> list[str]:
        return capsys.readouterr().err.splitlines()

    yield lines
    root.handlers[:], server.filters[:] = handlers, filters
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.mark.parametrize(
    ("level", "told"),
    [("debug", "1234"), ("info", "234"), ("warning", "34"), ("error", "4")],
)
def test_a_level_leaves_out_what_is_less(written: Callable[[], list[str]], level: Level, told: str) -> None:
    logs.configure(level, "text")
    log.debug("1")
    log.info("2")
    log.warning("3")
    log.error("4")
    assert [line[-1] for line in written()] == list(told)


def test_the_server_below_tells_only_what_went_wrong(written: Callable[[], list[str]]) -> None:
    logs.configure("debug", "json")
    server = logging.getLogger("uvicorn.error")
    server.info('%s - "WebSocket %s" [accepted]', "127.0.0.1:1", "/ws")
    logging.getLogger("uvicorn.access").info("GET /health")
    server.error("Application startup failed. Exiting.")
    (line,) = written()
    assert json.loads(line)["event"] == "Application startup failed. Exiting."


def test_configured_twice_still_writes_once(written: Callable[[], list[str]]) -> None:
    logs.configure("info", "text")
    logs.configure("info", "text")
    log.info("once")
    assert len(written()) == 1


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Invalid UTF-8 sequence received from client.", ValueError()),
        ("Exception in ASGI application\n", asyncio.CancelledError()),
        ("ASGI callable returned without completing handshake.", None),
    ],
)
def test_what_is_no_failure_of_ours_leaves_no_traceback(
    written: Callable[[], list[str]], message: str, error: BaseException | None
) -> None:
    logs.configure("info", "text")
    logging.getLogger("uvicorn.error").error(message, exc_info=error)
    assert written() == []


def test_what_is_no_http_is_told_once_a_second(
    written: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure("info", "text")
    for now in (100.0, 100.1, 100.9, 101.1, 101.2):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        monkeypatch.setattr(time, "time_ns", lambda now=now: int(now * 1e9))
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert len(written()) == 2


def test_what_is_a_failure_of_ours_leaves_its_traceback(written: Callable[[], list[str]]) -> None:
    logs.configure("info", "text")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=ValueError("no"))
    first, last = written()
    assert first.endswith(" ERROR Exception in ASGI application")
    assert last == "    ValueError: no"


# Under systemd


@pytest.mark.parametrize("shape", ["text", "json"])
def test_the_journal_is_told_how_bad_each_line_is(shape: str, tmp_path: Path) -> None:
    said = written_to(tmp_path / "journal", shape, is_journal=True)
    assert [line[:3] for line in said] == ["<6>", "<4>", "<3>", *(["<3>"] if shape == "text" else [])]
    if shape == "json":
        assert [json.loads(line[3:])["event"] for line in said] == ["joined", "slow-reader", "failed"]


def test_what_is_sent_elsewhere_is_written_as_it_is(tmp_path: Path) -> None:
    said = written_to(tmp_path / "file", "text", is_journal=False)
    assert not [line for line in said if line.startswith("<")]


def written_to(file: Path, shape: str, *, is_journal: bool) -> list[str]:
    """What a process writes there: a line of each level, and one with a traceback."""
    program = f"""
from mikroroom import logs
logs.configure("info", {shape!r})
log = logs.logging.getLogger("mikroroom")
log.info(logs.Line("joined"))
log.warning(logs.Line("slow-reader"))
log.error(logs.Line("failed"), exc_info=(ValueError, ValueError("no good"), None))
"""
    with file.open("wb") as output:
        there = os.fstat(output.fileno())
        stream = f"{there.st_dev}:{there.st_ino}" if is_journal else "1:1"
        environment = {**os.environ, "JOURNAL_STREAM": stream}
        subprocess.run(
            [sys.executable, "-c", program], env=environment, stderr=output, check=True, timeout=60
        )
    return file.read_text().splitlines()
