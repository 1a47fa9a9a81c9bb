"""What a run leaves behind for people: with what it was started, and its curves for TensorBoard."""

import json
import logging
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scoresim import environment
from scoresim.errors import BadInput
from scoresim.training import record
from scoresim.training.record import Curves, record_start


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a folder."""
    shown = EventAccumulator(str(folder))
    shown.Reload()
    return {tag: [(point.step, point.value) for point in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]}


def draw(folder: Path, start: int, steps: list[int], value: float) -> None:
    curves = Curves(folder, start)
    for step in steps:
        curves.add(step, {"loss": value, "loss/smm": 2 * value})
    curves.close()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second after the one before."""
    seconds = iter(range(1_700_000_000, 1_800_000_000))
    monkeypatch.setattr("scoresim.training.record.time.time", lambda: float(next(seconds)))


def test_points_after_the_saved_state_are_not_shown_twice(tmp_path: Path) -> None:
    draw(tmp_path, 0, [2, 4, 6, 8], 1.0)  # killed: its state is of step 4
    assert points(tmp_path)["loss"] == [(2, 1.0), (4, 1.0), (6, 1.0), (8, 1.0)]
    draw(tmp_path, 4, [6], 0.5)  # killed again, before another state
    draw(tmp_path, 4, [6, 8, 10], 0.25)
    shown = [(2, 1.0), (4, 1.0), (6, 0.25), (8, 0.25), (10, 0.25)]
    assert points(tmp_path) == {"loss": shown, "loss/smm": [(step, 2 * value) for step, value in shown]}


def test_a_start_without_a_point_leaves_no_file(tmp_path: Path) -> None:
    draw(tmp_path / "curves", 0, [], 1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence_and_the_next_start_goes_on(tmp_path: Path) -> None:
    curves = Curves(tmp_path, 0)
    curves.add(2, {"loss": 1.0})
    size = next(tmp_path.iterdir()).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, hard))
        with pytest.raises(BadInput, match=f"cannot write {tmp_path}"):
            curves.add(4, {"loss": 1.0})
        curves.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    draw(tmp_path, 2, [4, 6], 0.5)
    assert points(tmp_path)["loss"] == [(2, 1.0), (4, 0.5), (6, 0.5)]


def test_without_the_package_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(record, "find_spec", lambda name: None)
    caplog.set_level(logging.INFO, "scoresim")
    record.has_tensorboard.cache_clear()
    try:
        draw(tmp_path / "one", 0, [1, 2], 1.0)
        draw(tmp_path / "two", 0, [1], 1.0)
    finally:
        record.has_tensorboard.cache_clear()
    assert [line.message for line in caplog.records] == [
        "No curves for TensorBoard, log.jsonl alone: pip install 'scoresim[train]' brings tensorboardX."
    ]
    assert list(tmp_path.iterdir()) == []


def starts(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_start_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "starts.jsonl"
    for step in (0, 7):
        record_start(path, step, "cpu", "fp32")
    assert [start["step"] for start in starts(path)] == [0, 7]
    first = starts(path)[0]
    assert {"python", "system", "processors", "commit", "dirty", "threads", "device", "bf16", "time"} < first.keys()
    assert {"scoresim", "torch", "numpy"} < first["versions"].keys()
    assert (first["device"], first["bf16"]) == ("cpu", False)
    assert caplog.records == []


def test_other_conditions_are_said_and_decide_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "starts.jsonl"
    monkeypatch.setattr(record, "git_state", lambda: {"commit": "old", "dirty": False})
    record_start(path, 0, "cpu", "fp32")
    lines = path.read_text().replace('"torch": "', '"torch": "0.')
    path.write_text(lines)
    monkeypatch.setattr(record, "git_state", lambda: None)
    record_start(path, 3, "cpu", "fp32")
    (warning,) = [line.message for line in caplog.records]
    assert warning.startswith(f"{tmp_path} goes on under other conditions")
    assert "commit old -> None, dirty False -> None, torch 0." in warning
    assert path.read_text().startswith(lines)
    assert [(start["step"], start["commit"]) for start in starts(path)] == [(0, "old"), (3, None)]


@pytest.mark.parametrize("content", ["", "torn", "[1]\n", '{"versions": 3}\n', "\xff"])
def test_a_damaged_record_does_not_stop_a_run(tmp_path: Path, content: str) -> None:
    path = tmp_path / "starts.jsonl"
    path.write_text(content, encoding="latin-1")
    record_start(path, 2, "cpu", "fp32")
    assert path.read_bytes().startswith(content.encode("latin-1"))


def test_the_git_state_is_that_of_our_own_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package installed inside of somebody's repository has no commit."""

    def git(*words: str) -> None:
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *names, *words], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "environment.py"
    file.touch()
    monkeypatch.setattr(environment, "__file__", str(file))
    assert (environment.git_state(), environment.commit()) == (None, "")
    git("init")
    git("commit", "--allow-empty", "-m", "theirs")
    assert environment.git_state() is None
    git("add", ".")
    git("commit", "-m", "ours")
    clean = environment.git_state()
    assert clean is not None and clean["dirty"] is False
    file.write_text("changed")
    assert environment.git_state() == {"commit": clean["commit"], "dirty": True}
    assert environment.commit() == clean["commit"] + "+"
