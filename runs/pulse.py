"""Train the network that hears the beat of a performance (`scoresim.score.pulse_network`), and put it in its place.

    python runs/pulse.py DATA OUT [--steps 6000] [--seed 0] [--sources NAME ...] [--weights FILE]

DATA is the folder of the sources, OUT a folder for the training; one that was stopped goes on. It learns from scores of
the training parts of four sources whose terms allow any use (those of `small-free`), which are played by rule anew for
every step (`scoresim.data.rubato`); no recording is among them. The state that is best on such playings of their
validation parts is written to FILE (src/scoresim/score/pulse.npz). `python benchmarks/beats.py DATA` says what it is
worth. A quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import scoresim.score
from scoresim.benchmark.piecewise import root_of
from scoresim.data import corpora
from scoresim.data.curate import by_lot
from scoresim.data.pieces import pieces
from scoresim.data.rubato import Played, Written, play
from scoresim.errors import BadInput
from scoresim.files import replacing, write_json
from scoresim.score.onsets import onsets
from scoresim.score.pulse_network import COMPOUND, DILATIONS, FEATURES, LIMIT, PERIODS, TAPS, WEIGHTS
from scoresim.training.loop import TrainConfig, train
from scoresim.training.tally import Tally

SOURCES = ("kern_chopin", "openewld", "openscore_lieder", "polish_piano")
WIDTH = 64
DROPOUT = 0.1
LENGTH = 384  # onsets of a stretch
STRETCHES = 16  # of a step
FEWEST = 40  # notes of a stretch of a score
TRIES = 1000  # scores that may have fewer, one after the other
BARS = (24, 120)  # of a stretch of a score, at least and at most
WITHOUT_VOICE = 0.6  # share of the playings of songs in which the piano is alone
JUDGED = 192  # stretches of the validation part
ASIDE = 0.3  # weight in the loss of what is told beside beats and bars
BLUR = 1.0  # periods that a period is blurred by


@dataclass(frozen=True)
class Stretches:
    """B stretches of playings, as the training loop wants batches.

    Attributes:
        features: [B, T, F].
        truth: [B, T, 3] beat, bar, compound: 0 or 1.
        period: [B, T] place among `PERIODS`.
        mask: [B, T] 1 where there is an onset.
        part: of how many processes.
        alone: there is no picture.
    """

    features: Tensor
    truth: Tensor
    period: Tensor
    mask: Tensor
    part: tuple[int, int] = (0, 1)
    alone: bool = True

    def to(self, device: str) -> Stretches:
        """On a device."""
        some = {name: getattr(self, name).to(device) for name in ("features", "truth", "period", "mask")}
        return replace(self, **some)


class Pulse(nn.Module):
    """The network as a module; `arrays` are what `scoresim.score.pulse_network.of_arrays` reads."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.mean: Tensor
        self.deviation: Tensor
        self.first = nn.Linear(features, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(TAPS * WIDTH, WIDTH) for _ in DILATIONS)
        self.last = nn.Linear(WIDTH, COMPOUND + 1 + len(PERIODS))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Outputs [B, T, 3 + periods] of onsets, from their features [B, T, F]; mask [B, T]."""
        x = self.first(((features - self.mean) / self.deviation).clamp(-LIMIT, LIMIT))
        T, half = x.shape[1], TAPS // 2
        for dilation, layer in zip(DILATIONS, self.layers, strict=True):
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


class FindBeats:
    """The loss: of the odds of beats, bars and beats of three parts, and of how long a beat lasts."""

    def __call__(self, module: nn.Module, batch: Stretches) -> tuple[dict[str, Tensor], Tally]:
        out = module(batch.features, batch.mask).float()
        count = batch.mask.sum()
        each = F.binary_cross_entropy_with_logits(out[..., : COMPOUND + 1], batch.truth, reduction="none")
        beat, bar, compound = ((each * batch.mask[..., None]).sum(dim=(0, 1)) / count).unbind()
        places = torch.arange(len(PERIODS), device=out.device)
        blurred = torch.softmax(-((places - batch.period[..., None]) ** 2) / 2 / BLUR**2, dim=-1)
        said = torch.log_softmax(out[..., COMPOUND + 1 :], dim=-1)
        period = -((blurred * said).sum(dim=-1) * batch.mask).sum() / count
        return {"beat": beat, "bar": bar, "compound": ASIDE * compound, "period": ASIDE * period}, {}


@dataclass(frozen=True)
class Playings:
    """Stretches without end, each of a score that is drawn and played anew.

    Attributes:
        scores: what is played.
        share: how often each is drawn.
    """

    scores: Sequence[Written]
    share: np.ndarray

    def stream(self, seed: int, start: int) -> Generator[Stretches, None, None]:
        """Batches from step `start` on; a pure function of seed and step."""
        step = start
        while True:
            yield self.some(np.random.default_rng([seed, step]), STRETCHES)
            step += 1

    def some(self, rng: np.random.Generator, count: int) -> Stretches:
        """A batch of so many stretches."""
        columns = zip(*(self.one(rng) for _ in range(count)), strict=True)
        return Stretches(*(torch.from_numpy(np.stack(column)) for column in columns))

    def one(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """One stretch, padded to `LENGTH` onsets.

        Raises:
            BadInput: no score has enough notes.
        """
        for _ in range(TRIES):
            score = self.scores[rng.choice(len(self.scores), p=self.share)]
            bars = len(score.signatures)
            first = int(rng.integers(0, max(bars - BARS[0], 0) + 1))
            some = score.bars(first, min(bars, first + int(rng.integers(*BARS))))
            if score.staff.max(initial=0) == 3 and rng.random() < WITHOUT_VOICE:
                some = some.take(some.staff > 1)
            if len(some.onset) < FEWEST or len(some.beats()[0]) < 2:
                continue
            pitch = np.clip(some.pitch + rng.integers(-5, 7), 0, 127)
            return stretch(play(replace(some, pitch=pitch), rng), rng)
        raise BadInput(f"there is no score of {FEWEST} notes in {BARS[0]} bars to learn from.")


def stretch(played: Played, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """`LENGTH` onsets of a performance, from where chance has it: features, truth, period, mask."""
    there = onsets(played.onset, played.length, played.pitch, played.velocity)
    T = len(there.times)
    truth = np.zeros((T, 3), dtype=np.float32)
    np.maximum.at(truth[:, 0], there.row, played.beat)
    np.maximum.at(truth[:, 1], there.row, played.downbeat)
    at = np.clip(np.searchsorted(played.beats, there.times, side="right") - 1, 0, len(played.beats) - 1)
    truth[:, 2] = played.compound[at]
    gaps = np.pad(np.gradient(played.beats), 1, "edge")
    lasts = np.interp(there.times, played.beats, (gaps[:-2] + 2 * gaps[1:-1] + gaps[2:]) / 4)
    period = np.interp(np.log(lasts), np.log(PERIODS), np.arange(len(PERIODS))).astype(np.float32)
    begin = int(rng.integers(0, max(T - LENGTH, 0) + 1))
    there_is = np.ones(T, dtype=np.float32)
    columns = [column[begin : begin + LENGTH] for column in (there.table, truth, period, there_is)]
    missing = LENGTH - len(columns[0])
    return tuple(np.pad(column, [(0, missing)] + [(0, 0)] * (column.ndim - 1)) for column in columns)


def scores(data: Path, sources: Sequence[str], folder: Path) -> dict[str, Playings]:
    """What is played, of the training and the validation parts; large sources are drawn less often than they are large.

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
        out[part] = Playings([score for _, score in some], share / share.sum())
        print(part, dict(counts), flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--weights", type=Path, default=Path(scoresim.score.__file__).parent / WEIGHTS)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parts = scores(given.data, given.sources, given.out / "pieces")
    judged = parts["valid"].some(np.random.default_rng(given.seed), JUDGED)
    torch.manual_seed(given.seed)
    pulse = Pulse(judged.features.shape[-1])
    measured = parts["train"].some(np.random.default_rng(given.seed), JUDGED)
    of_onsets = measured.features[measured.mask > 0]
    pulse.mean.copy_(of_onsets.mean(dim=0))
    pulse.deviation.copy_(of_onsets.std(dim=0) + 1e-3)
    loss = FindBeats()

    def likely(module: nn.Module) -> float:
        return -float(torch.stack(list(loss(module, judged)[0].values())).sum().detach())

    settings = TrainConfig(
        steps=given.steps, lr=3e-3, warmup=given.steps // 10, weight_decay=0.01, seed=given.seed, log_every=100,
        checkpoint_every=250, validate_every=max(given.steps // 12, 1),
    )  # fmt: skip
    write_json(given.out / "config.json", {"sources": given.sources, "steps": given.steps, "seed": given.seed})
    train(pulse, [loss], parts["train"], settings, given.out, likely, keep_best=True)
    print(f"loss of the validation part {-likely(pulse):.4f}, {sum(p.numel() for p in pulse.parameters()):,} numbers")
    with replacing(given.weights) as temporary, temporary.open("wb") as file:
        names = onsets(np.zeros(1), np.ones(1), np.array([60]), np.array([64])).features
        np.savez(file, **{FEATURES: np.array(list(names))}, **pulse.arrays())


if __name__ == "__main__":
    main()
