"""How well a checkpoint reads images of few and many staves, of other sizes than it was trained on, and degraded ones.

    python benchmarks/reading.py CHECKPOINT DATA [--part test] [--passages 500]

Hidden pitches of one bar with the image, bars that point into their box, and own notes found among those of 200
passages (R@1), for passages with one staff, two, three or four, and more; then for all of them drawn at three fifths
and at twice their size (resampled), and as scans and photographs. Prints a table and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from scoresim import checkpoint
from scoresim.benchmark import metrics
from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.task import some
from scoresim.benchmark.tasks import pretraining, retrieval
from scoresim.data import shards
from scoresim.data.batches import Passages, batch_config
from scoresim.data.looks import DegradedSplit, looks
from scoresim.data.pair import Pair, png
from scoresim.data.shards import Split
from scoresim.model.sim import SIM

STAVES = {"one staff": (1, 1), "two staves": (2, 2), "three or four": (3, 4), "five or more": (5, 99)}
SIZES = {"three fifths of the size": 0.6, "twice the size": 2.0}
POOL = 200


class Resized:
    """A part whose pictures are resampled to another size, boxes moved along."""

    def __init__(self, source: Split, factor: float) -> None:
        self.source, self.factor = source, factor

    def __len__(self) -> int:
        return len(self.source)

    def column(self, name: str) -> list[Any]:
        """As the source says it, pictures' sizes included: batches are grouped by them alone."""
        return self.source.column(name)

    def __getitem__(self, index: int) -> Pair:
        pair, by = self.source[index], self.factor
        size = max(round(pair.width * by), 1), max(round(pair.height * by), 1)
        with Image.open(io.BytesIO(pair.image), formats=["PNG"]) as picture:
            image = np.asarray(picture.convert("L").resize(size, Image.Resampling.LANCZOS))
        about = {"width": size[0], "height": size[1], "staff_space": pair.staff_space * by}
        return replace(pair, image=png(image), bar_boxes=pair.bar_boxes * np.float32(by), **about)


def figures(model: SIM, source: Split, rows: Sequence[int], config: ProbeConfig) -> dict[str, float]:
    """The three figures of some rows."""
    passages = Passages(source, batch_config(model.config, config.batch_size))
    asked = np.array(rows, dtype=np.int64)
    with torch.inference_mode():
        (pitch,) = pretraining.hidden_attributes(model, passages, asked, None, config, ("pitch",))
        grounding = pretraining.grounding(model, passages, asked, config)[0]
        pool = np.array(some(asked.tolist(), POOL, 0), dtype=np.int64)  # of all sources: rows stand source by source
        images, notes = retrieval.embed(model, passages, pool, config.batch_size)
    found = metrics.ranks(images @ notes.T, np.arange(len(pool))).recall_at(1).mean()
    return {"pitch": pitch.score.value, "grounding": grounding.score.value, "R@1": float(found), "passages": len(asked)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="its folder, or the name of weights that come with the package")
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", default="test", choices=("test", "valid"))
    parser.add_argument("--passages", type=int, default=500, help="at most, of each kind")
    asked = parser.parse_args()
    model = checkpoint.load(checkpoint.locate(asked.checkpoint)).model.eval()
    split = shards.open(asked.data).split(asked.part)
    config = ProbeConfig(passages=asked.passages)
    staves = np.array(split.column("n_staves"))
    kinds: dict[str, tuple[Split, Sequence[int]]] = {}
    for name, (low, high) in STAVES.items():
        rows = np.flatnonzero((staves >= low) & (staves <= high)).tolist()
        if len(rows) > 1:
            kinds[name] = split, some(rows, asked.passages, 0)
    every = some(range(len(split)), asked.passages, 0)
    kinds["all"] = split, every
    kinds |= {name: (Resized(split, factor), every) for name, factor in SIZES.items()}
    kinds |= {f"as a {look}": (DegradedSplit(split, look, 0), every) for look in looks()}
    out = []
    print(f"{'':26}{'passages':>10}{'pitch':>10}{'grounding':>12}{f'R@1 of {POOL}':>12}")
    for name, (source, rows) in kinds.items():
        row = figures(model, source, rows, config)
        print(f"{name:26}{row['passages']:10.0f}{row['pitch']:10.3f}{row['grounding']:12.3f}{row['R@1']:12.3f}")
        out.append({"images": name} | {key: round(value, 4) for key, value in row.items()})
    print(json.dumps({"benchmark": "reading", "part": asked.part, "rows": out}))


if __name__ == "__main__":
    main()
