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
        time: [B, N] float in [0, 1): how far along the passage an engraver would put the note.
    """

    ids: Tensor
    mask: Tensor
    time: Tensor


CHORD = 8  # notes of one onset that are told apart, from below and from above


class NoteEncoder(nn.Module):
    """Embeds notes. All attributes share one table, so that a note is one sum of eight rows.

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
        self.table = nn.Parameter(torch.empty(sum(sizes), width).normal_(std=0.25 * len(sizes) ** -0.5))
        self.below = nn.Embedding(CHORD, width)
        self.above = nn.Embedding(CHORD, width)
        for ranks in (self.below, self.above):
            nn.init.normal_(ranks.weight, std=0.1)
        self.kind = nn.Parameter(torch.empty(width).normal_(std=0.1))
        self.order = nn.Sequential(Waves(shortest=3.0, longest=2048.0), nn.Linear(2 * FREQUENCIES, width, bias=False))

    def forward(self, notes: NoteInput, where: Where) -> Tensor:
        """NoteInput to tokens [B, N, width]; what stands at padding has no meaning."""
        B, N, attributes = notes.ids.shape
        rows = (notes.ids + self.starts).view(B * N, attributes)
        tokens = F.embedding_bag(rows, self.table, mode="sum").view(B, N, -1)
        order = self.order(torch.arange(N, device=tokens.device, dtype=tokens.dtype))
        below, above = chord_ranks(notes)
        out: Tensor = tokens + where(notes.time) + order + self.below(below) + self.above(above) + self.kind
        return out


def chord_ranks(notes: NoteInput) -> tuple[Tensor, Tensor]:
    """How many notes of the same bar and position come before and after each note: two [B, N], below `CHORD`.

    Notes of one onset are in the order of their pitch, so this says which voice of a chord a note is; it is
    read from the ids that are shown, so that a hidden position tells nothing.
    """
    bar, position = notes.ids[..., 0], notes.ids[..., 1]
    together = (bar[:, :, None] == bar[:, None, :]) & (position[:, :, None] == position[:, None, :])
    together &= notes.mask[:, None, :]
    below, above = together.tril(-1).sum(dim=2), together.triu(1).sum(dim=2)
    return below.clamp(max=CHORD - 1), above.clamp(max=CHORD - 1)
