"""Key signatures and spelled pitches, on the line of fifths.

On that line C is 0, G is 1, F is -1; F# is 6 and Gb is -6, and a key signature of k sharps holds the names k - 1 to
k + 5. Keys come from the pitch-class profiles of Temperley in a chain over the bars; a note's name is the one nearest
to the names around it, pulled to the key and to the semitone step that follows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoresim.score.notes import STEPS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MAJOR = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
MINOR = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)
SHARPEST, FLATTEST = 13, -9  # F double sharp and B double flat
LETTERS = tuple(STEPS.index(letter) for letter in "FCGDAEB")


def key_signatures(pitch: Ints, weight: Floats, bar: Ints, bars: int, change: float = 40.0) -> Ints:
    """Sharps (positive) or flats of the key signature of every bar: [bars], -6 to 6.

    Args:
        pitch: [N] MIDI pitches.
        weight: [N] how much every note counts, in quarter notes; 2 at most are counted.
        bar: [N] index of the bar of every note.
        bars: number of bars.
        change: what a new signature costs, in log likelihood.
    """
    profile = np.zeros((bars, 12))
    np.add.at(profile, (bar, pitch % 12), np.minimum(weight, 2.0) + 0.1)
    profile *= 4.0 / np.maximum(profile.sum(1, keepdims=True), 4.0)
    logs = []
    for shape in (MAJOR, MINOR):
        share = np.log(np.asarray(shape) / sum(shape))
        logs += [np.roll(share, tonic) for tonic in range(12)]
    score = profile @ np.asarray(logs).T
    tonic = np.r_[np.arange(12), np.arange(12)]
    relative = (tonic + np.r_[np.zeros(12, int), np.full(12, 3)]) % 12
    fifths = (7 * relative + 5) % 12 - 5
    fifths[(fifths == 6) & (np.arange(24) >= 12)] = -6  # E flat minor rather than D sharp minor, but F sharp major
    cost = np.where(fifths[:, None] % 12 == fifths[None, :] % 12, 1.5, change)
    np.fill_diagonal(cost, 0.0)
    total, back = score[0], np.zeros((bars, 24), dtype=np.int64)
    for i in range(1, bars):
        step = total[:, None] - cost
        back[i] = step.argmax(0)
        total = step[back[i], np.arange(24)] + score[i]
    path = np.empty(bars, dtype=np.int64)
    path[-1] = int(total.argmax())
    for i in range(bars - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return np.asarray(fifths[path], dtype=np.int64)


def spell(pitch: Ints, onset: Floats, fifths: Ints) -> tuple[Ints, Ints, Ints]:
    """Step (0-6 for C-B), alteration and octave of every note: three arrays [N].

    Args:
        pitch: [N] MIDI pitches.
        onset: [N] quarter notes.
        fifths: [N] key signature in force at every note.
    """
    n = len(pitch)
    order = np.lexsort((pitch, onset))
    low, time, key = pitch[order], onset[order], fifths[order].astype(np.float64)
    # the name of the class within a window of twelve around the centre, for every possible centre
    base = (7 * low) % 12
    centre = key + 2.4
    leading = _leads(low, time)
    first, last = np.searchsorted(time, time - 3.0), np.searchsorted(time, time + 2.0, side="right")
    name = base.astype(np.float64)
    for _ in range(3):
        candidates = base[:, None] + np.asarray([-24, -12, 0, 12])[None, :]
        cost = np.abs(candidates - centre[:, None])
        cost = cost + leading[:, None] * (candidates - centre[:, None]) * -0.18
        cost[(candidates > SHARPEST) | (candidates < FLATTEST)] += 50
        name = np.take_along_axis(candidates, cost.argmin(1)[:, None], 1)[:, 0].astype(np.float64)
        total = np.r_[0.0, np.cumsum(name)]
        mean = (total[last] - total[first]) / np.maximum(last - first, 1)
        centre = 0.6 * (key + 2.4) + 0.4 * (mean + 0.3)
    fifth = name.astype(np.int64)
    step = np.asarray(LETTERS)[(fifth + 1) % 7]
    alter = (fifth + 1) // 7
    natural = low - alter
    octave = natural // 12 - 1
    out = [np.empty(n, dtype=np.int64) for _ in range(3)]
    for column, values in zip(out, (step, alter, octave), strict=True):
        column[order] = values
    return out[0], out[1], out[2]


def _leads(pitch: Ints, time: Floats) -> Floats:
    """[N] +1 where a semitone up follows soon, -1 where a semitone down does, 0 for neither or both.

    Pitches in order of time. Only the next twelve notes within 1.5 quarter notes are looked at; the nearest wins.
    """
    n = len(pitch)
    out = np.zeros(n)
    undecided = np.ones(n, dtype=bool)
    for ahead in range(1, 13):
        if ahead >= n:
            break
        soon = (time[ahead:] - time[:-ahead] <= 1.5) & (time[ahead:] > time[:-ahead])
        by = pitch[ahead:] - pitch[:-ahead]
        found = np.zeros(n)
        found[:-ahead] = np.where(soon & (by == 1), 1.0, np.where(soon & (by == -1), -1.0, 0.0))
        take = undecided & (found != 0)
        out[take] = found[take]
        undecided &= ~take
    return out
