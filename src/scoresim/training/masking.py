"""Which note attributes are hidden: one attribute of all notes of one bar at a time.

The unit is a (bar, attribute) pair, as in MusicBERT's bar-level mask, so that a neighbour in the bar cannot
reveal what is hidden. Of the chosen units 80 % are replaced by the mask, 10 % by random values and 10 % stay
as they are (BERT's rule, applied to the unit).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from scoresim.model.note_encoder import NoteInput
from scoresim.score.tokens import ATTRIBUTES, FIRST, MASK

MASKED, RANDOM = 0.8, 0.1  # shares of the chosen units; the rest stays as it is
TELLS_TIME = [ATTRIBUTES.index("bar"), ATTRIBUTES.index("position")]


class Hidden(NamedTuple):
    """Notes with something hidden.

    Attributes:
        notes: what the model is shown.
        asked: [B, N, 8] bool, True where the model is asked for the true id; never at padding.
    """

    notes: NoteInput
    asked: Tensor


def hide(notes: NoteInput, bar: Tensor, ratio: float, sizes: tuple[int, ...]) -> Hidden:
    """Hide a random share of the (bar, attribute) units; uses torch's global random generator.

    The onset's share of the passage, which stands beside the ids, would tell a hidden bar or position: a note
    whose bar or position is hidden stands at its share of the sequence instead.

    Args:
        notes: the truth.
        bar: [B, N] bar of each note, -1 at padding.
        ratio: share of the units to choose, in [0, 1].
        sizes: number of ids of each attribute.
    """
    B, N, attributes = notes.ids.shape
    bars = int(bar.max()) + 1 if bar.numel() else 0
    unit = bar.clamp(min=0)[..., None].expand(-1, -1, attributes)
    chosen = torch.rand(B, max(bars, 1), attributes, device=bar.device) < ratio
    fate = torch.rand(B, max(bars, 1), attributes, device=bar.device)
    asked = chosen.gather(1, unit) & notes.mask[..., None]
    fate = fate.gather(1, unit)
    masked, random = asked & (fate < MASKED), asked & (fate >= MASKED) & (fate < MASKED + RANDOM)
    count = torch.tensor(sizes, device=bar.device) - FIRST
    noise = FIRST + (torch.rand(B, N, attributes, device=bar.device) * count).long()
    ids = torch.where(masked, MASK, torch.where(random, noise, notes.ids))
    return Hidden(NoteInput(ids, notes.mask, hidden_time(notes, masked | random)), asked)


def hidden_time(notes: NoteInput, gone: Tensor) -> Tensor:
    """[B, N] times in which a note without its bar or position stands at index / length of the sequence."""
    lost = gone[..., TELLS_TIME].any(dim=-1)
    index = torch.arange(notes.mask.shape[1], device=lost.device)
    share = index / notes.mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(lost, share.to(notes.time.dtype), notes.time)
