"""Hand-crafted features of a stretch of music, from what a system may see of it.

Those of `FEATURES`, asked of passages, and of windows more: what an analyst counts (steps of the tune in pairs, rhythm
in pairs, steps of the bass, intervals above it, kinds of chord, registers, places in the bar) and how it is played
(loudness, legato, texture). Some milliseconds for 512 notes on one core. All are computed from what a system may see
(`data.seen.seen`): a hidden attribute is the same in all notes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.seen import (
    DURATION,
    EDGE,
    PITCH,
    PITCHES,
    POSITION,
    SIGNATURE,
    TEMPO,
    VELOCITY,
    Floats,
    Ints,
    read,
    seen,
    tables,
)
from scoresim.data.windows import Window
from scoresim.score.tokens import FIRST, GRID, Vocabulary, default_vocabulary
from scoresim.understand.ngrams import N_GRAMS, count_ngrams

STEPS = (-8, -3, -1, 0, 2, 7)  # semitones: leap, third to fourth, second, unison, and up again
TIMES = (0.2, 0.3, 0.4, 0.6, 0.9, 1.5)  # quarter notes: edges between kinds of time between onsets
CHORDS: dict[str, tuple[int, ...]] = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
    "fourths": (0, 5, 7),
    "seventh": (0, 4, 7, 10),
    "major seventh": (0, 4, 7, 11),
    "minor seventh": (0, 3, 7, 10),
    "half diminished": (0, 3, 6, 10),
    "diminished seventh": (0, 3, 6, 9),
    "added second": (0, 2, 4, 7),
    "minor with added second": (0, 2, 3, 7),
    "ninth": (0, 2, 4, 7, 10),
}

# Grid steps: 32nd, 16th, triplet and plain eighth, triplet quarter, dotted eighth, quarter ... whole.
_LENGTHS: tuple[int, ...] = (3, 6, 8, 12, 16, 18, 24, 36, 48, 72, 96)

FEATURES: tuple[str, ...] = (
    *("pitch: mean", "pitch: deviation", "pitch: lowest", "pitch: highest", "pitch: range"),
    *("pitch: distinct", "pitch: entropy of classes"),
    *(f"pitch class {i} above the most frequent: share" for i in range(12)),
    *(f"pitch class {i}: share" for i in range(12)),
    *(f"top line: share of steps of {i} semitones" for i in range(13)),
    *("top line: share of larger steps", "top line: share going up", "top line: mean step"),
    *(f"duration: share up to {length}/{GRID} quarter" for length in _LENGTHS),
    *("duration: share of longer", "duration: mean log", "duration: deviation of log", "duration: distinct"),
    *("density: notes per quarter", "density: onsets per quarter", "density: notes per onset"),
    *("density: most notes at one onset", "density: share of single onsets"),
    *("rhythm: share on the beat", "rhythm: on the half", "rhythm: on the quarters", "rhythm: on triplets"),
    *("rhythm: share elsewhere", "rhythm: mean log time between onsets", "rhythm: its deviation"),
    *("length in quarters", "notes", "velocity: mean", "velocity: deviation", "tempo: log"),
    *("time signature: numerator", "time signature: denominator"),
)
"""Names of the hand-crafted features, in the order of `features`; every one is finite for any passage."""


def _kinds() -> NDArray[np.int64]:
    """[4096] kind of chord of each set of pitch classes as bits: index into `CHORDS`, or the number of them."""
    kind = np.full(4096, len(CHORDS), dtype=np.int64)
    for number, chord in reversed(list(enumerate(CHORDS.values()))):
        for root in range(12):
            kind[sum(1 << (root + step) % 12 for step in chord)] = number
    return kind


_KIND = _kinds()


class Counts(NamedTuple):
    """What is counted in some windows.

    Attributes:
        features: [W, F], 32 bits.
        ngrams: [W, BUCKETS], 32 bits (`understand.ngrams`).
        identity: hash of the names of all of it, which stand for what is counted and how.
    """

    features: Tensor
    ngrams: Tensor
    identity: str


def counts_of(pieces: Sequence[Piece], windows: Sequence[Window], hidden: Sequence[str]) -> Counts:
    """What is counted in windows.

    Args:
        pieces: the pieces.
        windows: at least one.
        hidden: attributes that nobody may see.
    """
    vocabulary = default_vocabulary()
    shown = [seen(pieces[w.piece], hidden, w.first, w.end) for w in windows]
    rows = [window_features(pair, vocabulary) for pair in shown]
    ngrams = torch.from_numpy(np.stack([count_ngrams(pair, vocabulary) for pair in shown]))
    names = "\n".join((*rows[0], N_GRAMS))
    identity = hashlib.sha256(names.encode()).hexdigest()[:16]
    return Counts(torch.tensor([list(row.values()) for row in rows], dtype=torch.float32), ngrams, identity)


def window_features(pair: Pair, vocabulary: Vocabulary) -> dict[str, float]:
    """Our features of some notes by name, finite; times are quarter notes, shares lie in [0, 1].

    Args:
        pair: at least one note (see `data.seen.seen`).
        vocabulary: of the tokens.
    """
    index, pitch, length, onset, velocity, times, row = read(pair, vocabulary)
    begins, sounds = tables(pitch, row, times, onset + length)
    top = skyline(pair.notes, onset.astype(np.float32))
    low = (begins > 0).argmax(axis=1) - EDGE
    high = PITCHES - 1 - (begins > 0)[:, ::-1].argmax(axis=1) - EDGE
    out = dict(zip(FEATURES, features(pair, vocabulary).tolist(), strict=True))
    out |= _pairs(np.searchsorted(STEPS, np.diff(high)), len(STEPS) + 1, "tune")
    out |= _pairs(np.searchsorted(TIMES, np.diff(times)), len(TIMES) + 1, "rhythm")
    out |= _shares(np.minimum(np.abs(np.diff(low)), 13), 14, "bass: steps of")
    out |= _harmony(sounds)
    out |= _shares(pitch // 12, 11, "register")
    out |= _shares(index[:, POSITION] * 4 // GRID, 17, "place in the bar")
    out |= _spread(np.log(length), "log duration") | _spread(velocity, "velocity")
    out |= _spread((sounds > 0).sum(axis=1).astype(np.float64), "sounding")
    tempo = np.log(np.array(vocabulary.tempos)[index[:, TEMPO]])
    seconds = float(pair.length) * 60 / np.exp(tempo.mean())
    gap = np.diff(times, append=times[-1] + 1.0)[row]
    loud = velocity[top].mean()
    return out | {
        "tempo: deviation": float(tempo.std()),
        "notes per second": len(pitch) / max(seconds, 1e-3),
        "onsets per second": len(times) / max(seconds, 1e-3),
        "legato": float(np.minimum(length / gap, 8.0).mean()),
        "share held over": float((length > gap + 1e-6).mean()),
        "tune louder": float(loud - velocity[~top].mean()) if not top.all() else 0.0,
        "velocity: mean change": float(np.abs(np.diff(velocity)).mean()) if len(velocity) > 1 else 0.0,
        "velocity with pitch": _correlation(velocity, pitch.astype(np.float64)),
        "hands apart": float((high - low).mean()),
    }


def _shares(kind: Ints, kinds: int, name: str) -> dict[str, float]:
    counts = np.bincount(np.minimum(kind, kinds - 1), minlength=kinds) / max(len(kind), 1)
    return {f"{name} {i}: share": float(share) for i, share in enumerate(counts)}


def _pairs(kind: Ints, kinds: int, name: str) -> dict[str, float]:
    """Shares of each kind followed by each."""
    return _shares(kind[:-1] * kinds + kind[1:], kinds**2, f"{name} in pairs")


def _harmony(sounds: NDArray[np.int16]) -> dict[str, float]:
    """Intervals above the lowest sounding pitch, and kinds of chord, at every onset."""
    there = sounds > 0
    row, column = np.nonzero(there)
    above = (column - there.argmax(axis=1)[row]) % 12
    classes = np.zeros((len(sounds), 12), dtype=bool)
    classes[row, (column - EDGE) % 12] = True
    kind = _KIND[classes @ (1 << np.arange(12))]
    several = classes.sum(axis=1) >= 3
    counts = np.bincount(kind[several], minlength=len(CHORDS) + 1) / max(int(several.sum()), 1)
    out = {f"chord: {name}": float(share) for name, share in zip((*CHORDS, "other"), counts, strict=True)}
    return out | _shares(above, 12, "above the bass") | {"chord: share of onsets": float(several.mean())}


def _spread(values: Floats, name: str) -> dict[str, float]:
    shares = (5, 25, 50, 75, 95)
    found = np.percentile(values, shares).tolist()
    return {f"{name}: {share} %": value for share, value in zip(shares, found, strict=True)}


def _correlation(a: Floats, b: Floats) -> float:
    spread = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1e-9 else 0.0


def skyline(notes: NDArray[np.int32], onset: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[N] whether a note is the highest of those that begin with it (equal highest notes all are).

    Args:
        notes: [N, 8] token ids.
        onset: [N] in quarter notes.
    """
    _, at = np.unique(onset, return_inverse=True)
    pitch = notes[:, PITCH]
    highest = np.zeros(int(at.max(initial=0)) + 1, dtype=pitch.dtype)
    np.maximum.at(highest, at, pitch)
    return np.asarray(pitch == highest[at])


