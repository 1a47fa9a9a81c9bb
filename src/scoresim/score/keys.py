"""The 24 keys, and how well the notes of a piece fit the profile of each.

The rule that any key finder has to beat (Krumhansl and Kessler, Psychological Review 89, 1982; Krumhansl, *Cognitive
Foundations of Musical Pitch*, 1990): how long each of the twelve pitch classes sounds is correlated with the profile of
every key. The profiles here are Aarden's (*Dynamic Melodic Expectancy*, 2003), counted in the folk songs of the Essen
collection. (`spelling` asks something else, the signature of every bar, in a chain over the bars.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoresim.score.tokens import ATTRIBUTES, FIRST, Vocabulary, default_vocabulary

Floats = NDArray[np.float64]

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS)
PROFILES = (  # of C major and of C minor: percent of the notes of each pitch class, C first
    (17.7661, 0.1456, 14.9265, 0.1602, 19.8049, 11.3587, 0.2912, 22.0620, 0.1456, 8.1549, 0.2330, 4.9512),
    (18.2648, 0.7376, 14.0499, 16.8599, 0.7025, 14.4362, 0.7025, 18.6161, 4.5662, 1.9319, 7.3762, 1.7562),
)
PITCH, DURATION = (ATTRIBUTES.index(name) for name in ("pitch", "duration"))


def key_profiles(ids: NDArray[np.integer[Any]], vocabulary: Vocabulary | None = None) -> Floats:
    """[24] correlation (-1 to 1) of how long each pitch class sounds with the profiles of `KEYS`; 0 if all are alike.

    Args:
        ids: [N, 8] note tokens; a note whose pitch is hidden is not counted, a hidden duration counts as the shortest.
        vocabulary: of the tokens.
    """
    shown = ids[ids[:, PITCH] >= FIRST].astype(np.int64)
    durations = np.array((vocabulary or default_vocabulary()).durations, dtype=np.float64)
    length = durations[np.maximum(shown[:, DURATION] - FIRST, 0)]
    sounds = _deviations(np.bincount((shown[:, PITCH] - FIRST) % len(TONICS), length, len(TONICS)).astype(np.float64))
    modes = [_deviations(np.array(profile)) for profile in PROFILES]
    return np.array([sounds @ np.roll(mode, tonic) for mode in modes for tonic in range(len(TONICS))])


def _deviations(values: Floats) -> Floats:
    """Deviations from the mean, as a vector of length 1; of length 0 where there are none."""
    away = values - values.mean()
    return np.asarray(away / max(float(np.sqrt(away @ away)), 1e-9))


RULES: dict[str, Callable[[NDArray[np.integer[Any]]], Floats]] = {"key profiles": key_profiles}
"""What may answer a question about the notes of a piece beside a trained head, by name: scores of `KEYS`."""
