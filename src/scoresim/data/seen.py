"""The notes of a piece as a system may see them, and as numbers to count with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.windows import Segment, Segments
from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, Vocabulary

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PITCH, DURATION, POSITION = (ATTRIBUTES.index(name) for name in ("pitch", "duration", "position"))
VELOCITY, TEMPO, SIGNATURE = (ATTRIBUTES.index(name) for name in ("velocity", "tempo", "time_signature"))
EDGE = 16  # empty pitches below 0 and above 127 in the tables
PITCHES = 128 + 2 * EDGE


def seen(piece: Piece, hidden: Sequence[str], first: int = 0, end: int | None = None) -> Pair:
    """Notes `first` to `end` of a piece as a system may see them: one program, hidden attributes masked, no image."""
    end = len(piece) if end is None else end
    bars = int(piece.bar[first]), int(piece.bar[end - 1]) + 1
    return Segments([piece], [Segment(0, *bars, -1, first, end)], hidden)[0]


class Read(NamedTuple):
    """The notes of a pair as numbers.

    Attributes:
        numbers: [N, 8] attributes from 0; a hidden one is 0.
        pitch: [N] MIDI numbers.
        length, onset: [N] quarter notes.
        velocity: [N].
        times: [T] the onsets, increasing; row: [N] index of each note's onset among them.
    """

    numbers: Ints
    pitch: Ints
    length: Floats
    onset: Floats
    velocity: Floats
    times: Floats
    row: Ints


def read(pair: Pair, vocabulary: Vocabulary) -> Read:
    """The notes of a pair, onsets on the grid."""
    index = np.maximum(pair.notes.astype(np.int64) - FIRST, 0)
    length = np.array(vocabulary.durations)[index[:, DURATION]] / GRID
    velocity = np.array(vocabulary.velocities)[index[:, VELOCITY]].astype(np.float64)
    onset = np.round(pair.onset.astype(np.float64) * GRID) / GRID
    times, row = np.unique(onset, return_inverse=True)
    return Read(index, index[:, PITCH], length, onset, velocity, times, row)


def tables(pitch: Ints, row: Ints, times: Floats, end: Floats) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """How many notes of each pitch begin at each onset, and how many sound then: [T, PITCHES], pitch p in column
    p + EDGE.

    Args:
        pitch: [N].
        row: [N] index of each note's onset in `times`.
        times: [T] the onsets, increasing.
        end: [N] when each note ends.
    """
    begins = np.zeros((len(times), PITCHES), dtype=np.int16)
    np.add.at(begins, (row, pitch + EDGE), 1)
    change = np.zeros((len(times) + 1, PITCHES), dtype=np.int16)
    change[:-1] = begins
    np.add.at(change, (np.searchsorted(times, end - 1e-6), pitch + EDGE), -1)
    return begins, np.cumsum(change[:-1], axis=0, dtype=np.int16)
