"""Several workers: processes that serve on the same sockets, and their parent, which sees that they do.

The parent listens and never accepts. It starts the workers, again when they die, one by one anew at SIGHUP,
and stops them all when told to stop. A worker whose parent is gone stops as if told to.

Each worker beats down its line to the parent about once a second, from its event loop. One that was silent
for ``hang_timeout`` is killed and replaced. That bound is long on purpose, for a busy machine is not a hang:
a process may wait for its turn, for memory that was swapped out or for a slow disk, and the loop of one that
has thousands to let in or to send away is late, but comes round. To kill such a one would cost all its people
their connections and bring the others the load of their return, so that the next one is late: a cure worse
than the illness. A loop that really hangs does so for good, and after half a minute that is the likelier
story; its people have given it up by then, because it answers no ping, and for the other workers it is dead
after ``worker_lease``. Silence is counted in seconds in which the parent itself was awake: a machine that was
stopped as a whole has lost nobody.

uvicorn has a supervisor, and this is not it. That one kills whoever does not answer a thread's ping in time,
which a process on a busy machine may not, and one whose event loop hangs always does; it starts again without
a pause what dies at once, waits without end for what does not stop, obeys no signal while it replaces, and
leaves its workers behind when it is killed.

Workers are started as new interpreters and not as forks. So each loads the code and the certificate as they
are then on the disk; its settings are those that the parent was started with.
"""

import asyncio
import faulthandler
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple

from mikroroom import logs, serving
from mikroroom.listeners import CannotServe, Listeners, listen_or_tell
from mikroroom.logs import Line
from mikroroom.settings import Settings
from mikroroom.systemd import NOTHING_INHERITED, Inherited, Notifier
from mikroroom.transport.metrics import socket_of

log = logging.getLogger(__name__)

# Seconds in which a worker must serve once it is started, on a machine that is busy with much else.
START_TIMEOUT = 60.0
# Seconds beyond ``shutdown_timeout`` after which a worker that does not stop is killed.
GRACE = 12.0
# Seconds of life after which a death is no sign of a worker that cannot live.
LONG_LIFE = 30.0
# Seconds between such a death and the next start: the first pause, and the longest it is doubled to.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

# Seconds between two beats of a worker, and between two looks at how long they are silent.
BEAT = 1.0

_SPAWN = multiprocessing.get_context("spawn")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def supervise(
    chosen: Settings, inherited: Inherited = NOTHING_INHERITED, notifier: Notifier | None = None
) -> int:
    """Serve with ``chosen.workers`` processes until SIGTERM or SIGINT. Returns the exit code.

    On sockets that listen already, or else our own.
    """
    try:
        listeners = listen_or_tell(chosen, inherited)
    except CannotServe as reason:
        log.error(reason.line)
        return 1
    # Where the workers find each other. Nobody else may look into it.
    with TemporaryDirectory(prefix="mikroroom-", ignore_cleanup_errors=True) as directory:
        office = Office(chosen, listeners, Path(directory))
        return asyncio.run(Supervisor(office, notifier or Notifier({})).run())


class Office(NamedTuple):
    """What every worker is given."""

    chosen: Settings
    listeners: Listeners
    directory: Path


class Worker:
    """A process that serves, as its parent sees it. Raises ``OSError`` if none can be started."""

    def __init__(self, office: Office, on_end: "Callable[[Worker], None]") -> None:
        self.is_serving = False
        # Seconds without a sign of life, once it serves.
        self.silence = 0.0
        # That it serves, or never will; and that it is no more.
        self.settled = asyncio.Event()
        self.ended = asyncio.Event()
        self._on_end = on_end
        self._began = time.monotonic()
        self._line, far_end = _SPAWN.Pipe(duplex=False)
        # A daemon: should the parent fail, it does not wait for its workers to end by themselves.
        self._process = _SPAWN.Process(target=work, args=(office, far_end), daemon=True)
        # What it is told before it can obey has to wait until then. It inherits the mask.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._process.start()
        except OSError:
            self._line.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            far_end.close()
        self.pid = self._process.pid
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line.fileno(), self._hear)
        loop.add_reader(self._process.sentinel, self._bury)

    def __repr__(self) -> str:
        return f"<Worker {self.pid}>"

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began

    def stop(self) -> None:
        """Ask it to stop in good order."""
        if not self.ended.is_set():
            self._process.terminate()

    def kill(self) -> None:
        """End it."""
        if not self.ended.is_set():
            self._process.kill()

    def _hear(self) -> None:
        """It serves, first and then still; or it has gone."""
        try:
            self.is_serving = bool(self._line.recv_bytes())
            self.silence = 0.0
        except (EOFError, OSError):
            self._hang_up()
        self.settled.set()

    def _hang_up(self) -> None:
        if not self._line.closed:
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self._line.close()

    def _bury(self) -> None:
        self._hang_up()
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self.code = self._process.exitcode
        self._process.close()
        self.is_serving = False
        self.settled.set()
        self.ended.set()
        self._on_end(self)


