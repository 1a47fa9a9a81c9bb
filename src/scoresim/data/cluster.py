"""The same work on a cluster: Ray hands out the items, and each is made in the same sandbox as on a laptop.

A Ray task is a handful of items, a *chunk*. It starts the worker process of `score.sandbox`, so a file that crashes
its parser costs that file, not the Ray worker; and a Ray worker or a whole node that dies is started again by Ray,
where items whose parts are there already are not made twice. A chunk whose workers die again and again is handed out
item by item, so that whatever kills them costs itself. Exactly-once comes from the names of the parts, not from the
queue.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from scoresim.errors import BadInput
from scoresim.score.sandbox import Failure, run_all

ITEMS_PER_TASK = 16
RETRIES = 5  # of a chunk whose worker died
RETRIES_OF_ONE = 2  # of a chunk of one item
AHEAD = 4  # chunks handed out for every processor: enough to keep it busy, few enough to wait for

Chunk: TypeAlias = "list[tuple[int, Any]]"  # (index, task)


def run_on_cluster(
    function: Callable[[Any], Any],
    tasks: list[Any],
    address: str,
    workers: int,
    timeout: float,
    done: Callable[[Any], bool],
    alone: bool = False,
) -> Iterator[tuple[int, Any]]:
    """Run `function` on every task on a Ray cluster; yield (index, result or `Failure`) as chunks end.

    Args:
        function: a module-level function of one picklable argument, idempotent.
        tasks: the arguments.
        address: of the cluster; "local" starts one on this machine, with `workers` processes.
        workers: see `address`; a cluster elsewhere takes what its scheduler gives.
        timeout: seconds after which a task is given up.
        done: whether a task was done by an earlier attempt of a chunk.
        alone: hand out one task at a time to every node, so that none has to share it.

    Raises:
        BadInput: Ray is not installed, there is no cluster at the address, or it went away.
    """
    try:
        import ray
    except ImportError:
        raise BadInput("--cluster needs Ray; install it with: pip install 'scoresim[cluster]'.") from None
    _connect(ray, address, workers)

    def work(chunk: Chunk) -> list[tuple[int, Any]]:
        """The chunk's outcomes; runs in a Ray worker, and again from its beginning in another if that one dies."""
        todo = [(i, task) for i, task in chunk if not done(task)]
        outcomes = run_all(function, [task for _, task in todo], workers=1, timeout=timeout)
        return [(i, None) for i, task in chunk if done(task)] + [
            (todo[k][0], outcome if isinstance(outcome, Failure) else None) for k, outcome in outcomes
        ]

    size = 1 if alone else ITEMS_PER_TASK
    numbered = list(enumerate(tasks))
    chunks = [numbered[at : at + size] for at in range(0, len(tasks), size)]
    try:
        yield from _hand_out(ray, ray.remote(num_cpus=1)(work), chunks, alone)
    except ray.exceptions.RayError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"the cluster gave up ({reason}); what is done stays, run the command again.") from error
    finally:
        ray.shutdown()


def _hand_out(ray: Any, remote: Any, chunks: list[Chunk], alone: bool) -> Iterator[tuple[int, Any]]:
    """The outcomes of all chunks; one whose workers died too often is cut into its items, and such an item fails."""
    errors = ray.exceptions
    died = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError)
    rest = deque(chunks)
    waiting: dict[Any, Chunk] = {}
    while rest or waiting:
        nodes = sum(node["Alive"] for node in ray.nodes())
        room = nodes if alone else AHEAD * int(ray.cluster_resources().get("CPU", 1))
        while rest and len(waiting) < max(room, 1):
            chunk = rest.popleft()
            options: dict[str, Any] = {"max_retries": RETRIES if len(chunk) > 1 else RETRIES_OF_ONE}
            options |= {"scheduling_strategy": "SPREAD"} if alone else {}
            waiting[remote.options(**options).remote(chunk)] = chunk
        ready, _ = ray.wait(list(waiting), num_returns=1)
        chunk = waiting.pop(ready[0])
        try:
            outcomes = ray.get(ready[0])
        except died:
            if len(chunk) > 1:
                rest.extend([numbered] for numbered in chunk)
                continue
            outcomes = [(chunk[0][0], Failure("its workers on the cluster died", may_be_load=True))]
        yield from outcomes


def _connect(ray: Any, address: str, workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read by Ray when it starts; nothing is sent anywhere
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    before = signal.getsignal(signal.SIGTERM)
    try:
        if address == "local":
            ray.init(address="local", num_cpus=workers, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        else:
            _knock(address)
            ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"there is no Ray cluster at {address} ({error}).") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray has put its own there, which ends the program without a sentence


def _knock(address: str) -> None:
    """Is anybody there? Ray itself tries for minutes.

    Raises:
        OSError, ValueError: nobody answers, or the address is none.
    """
    if address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), timeout=10).close()
