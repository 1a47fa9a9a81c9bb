"""Progress speaks on standard error only: a bar for a person, quiet lines for a log."""

import io
import logging
import sys

import pytest

from scoresim import progress
from scoresim.progress import QUIET_SECONDS, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    return clock


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "scoresim"]


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("scoresim"), "propagate", True)
    caplog.set_level(logging.INFO, logger="scoresim")


def test_short_work_is_silent(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    with Progress("build", 3) as bar:
        for _ in range(3):
            clock.now += 1
            bar.advance()
    assert lines(caplog) == []


def test_at_most_one_line_per_ten_seconds_and_one_at_the_end(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    with Progress("train", 100, "steps") as bar:
        for step in range(100):
            clock.now += 0.25
            bar.advance(note=f"loss {step}")
    assert QUIET_SECONDS == 10
    assert lines(caplog) == [
        "train: 40/100 steps in 10 s loss 39",
        "train: 80/100 steps in 20 s loss 79",
        "train: 100/100 steps in 25 s loss 99",
    ]


def test_without_a_total(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    with Progress("read", None, "files") as bar:
        clock.now += 11
        bar.advance(7)
    assert lines(caplog)[0] == "read: 7 files in 11 s"


def test_a_failed_work_says_nothing_more(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    with pytest.raises(RuntimeError), Progress("read", 2) as bar:
        clock.now += 11
        bar.advance()
        raise RuntimeError
    assert len(lines(caplog)) == 1


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("build", 4, "scores") as bar:
        bar.advance(4, "4 kept")
    assert "build" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()
    assert capsys.readouterr().out == ""