def features(pair: Pair, vocabulary: Vocabulary) -> Floats:
    """[len(FEATURES)] hand-crafted features of a passage, from its note tokens and onsets alone.

    Pitches are MIDI numbers, durations and times are quarter notes, shares lie in [0, 1]. The "top line" is
    the highest note at each onset. An empty passage gives zeros.
    """
    if not len(pair.notes):
        return np.zeros(len(FEATURES))
    index = np.maximum(pair.notes.astype(np.int64) - FIRST, 0)
    onset = pair.onset.astype(np.float64)
    values = [
        *_pitch_features(index[:, PITCH]),
        *_line_features(index[skyline(pair.notes, pair.onset), PITCH]),
        *_duration_features(np.array(vocabulary.durations)[index[:, DURATION]]),
        *_density_features(onset, float(pair.length)),
        *_rhythm_features(index[:, POSITION], onset),
    ]
    velocity = np.array(vocabulary.velocities)[index[:, VELOCITY]]
    tempo = np.array(vocabulary.tempos)[index[:, TEMPO]]
    numerator, denominator = vocabulary.time_signatures[int(index[0, SIGNATURE])]
    values += [float(pair.length), float(len(index)), velocity.mean(), velocity.std(), np.log(tempo).mean()]
    return np.array([*values, float(numerator), float(denominator)])


