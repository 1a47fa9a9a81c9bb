"""What the three kinds of image tokens cost: tokens per bar, operations and seconds per step.

    python benchmarks/image_tokens.py DATA [--size tiny] [--batch-size 32] [--steps 24]

All objectives, real batches, the same rows for every kind; steps are timed in turns, so that a busy moment hits all
kinds alike. What each kind learns is asked by runs/ablation.py. Prints a table and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, get_args

from torch.utils.flop_counter import FlopCounterMode

from scoresim.data.batches import Passages
from scoresim.training.config import ImageTokens, PretrainConfig
from scoresim.training.loop import make_optimiser, take_step
from scoresim.training.pretrain import make_model, make_objectives, open_training_split, rows_of, train_config

WARM = 2  # steps before the timed ones


class Kind:
    """One kind of image tokens: a model and its steps."""

    def __init__(self, name: ImageTokens, asked: argparse.Namespace) -> None:
        config = PretrainConfig(size=asked.size, steps=1000, batch_size=asked.batch_size, image_tokens=name)
        source, vocabulary, _, weight = open_training_split(asked.data)
        self.name, self.batches = name, Passages(source, rows_of(config), weight=weight, vocabulary=vocabulary)
        self.settings = train_config(config, 1000)
        self.model = make_model(config, vocabulary).to(self.settings.device).train()
        self.objectives, self.times = make_objectives(config), list[float]()
        self.optimiser = make_optimiser(self.model, self.settings)
        self.cells = self.bars = self.flops = 0

    def step(self, number: int) -> None:
        """One step; all but the first ones count."""
        batch = self.batches.batch(0, number).to(self.settings.device)
        begun = time.perf_counter()
        take_step(self.model, self.objectives, batch, self.optimiser, self.settings, number)
        if number >= WARM:
            self.times.append(time.perf_counter() - begun)
            self.cells += int(batch.image.mask.sum())
            self.bars += int((batch.bar.amax(1) + 1).sum())

    def count(self) -> float:
        """Floating-point operations of a step, the mean of two."""
        with FlopCounterMode(display=False) as counter:
            for number in range(2):
                self.step(number)
        return float(counter.get_total_flops()) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", default="tiny", choices=("tiny", "small", "base"))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=24)
    asked = parser.parse_args()
    kinds = [Kind(name, asked) for name in get_args(ImageTokens)]
    flops = {kind.name: kind.count() for kind in kinds}
    for number in range(WARM + asked.steps):
        for kind in kinds:
            kind.step(number)
    rows: list[dict[str, Any]] = []
    print(f"{'':10}{'tokens per bar':>16}{'GFLOP a step':>16}{'s a step':>12}")
    for kind in kinds:
        row = {"tokens_per_bar": kind.cells / kind.bars, "gflops": flops[kind.name] / 1e9}
        row["seconds"] = statistics.median(kind.times)
        print(f"{kind.name:10}{row['tokens_per_bar']:16.1f}{row['gflops']:16.1f}{row['seconds']:12.3f}")
        rows.append({"image_tokens": kind.name} | {name: round(value, 4) for name, value in row.items()})
    print(json.dumps({"benchmark": "image_tokens", "size": asked.size, "batch_size": asked.batch_size, "rows": rows}))


if __name__ == "__main__":
    main()
