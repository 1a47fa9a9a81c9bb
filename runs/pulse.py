"""Train the network that hears the beat of a performance (`scoresim.score.pulse_network`), and put it in its place.

    python runs/pulse.py DATA OUT [--steps 6000] [--seed 0] [--sources NAME ...] [--weights FILE]

DATA is the folder of the sources, OUT a folder for the training; one that was stopped goes on. What it learns from:
`runs/along.py`. The state that is best on playings of the validation parts is written to FILE
(src/scoresim/score/pulse.npz). `python benchmarks/beats.py DATA` says what it is worth. A quarter of an hour on one
core.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from along import Along, Row, Rows, asked, cut, learn
from torch import Tensor, nn
from torch.nn import functional as F

import scoresim.score
from scoresim.data.rubato import Played, Written, play
from scoresim.score.onsets import onsets
from scoresim.score.pulse_network import COMPOUND, DILATIONS, PERIODS, WEIGHTS
from scoresim.training.tally import Tally

WIDTH = 64
LENGTH = 384  # onsets of a stretch
BARS = (24, 120)  # of a stretch of a score, at least and at most
ASIDE = 0.3  # weight in the loss of what is told beside beats and bars
BLUR = 1.0  # periods that a period is blurred by


def pulse(features: int) -> Along:
    """The network."""
    return Along(features, COMPOUND + 1 + len(PERIODS), WIDTH, DILATIONS)


class FindBeats:
    """The loss: of the odds of beats, bars and beats of three parts, and of how long a beat lasts."""

    def __call__(self, module: nn.Module, batch: Rows) -> tuple[dict[str, Tensor], Tally]:
        out = module(batch.features, batch.mask).float()
        count = batch.mask.sum()
        truth = batch.truth[..., : COMPOUND + 1]
        each = F.binary_cross_entropy_with_logits(out[..., : COMPOUND + 1], truth, reduction="none")
        beat, bar, compound = ((each * batch.mask[..., None]).sum(dim=(0, 1)) / count).unbind()
        places = torch.arange(len(PERIODS), device=out.device)
        blurred = torch.softmax(-((places - batch.truth[..., COMPOUND + 1 :]) ** 2) / 2 / BLUR**2, dim=-1)
        said = torch.log_softmax(out[..., COMPOUND + 1 :], dim=-1)
        period = -((blurred * said).sum(dim=-1) * batch.mask).sum() / count
        return {"beat": beat, "bar": bar, "compound": ASIDE * compound, "period": ASIDE * period}, {}


def row(score: Written, rng: np.random.Generator) -> Row:
    """`LENGTH` onsets of a performance."""
    return cut(stretch(play(score, rng)), LENGTH, rng)


def stretch(played: Played) -> Row:
    """Of the onsets of a performance: features; whether a beat, a bar, a beat of three parts is there, which period."""
    there = onsets(played.onset, played.length, played.pitch, played.velocity)
    truth = np.zeros((len(there.times), 4), dtype=np.float32)
    np.maximum.at(truth[:, 0], there.row, played.beat)
    np.maximum.at(truth[:, 1], there.row, played.downbeat)
    at = np.clip(np.searchsorted(played.beats, there.times, side="right") - 1, 0, len(played.beats) - 1)
    truth[:, 2] = played.compound[at]
    gaps = np.pad(np.gradient(played.beats), 1, "edge")
    lasts = np.interp(there.times, played.beats, (gaps[:-2] + 2 * gaps[1:-1] + gaps[2:]) / 4)
    truth[:, 3] = np.interp(np.log(lasts), np.log(PERIODS), np.arange(len(PERIODS)))
    return there.table, truth


def main() -> None:
    given = asked(__doc__, 6000, Path(scoresim.score.__file__).parent / WEIGHTS)
    names = onsets(np.zeros(1), np.ones(1), np.array([60]), np.array([64])).features
    learn(given, row, BARS, pulse, FindBeats(), list(names))


if __name__ == "__main__":
    main()
