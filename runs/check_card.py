"""Make the figures that the model card names again, from what is installed: the weights, and music21's corpus.

    python runs/check_card.py [--model small] [--out runs/check] [--write]

Builds a small set, asks the held-out works in it, and compares with results/MODEL/check.json to the last of four
digits. Exit code 1 when one differs. With `--write` the figures become those of the card.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from scoresim.checkpoint import BUNDLED, CONFIG
from scoresim.cli import run
from scoresim.files import read_json, write_json

CORPORA = ("bach_chorales", "monteverdi_madrigals", "oneill_1850", "quartets", "trecento")
BUILD = ("--limit", "60", "--max-passages", "6", "--workers", "2")
ASK = ("pretraining", "retrieval", "--probe", "300", "--pool", "300", "--looks", "clean")
WANTED = (
    ("hidden pitch", "accuracy", "both"),
    ("matching: another piece", "accuracy", "both"),
    ("retrieval, image to notes", "R@1", "each alone"),
    ("retrieval, notes to image", "R@1", "each alone"),
)


def main() -> int:
    """Make and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted(file.parent.name for file in BUNDLED.glob(f"*/{CONFIG}"))
    parser.add_argument("--model", default="small", choices=names)
    parser.add_argument("--out", type=Path, default=Path("runs/check"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    data, results = given.out / "data", given.out / f"results-{given.model}"
    card = Path(__file__).parent.parent / "results" / given.model / "check.json"
    if not given.write and not card.is_file():
        parser.error(f"{card} is not there; write it first, with --write.")
    sources = [word for name in CORPORA for word in ("--corpus", name)]
    for words in (
        ["build", str(data), *sources, *BUILD],
        ["benchmark", *ASK, "--checkpoint", given.model, "--data", str(data), "--out", str(results)],
    ):
        if run(words):
            return 1
    rows = json.loads((results / "results.json").read_text(encoding="utf-8"))
    found = []
    for what, metric, inputs in WANTED:
        [row] = [
            row
            for row in rows
            if (row["what"] == what or row["what"].startswith(f"{what}, pool"))
            and row["metric"] == metric
            and row["inputs"].startswith(inputs)
            and row["pretraining"] == "score images and MIDI"
        ]
        found.append({"what": row["what"], "metric": metric, "value": round(row["value"], 4), "n": row["n"]})
    if given.write:
        write_json(card, found)
        return 0
    expected = read_json(card)
    for one, other in zip(found, expected, strict=True):
        print(f"{one['what']}: {one['metric']} {one['value']:.4f}, the card says {other['value']:.4f}")
    return int(found != expected)


if __name__ == "__main__":
    sys.exit(main())
