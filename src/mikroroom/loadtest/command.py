"""The test as a command: what it needs of the system, the signal that ends it early, and what it prints."""

import asyncio
import contextlib
import importlib.util
import resource
import signal
import sys
from collections.abc import Callable

import msgspec

from mikroroom.loadtest import course
from mikroroom.loadtest.busyness import Busyness
from mikroroom.loadtest.plan import Plan
from mikroroom.loadtest.progress import Progress
from mikroroom.loadtest.report import Report, draw, report, table
from mikroroom.loadtest.score import Score
from mikroroom.loadtest.stage import Stage
from mikroroom.loadtest.target import Target, TargetError, find

# Besides the sockets: streams, the event loop's own, and connections that close while new ones open.
_OTHER_FILES = 64
_INTERRUPTED_PATIENCE = 1.0


def test(plan: Plan) -> int:
    """Run it and print what it has shown. Returns the exit code."""
    try:
        target = find(plan.url, is_mine=plan.is_mine)
        _raise_open_files(plan.connections + _OTHER_FILES)
        if plan.chart is not None and not plan.chart.parent.is_dir():
            raise _Unable(f"{plan.chart.parent}: is no directory to write the chart to")
    except (TargetError, _Unable) as error:
        print(f"mikroroom loadtest: {error}", file=sys.stderr)
        return 2
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            told = runner.run(_run(plan, target))
    except course.Unreachable as unreachable:
        print(f"mikroroom loadtest: cannot connect to {target.url}: {unreachable}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return _tell(plan, told)


async def _run(plan: Plan, target: Target) -> Report:
    score, busyness = Score(), Busyness()
    stage = Stage(plan, target, score)
    progress = Progress(stage, sys.stderr)
    telling = asyncio.create_task(progress.tell())
    running = asyncio.create_task(course.run(stage, busyness))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        await asyncio.wait([running])
        # A second Ctrl-C ends it as it ends any program.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        is_interrupted = running.cancelled()
        if not is_interrupted:
            running.result()
        patience = min(plan.patience, _INTERRUPTED_PATIENCE) if is_interrupted else plan.patience
        await course.settle(stage, patience)
    finally:
        await course.close(stage)
        telling.cancel()
        progress.end()
    return report(plan, target.url, score, busyness, is_interrupted=is_interrupted)


def _tell(plan: Plan, told: Report) -> int:
    print(msgspec.json.encode(told).decode() if plan.is_json else table(told), flush=True)
    if plan.chart is not None:
        try:
            plan.chart.write_text(draw(told), "utf-8")
        except OSError as error:
            print(f"mikroroom loadtest: {plan.chart}: cannot be written: {error.strerror}", file=sys.stderr)
            return 1
    return told.exit_code


class _Unable(Exception):
    """The test cannot be what was asked for."""


def _raise_open_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        raise _Unable(
            f"this needs {needed:,} open files, and the system allows {soft:,}: raise it "
            f"(`ulimit -n {needed}`), or ask for fewer --rooms or --people"
        )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - it may not be there

    return uvloop.new_event_loop
