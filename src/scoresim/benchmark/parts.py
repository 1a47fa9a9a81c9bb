"""A data set, or the pieces of some sources, as a learnt task asks for them: three parts as tensors with labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from scoresim.benchmark import metrics
from scoresim.benchmark.config import FinetuneConfig
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.piecewise import PARTS, Material, answers, in_keys, labels_of, windows
from scoresim.benchmark.task import Answers, Data, Figure, PieceTask, Task, View, some
from scoresim.data.batches import Passages, Windows
from scoresim.data.pair import Pair
from scoresim.data.rows import BatchConfig
from scoresim.errors import BadInput
from scoresim.model.precision import reading

READ_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Parts:
    """A data set as a learnt task asks for it.

    Attributes:
        task: the task.
        classes: names of the classes.
        train, valid, test: the passages, or the windows of pieces, of each part.
        labels: classes of all items of the training part.
        identity: of the data set.
        material: the pieces, of a task of whole pieces.
    """

    task: Task | PieceTask
    classes: tuple[str, ...]
    train: Passages
    valid: Passages
    test: Passages
    labels: Ints
    identity: str
    material: Material | None = None

    def answers(self, module: nn.Module, part: str, inputs: str) -> Answers:
        """What a trained head says about a part."""
        asked: Passages = getattr(self, part)
        if isinstance(asked, Windows) and self.material is not None:
            return answers(module, asked, self.material.parts[part], inputs)
        return predict(module, asked, inputs, self.task.name, self.task.level)

    def select(self, found: Answers) -> float:
        """The figure that chooses among states."""
        return self.task.select(found) if isinstance(self.task, Task) else self.task.select(found, self.classes)

    def evaluate(self, found: Answers, elsewhere: Mapping[str, Answers] | None = None) -> list[Figure]:
        """All figures; those of the pieces of other sources last, where their answers are given."""
        if isinstance(self.task, Task):
            return self.task.evaluate(found)
        figures = self.task.evaluate(found, self.classes)
        for place in self.task.elsewhere:
            if elsewhere is not None and place.name in elsewhere:
                figures += self.task.evaluate(elsewhere[place.name], self.classes, place)
        return figures

    def elsewhere(self, module: nn.Module, config: FinetuneConfig, inputs: str) -> dict[str, Answers]:
        """What a trained head says about the pieces of other sources, by name, of a task that names some."""
        found = {}
        for place, material in self.material.elsewhere if self.material is not None else ():
            asked = windows(material, "test", self.test.config, config)
            found[place.name] = answers(module, asked, material.parts["test"], inputs)
        return found


def prepare(task: Task, data: Data, batches: BatchConfig, config: FinetuneConfig) -> Parts:
    """The passages of a data set that a task can ask, as tensors with labels.

    Raises:
        BadInput: a part has no passage for this task.
    """
    classes = task.classes(data.split("train"))
    passages: dict[str, Passages] = {}
    views: dict[str, View] = {}
    most = {"train": 0, "valid": config.max_valid, "test": config.max_test}

    def labels(pair: Pair) -> dict[str, Any]:
        found = task.labels(pair, classes)
        return {task.name: found if task.level == "note" else int(found[0])}

    for part, limit in most.items():
        split = data.split(part)
        views[part] = View(split, some(task.rows(split, classes), limit, seed=0))
        if not views[part].rows:
            raise BadInput(f"the {part} part has no passage for the task {task.name}; build a larger data set.")
        passages[part] = Passages(views[part], batches, labels)
    train = np.concatenate([task.labels(pair, classes) for pair in views["train"]])
    identity = hashlib.sha256(json.dumps(data.manifest, sort_keys=True).encode()).hexdigest()
    return Parts(task, classes, passages["train"], passages["valid"], passages["test"], train, identity)


def prepare_pieces(material: Material, batches: BatchConfig, config: FinetuneConfig) -> Parts:
    """The windows of a task of whole pieces, as tensors with labels."""
    if config.augment and config.inputs == "notes":
        material = in_keys(material)
    parts = {part: windows(material, part, batches, config) for part in PARTS}
    labels = labels_of(material, "train")
    identity = f"{material.identity} {config.notes or material.task.notes}"
    return Parts(material.task, material.classes, **parts, labels=labels, identity=identity, material=material)


def predict(module: nn.Module, passages: Passages, inputs: str, task: str, level: str) -> Answers:
    """What a trained head says about all passages, read in batches of like size; padding is left out."""
    device = next(module.parameters()).device
    order = np.argsort(passages.size, kind="stable")
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    module.eval()
    with reading(device):
        for start in range(0, len(order), READ_AT_ONCE):
            batch = passages.gather(order[start : start + READ_AT_ONCE]).to(device)
            logits = module(*batch.inputs(inputs)).float().cpu().numpy()
            labels = batch.labels[task].cpu().numpy()
            for b, i in enumerate(batch.index.tolist()):
                truth, said = np.atleast_1d(labels[b]), np.atleast_2d(logits[b])
                found[i] = truth[truth >= 0], said[truth >= 0]
    works, _ = metrics.groups_of(passages.source.column("work"))
    rows = range(len(passages))
    return Answers(
        truth=np.concatenate([found[i][0] for i in rows]).astype(np.int64),
        scores=np.concatenate([found[i][1] for i in rows]).astype(np.float32),
        work=np.concatenate([np.full(len(found[i][0]), works[i]) for i in rows]),
    )
