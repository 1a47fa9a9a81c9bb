"""Worker processes: a crash, a hang or a bomb costs one task."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from scoresim.errors import BadInput
from scoresim.score.sandbox import BROKEN, Failure, Workers, run_all


def behave(task: str) -> str:
    """Do what the task says."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(60)
    if task == "slow":
        time.sleep(3)
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
    load = {i for i, r in results.items() if isinstance(r, Failure) and r.may_be_load}
    assert load == {3, 5}


def test_a_slow_task_keeps_no_other_back() -> None:
    """Results come as they are done, not in the order of the tasks, and more than a window of them overtakes."""
    tasks = ["slow", *(f"quick{i}" for i in range(20))]
    order = [i for i, _ in run_all(behave, tasks, workers=2)]
    assert order[-1] == 0 and sorted(order) == list(range(len(tasks)))


def kill_once(marker: str) -> str:
    """Be killed from outside when asked the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def killed(task: str) -> str:
    """Be killed from outside whenever asked."""
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def test_a_task_whose_worker_is_killed_is_tried_once_more(tmp_path: Path) -> None:
    markers = [str(tmp_path / name) for name in "abc"]
    assert sorted(run_all(kill_once, markers, workers=1)) == list(enumerate(markers))
    results = dict(run_all(killed, ["x", "killed", "y"], workers=1))
    assert results == {0: "x", 1: Failure("its worker was killed twice", may_be_load=True), 2: "y"}


@pytest.mark.parametrize(("breaks", "reason"), [(5, ""), (6, BROKEN)])
def test_who_is_lost_with_others_is_not_to_blame_so_soon(
    breaks: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a worker dies before it has said what it does, all that waits is lost: others may have killed it again."""
    left = {"a": breaks, "b": 0}

    def schedule(function: Callable[[str], str], task: str, timeout: float) -> "Future[str]":
        future: Future[str] = Future()
        left[task] -= 1
        future.set_exception(BrokenProcessPool()) if left[task] >= 0 else future.set_result(function(task))
        return future

    with Workers(1) as workers:
        monkeypatch.setattr(workers, "_schedule", schedule)
        expected = Failure(reason, may_be_load=True) if reason else "A"
        assert dict(workers.run_all(str.upper, ["a", "b"])) == {0: expected, 1: "B"}


def test_workers_stay_and_live_through_what_their_tasks_do() -> None:
    with Workers(1) as workers:
        [(_, first)] = workers.run_all(whose, [""])
        assert [outcome for _, outcome in workers.run_all(whose, ["", ""])] == [first, first]
        [(_, crashed)] = workers.run_all(behave, ["crash"])
        assert isinstance(crashed, Failure) and "crashed" in crashed.reason
        [(_, second)] = workers.run_all(whose, [""])
        assert second != first
        unread = workers.run_all(behave, ["slow", "a"])
        unread.close()  # what nobody waits for any more does not keep others back
        [(_, late)] = workers.run_all(behave, ["late"], timeout=10)
        assert late == "LATE"


def test_workers_outlive_one_that_is_killed_while_it_waits() -> None:
    with Workers(1) as workers:
        for _ in range(2):
            [(_, number)] = workers.run_all(whose, [""])
            os.kill(number, signal.SIGKILL)
            time.sleep(0.5)
            assert dict(workers.run_all(behave, ["a", "b"])) == {0: "A", 1: "B"}


def whose(task: str) -> int:
    """Which process does this."""
    return os.getpid()


SCRIPT = """
from pathlib import Path
from scoresim.data.given import read_notes

print(len(read_notes([Path("tune.abc")])[0]))
"""


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    """Lines outside of functions are not run again in the workers that read its files."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "tune.abc").write_text("X:1\nT:One\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n")
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")


LEAVES = """
import atexit
import threading

atexit.register(lambda: print(threading.active_count(), "thread left"))

from scoresim.score.sandbox import Workers

workers = Workers()
workers.begin(len)
"""


def test_who_leaves_closes_the_workers_that_still_begin() -> None:
    """One that nobody tells what to do any more would write a traceback on the terminal."""
    done = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 thread left\n", "")
