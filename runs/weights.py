"""How the weights of the losses decide whether several staves are read at all: pitches read off two staves.

    python runs/weights.py DATA [--staves 2] [--steps 600] [--batch-size 16] [--rows "equal;default"] [--seed 0]

Every row trains a `tiny` model on the passages of DATA's training part that have so many staves (and at most 60 notes),
and is then asked the hidden pitches of one bar of 200 validation passages of as many staves, with the picture and
without. Prints a line every hundred steps (the mean since the last: share of hidden pitches guessed in training, with
the picture) and a table, and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ablation import EQUAL

from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.task import some
from scoresim.benchmark.tasks import pretraining
from scoresim.data import shards
from scoresim.data.batches import Passages, batch_config
from scoresim.data.pair import Pair
from scoresim.score.tokens import default_vocabulary
from scoresim.training.config import PretrainConfig
from scoresim.training.loop import make_optimiser, take_step
from scoresim.training.pretrain import make_model, make_objectives, rows_of, train_config

ROWS: dict[str, dict[str, Any]] = {
    "equal": EQUAL,
    "pitch": EQUAL | {"pitch_weight": 8.0},
    "default": {},
    "a share hidden, adamw": {"single": 0.0, "muon": 0.0},
    "one hidden, adamw": {"muon": 0.0},
    "muon 1": {"muon": 1.0},
    "muon 12": {"muon": 12.0},
    "mbam": EQUAL | {"objectives": ("mbam",)},
    "mbam, pitch": EQUAL | {"objectives": ("mbam",), "pitch_weight": 8.0},
    "mbam, pitch alone": EQUAL | {"objectives": ("mbam",), "pitch_weight": 8000.0},
}
MOST_NOTES, ASKED, EVERY = 60, 200, 100


class Some:
    """Some rows of a part."""

    def __init__(self, source: shards.PairSplit, staves: int) -> None:
        fits = np.array(source.column("n_staves")) == staves
        fits &= np.array(source.column("n_notes")) <= MOST_NOTES
        self.source, self.rows = source, np.flatnonzero(fits)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Pair:
        pair: Pair = self.source[int(self.rows[index])]
        return pair

    def column(self, name: str) -> list[Any]:
        """As of the part, for these rows."""
        values = self.source.column(name)
        return [values[row] for row in self.rows]


def train(row: str, source: Some, asked: argparse.Namespace) -> Any:
    """A model of one row."""
    config = PretrainConfig(steps=asked.steps, batch_size=asked.batch_size, seed=asked.seed, device="cpu", **ROWS[row])
    vocabulary = default_vocabulary()
    batches = Passages(source, rows_of(config), vocabulary=vocabulary if "smm" in config.objectives else None)
    model, objectives, settings = (
        make_model(config, vocabulary),
        make_objectives(config),
        train_config(config, asked.steps),
    )
    optimiser = make_optimiser(model.train(), settings)
    read: list[float] = []
    for step, batch in zip(range(asked.steps), batches.stream(asked.seed, 0), strict=False):
        figures = take_step(model, objectives, batch, optimiser, settings, step)
        read += [figures["mbam/pitch"]] if "mbam/pitch" in figures else []
        if (step + 1) % EVERY == 0:
            print(f"{row}, step {step + 1}: {np.mean(read):.3f}", flush=True)
            read.clear()
    return model.eval()


def ask(model: Any, source: Some) -> dict[str, float]:
    """Hidden pitches of validation passages, with the picture and without."""
    passages, config = Passages(source, batch_config(model.config, 50)), ProbeConfig(passages=ASKED)
    rows = np.array(some(range(len(source)), ASKED, 0), dtype=np.int64)
    with torch.inference_mode():
        found = [
            result
            for asked in (config, replace(config, notes_only=True))
            for result in pretraining.hidden_attributes(model, passages, rows, None, asked, ("pitch",))
        ]
    return {result.inputs: round(result.score.value, 4) for result in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--staves", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", default=";".join(ROWS), help="names of rows, between semicolons")
    asked = parser.parse_args()
    if unknown := [row for row in asked.rows.split(";") if row not in ROWS]:
        parser.error(f"no such row: {'; '.join(unknown)}; there are {'; '.join(ROWS)}")
    pairs = shards.open(asked.data)
    parts = {part: Some(pairs.split(part), asked.staves) for part in ("train", "valid")}
    print({part: len(rows) for part, rows in parts.items()}, f"passages of {asked.staves} staves")
    found = {row: ask(train(row, parts["train"], asked), parts["valid"]) for row in asked.rows.split(";")}
    for row, figures in found.items():
        print(f"{row:20}" + "".join(f"{name:>10} {value:.3f}" for name, value in figures.items()))
    print(json.dumps({"run": "weights", "staves": asked.staves, "steps": asked.steps, "rows": found}))


if __name__ == "__main__":
    main()
