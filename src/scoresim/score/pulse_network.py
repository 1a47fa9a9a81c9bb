"""What a small network says of the onsets of a performance: whether a beat is there, or a bar begins, and the tempo.

About two hundred thousand numbers, learnt by `runs/pulse.py` from scores that were played by rule.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scoresim.score.convolutions import Floats, network

WEIGHTS = "pulse.npz"
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 1, 4, 16)
PERIODS = np.geomspace(0.2, 2.4, 32)  # seconds from beat to beat that are told apart
BEAT, DOWNBEAT, COMPOUND = range(3)  # outputs before those of the periods


class Said(NamedTuple):
    """What is said of T onsets.

    Attributes:
        beat, downbeat: [T] logarithms of the odds that one is there.
        compound: [T] of the odds that a beat has three parts.
        period: [T, 32] log-probabilities of how long a beat lasts there, of `PERIODS`.
    """

    beat: Floats
    downbeat: Floats
    compound: Floats
    period: Floats


def listen(features: Floats) -> Said:
    """What is said of onsets, from their features, [T, F] (`score.onsets`)."""
    return said_by(network(WEIGHTS, DILATIONS)(features))


def said_by(out: Floats) -> Said:
    """Outputs of the network, [T, 3 + 32], by their names."""
    tempo = out[:, COMPOUND + 1 :]
    tempo = tempo - tempo.max(axis=1, keepdims=True)
    tempo = tempo - np.log(np.exp(tempo).sum(axis=1, keepdims=True))
    return Said(out[:, BEAT], out[:, DOWNBEAT], out[:, COMPOUND], tempo)
