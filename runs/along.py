"""What `runs/pulse.py` and `runs/division.py` share: scores that are played by rule, a network that learns from them.

No script. Both learn from scores of the training parts of four sources whose terms allow any use (those of
`small-free`), which are played anew for every step (`scoresim.data.rubato`); no recording is among them.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scoresim.benchmark.piecewise import root_of
from scoresim.data import corpora
from scoresim.data.curate import by_lot
from scoresim.data.pieces import pieces
from scoresim.data.rubato import Written
from scoresim.errors import BadInput
from scoresim.files import read_json, replacing, write_json
from scoresim.score.convolutions import FEATURES, LIMIT, TAPS
from scoresim.training.loop import TrainConfig, train
from scoresim.training.tally import Tally

SOURCES = ("kern_chopin", "openewld", "openscore_lieder", "polish_piano")
DROPOUT = 0.1
STRETCHES = 16  # of a step
FEWEST = 40  # notes of a stretch of a score
TRIES = 1000  # scores that may have fewer, one after the other
WITHOUT_VOICE = 0.6  # share of the playings of songs in which the piano is alone
JUDGED = 192  # stretches of the validation part

Row = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Rows:
    """B rows of T places, as the training loop wants batches.

    Attributes:
        features: [B, T, F].
        truth: [B, T, K] what is to be said of a place.
        mask: [B, T] 1 where there is a place.
        part: of how many processes.
        alone: there is no picture.
    """

    features: Tensor
    truth: Tensor
    mask: Tensor
    part: tuple[int, int] = (0, 1)
    alone: bool = True

    def to(self, device: str) -> Rows:
        """On a device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("features", "truth", "mask")})


class Along(nn.Module):
    """Convolutions along a row as a module; `arrays` are what `scoresim.score.convolutions.of_arrays` reads."""

    def __init__(self, features: int, outputs: int, width: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.mean: Tensor
        self.deviation: Tensor
        self.dilations = tuple(dilations)
        self.first = nn.Linear(features, width)
        self.layers = nn.ModuleList(nn.Linear(TAPS * width, width) for _ in dilations)
        self.last = nn.Linear(width, outputs)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Outputs [B, T, K] of places, from their features [B, T, F]; mask [B, T]."""
        x = self.first(((features - self.mean) / self.deviation).clamp(-LIMIT, LIMIT))
        T, half = x.shape[1], TAPS // 2
        for dilation, layer in zip(self.dilations, self.layers, strict=True):
            wide = F.pad(x * mask[..., None], (0, 0, half * dilation, half * dilation))
            seen = torch.cat([wide[:, tap * dilation : tap * dilation + T] for tap in range(TAPS)], dim=-1)
            x = x + F.dropout(F.gelu(layer(seen), approximate="tanh"), DROPOUT, self.training)
        out: Tensor = self.last(x)
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """In 16 bits, by name."""
        layers = [self.first, *self.layers, self.last]
        named = {"mean": self.mean, "deviation": self.deviation}
        named |= {f"weight{number}": layer.weight.T for number, layer in enumerate(layers)}
        named |= {f"bias{number}": layer.bias for number, layer in enumerate(layers)}
        return {name: value.detach().cpu().numpy().astype(np.float16) for name, value in named.items()}


@dataclass(frozen=True)
class Playings:
    """Rows without end, each of a stretch of a score that is drawn and played anew.

    Attributes:
        scores: what is played.
        share: how often each is drawn.
        row: what is learnt from a stretch, played as chance has it: features, truth and mask of its places.
        bars: of a stretch, at least and at most.
    """

    scores: Sequence[Written]
    share: np.ndarray
    row: Callable[[Written, np.random.Generator], Row]
    bars: tuple[int, int]

    def stream(self, seed: int, start: int) -> Generator[Rows, None, None]:
        """Batches from step `start` on; a pure function of seed and step."""
        step = start
        while True:
            yield self.some(np.random.default_rng([seed, step]), STRETCHES)
            step += 1

    def some(self, rng: np.random.Generator, count: int) -> Rows:
        """A batch of so many rows."""
        columns = zip(*(self.one(rng) for _ in range(count)), strict=True)
        return Rows(*(torch.from_numpy(np.stack(column)) for column in columns))

    def one(self, rng: np.random.Generator) -> Row:
        """One row.

        Raises:
            BadInput: no score has enough notes.
        """
        least, most = self.bars
        for _ in range(TRIES):
            score = self.scores[rng.choice(len(self.scores), p=self.share)]
            bars = len(score.signatures)
            first = int(rng.integers(0, max(bars - least, 0) + 1))
            some = score.bars(first, min(bars, first + int(rng.integers(least, most))))
            if score.staff.max(initial=0) == 3 and rng.random() < WITHOUT_VOICE:
                some = some.take(some.staff > 1)
            if len(some.onset) < FEWEST or len(some.beats()[0]) < 2:
                continue
            pitch = np.clip(some.pitch + rng.integers(-5, 7), 0, 127)
            return self.row(replace(some, pitch=pitch), rng)
        raise BadInput(f"there is no score of {FEWEST} notes in {least} bars to learn from.")


def cut(columns: Sequence[np.ndarray], length: int, rng: np.random.Generator) -> Row:
    """So many places of a row, [T, ...] each, from where chance has it, padded with zeros; and which are there."""
    T = len(columns[0])
    begin = int(rng.integers(0, max(T - length, 0) + 1))
    some = [column[begin : begin + length] for column in (*columns, np.ones(T, dtype=np.float32))]
    missing = length - len(some[0])
    return tuple(np.pad(column, [(0, missing)] + [(0, 0)] * (column.ndim - 1)) for column in some)


def read(data: Path, sources: Sequence[str], folder: Path) -> dict[str, tuple[list[Written], np.ndarray]]:
    """Scores of the training and the validation parts, and how often each is drawn: seldom where a source has many.

    Raises:
        BadInput: a source is not there.
    """
    found: dict[str, list[tuple[str, Written]]] = {"train": [], "valid": []}
    for name in sources:
        root = root_of(name, data)
        if root is None:
            raise BadInput(f"{name} is not in {data}; docs/corpora.md says where it comes from.")
        items = [item for item in corpora.get(name).items(root) if (item.split or by_lot(item.work)) in found]
        for piece in pieces(name, items, folder, images=False):
            found[piece.split or by_lot(piece.work)].append((name, Written.of(piece)))
    out = {}
    for part, some in found.items():
        counts: Mapping[str, int] = {name: sum(other == name for other, _ in some) for name in sources}
        share = np.array([counts[name] ** -0.5 for name, _ in some])
        out[part] = [score for _, score in some], share / share.sum()
        print(part, dict(counts), flush=True)
    return out


def asked(about: str | None, steps: int, weights: Path) -> argparse.Namespace:
    """What stands on the command line of both scripts."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--weights", type=Path, default=weights)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return parser.parse_args()


