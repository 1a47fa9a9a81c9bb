"""MIDI times -> bars, beats and places in them, before anything is rounded.

Three ways lead there. A MIDI file whose notes lie on its own grid needs none of the others; a performance needs its
beats, annotated or estimated (`score.pulse`). All three give the same `Timeline`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from scoresim.score.notes import Bar, Beats, Score
from scoresim.score.performance import seconds

QUARTER = 1680  # ticks of the notation per quarter note: 64ths, triplets, quintuplets and septuplets are whole
SHORTEST = QUARTER // 16  # bars are at least a 64th long, and a whole number of 64ths
GRID_POINTS = (0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0)
NEAR = 1 / 48  # of a quarter note
ON_GRID = 0.6  # share of times near the grid
FOLLOWED = 0.5  # share of the beats, at least, that have a tempo of their own where somebody has followed them,
FEWEST = 4  # and so many beats
LONGEST = 12  # beats of a bar that is taken as it is

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Where every note lies between the bar lines.

    Attributes:
        bars: in ticks of the notation, from 0, without gaps; at least one.
        pickup: whether the first bar is shorter than its time signature says.
        onset: [N] ticks, not rounded.
        end: [N] ticks, not rounded, > onset.
        cells: [C + 1] ticks, the borders of the units in which rhythm is read: quarter notes, in metres of eighths
            eighths, in metres of 16ths 16ths. Every bar line is one of them.
        beat_seconds: [C] how long every cell lasts; nan where it is not a performance.
        how: "grid", "beats" or "estimated".
        exact_ends: whether the ends of the notes lie on the grid too, so that they are what was written.
    """

    bars: tuple[Bar, ...]
    pickup: bool
    onset: Floats
    end: Floats
    cells: NDArray[np.int64]
    beat_seconds: Floats
    how: str
    exact_ends: bool


def near_grid(times: NDArray[np.int64], resolution: int) -> float:
    """Share of times ([N] ticks) within 1/48 quarter of a 16th or an eighth triplet; chance gives 1/4."""
    part = (times / resolution) % 1.0
    return float(np.mean(np.abs(part[:, None] - np.asarray(GRID_POINTS)).min(1) < NEAR)) if len(times) else 1.0


def on_grid(midi: Score) -> bool:
    """Whether the notes of a MIDI file lie on its own beats: at least 60 % of the onsets are near the grid.

    Of 40 files each, three quarters of the score files of ASAP had 82 % or more, Nottingham 100 %; performances of
    ASAP, Pianist8 and EMOPIA had 46 % at most.
    """
    return near_grid(midi.notes.onset, midi.resolution) >= ON_GRID


def beat_of(numerator: int, denominator: int) -> tuple[float, bool]:
    """Quarter notes of a beat of a metre, and whether it has three parts."""
    three = denominator >= 8 and numerator % 3 == 0 and numerator > 3
    return 4 / denominator * (3 if three else 1), three


def followed(midi: Score) -> Beats | None:
    """The beats that a performance states by its tempos, as `scoresim beats` and whoever else has followed one does.

    None where it states no bars of several beats, or where less than half of the beats up to its last note have a tempo
    of their own: then its grid says nothing. So does one whose bars are too long or not of whole beats.
    """
    if not len(midi.notes) or not any(bar.numerator > 1 for bar in midi.bars):
        return None
    places: list[float] = []
    down: list[bool] = []
    signatures: list[tuple[int, int, int]] = []
    for bar in midi.bars:
        beat = midi.resolution * beat_of(bar.numerator, bar.denominator)[0]
        count = round(bar.duration / beat)
        if bar.onset > midi.notes.onset.max():
            break
        if not 0 < count <= LONGEST or abs(bar.duration - count * beat) > NEAR * midi.resolution:
            return None
        if not signatures or signatures[-1][1:] != (bar.numerator, bar.denominator):
            signatures.append((len(places), bar.numerator, bar.denominator))
        places += [bar.onset + beat * number for number in range(count)]
        down += [number == 0 for number in range(count)]
    heard = int(np.searchsorted(places, midi.notes.onset.max(), side="right"))
    ticks = np.array([tick for tick, _ in midi.tempos], dtype=np.float64)
    own = np.searchsorted(places, ticks + NEAR * midi.resolution, side="right") - 1
    if heard < FEWEST or len(np.unique(own[(own >= 0) & (own < heard)])) < FOLLOWED * heard:
        return None
    moments = seconds(midi, np.round(places).astype(np.int64))
    if (np.diff(moments) <= 0).any():
        return None
    return Beats(moments, np.array(down), tuple(signatures))


