"""How sure `scoresim match` may be: slope and shift of match logits, fitted on validation works.

    python runs/calibrate.py MODEL DATA [--passages 2000] [--write]

Asks weights (a checkpoint, or the name of those in the package) about passages of DATA's validation and test parts, a
third each clean, scan-like and photo-like: half of what counts are matched pairs, a sixth each partners of another
piece, other passages of the same piece, and the same passage with one bar altered. A logistic regression on the
validation part says how a logit becomes a probability; the table says what that is worth on both parts. With
`--write` slope and shift go into MODEL's config.json, where `scoresim.load` finds them.

"Error" is the expected calibration error in ten bins, "loss" the mean of -log of the right answer's probability;
"right" is the share of matched pairs and, per grade, of false ones that fall on their side of one half.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from scoresim import checkpoint
from scoresim.benchmark import metrics
from scoresim.benchmark.config import ProbeConfig
from scoresim.benchmark.task import some
from scoresim.benchmark.tasks.pretraining import MATCHED, match_logits
from scoresim.data import shards
from scoresim.data.batches import Passages, batch_config
from scoresim.data.looks import DegradedSplit
from scoresim.files import read_json, write_json
from scoresim.model.sim import SIM

Numbers = NDArray[np.float64]


def said(model: SIM, data: shards.PairSet, part: str, config: ProbeConfig) -> dict[str, Numbers]:
    """Match logits of some passages of a part: matched pairs and every grade of false ones."""
    split = DegradedSplit(data.split(part), "mix", config.seed)
    passages = Passages(split, batch_config(model.config, config.batch_size))
    rows = np.array(some(range(len(passages)), config.passages, config.seed), dtype=np.int64)
    with torch.inference_mode():
        found, _ = match_logits(model, passages, rows, config)
    return {grade: logits for grade, (_, logits) in found.items()}


def weighed(logits: dict[str, Numbers]) -> tuple[Numbers, NDArray[np.bool_], Numbers]:
    """All logits, which are of matched pairs, and weights: matched and false pairs alike, all grades alike."""
    x = np.concatenate(list(logits.values()))
    matched = np.concatenate([np.full(len(one), grade == MATCHED) for grade, one in logits.items()])
    share = {grade: 0.5 if grade == MATCHED else 0.5 / (len(logits) - 1) for grade in logits}
    return x, matched, np.concatenate([np.full(len(one), share[grade] / len(one)) for grade, one in logits.items()])


def fit(logits: dict[str, Numbers]) -> tuple[float, float]:
    """Slope and shift."""
    x, matched, weight = weighed(logits)
    model = LogisticRegression(C=1e6).fit(x[:, None], matched, sample_weight=weight * len(x))
    return round(float(model.coef_[0, 0]), 4), round(float(model.intercept_[0]), 4)


def figures(logits: dict[str, Numbers], slope: float, shift: float) -> dict[str, float]:
    """What probabilities are worth."""
    x, matched, weight = weighed(logits)
    odds = slope * x + shift
    p = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    out = {
        "error": metrics.calibration_error(p, matched, weight),
        "loss": float((weight * np.logaddexp(0, np.where(matched, -odds, odds))).sum()),
    }
    out |= {g: float(((slope * one + shift > 0) == (g == MATCHED)).mean()) for g, one in logits.items()}
    return {name: round(value, 4) for name, value in out.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    folder = checkpoint.locate(asked.model)
    model = checkpoint.load(folder).model.eval()
    data, config = shards.open(asked.data), ProbeConfig(passages=asked.passages, seed=asked.seed)
    parts = {part: said(model, data, part, config) for part in ("valid", "test")}
    slope, shift = fit(parts["valid"])
    if slope <= 0:
        raise SystemExit(f"{asked.model} does not tell matched pairs from false ones; train it longer.")
    table: dict[str, Any] = {}
    for part, logits in parts.items():
        table[f"{part}, as it is"] = figures(logits, *checkpoint.AS_IT_IS)
        table[f"{part}, calibrated"] = figures(logits, slope, shift)
    print(f"{asked.model}: slope {slope}, shift {shift}, seed {asked.seed}")
    print(f"{'':20}" + "".join(f"{name[:15]:>16}" for name in next(iter(table.values()))))
    for row, values in table.items():
        print(f"{row:20}" + "".join(f"{value:16.3f}" for value in values.values()))
    if asked.write:
        path = folder / checkpoint.CONFIG
        write_json(path, {**read_json(path), "match": [slope, shift]})
    print(json.dumps({"run": "calibrate", "model": asked.model, "slope": slope, "shift": shift, "rows": table}))


if __name__ == "__main__":
    main()
