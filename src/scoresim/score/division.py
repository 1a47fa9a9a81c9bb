"""Into how many parts every cell of a performance is divided, as a small network hears it.

A triplet played freely lies as near to the grid of 16ths as to its own: what tells them apart is how fast it would be,
what stands in the cells around, and what a whole piece is made of. A network of convolutions along the cells (seventy
thousand numbers, learnt by `runs/division.py` from scores that were played by rule) is told what each division would
cost, where the notes of the cell lie, how long it lasts, and whether a bar begins there, of what kind of metre. Of
trills and tremolos it thinks too coarsely: what would put a note on the place of another of its pitch, where only one
of both could be written, costs extra.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoresim.score.convolutions import network
from scoresim.score.timeline import QUARTER, Timeline

WEIGHTS = "division.npz"
DILATIONS = (1, 2, 4, 8, 1, 2)
DIVISIONS = (1, 2, 4, 3, 8, 6, 16, 12)  # parts of a cell
PLACES = 24  # of a cell, at which its notes are counted
COLLISION = 2.5  # cost of an onset that is thrown together with another
DOUBLE = 10.0  # off the odds of a division, for a note on the place of another of its pitch
FARTHEST = 30.0  # the most that one note costs
IMPOSSIBLE = 100.0  # cost of a division that cannot be written in its cell
MOST = 60.0  # the most that the network is told
JITTER = 0.03  # seconds by which players miss
NOISE = (0.03, 0.15)  # the same as a share of a cell, at least and at most
FASTEST = 0.05  # seconds of a cell, at least
FINEST = QUARTER // 24
SPOTS = 1000  # more than there are 64ths in a cell

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def divisions(line: Timeline, onset: Floats, pitch: Ints) -> Ints:
    """[C] parts of every cell of a performance.

    Args:
        line: where its cells lie; how long each lasts is known.
        onset: [N] ticks of its notes, chords on one time.
        pitch: [N] of its notes.
    """
    parts = np.asarray(DIVISIONS)
    said = network(WEIGHTS, DILATIONS)(table(line, onset)) - DOUBLE * doubles(line, onset, pitch, parts)
    best: Ints = np.where(possible(line.cells, parts), said, -np.inf).argmax(axis=1)
    out: Ints = parts[best]
    return out


def table(line: Timeline, onset: Floats) -> NDArray[np.float32]:
    """[C, F] all that is told of the cells."""
    return np.stack(list(features(line, onset).values()), axis=1).astype(np.float32)


def features(line: Timeline, onset: Floats) -> dict[str, Floats]:
    """What is told of every cell, by name, [C] each; arguments as of `divisions`."""
    cell, part, _ = place(line, onset)
    count = len(line.cells) - 1
    lasts = np.maximum(line.beat_seconds, FASTEST)
    cost = misfit(line, cell, part, np.asarray(DIVISIONS), np.clip(JITTER / lasts, *NOISE))
    notes = np.bincount(cell, minlength=count)
    apart = np.bincount(np.unique(_spots(cell, part)) // SPOTS, minlength=count)
    low = np.floor(part * PLACES)
    high = part * PLACES - low
    there = np.zeros((count, PLACES))
    np.add.at(there, (cell, low.astype(np.int64) % PLACES), 1 - high)
    np.add.at(there, (cell, (low.astype(np.int64) + 1) % PLACES), high)
    starts = np.asarray([bar.onset for bar in line.bars])
    bar = np.searchsorted(starts, line.cells[:-1], side="right") - 1
    quarters = np.diff(line.cells) / QUARTER
    scalars = {
        "notes": np.log1p(notes),
        "onsets": np.log1p(apart),
        "lasts": np.log2(lasts),
        "a quarter lasts": np.log2(lasts / quarters),
        "quarters": np.log2(quarters),
        "begins a bar": line.cells[:-1] == starts[bar],
        "metre of eighths": np.asarray([one.denominator > 4 for one in line.bars])[bar],
        "metre of threes": np.asarray([one.numerator % 3 == 0 for one in line.bars])[bar],
        "is there a note": notes > 0,
    }
    costs = {f"cost of {parts}": np.minimum(column, MOST) / 10 for parts, column in zip(DIVISIONS, cost.T, strict=True)}
    counts = {f"notes at {number}/{PLACES}": column for number, column in enumerate(np.log1p(there).T)}
    return {name: np.asarray(column, np.float64) for name, column in (costs | counts | scalars).items()}


def place(line: Timeline, times: Floats) -> tuple[Ints, Floats, Floats]:
    """For every time: its cell, where in the cell it lies from 0 to 1, and the length of the cell in ticks."""
    cell = np.clip(np.searchsorted(line.cells, times, side="right") - 1, 0, len(line.cells) - 2)
    size = np.diff(line.cells)[cell].astype(np.float64)
    return cell, (times - line.cells[cell]) / size, size


def misfit(line: Timeline, cell: Ints, part: Floats, parts: Ints, noise: Floats) -> Floats:
    """[C, G] how badly the notes of a cell fit every division.

    Args:
        line: where the cells lie.
        cell, part: [N] of the notes, as `place` says them.
        parts: [G] divisions.
        noise: [C] how far from its place a note may lie, as a share of its cell.
    """
    count = len(line.cells) - 1
    cost = np.empty((count, len(parts)))
    apart = np.bincount(np.unique(_spots(cell, part)) // SPOTS, minlength=count)
    for g, grid in enumerate(parts):
        slot = np.round(part * grid)
        off = (np.abs(part - slot / grid) / noise[cell]) ** 2 / 2
        wrong = np.bincount(cell, np.minimum(off, FARTHEST), minlength=count)
        used = np.bincount(np.unique(slot.astype(np.int64) + cell * SPOTS) // SPOTS, minlength=count)
        cost[:, g] = wrong + COLLISION * np.maximum(apart - used, 0)
    return cost + np.where(possible(line.cells, parts), 0.0, IMPOSSIBLE)


def doubles(line: Timeline, onset: Floats, pitch: Ints, parts: Ints) -> Floats:
    """[C, G] how many notes of a cell every division puts on the place of the next of their pitch, chords apart.

    Args:
        line, onset, pitch: as of `divisions`; where the next note lies in the next cell, that is divided likewise.
        parts: [G] divisions.
    """
    order = np.lexsort((onset, pitch))
    cell, part, _ = place(line, onset)
    again = (np.diff(pitch[order]) == 0) & (np.diff(onset[order]) > 0)
    before, after = order[:-1][again], order[1:][again]
    out = np.zeros((len(line.cells) - 1, len(parts)))
    for column, grid in zip(out.T, parts, strict=True):
        slot = np.round(part * grid)
        inside = (cell[before] == cell[after]) & (slot[before] == slot[after])
        over = (cell[before] + 1 == cell[after]) & (slot[before] == grid) & (slot[after] == 0)
        column += np.bincount(cell[before[inside | over]], minlength=len(out))
    return out


def _spots(cell: Ints, part: Floats) -> Ints:
    """[N] the place of every note to a 64th of its cell."""
    return np.round(part * 64).astype(np.int64) + cell * SPOTS


def possible(cells: Ints, parts: Ints) -> NDArray[np.bool_]:
    """[C, G] whether a cell can be divided so: parts of whole ticks, a 24th of a quarter note or longer."""
    size = np.diff(cells)[:, None]
    out: NDArray[np.bool_] = (size % parts == 0) & (size // parts >= FINEST)
    return out
