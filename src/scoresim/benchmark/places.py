"""Where the data of a benchmark lies: a data set of pairs, or the sources of whole pieces."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from scoresim import checkpoint as checkpoints
from scoresim.benchmark.config import BenchmarkConfig
from scoresim.benchmark.piecewise import present
from scoresim.benchmark.task import Data, PieceTask, Probe, Task
from scoresim.data import shards
from scoresim.errors import BadInput
from scoresim.files import read_json

Value = TypeVar("Value")


def data_of(checkpoint: Path, config: BenchmarkConfig, every: bool = True) -> tuple[Path | None, Path | None]:
    """The data set of pairs to judge on, and the folder of the sources of whole pieces; None where there is none.

    The folder that was asked for is one of the two. Pairs are else those that the checkpoint was trained on: where no
    folder was asked for, or every task whose data is there (`every`).

    Raises:
        BadInput: neither is there.
    """
    given = None if config.data is None else Path(config.data)
    if given is not None and not given.is_dir():
        raise BadInput(f"{given} is no folder; --data is a data set that scoresim build made, or a folder of sources.")
    if given is not None and (given / shards.MANIFEST).is_file():
        return given, None
    if given is not None and not every:
        return None, given
    found = read_json(checkpoint / checkpoints.CONFIG).get("provenance", {}).get("data")
    pairs = Path(found) if isinstance(found, str) and (Path(found) / shards.MANIFEST).is_file() else None
    if pairs is None and given is None:
        raise BadInput(f"the data set of {checkpoint} is not where it was; say where it is with --data.")
    return pairs, given


def absent(task: Task | PieceTask | Probe, data: Data | None, folder: Path | None) -> str:
    """Why a task cannot be asked, as a sentence; "" where it can."""
    if isinstance(task, PieceTask):
        sources = " and ".join(task.corpora)
        if folder is None or not present(task, folder):
            return f"the task {task.name} needs --data with the folder that holds {sources}. {task.obtain}"
        return ""
    if data is not None:
        return ""
    where = f": {folder} holds no data set" if folder is not None else ""
    return f"the task {task.name} needs --data with a data set that scoresim build made{where}."


def there(value: Value | None) -> Value:
    """What `absent` has found not to be missing."""
    assert value is not None
    return value
