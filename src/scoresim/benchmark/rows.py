"""Rows of results.json and of the tables that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from scoresim.benchmark.config import Inputs
from scoresim.benchmark.costs import UNKNOWN, Cost
from scoresim.benchmark.task import PieceTask, Result, Task

Row = dict[str, Any]
COLUMNS = ("what", "inputs", "pre-training", "metric", "value", "95 %", "n", "seeds")
COSTS = ("parameters", "training")
LEFT = 4  # columns of words


def row_of(result: Result, pretraining: str, seeds: tuple[int, ...] = (), cost: Cost = UNKNOWN) -> Row:
    """A figure as a row of results.json, without the command that gave it (`stamped`)."""
    score = result.score
    return {
        "what": result.what,
        "inputs": result.inputs,
        "pretraining": pretraining,
        "metric": result.metric,
        "value": round(score.value, 6),
        "ci95": [round(score.low, 6), round(score.high, 6)],
        "n": score.n,
        "seeds": list(seeds),
        **asdict(cost),
    }


def published_rows(task: PieceTask) -> list[Row]:
    """What others have published, marked as such; without an interval, for they give none over pieces."""
    return [
        {
            "what": f"{task.name.replace('_', ' ')}, {'pieces' if figure.of_pieces else task.items}",
            "inputs": "notes",
            "pretraining": f"published: {figure.name}",
            "metric": figure.metric,
            "value": figure.value,
            "ci95": None,
            "n": None,
            "seeds": [],
            **asdict(UNKNOWN),
            "command": f"published; differs: {figure.differs}",
        }
        for figure in task.published
    ]


def stamped(rows: Sequence[Row], command: str, commit: str) -> list[Row]:
    """Rows that say which command gave them, where they do not say where else they are from, at which commit."""
    return [row | {"command": row.get("command", command), "commit": commit} for row in rows]


def describe(inputs: Inputs, task: Task | PieceTask, blanks: bool, notes: int = 0) -> str:
    """The inputs of a row in words: where the image is from; `notes` of a window, if not the task's own number."""
    said = []
    if inputs != "notes":
        engraved = isinstance(task, PieceTask) and not task.composers
        said.append("engraved from the notes" if engraved else "composer's notation")
    said += ["notes as blanks"] if blanks else []
    said += [f"windows of {notes:,}"] if notes and isinstance(task, PieceTask) and task.level == "note" else []
    return f"{inputs} ({'; '.join(said)})" if said else inputs


def markdown(rows: Sequence[Row], comparisons: Sequence[Row] = ()) -> str:
    """Rows as a Markdown table, with what they cost where any says so, and the paired comparisons under it."""
    costs = [Cost(**{f.name: row.get(f.name) for f in fields(Cost)}).words() for row in rows]
    columns = COLUMNS + COSTS * any(any(words) for words in costs)
    lines = [f"| {' | '.join(columns)} |", "|---" * LEFT + "|--:" * (len(columns) - LEFT) + "|"]
    for row, spent in zip(rows, costs, strict=True):
        cells = [row["what"], row["inputs"], row["pretraining"], row["metric"], f"{row['value']:.3f}"]
        cells += ["" if row["ci95"] is None else "{:.3f} to {:.3f}".format(*row["ci95"])]
        cells += ["" if row["n"] is None else str(row["n"]), str(len(row["seeds"]) or "")]
        lines.append(f"| {' | '.join([*cells, *spent][: len(columns)])} |")
    if comparisons:
        lines += ["", "| comparison, paired over works | metric | difference | 95 % | p | works |"]
        lines.append("|---|---|--:|--:|--:|--:|")
    for row in comparisons:
        window = row["a"].partition("(windows of ")[2].partition(")")[0]
        cells = [row["what"] + f", windows of {window}" * bool(window), row["metric"], f"{row['difference']:+.3f}"]
        cells += ["{:+.3f} to {:+.3f}".format(*row["ci95"]), f"{row['p']:.3f}", str(row["works"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
