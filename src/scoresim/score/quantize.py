"""Rounding: which division every beat has, and where on it every note begins and ends.

All cells (see `Timeline.cells`) are looked at together: the cost of a division in a cell is how far its notes lie from
it, what the division costs by itself, and how many onsets it would throw together. A chain over the cells prefers to
keep the division of the cell before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoresim.score.timeline import QUARTER, SHORTEST, Floats, Timeline

Ints = NDArray[np.int64]
# parts of a cell -> what the division costs
PLAYED = {1: 0.0, 2: 0.4, 4: 1.0, 3: 1.8, 8: 5.0, 6: 5.0, 16: 20.0}
WRITTEN = {1: 0.0, 2: 0.1, 4: 0.2, 3: 0.3, 8: 0.5, 6: 0.5, 12: 1.5, 16: 1.0, 5: 1.5, 7: 2.0, 24: 3.0}
CHANGE = 0.6  # from twos to threes or back
COLLISION = 2.5  # per onset thrown together with another
CHORD = 0.045  # seconds: onsets closer than that are one chord
JITTER, JITTER_ESTIMATED = 0.026, 0.032  # seconds
CHORD_TICKS = QUARTER / 24  # the same where no seconds are known


def quantize(line: Timeline) -> tuple[Ints, Ints]:
    """Onsets and ends of all notes on the notation's grid: two arrays [N] in ticks, end > onset.

    Where the ends of the notes are what was written, they take part in the choice; in a performance they are only
    rounded to the division that the onsets chose.
    """
    exact = line.how == "grid"
    spread = _together(line)
    points = np.concatenate([spread, line.end]) if line.exact_ends else spread
    divisions = WRITTEN if exact else PLAYED
    grids = np.asarray(list(divisions))
    cell, part, size = _place(line, points)
    noise = _noise(line, size if not exact else None)
    cost = _costs(line, cell, part, grids, noise[cell], np.asarray(list(divisions.values())))
    chosen = grids[_chain(cost, grids)]
    onset = _rounded(line, spread, chosen)
    end = _rounded(line, line.end, chosen)
    total = int(line.cells[-1])
    # a note that rounding left no length lasts one step of the cell it begins in, a half of one that is not divided
    cell = _place(line, onset.astype(np.float64))[0]
    size, parts = np.diff(line.cells)[cell], chosen[cell]
    half = np.maximum(size // 2 // SHORTEST, 1) * SHORTEST
    step = np.where(parts > 1, size // parts, half)
    onset = np.where(onset >= total, total - step, onset)
    end = np.minimum(np.where(end > onset, end, onset + step), total)
    return onset, end


def _place(line: Timeline, times: Floats) -> tuple[Ints, Floats, Floats]:
    """For every time: its cell, where in the cell it lies from 0 to 1, and the length of the cell in ticks."""
    cell = np.clip(np.searchsorted(line.cells, times, side="right") - 1, 0, len(line.cells) - 2)
    size = np.diff(line.cells)[cell].astype(np.float64)
    return cell, (times - line.cells[cell]) / size, size


def _together(line: Timeline) -> Floats:
    """Onsets with the notes of one chord on one time: the mean of a run of onsets that follow closely."""
    order = np.argsort(line.onset, kind="stable")
    times = line.onset[order]
    cell, _, size = _place(line, times)
    length = line.beat_seconds[cell]
    limit = np.where(np.isnan(length), CHORD_TICKS / 2, np.minimum(CHORD / np.maximum(length, 0.05), 0.12) * size)
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


def _noise(line: Timeline, size: Floats | None) -> Floats:
    """[C] how far from its place a note may lie, as a share of its cell."""
    if size is None:
        return np.full(len(line.cells) - 1, 0.012)
    jitter = JITTER_ESTIMATED if line.how == "estimated" else JITTER
    return np.clip(jitter / np.maximum(line.beat_seconds, 0.05), 0.03, 0.09)


def _costs(line: Timeline, cell: Ints, part: Floats, grids: Ints, noise: Floats, price: Floats) -> Floats:
    """[C, G] cost of every division in every cell."""
    cells = len(line.cells) - 1
    cost = np.empty((cells, len(grids)))
    spots = np.unique(np.round(part * 64).astype(np.int64) + cell * 1000)
    apart = np.bincount(spots // 1000, minlength=cells)
    for g, grid in enumerate(grids):
        slot = np.round(part * grid)
        off = (np.abs(part - slot / grid) / noise) ** 2 / 2
        wrong = np.bincount(cell, np.minimum(off, 30.0), minlength=cells)
        used = np.bincount(np.unique(slot.astype(np.int64) + cell * 1000) // 1000, minlength=cells)
        cost[:, g] = wrong + price[g] + COLLISION * np.maximum(apart - used, 0)
    # whether a short cell can hold so fine a division
    size = np.diff(line.cells)
    cost[(size[:, None] % np.maximum(grids, 1)) != 0] += 100.0
    cost[(size[:, None] // grids) < QUARTER // 24] += 100.0
    return cost


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
    cell, part, size = _place(line, times)
    grid = np.where(np.isnan(line.beat_seconds[cell]), chosen[cell], np.maximum(chosen[cell], 1))
    return (line.cells[cell] + np.round(part * grid) * (size // grid)).astype(np.int64)
