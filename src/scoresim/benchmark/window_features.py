"""Hand-crafted features of a stretch of a piece: ours, and those of music21.

Ours are `baselines.FEATURES` and the ones here: what an analyst counts (steps of the tune in pairs, rhythm in pairs,
steps of the bass, intervals above it, kinds of chord, registers, places in the bar) and how it is played (loudness,
legato, texture). music21 (Cuthbert & Ariza, ISMIR 2010) computes those of jSymbolic (McKay & Fujinaga, ICMC 2006) that
it has, and its own. Of its 92 extractors 75 are asked: those that need its reduction to chords (simultaneities, voices)
take .4 s more for 512 notes, and spelling, lyrics and cadences are not in the notes. These take .2 s for 512 notes on
one core, ours 2 ms. jSymbolic itself needs Java.

All are computed from what a system may see (`note_features.seen`): a hidden attribute is the same in all notes.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.benchmark.baselines import DURATION, FEATURES, PITCH, POSITION, TEMPO, VELOCITY, features, skyline
from scoresim.benchmark.metrics import Floats, Ints
from scoresim.benchmark.note_features import EDGE, PITCHES, read, tables
from scoresim.data.pair import Pair
from scoresim.errors import BadInput
from scoresim.score.tokens import FIRST, GRID, Vocabulary

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
LEFT_OUT = ("IndependentVoices", "Simultaneit", "SpelledTriad", "ChordBassMotion", "LandiniCadence", "Language")


def _kinds() -> NDArray[np.int64]:
    """[4096] kind of chord of each set of pitch classes as bits: index into `CHORDS`, or the number of them."""
    kind = np.full(4096, len(CHORDS), dtype=np.int64)
    for number, chord in reversed(list(enumerate(CHORDS.values()))):
        for root in range(12):
            kind[sum(1 << (root + step) % 12 for step in chord)] = number
    return kind


_KIND = _kinds()


def window_features(pair: Pair, vocabulary: Vocabulary) -> dict[str, float]:
    """Our features of some notes by name, finite; times are quarter notes, shares lie in [0, 1].

    Args:
        pair: at least one note (see `note_features.seen`).
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


def music21_is_there() -> bool:
    """Whether the extra `corpora` is installed."""
    return find_spec("music21") is not None


def music21_features(pair: Pair, vocabulary: Vocabulary) -> dict[str, float]:
    """The features of music21 by name; one that it cannot compute is 0.

    Raises:
        BadInput: music21 is not installed.
    """
    if not music21_is_there():
        raise BadInput("these features need music21: pip install 'scoresim[corpora]'")
    extractors: Any = import_module("music21.features")
    notes = extractors.DataInstance(_stream(pair, vocabulary))
    out: dict[str, float] = {}
    for make in extractors.jSymbolic.featureExtractors + extractors.native.featureExtractors:
        if any(name in make.__name__ for name in LEFT_OUT):
            continue
        extractor = make(notes)
        try:
            values = extractor.extract().vector
        except (extractors.FeatureException, ArithmeticError, ValueError, IndexError, AttributeError, TypeError):
            values = []  # a passage without what it counts
        values = [*values, *([0.0] * extractor.dimensions)][: extractor.dimensions]
        out |= {f"{make.__name__} {i}": float(value) for i, value in enumerate(values)}
    return {name: value if np.isfinite(value) else 0.0 for name, value in out.items()}


def _stream(pair: Pair, vocabulary: Vocabulary) -> Any:
    """The notes as music21 has them: one piano, the first tempo and time signature."""
    music21: Any = import_module("music21")
    part = music21.stream.Part()
    index = np.maximum(pair.notes.astype(np.int64) - FIRST, 0)
    numerator, denominator = vocabulary.time_signatures[int(index[0, 6])]
    part.insert(0, music21.instrument.Piano())
    part.insert(0, music21.meter.TimeSignature(f"{numerator or 4}/{denominator or 4}"))
    part.insert(0, music21.tempo.MetronomeMark(number=vocabulary.tempos[int(index[0, TEMPO])]))
    for row, onset in zip(index.tolist(), pair.onset.tolist(), strict=True):
        one = music21.note.Note(row[PITCH])
        one.duration.quarterLength = vocabulary.durations[row[DURATION]] / GRID
        one.volume.velocity = vocabulary.velocities[row[VELOCITY]]
        part.insert(onset, one)
    whole = music21.stream.Score()
    whole.insert(0, part)
    return whole
