"""The notes of POP909 as MidiBERT-Piano's public code puts them, for figures that can stand beside the published ones.

That code (wazenmai/MIDI-BERT, `data_creation/`) moves the notes of a song to a grid of 16ths, reads its tracks one
after the other (vocal, bridge, piano), each by pitch, and then sorts all by their onset alone. The sort keeps what is
equal in order: at every onset the notes of the vocal come first, then those of the bridge, then those of the piano.
Where the pitch falls within an onset, another track begins: the order of the input tells part of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scoresim.benchmark.metrics import Floats
from scoresim.benchmark.tasks import melody
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.score.tokens import FIRST, GRID
from scoresim.understand.note_features import falls

SIXTEENTHS = 4  # of a quarter note


def on_sixteenths(piece: Piece, by_track: bool = True) -> Piece:
    """The notes of a song on a grid of 16ths, by onset, track and pitch, or by onset and pitch; durations stay."""
    onset = np.round(piece.onset * SIXTEENTHS) / SIXTEENTHS
    last = len(piece.bar_onset) - 2
    bar = np.searchsorted(piece.bar_onset, onset + 1e-6, side="right").clip(1, last + 1) - 1
    ids = piece.ids.copy()
    ids[:, 1] = FIRST + np.round((onset - piece.bar_onset[bar]) * GRID).astype(np.int64)
    track = melody.label(piece) if by_track else np.zeros(len(piece), dtype=np.int64)
    order = np.lexsort((ids[:, 3], ids[:, 2], track, ids[:, 1], bar))
    columns = {name: getattr(piece, name)[order] for name in ("velocity", "track", "staff", "voice")}
    return replace(piece, ids=ids[order], bar=bar[order], onset=onset[order], lines=(), **columns)


def read_off(pair: Pair, classes: Sequence[str] = melody.CLASSES) -> Floats:
    """[N, 3] scores of what the falls of the pitch say: melody before the first of an onset, bridge between two."""
    before, after = falls(pair)
    said = np.where((after > 0) & (before < 2), before, 2)
    return np.log(np.eye(len(classes))[said] + 1e-6)
