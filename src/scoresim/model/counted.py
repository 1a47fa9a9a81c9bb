"""A class from what is counted by hand: what answers beside a head that reads notes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOST = 4.0  # deviations from the mean: more than that says no more
BUCKETS = 4096  # of n-grams
LENGTH = 30.0  # of the vector of n-grams, whose direction alone says something; sixteen is that of 272 features


class Counted(nn.Module):
    """Multinomial logistic regression of standardised features and of n-grams, which weigh more the rarer they are.

    Args:
        features: number of features.
        classes: number of classes.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("rarity", torch.ones(BUCKETS))
        self.mean: Tensor
        self.scale: Tensor
        self.rarity: Tensor
        self.linear = nn.Linear(features + BUCKETS, classes)

    def forward(self, features: Tensor, ngrams: Tensor) -> Tensor:
        """Log-probabilities [W, classes] from features [W, F] and counts of n-grams [W, BUCKETS]."""
        return torch.log_softmax(self.linear(self.known(features, ngrams)), dim=-1)

    def known(self, features: Tensor, ngrams: Tensor) -> Tensor:
        """[W, F + BUCKETS] what the regression reads."""
        standard = ((features - self.mean) / self.scale).clamp(-MOST, MOST)
        weighed = torch.log1p(ngrams) * self.rarity
        return torch.cat([standard, LENGTH * nn.functional.normalize(weighed, dim=-1)], dim=-1)

    def measure(self, features: Tensor, ngrams: Tensor) -> None:
        """Take mean, deviation and rarity from the windows of a training part.

        Rarity is the logarithm of how many windows there are for each that has something in the bucket, and .3 more, so
        that what all have says something, too; what none has says nothing.
        """
        there = (ngrams > 0).float().mean(dim=0)
        self.mean.copy_(features.mean(dim=0))
        self.scale.copy_(features.std(dim=0, correction=0).clamp_min(1e-6))
        self.rarity.copy_(torch.where(there > 0, 0.3 - there.log(), 0.0))
