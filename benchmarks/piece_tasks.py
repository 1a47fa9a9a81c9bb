"""What the tasks of whole pieces ask: pieces of each part, items and works of the test part, shares of its classes.

    python benchmarks/piece_tasks.py FOLDER [TASK...] [--keep DIR]

FOLDER holds the sources, each under its name; a task whose sources are not there is left out with a line. Beside the
sizes stands what the most frequent class of the training part gets on the test part, in the first metric of the task,
over notes or pieces, and what the task's rule gets where it has one, over notes or windows. Nothing is engraved. The
figures of docs/benchmark.md. Ends with one line of JSON, in it the rule's intervals.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from scoresim.benchmark import baselines, metrics, tasks
from scoresim.benchmark.piece_baselines import items_of, rules
from scoresim.benchmark.piecewise import Material, gather, labels_of, present
from scoresim.benchmark.task import PieceTask


def sizes(task: PieceTask, folder: Path, keep: Path) -> dict[str, Any]:
    """One row of the table."""
    material = gather(task, folder, keep, images=False)
    items = items_of(material, "test")
    train, test = labels_of(material, "train"), labels_of(material, "test")
    most = baselines.majority(train, len(items.truth), len(material.classes))
    answers = items.answered(most).by_piece() if task.level == "sequence" else items.answered(most)
    name, measure = next(iter(task.measures(material.classes).items()))
    table = metrics.confusion(answers.truth, answers.predicted, len(material.classes))
    share = np.bincount(test[test >= 0], minlength=len(material.classes)) / max((test >= 0).sum(), 1)
    return {
        "task": task.name,
        "works": len({piece.work for piece in material.parts["test"]}),
        "pieces": [len(some) for some in material.parts.values()],
        "asked": int((items.truth >= 0).sum()),
        "of": task.items,
        "metric": name,
        "rule": ruled(material),
        "majority": round(float(measure(table.sum(0))), 4),
        "shares": {label: round(float(s), 4) for label, s in zip(material.classes, share, strict=True)},
    }


def ruled(material: Material) -> dict[str, Any] | None:
    """What the rule of a task gets on the test part, in the first metric; None where there is none."""
    task = material.task
    if task.rule is None:
        return None
    [rule] = [one for one in rules(material, music21=False) if one.name == task.rule[0]]
    return {"name": rule.name, **task.evaluate(rule.answer(), material.classes)[0].row()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", nargs="*", help="names; none is all")
    parser.add_argument("--keep", type=Path, default=Path("runs/pieces"), help="where pieces are kept")
    asked = parser.parse_args()
    rows = []
    print(f"{'task':24}{'works':>7}{'train/valid/test':>20}{'asked':>10}  {'majority':8}{'rule':>8}  of, metric")
    for name in asked.tasks or tasks.names():
        task = tasks.get(name)
        if not isinstance(task, PieceTask):
            continue
        if not present(task, asked.folder):
            print(f"{name}: its sources are not in {asked.folder}", file=sys.stderr)
            continue
        row = sizes(task, asked.folder, asked.keep)
        pieces = "/".join(map(str, row["pieces"]))
        rule = "" if row["rule"] is None else f"{row['rule']['value']:.4f}"
        tail = f"{row['majority']:8.4f}{rule:>8}  {row['of']}, {row['metric']}"
        print(f"{name:24}{row['works']:7}{pieces:>20}{row['asked']:10}  {tail}", flush=True)
        rows.append(row)
    print(json.dumps({"benchmark": "piece_tasks", "rows": rows}, ensure_ascii=False))


if __name__ == "__main__":
    main()
