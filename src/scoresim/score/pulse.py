"""Beats and bars of music that does not state them, from its notes alone.

Beats are the path through (time, period) that meets most weight of onsets while the period changes little, found by
dynamic programming on 20 ms frames; after D. Ellis, "Beat tracking by dynamic programming", Journal of New Music
Research 36 (2007), with the period as part of the state, since a performance changes its tempo. Bars are the template
of accents (weight, low notes, change of harmony) that fits the beats best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoresim.score.notes import Bar, Beats, Score
from scoresim.score.performance import seconds
from scoresim.score.timeline import CHORD_SECONDS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RATE = 50  # frames per second
SLOWEST, FASTEST = 45.0, 190.0  # beats per minute
USUAL, WIDTH = 95.0, 0.9  # the tempo expected, and how far from it in octaves is no surprise
STICK = 150.0  # cost of a change of period, per squared log
REACH = 3  # periods to either side that a beat may change to
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
    onset = seconds(midi, midi.notes.onset)
    length = seconds(midi, midi.notes.onset + midi.notes.duration) - onset
    found = _track(onset, _weights(midi, length))
    if len(found) < 2:
        found = onset.min() + 0.6 * np.arange(4)
    found = _readable(found, onset)
    place = np.interp(onset, found, np.arange(len(found)), left=0.0, right=len(found) - 1.0)
    steps = np.maximum(np.diff(found), 1e-3)[np.clip(place.astype(np.int64), 0, len(found) - 2)]
    accent = _accents(2 * place, midi.notes.pitch, length / steps, 2 * len(found))
    metre, phase = _metre(accent, ((4, 4), (3, 4)), even=True)
    down = np.zeros(len(found), dtype=bool)
    down[phase // 2 :: metre[0]] = True
    return Beats(found, down, ((0, *metre),))


def bars(midi: Score) -> tuple[Bar, ...]:
    """Bars of a MIDI file on its own grid that states no metre: one signature all through, with a pick-up."""
    last = int((midi.notes.onset + midi.notes.duration).max())
    half = midi.resolution / 2
    count = int(last / half) + 2
    accent = _accents(midi.notes.onset / half, midi.notes.pitch, midi.notes.duration / midi.resolution, count)
    metre, phase = _metre(accent, tuple(TEMPLATES), even=False)
    length = round(4 * midi.resolution * metre[0] / metre[1])
    first = round(phase * half)
    starts = [*([0] if first else []), *range(first, max(last, first + 1), length)]
    ends = [*starts[1:], starts[-1] + length]
    return tuple(Bar(a, b - a, *metre) for a, b in zip(starts, ends, strict=True))


def _weights(midi: Score, length: Floats) -> Floats:
    """[N] weights of the onsets: long ([N] seconds), loud and low notes weigh more."""
    loud = np.sqrt(np.maximum(midi.notes.velocity, 1) / 64)
    return np.asarray(loud * (0.5 + np.minimum(length, 1.0)) * np.where(midi.notes.pitch < 55, 1.5, 1.0))


def _envelope(onset: Floats, weight: Floats) -> Floats:
    """Weight of the onsets in every frame, smoothed by a frame, with mean square 1."""
    frames = onset * RATE
    size = int(frames.max()) + 2 * RATE
    whole = frames.astype(np.int64)
    out = np.bincount(whole, weight * (1 - frames + whole), size) + np.bincount(
        whole + 1, weight * (frames - whole), size
    )
    kernel = np.exp(-0.5 * np.arange(-3, 4) ** 2.0)
    smooth = np.convolve(np.sqrt(out), kernel, "same")
    return np.asarray(smooth / (np.sqrt(np.mean(smooth**2)) + 1e-9))


def _track(onset: Floats, weight: Floats) -> Floats:
    """Times of the beats, in order."""
    begin = max(float(onset.min()) - 1.0, 0.0)
    envelope = _envelope(onset - begin, weight)
    periods = np.unique(np.round(RATE * 60 / np.geomspace(SLOWEST, FASTEST, 48)).astype(np.int64))
    count, frames = len(periods), len(envelope)
    neighbour = np.clip(np.arange(count)[:, None] + np.arange(-REACH, REACH + 1), 0, count - 1)
    logs = np.log(periods)
    change = -STICK * (logs[:, None] - logs[neighbour]) ** 2
    surprise = -0.5 * (np.log2(60 * RATE / periods / USUAL) / WIDTH) ** 2
    worth = (periods / RATE) ** 0.75  # of a beat: slow ones are fewer
    gain = (0.35 * surprise - 0.9) * worth
    # the frames before the first are states of score 0, from which a path may begin
    pad = int(periods[-1])
    score = np.zeros((frames + pad, count))
    back = np.full((frames, count), -1, dtype=np.int16)
    columns = np.arange(count)
    flat = neighbour - count * periods[:, None]
    everything = score.reshape(-1)
    for t in range(frames):
        row = t + pad
        options = everything[flat + row * count] + change
        best = options.argmax(1)
        began = t >= periods
        back[t] = np.where(began, neighbour[columns, best], -1)
        score[row] = np.where(began, options[columns, best], 0.0) + envelope[t] * worth + gain
    tail = max(frames - int(3.2 * RATE), 0)
    flat_best = int(score[pad + tail :].argmax())
    t, state = tail + flat_best // count, flat_best % count
    out = []
    while t >= 0:
        out.append(t)
        if back[t, state] < 0:
            break
        t, state = t - int(periods[state]), int(back[t, state])
    return _refined(np.asarray(out[::-1]) / RATE + begin, onset)


def _readable(found: Floats, onset: Floats) -> Floats:
    """The beats, or twice as many where every fourth of them has more than five onsets: fewer 32nds are needed."""
    times = np.sort(onset)
    times = times[np.r_[True, np.diff(times) > CHORD_SECONDS]]
    counts = np.histogram(times, found)[0]
    if np.quantile(counts, 0.75) <= 5 or np.median(np.diff(found)) < 0.4:
        return found
    return np.sort(np.r_[found, (found[1:] + found[:-1]) / 2])


def _refined(times: Floats, onset: Floats) -> Floats:
    """Beats moved to the mean of the onsets within 50 ms, where there are any, and kept in order."""
    ordered = np.sort(onset)
    total = np.r_[0.0, np.cumsum(ordered)]
    first, last = np.searchsorted(ordered, times - CHORD_SECONDS), np.searchsorted(ordered, times + CHORD_SECONDS)
    count = last - first
    moved = np.where(count > 0, (total[last] - total[first]) / np.maximum(count, 1), times)
    keep = np.r_[True, np.diff(np.maximum.accumulate(moved)) > 0.1]
    return np.asarray(moved[keep])


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


def _metre(accent: Floats, metres: tuple[tuple[int, int], ...], even: bool) -> tuple[tuple[int, int], int]:
    """The signature whose template fits best, and the half beat at which its first bar begins."""
    best = (-np.inf, metres[0], 0)
    for metre in metres:
        shape = np.asarray(TEMPLATES[metre], dtype=np.float64)
        shape = (shape - shape.mean()) / shape.std()
        size = len(shape)
        for phase in range(0, size, 2 if even else 1):
            template = shape[(np.arange(len(accent)) - phase) % size]
            fit = float(accent @ template) / len(accent) + FAVOUR[metre] + (0.01 if phase == 0 else 0.0)
            if fit > best[0]:
                best = (fit, metre, phase)
    return best[1], best[2]
