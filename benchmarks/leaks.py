"""Does what a task asks stand in the training part of a data set? Item by item and work by work, for every task.

    python benchmarks/leaks.py DATA FOLDER

DATA is a built data set, FOLDER holds the sources of the tasks of pieces. A piece of a task's validation or test part
is `seen` when the data set has passages of it in its training part, and `work seen` when it has passages of its work
there: of another edition, performance or clip. Works are the data set's own, in which near-duplicates have been found
by content over all sources (`scoresim.data.similar`); a piece of which the data set holds no passage at all, because
none was accepted or because it is a copy, is judged by the work that its source names. Prints a table and ends with
one line of JSON; leaves with 1 when a piece of any task but `emotion_midibert` is seen, whose published split tears
songs apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from scoresim.benchmark import tasks
from scoresim.benchmark.piecewise import asked, present
from scoresim.benchmark.task import PieceTask
from scoresim.data import shards

TORN = "emotion_midibert"


def known(data: Path) -> tuple[dict[tuple[str, str], str], dict[str, set[str]]]:
    """Of a data set: the work of every (corpus, item), and the parts in which every work has passages."""
    works: dict[tuple[str, str], str] = {}
    parts: dict[str, set[str]] = defaultdict(set)
    pairs = shards.open(data)
    for part in pairs.manifest["shards"]:
        split = pairs.split(part)
        for corpus, item, work in zip(*(split.column(name) for name in ("corpus", "item", "work")), strict=True):
            works[corpus, item] = work
            parts[work].add(part)
            parts[f"{corpus}/{item}"].add(part)
    return works, parts


def judged(
    task: PieceTask, folder: Path, works: dict[tuple[str, str], str], parts: dict[str, set[str]]
) -> dict[str, Any]:
    """One row of the table."""
    row = {"task": task.name, "asked": 0, "absent": 0, "seen": 0, "work_seen": 0}
    for name, items in asked(task, folder).items():
        for item, part in items:
            if part not in ("valid", "test"):
                continue
            row["asked"] += 1
            row["absent"] += (name, item.id) not in works
            row["seen"] += "train" in parts.get(f"{name}/{item.id}", ())
            row["work_seen"] += "train" in parts.get(works.get((name, item.id), item.work), ())
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    works, parts = known(given.data)
    rows = []
    print(f"{'task':24}{'asked':>8}{'absent':>8}{'seen':>8}{'work seen':>11}")
    for name in tasks.names():
        task = tasks.get(name)
        if isinstance(task, PieceTask) and present(task, given.folder):
            row = judged(task, given.folder, works, parts)
            print(f"{name:24}{row['asked']:8}{row['absent']:8}{row['seen']:8}{row['work_seen']:11}", flush=True)
            rows.append(row)
    print(json.dumps({"benchmark": "leaks", "rows": rows}))
    return int(any(row["seen"] for row in rows if row["task"] != TORN))


if __name__ == "__main__":
    sys.exit(main())