class Supervisor:
    """The parent of the workers, which keeps as many as were asked for."""

    def __init__(self, office: Office, notifier: Notifier) -> None:
        self._office = office
        self._chosen = office.chosen
        self._listeners = office.listeners
        self._notifier = notifier
        # All that have not ended, and of those the ones that are to go on serving.
        self._alive: set[Worker] = set()
        self._staff: list[Worker] = []
        self._stopping = asyncio.Event()
        self._renewal = asyncio.Event()
        self._vacancy = asyncio.Event()
        self._died_young = False
        # Held while workers are being engaged: whoever comes next counts those who are there by then.
        self._engaging = asyncio.Lock()
        # To start is work: were there many at once, none would be done in time.
        self._starts = asyncio.Semaphore(os.cpu_count() or 1)

    async def run(self) -> int:
        """Serve until told to stop. Returns the exit code."""
        loop = asyncio.get_running_loop()
        # Python starts this process with the first worker otherwise, and lifts the mask of signals there.
        resource_tracker.ensure_running()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._renewal.set)
        supervision = loop.create_task(self._supervise())
        stopping = loop.create_task(self._stopping.wait())
        await asyncio.wait((supervision, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        supervision.cancel()
        await asyncio.wait((supervision,))
        await self._stop()
        # By itself it ends only if there was no beginning.
        return 0 if supervision.cancelled() else supervision.result()

    def _interrupt(self) -> None:
        """Stop in good order; a second Ctrl-C stops at once."""
        if self._stopping.is_set():
            for worker in self._alive:
                worker.kill()
        self._stopping.set()

    async def _supervise(self) -> int:
        if not await self._begin():
            return 1
        self._listeners.tell(self._chosen.workers)
        self._notifier.ready()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fill_vacancies())
            tasks.create_task(self._renew())
            tasks.create_task(self._tell_how_it_goes())
            if self._chosen.hang_timeout:
                tasks.create_task(self._end_hangs())
        return 0

    async def _begin(self) -> bool:
        """Whether it can be done. One goes ahead: what stops it would stop the others, and is told once."""
        if await self._engage() is None:
            return False
        others = (self._engage() for _ in range(self._chosen.workers - 1))
        if None in await asyncio.gather(*others):
            # It can be done, so that was an accident.
            self._died_young = True
            self._vacancy.set()
        return True

    async def _fill_vacancies(self) -> None:
        """Start workers for those that have died. Where they die young, the pauses before that grow."""
        pause = 0.0
        while True:
            await self._vacancy.wait()
            pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE) if self._died_young else 0.0
            await asyncio.sleep(pause)
            self._vacancy.clear()
            self._died_young = False
            async with self._engaging:
                missing = self._chosen.workers - len(self._staff)
                engaged = await asyncio.gather(*(self._engage() for _ in range(missing)))
            if None in engaged:
                self._died_young = True
                self._vacancy.set()

    async def _renew(self) -> None:
        """Replace all workers, one by one, as often as that is asked for."""
        while True:
            await self._renewal.wait()
            self._renewal.clear()
            for worker in tuple(self._staff):
                if worker in self._staff and not await self._replace(worker):
                    break

    async def _tell_how_it_goes(self) -> None:
        while True:
            self._notifier.alive(f"workers: {len(self._staff)} of {self._chosen.workers}")
            await asyncio.sleep(self._notifier.period)

    async def _end_hangs(self) -> None:
        """Kill those that show no sign of life; as to whoever dies, there will be others."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(BEAT)
            now = time.monotonic()
            # Who has slept has heard nobody, and must not take that for silence.
            passed, looked = min(now - looked, 2 * BEAT), now
            for worker in self._staff:
                worker.silence += passed
                if worker.silence > self._chosen.hang_timeout:
                    log.error(Line("worker-hung", pid=worker.pid, seconds=round(worker.silence)))
                    worker.kill()
                    worker.silence = 0.0  # it is said once

    async def _replace(self, worker: Worker) -> bool:
        """Stop this worker once another serves in its place. Returns whether one does."""
        async with self._engaging:
            successor = await self._engage()
            if successor is None:
                log.error(Line("worker-kept", pid=worker.pid, reason="its replacement does not serve"))
                return False
            # It may have died meanwhile; then this was its replacement all the same.
            with suppress(ValueError):
                self._staff.remove(worker)
        log.info(Line("worker-replaced", pid=worker.pid, by=successor.pid))
        await self._dismiss([worker])
        return True

    async def _engage(self) -> Worker | None:
        """A new worker that serves, or None if it does not come to that."""
        async with self._starts:
            worker = await self._start()
        if worker is not None:
            self._staff.append(worker)
            log.info(Line("worker-started", pid=worker.pid))
        return worker

    async def _start(self) -> Worker | None:
        try:
            worker = Worker(self._office, self._bid_farewell)
        except OSError as error:
            log.error(Line("worker-failed", reason=error.strerror))
            return None
        self._alive.add(worker)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                await worker.settled.wait()
        if not worker.is_serving:
            reason = None if worker.settled.is_set() else "does not serve in time"
            worker.kill()
            await worker.ended.wait()
            log.error(Line("worker-failed", pid=worker.pid, code=worker.code, reason=reason))
            return None
        return worker

    def _bid_farewell(self, worker: Worker) -> None:
        """A worker has ended; if that was not its time, it is missed."""
        socket_of(self._office.directory, str(worker.pid)).unlink(missing_ok=True)
        self._alive.discard(worker)
        if worker in self._staff:
            self._staff.remove(worker)
            log.error(Line("worker-died", pid=worker.pid, code=worker.code))
            self._died_young |= worker.age < LONG_LIFE
            self._vacancy.set()

    async def _stop(self) -> None:
        began = time.monotonic()
        self._notifier.stopping()
        workers = tuple(self._alive)
        if workers:
            log.info(Line("stopping", workers=len(workers)))
        self._listeners.close()
        self._staff.clear()
        await self._dismiss(workers)
        if workers:
            log.info(Line("stopped", seconds=round(time.monotonic() - began, 1)))

    async def _dismiss(self, workers: Sequence[Worker]) -> None:
        """Have them stop in good order, or in the end without."""
        patience = self._chosen.shutdown_timeout + GRACE
        for worker in workers:
            worker.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                for worker in workers:
                    await worker.ended.wait()
        for worker in workers:
            if not worker.ended.is_set():
                log.error(Line("worker-killed", pid=worker.pid, reason="does not stop", seconds=patience))
                worker.kill()
            await worker.ended.wait()


def work(office: Office, line: Connection) -> None:
    """Serve as a worker, which this process is. It says down the ``line`` to its parent that it does."""
    chosen = office.chosen
    serving.stop_when_told()
    # To be replaced is for the parent to say: this comes to everyone when a terminal closes.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    logs.configure(chosen.log_level, chosen.log_format, worker=os.getpid())
    faulthandler.enable()
    patience = chosen.shutdown_timeout + GRACE
    Thread(target=_stop_when_orphaned, args=(patience,), daemon=True).start()

    sys.exit(serving.serve(chosen, office.listeners, Employed(line), office.directory))


class Employed:
    """The onlooker of a worker: it tells the parent."""

    period = BEAT
    takes_hangup = False

    def __init__(self, line: Connection) -> None:
        # A parent that does not read must not hold its workers up.
        os.set_blocking(line.fileno(), False)
        self._line = line

    def serves(self) -> None:
        """See ``serving.Onlooker``."""
        self._tell()

    def beats(self, rooms: int, participants: int) -> None:
        """See ``serving.Onlooker``."""
        self._tell()

    def stops(self) -> None:
        """Nothing: it was the parent who said so."""

    def _tell(self) -> None:
        # That the parent is gone is noticed elsewhere.
        with suppress(BrokenPipeError, BlockingIOError):
            self._line.send_bytes(b"serving")


def _stop_when_orphaned(patience: float) -> None:
    """Wait for the parent's end, then stop as if told to. A thread, for an event loop may hang by then."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - of a process that has been started by another
    parent.join()
    log.warning(Line("the parent is gone"))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)