def learn(
    given: argparse.Namespace,
    row: Callable[[Written, np.random.Generator], Row],
    bars: tuple[int, int],
    made: Callable[[int], Along],
    loss: Callable[[nn.Module, Rows], tuple[dict[str, Tensor], Tally]],
    names: Sequence[str],
) -> None:
    """Train a network and write the state that is best on playings of the validation parts.

    Args:
        given: as `asked` found it.
        row, bars: of `Playings`.
        made: a network for so many features.
        loss: what is learnt.
        names: of the features.

    Raises:
        BadInput: the folder holds another training; a source is not there.
    """
    about = {"sources": list(given.sources), "steps": given.steps, "seed": given.seed}
    if (begun := given.out / "config.json").is_file() and read_json(begun) != about:
        raise BadInput(f"{given.out} holds a training of other sources, steps or another seed; choose another folder.")
    scores = read(given.data, given.sources, given.out / "pieces")
    parts = {part: Playings(*some, row, bars) for part, some in scores.items()}
    judged = parts["valid"].some(np.random.default_rng(given.seed), JUDGED)
    torch.manual_seed(given.seed)
    network = made(judged.features.shape[-1])
    measured = parts["train"].some(np.random.default_rng(given.seed), JUDGED)
    there = measured.features[measured.mask > 0]
    network.mean.copy_(there.mean(dim=0))
    network.deviation.copy_(there.std(dim=0) + 1e-3)

    def likely(module: nn.Module) -> float:
        return -float(torch.stack(list(loss(module, judged)[0].values())).sum().detach())

    settings = TrainConfig(
        steps=given.steps, lr=3e-3, warmup=given.steps // 10, weight_decay=0.01, seed=given.seed, log_every=100,
        checkpoint_every=250, validate_every=max(given.steps // 12, 1),
    )  # fmt: skip
    write_json(begun, about)
    train(network, [loss], parts["train"], settings, given.out, likely, keep_best=True)
    print(
        f"loss of the validation part {-likely(network):.4f}, {sum(p.numel() for p in network.parameters()):,} numbers"
    )
    with replacing(given.weights) as temporary, temporary.open("wb") as file:
        np.savez(file, **{FEATURES: np.array(names)}, **network.arrays())
