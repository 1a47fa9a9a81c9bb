"""Publish a finished demo: results/demo.json, results/demo.md, and the short table in README.md.

    python docs/make_results.py [runs/demo]

The rows are those that `scoresim study` wrote; nothing is typed by hand.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results -->\n", "<!-- /results -->"
IMAGE, MIDI = "score images and MIDI", "MIDI alone"
RULES = (("note heads", "none (bootleg score)"), ("nothing", "none (chance)"))
SHOWN = (  # what the README says, and which row it is: (what, metric, [(heading, inputs begin with, pre-training)])
    ("Hidden pitches of a bar", "hidden pitch", "accuracy", (("both", IMAGE), ("notes", IMAGE), ("notes", MIDI))),
    ("Hidden durations of a bar", "hidden duration", "accuracy", (("both", IMAGE), ("notes", IMAGE), ("notes", MIDI))),
    ("Do image and notes match?", "matching: all", "accuracy", (("both", IMAGE),)),
    ("Image to notes", "retrieval, image to notes", "R@1", (("each", IMAGE), *RULES)),
    ("Notes to image", "retrieval, notes to image", "R@1", (("each", IMAGE), *RULES)),
    ("Style of a passage", "style, passages", "macro-F1", ()),
    ("Notes of the top staff", "top staff, notes", "accuracy", ()),
)


def percent(row: dict[str, Any]) -> str:
    """A value with its interval, in percent."""
    low, high = row["ci95"]
    return f"{100 * row['value']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def table(rows: list[dict[str, Any]]) -> str:
    """The README's table."""
    lines = [
        "| question | metric | model reads | pre-trained on | % (95 % interval over works) | n |",
        "|---|---|---|---|--:|--:|",
    ]
    for title, what, metric, wanted in SHOWN:
        for row in rows:
            if row["what"].partition(", pool")[0] != what or row["metric"] != metric:
                continue
            if wanted and not any(row["inputs"].startswith(i) and row["pretraining"] == p for i, p in wanted):
                continue
            lines.append(
                f"| {title} | {metric} | {row['inputs']} | {row['pretraining']} | {percent(row)} | {row['n']} |"
            )
    return "\n".join(lines)


def main(study: Path) -> None:
    """Write the three files."""
    rows = json.loads((study / "benchmark" / "results.json").read_text(encoding="utf-8"))
    steps = json.loads((study / "study.json").read_text(encoding="utf-8"))
    (ROOT / "results").mkdir(exist_ok=True)
    shutil.copy(study / "benchmark" / "results.json", ROOT / "results" / "demo.json")
    shutil.copy(study / "benchmark" / "results.md", ROOT / "results" / "demo.md")
    minutes = sum(step["seconds"] for step in steps["steps"].values()) / 60
    note = (
        f"Held-out works, one seed; made by `make demo` in {minutes:.1f} minutes on two cores, "
        f"{steps['peak_memory'] / 1e9:.1f} GB at most. All rows, with their commands:\n"
        "[results/demo.json](results/demo.json), [results/demo.md](results/demo.md)."
    )
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    readme.write_text(f"{head}{BEGIN}{table(rows)}\n\n{note}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "demo")
