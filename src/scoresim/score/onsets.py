"""A performance as a row of onsets, and what can be counted at each: what `score.pulse` finds the beat by.

Notes that begin within some hundredths of a second are one onset. Times are in seconds: nothing here knows of beats.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GAP, SPAN = 0.03, 0.07  # seconds: between two notes of one onset that follow, and between its first and last
STEPS = (1, 2, 3, 4, 6, 8)  # onsets back and ahead whose distance is told
AROUND, BASS_AROUND = 16, 32  # onsets on each side that a mean is of
SHORTEST, LONGEST = 0.015, 8.0  # seconds that are told apart
CHANGE = (0.4, 1.0, 2.0)  # seconds before and after, whose pitch classes are compared
CROWD = (0.5, 2.0)  # seconds on each side in which onsets are counted
LOWEST_BASS = 58  # a note above it is never bass

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Onsets(NamedTuple):
    """T onsets of N notes.

    Attributes:
        times: [T] seconds, increasing: the mean of their notes.
        row: [N] index of the onset of every note, in the order in which notes were given.
        features: by name, [T] each.
    """

    times: Floats
    row: Ints
    features: dict[str, Floats]

    @property
    def table(self) -> NDArray[np.float32]:
        """[T, F] all features."""
        return np.stack(list(self.features.values()), axis=1).astype(np.float32)


def rows(onset: Floats) -> Ints:
    """[N] index of the onset to which each note belongs; notes ([N] seconds) are in order."""
    out = np.zeros(len(onset), dtype=np.int64)
    first, row = onset[0], 0
    for i, gap in enumerate(np.diff(onset).tolist(), start=1):
        if gap > GAP or onset[i] - first > SPAN:
            row, first = row + 1, onset[i]
        out[i] = row
    return out


def onsets(onset: Floats, length: Floats, pitch: Ints, velocity: Ints) -> Onsets:
    """The onsets of a performance and their features.

    Args:
        onset, length: [N] seconds, N > 0, in any order.
        pitch: [N] MIDI numbers.
        velocity: [N] 1-127.
    """
    order = np.argsort(onset, kind="stable")
    begin, long, tone, loud = onset[order], length[order], pitch[order], velocity[order].astype(np.float64)
    row = rows(begin)
    T = int(row[-1]) + 1
    count = np.bincount(row, minlength=T).astype(np.float64)
    times = np.bincount(row, begin, T) / count
    low, high = np.full(T, 200), np.full(T, -1)
    np.minimum.at(low, row, tone)
    np.maximum.at(high, row, tone)
    features = _gaps(times) | _lengths(times, row, long, tone == low[row], tone == high[row])
    features |= _weight(row, count, loud) | _register(low, high) | _bass(times, low)
    features |= _harmony(times, row, tone, long, count)
    for reach in CROWD:
        near = np.searchsorted(times, times + reach) - np.searchsorted(times, times - reach)
        features[f"onsets within {reach:g} s"] = np.log2(1 + near)
    sounding = np.searchsorted(begin, times - GAP) - np.searchsorted(np.sort(begin + long), times - GAP)
    features["notes held"] = np.log2(1 + np.maximum(sounding, 0))
    back = np.empty(len(order), dtype=np.int64)
    back[order] = row
    return Onsets(times, back, features)


def log_seconds(values: Floats) -> Floats:
    """Logarithms of base 2, what is very short or long cut off."""
    out: Floats = np.log2(np.clip(values, SHORTEST, LONGEST))
    return out


def mean_around(values: NDArray[np.float64], reach: int) -> Floats:
    """[T] mean of the values of the onsets around each, itself among them."""
    total, place = np.r_[0.0, np.cumsum(values)], np.arange(len(values))
    first, end = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    out: Floats = (total[end] - total[first]) / (end - first)
    return out


def _gaps(times: Floats) -> dict[str, Floats]:
    """Distances to the onsets before and after, and how they compare."""
    out = {}
    for step in STEPS:
        for name, sign in (("last", -1), ("next", 1)):
            gap = np.full(len(times), LONGEST)
            if step < len(times):
                inside = slice(step, None) if sign < 0 else slice(None, -step)
                gap[inside] = times[step:] - times[:-step]
            out[f"{name} {step}: time"] = log_seconds(gap)
    before, after = np.diff(times, prepend=times[0] - 1), np.diff(times, append=times[-1] + LONGEST)
    out["slower than next"] = np.clip(before / np.maximum(after, 0.02), 0, 4) - 1
    return out


def _lengths(
    times: Floats, row: Ints, length: Floats, lowest: NDArray[np.bool_], highest: NDArray[np.bool_]
) -> dict[str, Floats]:
    """How long the notes of an onset last, against the time to the next."""
    gap = log_seconds(np.diff(times, append=times[-1] + LONGEST))
    out = {}
    for name, which in (("all", np.ones(len(row), dtype=bool)), ("bass", lowest), ("top", highest)):
        most = np.zeros(len(times))
        np.maximum.at(most, row[which], length[which])
        out[f"{name}: length"] = log_seconds(most)
        out[f"{name}: length of gap"] = log_seconds(most) - gap
    return out


def _weight(row: Ints, count: Floats, velocity: Floats) -> dict[str, Floats]:
    """How many notes, how loud, against the onsets around."""
    loudest = np.zeros(len(count))
    np.maximum.at(loudest, row, velocity)
    mean = np.bincount(row, velocity, len(count)) / count
    many = np.log2(count)
    return {
        "notes": many,
        "notes above mean": many - mean_around(many, AROUND),
        "loudest above mean": (loudest - mean_around(loudest, AROUND)) / 16,
        "loudness above mean": (mean - mean_around(mean, AROUND)) / 16,
    }


def _register(low: Ints, high: Ints) -> dict[str, Floats]:
    """Where the lowest and the highest note lie, against those around and those before."""
    out = {}
    for name, edge in (("lowest", low.astype(np.float64)), ("highest", high.astype(np.float64))):
        out[name] = (edge - 60) / 24
        out[f"{name} above mean"] = (edge - mean_around(edge, AROUND)) / 12
        out[f"{name} above last"] = np.diff(edge, prepend=edge[0]) / 12
    out["bass falls"] = (np.diff(low, prepend=low[0]) < -4).astype(np.float64)
    return out


def _bass(times: Floats, low: Ints) -> dict[str, Floats]:
    """Whether the lowest note is bass, and how far the last and the next bass note are."""
    bass = low <= np.minimum(mean_around(low.astype(np.float64), BASS_AROUND), LOWEST_BASS)
    T, place = len(times), np.arange(len(times))
    last = np.r_[-1, np.maximum.accumulate(np.where(bass, place, -1))[:-1]]
    following = np.r_[np.minimum.accumulate(np.where(bass, place, T)[::-1])[::-1][1:], T]
    since = np.where(last >= 0, times - times[np.maximum(last, 0)], LONGEST)
    until = np.where(following < T, times[np.minimum(following, T - 1)] - times, LONGEST)
    return {
        "bass": bass.astype(np.float64),
        "time since last bass": log_seconds(since),
        "time to next bass": log_seconds(until),
    }


def _harmony(times: Floats, row: Ints, pitch: Ints, length: Floats, count: Floats) -> dict[str, Floats]:
    """The pitch classes of an onset, and how much they change about it."""
    T = len(times)
    classes = np.zeros((T, 12))
    np.add.at(classes, (row, pitch % 12), np.sqrt(np.minimum(length, 2.0) + 0.05))
    total, place = np.vstack([np.zeros((1, 12)), np.cumsum(classes, axis=0)]), np.arange(T)
    out = {}
    for reach in CHANGE:
        after = total[np.searchsorted(times, times + reach)] - total[place]
        before = total[place] - total[np.searchsorted(times, times - reach)]
        size = np.linalg.norm(after, axis=1) * np.linalg.norm(before, axis=1)
        change = 1 - (after * before).sum(axis=1) / np.maximum(size, 1e-9)
        out[f"change of harmony within {reach:g} s"] = np.where(size > 0, change, 0.5)
    share = classes / np.maximum(np.sqrt(count), 1.0)[:, None]
    return out | {f"pitch class {number}": share[:, number] for number in range(12)}
