"""MIDI without notation -> a score that reads well, as MEI.

The way: bars and beats (`timeline`, `pulse`), rounding (`quantize`), key signatures and names (`spelling`), parts and
hands (`hands`), voices (`voices`), notes, rests, tuplets and beams (`rhythm`), text (`mei_write`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scoresim.errors import BadInput
from scoresim.score import hands, pulse, spelling
from scoresim.score.mei_write import Plan, mei
from scoresim.score.notes import DRUMS, Beats, Notes, Score
from scoresim.score.performance import bar_tempos, seconds
from scoresim.score.quantize import quantize
from scoresim.score.timeline import QUARTER, Timeline, followed, from_beats, from_grid, on_grid
from scoresim.score.voices import Chord, settled, voices

Ints = NDArray[np.int64]
MOST_NOTES, MOST_BARS = 20_000, 5_000
MOST_SECONDS = 38_000.0  # that so many bars of four slow beats last


@dataclass(frozen=True)
class Notation:
    """A written-down MIDI file, or some bars of it.

    Attributes:
        mei: a complete MEI 5 text; every note has an identifier.
        source_note: identifier of every note -> index of its MIDI note; all heads of a tied note have the same.
        warnings: what could not be kept, in sentences.
        how: where the beats came from: "grid", "beats" or "estimated".
        first_bar: index of its first bar in the whole piece.
    """

    mei: str
    source_note: dict[str, int]
    warnings: tuple[str, ...]
    how: str
    first_bar: int = 0


def quantized(midi: Score, beats: Beats | None = None) -> Score:
    """The notes of a MIDI file between the bar lines of its notation, each of them once: what `notate` writes down.

    Args:
        midi, beats: as `notate` takes them; percussion may be among the notes.

    Returns:
        The notes of `midi` in its order, onsets and durations rounded as the notation rounds them, with bars and the
        tempo of each bar; staff, voice and spelling as they were.

    Raises:
        BadInput: it has no notes, or too many notes or bars.
    """
    line = _checked(midi, beats)
    onset, end = quantize(line, midi.notes.pitch)
    bar = np.searchsorted([bar.onset for bar in line.bars], onset, side="right") - 1
    notes = replace(midi.notes, onset=onset, duration=end - onset, bar=bar)
    played = seconds(midi, midi.notes.onset)
    written = Score(QUARTER, notes, line.bars, midi.staves, (), midi.source)
    return replace(written, tempos=bar_tempos(written, played))


def notate(midi: Score, beats: Beats | None = None) -> Notation:
    """Write a MIDI file down as one score.

    Args:
        midi: notes in ticks; with `bars` where its metre is known, else the metre is estimated. Percussion is left out.
        beats: the beats of a performance; where they are given, the file's own beats and bars do not count.

    Raises:
        BadInput: it has no notes but percussion, more than 20,000 notes, or would fill more than 5,000 bars.
    """
    plan, warnings, how = _plan(midi, beats)
    text, source = mei(plan, 0, len(plan.bars))
    return Notation(text, source, warnings, how)


def notate_all(
    midi: Score, beats: Beats | None = None, bars: int = 64, left: NDArray[np.bool_] | None = None
) -> list[Notation]:
    """Write a MIDI file down in pieces of at most `bars` bars, since engraving takes longer per bar in long scores.

    Every piece states clefs, key and metre. A note that sounds over the border is two notes, one in each piece. A piece
    without notes is left out.

    Args:
        midi, beats: as `notate` takes them.
        bars: of a piece, at most.
        left: [N] which notes the left hand plays; None: it is found out.

    Raises:
        BadInput: as `notate`.
        ValueError: `bars` is less than 1.
    """
    if bars < 1:
        raise ValueError("a piece has at least one bar")
    plan, warnings, how = _plan(midi, beats, left)
    out = []
    for first in range(0, len(plan.bars), bars):
        text, source = mei(plan, first, min(first + bars, len(plan.bars)))
        if source:
            out.append(Notation(text, source, warnings, how, first))
    return out


def _plan(midi: Score, beats: Beats | None, left: NDArray[np.bool_] | None = None) -> tuple[Plan, tuple[str, ...], str]:
    name = midi.source or "The MIDI file"
    kept = np.flatnonzero(midi.notes.program != DRUMS)
    warnings = []
    if len(kept) < len(midi.notes):
        warnings.append(f"{len(midi.notes) - len(kept)} percussion notes are left out")
    if not len(kept):
        raise BadInput(f"{name} has no notes but percussion; there is nothing to write down.")
    notes = midi.notes.take(kept)
    line = _checked(replace(midi, notes=notes), beats)
    onset, end = quantize(line, notes.pitch)
    starts = np.asarray([bar.onset for bar in line.bars])
    bar = np.searchsorted(starts, onset, side="right") - 1
    quarters = onset / QUARTER
    fifths = spelling.key_signatures(notes.pitch, (end - onset) / QUARTER, bar, len(line.bars))
    names = [np.zeros(len(midi.notes), dtype=np.int64) for _ in range(3)]
    for column, values in zip(names, spelling.spell(notes.pitch, quarters, fifths[bar]), strict=True):
        column[kept] = values
    known = None if left is None else left[kept]
    parts, staff = hands.parts(notes.program, notes.pitch, quarters, end / QUARTER, known)
    chords, lost = _chords(line, parts, staff, onset, end, notes.pitch, kept)
    if lost:
        warnings.append(f"{lost} notes fall together with another of the same pitch and are left out")
    clefs = {n: _clefs(n, parts, notes.pitch[staff == n], bar[staff == n], len(line.bars)) for n in _staves(parts)}
    plan = Plan(line.bars, line.cells, line.pickup, fifths, parts, chords, clefs, *names)
    return plan, tuple(warnings), line.how


def _checked(midi: Score, beats: Beats | None) -> Timeline:
    """The timeline of a file that is not too long to be written down."""
    name = midi.source or "The MIDI file"
    if not 0 < len(midi.notes) <= MOST_NOTES:
        raise BadInput(f"{name} has {len(midi.notes)} notes, none or more than {MOST_NOTES}; cut it into pieces.")
    line = _timeline(midi, beats)
    if len(line.bars) > MOST_BARS:
        raise BadInput(f"{name} would fill {len(line.bars)} bars, more than {MOST_BARS}; cut it into pieces.")
    return line


def beaten(midi: Score) -> tuple[Notes, Timeline]:
    """The notes of a performance without percussion, and where they lie between bar lines.

    Raises:
        BadInput: it lies on its own grid, has no notes but percussion, or is too long to be written down.
    """
    notes = midi.notes.take(np.flatnonzero(midi.notes.program != DRUMS))
    if not len(notes):
        raise BadInput(f"{midi.source or 'The MIDI file'} has no notes but percussion; there is no beat to find.")
    line = _checked(replace(midi, notes=notes), None)
    if line.how != "estimated":
        raise BadInput(f"{midi.source or 'The MIDI file'} lies on its own beats already; there is nothing to find.")
    return notes, line


def _chords(
    line: Timeline, parts: tuple[hands.Part, ...], staff: Ints, onset: Ints, end: Ints, pitch: Ints, index: Ints
) -> tuple[dict[tuple[int, int], list[Chord]], int]:
    """The chords of every (staff, voice), and how many notes stand on the place of another and are left out."""
    chords: dict[tuple[int, int], list[Chord]] = {}
    lost = 0
    for number in _staves(parts):
        mine = np.flatnonzero(staff == number)
        kept, ends = _without_doubles(mine, onset, end, pitch)
        lost += len(mine) - len(kept)
        both = voices(onset[kept], ends, pitch[kept], index[kept], line.exact_ends)
        for voice, found in enumerate(both, start=1):
            chords[number, voice] = found if line.exact_ends else settled(found, line.cells)
    return chords, lost


def estimated(midi: Score) -> str:
    """What a MIDI file does not say so that it is believed, and is estimated: "", "bars", or "beats and bars"."""
    if not on_grid(midi) and followed(midi) is None:
        return "beats and bars"
    return "" if any(bar.numerator > 1 for bar in midi.bars) else "bars"


def _timeline(midi: Score, beats: Beats | None) -> Timeline:
    """Given beats count; else the file's own grid where notes lie on it or it follows them; else beats are estimated.

    A few files of POP909 lie on a grid that is not their beats, and state bars of 1/4: given beats come first, and bars
    of one beat all through are no metre.
    """
    if beats is not None and len(beats.seconds) >= 2:
        return from_beats(midi, beats, "beats")
    if on_grid(midi):
        stated = any(bar.numerator > 1 for bar in midi.bars)
        return from_grid(midi, midi.bars if stated else pulse.bars(midi))
    known = followed(midi)
    if known is not None:
        return from_beats(midi, known, "beats")
    begin = seconds(midi, midi.notes.onset)
    if begin.max() - begin.min() > MOST_SECONDS:
        hours = (begin.max() - begin.min()) / 3600
        raise BadInput(f"{midi.source or 'The MIDI file'} lasts {hours:.0f} hours; cut it into pieces.")
    return from_beats(midi, pulse.beats(midi), "estimated")


def _staves(parts: tuple[hands.Part, ...]) -> range:
    return range(1, sum(part.staves for part in parts) + 1)


def _without_doubles(mine: Ints, onset: Ints, end: Ints, pitch: Ints) -> tuple[Ints, Ints]:
    """The notes of a staff without those that stand on the place of another, and their ends.

    Of two on one place the longer is kept. A note that sounds on when its pitch is struck again ends there.
    """
    order = mine[np.lexsort((-end[mine], onset[mine], pitch[mine]))]
    if not len(order):
        return order, order
    same = (np.diff(pitch[order]) == 0) & (np.diff(onset[order]) == 0)
    order = order[np.r_[True, ~same]]
    ends = end[order].copy()
    again = np.diff(pitch[order]) == 0
    ends[:-1][again] = np.minimum(ends[:-1], onset[order][1:])[again]
    return order, ends


def _clefs(number: int, parts: tuple[hands.Part, ...], pitch: Ints, bar: Ints, bars: int) -> list[str]:
    """The clef of every bar of a staff: the one with fewer ledger lines, changed only where that saves many."""
    part = next(p for p in parts if p.first <= number < p.first + p.staves)
    ledger = np.zeros((bars, 2))
    for column, (low, high) in enumerate(((59, 81), (40, 62))):
        np.add.at(ledger[:, column], bar, (np.maximum(low - pitch, 0) + np.maximum(pitch - high, 0)) / 3.0)
    usual = 1 if part.staves == 2 and number > part.first else 0
    if part.staves == 1:
        usual = int(ledger[:, 1].sum() < ledger[:, 0].sum())
    change = 14.0
    total = ledger[0] + change * np.asarray([usual == 1, usual == 0])
    back = np.zeros((bars, 2), dtype=np.int64)
    for i in range(1, bars):
        step = total[:, None] + change * (1 - np.eye(2))
        back[i] = step.argmin(0)
        total = step[back[i], [0, 1]] + ledger[i]
    path = [int(total.argmin())]
    for i in range(bars - 1, 0, -1):
        path.append(int(back[i, path[-1]]))
    return ["GF"[c] for c in path[::-1]]
