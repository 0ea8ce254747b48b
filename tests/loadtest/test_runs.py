"""Whole tests, each by the command in a process of its own, against servers good and bad."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from .faulty import Fault, FaultyServer, alter, drop, misroute, repeat, serving, swap

PATIENCE = 120.0
COMMAND = (sys.executable, "-m", "mikroroom")
# The same without the rest of the command, which takes longer to load than most of these tests.
LOADTEST = (
    sys.executable,
    "-c",
    "import sys; from mikroroom import loadtest as l; sys.exit(l.main(sys.argv[1:]))",
)
SMALL = ("--rooms", "2", "--people", "3", "--seconds", "0.5")


class Done(NamedTuple):
    """A test that has ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """What ``--json`` printed."""
        report: dict[str, Any] = json.loads(self.out)
        return report

    @property
    def failures(self) -> dict[str, int]:
        """Those that there were."""
        return {name: count for name, count in self.report["failures"].items() if count}


def environment(home: Path) -> dict[str, str]:
    ours = ("MIKROROOM_", "STATE_DIRECTORY", "XDG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
        "HOME": str(home)
    }


async def started(*arguments: str, command: tuple[str, ...] = LOADTEST) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, *arguments, stdout=pipe, stderr=pipe)


async def ended(process: asyncio.subprocess.Process) -> Done:
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def loadtest(*arguments: str, command: tuple[str, ...] = LOADTEST) -> Done:
    return await ended(await started(*arguments, command=command))


