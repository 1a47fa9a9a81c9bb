"""What a notation made from MIDI still knows of its performance: velocities, programs, tempo.

`score.notate` writes a MIDI file down; the engraver's reading of that notation has exact bars, staves and spellings
and the unknown velocity. Here every written note gets back what its MIDI note said, and every bar the tempo at which
it was played.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scoresim.score.notes import Score

SLOWEST, FASTEST = 10.0, 400.0  # quarter notes per minute; what lies outside is an estimate gone wrong


def seconds(midi: Score, ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Times ([N] ticks) of a MIDI file in seconds, by its tempos (120 before the first)."""
    at, tempo = [0], [120.0]
    for tick, value in midi.tempos:
        if tick <= at[-1]:
            tempo[-1] = value
        else:
            at.append(tick)
            tempo.append(value)
    starts = np.array(at, dtype=np.float64)
    per_tick = 60.0 / (np.array(tempo) * midi.resolution)
    elapsed = np.r_[0.0, np.cumsum(np.diff(starts) * per_tick[:-1])]
    index = np.searchsorted(starts, ticks, side="right") - 1
    out: NDArray[np.float64] = elapsed[index] + (ticks - starts[index]) * per_tick[index]
    return out


def performed(written: Score, midi: Score, source_note: Mapping[str, int]) -> Score:
    """The written score with the velocities, programs and tempos of the MIDI that it was made from.

    Args:
        written: reading of the notation; its notes have identifiers.
        midi: the MIDI file.
        source_note: identifier -> index of the MIDI note (`notate.Notation.source_note`).

    Raises:
        ValueError: a written note has no MIDI note, or another pitch than that has.
    """
    try:
        index = np.array([source_note[name] for name in written.notes.id], dtype=np.int64)
    except KeyError as error:
        raise ValueError("a written note comes from no MIDI note") from error
    if (midi.notes.pitch[index] != written.notes.pitch).any():
        raise ValueError("a written note has another pitch than its MIDI note")
    notes = replace(written.notes, velocity=midi.notes.velocity[index], program=midi.notes.program[index])
    return replace(written, notes=notes, tempos=bar_tempos(written, seconds(midi, midi.notes.onset[index])))


def bar_tempos(written: Score, played: NDArray[np.float64]) -> tuple[tuple[int, float], ...]:
    """(tick, quarter notes per minute) of every bar, from the times at which its notes were played ([N] seconds)."""
    ticks, where = np.unique(written.notes.onset, return_inverse=True)
    if len(ticks) < 2:
        return ()
    first = np.full(len(ticks), np.inf)
    np.minimum.at(first, where, played)
    first = np.maximum.accumulate(first)
    tempos = []
    for bar in written.bars:
        begin, end = np.interp([bar.onset, bar.onset + bar.duration], ticks, first)
        inside = np.clip([bar.onset, bar.onset + bar.duration], ticks[0], ticks[-1])
        quarters = (inside[1] - inside[0]) / written.resolution
        if end - begin > 1e-3 and quarters > 0:
            tempos.append((bar.onset, float(np.clip(60 * quarters / (end - begin), SLOWEST, FASTEST))))
    return tuple(tempos)