def _pitch_features(pitch: Ints) -> list[float]:
    share = np.bincount(pitch % 12, minlength=12) / len(pitch)
    entropy = -float((share[share > 0] * np.log(share[share > 0])).sum())
    low, high = float(pitch.min()), float(pitch.max())
    first = [
        float(pitch.mean()),
        float(pitch.std()),
        low,
        high,
        high - low,
        float(len(np.unique(pitch))),
        entropy,
    ]
    return [*first, *np.roll(share, -int(share.argmax())).tolist(), *share.tolist()]


def _line_features(line: Ints) -> list[float]:
    step = np.diff(line)
    if not len(step):
        return [0.0] * 16
    size = np.abs(step)
    share = np.bincount(np.minimum(size, 13), minlength=14) / len(step)
    return [*share.tolist(), float((step > 0).mean()), float(size.mean())]


def _duration_features(duration: Ints) -> list[float]:
    share = np.bincount(np.searchsorted(_LENGTHS, duration), minlength=len(_LENGTHS) + 1) / len(duration)
    log = np.log(duration / GRID)
    return [*share.tolist(), float(log.mean()), float(log.std()), float(len(np.unique(duration)))]


def _density_features(onset: Floats, length: float) -> list[float]:
    _, count = np.unique(onset, return_counts=True)
    whole = max(length, 0.25)
    per_onset = [float(count.mean()), float(count.max()), float((count == 1).mean())]
    return [len(onset) / whole, len(count) / whole, *per_onset]


def _rhythm_features(position: Ints, onset: Floats) -> list[float]:
    place = position % GRID
    kinds = [place == 0, place == GRID // 2, np.isin(place, (GRID // 4, 3 * GRID // 4))]
    kinds.append(np.isin(place, (GRID // 3, 2 * GRID // 3)))
    shares = [float(kind.mean()) for kind in kinds]
    gaps = np.diff(np.unique(onset))
    log = np.log(gaps) if len(gaps) else np.zeros(1)
    return [*shares, 1.0 - sum(shares), float(log.mean()), float(log.std())]
