"""The journal's thread: what waits for a disk waits there, and never on the event loop."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Writer:
    """A thread that does one thing after the other. The end of the process does not wait for it."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=self._work, name="mikroroom-journal", daemon=True).start()

    def submit(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Have something done. The future has what it returns or raises."""
        future: Future[T] = Future()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = job(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is for who asked
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(do)
        return future

    def stop(self) -> None:
        """Nothing more will be asked for."""
        self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            job()
