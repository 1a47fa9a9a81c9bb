"""The features that music21 has of a stretch of music.

music21 (Cuthbert & Ariza, ISMIR 2010) computes those of jSymbolic (McKay & Fujinaga, ICMC 2006) that it has, and its
own. Of its 92 extractors 75 are asked: those that need its reduction to chords (simultaneities, voices) take .4 s more
for 512 notes, and spelling, lyrics and cadences are not in the notes. These take .2 s for 512 notes on one core.
jSymbolic itself needs Java.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from scoresim.data.pair import Pair
from scoresim.data.seen import DURATION, PITCH, TEMPO, VELOCITY
from scoresim.errors import BadInput
from scoresim.score.tokens import FIRST, GRID, Vocabulary

LEFT_OUT = ("IndependentVoices", "Simultaneit", "SpelledTriad", "ChordBassMotion", "LandiniCadence", "Language")


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
