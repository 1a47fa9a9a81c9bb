"""Rounding: which division every beat has, and where on it every note begins and ends.

All cells (see `Timeline.cells`) are looked at together. Of a performance, a network hears their divisions
(`score.division`). Of a file on its own grid, the cost of a division in a cell is how far its notes lie from it, what
the division costs by itself, and how many onsets it would throw together; a chain over the cells prefers to keep the
division of the cell before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoresim.score.division import FASTEST, divisions, misfit, place, possible
from scoresim.score.timeline import QUARTER, SHORTEST, Floats, Timeline

Ints = NDArray[np.int64]
# parts of a cell -> what the division costs
WRITTEN = {1: 0.0, 2: 0.1, 4: 0.2, 3: 0.3, 8: 0.5, 6: 0.5, 12: 1.5, 16: 1.0, 5: 1.5, 7: 2.0, 24: 3.0}
NEAR = 0.012  # of a cell, that a note may lie from its place
CHANGE = 0.6  # from twos to threes or back
CHORD = 0.045  # seconds: onsets closer than that are one chord
CHORD_TICKS = QUARTER / 24  # the same where no seconds are known


def quantize(line: Timeline, pitch: Ints) -> tuple[Ints, Ints]:
    """Onsets and ends of all notes on the notation's grid: two arrays [N] in ticks, end > onset.

    Args:
        line: where they lie.
        pitch: [N] of the notes.

    Where the ends of the notes are what was written, they take part in the choice; in a performance they are only
    rounded to the division that the onsets chose.
    """
    spread = together(line)
    chosen = _written(line, spread) if line.how == "grid" else divisions(line, spread, pitch)
    onset = _rounded(line, spread, chosen)
    end = _rounded(line, line.end, chosen)
    total = int(line.cells[-1])
    # a note that rounding left no length lasts one step of the cell it begins in, a half of one that is not divided
    cell = place(line, onset.astype(np.float64))[0]
    size, parts = np.diff(line.cells)[cell], chosen[cell]
    half = np.maximum(size // 2 // SHORTEST, 1) * SHORTEST
    step = np.where(parts > 1, size // parts, half)
    onset = np.where(onset >= total, total - step, onset)
    end = np.minimum(np.where(end > onset, end, onset + step), total)
    return onset, end


def together(line: Timeline) -> Floats:
    """[N] onsets with the notes of one chord on one time: the mean of a run of onsets that follow closely."""
    order = np.argsort(line.onset, kind="stable")
    times = line.onset[order]
    cell, _, size = place(line, times)
    length = line.beat_seconds[cell]
    limit = np.where(np.isnan(length), CHORD_TICKS / 2, np.minimum(CHORD / np.maximum(length, FASTEST), 0.12) * size)
    run = np.r_[0, np.cumsum(np.diff(times) > limit[1:])] if len(times) else np.zeros(0, np.int64)
    # a run that has grown longer than twice the limit is a slide over the keys, and is cut there
    first = np.r_[True, np.diff(run) > 0]
    origin = np.maximum.accumulate(np.where(first, np.arange(len(times)), 0))
    run = 1000 * run + np.minimum(((times - times[origin]) // (2 * limit)).astype(np.int64), 999)
    _, run = np.unique(run, return_inverse=True)
    mean = np.bincount(run, times) / np.bincount(run)
    out = np.empty(len(times))
    out[order] = mean[run]
    return out


def _written(line: Timeline, spread: Floats) -> Ints:
    """[C] divisions of the cells of a file on its own grid."""
    points = np.concatenate([spread, line.end]) if line.exact_ends else spread
    cell, part, _ = place(line, points)
    grids = np.asarray(list(WRITTEN))
    cost = misfit(line, cell, part, grids, np.full(len(line.cells) - 1, NEAR)) + np.asarray(list(WRITTEN.values()))
    # however badly the others fit: what a division that cannot be written leaves would not fill its bar
    return grids[_chain(np.where(possible(line.cells, grids), cost, np.inf), grids)]


def _chain(cost: Floats, grids: Ints) -> Ints:
    """[C] indices of the divisions with the least cost along the chain of cells."""
    three = (grids % 3 == 0).astype(np.float64)
    simple = (grids == 1) | (grids == 2)
    change = CHANGE * np.abs(three[:, None] - three[None, :]) * ~simple[:, None] * ~simple[None, :]
    total = cost[0]
    back = np.zeros(cost.shape, dtype=np.int64)
    for i in range(1, len(cost)):
        step = total[:, None] + change
        back[i] = step.argmin(0)
        total = step[back[i], np.arange(len(grids))] + cost[i]
    path = np.empty(len(cost), dtype=np.int64)
    path[-1] = int(total.argmin())
    for i in range(len(cost) - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return path


def _rounded(line: Timeline, times: Floats, chosen: Ints) -> Ints:
    """[N] times rounded to the divisions of their cells."""
    cell, part, size = place(line, times)
    grid = chosen[cell]
    return (line.cells[cell] + np.round(part * grid) * (size // grid)).astype(np.int64)
