"""A rule that finds notes by an image without learning: bootleg scores.

Yang et al. (MIDI Passage Retrieval Using Cell Phone Pictures of Sheet Music, ISMIR 2019) compare a picture and a MIDI
file as *bootleg scores*: sequences of columns, one for each time at which notes begin, that say at which height on
the staves note heads stand. On a picture that is the place of each head against its staff lines; a MIDI pitch has the
heights at which it could be written, on a treble staff, on a bass staff, or on both, as either neighbour of a black
key. Two sequences are compared by dynamic time warping.

Here the heads and staff lines are the engraver's, so that the image side makes no mistake of detection: this is the
best such a rule can do. A picture's only staff, or the upper half of its staves, is taken for treble, the rest for
bass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoresim.data.pair import Pair
from scoresim.score.tokens import ATTRIBUTES, FIRST

LOW, HEIGHTS = -12, 33  # lowest height, in steps above the bottom line, and number of heights kept of each staff
BOTTOM = (30, 18)  # step (C0 is 0) of the bottom line of a treble and of a bass staff
MIDDLE = (53, 67)  # MIDI pitches: lower ones are not written on the treble staff, higher ones not on the bass staff
STEPS = ((0,), (0, 1), (1,), (1, 2), (2,), (3,), (3, 4), (4,), (4, 5), (5,), (5, 6), (6,))  # of each pitch class
SAME_COLUMN = 0.6  # staff spaces between the heads of one column at most
POSITION, PITCH = ATTRIBUTES.index("position"), ATTRIBUTES.index("pitch")

Columns = NDArray[np.float32]
Floats = NDArray[np.float64]


def image_columns(pair: Pair) -> Columns:
    """[C, 2 * HEIGHTS] which heights have a head in each column of the picture, in reading order."""
    staves, heads = pair.staff_boxes, pair.heads[:, 1:]
    if not len(staves) or not len(heads):
        return np.zeros((0, 2 * HEIGHTS), np.float32)
    x, y = heads[:, [0, 2]].mean(axis=1), heads[:, [1, 3]].mean(axis=1)
    numbers = np.unique(staves[:, 1])
    treble = {n: i < (len(numbers) + 1) // 2 for i, n in enumerate(numbers.tolist())}
    note = pair.heads[:, 0].astype(int)
    system = np.abs(y[:, None] - staves[None, :, [3, 5]].mean(axis=2)).argmin(axis=1)
    own = np.array([_staff_of(staves, staves[s, 0], pair.staff[n], s) for s, n in zip(system, note, strict=True)])
    height = np.round((staves[own, 5] - y) / (pair.staff_space / 2)).astype(int)
    order = np.lexsort((x, staves[own, 0]))
    out: list[Columns] = []
    last = (-1.0, -np.inf)
    for i in order.tolist():
        if staves[own[i], 0] != last[0] or x[i] - last[1] > SAME_COLUMN * pair.staff_space:
            out.append(np.zeros(2 * HEIGHTS, np.float32))
            last = float(staves[own[i], 0]), float(x[i])
        _mark(out[-1], 0 if treble[float(staves[own[i], 1])] else 1, int(height[i]))
    return np.stack(out)


def _staff_of(staves: NDArray[np.float32], system: float, number: int, nearest: int) -> int:
    """Row of the staff of a system on which a note stands; the nearest one where it is not drawn."""
    found = np.flatnonzero((staves[:, 0] == system) & (staves[:, 1] == number))
    return int(found[0]) if len(found) else nearest


def note_columns(pair: Pair) -> Columns:
    """[C, 2 * HEIGHTS] the heights at which the notes of each onset could be written."""
    out: list[Columns] = []
    last = None
    for onset, pitch in zip(pair.onset.tolist(), (pair.notes[:, PITCH] - FIRST).tolist(), strict=True):
        if onset != last:
            out.append(np.zeros(2 * HEIGHTS, np.float32))
            last = onset
        for step in STEPS[pitch % 12]:
            diatonic = 7 * (pitch // 12 - 1) + step
            for staff, written in enumerate((pitch >= MIDDLE[0], pitch <= MIDDLE[1])):
                if written:
                    _mark(out[-1], staff, diatonic - BOTTOM[staff])
    return np.stack(out) if out else np.zeros((0, 2 * HEIGHTS), np.float32)


def _mark(column: Columns, staff: int, height: int) -> None:
    if 0 <= height - LOW < HEIGHTS:
        column[staff * HEIGHTS + height - LOW] = 1.0


def scores(pairs: Sequence[Pair]) -> Floats:
    """[P, P] how well the notes of each passage (columns) fit the image of each (rows), higher is better."""
    images, notes = [image_columns(pair) for pair in pairs], [note_columns(pair) for pair in pairs]
    longest = max((len(columns) for columns in notes), default=0)
    padded = np.zeros((len(notes), max(longest, 1), 2 * HEIGHTS), np.float32)
    for i, columns in enumerate(notes):
        padded[i, : len(columns)] = columns
    lengths = np.array([len(columns) for columns in notes])
    return np.stack([-warped(columns, padded, lengths) for columns in images])


def warped(image: Columns, notes: Columns, lengths: NDArray[np.int64]) -> Floats:
    """[P] cost of the best warping path between an image and each of P passages, per step of the path.

    The cost of two columns is the share of the image's heads that the notes do not explain.

    Args:
        image: [C, D] columns of the image.
        notes: [P, L, D] columns of the passages, padded.
        lengths: [P] how many of them are there.
    """
    if not len(image) or not notes.shape[1]:
        return np.ones(len(notes))
    heads = image.sum(axis=1)
    met = notes.reshape(-1, notes.shape[-1]) @ image.T
    cost = 1.0 - (met / np.maximum(heads, 1e-9)).reshape(*notes.shape[:2], -1).transpose(2, 1, 0)  # [C, L, P]
    C, L, P = cost.shape
    total, steps = np.full((C + 1, L + 1, P), np.inf, np.float32), np.zeros((C + 1, L + 1, P), np.float32)
    total[0, 0] = 0.0
    for diagonal in range(C + L - 1):
        i = np.arange(max(0, diagonal - L + 1), min(C - 1, diagonal) + 1)
        j = diagonal - i
        best, count = total[i, j], steps[i, j]  # of the three cells before, that of the least total
        for down, right in ((0, 1), (1, 0)):
            other = total[i + down, j + right]
            better = other < best
            best, count = np.where(better, other, best), np.where(better, steps[i + down, j + right], count)
        total[i + 1, j + 1], steps[i + 1, j + 1] = best + cost[i, j], count + 1
    at = np.clip(lengths, 1, L)
    index = np.arange(P)
    found = total[C, at, index] / np.maximum(steps[C, at, index], 1)
    return np.where(lengths > 0, found, 1.0).astype(np.float64)