def from_grid(midi: Score, bars: tuple[Bar, ...]) -> Timeline:
    """The timeline of a MIDI file on its own grid.

    Args:
        midi: the notes.
        bars: bars in ticks of the MIDI file that cover its notes.
    """
    ends = midi.notes.onset + midi.notes.duration
    scale = QUARTER / midi.resolution
    lengths = [max(round(bar.duration * scale / SHORTEST), 1) * SHORTEST for bar in bars]
    starts = np.r_[0, np.cumsum(lengths)]
    written = tuple(
        Bar(int(start), length, *_metre(bar.numerator, bar.denominator, length))
        for start, length, bar in zip(starts, lengths, bars, strict=False)
    )
    borders = np.asarray([bar.onset for bar in bars] + [bars[-1].onset + bars[-1].duration], dtype=np.float64)
    onset = np.interp(midi.notes.onset, borders, starts)
    end = np.maximum(np.interp(ends, borders, starts), onset + 1)
    nominal = _nominal(written[0].numerator, written[0].denominator)
    pickup = len(written) > 1 and written[0].duration < nominal
    cells = _cells(written)
    exact = near_grid(ends, midi.resolution) >= ON_GRID
    return Timeline(written, pickup, onset, end, cells, np.full(len(cells) - 1, np.nan), "grid", exact)


def from_beats(midi: Score, beats: Beats, how: str) -> Timeline:
    """The timeline of a performance, from its beats.

    Beats before the first and after the last one given are added in the tempo of the nearest eight. What stands
    before the first note, beyond the bar it lies in, is left out.

    Args:
        midi: the notes.
        beats: at least two; without bar beginnings every fourth beat from the first begins one.
        how: "beats" or "estimated".
    """
    begin = seconds(midi, midi.notes.onset)
    end = seconds(midi, midi.notes.onset + midi.notes.duration)
    times, index = _extended(beats.seconds, float(begin.min()), float(max(begin.max(), end.max())))
    starts, metres = _bars_of_beats(beats, index, len(times))
    bars: list[Bar] = []
    ticks = np.zeros(len(times))
    now = 0
    for start, stop, (numerator, denominator) in zip(starts, [*starts[1:], len(times) - 1], metres, strict=True):
        count = stop - start
        beat = _beat_length(count, numerator, denominator)
        length = beat * count
        ticks[start:stop] = now + beat * np.arange(count)
        if length % SHORTEST or _nominal(numerator, denominator) != length:
            numerator, denominator = _metre(numerator, denominator, length)
        bars.append(Bar(now, length, numerator, denominator))
        now += length
    ticks[starts[-1] + (len(times) - 1 - starts[-1]) :] = now
    line = _trimmed(bars, np.interp(begin, times, ticks), np.interp(end, times, ticks))
    offset, kept, onset, stop_ticks = line
    cells = _cells(kept)
    border_seconds = np.interp(cells + offset, ticks, times)
    return Timeline(
        kept, False, onset, np.maximum(stop_ticks, onset + 1), cells, np.diff(border_seconds), how, exact_ends=False
    )


def _trimmed(bars: list[Bar], onset: Floats, end: Floats) -> tuple[int, tuple[Bar, ...], Floats, Floats]:
    """Without the empty bars before and after: (ticks cut at the beginning, bars, onsets, ends)."""
    slack = QUARTER / 4
    first = max((i for i, bar in enumerate(bars) if bar.onset <= onset.min() + slack), default=0)
    last = max((i for i, bar in enumerate(bars) if bar.onset < onset.max() + slack), default=0)
    last = max(last, *(i for i, bar in enumerate(bars[: last + 3]) if bar.onset < end.max() - QUARTER), first)
    offset = bars[first].onset
    kept = tuple(Bar(b.onset - offset, b.duration, b.numerator, b.denominator) for b in bars[first : last + 1])
    total = kept[-1].onset + kept[-1].duration
    moved = np.clip(onset - offset, 0, total - 1)
    return offset, kept, moved, np.minimum(end - offset, total)


