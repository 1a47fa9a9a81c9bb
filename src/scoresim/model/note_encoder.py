"""Notes as tokens of the Transformer: one per note, the sum of its eight attributes and of its place."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scoresim.model.layers import FREQUENCIES, Waves, Where


class NoteInput(NamedTuple):
    """The notes of B passages, at most N each.

    Attributes:
        ids: [B, N, 8] long, the attributes' ids; 0 is padding, 1 is hidden.
        mask: [B, N] bool, True where there is a note.
        time: [B, N] float in [0, 1): onset as a share of the passage's length.
    """

    ids: Tensor
    mask: Tensor
    time: Tensor


class NoteEncoder(nn.Module):
    """Embeds notes. All attributes share one table, so that a note is one look-up and sum of eight of its rows.

    Args:
        sizes: number of ids of each attribute.
        width: of a token.
    """

    def __init__(self, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.sizes = sizes
        starts = torch.tensor([sum(sizes[:i]) for i in range(len(sizes))])
        self.register_buffer("starts", starts, persistent=False)
        self.starts: Tensor
        self.table = nn.Parameter(torch.randn(sum(sizes), width) * (0.25 * len(sizes) ** -0.5))
        self.kind = nn.Parameter(torch.randn(width) * 0.1)
        self.order = nn.Sequential(Waves(shortest=3.0, longest=2048.0), nn.Linear(2 * FREQUENCIES, width, bias=False))

    def forward(self, notes: NoteInput, where: Where) -> Tensor:
        """NoteInput to tokens [B, N, width]; what stands at padding has no meaning."""
        B, N, attributes = notes.ids.shape
        rows = (notes.ids + self.starts).view(B * N, attributes)
        tokens = F.embedding_bag(rows, self.table, mode="sum").view(B, N, -1)
        order = self.order(torch.arange(N, device=tokens.device, dtype=tokens.dtype))
        out: Tensor = tokens + where(notes.time) + order + self.kind
        return out
