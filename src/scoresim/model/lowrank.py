"""Matrices of a trained model with small additions that are learned instead of them (LoRA, Hu et al. 2022)."""

import torch
from torch import Tensor, nn

from scoresim.model.sim import SIM

MATRICES = ("qkv", "attention_out", "mlp_in", "mlp_out")  # of a block


class LowRank(nn.Module):
    """A linear layer that stays as it is, and beside it one of low rank, which begins at zero.

    Args:
        linear: the layer.
        rank: of the addition.
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.normal_(self.down.weight, std=linear.in_features**-0.5)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[.., in] to [.., out]."""
        out: Tensor = self.linear(x) + self.up(self.down(x))
        return out


def add_low_rank(sim: SIM, rank: int) -> None:
    """Give the matrices in the blocks of a model additions of some rank; all else of it is no longer trained."""
    sim.requires_grad_(False)
    for block in sim.blocks:
        for name in MATRICES:
            setattr(block, name, LowRank(getattr(block, name), rank))


def merge_low_rank(sim: SIM) -> None:
    """Put the additions into the matrices: the same model without them, which costs nothing more."""
    for block in sim.blocks:
        for name in MATRICES:
            layer = getattr(block, name)
            if isinstance(layer, LowRank):
                old = layer.linear.weight  # may be shared with other heads: it is left as it is
                with torch.no_grad():
                    layer.linear.weight = nn.Parameter(old + layer.up.weight @ layer.down.weight, old.requires_grad)
                setattr(block, name, layer.linear)
