"""Native parsers run in worker processes: a crash, a hang or a memory bomb costs one task, never the run."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import resource
import signal
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures import TimeoutError as TaskTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import spawn
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from pebble import ProcessExpired, ProcessPool

from scoresim.errors import NotNow, ScoresimError

MEMORY = 3 << 30  # bytes of address space per worker
TASKS_PER_WORKER = 2000
AHEAD = 4  # tasks handed out for every worker, those that it works on included
KILLED, BROKEN = "its worker was killed twice", "workers died six times while it waited"
AGAIN = {KILLED: 1, BROKEN: 5}  # how often a task is tried once more


@dataclass(frozen=True)
class Failure:
    """A task that gave no result.

    Attributes:
        reason: one phrase for a person.
        may_be_load: whether something else than the task may be to blame: a crowded machine (time, memory, a kill from
            outside), so that it may well succeed when it runs alone, or a package that is missing.
    """

    reason: str
    may_be_load: bool = False


@dataclass(frozen=True)
class _Lost:
    """A task that gave no result, for no fault of its own as far as one knows.

    Attributes:
        how: `KILLED` while it ran, or `BROKEN`: a worker died of which nobody knew yet what it did, and all that had
            been handed out was lost with it.
    """

    how: str


def _begin_worker(memory: int) -> None:
    """Limit the memory of this worker, and keep what native parsers print away from the user's terminal."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))


class Workers:
    """Worker processes that stay from one call to the next: a program that reads many files one by one opens them once.

    They are started when they first have something to do; `close` them, or open them in a with statement; what is open
    when the program ends is closed then. Calls from several threads share them.

    Args:
        count: number of processes.
        memory: bytes of address space for each.
        tasks_per_worker: after so many tasks a worker is replaced by a fresh one.
        main: whether a worker loads the program that runs here, whose functions it then knows. Without, it knows those
            of modules, and the lines of a script that stand outside its functions are not run in it.
    """

    def __init__(
        self, count: int = 1, memory: int = MEMORY, tasks_per_worker: int = TASKS_PER_WORKER, main: bool = False
    ) -> None:
        self.count, self._changing = count, threading.Lock()
        self._options: dict[str, Any] = {
            "max_workers": count,
            "max_tasks": tasks_per_worker,
            "initializer": _begin_worker,
            "initargs": [memory],
            "context": multiprocessing.get_context("forkserver") if main else _Apart(),
        }
        self._pool = ProcessPool(**self._options)
        _OPEN.add(self)

    def begin(self, function: Callable[[Any], Any]) -> None:
        """Start a worker, and let it load what a function needs: it is called with None, whatever comes of it."""
        self._schedule(function, None, None)

    def _schedule(self, function: Callable[[Any], Any], task: Any, timeout: float | None) -> Any:
        """Hand out a task. A pool whose worker died while it had nothing to do is broken: another is opened."""
        pool = self._pool
        try:
            return pool.schedule(function, args=[task], timeout=timeout)
        except RuntimeError:
            with self._changing:
                if self._pool is pool:
                    pool.stop()  # type: ignore[no-untyped-call]
                    self._pool = ProcessPool(**self._options)
            return self._pool.schedule(function, args=[task], timeout=timeout)

    def run_all(
        self, function: Callable[[Any], Any], tasks: list[Any], timeout: float = 60.0
    ) -> Iterator[tuple[int, Any]]:
        """See `run_all`."""
        waiting: dict[Any, int] = {}
        following, lost = 0, Counter[tuple[int, str]]()
        try:
            while waiting or following < len(tasks):
                for i in range(following, min(following + AHEAD * self.count - len(waiting), len(tasks))):
                    waiting[self._schedule(function, tasks[i], timeout)] = i
                    following = i + 1
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    i, outcome = waiting.pop(future), _outcome(future, timeout)
                    if isinstance(outcome, _Lost):
                        lost[i, outcome.how] += 1
                        if lost[i, outcome.how] <= AGAIN[outcome.how]:
                            waiting[self._schedule(function, tasks[i], timeout)] = i
                            continue
                        outcome = Failure(outcome.how, may_be_load=True)
                    yield i, outcome
        finally:
            for future in waiting:
                future.cancel()

    def close(self, at_once: bool = True) -> None:
        """End the processes."""
        _OPEN.discard(self)
        if at_once:
            self._pool.stop()  # type: ignore[no-untyped-call]
        else:
            self._pool.close()  # type: ignore[no-untyped-call]
        self._pool.join()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.close(at_once=kind is not None)


_OPEN = weakref.WeakSet[Workers]()


@atexit.register
def _end() -> None:
    """A worker that begins while the program leaves would complain on the terminal that nobody tells it what to do."""
    for workers in list(_OPEN):
        workers.close()


def run_all(
    function: Callable[[Any], Any],
    tasks: list[Any],
    workers: int,
    timeout: float = 60.0,
    memory: int = MEMORY,
    tasks_per_worker: int = TASKS_PER_WORKER,
) -> Iterator[tuple[int, Any]]:
    """Run `function` on every task in worker processes; yield (index of the task, result or `Failure`) as they end.

    The order is that in which the tasks end: a slow one keeps no other back. At most `AHEAD` tasks a worker are handed
    out at a time, so that a million of them need no more memory than a hundred.

    Args:
        function: a module-level function of one picklable argument.
        tasks: the arguments.
        workers: number of processes.
        timeout: seconds after which a task is given up and its worker killed.
        memory: bytes of address space for each worker.
        tasks_per_worker: after so many tasks a worker is replaced by a fresh one.

    Expected errors (`ScoresimError`, ValueError, MemoryError, a crash, a time-out) become a `Failure`. Any other
    exception is a bug and is raised here.
    """
    with Workers(workers, memory, tasks_per_worker, main=function.__module__ == "__main__") as pool:
        yield from pool.run_all(function, tasks, timeout)


class _ApartProcess(ForkServerProcess):
    """A process that does not load the program that started it."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the name is multiprocessing's
        return _start_apart(process_obj)


class _Apart(ForkServerContext):
    """Starts processes that do not load the program that started them (multiprocessing always lets them)."""

    Process = _ApartProcess


def _start_apart(process: Any) -> Any:
    """Start a process; what multiprocessing tells it of this one's main module is left out."""
    from multiprocessing.popen_forkserver import Popen

    me = threading.get_ident()
    with _STARTING:
        describe = spawn.get_preparation_data

        def without_main(name: str) -> dict[str, Any]:
            told: dict[str, Any] = describe(name)
            if threading.get_ident() == me:
                told = {key: value for key, value in told.items() if not key.startswith("init_main")}
            return told

        spawn.get_preparation_data = without_main
        try:
            return Popen(process)
        finally:
            spawn.get_preparation_data = describe


_STARTING = threading.Lock()


def _outcome(future: Any, timeout: float) -> Any:
    try:
        return future.result()
    except TaskTimeout:
        return Failure(f"took longer than {timeout:g} s", may_be_load=True)
    except BrokenProcessPool:
        return _Lost(BROKEN)
    except ProcessExpired as error:
        if abs(error.exitcode) in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
            return _Lost(KILLED)  # from outside, or by a system short of memory: the task is tried once more
        aborted = abs(error.exitcode) == signal.SIGABRT  # C++ ends so when it gets no memory
        return Failure(f"the parser crashed (exit code {error.exitcode})", may_be_load=aborted)
    except MemoryError:
        return Failure("needed more memory than a worker has", may_be_load=True)
    except (ScoresimError, ValueError) as error:
        return Failure(str(error), may_be_load=isinstance(error, NotNow))
