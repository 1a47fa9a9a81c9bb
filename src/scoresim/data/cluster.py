"""The same work on a cluster: Ray hands out the items, and each is made in the same sandbox as on a laptop.

A Ray task is a handful of items. It starts the worker process of `score.sandbox`, so a file that crashes its parser
costs that file, not the Ray worker; and a Ray worker or a whole node that dies is started again by Ray, where items
whose parts are there already are not made twice. Exactly-once comes from the names of the parts, not from the queue.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

from scoresim.errors import BadInput
from scoresim.score.sandbox import Failure, run_all

ITEMS_PER_TASK = 16
RETRIES = 5  # of a Ray task whose worker died


def run_on_cluster(
    function: Callable[[Any], Any],
    tasks: list[Any],
    address: str,
    workers: int,
    timeout: float,
    done: Callable[[Any], bool],
) -> Iterator[tuple[int, Any]]:
    """Run `function` on every task on a Ray cluster; yield (index, result or `Failure`) as chunks end.

    Args:
        function: a module-level function of one picklable argument, idempotent.
        tasks: the arguments.
        address: of the cluster; "local" starts one on this machine, with `workers` processes.
        workers: see `address`; a cluster elsewhere takes what its scheduler gives.
        timeout: seconds after which a task is given up.
        done: whether a task was done by an earlier attempt of a chunk.

    Raises:
        BadInput: Ray is not installed, there is no cluster at the address, or a task's workers died too often.
    """
    try:
        import ray
    except ImportError:
        raise BadInput("--cluster needs Ray; install it with: pip install 'scoresim[cluster]'.") from None
    _connect(ray, address, workers)

    def work(chunk: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """The chunk's outcomes; runs in a Ray worker, and again from its beginning in another if that one dies."""
        todo = [(i, task) for i, task in chunk if not done(task)]
        outcomes = run_all(function, [task for _, task in todo], workers=1, timeout=timeout)
        return [(i, None) for i, task in chunk if done(task)] + [
            (todo[k][0], outcome if isinstance(outcome, Failure) else None) for k, outcome in outcomes
        ]

    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(work)
    try:
        numbered = list(enumerate(tasks))
        waiting = [remote.remote(numbered[at : at + ITEMS_PER_TASK]) for at in range(0, len(tasks), ITEMS_PER_TASK)]
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            yield from ray.get(ready[0])
    except ray.exceptions.RayError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"the cluster gave up ({reason}); what is done stays, run the command again.") from error
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read by Ray when it starts; nothing is sent anywhere
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if address == "local":
            ray.init(address="local", num_cpus=workers, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        else:
            _knock(address)
            ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"there is no Ray cluster at {address} ({error}).") from error


def _knock(address: str) -> None:
    """Is anybody there? Ray itself tries for minutes.

    Raises:
        OSError, ValueError: nobody answers, or the address is none.
    """
    if address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), timeout=10).close()
