"""Key: in which of 24 keys is this pop song?

POP909 comes with keys that a program heard in the recordings of the songs, in seconds; the label is the key that lasts
longest (Wang et al., ISMIR 2020). So there are wrong labels, and songs that change the key have one answer all the
same. The songs and the split are those of `melody`.

Inputs. Notes with velocity. The image is engraved from them: its key signature is our own guess from the notes, not
the label. A transposed song is in the key that is as far away, so where notes are read alone every training song is
learnt from in several keys, its own and others by lot (`piecewise.in_keys`); otherwise what a system must learn for
one key it must learn twelve times, from 14 to 47 songs of each. Training songs are hurried, too.

Metrics: accuracy, and the weighted score of MIREX audio key detection, which chooses: 1 for the right key, .5 for a
fifth above or below it in the same mode, .3 for the relative key, .2 for the parallel one, else 0. (mir_eval counts
the fifth above alone.) Over windows of 512 notes and over songs.

Beside them the rule that every key finder has to beat (Krumhansl and Kessler, Psychological Review 89, 1982; Krumhansl,
Cognitive Foundations of Musical Pitch, 1990): how long each of the twelve pitch classes sounds is correlated with the
profile of every key. The profiles are Aarden's (Dynamic Melodic Expectancy, 2003), counted in folk songs: of four
published pairs (his, Krumhansl and Kessler's, Temperley's, Bellman's) the best on the validation parts of `key_all`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from scoresim.benchmark import metrics
from scoresim.benchmark.metrics import Floats, Statistic
from scoresim.benchmark.note_features import read
from scoresim.benchmark.task import PieceTask, official
from scoresim.benchmark.tasks import melody
from scoresim.data.pair import Pair
from scoresim.data.pieces import Piece
from scoresim.data.windows import moved
from scoresim.score.tokens import default_vocabulary

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
CLASSES = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS)
PROFILES = (  # of C major and of C minor: percent of the notes of each pitch class, C first
    (17.7661, 0.1456, 14.9265, 0.1602, 19.8049, 11.3587, 0.2912, 22.0620, 0.1456, 8.1549, 0.2330, 4.9512),
    (18.2648, 0.7376, 14.0499, 16.8599, 0.7025, 14.4362, 0.7025, 18.6161, 4.5662, 1.9319, 7.3762, 1.7562),
)


def label(piece: Piece, classes: Sequence[str] = CLASSES) -> int:
    """Index of the key; -1 where there is none."""
    key = piece.labels.get("key", "")
    return classes.index(key) if key in classes else -1


def profiles(pair: Pair, classes: Sequence[str] = CLASSES) -> Floats:
    """[24] correlation (-1 to 1) of how long each pitch class sounds with the profile of each key; 0 if all are alike.

    Args:
        pair: at least one note (see `note_features.seen`).
    """
    notes = read(pair, default_vocabulary())
    sounds = _deviations(np.bincount(notes.pitch % 12, notes.length, 12).astype(np.float64))
    modes = [_deviations(np.array(profile)) for profile in PROFILES]
    return np.array([sounds @ np.roll(mode, tonic) for mode in modes for tonic in range(len(TONICS))])


def _deviations(values: Floats) -> Floats:
    """Deviations from the mean, as a vector of length 1; of length 0 where there are none."""
    away = values - values.mean()
    return np.asarray(away / max(float(np.sqrt(away @ away)), 1e-9))


def turned(piece: Piece, steps: int, named: Callable[[Piece], int] = label) -> Piece:
    """A piece so many semitones higher, in the key that it has then; one without a key has none.

    Args:
        named: index of the key of a piece; -1 for none.
    """
    mode, tonic = divmod(named(piece), len(TONICS))
    key = CLASSES[len(TONICS) * mode + (tonic + steps) % len(TONICS)] if mode >= 0 else ""
    return replace(piece, ids=moved(piece.ids, steps, 0), labels={**piece.labels, "key": key})


def credit() -> Floats:
    """[24, 24] what an answer (column) is worth by the true key (row)."""
    mode, tonic = np.divmod(np.arange(len(CLASSES)), len(TONICS))
    away = (tonic[None, :] - tonic[:, None]) % 12
    same = mode[:, None] == mode[None, :]
    relative = np.where(mode[:, None] == 0, away == 9, away == 3)
    cases = [same & (away == 0), same & ((away == 7) | (away == 5)), ~same & relative, ~same & (away == 0)]
    return np.select(cases, [1.0, 0.5, 0.3, 0.2], 0.0)


def measures(classes: Sequence[str]) -> dict[str, Statistic]:
    """The weighted score chooses."""
    return {"MIREX weighted score": metrics.mean_worth(credit()), "accuracy": metrics.accuracy}


TASK = PieceTask(
    name="key",
    question="In which key is this pop song?",
    level="sequence",
    corpora=("pop909",),
    part=official,
    classes=CLASSES,
    label=label,
    measures=measures,
    obtain=melody.TASK.obtain,
    hurries=True,
    rule=("key profiles", profiles),
    turned=turned,
)
