"""Which share of the notated files becomes at least one pair, and why the others do not.

Usage: python benchmarks/notated_yield.py [--files 300] [--seed 0] [--data ../shared/data] [--list]

Every file of music21's corpus and of the data sets counts once (of a tune book one tune, drawn by the seed); 0 files
means all. A file is drawn page by page until its first pair, with the rules that `scoresim build` has by default.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from exactness import ROOT, Task, doubtful, notation_of, roots, sample

from scoresim.data.pair import PassageRules, Rejected, excerpt, make_pair
from scoresim.score.engrave import EngraveConfig, Engraving
from scoresim.score.sandbox import Failure, run_all
from scoresim.score.tokens import default_vocabulary

ABOUT = dict.fromkeys(("id", "corpus", "item", "work", "style", "composer", "title", "split"), "")


def first_pair(task: Task) -> tuple[bool, dict[str, int]]:
    """Whether the file gives a pair, and why the passages before it were refused; runs in a worker process."""
    text = notation_of(task)
    engraving = Engraving(text, EngraveConfig(), str(task.path), task.form == "abc")
    score, rules = engraving.reading.score, PassageRules()
    wrong = doubtful(task, score)
    reasons = Counter[str]()
    for page in range(engraving.pages):
        for layout in engraving.page(page):
            try:
                bars = engraving.bars(layout)
                taken = excerpt(score, bars, default_vocabulary(), rules)
                make_pair(taken, (engraving.draw(layout),), rules, dict(ABOUT))
            except (Rejected, ValueError) as reason:
                reasons[str(reason)] += 1
                continue
            if why := engraving.misleads(bars):
                reasons[why] += 1
                continue
            if wrong & set(bars):
                reasons["the engraver reads a bar otherwise than the file says"] += 1
                continue
            return True, reasons
    return False, reasons


def measure(tasks: list[Task]) -> tuple[dict[str, Any], list[tuple[Task, str]]]:
    """The share of the tasks that give a pair by format, and those that do not with their main reason."""
    files, pairs = Counter[str](), Counter[str]()
    lost: list[tuple[Task, str]] = []
    for i, outcome in run_all(first_pair, tasks, 1, 60.0):
        task = tasks[i]
        files[task.form] += 1
        if isinstance(outcome, Failure):
            lost.append((task, re.sub(r"^/\S+|/\S+/\S+", "FILE", outcome.reason.replace(str(task.path), "FILE"))))
        elif outcome[0]:
            pairs[task.form] += 1
        else:
            main_reason = Counter(outcome[1]).most_common(1)
            lost.append((task, main_reason[0][0] if main_reason else "no passages"))
    shares = {form: [pairs[form], files[form]] for form in sorted(files)}
    return {"files": sum(files.values()), "with a pair": sum(pairs.values()), "by format": shares}, lost


def main() -> int:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--list", action="store_true", help="name every file without a pair")
    options = parser.parse_args()
    tasks = [
        t for f in ("musicxml", "mxl", "kern", "abc") for t in sample(f, roots(options.data), 1 << 30, options.seed)
    ]
    if options.files:
        tasks = random.Random(options.seed).sample(tasks, min(options.files, len(tasks)))
    result, lost = measure(tasks)
    for form, (pairs, files) in result["by format"].items():
        print(f"{form:9} {pairs:5} of {files:5}  {pairs / files:8.2%}")
    print(f"{'all':9} {result['with a pair']:5} of {result['files']:5}  {result['with a pair'] / result['files']:8.2%}")
    for reason, n in Counter(reason for _, reason in lost).most_common():
        print(f"{n:5}  {reason}")
    if options.list:
        for task, reason in lost:
            print(f"{task.path} {'' if task.tune is None else task.tune}: {reason}")
    result["reasons"] = dict(Counter(reason for _, reason in lost).most_common())
    print(json.dumps({"benchmark": "notated_yield", "seed": options.seed} | result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
