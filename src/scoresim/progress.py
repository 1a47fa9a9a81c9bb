"""How far along are we: a bar on a terminal, at most one quiet line per ten seconds elsewhere.

Both go to standard error; standard output belongs to results. The quiet lines are records of the logger
``scoresim``, so a program that embeds scoresim decides itself what becomes of them.
"""

import logging
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

__all__ = ["QUIET_SECONDS", "Progress"]

QUIET_SECONDS = 10.0
_logger = logging.getLogger("scoresim")


class Progress:
    """Counts work done and shows it; use it as a context manager.

    Args:
        what: what is going on, for instance ``"build"``.
        total: how many units there are; None when nobody knows.
        unit: what is counted, for instance ``"scores"``.
        quiet: show nothing, for all but one of several processes that do the same.
    """

    def __init__(self, what: str, total: int | None, unit: str = "", quiet: bool = False) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.quiet = quiet
        self.done = 0
        self._note = ""
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._started = self._last_line = 0.0

    def __enter__(self) -> Self:
        self._started = self._last_line = time.monotonic()
        if sys.stderr.isatty() and not self.quiet:
            self._bars = Bars(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
            self._task = self._bars.add_task(self.what, total=self.total, unit=self.unit, note="")
        return self

    def advance(self, n: int = 1, note: str = "") -> None:
        """Say that ``n`` more units are done; ``note`` (such as a loss) is shown until the next one."""
        self.done += n
        self._note = note or self._note
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, advance=n, note=self._note)
        elif time.monotonic() - self._last_line >= QUIET_SECONDS and not self.quiet:
            self._last_line = time.monotonic()
            _logger.info("%s", self._line())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        if kind is None and (self._bars is not None or self._last_line != self._started):
            _logger.info("%s", self._line())

    def _line(self) -> str:
        count = f"{self.done}" if self.total is None else f"{self.done}/{self.total}"
        parts = [
            f"{self.what}: {count}",
            self.unit,
            f"in {time.monotonic() - self._started:.0f} s",
            self._note,
        ]
        return " ".join(part for part in parts if part)