def _extended(given: Floats, begin: float, end: float) -> tuple[Floats, int]:
    """Beats that cover begin to end with twelve to spare, and the index of the first one given."""
    step_before = float(np.median(np.diff(given[:9])))
    step_after = float(np.median(np.diff(given[-9:])))
    before = max(int(np.ceil((given[0] - begin) / step_before)), 0) + 12
    after = max(int(np.ceil((end - given[-1]) / step_after)), 0) + 12
    head = given[0] - step_before * np.arange(before, 0, -1)
    tail = given[-1] + step_after * np.arange(1, after + 1)
    return np.concatenate([head, given, tail]), before


def _bars_of_beats(beats: Beats, first: int, total: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Indices of the beats that begin bars, the first of them 0, and the time signature of every bar."""
    downs = [int(i) + first for i in np.flatnonzero(beats.downbeat)]
    signatures = [(i + first, n, d) for i, n, d in beats.signatures if 0 < n <= 64 and d in (1, 2, 4, 8, 16, 32)]

    def signature(at: int, count: int) -> tuple[int, int]:
        found = [s for s in signatures if s[0] <= at] or signatures[:1]
        if not found:
            return count, 4
        numerator, denominator = found[-1][1:]
        if count in _counts(numerator):
            return numerator, denominator
        # a bar of another length: as many of the beats that the others have
        thirds = usual == numerator // 3 and numerator in (6, 9, 12)
        return (3 * count if thirds else count), denominator

    usual = int(np.median(np.diff(downs))) if len(downs) > 1 else 4
    if len(downs) < 2 and signatures:
        usual = min(_counts(signatures[0][1]))
    usual = min(max(usual, 1), 12)
    if not downs:
        downs = [first]
    before = list(range(downs[0] % usual, downs[0], usual))
    after = list(range(downs[-1] + usual, total - 1, usual))
    middle = []
    for a, b in itertools.pairwise(downs):
        middle += [a] if b - a <= LONGEST else list(range(a, b, usual))
    starts = sorted({0, *before, *middle, downs[-1], *after})
    counts = np.diff([*starts, total - 1])
    return starts, [signature(s, int(c)) for s, c in zip(starts, counts, strict=True)]


def _counts(numerator: int) -> tuple[int, ...]:
    """How many beats a bar with this numerator may have: as many as it says, or a third in compound time."""
    return (numerator, numerator // 3) if numerator % 3 == 0 and numerator > 3 else (numerator,)


def _beat_length(count: int, numerator: int, denominator: int) -> int:
    """Ticks of a beat when `count` of them fill a bar of that signature; a whole number of 64ths."""
    length = _nominal(numerator, denominator) / max(count, 1)
    return max(round(length / SHORTEST), 1) * SHORTEST


def _nominal(numerator: int, denominator: int) -> int:
    return 4 * QUARTER * numerator // denominator


def _metre(numerator: int, denominator: int, length: int) -> tuple[int, int]:
    """The signature to write for a bar of `length` ticks: its own where that can be written, else the plainest one."""
    writable = denominator in (1, 2, 4, 8, 16, 32) and numerator <= 64
    if writable and _nominal(numerator, denominator) >= length:
        return numerator, denominator
    share = Fraction(length, 4 * QUARTER)
    base = max(share.denominator, 4)
    return share.numerator * (base // share.denominator), base


def _cells(bars: tuple[Bar, ...]) -> NDArray[np.int64]:
    """Borders of the cells of all bars; a rest of a bar that is shorter than a cell is a cell of its own."""
    borders: list[int] = []
    for bar in bars:
        size = QUARTER if bar.denominator <= 4 else 4 * QUARTER // min(bar.denominator, 16)
        at, end = bar.onset, bar.onset + bar.duration
        while at < end:
            borders.append(at)
            part = size
            while part > end - at and part % 2 == 0:  # what is left of a bar, in parts that can be divided and written
                part //= 2
            at += min(part, end - at)
    return np.asarray([*borders, bars[-1].onset + bars[-1].duration], dtype=np.int64)
