"""Which notes stand on which staff: one part for every program, and in a part of two staves the hands.

A chain over the onsets chooses the pitch at which the hands part: at a gap between the notes that sound, near the
middle of the keyboard and near where it was, with neither hand stretched beyond a ninth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoresim.score.notes import DRUMS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
TWO_STAVES = {*range(8), *range(16, 24), 46, 8, 11, 12, 13, 14, 15, 108}  # keyboards, harp, tuned bars
KEYBOARDS = {*range(9), *range(16, 21)}  # pianos, harpsichord, clavichord, celesta, organs
LOWEST, HIGHEST = 41, 80  # pitches between which the hands part
STRETCH = 14  # semitones
MIDDLE, MOVE, ALONE = 0.048, 0.56, 0.8
GAP_NOW, GAP_NEAR = 0.102, 0.179
CENTRE = 65.0


@dataclass(frozen=True)
class Part:
    """The staves of one program: the number of the first, and how many."""

    program: int
    first: int
    staves: int


def parts(
    program: Ints, pitch: Ints, onset: Floats, end: Floats, left: NDArray[np.bool_] | None = None
) -> tuple[tuple[Part, ...], Ints]:
    """The parts of a piece from high to low, and the staff of every note: ([P], [N] from 1; 0 for percussion).

    Args:
        program: [N] General MIDI programs, 128 for percussion.
        pitch: [N] MIDI pitches.
        onset: [N] in quarter notes.
        end: [N] in quarter notes.
        left: [N] which notes the left hand plays, where that is known; else the chain says it.
    """
    staff = np.zeros(len(pitch), dtype=np.int64)
    found = [int(p) for p in np.unique(program) if p != DRUMS]
    # keyboards stand at the bottom, as in scores; the others by range
    found.sort(key=lambda p: (p in TWO_STAVES, -float(np.median(pitch[program == p]))))
    made, number = [], 1
    for p in found:
        mine = np.flatnonzero(program == p)
        two = needs_two(p, pitch[mine], onset[mine], end[mine])
        if two:
            under = lower(pitch[mine], onset[mine], end[mine]) if left is None else left[mine].astype(np.int64)
        staff[mine] = number + (under if two else 0)
        made.append(Part(p, number, 2 if two else 1))
        number += made[-1].staves
    return tuple(made), staff


def needs_two(program: int, pitch: Ints, onset: Floats, end: Floats) -> bool:
    """Whether a part needs two staves: it has chords, and is a keyboard's or wider than two octaves and a half.

    A line that seldom has two notes at once stays on one staff, whatever plays it, unless it spans three octaves.
    """
    order = np.lexsort((pitch, onset))
    begin, stop, height = onset[order], end[order], pitch[order]
    over = np.zeros(len(order), dtype=bool)
    if len(order) > 1:
        latest = np.maximum.accumulate(stop)
        over[1:] = (latest[:-1] > begin[1:] + 0.3) | (np.diff(begin) == 0)
    spread = float(np.quantile(height, 0.98) - np.quantile(height, 0.02)) if len(height) else 0.0
    chordal = float(over.mean()) > 0.1
    low = float(np.quantile(height, 0.05)) < 57 if len(height) else False
    if program in TWO_STAVES:
        return (chordal and (spread > 15 or low)) or spread > 36
    return chordal and spread > 30


def lower(pitch: Ints, onset: Floats, end: Floats) -> Ints:
    """1 for the notes of the lower staff, 0 for those of the upper: [N]."""
    if not len(pitch):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((pitch, onset))
    times, index = np.unique(onset[order], return_inverse=True)
    splits = np.arange(LOWEST, HIGHEST + 1)
    cost = _split_costs(pitch[order], onset[order], end[order], times, splits)
    step = np.abs(splits[:, None] - splits[None, :])
    total, back = cost[0], np.zeros(cost.shape, dtype=np.int64)
    gaps = np.diff(times)
    for i in range(1, len(cost)):
        move = total[:, None] + step * (MOVE / (1.0 + gaps[i - 1]))
        back[i] = move.argmin(0)
        total = move[back[i], np.arange(len(splits))] + cost[i]
    path = np.empty(len(cost), dtype=np.int64)
    path[-1] = int(total.argmin())
    for i in range(len(cost) - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    out = np.empty(len(pitch), dtype=np.int64)
    out[order] = (pitch[order] < splits[path[index]]).astype(np.int64)
    return out


def _split_costs(pitch: Ints, onset: Floats, end: Floats, times: Floats, splits: Ints) -> Floats:
    """[T, S] cost of parting the hands below every split pitch at every time."""
    first = np.searchsorted(onset, times - 1.0)
    here = np.searchsorted(onset, times - 0.01)
    last = np.searchsorted(onset, times + 0.01)
    after = np.searchsorted(onset, times + 1.0)
    cost = np.zeros((len(times), len(splits)))
    middle = MIDDLE * np.abs(splits - CENTRE)
    for i, time in enumerate(times):
        held = np.arange(first[i], here[i])
        held = held[end[held] > time + 0.125]
        now = np.unique(np.concatenate([pitch[here[i] : last[i]], pitch[held]]))
        near = np.unique(pitch[first[i] : after[i]])
        cost[i] = middle + _stretch(now, splits) - GAP_NOW * _gap(now, splits) - GAP_NEAR * _gap(near, splits)
    return cost


def _stretch(pitch: Ints, splits: Ints) -> Floats:
    """[S] how far each split stretches a hand beyond a ninth, in semitones; and one for a hand without notes."""
    at = np.searchsorted(pitch, splits)
    upper = np.where(at < len(pitch), pitch[-1] - pitch[np.minimum(at, len(pitch) - 1)], 0)
    under = np.where(at > 0, pitch[np.maximum(at - 1, 0)] - pitch[0], 0)
    alone = ((at == 0) | (at == len(pitch))) * (ALONE if len(pitch) > 1 else 0.0)
    return np.asarray(np.maximum(upper - STRETCH, 0) + np.maximum(under - STRETCH, 0) + alone, dtype=np.float64)


def _gap(pitch: Ints, splits: Ints) -> Floats:
    """[S] width of the gap in which a split lies, at most an octave, less how far it is from the gap's middle."""
    padded = np.concatenate([[pitch[0] - 12], pitch, [pitch[-1] + 12]])
    at = np.searchsorted(padded, splits)
    at = np.clip(at, 1, len(padded) - 1)
    low, high = padded[at - 1], padded[at]
    width = np.minimum(high - low, 12)
    nearest = np.minimum(np.abs(splits - low - 0.5), np.abs(high + 0.5 - splits))
    return np.asarray(np.minimum(nearest, width / 2), dtype=np.float64)
