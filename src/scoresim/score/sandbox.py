"""Native parsers run in worker processes: a crash, a hang or a memory bomb costs one task, never the run."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures import TimeoutError as TaskTimeout
from dataclasses import dataclass
from typing import Any

from pebble import ProcessExpired, ProcessPool

from scoresim.errors import ScoresimError

MEMORY = 3 << 30  # bytes of address space per worker
TASKS_PER_WORKER = 2000
AHEAD = 4  # tasks handed out for every worker, those that it works on included
KILLED = object()


@dataclass(frozen=True)
class Failure:
    """A task that gave no result.

    Attributes:
        reason: one phrase for a person.
        may_be_load: whether a crowded machine may be to blame (time, memory, a kill from outside), so that the same
            task may well succeed when it runs alone.
    """

    reason: str
    may_be_load: bool = False


def _begin_worker(memory: int) -> None:
    """Limit the memory of this worker, and keep what native parsers print away from the user's terminal."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))


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
    context = multiprocessing.get_context("forkserver")
    with ProcessPool(
        max_workers=workers,
        max_tasks=tasks_per_worker,
        initializer=_begin_worker,
        initargs=[memory],
        context=context,
    ) as pool:
        try:
            waiting: dict[Any, int] = {}
            following, killed = 0, set[int]()
            while waiting or following < len(tasks):
                for i in range(following, min(following + AHEAD * workers - len(waiting), len(tasks))):
                    waiting[pool.schedule(function, args=[tasks[i]], timeout=timeout)] = i
                    following = i + 1
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    i, outcome = waiting.pop(future), _outcome(future, timeout)
                    if outcome is KILLED and i not in killed:
                        killed.add(i)
                        waiting[pool.schedule(function, args=[tasks[i]], timeout=timeout)] = i
                        continue
                    yield i, Failure("its worker was killed twice", may_be_load=True) if outcome is KILLED else outcome
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


def _outcome(future: Any, timeout: float) -> Any:
    try:
        return future.result()
    except TaskTimeout:
        return Failure(f"took longer than {timeout:g} s", may_be_load=True)
    except ProcessExpired as error:
        if abs(error.exitcode) in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
            return KILLED  # from outside, or by a system short of memory: the task is tried once more
        aborted = abs(error.exitcode) == signal.SIGABRT  # C++ ends so when it gets no memory
        return Failure(f"the parser crashed (exit code {error.exitcode})", may_be_load=aborted)
    except MemoryError:
        return Failure("needed more memory than a worker has", may_be_load=True)
    except (ScoresimError, ValueError) as error:
        return Failure(str(error))
