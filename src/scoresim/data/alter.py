"""The same passage with one bar altered: the hardest false partner that notes can be for a picture.

Three ways, each of which a listener would hear and a reader of the picture could see: one note at another pitch; the
bar's rhythm changed at one onset; the whole bar transposed. Everything else stays, and what follows from the change
(order of the notes, their places along the line) is made anew, so that nothing but the music is different. A note
outside of the key or an odd rhythm can still be guessed from the notes alone: judge beside it what a model says without
the right picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoresim.score.tokens import ATTRIBUTES, FIRST, GRID, Vocabulary

KINDS = ("pitch", "rhythm", "transposed")
LARGEST_STEP = 7  # semitones by which a note or a bar is moved at most
POSITION, PITCH, DURATION, PROGRAM = (ATTRIBUTES.index(n) for n in ("position", "pitch", "duration", "program"))
SIGNATURE = ATTRIBUTES.index("time_signature")
PITCHES = 128

Ids = NDArray[np.int16]
Bars = NDArray[np.int16]
Onsets = NDArray[np.float32]


class Altered(NamedTuple):
    """A passage's notes after the change, in token order again.

    Attributes:
        ids: [n, 8] token ids.
        bar: [n] bar of each note.
        onset: [n] quarter notes from the beginning of the passage.
        kind: index into `KINDS`; -1 where no bar could be altered, and the notes are as they were.
    """

    ids: Ids
    bar: Bars
    onset: Onsets
    kind: int


def alter(
    ids: Ids, bar: Bars, onset: Onsets, length: float, vocabulary: Vocabulary, rng: np.random.Generator
) -> Altered:
    """Alter one bar of a passage; bar and way are drawn evenly among those that can be.

    Args:
        ids: [n, 8] token ids, in the order of (bar, position, pitch).
        bar: [n] bar of each note.
        onset: [n] quarter notes from the beginning of the passage.
        length: of the passage in quarter notes.
        vocabulary: of the ids.
        rng: decides.
    """
    bars = np.unique(bar)
    starts = np.round(onset * GRID).astype(int) - (ids[:, POSITION] - FIRST)  # of each note's bar, in grid steps
    for chosen in rng.permutation(bars):
        for kind in rng.permutation(len(KINDS)):
            notes = np.flatnonzero(bar == chosen)
            new, moved = ids.astype(np.int64), onset.astype(np.float64)
            if KINDS[kind] == "rhythm":
                later = starts[bar > chosen]
                end = (later.min() if len(later) else round(length * GRID)) - starts[notes[0]]
                top, under = vocabulary.time_signatures[max(int(ids[notes[0], SIGNATURE]) - FIRST, 0)]
                bar_end = 4 * GRID * top // under if under else vocabulary.positions  # the next bar may begin nothing
                end = min(int(end), bar_end, vocabulary.positions)
                done = _rhythm(new, moved, notes, end, np.array(vocabulary.durations), rng)
            else:
                done = _pitch(new, notes if KINDS[kind] == "transposed" else rng.choice(notes, 1), rng)
            if done:
                order = np.lexsort((new[:, PROGRAM], new[:, DURATION], new[:, PITCH], new[:, POSITION], bar))
                return Altered(new[order].astype(np.int16), bar[order], moved[order].astype(np.float32), int(kind))
    return Altered(ids, bar, onset, -1)


def _pitch(ids: NDArray[np.int64], notes: NDArray[np.int64], rng: np.random.Generator) -> bool:
    """Move notes by one interval, up or down, in place; says whether there was room."""
    pitch = ids[notes, PITCH] - FIRST
    step = int(rng.integers(1, LARGEST_STEP + 1)) * (1 if rng.random() < 0.5 else -1)
    for move in (step, -step):
        if (pitch + move >= 0).all() and (pitch + move < PITCHES).all():
            others = set(map(tuple, np.delete(ids, notes, axis=0)[:, :3].tolist()))
            ids[notes, PITCH] += move
            if not others & set(map(tuple, ids[notes, :3].tolist())):  # else it would double a note that is there
                return True
            ids[notes, PITCH] -= move
    return False


def _rhythm(
    ids: NDArray[np.int64],
    onset: NDArray[np.float64],
    notes: NDArray[np.int64],
    end: int,
    durations: NDArray[np.int64],
    rng: np.random.Generator,
) -> bool:
    """Let one onset of the bar come later, about halfway to the next: two equal notes become dotted, for instance.

    Notes that ended at the onset are held until the new one; the notes that begin there are shortened. The new onset
    lies before `end`, the grid steps of the bar, where written music has onsets: on a 32nd or on a third of an eighth.
    """
    position = ids[notes, POSITION] - FIRST
    length = durations[ids[notes, DURATION] - FIRST]
    starts = np.unique(position)
    for start in rng.permutation(starts):
        here = position == start
        later = starts[starts > start]
        until = min([int(start + length[here].min()), end, *later[:1].tolist()])
        usual = [p for p in range(int(start) + 1, until) if p % 3 == 0 or p % 4 == 0]
        if not usual:
            continue
        delay = min(usual, key=lambda p: abs(2 * p - int(start) - until)) - int(start)
        before = position + length == start
        changed = np.where(here, length - delay, np.where(before, length + delay, length))
        ids[notes, DURATION] = FIRST + _nearest(durations, changed)
        ids[notes[here], POSITION] += delay
        onset[notes[here]] += delay / GRID
        return True
    return False


def _nearest(durations: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the representable durations nearest to the wanted ones, the shorter of two equally near."""
    found: NDArray[np.int64] = np.abs(durations[None, :] - wanted[:, None]).argmin(axis=1)
    return found
