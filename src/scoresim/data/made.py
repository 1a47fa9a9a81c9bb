"""Files that worker processes make once, each for itself, and what is left of those that cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scoresim.files import replacing
from scoresim.progress import Progress
from scoresim.score.sandbox import Failure, run_all

TIMEOUT = 300.0  # seconds for a file


def make_all(make: Callable[[Any], None], wanted: Sequence[Any], title: str, workers: int) -> None:
    """Let worker processes make files that are not there, each `wanted.file`; why one cannot be made is left beside it.

    What was refused is not tried again. What may have failed because the machine was crowded is tried once more when
    nothing else runs.
    """
    todo = [one for one in wanted if not one.file.is_file() and not refusal(one.file).is_file()]
    with Progress(title, len(wanted), "pieces") as progress:
        progress.advance(len(wanted) - len(todo))
        again: list[Any] = []
        for some, count in ((todo, workers), (again, 1)):
            for i, outcome in run_all(make, some, count, TIMEOUT) if some else ():
                if isinstance(outcome, Failure) and outcome.may_be_load and some is todo:
                    again.append(some[i])
                    continue
                progress.advance()
                if isinstance(outcome, Failure):
                    with replacing(refusal(some[i].file)) as temporary:
                        temporary.write_text(outcome.reason, encoding="utf-8")


def refusal(file: Path) -> Path:
    """Where it stands why a file cannot be made."""
    return file.with_suffix(".refused.txt")
