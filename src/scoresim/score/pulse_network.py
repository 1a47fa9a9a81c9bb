"""What a small network says of the onsets of a performance: whether a beat is there, or a bar begins, and the tempo.

Convolutions along the onsets, ever further apart, each added to what was before; about two hundred thousand numbers,
learnt by `runs/pulse.py` from scores that were played by rule (`scoresim.data.rubato`). Here they are only asked, with
numpy: `score` knows no tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WEIGHTS, FEATURES = "pulse.npz", "features"  # the file, and the names in it of the features that were learnt from
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 1, 4, 16)
TAPS = 5  # onsets that a convolution sees
PERIODS = np.geomspace(0.2, 2.4, 32)  # seconds from beat to beat that are told apart
BEAT, DOWNBEAT, COMPOUND = range(3)  # outputs before those of the periods
LIMIT = 5.0  # standard deviations that a feature may be away from its mean

Floats = NDArray[np.float32]


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


@dataclass(frozen=True, eq=False)
class Network:
    """The network: arrays of 32 bits.

    Attributes:
        mean, deviation: [F] of the features.
        weights, biases: of the first map, the convolutions ([TAPS * width, width]) and the last map, in this order.
    """

    mean: Floats
    deviation: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __call__(self, features: Floats) -> Said:
        """What is said of onsets, from their features, [T, F]."""
        x = np.clip((features - self.mean) / self.deviation, -LIMIT, LIMIT) @ self.weights[0] + self.biases[0]
        T, half = len(x), TAPS // 2
        for dilation, weight, bias in zip(DILATIONS, self.weights[1:-1], self.biases[1:-1], strict=True):
            wide = np.pad(x, ((half * dilation, half * dilation), (0, 0)))
            seen = np.concatenate([wide[tap * dilation : tap * dilation + T] for tap in range(TAPS)], axis=1)
            x = x + gelu(seen @ weight + bias)
        out = x @ self.weights[-1] + self.biases[-1]
        tempo = out[:, COMPOUND + 1 :]
        tempo = tempo - tempo.max(axis=1, keepdims=True)
        tempo = tempo - np.log(np.exp(tempo).sum(axis=1, keepdims=True))
        return Said(out[:, BEAT], out[:, DOWNBEAT], out[:, COMPOUND], tempo)


def gelu(x: Floats) -> Floats:
    """The usual approximation of the Gaussian error linear unit."""
    out: Floats = 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    return out


def of_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> Network:
    """A network from its arrays by name: mean, deviation, weight0, bias0, weight1, ...; the names are not asked."""
    wide = {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items() if name != FEATURES}
    layers = range(len(DILATIONS) + 2)
    weights, biases = ([wide[f"{kind}{number}"] for number in layers] for kind in ("weight", "bias"))
    return Network(wide["mean"], wide["deviation"], tuple(weights), tuple(biases))


@cache
def network() -> Network:
    """The network that comes with the package; read once."""
    with (resources.files("scoresim.score") / WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return of_arrays(dict(stored))