@contextlib.asynccontextmanager
async def server(home: Path, *arguments: str) -> AsyncIterator[str]:
    """``mikroroom serve`` with these flags, on a free port; its URL."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "serve", "--port", "0", *arguments),
        env=environment(home),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    reading = None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(rb"listening url=(\S+)", line := await process.stderr.readline())):
                assert line, "did not come up"
        # Its log must not fill the pipe.
        reading = asyncio.create_task(process.stderr.read())
        yield found[1].decode()
    finally:
        process.terminate()
        await process.wait()
        if reading is not None:
            assert b"Traceback" not in await reading


# Against a good server


async def test_a_good_server_passes_and_everything_is_counted(tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    async with server(tmp_path) as url:
        done = await loadtest(url, *SMALL, "--rate", "50", "--json", "--chart", str(chart))
    report = done.report
    assert (done.code, report["verdict"], done.failures) == (0, "passed", {})
    assert report["url"] == url.replace("http", "ws") + "/ws"
    assert (report["joins_asked"], report["joins"]["count"], report["refusals"]) == (6, 6, {})
    kinds = report["kinds"]
    assert set(kinds) == {"offer", "answer", "ice-candidate", "chat"}
    for kind in ("offer", "answer", "ice-candidate"):
        assert kinds[kind]["sent"] == kinds[kind]["delivered"] == kinds[kind]["ms"]["count"] > 0
    # To three residents, and to who else was there.
    assert kinds["chat"]["delivered"] >= 3 * kinds["chat"]["sent"]
    assert kinds["offer"]["sent"] == kinds["answer"]["sent"]
    assert report["late_joins"]["count"] >= 3
    assert report["slow_readers"] == {"4001": 1}
    assert report["slow_readers_cut_off_ms"]["count"] == 1
    assert ElementTree.parse(chart).getroot().tag.endswith("svg")


async def test_as_fast_as_the_answers_come_is_faster(tmp_path: Path) -> None:
    async with server(tmp_path, "--messages-per-second=0") as url:
        done = await loadtest(url, *SMALL, "--rate", "0", "--only", "offers,ice,chat", "--json")
    assert (done.code, done.failures, done.report["refusals"]) == (0, {}, {})
    # At the rate of the test before it would be 150.
    assert done.report["sent"] > 300


async def test_resumable_people_come_back_and_miss_nothing(tmp_path: Path) -> None:
    async with server(tmp_path) as url:
        done = await loadtest(
            url, *SMALL, "--seconds=2", "--rate=50", "--churners=3", "--resumable", "--json"
        )
    report = done.report
    assert (done.code, done.failures, report["refusals"]) == (0, {}, {})
    assert report["resumable"]
    assert report["slow_readers"] == {"4001": 1}
    assert report["resumes"]["count"] == report["resumes_asked"] > 0


async def test_in_a_storm_all_come_back_and_the_others_go_on(tmp_path: Path) -> None:
    async with server(tmp_path) as url:
        storm = await loadtest(url, *SMALL, "--seconds=1", "--only=chat", "--storm=64", "--json")
        told = await loadtest(url, *SMALL, "--seconds=1", "--only=chat", "--storm=16")
    report = storm.report
    assert (storm.code, storm.failures, report["refusals"]) == (0, {}, {})
    assert (report["storm"]["people"], report["resumes_asked"], report["resumes"]["count"]) == (64, 64, 64)
    assert (report["resumable"], report["joins"]["count"]) == (False, 6 + 64)
    assert report["storm"]["latency_before_ms"]["count"] > 0
    assert re.search(r"^storm +16 people cut off at once, all back after \d", told.out, re.MULTILINE)


async def test_a_server_to_which_nobody_can_come_back_is_told_with_what_to_set(tmp_path: Path) -> None:
    async with server(tmp_path, "--resume-window=0") as url:
        done = await loadtest(url, *SMALL, "--only=offers", "--resumable", "--storm=8")
    assert done.code == 0
    assert re.search(r"refusals +no resume token: 14\n +no resume token: .*MIKROROOM_RESUME_WINDOW", done.out)


async def test_what_the_limits_of_the_server_refuse_is_told_with_what_to_raise(tmp_path: Path) -> None:
    async with server(tmp_path, "--connections-per-minute", "4") as url:
        done = await loadtest(url, *SMALL, "--only", "chat", "--json")
        assert done.code == 0
        assert (done.report["refusals"], done.report["joins"]["count"]) == ({"HTTP 429": 2}, 4)
        done = await loadtest(url, *SMALL, "--only", "chat")
        assert re.search(r"refusals +HTTP 429: 2\n +HTTP 429: .*MIKROROOM_CONNECTIONS_PER_MINUTE=0", done.out)
        assert "PASSED" in done.out
        assert "what was refused was not measured" in done.out


async def test_messages_over_the_rate_are_refused_and_not_lost(tmp_path: Path) -> None:
    async with server(tmp_path, "--messages-per-second=1", "--message-burst=1") as url:
        few = ("--rooms=1", "--people=2", "--rate=400", "--only=ice")
        done = await loadtest(url, *SMALL, *few, "--json")
    assert (done.code, done.failures) == (0, {})
    refusals = done.report["refusals"]
    assert refusals["RATE_LIMITED"] > 0
    assert refusals["dropped over the message rate"] == done.report["sent"] - done.report["delivered"]


async def test_a_certificate_is_checked_unless_told_otherwise(tmp_path: Path) -> None:
    openssl = which("openssl")
    if openssl is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("openssl is not installed")
    files = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    making = await asyncio.create_subprocess_exec(
        *(openssl, *request, "-out", files[0], "-keyout", files[1]), stderr=asyncio.subprocess.DEVNULL
    )
    assert await making.wait() == 0
    tls = ("--tls-certificate", files[0], "--tls-key", files[1])
    quick = (*SMALL, "--only", "chat", "--json")
    async with server(tmp_path, *tls) as url:
        refused = await loadtest(url, *quick)
        passed = await loadtest(url, *quick, "--insecure")
    assert (refused.code, refused.out) == (1, "")
    assert re.fullmatch(
        r"mikroroom loadtest: cannot connect to wss://.*certificate is not trusted.*\n", refused.err
    )
    assert (passed.code, passed.failures) == (0, {})
    assert passed.report["delivered"] > 0


# Against bad ones


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (drop, "lost"),
        (repeat, "duplicated"),
        (swap, "out_of_order"),
        (misroute, "misrouted"),
        (alter, "altered"),
    ],
)
async def test_a_fault_is_a_failure_as_often_as_there_was_one(fault: Fault, failure: str) -> None:
    async with serving(FaultyServer(fault)) as faulty:
        # What is lost is waited for; where nothing is, the test ends at once.
        patience = 2 if fault is drop else 60
        done = await loadtest(
            faulty.url, *SMALL, "--rate=50", "--only=ice", f"--patience={patience}", "--json"
        )
    assert faulty.faults > 3
    assert (done.code, done.failures) == (1, {failure: faulty.faults})
    assert done.report["verdict"] == "failed"


async def test_a_server_without_faults_passes_the_same_test() -> None:
    async with serving(FaultyServer()) as faulty:
        done = await loadtest(faulty.url, *SMALL, "--rate=100", "--only=offers,ice,chat,churn")
    assert done.code == 0
    assert "PASSED" in done.out


async def test_people_who_are_gone_and_still_shown_are_a_failure() -> None:
    faulty = FaultyServer()
    faulty.hides_leaving = True
    async with serving(faulty):
        done = await loadtest(faulty.url, *SMALL, "--only=churn", "--patience=1")
    assert done.code == 1
    assert re.search(r"^FAILED: 3 people were shown somebody who is not there", done.out, re.MULTILINE)


@pytest.mark.parametrize("status", [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.NOT_FOUND])
async def test_where_everyone_is_refused_nothing_is_measured(status: HTTPStatus) -> None:
    async with serving(FaultyServer(status=status)) as faulty:
        done = await loadtest(faulty.url, *SMALL)
    assert done.code == 1
    assert f"HTTP {status.value}: 6" in done.out
    assert done.out.splitlines()[-1] == "NOTHING MEASURED: nobody could join"


async def test_where_nobody_listens_is_one_clear_line() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{unheard.getsockname()[1]}/ws"
        done = await loadtest(url)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"mikroroom loadtest: cannot connect to {url}: connection refused\n"


# How it behaves


async def test_interrupted_it_tells_what_was_measured_so_far() -> None:
    async with serving(FaultyServer()) as faulty:
        process = await started(faulty.url, "--rooms=2", "--seconds=600", "--only=offers,churn", "--json")
        async with asyncio.timeout(PATIENCE):
            # One who comes and goes must be there, too.
            while not any(len(room) > 4 for room in faulty.rooms.values()) or not faulty.relays:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        done = await ended(process)
        assert done.code == 130
        assert (done.report["interrupted"], done.failures) == (True, {})
        assert done.report["sent"] > 0
        async with asyncio.timeout(PATIENCE):
            while any(faulty.rooms.values()):
                await asyncio.sleep(0.01)


async def test_another_machine_is_refused_in_one_line() -> None:
    done = await loadtest("--rooms", "1", "ws://192.0.2.1/ws", command=(*COMMAND, "loadtest"))
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("mikroroom loadtest: 192.0.2.1 is not this machine")
    assert line.endswith("add --yes-this-is-my-server if it is yours")


async def test_a_chart_that_cannot_be_written_is_told_before_anything_is_done(tmp_path: Path) -> None:
    done = await loadtest("ws://127.0.0.1:9/ws", "--chart", str(tmp_path / "nowhere" / "chart.svg"))
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"mikroroom loadtest: \S+/nowhere: is no directory to write the chart to\n", done.err)


async def test_help_is_the_load_testers_own() -> None:
    done = await loadtest("--rooms", "1", "--help", command=(*COMMAND, "loadtest"))
    assert done.code == 0
    assert "--slow-readers" in done.out


async def test_too_few_open_files_are_told_before_anything_is_done() -> None:
    limited = f"ulimit -n 90 && exec {sys.executable} -m mikroroom loadtest ws://127.0.0.1:9/ws"
    process = await asyncio.create_subprocess_shell(
        limited, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    done = await ended(process)
    assert (done.code, done.out) == (2, "")
    assert re.search(
        r"needs 151 open files, and the system allows 90: raise it \(`ulimit -n 151`\)", done.err
    )
