"""Small networks of convolutions along a row, ever further apart, each added to what was before: asked with numpy.

`score` knows no tensors; they are learnt by `runs/pulse.py` and `runs/division.py` from scores that were played by rule
(`scoresim.data.rubato`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

FEATURES = "features"  # the name in a file of the names of the features that were learnt from
TAPS = 5  # places that a convolution sees
LIMIT = 5.0  # standard deviations that a feature may be away from its mean

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Network:
    """The network: arrays of 32 bits.

    Attributes:
        mean, deviation: [F] of the features.
        weights, biases: of the first map, the convolutions ([TAPS * width, width]) and the last map, in this order.
        dilations: how far apart the places lie that each convolution sees.
    """

    mean: Floats
    deviation: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    dilations: tuple[int, ...]

    def __call__(self, features: Floats) -> Floats:
        """[T, K] outputs, from the features [T, F] of a row."""
        x = np.clip((features - self.mean) / self.deviation, -LIMIT, LIMIT) @ self.weights[0] + self.biases[0]
        T, half = len(x), TAPS // 2
        for dilation, weight, bias in zip(self.dilations, self.weights[1:-1], self.biases[1:-1], strict=True):
            wide = np.pad(x, ((half * dilation, half * dilation), (0, 0)))
            seen = np.concatenate([wide[tap * dilation : tap * dilation + T] for tap in range(TAPS)], axis=1)
            x = x + gelu(seen @ weight + bias)
        out: Floats = x @ self.weights[-1] + self.biases[-1]
        return out


def gelu(x: Floats) -> Floats:
    """The usual approximation of the Gaussian error linear unit."""
    out: Floats = 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    return out


def of_arrays(arrays: Mapping[str, NDArray[np.generic]], dilations: Sequence[int]) -> Network:
    """A network from its arrays by name: mean, deviation, weight0, bias0, weight1, ...; the names are not asked."""
    wide = {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items() if name != FEATURES}
    layers = range(len(dilations) + 2)
    weights, biases = (tuple(wide[f"{kind}{number}"] for number in layers) for kind in ("weight", "bias"))
    return Network(wide["mean"], wide["deviation"], weights, biases, tuple(dilations))


@cache
def network(name: str, dilations: tuple[int, ...]) -> Network:
    """A network that comes with the package, by the name of its file; read once."""
    with (resources.files("scoresim.score") / name).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return of_arrays(dict(stored), dilations)
