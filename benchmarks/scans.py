"""Which score is this page? Real scans of pages against the scores of all works there.

    python benchmarks/scans.py CHECKPOINT SCANS [--split valid,test] [--pages 0]

SCANS is a folder with labels.csv (file, split, score) and its pictures; scores lie there or beside it. A page is cut
into systems (`data.page`), each read alone; a score is read in stretches of bars of many widths (`data.given`). A score
is as good as the best way to lay the page's systems along it (`data.align`). Prints a line and ends with one
of JSON: R@1, R@5 and MRR with the number of pages and of scores; pages on which nothing was found count as not found.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import numpy as np

from scoresim.data.align import align
from scoresim.data.given import read_notes, read_pages
from scoresim.score.sandbox import Failure
from scoresim.understand import Sim


def there(root: Path, name: str) -> Path:
    """A file of labels.csv, in the folder or beside it."""
    found = [base / name for base in (root, root.parent) if (base / name).is_file()]
    if not found:
        sys.exit(f"{name} is neither in {root} nor beside it")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--split", default="valid,test", help="whose pages are asked")
    parser.add_argument("--pages", type=int, default=0, help="at most so many, drawn by chance; 0 is all")
    asked = parser.parse_args()
    sim = Sim.from_pretrained(asked.checkpoint)
    with (asked.scans / "labels.csv").open(encoding="utf-8", newline="") as file:
        labels = list(csv.DictReader(file))
    scores = sorted({row["score"] for row in labels})
    pages = [row for row in labels if row["split"] in asked.split.split(",")]
    if asked.pages and asked.pages < len(pages):
        pages = [pages[i] for i in np.random.default_rng(0).permutation(len(pages))[: asked.pages]]
    begun = time.perf_counter()
    read = read_notes([there(asked.scans, name) for name in scores])
    known = {
        name: sim.embed_piece(piece, name)
        for name, piece in zip(scores, read, strict=True)
        if not isinstance(piece, Failure)
    }
    of_notes = time.perf_counter() - begun
    begun = time.perf_counter()
    shown = read_pages([there(asked.scans, row["file"]) for row in pages])
    ranks = []
    for row, found in zip(pages, shown, strict=True):
        rank = float(len(scores))
        if not isinstance(found, Failure) and any(found):
            vectors = sim.embed_pages(found, row["file"]).vectors
            good = {name: align(vectors @ one.vectors.T, one.places)[0] for name, one in known.items()}
            right = good.get(row["score"], -np.inf)
            rank = (
                1.0 + sum(value > right for value in good.values()) + 0.5 * (sum(v == right for v in good.values()) - 1)
            )
        ranks.append(rank)
    of_pages = time.perf_counter() - begun
    out = {"benchmark": "scans", "pages": len(pages), "scores": len(scores), "read": len(known)}
    out |= {f"R@{k}": round(float(np.mean(np.array(ranks) <= k)), 4) for k in (1, 5)}
    out |= {"MRR": round(float(np.mean(1 / np.array(ranks))), 4)}
    out |= {"seconds_scores": round(of_notes, 1), "seconds_pages": round(of_pages, 1)}
    out |= {"missed": [row["file"] for row, rank in zip(pages, ranks, strict=True) if rank > 1]}
    print(f"{len(pages)} pages, {len(scores)} scores: R@1 {out['R@1']:.1%}, R@5 {out['R@5']:.1%}, MRR {out['MRR']:.3f}")
    print(json.dumps(out))


if __name__ == "__main__":
    main()
