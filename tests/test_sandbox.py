"""Worker processes: a crash, a hang or a bomb costs one task."""

import os
import signal
import time

from scoresim.errors import BadInput
from scoresim.score.sandbox import Failure, run_all


def behave(task: str) -> str:
    """Do what the task says."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(60)
    if task == "bomb":
        return str(len(bytearray(8 << 30)))
    if task == "bad":
        raise BadInput("x.krn is bad.")
    return task.upper()


def test_every_good_task_gives_its_result() -> None:
    tasks = ["a", "crash", "b", "hang", "bad", "bomb", "c", "crash", "d"]
    results = dict(run_all(behave, tasks, workers=2, timeout=2.0))
    assert {tasks[i]: r for i, r in results.items() if not isinstance(r, Failure)} == {
        "a": "A",
        "b": "B",
        "c": "C",
        "d": "D",
    }
    reasons = {i: r.reason for i, r in results.items() if isinstance(r, Failure)}
    assert reasons[1] == reasons[7] and "crashed" in reasons[1]
    assert "longer than 2 s" in reasons[3]
    assert reasons[4] == "x.krn is bad."
    assert "memory" in reasons[5]
