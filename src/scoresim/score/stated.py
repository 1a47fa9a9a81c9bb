"""What a text states, beside what was read of it: notes by bar, and the bars in which the two differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from scoresim.score.notes import TIED_FROM, TIED_TO, Score

Stated = dict[tuple[int, int, int], list[tuple[float, float, int]]]
"""Step, alteration and octave -> onset in the bar and duration in quarter notes, and the bits of `Notes.tie`."""

EXACT = 1e-6  # quarter notes: what floats lose


def join(bar: Stated) -> Stated:
    """A bar whose notes that are tied to each other are one."""
    joined: Stated = {}
    for spelling, times in bar.items():
        notes: list[tuple[float, float, int]] = []
        for onset, lasts, tie in sorted(times):
            begins, before, last = notes[-1] if notes else (onset, 0.0, 0)
            if last & TIED_TO and tie & TIED_FROM and abs(begins + before - onset) <= EXACT:
                notes[-1] = begins, before + lasts, last & ~TIED_TO | tie & ~TIED_FROM
            else:
                notes.append((onset, lasts, tie))
        joined[spelling] = notes
    return joined


def read_bars(score: Score) -> defaultdict[int, Stated]:
    """The notes of a score by bar (an index into `score.bars`), without those that have no spelling."""
    read: defaultdict[int, Stated] = defaultdict(lambda: defaultdict(list))
    notes, starts = score.notes, np.array([bar.onset for bar in score.bars])
    onset = (notes.onset - starts[notes.bar]) / score.resolution
    columns = (notes.bar, notes.step, notes.alter, notes.octave, onset, notes.duration / score.resolution, notes.tie)
    for bar, step, alter, octave, begins, lasts, tie in zip(*(column.tolist() for column in columns), strict=True):
        if step >= 0:
            read[bar][step, alter, octave].append((begins, lasts, tie))
    return read


def alike(stated: Stated, read: Stated, near: float) -> bool:
    """Whether two bars hold the same notes; times may differ by `near` quarter notes."""
    if stated.keys() != read.keys():
        return False
    for key, times in stated.items():
        others = read[key]
        if len(times) != len(others):
            return False
        for a, b in zip(sorted(times), sorted(others), strict=True):
            if abs(a[0] - b[0]) > near or abs(a[1] - b[1]) > near or a[2] != b[2]:
                return False
    return True


def differing(
    stated: Sequence[Stated | None], score: Score, near: float = EXACT, joined: bool = False
) -> frozenset[int]:
    """Bars of a score that do not hold exactly the notes of the text's bars, taken in order.

    Bars without notes are passed over on both sides, since readers differ in what they make of them.

    Args:
        stated: the notes of every bar of the text; None for a bar that cannot be told.
        score: what was read from the engraver.
        near: by how many quarter notes times may differ.
        joined: whether notes that are tied inside a bar count as one.

    Returns:
        Indices into `score.bars`; all of them where the text has another number of bars with notes.
    """
    read: Mapping[int, Stated] = read_bars(score)
    if joined:
        read = {number: join(bar) for number, bar in read.items()}
        stated = [bar and join(bar) for bar in stated]
    sounding = sorted(read)
    told = [bar for bar in stated if bar is None or bar]
    if len(told) != len(sounding):
        return frozenset(range(len(score.bars)))
    return frozenset(i for i, bar in zip(sounding, told, strict=True) if bar is None or not alike(bar, read[i], near))
