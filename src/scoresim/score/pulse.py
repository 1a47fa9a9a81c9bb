"""Beats and bars of music that does not state them, from its notes alone.

Of a performance, a small network says at every onset whether a beat is there, whether a bar begins and how long a beat
lasts (`pulse_network`). Beats are the path through (onset, period) that meets most of these odds while the period
changes little, found by dynamic programming; after D. Ellis, "Beat tracking by dynamic programming",
Journal of New Music Research 36 (2007), with the period as part of the state, since a performance changes its tempo.
Bars are the path through (length, place) that begins most of them where the network says so.

Of a MIDI file on its own grid, bars are the template of accents (weight, low notes, change of harmony) that fits best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.score.notes import Bar, Beats, Score
from scoresim.score.onsets import onsets
from scoresim.score.performance import seconds
from scoresim.score.pulse_network import PERIODS, Said, listen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FASTEST, SLOWEST = 0.26, 1.9  # seconds from beat to beat
TEMPOS = 48  # periods that are told apart
MOST = 4  # beats from one that falls on an onset to the next that does
BEAT = 1.5  # weight of what the network says of beats
STICKS = (8.0, 20.0, 50.0, 120.0, 300.0)  # costs of a change of period, per squared log
EVIDENCE = 0.5  # weight of how likely the changes are
SILENT = -2.0  # odds, as a logarithm, of a beat where nothing begins
TEMPO = 0.5  # weight of what the network says of the period,
USUAL = 4.0  # and what is added to it, so that more beats are no worse than fewer
UNLIKELY = -8.0  # log-probability of a period, at least
ANEW = 12.0  # cost of a path that begins anew, after a long rest
NEAR = 0.06  # seconds from a beat to an onset that is its own
LENGTHS = (2, 3, 4)  # beats of a bar
SHORT = 0.25  # cost of a bar of two, which might be half a bar of four
CERTAIN = 2.5  # odds of a downbeat, as a logarithm, at most
NOBODY = -0.5  # odds of a downbeat where nothing begins
OTHERWISE = 6.0  # cost of bars of another length
# strengths of the half beats of a bar: signature -> template
TEMPLATES = {
    (4, 4): (4, 0, 1.2, 0, 2, 0, 1.2, 0),
    (3, 4): (4, 0, 1.2, 0, 1.2, 0),
    (2, 4): (4, 0, 1.2, 0),
    (6, 8): (4, 0, 0, 2, 0, 0),
}
FAVOUR = {(4, 4): 0.02, (3, 4): 0.0, (2, 4): -0.02, (6, 8): -0.01}


def beats(midi: Score) -> Beats:
    """Beats and beginnings of bars of a performance. At least two beats."""
    begin = seconds(midi, midi.notes.onset)
    length = seconds(midi, midi.notes.onset + midi.notes.duration) - begin
    there = onsets(begin, length, midi.notes.pitch, midi.notes.velocity)
    said = listen(there.table)
    found = path(there.times, said)
    if len(found) < 2:
        found = there.times[0] + 0.6 * np.arange(4)
    down, lengths = bars_of(odds_of_bars(found, there.times, said))
    compound = bool(said.compound.mean() > 0)
    signatures: list[tuple[int, int, int]] = []
    for at, count in lengths:
        signatures.append((at, 3 * count, 8) if compound else (at, count, 4))
    return Beats(found, down, tuple(signatures))


def path(times: Floats, said: Said) -> Floats:
    """Times of the beats, in order: onsets, and up to three beats between two of them where nothing begins.

    Some music keeps its tempo and some does not: of paths with changes that cost more and less, the likeliest counts.

    Args:
        times: [T] of the onsets, seconds.
        said: of them.
    """
    logs = np.linspace(np.log(FASTEST), np.log(SLOWEST), TEMPOS)
    tempo = TEMPO * (np.maximum(at_periods(said.period, logs), UNLIKELY) + USUAL)
    beat = BEAT * said.beat.astype(np.float64)
    paths = best_paths(times, beat, tempo, logs)
    # the density of a change is a Gaussian, whose height grows with the root of its cost
    height = [EVIDENCE * len(found) * np.log(stick) / 2 for (_, found), stick in zip(paths, STICKS, strict=True)]
    return paths[int(np.argmax([score + more for (score, _), more in zip(paths, height, strict=True)]))][1]


def best_paths(times: Floats, beat: Floats, tempo: Floats, logs: Floats) -> list[tuple[float, Floats]]:
    """The best sum along a path, and its beats, for every cost of `STICKS`.

    Args:
        times: [T] of the onsets, seconds.
        beat: [T] what a beat there is worth.
        tempo: [T, P] what a period is worth there.
        logs: [P] of these periods.
    """
    (T, P), S = tempo.shape, len(STICKS)
    change = -np.array(STICKS)[:, None, None] * (logs[:, None] - logs) ** 2
    # the best path that ends at an onset with a period, and the best of those to which the period is the next
    score, ahead = np.empty((T, S, P)), np.empty((T, S, P))
    before = np.zeros((T, S, P), dtype=np.int16)  # the period that the latter ended with
    last = np.full((T, S, P), -1, dtype=np.int32)  # the onset before, -1 where a path begins
    count = np.zeros((T, S, P), dtype=np.int8)  # beats since then; 0 where the path begins anew
    period = np.zeros((T, S, P), dtype=np.int16)  # that the path had there
    most, where = np.zeros(S), np.full((S, 2), -1)  # the best path so far: its sum, last onset and period
    each, beats_between = np.arange(S), np.arange(1, MOST + 1)
    first = np.searchsorted(times, times - MOST * SLOWEST)
    for j in range(T):
        score[j] = beat[j] + tempo[j] / 2
        anew = (most > ANEW) & (times[j] - times[where[:, 0]] >= FASTEST)
        if anew.any():
            score[j, anew] += most[anew, None] - ANEW
            last[j, anew], period[j, anew] = where[anew, 0, None], where[anew, 1, None]
        gap = (times[j] - times[first[j] : j])[:, None] / beats_between
        i, k = np.nonzero((gap >= FASTEST) & (gap <= SLOWEST))
        if len(i):
            place = np.round((np.log(gap[i, k]) - logs[0]) / (logs[1] - logs[0])).astype(np.int64)
            i, k = i + first[j], k + 1
            worth = beat[j] + SILENT * (k - 1) + k * (tempo[i, place] + tempo[j, place]) / 2
            value = ahead[i, :, place] + worth[:, None]
            order = np.argsort(value, axis=0, kind="stable")
            chosen = np.full((S, P), -1)
            chosen[each, place[order]] = order  # the last that is written is the best
            better = (chosen >= 0) & (value[chosen, each[:, None]] > score[j])
            which, at = np.nonzero(better)
            edge = chosen[better]
            score[j, which, at], last[j, which, at], count[j, which, at] = value[edge, which], i[edge], k[edge]
            period[j, which, at] = before[i[edge], which, at]
        options = score[j, :, None, :] + change
        before[j] = options.argmax(axis=2)
        ahead[j] = np.take_along_axis(options, before[j, :, :, None], axis=2)[:, :, 0]
        state = score[j].argmax(axis=1)
        best = score[j, each, state]
        further = (best > most) | (where[:, 0] < 0)
        most[further], where[further] = best[further], np.stack([np.full(S, j), state], axis=1)[further]
    return [
        (float(total), followed_back(times, logs, (last[:, s], count[:, s], period[:, s]), end))
        for s, (total, end) in enumerate(zip(most, where.tolist(), strict=True))
    ]


def followed_back(times: Floats, logs: Floats, table: Sequence[NDArray[Any]], end: Sequence[int]) -> Floats:
    """The beats of a path from its end (onset, period), by tables [T, P]: onset before, beats since, period then."""
    out: list[float] = []
    j, state = end
    while j >= 0:
        out.append(times[j])
        back, parts, state = (int(column[j, state]) for column in table)
        if back >= 0 and not parts:  # beats go on through the rest
            parts = max(round((times[j] - times[back]) / float(np.exp(logs[state]))), 1)
        out += [times[j] - (times[j] - times[back]) * part / parts for part in range(1, parts)]
        j = back
    return np.asarray(out[::-1])


def at_periods(said: NDArray[np.float32], logs: Floats) -> Floats:
    """What is said of `PERIODS`, [T, 32], at other periods, by their logarithms."""
    place = np.interp(logs, np.log(PERIODS), np.arange(len(PERIODS)))
    low = np.minimum(place.astype(np.int64), len(PERIODS) - 2)
    out: Floats = said[:, low] * (1 - (place - low)) + said[:, low + 1] * (place - low)
    return out


def odds_of_bars(found: Floats, times: Floats, said: Said) -> Floats:
    """[B] logarithm of the odds that a bar begins at each beat, known that there is one."""
    after = np.clip(np.searchsorted(times, found), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    near = np.where(np.abs(found - times[before]) < np.abs(times[after] - found), before, after)
    bar = -np.logaddexp(0, -said.downbeat[near].astype(np.float64))
    beat = -np.logaddexp(0, -np.maximum(said.beat[near], said.downbeat[near]).astype(np.float64))
    share = np.clip(np.exp(bar - beat), 1e-3, 1 - 1e-3)
    odds = np.clip(np.log(share / (1 - share)), -CERTAIN, CERTAIN)
    return np.where(np.abs(times[near] - found) < NEAR, odds, NOBODY)


def bars_of(odds: Floats) -> tuple[NDArray[np.bool_], list[tuple[int, int]]]:
    """Where bars begin, [B], and (beat, length) wherever the length of bars changes; the first from beat 0."""
    states = [(length, place) for length in LENGTHS for place in range(length)]
    index = {state: number for number, state in enumerate(states)}
    ends = [index[length, length - 1] for length in LENGTHS]
    score = np.zeros((len(odds), len(states)))
    back = np.zeros((len(odds), len(states)), dtype=np.int16)
    for k, odd in enumerate(odds):
        for number, (length, place) in enumerate(states):
            gain = odd - (SHORT if length == LENGTHS[0] else 0.0)
            if not k:
                score[k, number] = gain if place == 0 else 0.0
                continue
            if place:
                best = index[length, place - 1]
                value = score[k - 1, best]
            else:
                costs = [score[k - 1, end] - (OTHERWISE if states[end][0] != length else 0.0) for end in ends]
                best = ends[int(np.argmax(costs))]
                value = max(costs) + gain
            score[k, number], back[k, number] = value, best
    state = int(score[-1].argmax())
    line = [state]
    for k in range(len(odds) - 1, 0, -1):
        state = int(back[k, state])
        line.append(state)
    line.reverse()
    down = np.array([states[state][1] == 0 for state in line])
    changes: list[tuple[int, int]] = []
    for k, state in enumerate(line):
        if not changes or changes[-1][1] != states[state][0]:
            changes.append((k, states[state][0]))
    return down, changes


def bars(midi: Score) -> tuple[Bar, ...]:
    """Bars of a MIDI file on its own grid that states no metre: one signature all through, with a pick-up."""
    last = int((midi.notes.onset + midi.notes.duration).max())
    half = midi.resolution / 2
    count = int(last / half) + 2
    accent = _accents(midi.notes.onset / half, midi.notes.pitch, midi.notes.duration / midi.resolution, count)
    metre, phase = _metre(accent)
    length = round(4 * midi.resolution * metre[0] / metre[1])
    first = round(phase * half)
    starts = [*([0] if first else []), *range(first, max(last, first + 1), length)]
    ends = [*starts[1:], starts[-1] + length]
    return tuple(Bar(a, b - a, *metre) for a, b in zip(starts, ends, strict=True))


def _accents(place: Floats, pitch: Ints, length: Floats, count: int) -> Floats:
    """[count] how strongly every half beat is marked, in standard deviations.

    Args:
        place: [N] onsets in half beats.
        pitch: [N] MIDI pitches.
        length: [N] in beats; two beats at most count.
        count: number of half beats.
    """
    spot = np.clip(np.round(place).astype(np.int64), 0, count - 1)
    near = np.abs(place - spot) < 0.34
    long = np.minimum(length, 2.0)
    weight = np.zeros(count)
    np.add.at(weight, spot[near], (0.3 + long)[near])
    weight = np.sqrt(weight)
    low = np.zeros(count)
    bass = near & (pitch < np.quantile(pitch, 0.35))
    np.maximum.at(low, spot[bass], (0.5 + long)[bass])
    chroma = np.zeros((count, 12))
    np.add.at(chroma, (spot, pitch % 12), long)
    total = np.vstack([np.zeros((1, 12)), np.cumsum(chroma, 0)])
    at = np.arange(count)
    after = total[np.minimum(at + 2, count)] - total[at]
    before = total[at] - total[np.maximum(at - 2, 0)]
    size = np.linalg.norm(after, axis=1) * np.linalg.norm(before, axis=1)
    change = np.where(size > 0, 1 - (after * before).sum(1) / np.maximum(size, 1e-9), 0.0) * (weight > 0)

    def standard(values: Floats) -> Floats:
        return np.asarray((values - values.mean()) / (values.std() + 1e-9))

    return standard(standard(weight) + 0.8 * standard(low) + 0.8 * standard(change))


def _metre(accent: Floats) -> tuple[tuple[int, int], int]:
    """The signature whose template fits best, and the half beat at which its first bar begins."""
    best = (-np.inf, (4, 4), 0)
    for metre, strengths in TEMPLATES.items():
        shape = np.asarray(strengths, dtype=np.float64)
        shape = (shape - shape.mean()) / shape.std()
        size = len(shape)
        for phase in range(size):
            template = shape[(np.arange(len(accent)) - phase) % size]
            fit = float(accent @ template) / len(accent) + FAVOUR[metre] + (0.01 if phase == 0 else 0.0)
            if fit > best[0]:
                best = (fit, metre, phase)
    return best[1], best[2]
