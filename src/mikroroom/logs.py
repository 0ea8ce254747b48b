"""What the server writes for its operator: one line per thing that happened.

A ``Line`` is a log message with fields. It reads well under any logging configuration, so a host site needs
none of ours; ``configure`` is for the command alone. What must never be logged is for the callers to know.
"""

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

Level = Literal["debug", "info", "warning", "error"]

# Longer than any name or address: only what somebody sends to fill the disk is cut.
LONGEST = 300

# Whose lines are less than ours: the server below us and its libraries.
BELOW = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.asgi",
    "uvicorn.access",
    "websockets",
    "asyncio",
    "httpx",
    "httpcore",
)

# What syslog(3) calls each level; where a level is none of these, it is the next one below.
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}

_PLAIN = re.compile(r'[^\s"\'=\\]+')
_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class Line:
    """An event and its fields: ``log.info(Line("joined", room="ABC123"))`` says ``joined room=ABC123``.

    A field that is None is left out. A value that could be taken for anything but one value is quoted as in
    JSON, so that nobody forges a line or a field by what they send.
    """

    __slots__ = ("event", "fields")

    def __init__(self, event: str, /, **fields: object) -> None:
        self.event = event
        self.fields = {name: _cut(value) for name, value in fields.items() if value is not None}

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{name}={_text(value)}" for name, value in self.fields.items())])

    def __repr__(self) -> str:
        return f"<Line {self}>"


def configure(level: Level, shape: Literal["text", "json"], worker: int | None = None) -> None:
    """Log to stderr: all that is at least ``level``, and of the server below us only what went wrong.

    Where several processes write there, each line tells which ``worker`` it is from.
    """
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter(worker) if shape == "json" else TextFormatter(worker)
    handler.setFormatter(JournalFormatter(formatter) if _is_journal(sys.stderr) else formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())

    # No line says them, and each would cost a system call.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # An accepted or a lost connection is ours to tell, and nobody should read it twice.
    for name in BELOW:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).filters[:] = [_News()]


class TextFormatter(logging.Formatter):
    """``2026-11-22T14:03:05.123Z INFO  joined room=ABC123``, and tracebacks indented below it."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._tail = "" if worker is None else f" worker={worker}"

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, or several where it has a traceback."""
        name = _NAMES.get(record.levelname, record.levelname)
        lines = [
            f"{_time(record)} {name:<5} {_printable(record.getMessage().strip())}{self._tail}",
            *map(_printable, _traceback(record)),
        ]
        return "\n    ".join(lines)


class JsonFormatter(logging.Formatter):
    """One object per line: time, level, logger, event, the fields, and a traceback if there is one."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        line = record.msg if isinstance(record.msg, Line) else Line(record.getMessage().strip())
        told: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": line.event,
            **self._worker,
        }
        told |= {name: value for name, value in line.fields.items() if name not in told}
        traceback = _traceback(record)
        if traceback:
            told["traceback"] = "\n".join(traceback)
        return json.dumps(told)


class JournalFormatter(logging.Formatter):
    """Another's lines, and before each how bad it is: journald takes that off (sd-daemon(3))."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The record, all lines of which count as equally bad."""
        priority = next((value for level, value in _PRIORITIES.items() if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self._inner.format(record).splitlines())


class _News(logging.Filter):
    """Which lines of the server below us to keep."""

    def __init__(self) -> None:
        super().__init__()
        self._garbage_told = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep this one. Of what is no HTTP one line a second is enough: anybody can send it."""
        if not str(record.msg).startswith("Invalid HTTP request"):
            return _is_news(record)
        if record.created - self._garbage_told < 1:
            return False
        self._garbage_told = record.created
        return True


def _is_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether journald reads what is written there, and nobody has sent it elsewhere (systemd.exec(5))."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):  # it is closed, or no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def _is_news(record: logging.LogRecord) -> bool:
    """Whether the server below us writes a line, or even a traceback, that nobody needs."""
    # Tasks cut off when the time to stop is over have been counted in a line of their own.
    cut_off = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    # And bad text from a client is the client's failure.
    # A handshake that the app has refused has been told by the app.
    # And a message for somebody who is just going is none that anyone would miss.
    noise = (
        "Invalid UTF-8 sequence received",
        "ASGI callable returned without completing handshake",
        "SSL connection is closed",
        "socket.send() raised exception",
    )
    return not cut_off and not str(record.msg).startswith(noise)


def _cut(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.isprintable():
        return text
    # Letters of any alphabet stay readable; what cannot be seen, or turns the writing round, is spelt out.
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _printable(text: str) -> str:
    if text.isprintable():  # nearly always
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _traceback(record: logging.LogRecord) -> list[str]:
    parts = []
    if record.exc_info:
        parts.append(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts).splitlines()
