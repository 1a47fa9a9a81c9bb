"""Classes from what is counted by hand: what answers beside a head that reads notes, about a piece or every note."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from scoresim.model.layers import Dropout

MOST = 4.0  # deviations from the mean: more than that says no more
BUCKETS = 4096  # of n-grams
APART, KERNEL = (1, 2, 4, 8, 16, 32), 5  # of what reads the features of notes along the line
MEANS = 8  # of all notes of a piece, that each of them is told
DROPPED = 0.1  # of what a layer of it adds, in training
LEAST, NEVER = 1e-4, 1e9  # deviation of a feature that says something, and what the others are divided by
LENGTH = 30.0  # of the vector of n-grams, whose direction alone says something; sixteen is that of 272 features


class Standardised(nn.Module):
    """What reads features of which a training part has given mean and deviation."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.mean: Tensor
        self.scale: Tensor

    def standard(self, features: Tensor) -> Tensor:
        """[.., F] features in deviations from the mean, at most `MOST`."""
        return ((features - self.mean) / self.scale).clamp(-MOST, MOST)


class Counted(Standardised):
    """Multinomial logistic regression of standardised features and of n-grams, which weigh more the rarer they are.

    Args:
        features: number of features.
        classes: number of classes.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__(features)
        self.register_buffer("rarity", torch.ones(BUCKETS))
        self.rarity: Tensor
        self.linear = nn.Linear(features + BUCKETS, classes)

    def forward(self, features: Tensor, ngrams: Tensor) -> Tensor:
        """Log-probabilities [W, classes] from features [W, F] and counts of n-grams [W, BUCKETS]."""
        return torch.log_softmax(self.linear(self.known(features, ngrams)), dim=-1)

    def known(self, features: Tensor, ngrams: Tensor) -> Tensor:
        """[W, F + BUCKETS] what the regression reads."""
        weighed = torch.log1p(ngrams) * self.rarity
        return torch.cat([self.standard(features), LENGTH * nn.functional.normalize(weighed, dim=-1)], dim=-1)

    def measure(self, features: Tensor, ngrams: Tensor) -> None:
        """Take mean, deviation and rarity from the windows of a training part.

        Rarity is the logarithm of how many windows there are for each that has something in the bucket, and .3 more, so
        that what all have says something, too; what none has says nothing.
        """
        there = (ngrams > 0).float().mean(dim=0)
        self.mean.copy_(features.mean(dim=0))
        self.scale.copy_(features.std(dim=0, correction=0).clamp_min(1e-6))
        self.rarity.copy_(torch.where(there > 0, 0.3 - there.log(), 0.0))


class Along(nn.Module):
    """What stands around each note, added to it: a convolution along the line of notes.

    Args:
        width: numbers of a note.
        apart: notes from one that is read to the next; `KERNEL` are read.
    """

    def __init__(self, width: int, apart: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, KERNEL, padding=apart * (KERNEL // 2), dilation=apart)
        self.dropout = Dropout(DROPPED)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """[W, T, width] to the same shape; [W, T, 1] is 1 at notes."""
        beside = self.convolution((self.norm(x) * there).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.dropout(nn.functional.gelu(beside)) * there
        return out


class Overall(nn.Module):
    """What stands anywhere in the piece, added to each note: means of all notes, each weighed in its own way.

    Args:
        width: numbers of a note.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weigh, self.value, self.out = nn.Linear(width, MEANS), nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = Dropout(DROPPED)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """[W, T, width] to the same shape; [W, T, 1] is 1 at notes, of which every window has one."""
        notes = self.norm(x)
        shares = self.weigh(notes).masked_fill(there == 0, -torch.inf).softmax(dim=1)
        values = self.value(notes).unflatten(-1, (MEANS, -1))
        means = torch.einsum("wtm,wtmd->wmd", shares, values).flatten(1)[:, None]
        out: Tensor = x + self.dropout(self.out(means)) * there
        return out


class AlongLine(Standardised):
    """A class for every note from standardised features of it, of what stands around it, and of the whole piece.

    Convolutions reach further and further, 126 notes before and after; means of all notes are added halfway and in the
    end (docs/decisions/0023).

    Args:
        features: number of features.
        classes: number of classes.
        width: numbers of a note.
    """

    def __init__(self, features: int, classes: int, width: int) -> None:
        super().__init__(features)
        self.first = nn.Linear(features, width)
        layers: list[nn.Module] = [Along(width, apart) for apart in APART]
        half = len(APART) // 2
        self.layers = nn.ModuleList([*layers[:half], Overall(width), *layers[half:], Overall(width)])
        self.last = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), Dropout(DROPPED), nn.Linear(width, classes)
        )

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Log-probabilities [W, T, classes] of notes, in order, from their features [W, T, F]; [W, T] True at notes."""
        standard = self.standard(features)
        there = mask[..., None].to(standard.dtype)
        x = self.first(standard) * there
        for layer in self.layers:
            x = layer(x, there)
        return torch.log_softmax(self.last(x).float(), dim=-1)

    def measure(self, features: Tensor) -> None:
        """Take mean and deviation from the notes of a training part, [N, F]; what is the same in all says nothing."""
        deviation = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.scale.copy_(torch.where(deviation > LEAST, deviation, NEVER))


class CountedNotes(nn.Module):
    """Several networks of one shape, each trained from its own seed, whose log-probabilities are averaged.

    Args:
        features: number of features.
        classes: number of classes.
        width: numbers of a note in each.
        members: networks (docs/decisions/0024).
    """

    def __init__(self, features: int, classes: int, width: int, members: int = 1) -> None:
        super().__init__()
        self.members = nn.ModuleList(AlongLine(features, classes, width) for _ in range(members))

    @staticmethod
    def of(members: Sequence[AlongLine]) -> CountedNotes:
        """These networks as one."""
        out = CountedNotes(0, 0, 0, members=0)
        out.members.extend(members)
        return out

    @property
    def mean(self) -> Tensor:
        """[F] of the features in the training part."""
        return cast(AlongLine, self.members[0]).mean

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Log-probabilities [W, T, classes] of notes, in order, from their features [W, T, F]; [W, T] True at notes."""
        said = torch.stack([member(features, mask) for member in self.members])
        return torch.log_softmax(said.mean(dim=0), dim=-1)

    def of_piece(self, features: Tensor) -> Tensor:
        """Log-probabilities [N, classes] of the notes of a piece from their features, [N, F]."""
        out: Tensor = self(features[None].float(), features.new_ones(1, len(features), dtype=torch.bool))[0]
        return out
