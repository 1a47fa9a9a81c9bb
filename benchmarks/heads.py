"""What a head that comes with some weights knows of each source of a task: of those it has learnt from, and of others.

    python benchmarks/heads.py MODEL DATA TASK [--head NAME] [--part test] [--keep DIR]

MODEL is a name that `scoresim.load` takes, or a folder of weights with heads beside them; DATA the folder of the
sources. TASK is a task of whole pieces, read from notes, whose classes are those of the head; without a name, the one
head is asked that fits. It answers the test part source by source (the validation part, to choose among heads), and
beside it the rule of the task, or, of whole pieces, the most frequent class of all training pieces; and then the pieces
of all sources together. Prints a table with 95 % intervals over works and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import scoresim
from scoresim.benchmark import baselines, metrics, tasks
from scoresim.benchmark.piecewise import Material, gather, labels_of
from scoresim.benchmark.task import Answers, PieceTask
from scoresim.data.pieces import Piece
from scoresim.data.seen import seen
from scoresim.errors import BadInput
from scoresim.understand import Sim
from scoresim.understand.heads import Head, of_pieces

TOGETHER = 16  # pieces that are asked at a time
ALL = "all of them"  # sources together


def fitting(sim: Sim, task: PieceTask, classes: Sequence[str], name: str | None) -> tuple[str, Head]:
    """The head that answers a task; of this name, or the only one."""
    fits = {
        one: head
        for one, head in sim.heads.items()
        if (head.config.level, head.config.classes, head.config.inputs) == (task.level, tuple(classes), "notes")
        and name in (None, one)
    }
    if len(fits) != 1:
        some = ", ".join(fits) or "none"
        raise BadInput(f"one head of {sim.name} has to answer {task.name}, and there is {some}; say which with --head.")
    return next(iter(fits.items()))


def answered(task: PieceTask, classes: Sequence[str], pieces: Sequence[Piece], said: Sequence[Any]) -> Answers:
    """What was said of some pieces, [C] or of their notes, [N, C], beside the truth."""
    truth = [np.atleast_1d(task.label(piece, classes)) for piece in pieces]
    lengths = [len(some) for some in truth]
    works, _ = metrics.groups_of([piece.work for piece in pieces])
    scores = np.concatenate([np.atleast_2d(some) for some in said]).astype(np.float32)
    index = np.repeat(np.arange(len(pieces)), lengths)
    return Answers(np.concatenate(truth).astype(np.int64), scores, np.repeat(works, lengths), index)


def rows(task: PieceTask, classes: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
    """The metrics of some answers; of whole pieces where a piece has one class."""
    return [f.row() for f in task.evaluate(answers, classes) if task.level == "note" or "pieces" in f.what]


def said_of(pieces: Sequence[Piece], sim: Sim, name: str, head: Head, material: Material) -> dict[str, list[Any]]:
    """What a head says of some pieces, and what the rule of the task or the most frequent class says: by who it is."""
    task, classes = material.task, material.classes
    said: dict[str, list[Any]] = {sim.name: []}
    with sim.reading():
        for start in range(0, len(pieces), TOGETHER):
            said[sim.name] += of_pieces({name: head}, pieces[start : start + TOGETHER], sim.rows)[name]
    if task.rule is not None:
        rule, says = task.rule
        said[rule] = [says(seen(piece, task.hidden), classes) for piece in pieces]
    elif task.level == "sequence":
        said["majority class"] = list(baselines.majority(labels_of(material, "train"), len(pieces), len(classes)))
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("task")
    parser.add_argument("--head", help="name of the head, where several fit")
    parser.add_argument("--part", choices=("test", "valid"), default="test")
    parser.add_argument("--keep", type=Path, default=Path("runs/pieces"), help="where pieces are kept")
    given = parser.parse_args()
    task, sim = tasks.learnt(given.task), scoresim.load(given.model)
    if not isinstance(task, PieceTask):
        raise BadInput(f"{task.name} is asked of passages, not of whole pieces.")
    material = gather(task, given.data, given.keep, images=False)
    classes = material.classes
    name, head = fitting(sim, task, classes, given.head)
    found: list[dict[str, Any]] = []
    print(f"{sim.name}, head {name}, learnt from {', '.join(head.config.corpora)}; {given.part} part")
    print(f"{'source':18}{'who':24}{'metric':24}{'value':>7}  95 %              n")

    def show(source: str, learnt: bool, pieces: Sequence[Piece], said: Mapping[str, Sequence[Any]]) -> None:
        for who, some in said.items():
            for row in rows(task, classes, answered(task, classes, pieces, some)):
                low, high = row["ci95"]
                who_and_what = f"{source:18}{who:24}{row['metric']:24}"
                print(f"{who_and_what}{row['value']:7.3f}  {low:.3f} to {high:.3f} {row['n']:8}", flush=True)
                found.append({"task": task.name, "source": source, "learnt": learnt, "who": who} | row)

    asked: list[Piece] = []
    answers: dict[str, list[Any]] = {}
    for source in task.corpora:
        pieces = [piece for piece in material.parts[given.part] if piece.corpus == source]
        said = said_of(pieces, sim, name, head, material)
        if pieces:
            show(source, source in head.config.corpora, pieces, said)
        asked += pieces
        answers = {who: answers.get(who, []) + some for who, some in said.items()}
    if len({piece.corpus for piece in asked}) > 1:
        show(ALL, set(task.corpora) <= set(head.config.corpora), asked, answers)
    print(json.dumps({"benchmark": "heads", "rows": found}, ensure_ascii=False))


if __name__ == "__main__":
    main()
