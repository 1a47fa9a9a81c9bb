"""Staves as classes: what the questions about hands and voices share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoresim.benchmark.metrics import Ints
from scoresim.data.corpora import Item
from scoresim.data.curate import by_lot
from scoresim.data.pieces import Piece
from scoresim.score.tokens import ATTRIBUTES

PITCH = ATTRIBUTES.index("pitch")


def part(item: Item) -> str:
    """The part of a set without an official split: by the lot of the work, as in every data set that is built."""
    return by_lot(item.work)


def of_staff(piece: Piece, classes: Sequence[int]) -> Ints:
    """[N] class of each note by its staff; below 0 for none.

    Two notes of one pitch that begin together cannot be told apart by any MIDI file. They get one class, the lowest
    that either has.

    Args:
        piece: the notes.
        classes: of the staves from top to bottom.
    """
    known = np.array([-1, *classes], dtype=np.int64)
    own = known[np.where(piece.staff < len(known), piece.staff, 0)]
    _, same = np.unique(np.stack([piece.onset, piece.ids[:, PITCH]], axis=1), axis=0, return_inverse=True)
    lowest = np.full(len(piece), len(known), dtype=np.int64)
    np.minimum.at(lowest, same.reshape(-1), np.where(own < 0, len(known), own))
    return np.where(own < 0, -1, lowest[same.reshape(-1)])


def none(piece: Piece) -> Ints:
    """[N] no class for any note: a piece that is not asked."""
    return np.full(len(piece), -1, dtype=np.int64)
