"""The notes of one staff in at most two voices of chords, so that each can be written as one row of notes and rests.

A beam search over the onsets shares out the notes of every onset: the upper ones to voice 1, the lower ones to voice
2. It pays for cutting a note short, for leaps, for crossing, and for a second voice where one would do.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoresim.score.rhythm import fits
from scoresim.score.timeline import QUARTER

Ints = NDArray[np.int64]
WIDTH = 8  # states kept
LEAP = 0.05  # per semitone
CROSS = 1.5
ALONE = 1.0  # the second voice sounds and the first does not
SECOND = 0.9  # both voices begin at once although one chord would do
CUT_WRITTEN, CUT_PLAYED = 4.0, 0.25  # per quarter note that a note loses
CUT_ONCE = 1.5  # and for losing anything, where ends are what was written


@dataclass(frozen=True)
class Chord:
    """Notes of one voice with one onset and one end in ticks; `notes` are indices, from low to high."""

    onset: int
    end: int
    notes: tuple[int, ...]


@dataclass(frozen=True)
class _State:
    cost: float
    ends: tuple[int, int]
    pitches: tuple[float, float]
    back: _State | None
    split: int


def voices(onset: Ints, end: Ints, pitch: Ints, index: Ints, exact: bool) -> tuple[list[Chord], list[Chord]]:
    """The chords of voice 1 and of voice 2, each in order and without overlaps.

    Args:
        onset: [N] ticks.
        end: [N] ticks, > onset.
        pitch: [N] MIDI pitches; no pitch twice at one onset.
        index: [N] what the notes are called in the chords.
        exact: whether the ends are what was written; else they may be moved to what reads well.
    """
    order = np.lexsort((-pitch, onset))
    onset, end, pitch, index = onset[order], end[order], pitch[order], index[order]
    cuts = np.flatnonzero(np.r_[True, np.diff(onset) > 0, True]) if len(onset) else np.zeros(1, np.int64)
    groups = [(int(onset[a]), end[a:b].tolist(), pitch[a:b].tolist()) for a, b in itertools.pairwise(cuts)]
    splits = _search(groups, exact)
    found: tuple[list[Chord], list[Chord]] = ([], [])
    for (time, ends, _), split, a in zip(groups, splits, cuts, strict=False):
        for voice, (low, high) in enumerate(((0, split), (split, len(ends)))):
            if low < high:
                names = tuple(int(i) for i in index[a + low : a + high][::-1])
                found[voice].append(Chord(time, _one_end(ends[low:high], exact), names))
    return _lengths(found[0], exact), _lengths(found[1], exact)


def _one_end(ends: list[int], exact: bool) -> int:
    """The end of a chord whose notes may end apart: the most common one; of a performance, the middle one."""
    if exact:
        return max(ends, key=lambda e: (ends.count(e), e))
    return sorted(ends)[len(ends) // 2]


def _search(groups: list[tuple[int, list[int], list[int]]], exact: bool) -> list[int]:
    """How many of the notes of every onset, counted from the top, go to voice 1."""
    states = [_State(0.0, (0, 0), (-1.0, -1.0), None, 0)]
    for time, ends, pitches in groups:
        plain = min(ends) == max(ends)
        grown: dict[tuple[int, int, float, float], _State] = {}
        for state in states:
            busy = state.ends[0] > time or state.ends[1] > time
            options = [len(ends)] if plain and not busy and not exact else range(len(ends) + 1)
            for split in options:
                new = _step(state, time, ends, pitches, split, exact)
                key = (*new.ends, *new.pitches)
                if key not in grown or new.cost < grown[key].cost:
                    grown[key] = new
        states = sorted(grown.values(), key=lambda s: s.cost)[:WIDTH]
    splits: list[int] = []
    last = states[0]
    while last.back is not None:
        splits.append(last.split)
        last = last.back
    return splits[::-1]


def _step(state: _State, time: int, ends: list[int], pitches: list[int], split: int, exact: bool) -> _State:
    cost = state.cost
    new_ends, new_pitches = list(state.ends), list(state.pitches)
    sounding = [e > time for e in state.ends]
    for voice, (low, high) in enumerate(((0, split), (split, len(ends)))):
        if low == high:
            continue
        mine = ends[low:high]
        if sounding[voice]:
            cost += _cut(state.ends[voice] - time, exact)
        end = _one_end(mine, exact)
        cost += sum(_cut(e - end, exact) for e in mine if e != end)
        middle = pitches[low] if voice == 0 else pitches[high - 1]
        if state.pitches[voice] >= 0:
            cost += LEAP * min(abs(middle - state.pitches[voice]), 12)
        new_ends[voice], new_pitches[voice] = end, float(middle)
    if 0 < split < len(ends):
        cost += SECOND if min(ends) == max(ends) and not any(sounding) else 0.2
    elif split == 0:
        cost += 0.1 if sounding[0] else ALONE
        cost += CROSS * (sounding[0] and pitches[0] > state.pitches[0])
    else:
        cost += CROSS * (sounding[1] and pitches[-1] < state.pitches[1])
    return _State(cost, (new_ends[0], new_ends[1]), (new_pitches[0], new_pitches[1]), state, split)


def _cut(ticks: int, exact: bool) -> float:
    """What it costs that a note ends `ticks` from where it did; in a performance up to a quarter note costs little."""
    quarters = abs(ticks) / QUARTER
    if exact:
        return CUT_ONCE + CUT_WRITTEN * min(quarters, 2.0)
    return CUT_PLAYED * max(min(quarters, 4.0) - 1.0, 0.05)


def _lengths(chords: list[Chord], exact: bool) -> list[Chord]:
    """Chords cut where the next begins; of a performance, lengthened over the gap where a rest would only distract."""
    out = []
    for i, chord in enumerate(chords):
        end = chord.end
        if i + 1 < len(chords):
            following = chords[i + 1].onset
            end = min(end, following)
            if not exact:
                end = _played_end(chord.onset, end, following)
        elif not exact:
            end = _played_end(chord.onset, end, chord.onset + 64 * QUARTER)
        out.append(Chord(chord.onset, end, chord.notes))
    return out


def _played_end(onset: int, end: int, following: int) -> int:
    """Where a played note ends on paper: at the next one, when it lasts 2/5 of the way or the way is short."""
    way, length = following - onset, end - onset
    if way <= QUARTER // 2 or (length >= 0.4 * way and way <= 6 * QUARTER):
        return following
    if onset % (QUARTER // 16):  # inside a tuplet: to its end, so that nothing finer is needed
        return min(following, (onset // QUARTER + 1) * QUARTER)
    sizes = [QUARTER * n // 4 for n in (1, 2, 4, 6, 8, 12, 16)]
    fitting = [s for s in sizes if s <= way] or [way]
    if length > fitting[-1]:
        return onset + min(length // QUARTER * QUARTER, way)
    end = onset + min(fitting, key=lambda s: abs(math.log(s / length)))
    return end if end - onset <= QUARTER else max(end // (QUARTER // 2) * (QUARTER // 2), onset + QUARTER)


def settled(chords: list[Chord], cells: Ints) -> list[Chord]:
    """Chords of a performance with ends that need no finer division than triplets, sextuplets or 64ths.

    An end that does moves to the beginning of its cell, or to the end of it or the next chord where it began there.

    Args:
        chords: of one voice, in order.
        cells: [C + 1] borders of the cells in ticks.
    """
    onsets = np.asarray([chord.onset for chord in chords], dtype=np.int64)
    out = []
    for i, chord in enumerate(chords):
        following = chords[i + 1].onset if i + 1 < len(chords) else int(cells[-1])
        cell = int(np.searchsorted(cells, chord.end, side="right")) - 1
        begin = int(cells[min(cell, len(cells) - 1)])
        if chord.end < following and chord.end != begin:
            border = int(cells[cell + 1])
            inside = onsets[np.searchsorted(onsets, begin) : np.searchsorted(onsets, border)].tolist()
            if fits([*inside, chord.end], begin, border) not in (1, 3, 6):
                end = begin if begin > chord.onset else min(border, following)
                chord = Chord(chord.onset, end, chord.notes)
        out.append(chord)
    return out
