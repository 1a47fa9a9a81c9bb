"""What a head that comes with some weights knows of each source of a task: of those it has learnt from, and of others.

    python benchmarks/heads.py MODEL DATA TASK [--head NAME] [--part test] [--keep DIR] [--played]

MODEL is a name that `scoresim.load` takes, or a folder of weights with heads beside them; DATA the folder of the
sources. TASK is a task of whole pieces, read from notes, whose classes are those of the head; without a name, the one
head is asked that fits. It answers the test part source by source (the validation part, to choose among heads), and
beside it the rule of the task, or, of whole pieces, the most frequent class of all training pieces; and then the pieces
of all sources together. With --played only pieces that were read from notation are asked, as written and as somebody
would play them (`data/rubato.py`: by rule, seeded by their names), beats estimated. Prints a table with 95 % intervals
over works and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import scoresim
from scoresim.benchmark import baselines, metrics, tasks
from scoresim.benchmark.metrics import Ints
from scoresim.benchmark.piecewise import Material, gather, labels_of
from scoresim.benchmark.task import Answers, PieceTask
from scoresim.data.pieces import Piece
from scoresim.data.rubato import play_all
from scoresim.data.seen import seen
from scoresim.errors import BadInput
from scoresim.understand import Sim
from scoresim.understand.heads import Head, of_pieces

TOGETHER = 16  # pieces that are asked at a time
ALL = "all of them"  # sources together
WRITTEN, PLAYED = ", written", ", played"


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


@dataclass(frozen=True, eq=False)
class Asked:
    """A piece, and its class, [1], or those of its notes, [N]; how it came to be, "" as it was read."""

    piece: Piece
    truth: Ints
    how: str = ""


def asked_of(pieces: Sequence[Piece], material: Material, folder: Path | None = None) -> list[Asked]:
    """Pieces with their classes; or those that were written, and the same as they are played, kept in a folder."""
    label = material.label
    if folder is None:
        return [Asked(piece, np.atleast_1d(label(piece))) for piece in pieces]
    found = play_all(pieces, folder)
    of_notes = material.task.level == "note"
    written, heard = [], []
    for piece, playing, note in found:
        truth = np.atleast_1d(label(piece))
        written.append(Asked(piece, truth, WRITTEN))
        heard.append(Asked(playing, truth[note] if of_notes else truth, PLAYED))
    return written + heard


def answered(asked: Sequence[Asked], said: Sequence[Any]) -> Answers:
    """What was said of some pieces, [C] or of their notes, [N, C], beside the truth."""
    truth, pieces = [one.truth for one in asked], [one.piece for one in asked]
    lengths = [len(some) for some in truth]
    works, _ = metrics.groups_of([piece.work for piece in pieces])
    scores = np.concatenate([np.atleast_2d(some) for some in said]).astype(np.float32)
    index = np.repeat(np.arange(len(pieces)), lengths)
    return Answers(np.concatenate(truth).astype(np.int64), scores, np.repeat(works, lengths), index)


def rows(task: PieceTask, classes: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
    """The metrics of some answers; of whole pieces where a piece has one class."""
    return [f.row() for f in task.evaluate(answers, classes) if task.level == "note" or "pieces" in f.what]


def said_of(asked: Sequence[Asked], sim: Sim, name: str, head: Head, material: Material) -> dict[str, list[Any]]:
    """What a head says of some pieces, and what the rule of the task or the most frequent class says: by who it is."""
    task, classes = material.task, material.classes
    pieces = [one.piece for one in asked]
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
    parser.add_argument("--played", action="store_true", help="ask notated pieces as written and as played by rule")
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
    print(f"{'source':18}{'who':32}{'metric':24}{'value':>7}  95 %              n")

    def show(source: str, learnt: bool, some: Sequence[tuple[Asked, dict[str, Any]]]) -> None:
        for how in sorted({one.how for one, _ in some}):
            of_these = [(one, said) for one, said in some if one.how == how]
            for who in of_these[0][1]:
                answers = answered([one for one, _ in of_these], [said[who] for _, said in of_these])
                for row in rows(task, classes, answers):
                    low, high = row["ci95"]
                    who_and_what = f"{source:18}{who + how:32}{row['metric']:24}"
                    print(f"{who_and_what}{row['value']:7.3f}  {low:.3f} to {high:.3f} {row['n']:8}", flush=True)
                    found.append({"task": task.name, "source": source, "learnt": learnt, "who": who + how} | row)

    every: list[tuple[Asked, dict[str, Any]]] = []
    for source in task.corpora:
        pieces = [piece for piece in material.parts[given.part] if piece.corpus == source]
        asked = asked_of(pieces, material, given.keep if given.played else None)
        if asked:
            said = said_of(asked, sim, name, head, material)
            of_each = [dict(zip(said, some, strict=True)) for some in zip(*said.values(), strict=True)]
            every += (new := list(zip(asked, of_each, strict=True)))
            show(source, source in head.config.corpora, new)
    if len({one.piece.corpus for one, _ in every}) > 1:
        show(ALL, set(task.corpora) <= set(head.config.corpora), every)
    print(json.dumps({"benchmark": "heads", "rows": found}, ensure_ascii=False))


if __name__ == "__main__":
    main()
