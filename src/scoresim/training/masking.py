"""Which note attributes are hidden: one attribute of all notes of one bar and part at a time.

One attribute of each bar is hidden while all else is shown, or a share of everything. The unit is a (bar, part,
attribute) triple, as in MusicBERT's bar-level mask, so that a neighbour in the bar cannot reveal what is hidden; notes
of one program are a part. Of the chosen units 80 % are replaced by the mask, 10 % by random values and 10 % stay as
they are (BERT's rule, applied to the unit), unless other shares are asked for. Which notes are hidden together tells
which belong to one bar and part, and nothing else.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from scoresim.model.note_encoder import NoteInput
from scoresim.score.tokens import ATTRIBUTES, FIRST, MASK

MASKED, RANDOM = 0.8, 0.1  # BERT's shares of the chosen units; the rest stays as it is
PITCH, PROGRAM = ATTRIBUTES.index("pitch"), ATTRIBUTES.index("program")
TELLS_TIME = [ATTRIBUTES.index("bar"), ATTRIBUTES.index("position")]


class Hidden(NamedTuple):
    """Notes with something hidden.

    Attributes:
        notes: what the model is shown.
        asked: [B, N, 8] bool, True where the model is asked for the true id; never at padding.
    """

    notes: NoteInput
    asked: Tensor


def hide(
    notes: NoteInput,
    bar: Tensor,
    ratio: float,
    sizes: tuple[int, ...],
    draws: Tensor,
    shares: tuple[float, float] = (MASKED, RANDOM),
    single: Tensor | None = None,
    often: float = 1.0,
) -> Hidden:
    """Hide a random share of the (bar, part, attribute) units, or one attribute of every bar and part.

    The onset's share of the passage, which stands beside the ids, would tell a hidden bar or position: a note
    whose bar or position is hidden stands at its share of the sequence instead.

    Args:
        notes: the truth.
        bar: [B, N] bar of each note, -1 at padding.
        ratio: share of the units to choose, in [0, 1].
        sizes: number of ids of each attribute.
        draws: [B, N, 3, 8] uniform random numbers. Of a unit's first note the first says whether the unit is chosen and
            the second what becomes of it; of every note the third says which random value it gets.
        shares: of the chosen units that get the mask, and that get random values; what is left stays as it is.
        single: [B] bool, True for the passages in which one attribute is hidden in every bar and part.
        often: how many times as often that is pitch as another attribute.
    """
    first = first_alike(bar, notes.ids[..., PROGRAM])[..., None, None].expand(-1, -1, 2, draws.shape[-1])
    chance, fate = draws[:, :, :2].gather(1, first).unbind(dim=2)
    asked = chance < ratio
    if single is not None:
        race = -chance.clamp(min=1e-9).log()  # exponential: the first of them comes first as often as its rate says
        race[..., PITCH] /= often
        asked = torch.where(single[:, None, None], race == race.amin(dim=-1, keepdim=True), asked)
    asked = asked & notes.mask[..., None]
    masked, random = asked & (fate < shares[0]), asked & (fate >= shares[0]) & (fate < shares[0] + shares[1])
    count = torch.tensor(sizes, device=bar.device) - FIRST
    noise = FIRST + (draws[:, :, 2] * count).long()
    ids = torch.where(masked, MASK, torch.where(random, noise, notes.ids))
    return Hidden(NoteInput(ids, notes.mask, hidden_time(notes, masked | random)), asked)


def first_alike(*keys: Tensor) -> Tensor:
    """[B, N] index of the first note of the row that has the same keys, each [B, N]."""
    alike = torch.stack([key[:, :, None] == key[:, None, :] for key in keys]).all(dim=0)
    index = torch.arange(alike.shape[1], device=alike.device)
    return torch.where(alike, index, alike.shape[1]).amin(dim=2)


def digests(rows: Tensor) -> Tensor:
    """[B] numbers of 64 bits that tell rows of whole numbers [B, N] apart; numbers that change places count, too."""
    weights = torch.arange(1, rows.shape[1] + 1, device=rows.device) * -7046029254386353131  # all modulo 2 ** 64
    weights = (weights ^ (weights >> 29)) * -4658895280553007687
    return (rows * (weights ^ (weights >> 32))).sum(dim=1)


def hidden_time(notes: NoteInput, gone: Tensor) -> Tensor:
    """[B, N] times in which a note without its bar or position stands at index / length of the sequence, in lines."""
    lost = gone[..., TELLS_TIME].any(dim=-1)
    index = torch.arange(notes.mask.shape[1], device=lost.device)
    share = index / notes.mask.sum(dim=1, keepdim=True).clamp(min=1)
    lines = F.pad(notes.time * notes.mask, (0, 1)).amax(dim=1, keepdim=True).floor() + 1  # of rows that are read as one
    return torch.where(lost, (share * lines).to(notes.time.dtype), notes.time)
