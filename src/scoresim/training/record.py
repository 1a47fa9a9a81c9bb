"""What a run leaves behind for people beside its log: what it was started with, and its curves for TensorBoard."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from scoresim.environment import environment, git_state
from scoresim.files import append, refused
from scoresim.model.precision import use_bf16

NO_MATTER = {"step", "time", "processors"}  # what may differ between two starts without a word

_logger = logging.getLogger("scoresim")


def record_start(path: Path, step: int, device: str, precision: str) -> None:
    """Add to `path`, a line of JSON per start of a run, what it goes on with; say so when that is not as before.

    It is a record: nothing is decided by it, and a damaged one is no reason to stop.

    Args:
        path: of the record.
        step: from which the run goes on.
        device, precision: as in `TrainConfig`.

    Raises:
        BadInput: it cannot be written.
    """
    now = starting_point(device, precision)
    before = last_start(path)
    old, new = flat(before), flat(now)
    changed = [
        f"{name} {old.get(name)} -> {new.get(name)}" for name in sorted(old | new) if old.get(name) != new.get(name)
    ]
    if before and changed:
        _logger.warning(
            "%s goes on under other conditions, so its numbers may differ from those of an undisturbed run: %s.",
            path.parent,
            ", ".join(changed),
        )
    append(path, json.dumps({"step": step, "time": datetime.now(UTC).isoformat(timespec="seconds"), **now}) + "\n")


def starting_point(device: str, precision: str) -> dict[str, Any]:
    """The program, its commit (None outside of a repository), the libraries and the machine (not its name)."""
    cuda = torch.device(device).type == "cuda"
    return {
        **environment(),
        **(git_state() or {"commit": None, "dirty": None}),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if cuda else device,
        "bf16": use_bf16(precision, torch.device(device)),
    }


def last_start(path: Path) -> dict[str, Any]:
    """The last whole line of a record of starts; empty where there is none."""
    with suppress(OSError, ValueError, IndexError):
        found = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        return found if isinstance(found, dict) else {}
    return {}


def flat(start: Mapping[str, Any]) -> dict[str, Any]:
    """What of a start has to be as before, with the versions among the rest."""
    versions = start.get("versions")
    kept = {name: value for name, value in start.items() if name not in NO_MATTER | {"versions"}}
    return {**kept, **(versions if isinstance(versions, dict) else {})}


class Curves:
    """The figures of a run as points for TensorBoard: one file per start, made when there is a first point.

    A point is on the disk before the state that covers it is saved, and it is written by the caller's own thread, so
    that a full disk stops the run with a sentence. A file begins with the mark at which TensorBoard forgets the later
    points of the files before it: those of a run that was killed before it saved a state.

    Args:
        folder: of the files.
        step: from which the run goes on.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder, self.step = folder, step
        self._file: Any = None

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Add one point per figure.

        Raises:
            BadInput: they cannot be written.
        """
        if not has_tensorboard():
            return
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        points = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        try:
            if self._file is None:
                self._open()
                self._write(Event(file_version="brain.Event:2"))
                self._write(Event(step=self.step + 1, session_log=SessionLog(status=SessionLog.START)))
            self._write(Event(step=step, summary=Summary(value=points)))
            self._file.flush()
        except OSError as error:
            raise refused(self.folder, error) from error

    def close(self) -> None:
        """Close the file; what was added is in it already."""
        if self._file is not None:
            with suppress(OSError):  # the sentence about a full disk was said
                self._file.close()

    def _open(self) -> None:
        from tensorboardX import RecordWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files in the order of their names, and knows them by the word tfevents
        self._file = RecordWriter(str(self.folder / f"events.out.tfevents.{int(time.time())}.{self.step:09}"))

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._file.write(event.SerializeToString())


@cache
def has_tensorboard() -> bool:
    """Whether points for TensorBoard can be written; says it once when they cannot."""
    found = find_spec("tensorboardX") is not None
    if not found:
        _logger.info("No curves for TensorBoard, log.jsonl alone: pip install 'scoresim[train]' brings tensorboardX.")
    return found
