"""The questions of the benchmark, one file each; a new file is a new question, found by listing this folder.

Each file holds a `Task` or a `Probe` (see `benchmark/task.py`) as `TASK`, under the name of the file.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scoresim.errors import BadInput

if TYPE_CHECKING:
    from scoresim.benchmark.task import PieceTask, Probe, Task

ALONG = {"pretraining": ("retrieval",)}  # together they say what pre-training has taught


def names() -> tuple[str, ...]:
    """Names of all questions, by listing this folder."""
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_")))


def get(name: str) -> Task | PieceTask | Probe:
    """The question with this name.

    Raises:
        BadInput: there is none.
    """
    if name not in names():
        raise BadInput(f"there is no task called {name!r}; the tasks are {', '.join(names())}.")
    task: Task | PieceTask | Probe = importlib.import_module(f"{__name__}.{name}").TASK
    return task


def asked_with(chosen: Sequence[str]) -> list[str]:
    """Some questions, and those that are asked along with them, each once."""
    return list(dict.fromkeys(one for name in chosen for one in (name, *ALONG.get(name, ()))))


def learnt(name: str) -> Task | PieceTask:
    """The learnt task with this name.

    Raises:
        BadInput: there is none, or nothing is learnt in it.
    """
    from scoresim.benchmark.task import PieceTask, Task

    task = get(name)
    if not isinstance(task, Task | PieceTask):
        every = [n for n in names() if isinstance(get(n), Task | PieceTask)]
        raise BadInput(f"{name!r} asks a model as it is; one can fine-tune for {', '.join(every)}.")
    return task
